//! The identity of a model directory: SHA-256 of its files, so that vectors of two models never mix.

use std::{fmt::Write, path::Path};

use sha2::{Digest, Sha256};

use crate::error::{EncoderError, Result};

/// Files that decide what a model computes, in the order of the sums.
const FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];
/// Where the sums stand, in the format of `sha256sum`.
const SUMS: &str = "SHA256SUMS";

/// Checks every file against `SHA256SUMS` and returns the fingerprint: the SHA-256 of that list.
pub(crate) fn verify(dir: &Path) -> Result<String> {
    let path = dir.join(SUMS);
    let stated = std::fs::read_to_string(&path)
        .map_err(|source| EncoderError::Io { path: path.clone(), source })?;
    let found = sums(dir)?;
    if stated == found {
        return Ok(hex(&Sha256::digest(found)));
    }
    let differs = found.lines().find(|line| !stated.contains(line));
    let file = differs.and_then(|line| line.split_whitespace().last()).unwrap_or(SUMS);
    let reason = format!(
        "does not match {SUMS}; the file is damaged or of another model: fetch the directory again"
    );
    Err(EncoderError::Model { path: dir.join(file), reason })
}

/// Writes `SHA256SUMS` for a directory that was just filled.
pub(crate) fn write(dir: &Path) -> Result<()> {
    let path = dir.join(SUMS);
    std::fs::write(&path, sums(dir)?).map_err(|source| EncoderError::Io { path, source })
}

/// SHA-256 of some bytes in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn sums(dir: &Path) -> Result<String> {
    let mut lines = String::new();
    for file in FILES {
        let path = dir.join(file);
        let bytes = std::fs::read(&path).map_err(|source| EncoderError::Io { path, source })?;
        let _ = writeln!(lines, "{}  {file}", digest(&bytes));
    }
    Ok(lines)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
