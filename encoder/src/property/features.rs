//! What a head may read of a molecule, in three blocks.
//!
//! The encoder's block depends on the [`Encoding`] alone: the global vector, and for tokens and for fragments the weighted
//! mean of their vectors, the weighted mean of the squares, and the logarithm of their number, which unit vectors hide.

use moiety_chem::{FINGERPRINT_BITS, Fingerprint, Molecule};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Encoder, Encoding, Level, ModelInfo, error::Result};

/// A block of input numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// The encoding: global vector and statistics of its parts.
    Encoder,
    /// The numbers of [`DESCRIPTORS`].
    Descriptors,
    /// 2,048 bits of the ECFP4 fingerprint.
    Fingerprint,
}

/// Names of the descriptors, in their order.
pub const DESCRIPTORS: [&str; 13] = [
    "molecular_weight",
    "heavy_atoms",
    "rings",
    "charge",
    "log_p",
    "tpsa",
    "hydrogen_bond_donors",
    "hydrogen_bond_acceptors",
    "rotatable_bonds",
    "stereocentres",
    "aromatic_share",
    "heteroatom_share",
    "halogens",
];

/// OGB element indices (atomic number less one) of carbon and of the halogens.
const CARBON: u16 = 5;
const HALOGENS: [u16; 4] = [8, 16, 34, 52];

/// Molecules that the encoder takes at a time.
const CHUNK: usize = 512;

/// All blocks of some molecules, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    encoder: Vec<f32>,
    encoder_width: usize,
    descriptors: Vec<[f32; DESCRIPTORS.len()]>,
    fingerprints: Vec<Fingerprint>,
}

impl Features {
    /// Encodes and describes molecules.
    pub fn compute(encoder: &dyn Encoder, molecules: &[&Molecule]) -> Result<Self> {
        let mut features = Self::default();
        for chunk in molecules.chunks(CHUNK) {
            features.append(Self::read(chunk, &encoder.encode_molecules(chunk)?));
        }
        Ok(features)
    }

    /// Reads molecules with their encodings, one for one.
    pub fn read(molecules: &[&Molecule], encodings: &[Encoding]) -> Self {
        let described: Vec<_> =
            molecules.par_iter().map(|m| (descriptors(m), m.morgan_fingerprint())).collect();
        let (descriptors, fingerprints) = described.into_iter().unzip();
        let encoder: Vec<f32> = encodings.iter().flat_map(statistics).collect();
        let encoder_width = encoder.len() / encodings.len().max(1);
        Self { encoder, encoder_width, descriptors, fingerprints }
    }

    /// Number of molecules.
    pub fn rows(&self) -> usize {
        self.fingerprints.len()
    }

    /// Width of the encoder's block.
    pub fn encoder_width(&self) -> usize {
        self.encoder_width
    }

    /// The fingerprint of a molecule.
    pub fn fingerprint(&self, row: usize) -> &Fingerprint {
        &self.fingerprints[row]
    }

    /// The descriptors of a molecule, NaN where one could not be computed.
    pub fn descriptors(&self, row: usize) -> &[f32] {
        &self.descriptors[row]
    }

    /// Appends the chosen blocks of a molecule, in the order of [`Block`], as they are.
    pub(super) fn extend(&self, row: usize, blocks: &[Block], out: &mut Vec<f32>) {
        if blocks.contains(&Block::Encoder) {
            out.extend(&self.encoder[row * self.encoder_width..][..self.encoder_width]);
        }
        if blocks.contains(&Block::Descriptors) {
            out.extend(self.descriptors[row]);
        }
        if blocks.contains(&Block::Fingerprint) {
            let bytes = self.fingerprints[row].to_bytes();
            out.extend(
                bytes.iter().flat_map(|byte| (0..8).map(move |bit| f32::from(byte >> bit & 1))),
            );
        }
    }

    /// Adds the molecules of another one, read of the same encoder.
    pub fn append(&mut self, other: Self) {
        if other.rows() > 0 {
            self.encoder_width = other.encoder_width;
        }
        self.encoder.extend(other.encoder);
        self.descriptors.extend(other.descriptors);
        self.fingerprints.extend(other.fingerprints);
    }
}

/// Numbers in a block of these names, for an encoder of this shape.
pub(super) fn width(block: Block, encoder: &ModelInfo) -> usize {
    match block {
        Block::Encoder => encoder.global_dim + 4 * encoder.part_dim + 2,
        Block::Descriptors => DESCRIPTORS.len(),
        Block::Fingerprint => FINGERPRINT_BITS,
    }
}

