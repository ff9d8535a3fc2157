//! `moiety migrate`: a data directory of an older release.

use std::path::PathBuf;

use moiety_engine::Engine;

use crate::error::Result;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Data directory; nobody else may have it open
    #[arg(long)]
    data: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let migrated = Engine::migrate(&args.data)?;
    let data = args.data.display();
    match migrated.from == migrated.to {
        true => outln!("{data} has format {}, this program's: nothing to do", migrated.to),
        false => {
            outln!("{data} was of format {} and is of format {}", migrated.from, migrated.to)
        }
    }
    Ok(())
}
