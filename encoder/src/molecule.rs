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
    features::{FeatureCounts, FeatureTable, molecule_features},
    head::{Head, Parts, Pooling},
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
/// Names of the feature tables.
const GLOBAL_FEATURES: &str = "molecule.features.global";
pub(crate) const FEATURE_IDF: &str = "molecule.features.idf";

/// A molecule as the tower reads it.
#[derive(Clone, Debug)]
pub(crate) struct MoleculeInput {
    /// `ROWS_PER_ATOM` rows of the embedding table for each atom.
    pub(crate) rows: Vec<u32>,
    /// Bias bucket of every pair of atoms, row-major.
    buckets: Vec<u8>,
    /// What the whole molecule holds; empty for a model without feature tables.
    pub(crate) features: FeatureCounts,
}

impl MoleculeInput {
    pub(crate) fn new(molecule: &Molecule, config: &ModelConfig) -> Self {
        let graph = molecule.graph();
        let tables = Tables::new(&config.molecule);
        let rows = (0..graph.atoms.len()).flat_map(|atom| tables.rows(&graph, atom)).collect();
        let features = config.features.map(|f| molecule_features(&graph, f.molecule_rows));
        Self { rows, buckets: buckets(&graph), features: features.unwrap_or_default() }
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
    head: Head,
    /// What stands beside the transformer, of whole molecules.
    features: Option<FeatureTable>,
}

/// What the tower makes of a batch.
pub(crate) struct MoleculeVectors {
    /// Unit vectors [molecules, global_dim].
    pub(crate) global: Tensor,
    /// Of every atom.
    pub(crate) parts: Parts,
    /// The molecules' atoms.
    pub(crate) segments: Arc<Segments>,
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
        if let Some(features) = &config.features {
            let rows = features.molecule_rows;
            specs.push(FeatureTable::spec(GLOBAL_FEATURES, rows, config.global_dim));
            specs.push(FeatureTable::idf_spec(FEATURE_IDF, rows));
        }
        specs
    }

    pub(crate) fn load(params: &Params, config: &ModelConfig) -> Result<Self> {
        Ok(Self {
            table: params.get("molecule.table")?,
            distance_bias: params.get("molecule.distance_bias")?,
            stack: Stack::load(params, "molecule", Self::shape(&config.molecule))?,
            norm: LayerNorm::load(params, "molecule.norm", 1e-5)?,
            head: Head::load(params, "molecule.head", Pooling::MeanAndSum)?,
            features: FeatureTable::load(params, &config.features, (GLOBAL_FEATURES, FEATURE_IDF))?,
        })
    }

    /// Encodes a batch.
    pub(crate) fn forward(&self, batch: &[&MoleculeInput]) -> Result<MoleculeVectors> {
        let segments = Arc::new(Segments::from_lengths(batch.iter().map(|m| m.atoms())));
        let hidden = self.hidden(batch, &segments)?;
        let global = self.global_features(batch)?;
        Ok(MoleculeVectors {
            global: self.head.global(&hidden, &segments, global)?,
            parts: self.head.parts(&hidden, &segments)?,
            segments,
        })
    }

    /// From now on it only encodes, on the CPU.
    pub(crate) fn pack(&mut self) -> Result<()> {
        self.stack.pack()
    }

    /// From now on the transformer stands alone.
    pub(crate) fn leave_features_out(&mut self) {
        self.features = None;
    }

    /// What the features of whole molecules add, [molecules, global_dim].
    pub(crate) fn global_features(&self, batch: &[&MoleculeInput]) -> Result<Option<Tensor>> {
        let sum = |table: &FeatureTable| table.forward(batch.iter().map(|m| &m.features));
        self.features.as_ref().map(sum).transpose()
    }

    /// Unit global vectors [molecules, global_dim] of the transformer alone.
    pub(crate) fn plain_global(&self, batch: &[&MoleculeInput]) -> Result<Tensor> {
        let segments = Arc::new(Segments::from_lengths(batch.iter().map(|m| m.atoms())));
        self.head.global(&self.hidden(batch, &segments)?, &segments, None)
    }

    /// Hidden vectors [atoms of all molecules, width].
    fn hidden(&self, batch: &[&MoleculeInput], segments: &Arc<Segments>) -> Result<Tensor> {
        let rows = batch.iter().flat_map(|m| m.rows.iter().copied()).collect();
        let buckets = BiasBuckets::new(batch.iter().map(|m| m.buckets.as_slice()));
        let plan = AttentionPlan::new(segments, Some((buckets, BUCKETS)), self.table.device())?;
        let layout = Layout { plan, bias: Some(self.distance_bias.clone()) };
        let x = ops::embedding_bag(&self.table, Arc::new(rows), ROWS_PER_ATOM)?;
        let x = self.stack.forward(&x, &layout, 0..self.stack.layers())?;
        self.norm.forward(&x)
    }
}
