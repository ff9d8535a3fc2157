//! A trained Atomas in a directory, as an encoder.

use std::path::Path;

use moiety_chem::Molecule;
use rayon::prelude::*;

use super::{
    alignment::{Levels, Modality},
    batch::TokenBatch,
    config::{AtomasConfig, Padding},
    network::Network,
    reader::{Input, Reader},
};
use crate::{
    Encoder, Encoding, Extent, Level, ModelInfo,
    error::{EncoderError, Result},
    fingerprint,
    model::Threads,
    params::Params,
    parts::LevelTensors,
    t5::Dropout,
    writer::Writer,
};

/// Rows (tokens with padding) that one forward pass takes.
const ROWS_PER_PASS: usize = 1024;

/// An Atomas ready to encode.
///
/// A molecule is read by its canonical SMILES. Tokens are those of the tokenizer; fragments are the clusters of the level
/// that the config names. Where the tokens of a text's cluster do not stand together, each run of them is a part of its own
/// with its share of the weight, which leaves every score as it is.
pub struct AtomasModel {
    config: AtomasConfig,
    info: ModelInfo,
    network: Network,
    reader: Reader,
    writer: Writer,
    threads: Threads,
}

impl AtomasModel {
    /// Loads a model directory on `threads` threads (0: one per core).
    ///
    /// # Errors
    /// Names the file, and the tensor or field, that is missing or differs.
    pub fn load(dir: &Path, threads: usize) -> Result<Self> {
        let fingerprint = fingerprint::verify(dir)?;
        let path = dir.join("config.json");
        let json = std::fs::read_to_string(&path)
            .map_err(|source| EncoderError::Io { path: path.clone(), source })?;
        let config = AtomasConfig::from_json(&json)
            .map_err(|e| EncoderError::Model { path, reason: e.to_string() })?;
        let params = Params::load(&dir.join("model.safetensors"), &Network::specs(&config))?;
        let network = Network::load(&params, &config)?;
        let reader = Reader::load(&dir.join("tokenizer.json"), &config)?;
        let threads = Threads::start(threads)?;
        // The tensors are shared, not copied.
        let writer = Writer::new(network.encoder.t5.clone(), reader.tokenizer(), config.max_tokens);
        let info = ModelInfo {
            name: config.name.clone(),
            fingerprint,
            global_dim: config.t5.d_model,
            part_dim: config.t5.d_model,
            max_text_tokens: config.max_tokens,
            max_atoms: config.max_atoms,
        };
        Ok(Self { config, info, network, reader, writer, threads })
    }

    /// The config it was loaded with.
    pub fn config(&self) -> &AtomasConfig {
        &self.config
    }

    /// What writes molecules from texts and texts from molecules.
    pub(crate) fn into_writer(self) -> Writer {
        self.writer
    }

    fn encode(&self, modality: Modality, inputs: &[Input]) -> Result<Vec<Encoding>> {
        let lengths: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        // Where padding is computed with, so are the neighbours in a batch.
        let passes = match self.config.padding {
            Padding::Faithful => (0..inputs.len()).map(|place| vec![place]).collect(),
            Padding::Masked => passes(&lengths),
        };
        let encoded: Result<Vec<Vec<Encoding>>> = self.threads.install(|| {
            let pass = |places: &Vec<usize>| {
                let inputs: Vec<&Input> = places.iter().map(|&i| &inputs[i]).collect();
                self.pass(modality, &inputs)
            };
            passes.par_iter().map(pass).collect()
        });
        let encoded = encoded?.into_iter().flatten();
        let mut placed: Vec<(usize, Encoding)> =
            passes.iter().flatten().copied().zip(encoded).collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        Ok(placed.into_iter().map(|(_, encoding)| encoding).collect())
    }

    fn pass(&self, modality: Modality, inputs: &[&Input]) -> Result<Vec<Encoding>> {
        let ids: Vec<&[u32]> = inputs.iter().map(|input| input.ids.as_slice()).collect();
        let batch = TokenBatch::new(&ids, &self.config, &candle_core::Device::Cpu)?;
        let encoded = self.network.encoder.encode(modality, &batch, &mut Dropout::off())?;
        let levels = self.network.levels(modality, &batch, &encoded.hidden)?;
        let globals = encoded.global.to_vec2::<f32>()?;
        let fragments = LevelRows::new(&levels.levels[self.config.fragment_level])?;
        let tokens = LevelRows::new(&levels.levels[0])?;
        let encoding = |(i, global): (usize, Vec<f32>)| Encoding {
            global,
            tokens: tokens.level(i, (0..inputs[i].tokens()).map(|t| vec![t]), inputs[i]),
            fragments: fragments.level(i, self.clusters(&levels, i, inputs[i]), inputs[i]),
        };
        Ok(globals.into_iter().enumerate().map(encoding).collect())
    }

