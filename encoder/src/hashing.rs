//! A deterministic encoder that needs no model: parts are hashed to pseudo-random directions.
//!
//! It promises that equal words share a vector, that atoms of equal environments share a vector, and that the same input
//! gives the same encoding on every machine. It knows nothing of meaning: use it for tests and for measuring the engine.

use moiety_chem::Molecule;
use sha2::{Digest, Sha256};

use crate::{Encoder, EncoderError, Encoding, Extent, Level, ModelInfo, error::Result};

const MAX_TEXT_TOKENS: usize = 512;
const MAX_ATOMS: usize = 1_000;
const WORD_SEED: u64 = 0x776f_7264;
const ATOM_SEED: u64 = 0x6174_6f6d;

/// Hashes words and atom environments to unit vectors.
///
/// ```
/// use moiety_encoder::{Encoder, HashingEncoder};
///
/// let encoder = HashingEncoder::new(32);
/// let encodings = encoder.encode_texts(&["a red dye", "a red dye"])?;
/// assert_eq!(encodings[0], encodings[1]);
/// assert_eq!(encodings[0].tokens.len(), 3);
/// # Ok::<(), moiety_encoder::EncoderError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HashingEncoder {
    info: ModelInfo,
}

impl HashingEncoder {
    /// An encoder whose vectors have `dim` numbers (at least one).
    pub fn new(dim: usize) -> Self {
        let dim = dim.max(1);
        let name = format!("hashing-{dim}");
        let digest = Sha256::digest(format!("moiety hashing encoder 1, {dim} numbers"));
        let fingerprint = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let info = ModelInfo {
            name,
            fingerprint,
            global_dim: dim,
            part_dim: dim,
            max_text_tokens: MAX_TEXT_TOKENS,
            max_atoms: MAX_ATOMS,
        };
        Self { info }
    }

    fn encode_text(&self, text: &str) -> Encoding {
        let words = words(text);
        let vectors = words
            .iter()
            .map(|&(start, end)| self.direction(WORD_SEED, &text[start..end].to_lowercase()))
            .collect();
        let extents = words.iter().map(|&(start, end)| span(start, end)).collect();
        let phrases = phrases(text, &words);
        let phrase_extents =
            phrases.iter().map(|group| span(words[group[0]].0, words[group[group.len() - 1]].1));
        let phrase_extents = phrase_extents.collect();
        self.assemble(vectors, extents, &phrases, phrase_extents)
    }

    fn encode_molecule(&self, molecule: &Molecule) -> Encoding {
        let environments = molecule.graph().environments_chiral;
        let vectors: Vec<Vec<f32>> = environments
            .iter()
            .map(|radii| {
                let parts = radii.iter().map(|id| self.direction(ATOM_SEED, &id.to_string()));
                sum_direction(parts, self.info.part_dim)
            })
            .collect();
        let extents = (0..vectors.len() as u32).map(|atom| Extent::Atoms(vec![atom])).collect();
        let fragments = molecule.fragments();
        let groups: Vec<Vec<usize>> = fragments
            .iter()
            .map(|atoms| atoms.iter().map(|&atom| atom as usize).collect())
            .collect();
        let fragment_extents = fragments.into_iter().map(Extent::Atoms).collect();
        self.assemble(vectors, extents, &groups, fragment_extents)
    }

    /// Builds the three levels from token vectors and the groups of them that make fragments.
    fn assemble(
        &self,
        tokens: Vec<Vec<f32>>,
        extents: Vec<Extent>,
        groups: &[Vec<usize>],
        group_extents: Vec<Extent>,
    ) -> Encoding {
        let dim = self.info.part_dim;
        let global = sum_direction(tokens.iter(), dim);
        let fragments =
            groups.iter().map(|group| sum_direction(group.iter().map(|&i| &tokens[i]), dim));
        let fragments = level(dim, fragments.collect(), group_extents, |i| groups[i].len() as f32);
        Encoding { global, fragments, tokens: level(dim, tokens, extents, |_| 1.0) }
    }

    /// The pseudo-random unit vector of a key.
    fn direction(&self, seed: u64, key: &str) -> Vec<f32> {
        let mut state = key.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let numbers: Vec<f32> = (0..self.info.part_dim).map(|_| uniform(&mut state)).collect();
        sum_direction(std::iter::once(numbers), self.info.part_dim)
    }
}

impl Encoder for HashingEncoder {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn encode_molecules(&self, molecules: &[&Molecule]) -> Result<Vec<Encoding>> {
        let encode = |(index, molecule): (usize, &&Molecule)| {
            check_atoms(index, molecule)?;
            Ok(self.encode_molecule(molecule))
        };
        molecules.iter().enumerate().map(encode).collect()
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Encoding>> {
        let encode = |(index, text): (usize, &&str)| {
            check_words(index, text)?;
            Ok(self.encode_text(text))
        };
        texts.iter().enumerate().map(encode).collect()
    }

