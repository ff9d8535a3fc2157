//! The two levels of parts in the form in which they are stored and compared: signed bytes with a scale for each vector.
//!
//! What a search compares is read as it lies in the store ([`StoredLevels`]); queries, and what is explained, are kept here
//! ([`Levels`]).

use moiety_encoder::{Encoding, Extent, Level};
use moiety_index::{CodedRows, Codes};

/// Fragment and token vectors of one side of a record, or of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Levels {
    pub(crate) fragments: CodedLevel,
    pub(crate) tokens: CodedLevel,
}

/// One level with what its parts stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CodedLevel {
    pub(crate) codes: Codes,
    /// One for each part.
    pub(crate) weights: Vec<f32>,
    /// One for each part.
    pub(crate) extents: Vec<Extent>,
}

/// Both levels within a stored value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredLevels<'a> {
    pub(crate) fragments: StoredLevel<'a>,
    pub(crate) tokens: StoredLevel<'a>,
}

/// One level within a stored value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredLevel<'a> {
    pub(crate) rows: CodedRows<'a>,
    /// One for each row: a finite float, the low byte first.
    pub(crate) weights: &'a [[u8; 4]],
}

impl Levels {
    pub(crate) fn is_empty(&self) -> bool {
        self.fragments.is_empty() && self.tokens.is_empty()
    }
}

impl CodedLevel {
    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }
}

impl From<Level> for CodedLevel {
    fn from(level: Level) -> Self {
        let codes = Codes::of(&level.vectors, level.dim);
        Self { codes, weights: level.weights, extents: level.extents }
    }
}

impl<'a> StoredLevel<'a> {
    pub(crate) fn weights(self) -> impl Iterator<Item = f32> + 'a {
        self.weights.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }
}

/// Says what is wrong with what an encoder gave, if anything is: it must be storable and comparable.
pub(crate) fn check(encoding: &Encoding, part_dim: usize) -> Result<(), String> {
    for (name, level) in [("fragment", &encoding.fragments), ("token", &encoding.tokens)] {
        let n = level.len();
        let whole = level.extents.len() == n && level.vectors.len() == n * level.dim;
        let fits = level.dim == part_dim && CodedRows::row_bytes(level.dim).is_some();
        if n > 0 && !fits || !whole {
            return Err(format!("the encoder gave a malformed {name} level"));
        }
        if !level.vectors.iter().chain(&level.weights).all(|x| x.is_finite()) {
            return Err(format!("the encoder gave a {name} level that is not finite"));
        }
    }
    Ok(())
}
