//! Pairs of molecule and text, read once and kept ready for the towers.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use candle_core::Tensor;
use moiety_chem::{Fingerprint, Molecule};
use rayon::prelude::*;
use serde::Deserialize;

use crate::{
    config::ModelConfig,
    error::{EncoderError, Result},
    features::inverse_frequencies,
    molecule::{self, MoleculeInput},
    params::Params,
    plain_text, text,
    tokenize::{TextInput, TextReader},
};

use super::{event::TrainEvent, neighbours::Neighbours};

/// The split that is never trained on.
const VALIDATION: &str = "validation";
/// The kind of text that is not in the file: each training molecule with what its structure shows, in words.
const STRUCTURE: &str = "structure";

/// One pair as its line says it.
#[derive(Clone, Deserialize)]
pub(super) struct Row {
    kind: String,
    split: String,
    #[serde(rename = "use")]
    usage: String,
    pub(super) smiles: String,
    pub(super) inchikey: String,
    pub(super) text: String,
}

/// One pair as the towers read it.
pub(super) struct Example {
    /// The text itself, in its plain form.
    pub(super) words: String,
    pub(super) text: TextInput,
    pub(super) molecule: MoleculeInput,
    pub(super) fragments: Vec<Vec<u32>>,
    pub(super) fingerprint: Fingerprint,
    inchikey: String,
}

impl Example {
    /// True for pairs of one molecule, which are no negatives for each other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.inchikey == other.inchikey
    }
}

/// All pairs of a run, as the model reads them.
pub(super) struct Dataset<E> {
    /// Training pairs whose licence lets weights ship, by kind of text.
    pub(super) train: BTreeMap<String, Vec<E>>,
    /// Validation pairs.
    pub(super) validation: Vec<E>,
    /// SHA-256 of the file.
    pub(super) digest: String,
    /// Rows that the model cannot read (a broken structure, too many atoms, no words).
    pub(super) skipped: usize,
}

impl<E: Send> Dataset<E> {
    /// Reads `pairs.jsonl` (gzipped or not), keeping the kinds that the run asks for and only rows of `use: open`;
    /// `read` gives nothing where the model cannot read a row. The kind `structure` is made from the others' molecules.
    pub(super) fn read<'a>(
        path: &Path,
        kinds: impl Iterator<Item = &'a String>,
        read: impl Fn(&Row) -> Option<E> + Sync + Send,
    ) -> Result<Self> {
        let kinds: Vec<&String> = kinds.collect();
        let (mut rows, digest) = rows(path, &kinds)?;
        if kinds.iter().any(|&kind| kind == STRUCTURE) {
            rows.extend(described(&rows));
        }
        let examples: Vec<Option<E>> = rows.par_iter().map(read).collect();
        let mut data = Self { train: BTreeMap::new(), validation: Vec::new(), digest, skipped: 0 };
        for (row, example) in rows.into_iter().zip(examples) {
            match example {
                Some(example) if row.split == VALIDATION => data.validation.push(example),
                Some(example) => data.train.entry(row.kind).or_default().push(example),
                None => data.skipped += 1,
            }
        }
        match kinds.iter().find(|&&kind| !data.train.contains_key(kind)) {
            Some(kind) => Err(EncoderError::Config(format!(
                "{} has no open pair of kind `{kind}`",
                path.display()
            ))),
            None => Ok(data),
        }
    }

    /// Number of training pairs.
    pub(super) fn pairs(&self) -> usize {
        self.train.values().map(Vec::len).sum()
    }

    /// Training pairs of each kind.
    pub(super) fn counts(&self) -> BTreeMap<&str, usize> {
        self.train.iter().map(|(kind, pairs)| (kind.as_str(), pairs.len())).collect()
    }

    /// The first line of a run's log.
    pub(super) fn ready(&self, params: &Params, resumed_at: usize) -> TrainEvent {
        TrainEvent::Ready {
            pairs: self.pairs(),
            skipped: self.skipped,
            validation: self.validation.len(),
            data_digest: self.digest.clone(),
            trainable: params.vars().map(|(_, var)| var.elem_count()).sum(),
            resumed_at,
            device: crate::device::name(params.device()),
        }
    }
}

