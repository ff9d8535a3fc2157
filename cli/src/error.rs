//! What a command can fail with; printed as one line for a person.

use std::path::{Path, PathBuf};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The arguments or the files they name are not usable.
    #[error("{0}")]
    Usage(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// The asynchronous runtime could not start.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    /// A file that ships with the program is nowhere that the program looks.
    #[error(
        "{path} is neither in the working directory nor beside {} or above it; keep the program with what it was packed \
         with, or name a model with --model", program.display()
    )]
    NotShipped { path: String, program: PathBuf },
    /// Standard output takes nothing.
    #[error("cannot write the answer: {0}; what was done is done")]
    Output(std::io::Error),
    /// A call failed.
    #[error(transparent)]
    Client(#[from] moiety_rpc::ClientError),
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] moiety_rpc::ServeError),
    /// The engine failed.
    #[error(transparent)]
    Engine(Box<moiety_engine::EngineError>),
    /// The encoder or the trainer failed.
    #[error(transparent)]
    Encoder(#[from] moiety_encoder::EncoderError),
    /// An import stopped in the middle.
    #[error("{0}; what was acknowledged is kept, and the same command goes on after it")]
    Interrupted(Box<CliError>),
    /// The demo gave an answer that it should not give.
    #[error("{wrong} of {asked} demo queries did not find what they should")]
    Demo { wrong: usize, asked: usize },
}

impl From<moiety_engine::EngineError> for CliError {
    fn from(error: moiety_engine::EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

pub(crate) type Result<T> = std::result::Result<T, CliError>;

/// Names the file that an input or output error is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> CliError + '_ {
    move |source| CliError::File { path: path.to_path_buf(), source }
}
