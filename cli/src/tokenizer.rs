//! `moiety tokenizer`: pieces of text for a model that reads SMILES and text with one vocabulary.

use std::{io::BufRead, path::PathBuf};

use moiety_encoder::t5::tokenizer::{JointTokenizer, learn_text_pieces};
use serde::Deserialize;

use crate::{
    error::{CliError, Result, at},
    reader,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pairs of molecule and text, JSON lines, gzipped or not; learned from are the texts to train with
    #[arg(long)]
    data: PathBuf,
    /// Most pieces; the alphabet of SMILES comes on top
    #[arg(long, default_value_t = 8000)]
    pieces: usize,
    /// File to write
    #[arg(long, default_value = "tokenizer.json")]
    out: PathBuf,
}

#[derive(Deserialize)]
struct Pair {
    split: String,
    #[serde(rename = "use")]
    usage: String,
    text: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let texts = texts(args)?;
    let json = learn_text_pieces(texts.iter(), args.pieces)?;
    let tokenizer = JointTokenizer::from_json(&json)?;
    std::fs::write(&args.out, &json).map_err(at(&args.out))?;
    let (pieces, all) = (tokenizer.text_ids().len(), tokenizer.vocabulary());
    outln!(
        "{pieces} pieces of {} texts written to {}; a model needs a vocab_size of {all} or more",
        texts.len(),
        args.out.display()
    );
    Ok(())
}

/// Texts whose licence lets weights ship, without those that models are measured on.
fn texts(args: &Args) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for (number, line) in reader::reader(&args.data)?.lines().enumerate() {
        let line = line.map_err(at(&args.data))?;
        let pair: Pair = serde_json::from_str(&line).map_err(|e| {
            CliError::Usage(format!("{}:{}: not a pair: {e}", args.data.display(), number + 1))
        })?;
        if pair.split == "train" && pair.usage == "open" {
            texts.push(pair.text);
        }
    }
    match texts.is_empty() {
        true => {
            Err(CliError::Usage(format!("{} has no open text to train with", args.data.display())))
        }
        false => Ok(texts),
    }
}