impl Dataset<Example> {
    /// Sets the weights of hashed features from the training pairs, unless they have been set before.
    pub(super) fn weigh_features(&self, params: &mut Params, config: &ModelConfig) -> Result<()> {
        let Some(features) = config.features else { return Ok(()) };
        let examples = || self.train.values().flatten();
        let texts = inverse_frequencies(examples().map(|e| &e.text.features), features.text_rows);
        let molecules =
            inverse_frequencies(examples().map(|e| &e.molecule.features), features.molecule_rows);
        for (name, idf) in [(text::FEATURE_IDF, texts), (molecule::FEATURE_IDF, molecules)] {
            let now = params.get(name)?;
            let unset = now.to_vec1::<f32>()?.iter().all(|&weight| weight == 1.0);
            if unset {
                params.insert(name, Tensor::from_vec(idf, now.shape(), now.device())?);
            }
        }
        Ok(())
    }

    /// For each kind of text, which molecules are alike; nothing when batches of `similar` pairs do not ask for it.
    pub(super) fn neighbours(&self, similar: usize) -> BTreeMap<String, Neighbours> {
        let of = |examples: &Vec<Example>| {
            let prints: Vec<Fingerprint> =
                examples.iter().map(|example| example.fingerprint.clone()).collect();
            Neighbours::of(&prints)
        };
        let asked = self.train.iter().filter(|_| similar > 1);
        asked.map(|(kind, examples)| (kind.clone(), of(examples))).collect()
    }
}

/// Every training molecule once, with its structure in words as the text.
fn described(rows: &[Row]) -> Vec<Row> {
    let mut seen = HashSet::new();
    let molecules: Vec<&Row> = rows
        .iter()
        .filter(|row| row.split != VALIDATION && seen.insert(row.inchikey.as_str()))
        .collect();
    let described = |row: &&Row| {
        let molecule = Molecule::from_smiles(&row.smiles).ok()?;
        Some(Row { kind: STRUCTURE.into(), text: molecule.description(), ..(*row).clone() })
    };
    molecules.par_iter().filter_map(described).collect()
}

/// The training texts of these kinds, in the order of the file.
pub(super) fn training_texts<'a>(
    path: &Path,
    kinds: impl Iterator<Item = &'a String>,
) -> Result<Vec<String>> {
    let (rows, _) = rows(path, &kinds.collect::<Vec<_>>())?;
    Ok(rows.into_iter().filter(|row| row.split != VALIDATION).map(|row| row.text).collect())
}

/// Rows of `use: open` that are of these kinds or for validation, and the digest of the file.
fn rows(path: &Path, kinds: &[&String]) -> Result<(Vec<Row>, String)> {
    let (lines, digest) = lines(path)?;
    let rows: Result<Vec<Row>> = lines.par_iter().map(|line| parse(path, line)).collect();
    let wanted =
        |row: &Row| row.usage == "open" && (row.split == VALIDATION || kinds.contains(&&row.kind));
    Ok((rows?.into_iter().filter(wanted).collect(), digest))
}

fn lines(path: &Path) -> Result<(Vec<String>, String)> {
    let io = |source| EncoderError::Io { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(io)?;
    let digest = crate::fingerprint::digest(&bytes);
    let lines: std::io::Result<Vec<String>> = match path.extension().is_some_and(|e| e == "gz") {
        true => {
            BufReader::new(flate2::read::MultiGzDecoder::new(bytes.as_slice())).lines().collect()
        }
        false => bytes.lines().collect(),
    };
    Ok((lines.map_err(io)?, digest))
}

fn parse(path: &Path, line: &str) -> Result<Row> {
    serde_json::from_str(line)
        .map_err(|e| EncoderError::Config(format!("{}: not a pair: {e}: {line}", path.display())))
}

/// A pair as the towers read it.
pub(super) fn read_example(
    row: &Row,
    config: &ModelConfig,
    reader: &TextReader,
) -> Option<Example> {
    let molecule = Molecule::from_smiles(&row.smiles).ok()?;
    if !(1..=config.molecule.max_atoms).contains(&molecule.atoms()) {
        return None;
    }
    let words = plain_text(&row.text).into_owned();
    Some(Example {
        text: reader.read(&words, 0).ok()?,
        words,
        fragments: molecule.fragments(),
        fingerprint: molecule.morgan_fingerprint(),
        molecule: MoleculeInput::new(&molecule, config),
        inchikey: row.inchikey.clone(),
    })
}
