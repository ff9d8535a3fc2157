//! What is encoded and searched: the demo library, lines of files, and the model that ships, where it is there.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::read::MultiGzDecoder;
use moiety_encoder::{Encoder, HashingEncoder, Model};
use serde_json::Value;

use crate::{BenchError, error::at};

/// One molecule of the demo library.
#[derive(Clone, Debug)]
pub struct DemoMolecule {
    /// Its identifier.
    pub id: String,
    /// Its structure.
    pub smiles: String,
    /// Its description.
    pub text: String,
}

/// A file or folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The demo library.
pub fn demo_library() -> Result<Vec<DemoMolecule>, BenchError> {
    let path = repository("demo/molecules.jsonl");
    let molecule = |(line, text): (usize, Result<String, BenchError>)| {
        let fail = |reason: String| BenchError::Line { path: path.clone(), line: line + 1, reason };
        let value: Value = serde_json::from_str(&text?).map_err(|e| fail(e.to_string()))?;
        let field = |name: &str| match &value[name] {
            Value::String(text) => Ok(text.clone()),
            _ => Err(fail(format!("no text in {name:?}"))),
        };
        Ok(DemoMolecule { id: field("id")?, smiles: field("smiles")?, text: field("text")? })
    };
    lines(&path)?.enumerate().map(molecule).collect()
}

/// The lines of a file, which may be compressed with gzip.
pub fn lines(path: &Path) -> Result<impl Iterator<Item = Result<String, BenchError>>, BenchError> {
    let file = File::open(path).map_err(at(path))?;
    let zipped = path.extension().is_some_and(|end| end == "gz");
    let bytes: Box<dyn Read> =
        if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let path = path.to_path_buf();
    Ok(BufReader::new(bytes).lines().map(move |line| line.map_err(at(&path))))
}

/// Where the model is: `MOIETY_MODEL`, or the one that ships.
pub fn model_dir() -> PathBuf {
    env::var_os("MOIETY_MODEL").map_or_else(|| repository("models/moiety-mini"), PathBuf::from)
}

/// The model on this many threads (0: one per core); without one, the hashing encoder, which is no model at all: its name
/// says so in every table.
pub fn encoder(threads: usize) -> Result<Arc<dyn Encoder>, BenchError> {
    let dir = model_dir();
    if dir.exists() {
        return Ok(Arc::new(Model::load(&dir, threads)?));
    }
    Ok(Arc::new(HashingEncoder::new(256)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_library_is_read_whole() {
        let molecules = demo_library().expect("the demo library");
        assert!(molecules.len() >= 300);
        assert!(molecules.iter().any(|molecule| molecule.id == "caffeine"));
    }
}
