//! Pairs of molecule and text, read once and kept ready for the towers.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use moiety_chem::{Fingerprint, Molecule};
use rayon::prelude::*;
use serde::Deserialize;

use crate::{
    config::ModelConfig,
    error::{EncoderError, Result},
    molecule::MoleculeInput,
    tokenize::{TextInput, TextReader},
};

use super::neighbours::Neighbours;

/// One pair as its line says it.
#[derive(Deserialize)]
struct Row {
    kind: String,
    split: String,
    #[serde(rename = "use")]
    usage: String,
    smiles: String,
    inchikey: String,
    text: String,
}

/// One pair as the towers read it.
pub(super) struct Example {
    pub(super) text: TextInput,
    pub(super) molecule: MoleculeInput,
    pub(super) fragments: Vec<Vec<u32>>,
    pub(super) fingerprint: Fingerprint,
    /// Molecules of the same key are no negatives for each other.
    pub(super) inchikey: String,
}

/// All pairs of a run.
pub(super) struct Dataset {
    /// Training pairs whose licence lets weights ship, by kind of text.
    pub(super) train: BTreeMap<String, Vec<Example>>,
    /// Validation pairs.
    pub(super) validation: Vec<Example>,
    /// SHA-256 of the file.
    pub(super) digest: String,
    /// Rows that the towers cannot read (a broken structure, too many atoms, no words).
    pub(super) skipped: usize,
}

impl Dataset {
    /// Reads `pairs.jsonl` (gzipped or not), keeping the kinds that the run asks for and only rows of `use: open`.
    pub(super) fn read(
        path: &Path,
        config: &ModelConfig,
        reader: &TextReader,
        kinds: &[&str],
    ) -> Result<Self> {
        let (lines, digest) = lines(path)?;
        let rows: Result<Vec<Row>> = lines.par_iter().map(|line| parse(path, line)).collect();
        let wanted = |row: &&Row| {
            row.usage == "open" && (row.split == "validation" || kinds.contains(&row.kind.as_str()))
        };
        let rows: Vec<Row> = rows?.into_iter().filter(|row| wanted(&row)).collect();
        let examples: Vec<Option<Example>> =
            rows.par_iter().map(|row| example(row, config, reader)).collect();
        let mut data = Self { train: BTreeMap::new(), validation: Vec::new(), digest, skipped: 0 };
        for (row, example) in rows.into_iter().zip(examples) {
            match example {
                Some(example) if row.split == "validation" => data.validation.push(example),
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

    /// Number of training pairs.
    pub(super) fn pairs(&self) -> usize {
        self.train.values().map(Vec::len).sum()
    }
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

fn example(row: &Row, config: &ModelConfig, reader: &TextReader) -> Option<Example> {
    let molecule = Molecule::from_smiles(&row.smiles).ok()?;
    if !(1..=config.molecule.max_atoms).contains(&molecule.atoms()) {
        return None;
    }
    Some(Example {
        text: reader.read(&row.text, 0).ok()?,
        fragments: molecule.fragments(),
        fingerprint: molecule.morgan_fingerprint(),
        molecule: MoleculeInput::new(&molecule, &config.molecule),
        inchikey: row.inchikey.clone(),
    })
}
