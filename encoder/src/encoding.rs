//! What an encoder gives back: one vector for the whole, and a set of weighted, located vectors for its parts.
//!
//! Every vector has unit length, so a dot product is a cosine. Weights of a level are positive and sum to one. An
//! [`Extent`] says which atoms or characters a part stands for; nothing here knows how vectors are compared.

/// The embedding of one molecule or one text at three levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// The whole: a unit vector of `ModelInfo::global_dim` numbers.
    pub global: Vec<f32>,
    /// Fragments of a molecule or phrases of a text.
    pub fragments: Level,
    /// Atoms of a molecule or words of a text.
    pub tokens: Level,
}

/// The vectors of one level, with their weights and extents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    /// Length of each vector (`ModelInfo::part_dim`).
    pub dim: usize,
    /// Unit vectors, row after row: `len() * dim` numbers.
    pub vectors: Vec<f32>,
    /// One positive weight per row; they sum to one.
    pub weights: Vec<f32>,
    /// What each row stands for.
    pub extents: Vec<Extent>,
}

impl Level {
    /// Number of parts.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// True when the level has no part.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The vector of part `i`.
    pub fn vector(&self, i: usize) -> &[f32] {
        &self.vectors[i * self.dim..(i + 1) * self.dim]
    }
}

/// The piece of the input that a part stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Atom indices in the order of the parsed structure, ascending.
    Atoms(Vec<u32>),
    /// Byte range `start..end` of the UTF-8 text, on character boundaries.
    Span {
        /// First byte.
        start: u32,
        /// One past the last byte.
        end: u32,
    },
}
