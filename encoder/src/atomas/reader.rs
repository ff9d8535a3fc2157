//! Molecules and texts as token sequences that know what they stand for.

use std::{ops::Range, path::Path, sync::Arc};

use moiety_chem::Molecule;

use super::config::AtomasConfig;
use crate::{
    Extent,
    error::{EncoderError, Result},
    t5::tokenizer::{ModelTokenizer, Tokens},
};

/// A tokenizer with the limits of its model.
pub(crate) struct Reader {
    tokenizer: Arc<ModelTokenizer>,
    max_tokens: usize,
    max_atoms: usize,
}

/// A molecule or a text as the network reads it.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// Ids, the end mark last.
    pub(crate) ids: Vec<u32>,
    /// What each id but the last stands for.
    places: Places,
}

/// What tokens stand for.
#[derive(Clone, Debug)]
enum Places {
    /// Atoms of a molecule, ascending.
    Atoms(Vec<Vec<u32>>),
    /// Bytes of a text, without blanks around; empty for blanks.
    Bytes(Vec<Range<usize>>),
}

impl Reader {
    /// Reads the `tokenizer.json` of a model.
    pub(crate) fn load(path: &Path, config: &AtomasConfig) -> Result<Self> {
        let tokenizer = Arc::new(ModelTokenizer::load(path, &config.t5)?);
        Ok(Self { tokenizer, max_tokens: config.max_tokens, max_atoms: config.max_atoms })
    }

    /// Reads a molecule by its canonical SMILES, so that how it was written does not matter.
    ///
    /// # Errors
    /// Says why when it is too large; `index` is its place in the batch.
    pub(crate) fn molecule(&self, molecule: &Molecule, index: usize) -> Result<Input> {
        let fail = |reason: String| EncoderError::Molecule { index, reason };
        let (atoms, most) = (molecule.atoms(), self.max_atoms);
        if atoms > most {
            return Err(fail(format!("has {atoms} atoms, this model reads at most {most}")));
        }
        let written = molecule.written().map_err(|e| fail(e.to_string()))?;
        let tokens = self.tokenizer.smiles(&written.text, self.max_tokens)?;
        if tokens.truncated || tokens.ids.len() < 2 {
            let most = self.max_tokens - 1;
            return Err(fail(format!(
                "its SMILES has {} characters, this model reads at most {most} tokens",
                written.text.len()
            )));
        }
        let of_span = |span: &Range<usize>| {
            let symbols = written.symbols.iter();
            let inside = symbols.filter(|s| s.bytes.start < span.end && span.start < s.bytes.end);
            union(inside.map(|symbol| symbol.atoms.as_slice()))
        };
        let places = tokens.spans[..tokens.ids.len() - 1].iter().map(of_span).collect();
        Ok(Input { ids: tokens.ids, places: Places::Atoms(places) })
    }

    /// Reads a text; what is beyond the limit is left out.
    ///
    /// # Errors
    /// Says why when nothing in it can be read; `index` is its place in the batch.
    pub(crate) fn text(&self, text: &str, index: usize) -> Result<Input> {
        let fail = |reason: &str| EncoderError::Text { index, reason: reason.into() };
        let Tokens { ids, spans, .. } = self.tokenizer.text(text, self.max_tokens)?;
        let unknown = self.tokenizer.unknown();
        let real = ids.len() - 1;
        let places: Vec<_> = spans[..real].iter().map(|span| trimmed(text, span)).collect();
        if places.iter().all(Range::is_empty) {
            return Err(fail("has no words; give at least one letter or digit"));
        }
        if ids[..real].iter().all(|&id| Some(id) == unknown) {
            return Err(fail("has no word that this model knows; it reads English"));
        }
        Ok(Input { ids, places: Places::Bytes(places) })
    }

    /// The tokenizer, to write with.
    pub(crate) fn tokenizer(&self) -> Arc<ModelTokenizer> {
        self.tokenizer.clone()
    }
}

impl Input {
    /// Tokens, the end mark not counted.
    pub(crate) fn tokens(&self) -> usize {
        self.ids.len() - 1
    }

    /// What a set of tokens (ascending) stands for, each piece with the number of its tokens. Atoms are one piece; bytes
    /// are one piece for each run of tokens that stand together. Tokens that stand for nothing leave nothing.
    pub(crate) fn extents(&self, tokens: &[usize]) -> Vec<(Extent, usize)> {
        match &self.places {
            Places::Atoms(atoms) => {
                let atoms = union(tokens.iter().map(|&token| atoms[token].as_slice()));
                if atoms.is_empty() { vec![] } else { vec![(Extent::Atoms(atoms), tokens.len())] }
            }
            Places::Bytes(bytes) => {
                let seen: Vec<usize> =
                    tokens.iter().copied().filter(|&token| !bytes[token].is_empty()).collect();
                let runs = seen.chunk_by(|a, b| (a + 1..*b).all(|t| bytes[t].is_empty()));
                runs.map(|run| (span(&bytes[run[0]], &bytes[run[run.len() - 1]]), run.len()))
                    .collect()
            }
        }
    }
}

fn span(first: &Range<usize>, last: &Range<usize>) -> Extent {
    Extent::Span { start: first.start as u32, end: last.end as u32 }
}

/// All atoms of these lists, ascending, each once.
fn union<'a>(lists: impl Iterator<Item = &'a [u32]>) -> Vec<u32> {
    let mut atoms: Vec<u32> = lists.flatten().copied().collect();
    atoms.sort_unstable();
    atoms.dedup();
    atoms
}

/// The bytes of a span without the blanks around.
fn trimmed(text: &str, span: &Range<usize>) -> Range<usize> {
    let Some(piece) = text.get(span.clone()) else { return span.start..span.start };
    let start = span.start + (piece.len() - piece.trim_start().len());
    start..start + piece.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_words_is_one_piece_for_each_run_that_stands_together() {
        let text = "an acid and  a base";
        let spans = [0..2, 2..7, 7..11, 11..12, 12..14, 14..19];
        let places = spans.iter().map(|span| trimmed(text, span)).collect();
        let input = Input { ids: vec![5; 7], places: Places::Bytes(places) };
        let words = |tokens: &[usize]| -> Vec<(&str, usize)> {
            let piece = |(extent, count)| match extent {
                Extent::Span { start, end } => (&text[start as usize..end as usize], count),
                Extent::Atoms(_) => ("", count),
            };
            input.extents(tokens).into_iter().map(piece).collect()
        };
        assert_eq!(words(&[0, 1, 5]), [("an acid", 2), ("base", 1)]);
        assert_eq!(words(&[2, 4]), [("and  a", 2)]);
        assert_eq!(words(&[3]), []);
    }

    #[test]
    fn a_set_of_symbols_is_one_set_of_atoms() {
        let places = Places::Atoms(vec![vec![2], vec![], vec![0, 2]]);
        let input = Input { ids: vec![5; 4], places };
        assert_eq!(input.extents(&[0, 2]), [(Extent::Atoms(vec![0, 2]), 2)]);
        assert_eq!(input.extents(&[1]), []);
    }
}
