//! The errors of this room.

use std::path::PathBuf;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file is missing or unreadable.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not what its file should hold.
    #[error("{path}, line {line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// From one.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A Python program failed, or its packages could not be installed.
    #[error("{program} was not measured: {reason}")]
    Peer {
        /// The program.
        program: String,
        /// The end of what it said.
        reason: String,
    },
    /// The encoder refused.
    #[error(transparent)]
    Encoder(#[from] moiety_encoder::EncoderError),
}

/// Puts a path to an error of the system.
pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> BenchError {
    let path = path.to_path_buf();
    move |source| BenchError::Io { path, source }
}