    /// The tokens of each cluster of one sequence; a cluster of padding alone is empty.
    fn clusters(&self, levels: &Levels, i: usize, input: &Input) -> Vec<Vec<usize>> {
        let [first, second] = &levels.clusters;
        let mut members = match self.config.fragment_level {
            1 => first[i].members(),
            _ => first[i].members_through(&second[i]),
        };
        members.iter_mut().for_each(|tokens| tokens.retain(|&token| token < input.tokens()));
        members
    }
}

impl Encoder for AtomasModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn encode_molecules(&self, molecules: &[&Molecule]) -> Result<Vec<Encoding>> {
        let read = |(i, molecule): (usize, &&Molecule)| self.reader.molecule(molecule, i);
        let inputs: Result<Vec<Input>> =
            self.threads.install(|| molecules.par_iter().enumerate().map(read).collect());
        self.encode(Modality::Smiles, &inputs?)
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Encoding>> {
        let read = |(i, text): (usize, &&str)| self.reader.text(text, i);
        let inputs: Result<Vec<Input>> =
            self.threads.install(|| texts.par_iter().enumerate().map(read).collect());
        self.encode(Modality::Text, &inputs?)
    }

    fn check_molecule(&self, molecule: &Molecule) -> Result<()> {
        self.reader.molecule(molecule, 0).map(|_| ())
    }

    fn check_text(&self, text: &str) -> Result<()> {
        self.reader.text(text, 0).map(|_| ())
    }

    fn writer(&self) -> Option<&Writer> {
        Some(&self.writer)
    }
}

/// Places of items that go through the network together: of like lengths, so that little is padded.
fn passes(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&place| lengths[place]);
    let mut passes: Vec<Vec<usize>> = Vec::new();
    for place in order {
        match passes.last_mut() {
            Some(pass) if (pass.len() + 1) * lengths[place] <= ROWS_PER_PASS => pass.push(place),
            _ => passes.push(vec![place]),
        }
    }
    passes
}

/// A level of a whole batch as plain numbers.
struct LevelRows<'a> {
    tensors: &'a LevelTensors,
    dim: usize,
    vectors: Vec<f32>,
    weights: Vec<f32>,
}

impl<'a> LevelRows<'a> {
    fn new(tensors: &'a LevelTensors) -> Result<Self> {
        Ok(Self {
            tensors,
            dim: tensors.vectors.dim(1)?,
            vectors: tensors.vectors.flatten_all()?.to_vec1()?,
            weights: tensors.weights.to_vec1()?,
        })
    }

    /// The level of item `i`, whose rows have these `members`. What stands for nothing is left out, and the weights of
    /// the rest sum to one.
    fn level(
        &self,
        i: usize,
        members: impl IntoIterator<Item = Vec<usize>>,
        input: &Input,
    ) -> Level {
        let mut level = Level { dim: self.dim, ..Level::default() };
        for (row, tokens) in self.tensors.items.range(i).zip(members) {
            let extents = input.extents(&tokens);
            let count: usize = extents.iter().map(|(_, tokens)| tokens).sum();
            for (extent, tokens) in extents {
                let share = tokens as f32 / count as f32;
                level.push(
                    &self.vectors[row * self.dim..][..self.dim],
                    share * self.weights[row],
                    extent,
                );
            }
        }
        let total: f32 = level.weights.iter().sum();
        level.weights.iter_mut().for_each(|weight| *weight /= total);
        level
    }
}

impl Level {
    fn push(&mut self, vector: &[f32], weight: f32, extent: Extent) {
        self.vectors.extend_from_slice(vector);
        self.weights.push(weight);
        self.extents.push(extent);
    }
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn items_of_like_length_go_together_and_none_is_lost() {
        assert_eq!(passes(&[500, 3, 600, 4]), [vec![1, 3], vec![0], vec![2]]);
        assert!(passes(&[]).is_empty());
    }
}
