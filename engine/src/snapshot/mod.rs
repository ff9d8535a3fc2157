//! Snapshots: the whole database as it was at one moment, beside it, with a checksum of every file.
//!
//! A snapshot is a folder `snapshots/NAME` of the data directory: `manifest.json`, and the store's files in `store/`. It is
//! made, and received, under a hidden name and renamed when it is whole and on the disk, so a name always stands for a
//! whole snapshot. Nothing in it is believed before its SHA-256 has been compared.

mod manifest;
mod restore;
mod transfer;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

pub use manifest::{SnapshotCollection, SnapshotFile, SnapshotInfo, SnapshotManifest};
pub use transfer::{SnapshotPart, SnapshotReader, SnapshotWriter};

use self::manifest::{digest, read_manifest, write_manifest};
use crate::{
    Access, Engine, EngineOptions, Patience,
    collection::check_name,
    error::{EngineError, Result},
    live::parse_description,
    read::count_ids,
    store::{Store, is_incidental, key::FORMAT_VERSION, remove_incidental},
};

/// Folder of the snapshots in a data directory.
pub(crate) const FOLDER: &str = "snapshots";
/// Ends of the hidden names of snapshots that are not whole yet, and not any more.
const STAGING: &str = ".staging";
const DELETED: &str = ".deleted";
const STORE: &str = "store";

impl Engine {
    /// Makes a snapshot of all collections while searches and writes go on.
    ///
    /// It holds every record acknowledged before the call. Its files are shared with the database until they are merged
    /// there, so it takes little space at first.
    pub fn create_snapshot(&self, name: &str, patience: &Patience) -> Result<SnapshotManifest> {
        check_name(name)?;
        let _turn = self.schema_turn();
        self.store.check_room(0)?;
        let staging = Staging::new(&self.store.dir().join(FOLDER), name)?;
        let files = staging.path.join(STORE);
        self.store.checkpoint(&files)?;
        let manifest = describe(name, &files, &self.options, patience)?;
        write_manifest(&staging.path, &manifest)?;
        sync_folder(&files)?;
        staging.publish()?;
        Ok(manifest)
    }

    /// The snapshots by name, with what is wrong where a manifest cannot be read. Files are not compared.
    pub fn list_snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        let folder = self.store.dir().join(FOLDER);
        let mut found = Vec::new();
        for name in names_in(&folder)?.into_iter().filter(|name| !name.starts_with('.')) {
            let manifest = read_manifest(&folder.join(&name)).map_err(|error| error.to_string());
            found.push(SnapshotInfo { name, manifest });
        }
        Ok(found)
    }

    /// Compares every file of a snapshot with its checksum; the error names the first that differs.
    pub fn verify_snapshot(&self, name: &str, patience: &Patience) -> Result<SnapshotManifest> {
        verify(&self.snapshot_folder(name)?, patience)
    }

    /// Removes a snapshot.
    pub fn delete_snapshot(&self, name: &str) -> Result<()> {
        let _turn = self.schema_turn();
        self.store.check_writable()?;
        let folder = self.snapshot_folder(name)?;
        let hidden = folder.with_file_name(format!(".{name}{DELETED}"));
        // Under a hidden name a deletion that is cut off leaves no half snapshot.
        fs::rename(&folder, &hidden).map_err(at(&folder))?;
        fs::remove_dir_all(&hidden).map_err(at(&hidden))
    }

    /// The folder of a snapshot that exists.
    fn snapshot_folder(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        let folder = self.store.dir().join(FOLDER).join(name);
        match folder.is_dir() {
            true => Ok(folder),
            false => Err(EngineError::SnapshotNotFound { name: name.to_owned() }),
        }
    }
}

/// Compares every file of a snapshot in any folder with its checksum; the error names the first that differs.
pub fn verify_snapshot_folder(folder: &Path) -> Result<SnapshotManifest> {
    verify(folder, &Patience::endless())
}

