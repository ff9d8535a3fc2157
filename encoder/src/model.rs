//! A trained model in a directory: `config.json`, `tokenizer.json`, `model.safetensors`, `SHA256SUMS` and its card.

use std::{ops::Range, path::Path};

use candle_core::DType;
use moiety_chem::Molecule;
use rayon::prelude::*;

use crate::{
    Encoder, Encoding, Extent, Level, ModelInfo,
    config::ModelConfig,
    error::{EncoderError, Result},
    fingerprint,
    molecule::MoleculeInput,
    params::Params,
    parts::LevelTensors,
    ragged::Segments,
    tokenize::{TextInput, TextReader},
    towers::{BatchEncoding, Towers},
};

/// Rows (atoms or word pieces) that one forward pass takes: enough to fill the matrix kernels, small enough for the cache.
const ROWS_PER_PASS: usize = 1024;

/// A model ready to encode.
///
/// Batches are cut by their number of rows, not of items, and nothing is padded. Passes run on the model's own threads, or on the
/// rayon pool that the caller works in.
pub struct Model {
    config: ModelConfig,
    info: ModelInfo,
    towers: Towers,
    reader: TextReader,
    threads: Threads,
}

impl Model {
    /// Loads a model directory on `threads` threads (0: one per core).
    ///
    /// # Errors
    /// Names the file, and the tensor or field, that is missing or differs.
    pub fn load(dir: &Path, threads: usize) -> Result<Self> {
        let fingerprint = fingerprint::verify(dir)?;
        let config = read_config(dir)?;
        let params = Params::load(&dir.join("model.safetensors"), &Towers::specs(&config))?;
        let mut towers = Towers::load(&params, &config)?;
        towers.pack()?;
        let reader = TextReader::load(&dir.join("tokenizer.json"), &config)?;
        let threads = Threads::start(threads)?;
        let info = ModelInfo {
            name: config.name.clone(),
            fingerprint,
            global_dim: config.global_dim,
            part_dim: config.part_dim,
            max_text_tokens: config.text.max_tokens,
            max_atoms: config.molecule.max_atoms,
        };
        Ok(Self { config, info, towers, reader, threads })
    }

    /// The towers alone, as another model with a fingerprint of its own: what they do without the tables of features.
    pub fn without_features(mut self) -> Self {
        self.towers.molecule.leave_features_out();
        self.towers.text.leave_features_out();
        self.reader.leave_features_out();
        if self.config.features.take().is_some() {
            self.info.fingerprint += "-without-features";
        }
        self
    }

    /// The config it was loaded with.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn encode<I: Sync>(
        &self,
        inputs: &[I],
        rows: impl Fn(&I) -> usize,
        pass: impl Fn(&[I]) -> Result<Vec<Encoding>> + Sync,
    ) -> Result<Vec<Encoding>> {
        let batches = cut_by_rows(inputs.iter().map(rows));
        let passes: Result<Vec<Vec<Encoding>>> = self
            .threads
            .install(|| batches.into_par_iter().map(|range| pass(&inputs[range])).collect());
        Ok(passes?.into_iter().flatten().collect())
    }
}

impl Encoder for Model {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn encode_molecules(&self, molecules: &[&Molecule]) -> Result<Vec<Encoding>> {
        let read = |(i, molecule): (usize, &&Molecule)| {
            check_atoms(molecule, self.info.max_atoms, i)?;
            Ok((MoleculeInput::new(molecule, &self.config), molecule.fragments()))
        };
        let inputs: Result<Vec<_>> =
            self.threads.install(|| molecules.par_iter().enumerate().map(read).collect());
        self.encode(
            &inputs?,
            |(input, _)| input.atoms(),
            |batch| {
                let (inputs, fragments): (Vec<_>, Vec<_>) =
                    batch.iter().map(|(m, f)| (m, f.as_slice())).unzip();
                let encoded = self.towers.molecules(&inputs, &fragments)?;
                unpack(&encoded, |i| {
                    MoleculeExtents { atoms: inputs[i].atoms(), fragments: fragments[i] }.levels()
                })
            },
        )
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Encoding>> {
        let inputs: Result<Vec<TextInput>> = self.threads.install(|| {
            texts.par_iter().enumerate().map(|(i, t)| self.reader.read(t, i)).collect()
        });
        self.encode(
            &inputs?,
            |input| input.ids.len(),
            |batch| {
                let inputs: Vec<&TextInput> = batch.iter().collect();
                unpack(&self.towers.texts(&inputs)?, |i| text_extents(inputs[i]))
            },
        )
    }

    fn check_molecule(&self, molecule: &Molecule) -> Result<()> {
        check_atoms(molecule, self.info.max_atoms, 0)
    }

    fn check_text(&self, text: &str) -> Result<()> {
        self.reader.read(text, 0).map(|_| ())
    }
}

/// A model's own threads, for callers that come without any.
///
/// A caller that works in a rayon pool keeps to it, so that the pool decides how many threads an encoding takes, and at which
/// priority: what is imported then runs below what is asked.
pub(crate) struct Threads(rayon::ThreadPool);

impl Threads {
    /// Starts so many threads (0: one per core).
    pub(crate) fn start(count: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("encoder-{i}"))
            .build();
        pool.map(Self)
            .map_err(|e| EncoderError::Config(format!("cannot start {count} encoder threads: {e}")))
    }

