//! A set of measurements, read: what heads read of its molecules, labels, split.

use std::path::Path;

use indicatif::ProgressBar;
use moiety_chem::{Molecule, ScaffoldStereo};
use moiety_encoder::{
    Encoder,
    property::{Features, Labels, Split, TaskKind, digest, scaffold_split},
};
use rayon::prelude::*;

use super::config::SetConfig;
use crate::{
    error::{CliError, Result, at},
    progress, reader,
};

/// Shares of a scaffold split that go to training and to validation; the rest is for the test.
const SHARES: (f64, f64) = (0.8, 0.1);
/// Rows that are read and encoded at a time: all molecules of a large set would take gigabytes.
const CHUNK: usize = 512;

/// A set ready for fitting.
pub(super) struct MeasuredSet {
    pub(super) name: String,
    /// As they stand in the file.
    pub(super) smiles: Vec<String>,
    pub(super) labels: Labels,
    pub(super) features: Features,
    pub(super) split: Split,
    /// SHA-256 of the file.
    pub(super) digest: String,
    /// Rows that could not be read, and are left out.
    pub(super) unread: usize,
}

/// A row that could be read.
struct Row {
    smiles: String,
    scaffold: String,
    labels: Vec<f32>,
}

impl MeasuredSet {
    /// Reads a file; molecules that cannot be read, or not be encoded, are left out and counted.
    pub(super) fn read(path: &Path, set: &SetConfig, encoder: &dyn Encoder) -> Result<Self> {
        let (tasks, cells) = cells(path, set)?;
        let bar = bar(&set.name, cells.len(), "encoding");
        let (mut rows, mut features) = (Vec::new(), Features::default());
        for cells in cells.chunks(CHUNK) {
            let read = cells.par_iter().map(|cells| row(path, set.kind, encoder, cells));
            let read = read.collect::<Result<Vec<_>>>()?.into_iter().flatten();
            let (some, molecules): (Vec<Row>, Vec<Molecule>) = read.unzip();
            let molecules: Vec<&Molecule> = molecules.iter().collect();
            features.append(Features::compute(encoder, &molecules)?);
            rows.extend(some);
            bar.inc(cells.len() as u64);
        }
        bar.finish_and_clear();
        let unread = cells.len() - rows.len();
        let scaffolds: Vec<String> = rows.iter().map(|row| row.scaffold.clone()).collect();
        let split = scaffold_split(&scaffolds, SHARES.0, SHARES.1);
        let values = rows.iter().flat_map(|row| row.labels.iter().copied()).collect();
        let labels = Labels::new(set.kind, tasks, values)?;
        let smiles = rows.into_iter().map(|row| row.smiles).collect();
        let digest = digest(&std::fs::read(path).map_err(at(path))?);
        let name = set.name.clone();
        Ok(Self { name, smiles, labels, features, split, digest, unread })
    }

    /// The molecules, read again.
    pub(super) fn molecules(&self) -> Result<Vec<Molecule>> {
        let read = self.smiles.par_iter().map(|smiles| Molecule::from_smiles(smiles));
        let read: std::result::Result<_, _> = read.collect();
        read.map_err(|e| CliError::Usage(format!("{}: {e}", self.name)))
    }

    /// A bar over the steps of some work on this set.
    pub(super) fn bar(&self, steps: usize, what: &str) -> ProgressBar {
        bar(&self.name, steps, what)
    }
}

fn bar(set: &str, steps: usize, what: &str) -> ProgressBar {
    progress::bar(steps as u64, &format!("{set}, {what}"))
}

/// Line, structure and labels of one row of the file.
type Cells = (u64, String, Vec<String>);

/// Task names and the cells of every row.
fn cells(path: &Path, set: &SetConfig) -> Result<(Vec<String>, Vec<Cells>)> {
    let fail = |reason: String| CliError::Usage(format!("{}: {reason}", path.display()));
    let mut table = csv::Reader::from_reader(reader::reader(path)?);
    let header = table.headers().map_err(|e| fail(e.to_string()))?.clone();
    let column = |name: &str| {
        let at = header.iter().position(|column| column == name);
        at.ok_or_else(|| fail(format!("no column {name:?}")))
    };
    let structure = column(&set.smiles)?;
    let is_task = |name: &&str| *name != set.smiles && !set.ignore.iter().any(|i| i == name);
    let columns: Vec<String> = match set.tasks.is_empty() {
        true => header.iter().filter(is_task).map(str::to_owned).collect(),
        false => set.tasks.clone(),
    };
    let places: Result<Vec<usize>> = columns.iter().map(|name| column(name)).collect();
    let places = places?;
    let mut rows = Vec::new();
    for row in table.records() {
        let row = row.map_err(|e| fail(e.to_string()))?;
        let cell = |at: usize| row.get(at).unwrap_or_default().trim().to_owned();
        let line = row.position().map_or(0, csv::Position::line);
        rows.push((line, cell(structure), places.iter().map(|&at| cell(at)).collect()));
    }
    let names = if set.task_names.is_empty() { columns } else { set.task_names.clone() };
    Ok((names, rows))
}

/// One row, or nothing where its molecule cannot be read or encoded; a label that is no number is an error.
fn row(
    path: &Path,
    kind: TaskKind,
    encoder: &dyn Encoder,
    (line, smiles, values): &Cells,
) -> Result<Option<(Row, Molecule)>> {
    let bad = |cell: &str| {
        CliError::Usage(format!("{}, line {line}: {cell:?} is no {kind:?} label", path.display()))
    };
    let number = |cell: &String| match cell.as_str() {
        "" => Ok(f32::NAN),
        cell => cell.parse::<f32>().map_err(|_| bad(cell)),
    };
    let labels: Result<Vec<f32>> = values.iter().map(number).collect();
    let labels = labels?;
    let read = || {
        let molecule = Molecule::from_smiles(smiles).ok()?;
        encoder.check_molecule(&molecule).ok()?;
        let scaffold = molecule.scaffold(ScaffoldStereo::Ignored).ok()?;
        Some((molecule, scaffold))
    };
    Ok(read()
        .map(|(molecule, scaffold)| (Row { smiles: smiles.clone(), scaffold, labels }, molecule)))
}
