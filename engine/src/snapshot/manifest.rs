//! What a snapshot says of itself, and the checksums that hold it to it.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{at, damaged};
use crate::{
    CollectionInfo, Patience,
    error::{EngineError, Result},
};

pub(super) const MANIFEST: &str = "manifest.json";
/// Largest manifest that is read: some hundred thousand files.
pub(super) const MAX_MANIFEST_BYTES: u64 = 64 << 20;
const READ_BYTES: usize = 1 << 20;

/// A snapshot as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its name.
    pub name: String,
    /// What it holds, or why that cannot be read.
    pub manifest: std::result::Result<SnapshotManifest, String>,
}

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SnapshotManifest {
    /// Its name when it was made.
    pub name: String,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// Format of its store.
    pub format_version: u32,
    /// Its collections, by name.
    pub collections: Vec<SnapshotCollection>,
    /// Its files, by name.
    pub files: Vec<SnapshotFile>,
}

impl SnapshotManifest {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// A collection of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SnapshotCollection {
    /// What it is.
    pub info: CollectionInfo,
    /// How many records it has.
    pub records: u64,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SnapshotFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, in hex.
    pub sha256: String,
}

/// The manifest with a checksum of its own.
#[derive(serde::Serialize, serde::Deserialize)]
struct Sealed {
    /// SHA-256 of the manifest as compact JSON, in hex.
    sha256: String,
    manifest: SnapshotManifest,
}

pub(super) fn write_manifest(folder: &Path, manifest: &SnapshotManifest) -> Result<()> {
    let path = folder.join(MANIFEST);
    let bytes = encode(manifest)?;
    let write = || {
        let mut file = File::create_new(&path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    write().map_err(at(&path))
}

pub(super) fn read_manifest(folder: &Path) -> Result<SnapshotManifest> {
    let wrong = |reason: String| damaged(folder, MANIFEST, &reason);
    let file = File::open(folder.join(MANIFEST)).map_err(|error| wrong(error.to_string()))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_MANIFEST_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| wrong(error.to_string()))?;
    decode(&bytes).map_err(wrong)
}

/// As it is written.
pub(super) fn encode(manifest: &SnapshotManifest) -> Result<Vec<u8>> {
    let failed = |error: serde_json::Error| EngineError::Store(error.to_string());
    let sha256 = hex(&Sha256::digest(serde_json::to_vec(manifest).map_err(failed)?));
    serde_json::to_vec_pretty(&Sealed { sha256, manifest: manifest.clone() }).map_err(failed)
}

/// Reads a manifest and compares it with its checksum.
pub(super) fn decode(bytes: &[u8]) -> std::result::Result<SnapshotManifest, String> {
    let sealed: Sealed = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let compact = serde_json::to_vec(&sealed.manifest).map_err(|error| error.to_string())?;
    if hex(&Sha256::digest(compact)) != sealed.sha256 {
        return Err("its SHA-256 does not fit it".to_owned());
    }
    let plain = |name: &str| {
        let letters = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !name.is_empty() && !name.starts_with('.') && name.chars().all(letters)
    };
    match sealed.manifest.files.iter().find(|file| !plain(&file.name)) {
        Some(file) => Err(format!("{:?} is no name of a store's file", file.name)),
        None => Ok(sealed.manifest),
    }
}

/// Length and checksum of a file. The name is left to the caller.
pub(super) fn digest(path: &Path, patience: &Patience) -> Result<SnapshotFile> {
    let mut file = File::open(path).map_err(at(path))?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        patience.check()?;
        let read = file.read(&mut buffer).map_err(at(path))?;
        if read == 0 {
            let sha256 = hex(&hash.finalize());
            return Ok(SnapshotFile { name: String::new(), bytes, sha256 });
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
