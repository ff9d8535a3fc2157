//! Global vectors of many molecules or texts, as a `.npy` file for the other tables. `benches/README.md` has the command.

#![allow(clippy::print_stdout, reason = "it says how far it is")]

use std::{error::Error, path::PathBuf, time::Instant};

use clap::Parser;
use moiety_benches::{
    corpus::{encoder, lines},
    npy,
};
use moiety_chem::Molecule;
use rayon::prelude::*;

/// Lines that one pass encodes.
const PASS: usize = 4_096;

/// Encodes a column of a file.
#[derive(Parser)]
struct Args {
    /// Lines of columns between tabs, gzip or not
    input: PathBuf,
    /// The `.npy` file to write: a row of float32 per line that could be encoded
    output: PathBuf,
    /// Column, from 1
    #[arg(long, default_value_t = 1)]
    column: usize,
    /// The column has texts, not SMILES
    #[arg(long)]
    texts: bool,
    /// Lines left out at the beginning
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// Most lines
    #[arg(long, default_value_t = 1_000_000)]
    limit: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let column = |line: Result<String, _>| -> Result<String, Box<dyn Error>> {
        let line = line?;
        let cell = line.split('\t').nth(args.column - 1);
        Ok(cell.ok_or_else(|| format!("no column {}: {line}", args.column))?.to_owned())
    };
    let cells: Result<Vec<String>, _> =
        lines(&args.input)?.skip(args.skip).take(args.limit).map(column).collect();
    let (cells, encoder, begin) = (cells?, encoder(0)?, Instant::now());
    println!("{} lines, model {}", cells.len(), encoder.info().name);
    let mut rows = Vec::with_capacity(cells.len());
    for (pass, cells) in cells.chunks(PASS).enumerate() {
        let encoded = if args.texts {
            encoder.encode_texts(&cells.iter().map(String::as_str).collect::<Vec<_>>())?
        } else {
            let read = cells.par_iter().filter_map(|smiles| Molecule::from_smiles(smiles).ok());
            let fits = |molecule: &Molecule| encoder.check_molecule(molecule).is_ok();
            let molecules: Vec<Molecule> = read.filter(fits).collect();
            encoder.encode_molecules(&molecules.iter().collect::<Vec<_>>())?
        };
        rows.extend(encoded.into_iter().map(|encoding| encoding.global));
        if pass % 16 == 15 {
            println!(
                "{} rows, {:.0} a second",
                rows.len(),
                rows.len() as f64 / begin.elapsed().as_secs_f64()
            );
        }
    }
    println!("{} rows, {} lines could not be encoded", rows.len(), cells.len() - rows.len());
    Ok(npy::write_f32(&args.output, &rows)?)
}
