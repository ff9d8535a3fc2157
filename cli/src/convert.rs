//! `moiety convert`: a published checkpoint becomes a model directory.

use std::path::PathBuf;

use clap::ValueEnum;
use moiety_encoder::convert::{Conversion, WeightCopy, convert};

use crate::error::Result;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Weights of a T5 (`model.safetensors`, `pytorch_model.bin`) or of an Atomas (PyTorch Lightning `.ckpt`)
    #[arg(long)]
    checkpoint: PathBuf,
    /// `config.json` of the T5, as Hugging Face has it
    #[arg(long)]
    config: PathBuf,
    /// `tokenizer.json` of the T5
    #[arg(long)]
    tokenizer: PathBuf,
    /// Directory to write
    #[arg(long)]
    out: PathBuf,
    /// Which weights of an Atomas to take: the trained ones, which its authors retrieve with, or their slow copy, which they
    /// generate with
    #[arg(long, value_enum, default_value_t = Copied::Online)]
    copy: Copied,
}

#[derive(Clone, Copy, ValueEnum)]
enum Copied {
    Online,
    Momentum,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let copy = match args.copy {
        Copied::Online => WeightCopy::Online,
        Copied::Momentum => WeightCopy::Momentum,
    };
    let Args { checkpoint, config, tokenizer, out, .. } = args;
    let done = convert(&Conversion { checkpoint, config, tokenizer, out, copy })?;
    let kind = if done.atomas { "Atomas" } else { "T5" };
    outln!(
        "{kind} of {} weights written to {}, {} tensors left out that it does not need; fingerprint {}",
        done.weights,
        out.display(),
        done.left_out,
        done.fingerprint
    );
    Ok(())
}
