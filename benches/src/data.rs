//! The vectors of a table, and what is asked of them: of files, or made up.

use std::path::PathBuf;

use crate::{
    BenchError,
    npy::{Rows, read_f32},
    vectors::Clusters,
};

/// Where vectors and queries come from.
#[derive(clap::Args)]
pub struct Data {
    /// Made-up vectors
    #[arg(long, default_value_t = 20_000)]
    pub count: usize,
    /// Vectors of a file instead: rows of float32 (.npy)
    #[arg(long)]
    pub vectors: Option<PathBuf>,
    /// Queries of a file; without it the last vectors are taken out and asked for
    #[arg(long)]
    pub query_vectors: Option<PathBuf>,
    /// Queries
    #[arg(long, default_value_t = 1_000)]
    pub queries: usize,
    /// Of what is made up
    #[arg(long, default_value_t = 11)]
    pub seed: u64,
}

impl Data {
    /// Vectors, all of the file or so many made up of `dim` numbers, and queries.
    pub fn rows(&self, made_up: usize, dim: usize) -> Result<(Rows, Rows), BenchError> {
        let Some(file) = &self.vectors else {
            let mut source = Clusters::new(self.seed, dim, (self.count / 100).max(1));
            return Ok((source.vectors(made_up), source.vectors(self.queries)));
        };
        let mut vectors = read_f32(file)?;
        let mut queries = match &self.query_vectors {
            Some(file) => read_f32(file)?,
            None => vectors.split_off(vectors.len().saturating_sub(self.queries)),
        };
        queries.truncate(self.queries);
        Ok((vectors, queries))
    }
}
