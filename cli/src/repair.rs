//! `moiety repair`: what can be saved of a damaged data directory.

use std::path::PathBuf;

use moiety_engine::{EngineOptions, repair};

use crate::{error::Result, model_dir::ModelArgs};

/// Most identifiers and reasons that are printed.
const SHOWN: usize = 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Data directory; nobody else may have it open
    #[arg(long)]
    data: PathBuf,
    /// Save it: a new directory takes the place of the damaged one, which is kept beside it
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    model: ModelArgs,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let model = args.model.load()?.encoder;
    let report = repair(&args.data, model, &EngineOptions::default(), args.save)?;
    for reason in report.damage.reasons.iter().take(SHOWN) {
        outln!("damage: {reason}");
    }
    outln!(
        "{} records can be read, {} of them without their vectors, which are encoded again; {} are lost",
        report.saved,
        report.encoded_again,
        report.damage.lost
    );
    for id in report.damage.lost_ids.iter().take(SHOWN) {
        outln!("lost: {id}");
    }
    match &report.kept_as {
        Some(kept) => outln!("saved; the damaged directory is now {}", kept.display()),
        None => outln!("nothing was changed: --save saves what can be read"),
    }
    Ok(())
}
