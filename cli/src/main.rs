//! The `moiety` command: the composition root, where the rooms are put together.
//!
//! Every subcommand is a file. Search and import always speak gRPC: to a server that runs, or to one that the command
//! starts inside itself over a data directory.

#![warn(clippy::print_stdout, clippy::print_stderr)]

// First, for its macros.
#[macro_use]
mod output;

mod asked;
mod caption;
mod connect;
mod convert;
mod demo;
mod error;
mod eval;
mod explain;
mod generate;
mod import;
mod index;
mod info;
mod migrate;
mod model_dir;
mod plan;
mod predict;
mod progress;
mod reader;
mod repair;
mod search;
mod serve;
mod snapshot;
mod structure;
mod table;
mod tokenizer;
mod train;
mod writing;

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Search molecules by words and texts by structures.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load the demo library, ask it seven questions over gRPC, and go on serving if asked to.
    Demo(demo::Args),
    /// Serve collections over gRPC.
    Serve(serve::Args),
    /// Load SMILES, CSV, JSON lines or SDF into a collection.
    Import(import::Args),
    /// Search a collection by words, structure or stored record.
    Search(search::Args),
    /// Predict properties of structures with the heads of the model.
    Predict(predict::Args),
    /// Write captions of structures with a model that writes.
    Caption(caption::Args),
    /// Write molecules for texts with a model that writes.
    Generate(generate::Args),
    /// Make, drop and list indexes of fields, which filters use.
    Index(index::Args),
    /// Measure retrieval on captions and molecules that belong together.
    Eval(eval::Args),
    /// Train a model on pairs of molecule and text, or heads on measured properties.
    Train(train::Args),
    /// Turn a published checkpoint of T5 or Atomas into a model directory.
    Convert(convert::Args),
    /// Learn the pieces of text of a model that reads SMILES and text with one vocabulary.
    Tokenizer(tokenizer::Args),
    /// Say what a server or a data directory holds.
    Info(info::Args),
    /// Make, list, verify, move and restore snapshots.
    Snapshot(snapshot::Args),
    /// Bring a data directory of an older release to this one's format.
    Migrate(migrate::Args),
    /// Say what can be saved of a damaged data directory, and save it.
    Repair(repair::Args),
}

/// How long a command waits at its end for work that nobody waits for.
const LAST_WORK: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,moiety=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // What cannot be logged would be told on the same output, which may be gone.
        .log_internal_errors(false)
        .init();
    match run(Cli::parse().command).and_then(|()| output::check()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            errln!("moiety: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> error::Result<()> {
    let in_runtime = |work: std::pin::Pin<Box<dyn Future<Output = error::Result<()>>>>| {
        let runtime = tokio::runtime::Runtime::new().map_err(error::CliError::Runtime)?;
        let done = runtime.block_on(work);
        // A server's calls that were cut may still be at work; nobody waits for them any more.
        runtime.shutdown_timeout(LAST_WORK);
        done
    };
    match command {
        Command::Demo(args) => in_runtime(Box::pin(demo::run(args))),
        Command::Serve(args) => in_runtime(Box::pin(serve::run(args))),
        Command::Import(args) => in_runtime(Box::pin(import::run(args))),
        Command::Search(args) => in_runtime(Box::pin(search::run(args))),
        Command::Predict(args) => in_runtime(Box::pin(predict::run(args))),
        Command::Caption(args) => in_runtime(Box::pin(caption::run(args))),
        Command::Generate(args) => in_runtime(Box::pin(generate::run(args))),
        Command::Index(args) => in_runtime(Box::pin(index::run(args))),
        Command::Info(args) => in_runtime(Box::pin(info::run(args))),
        Command::Convert(args) => convert::run(&args),
        Command::Snapshot(args) => in_runtime(Box::pin(snapshot::run(args))),
        Command::Migrate(args) => migrate::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Tokenizer(args) => tokenizer::run(&args),
        Command::Train(args) => train::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn every_command_line_argument_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_option_of_serve_can_be_set_in_the_environment() {
        let cli = super::Cli::command();
        let serve = cli.find_subcommand("serve").unwrap();
        let options = serve.get_arguments().filter(|option| option.get_id() != "help");
        for option in options {
            let id = option.get_id().as_str();
            let wanted = format!("MOIETY_{}", id.to_uppercase());
            assert_eq!(option.get_env().and_then(|name| name.to_str()), Some(&*wanted), "{id}");
        }
    }
}
