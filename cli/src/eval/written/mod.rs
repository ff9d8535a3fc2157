//! `moiety eval --task caption|generate`: how near what a model writes comes to what people wrote.
//!
//! The validation captions of ChEBI-20 are written from their molecules, and the molecules from their captions; the best
//! candidate is compared with the original. Scores are those of MolT5 (arXiv 2204.11817), with what differs in their names.

mod captions;
mod molecules;

use std::io::{BufWriter, Write};

use moiety_chem::Molecule;
use moiety_encoder::{EncoderError, Proposal, Writer, t5::generate::GenerateOptions};
use serde_json::{Value, json};

use self::{captions::CaptionScores, molecules::MoleculeScores};
use super::{
    Args,
    data::{self, Described},
};
use crate::{
    error::{CliError, Result, at},
    progress,
};

/// Items between two looks of the progress bar.
const CHUNK: usize = 16;

/// Writes captions of the validation molecules and compares them.
pub(super) fn captions(args: &Args) -> Result<()> {
    let run = Run::prepare(args)?;
    let molecules: Vec<&Molecule> = run.described.iter().map(|d| &d.molecule).collect();
    let written = run.write(&molecules, |chunk| {
        let each = run.writer.describe_each(chunk, &run.options, &mut || true)?;
        Ok(each.into_iter().map(|texts| texts.map(|all| best(all).map(|t| t.text))).collect())
    })?;
    let pairs = run.pairs(&written, |described| described.text.clone());
    run.keep(args, &pairs, |(written, text)| json!({ "caption": text, "generated": written }))?;
    outln!("{}\n\n{}", run.header(args, pairs.len())?, CaptionScores::of(&pairs).table());
    Ok(())
}

/// Writes molecules for the validation captions and compares them.
pub(super) fn molecules(args: &Args) -> Result<()> {
    let run = Run::prepare(args)?;
    let texts: Vec<&str> = run.described.iter().map(|d| d.text.as_str()).collect();
    let written = run.write(&texts, |chunk| {
        let each = run.writer.propose_each(chunk, &run.options, &mut || true)?;
        let text = |found: Proposal| found.written.text;
        Ok(each.into_iter().map(|found| found.map(|all| best(all).map(text))).collect())
    })?;
    let pairs = run.pairs(&written, |described| canonical(&described.molecule));
    run.keep(args, &pairs, |(written, smiles)| json!({ "smiles": smiles, "generated": written }))?;
    outln!("{}\n\n{}", run.header(args, pairs.len())?, MoleculeScores::of(&pairs).table());
    Ok(())
}

/// What is written, and with what.
struct Run {
    writer: Writer,
    options: GenerateOptions,
    described: Vec<Described>,
    unread: usize,
}

/// The best candidate for an item; none where nothing was written, an error where the model cannot read the item.
type Best = std::result::Result<Option<String>, EncoderError>;

impl Run {
    fn prepare(args: &Args) -> Result<Self> {
        let writer = Writer::open(&args.model.dir()?)?;
        let asked = args.writing.options(None);
        let options = moiety_rpc::convert::generate_options_from_wire(Some(asked), "options")
            .map_err(|error| CliError::Usage(error.to_string()))?;
        let limit = args.limit.unwrap_or(usize::MAX);
        let (described, unread) = data::validation_captions(args.data()?, limit)?;
        Ok(Self { writer, options, described, unread })
    }

    /// Writes in chunks, with a bar; items that the model cannot read have no text.
    fn write<T>(
        &self,
        items: &[T],
        mut write: impl FnMut(&[T]) -> std::result::Result<Vec<Best>, EncoderError>,
    ) -> Result<Vec<Option<String>>> {
        let bar = progress::bar(items.len() as u64, "written");
        let mut written = Vec::with_capacity(items.len());
        for chunk in items.chunks(CHUNK) {
            written.extend(write(chunk)?.into_iter().map(|best| best.ok().flatten()));
            bar.inc(chunk.len() as u64);
        }
        bar.finish_and_clear();
        Ok(written)
    }

    /// What was written beside what it should be.
    fn pairs(
        &self,
        written: &[Option<String>],
        reference: impl Fn(&Described) -> String,
    ) -> Vec<(String, String)> {
        let pairs = written.iter().zip(&self.described);
        pairs.filter_map(|(written, d)| Some((written.clone()?, reference(d)))).collect()
    }

    fn keep(
        &self,
        args: &Args,
        pairs: &[(String, String)],
        line: impl Fn(&(String, String)) -> Value,
    ) -> Result<()> {
        let Some(path) = &args.out else { return Ok(()) };
        let mut file = BufWriter::new(std::fs::File::create(path).map_err(at(path))?);
        pairs.iter().try_for_each(|pair| writeln!(file, "{}", line(pair))).map_err(at(path))?;
        file.flush().map_err(at(path))
    }

    fn header(&self, args: &Args, pairs: usize) -> Result<String> {
        let left_out = self.described.len() - pairs;
        Ok(format!(
            "{pairs} pairs ({left_out} beyond what the model reads, {} molecules could not be read)\nmodel {}",
            self.unread,
            args.model.dir()?.display()
        ))
    }
}

fn best<T>(candidates: Vec<T>) -> Option<T> {
    candidates.into_iter().next()
}

/// The canonical SMILES, or nothing where it cannot be written.
fn canonical(molecule: &Molecule) -> String {
    molecule.written().map(|written| written.text).unwrap_or_default()
}
