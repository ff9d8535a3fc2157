//! The molecule tower: a transformer over heavy atoms.
//!
//! A token is one atom: the sum of the embeddings of its Morgan environments of radius 0, 1 and 2 (hashed), of the
//! environments that carry stereo, and of its OGB features but for the chirality tag, which depends on the order of atoms
//! in the input (the stereo environments do not). Attention is biased by bond type for neighbours and by
//! shortest-path distance for the rest.

use std::sync::Arc;

use candle_core::Tensor;
use moiety_chem::{GraphFeatures, Molecule};

use crate::{
    config::{ModelConfig, MoleculeConfig},
    error::Result,
    head::{Head, Pooling},
    layers::{LayerNorm, Layout, NormOrder, Stack, StackShape},
    ops::{self, AttentionPlan, BiasBuckets},
    params::{Init, ParamSpec, Params},
    ragged::Segments,
};

/// Column and number of values of each OGB atom feature in use; the last value takes what is beyond.
const ATOM_FEATURES: [(usize, u32); 8] =
    [(0, 119), (2, 12), (3, 12), (4, 10), (5, 6), (6, 6), (7, 2), (8, 2)];
/// Table rows that one atom adds up: three environments, three with stereo, eight features.
pub(crate) const ROWS_PER_ATOM: usize = 14;
/// Bias buckets: the atom itself, five bond types, distances 2 to 9, 10 and more, not connected.
const BUCKETS: usize = 16;
const FIRST_BOND_BUCKET: u8 = 1;
const FIRST_DISTANCE_BUCKET: u8 = 6;
const LAST_DISTANCE: u16 = 10;
const UNCONNECTED_BUCKET: u8 = 15;

/// A molecule as the tower reads it.
#[derive(Clone, Debug)]
pub(crate) struct MoleculeInput {
    /// `ROWS_PER_ATOM` rows of the embedding table for each atom.
    pub(crate) rows: Vec<u32>,
    /// Bias bucket of every pair of atoms, row-major.
    buckets: Vec<u8>,
}

impl MoleculeInput {
    pub(crate) fn new(molecule: &Molecule, config: &MoleculeConfig) -> Self {
        let graph = molecule.graph();
        let tables = Tables::new(config);
        let rows = (0..graph.atoms.len()).flat_map(|atom| tables.rows(&graph, atom)).collect();
        Self { rows, buckets: buckets(&graph) }
    }

    /// Number of heavy atoms.
    pub(crate) fn atoms(&self) -> usize {
        self.rows.len() / ROWS_PER_ATOM
    }
}

/// The row that says "no stereo", used in training to mask environments.
pub(crate) fn neutral_row(config: &MoleculeConfig) -> u32 {
    Tables::new(config).stereo.0
}

/// Where each kind of row lives in the one embedding table.
struct Tables {
    environment: [(u32, u32); 3],
    stereo: (u32, u32),
    features: [u32; 8],
    total: u32,
}

impl Tables {
    fn new(config: &MoleculeConfig) -> Self {
        let mut total = 0;
        let mut take = |rows: u32| {
            let start = total;
            total += rows;
            start
        };
        let environment = config.environment_rows.map(|rows| (take(rows), rows));
        // The first stereo row means: nothing to say.
        let stereo = (take(config.stereo_rows + 1), config.stereo_rows);
        let features = ATOM_FEATURES.map(|(_, size)| take(size));
        Self { environment, stereo, features, total }
    }

    fn rows(&self, graph: &GraphFeatures, atom: usize) -> [u32; ROWS_PER_ATOM] {
        let mut rows = [0; ROWS_PER_ATOM];
        for radius in 0..3 {
            let (plain, chiral) =
                (graph.environments[atom][radius], graph.environments_chiral[atom][radius]);
            let (start, count) = self.environment[radius];
            rows[radius] = start + spread(plain, radius as u32) % count;
            rows[3 + radius] = match plain == chiral {
                true => self.stereo.0,
                false => self.stereo.0 + 1 + spread(chiral, 8 + radius as u32) % self.stereo.1,
            };
        }
        for (k, (column, size)) in ATOM_FEATURES.into_iter().enumerate() {
            rows[6 + k] = self.features[k] + u32::from(graph.atoms[atom][column]).min(size - 1);
        }
        rows
    }
}