    fn check_molecule(&self, molecule: &Molecule) -> Result<()> {
        check_atoms(0, molecule)
    }

    fn check_text(&self, text: &str) -> Result<()> {
        check_words(0, text)
    }
}

fn check_atoms(index: usize, molecule: &Molecule) -> Result<()> {
    match molecule.heavy_atoms() {
        0 => Err(EncoderError::Molecule { index, reason: "it has no heavy atom".into() }),
        n if n > MAX_ATOMS => {
            let reason = format!("it has {n} heavy atoms, the encoder takes {MAX_ATOMS}");
            Err(EncoderError::Molecule { index, reason })
        }
        _ => Ok(()),
    }
}

fn check_words(index: usize, text: &str) -> Result<()> {
    if text.chars().any(char::is_alphanumeric) {
        return Ok(());
    }
    Err(EncoderError::Text { index, reason: "it has no letter or digit".into() })
}

/// Byte ranges of the first words: runs of letters and digits.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices().chain(std::iter::once((text.len(), ' '))) {
        match (start, character.is_alphanumeric()) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                words.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    words.truncate(MAX_TEXT_TOKENS);
    words
}

/// Groups of words with nothing but white space between them.
fn phrases(text: &str, words: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut phrases: Vec<Vec<usize>> = Vec::new();
    for (i, &(start, _)) in words.iter().enumerate() {
        let joined = i > 0 && text[words[i - 1].1..start].chars().all(char::is_whitespace);
        match phrases.last_mut() {
            Some(phrase) if joined => phrase.push(i),
            _ => phrases.push(vec![i]),
        }
    }
    phrases
}

fn span(start: usize, end: usize) -> Extent {
    Extent::Span { start: start as u32, end: end as u32 }
}

/// Rows with weights in proportion to `mass`, summing to one.
fn level(
    dim: usize,
    rows: Vec<Vec<f32>>,
    extents: Vec<Extent>,
    mass: impl Fn(usize) -> f32,
) -> Level {
    let total: f32 = (0..rows.len()).map(&mass).sum();
    let weights = (0..rows.len()).map(|i| mass(i) / total).collect();
    Level { dim, vectors: rows.concat(), weights, extents }
}

/// The sum of vectors, scaled to length one; the first axis when they cancel out.
fn sum_direction<V: AsRef<[f32]>>(vectors: impl Iterator<Item = V>, dim: usize) -> Vec<f32> {
    let mut sum = vec![0f32; dim];
    for vector in vectors {
        for (total, number) in sum.iter_mut().zip(vector.as_ref()) {
            *total += number;
        }
    }
    let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    if norm < 1e-6 {
        sum.fill(0.0);
        sum[0] = 1.0;
    } else {
        sum.iter_mut().for_each(|x| *x /= norm);
    }
    sum
}

/// The next number of SplitMix64, in -1..1.
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 40) as f32 / (1u32 << 23) as f32 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_words_share_vectors_and_spans_point_at_them() {
        let encoder = HashingEncoder::new(16);
        let text = "Sour acid, then acid again";
        let encoding = &encoder.encode_texts(&[text]).unwrap()[0];
        assert_eq!(encoding.tokens.vector(1), encoding.tokens.vector(3));
        assert_eq!(encoding.tokens.extents[1], Extent::Span { start: 5, end: 9 });
        assert_eq!(encoding.fragments.extents[0], Extent::Span { start: 0, end: 9 });
        assert_eq!(encoding.fragments.len(), 2);
    }

    #[test]
    fn vectors_have_unit_length_and_weights_sum_to_one() {
        let encoder = HashingEncoder::new(24);
        let molecule = Molecule::from_smiles("CC(=O)Oc1ccccc1C(=O)O").unwrap();
        let encoding = &encoder.encode_molecules(&[&molecule]).unwrap()[0];
        let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((norm(&encoding.global) - 1.0).abs() < 1e-5);
        for level in [&encoding.tokens, &encoding.fragments] {
            assert!((level.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!((0..level.len()).all(|i| (norm(level.vector(i)) - 1.0).abs() < 1e-5));
        }
        assert_eq!(encoding.tokens.len(), 13);
    }

    #[test]
    fn text_without_a_word_is_refused() {
        let encoder = HashingEncoder::new(8);
        assert!(encoder.check_text(" … ").is_err());
        assert!(encoder.encode_texts(&["ok", "!"]).is_err());
        assert!(encoder.check_text("é").is_ok());
    }
}