/// Compares every file below a snapshot's folder with the manifest.
fn verify(folder: &Path, patience: &Patience) -> Result<SnapshotManifest> {
    let manifest = read_manifest(folder)?;
    let store = folder.join(STORE);
    for file in &manifest.files {
        let path = store.join(&file.name);
        let found = digest(&path, patience).map_err(|error| match error {
            EngineError::Io { source, .. } => damaged(folder, &file.name, &source.to_string()),
            other => other,
        })?;
        if (found.bytes, &found.sha256) != (file.bytes, &file.sha256) {
            let reason = match found.bytes == file.bytes {
                true => "its SHA-256 is not that of the manifest".to_owned(),
                false => format!("it has {} bytes, the manifest says {}", found.bytes, file.bytes),
            };
            return Err(damaged(folder, &file.name, &reason));
        }
    }
    let known = |name: &String| manifest.files.iter().any(|file| file.name == *name);
    let names = names_in(&store)?;
    match names.iter().find(|name| !known(name) && !is_incidental(name)) {
        Some(name) => Err(damaged(folder, name, "the manifest does not know it")),
        None => Ok(manifest),
    }
}

fn damaged(folder: &Path, file: &str, reason: &str) -> EngineError {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    EngineError::corrupt(format!("snapshot {name:?}, file {file}"), reason)
}

/// What is in a copy of the store.
fn describe(
    name: &str,
    files: &Path,
    options: &EngineOptions,
    patience: &Patience,
) -> Result<SnapshotManifest> {
    let reading = EngineOptions { access: Access::ReadOnly, ..options.clone() };
    let store = Store::open(files, &reading)?;
    let view = store.view();
    let mut collections = Vec::new();
    for description in view.collections()? {
        let (number, info) = parse_description(&description)?;
        let records = count_ids(&view, number)?;
        collections.push(SnapshotCollection { info, records });
    }
    drop(view);
    drop(store);
    remove_incidental(files)?;
    let mut found = Vec::new();
    for name in names_in(files)? {
        let file = digest(&files.join(&name), patience)?;
        found.push(SnapshotFile { name, ..file });
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(SnapshotManifest {
        name: name.to_owned(),
        created_unix_s: since.map_or(0, |since| since.as_secs()),
        format_version: FORMAT_VERSION,
        collections,
        files: found,
    })
}

/// Removes what was cut off while a snapshot was made, received or deleted, and nothing else that is hidden there.
pub(crate) fn remove_leftovers(dir: &Path) {
    let folder = dir.join(FOLDER);
    let ours =
        |name: &str| name.starts_with('.') && (name.ends_with(STAGING) || name.ends_with(DELETED));
    for name in names_in(&folder).unwrap_or_default().into_iter().filter(|name| ours(name)) {
        // What stays has no name that is read; a snapshot of its name says what is in its way.
        let _ = fs::remove_dir_all(folder.join(name));
    }
}

/// A hidden folder that becomes a snapshot, or goes away.
struct Staging {
    path: PathBuf,
    target: PathBuf,
}

impl Staging {
    fn new(folder: &Path, name: &str) -> Result<Self> {
        let (path, target) = (folder.join(format!(".{name}{STAGING}")), folder.join(name));
        if target.exists() {
            return Err(EngineError::SnapshotExists { name: name.to_owned() });
        }
        // What was cut off before is in the way.
        if path.exists() {
            fs::remove_dir_all(&path).map_err(at(&path))?;
        }
        fs::create_dir_all(&path).map_err(at(&path))?;
        Ok(Self { path, target })
    }

    /// Gives it its name, durably.
    fn publish(self) -> Result<()> {
        sync_folder(&self.path)?;
        fs::rename(&self.path, &self.target).map_err(at(&self.target))?;
        self.target.parent().map_or(Ok(()), sync_folder)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After `publish` nothing has this name; else the next of this name removes it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Names in a folder, in order; none where it is not there.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(EngineError::Io { path: folder.to_owned(), source }),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(at(folder))?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

/// Names the path that an input or output error is about.
fn at(path: &Path) -> impl FnOnce(io::Error) -> EngineError + '_ {
    move |source| EngineError::Io { path: path.to_owned(), source }
}