/// The encoder's block of one molecule: global, then tokens, then fragments.
fn statistics(encoding: &Encoding) -> Vec<f32> {
    let mut row = encoding.global.clone();
    for level in [&encoding.tokens, &encoding.fragments] {
        row.extend(weighted_mean(level, |x| x));
        row.extend(weighted_mean(level, |x| x * x));
        row.push((level.len() as f32).ln_1p());
    }
    row
}

fn weighted_mean(level: &Level, of: impl Fn(f32) -> f32) -> Vec<f32> {
    let mut mean = vec![0.0; level.dim];
    for (part, weight) in level.weights.iter().enumerate() {
        for (mean, &x) in mean.iter_mut().zip(level.vector(part)) {
            *mean += weight * of(x);
        }
    }
    mean
}

fn descriptors(molecule: &Molecule) -> [f32; DESCRIPTORS.len()] {
    let properties = molecule.properties();
    let atoms = molecule.graph().atoms;
    let count = |holds: fn(&[u16; 9]) -> bool| atoms.iter().filter(|row| holds(row)).count() as f32;
    let share = |part: f32| part / atoms.len().max(1) as f32;
    let number = |x: Option<f64>| x.map_or(f32::NAN, |x| x as f32);
    let whole = |x: Option<u32>| x.map_or(f32::NAN, |x| x as f32);
    [
        properties.molecular_weight as f32,
        properties.heavy_atoms as f32,
        properties.rings as f32,
        properties.charge as f32,
        number(properties.log_p),
        number(properties.tpsa),
        whole(properties.hydrogen_bond_donors),
        whole(properties.hydrogen_bond_acceptors),
        whole(properties.rotatable_bonds),
        whole(properties.stereo.map(|s| s.atoms_assigned + s.atoms_unassigned)),
        share(count(|row| row[7] == 1)),
        share(count(|row| row[0] > 0 && row[0] != CARBON)),
        count(|row| HALOGENS.contains(&row[0])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashingEncoder;

    #[test]
    fn every_block_has_its_width_and_bits_are_those_of_the_fingerprint() {
        let encoder = HashingEncoder::new(16);
        let aspirin = Molecule::from_smiles("CC(=O)Oc1ccccc1C(=O)O").expect("aspirin");
        let features = Features::compute(&encoder, &[&aspirin]).expect("features");
        for block in [Block::Encoder, Block::Descriptors, Block::Fingerprint] {
            let mut row = Vec::new();
            features.extend(0, &[block], &mut row);
            assert_eq!(row.len(), width(block, encoder.info()), "{block:?}");
        }
        let mut bits = Vec::new();
        features.extend(0, &[Block::Fingerprint], &mut bits);
        assert_eq!(bits.iter().sum::<f32>(), aspirin.morgan_fingerprint().count() as f32);
    }

    #[test]
    fn descriptors_are_those_of_a_known_molecule() {
        let chloramine = Molecule::from_smiles("Nc1ccc(Cl)cc1").expect("4-chloroaniline");
        let row = descriptors(&chloramine);
        let of = |name: &str| row[DESCRIPTORS.iter().position(|n| *n == name).expect("name")];
        assert_eq!((of("heavy_atoms"), of("rings"), of("halogens")), (8.0, 1.0, 1.0));
        assert_eq!((of("aromatic_share"), of("heteroatom_share")), (0.75, 0.25));
        assert!((of("molecular_weight") - 127.57).abs() < 0.01);
    }

    #[test]
    fn statistics_do_not_depend_on_neighbours_in_the_batch() {
        let encoder = HashingEncoder::new(8);
        let read = |smiles: &str| Molecule::from_smiles(smiles).expect("molecule");
        let (a, b) = (read("CCO"), read("c1ccccc1N"));
        let both = Features::compute(&encoder, &[&a, &b]).expect("features");
        let alone = Features::compute(&encoder, &[&b]).expect("features");
        let row = |features: &Features, at| {
            let mut row = Vec::new();
            features.extend(at, &[Block::Encoder, Block::Descriptors], &mut row);
            row
        };
        assert_eq!(row(&both, 1), row(&alone, 0));
        let mut joined = Features::compute(&encoder, &[&a]).expect("features");
        joined.append(Features::compute(&encoder, &[]).expect("nothing"));
        joined.append(alone);
        assert_eq!(joined, both);
    }
}