/// Mixes the bits of an identifier (the finaliser of MurmurHash3) so that any number of rows spreads evenly.
fn spread(identifier: u32, salt: u32) -> u32 {
    let mut h = identifier ^ salt.wrapping_mul(0x9E37_79B9);
    h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
    h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

fn buckets(graph: &GraphFeatures) -> Vec<u8> {
    let n = graph.atoms.len();
    let mut buckets: Vec<u8> = graph
        .distances
        .iter()
        .map(|&d| match d {
            0 => 0,
            moiety_chem::UNREACHABLE => UNCONNECTED_BUCKET,
            d => FIRST_DISTANCE_BUCKET + (d.clamp(2, LAST_DISTANCE) - 2) as u8,
        })
        .collect();
    for bond in &graph.bonds {
        let (i, j) = (bond.begin as usize, bond.end as usize);
        let bucket = FIRST_BOND_BUCKET + bond.features[0].min(4);
        buckets[i * n + j] = bucket;
        buckets[j * n + i] = bucket;
    }
    buckets
}

/// The molecule tower's weights.
#[derive(Clone, Debug)]
pub(crate) struct MoleculeTower {
    table: Tensor,
    distance_bias: Tensor,
    stack: Stack,
    norm: LayerNorm,
    pub(crate) head: Head,
}

impl MoleculeTower {
    fn shape(config: &MoleculeConfig) -> StackShape {
        let MoleculeConfig { layers, width, heads, ffn, .. } = *config;
        StackShape { layers, width, heads, ffn, order: NormOrder::Pre, eps: 1e-5 }
    }

    pub(crate) fn specs(config: &ModelConfig) -> Vec<ParamSpec> {
        let molecule = &config.molecule;
        let rows = Tables::new(molecule).total as usize;
        let mut specs = vec![
            ParamSpec::new("molecule.table", &[rows, molecule.width], Init::Normal(0.05)),
            ParamSpec::new("molecule.distance_bias", &[BUCKETS, molecule.heads], Init::Zeros),
        ];
        specs.extend(Stack::specs("molecule", &Self::shape(molecule)));
        specs.extend(LayerNorm::specs("molecule.norm", molecule.width));
        let dims = (config.global_dim, config.part_dim);
        specs.extend(Head::specs("molecule.head", molecule.width, Pooling::MeanAndSum, dims));
        specs
    }

    pub(crate) fn load(params: &Params, config: &ModelConfig) -> Result<Self> {
        Ok(Self {
            table: params.get("molecule.table")?,
            distance_bias: params.get("molecule.distance_bias")?,
            stack: Stack::load(params, "molecule", Self::shape(&config.molecule))?,
            norm: LayerNorm::load(params, "molecule.norm", 1e-5)?,
            head: Head::load(params, "molecule.head", Pooling::MeanAndSum)?,
        })
    }

    /// Hidden vectors [atoms of all molecules, width] and the molecules' segments.
    ///
    /// `rows` are the table rows of all atoms: those of the inputs, or in training some of them masked.
    pub(crate) fn forward(
        &self,
        rows: Vec<u32>,
        batch: &[&MoleculeInput],
    ) -> Result<(Tensor, Arc<Segments>)> {
        let segments = Arc::new(Segments::from_lengths(batch.iter().map(|m| m.atoms())));
        let buckets = BiasBuckets::new(batch.iter().map(|m| m.buckets.as_slice()));
        let plan = AttentionPlan::new(&segments, Some((buckets, BUCKETS)), self.table.device())?;
        let layout = Layout { plan, bias: Some(self.distance_bias.clone()) };
        let x = ops::embedding_bag(&self.table, Arc::new(rows), ROWS_PER_ATOM)?;
        let x = self.stack.forward(&x, &layout, 0..self.stack.layers())?;
        Ok((self.norm.forward(&x)?, segments))
    }
}