    /// Runs work on the pool that the caller is in, else on these threads.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match rayon::current_thread_index() {
            Some(_) => work(),
            None => self.0.install(work),
        }
    }
}

/// Writes a model directory (all but its card) and its sums.
pub(crate) fn save(
    dir: &Path,
    config: &impl serde::Serialize,
    params: &Params,
    tokenizer: &Path,
    dtype: DType,
) -> Result<()> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| EncoderError::Io { path, source }
    };
    std::fs::create_dir_all(dir).map_err(io(dir))?;
    let text =
        serde_json::to_string_pretty(config).map_err(|e| EncoderError::Config(e.to_string()))?;
    std::fs::write(dir.join("config.json"), text + "\n").map_err(io(dir))?;
    std::fs::copy(tokenizer, dir.join("tokenizer.json")).map_err(io(tokenizer))?;
    params.save(&dir.join("model.safetensors"), dtype)?;
    fingerprint::write(dir)
}

pub(crate) fn read_config(dir: &Path) -> Result<ModelConfig> {
    let path = dir.join("config.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|source| EncoderError::Io { path: path.clone(), source })?;
    let config: ModelConfig = serde_json::from_str(&text)
        .map_err(|e| EncoderError::Model { path, reason: e.to_string() })?;
    config.check()?;
    Ok(config)
}

fn check_atoms(molecule: &Molecule, max_atoms: usize, index: usize) -> Result<()> {
    let atoms = molecule.atoms();
    let reason = match atoms {
        0 => "has no atom to encode".to_owned(),
        n if n > max_atoms => format!("has {n} atoms, this model reads at most {max_atoms}"),
        _ => return Ok(()),
    };
    Err(EncoderError::Molecule { index, reason })
}

/// Consecutive ranges of items whose rows stay within `ROWS_PER_PASS`, at least one item each.
fn cut_by_rows(rows: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut open = 0;
    for (i, rows) in rows.enumerate() {
        match batches.last_mut() {
            Some(batch) if open + rows <= ROWS_PER_PASS => batch.end = i + 1,
            _ => {
                batches.push(i..i + 1);
                open = 0;
            }
        }
        open += rows;
    }
    batches
}

/// Extents of one item's tokens and fragments.
struct Extents {
    tokens: Vec<Extent>,
    fragments: Vec<Extent>,
}

struct MoleculeExtents<'a> {
    atoms: usize,
    fragments: &'a [Vec<u32>],
}

impl MoleculeExtents<'_> {
    fn levels(&self) -> Extents {
        Extents {
            tokens: (0..self.atoms as u32).map(|atom| Extent::Atoms(vec![atom])).collect(),
            fragments: self.fragments.iter().cloned().map(Extent::Atoms).collect(),
        }
    }
}

fn text_extents(input: &TextInput) -> Extents {
    let span = |start: usize, end: usize| Extent::Span { start: start as u32, end: end as u32 };
    let word = |i: usize| &input.words[i].bytes;
    Extents {
        tokens: (0..input.words.len()).map(|i| span(word(i).start, word(i).end)).collect(),
        fragments: input
            .phrases
            .iter()
            .map(|p| span(word(p.start).start, word(p.end - 1).end))
            .collect(),
    }
}

/// Turns the tensors of a batch into encodings.
fn unpack(batch: &BatchEncoding, extents: impl Fn(usize) -> Extents) -> Result<Vec<Encoding>> {
    let globals = batch.global.to_vec2::<f32>()?;
    let tokens = LevelRows::new(&batch.tokens)?;
    let fragments = LevelRows::new(&batch.fragments)?;
    let unpack_one = |(i, global): (usize, Vec<f32>)| {
        let extents = extents(i);
        Encoding {
            global,
            tokens: tokens.level(i, extents.tokens),
            fragments: fragments.level(i, extents.fragments),
        }
    };
    Ok(globals.into_iter().enumerate().map(unpack_one).collect())
}

/// A level of a whole batch as plain numbers.
struct LevelRows<'a> {
    dim: usize,
    vectors: Vec<f32>,
    weights: Vec<f32>,
    items: &'a Segments,
}

impl<'a> LevelRows<'a> {
    fn new(level: &'a LevelTensors) -> Result<Self> {
        Ok(Self {
            dim: level.vectors.dim(1)?,
            vectors: level.vectors.flatten_all()?.to_vec1()?,
            weights: level.weights.to_vec1()?,
            items: &level.items,
        })
    }

    fn level(&self, item: usize, extents: Vec<Extent>) -> Level {
        let range = self.items.range(item);
        Level {
            dim: self.dim,
            vectors: self.vectors[range.start * self.dim..range.end * self.dim].to_vec(),
            weights: self.weights[range].to_vec(),
            extents,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Threads, cut_by_rows};

    #[test]
    fn work_stays_in_the_pool_of_its_caller() {
        let own = Threads::start(1).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(own.install(rayon::current_num_threads), 1);
        assert_eq!(pool.install(|| own.install(rayon::current_num_threads)), 3);
    }

    #[test]
    fn batches_are_cut_by_rows_and_never_empty() {
        assert_eq!(cut_by_rows([600, 400, 30, 5000, 10].into_iter()), [0..2, 2..3, 3..4, 4..5]);
        assert!(cut_by_rows(std::iter::empty()).is_empty());
    }
}
