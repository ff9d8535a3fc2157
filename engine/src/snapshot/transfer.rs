//! A snapshot in parts of bounded size, out of one database and into another.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    STORE, Staging, at,
    manifest::{MAX_MANIFEST_BYTES, SnapshotManifest, decode, encode, hex, write_manifest},
    read_manifest, sync_folder,
};
use crate::{
    Engine,
    collection::check_name,
    error::{EngineError, Result},
    store::Store,
};

/// Bytes of a part at most.
const PART_BYTES: usize = 1 << 20;

/// A part of a snapshot: the manifest first, then the files in its order, each from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotPart {
    /// The whole manifest, as it is stored.
    Manifest(Vec<u8>),
    /// Some bytes of a file.
    Bytes {
        /// Name of the file.
        file: String,
        /// Where they begin.
        offset: u64,
        /// The bytes; at most a mebibyte.
        bytes: Vec<u8>,
    },
}

impl Engine {
    /// Reads a snapshot part by part; the receiver compares the checksums.
    pub fn read_snapshot(&self, name: &str) -> Result<SnapshotReader> {
        SnapshotReader::of_folder(&self.snapshot_folder(name)?)
    }

    /// Begins to receive a snapshot under this name. Nothing has the name before [`SnapshotWriter::finish`].
    pub fn receive_snapshot(&self, name: &str) -> Result<SnapshotWriter<'_>> {
        check_name(name)?;
        self.store.check_room(0)?;
        let folder = self.store.dir().join(super::FOLDER);
        SnapshotWriter::begin_in(&folder, name, Some(&self.store))
    }
}

/// Gives the parts of a snapshot in order.
#[derive(Debug)]
pub struct SnapshotReader {
    store: PathBuf,
    manifest: SnapshotManifest,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Manifest,
    File { index: usize, open: Option<(File, u64)> },
}

impl SnapshotReader {
    /// Reads a snapshot in any folder.
    pub fn of_folder(folder: &Path) -> Result<Self> {
        let manifest = read_manifest(folder)?;
        Ok(Self { store: folder.join(STORE), manifest, place: Place::Manifest })
    }

    /// What the snapshot holds.
    pub fn manifest(&self) -> &SnapshotManifest {
        &self.manifest
    }

    /// The next part; `None` after the last.
    pub fn next_part(&mut self) -> Result<Option<SnapshotPart>> {
        match &mut self.place {
            Place::Manifest => {
                self.place = Place::File { index: 0, open: None };
                Ok(Some(SnapshotPart::Manifest(encode(&self.manifest)?)))
            }
            Place::File { index, open } => {
                // Files of no bytes have no parts.
                let rest = self.manifest.files.iter().enumerate().skip(*index);
                let Some((at_index, file)) = rest.into_iter().find(|(_, file)| file.bytes > 0)
                else {
                    return Ok(None);
                };
                *index = at_index;
                let path = self.store.join(&file.name);
                if open.is_none() {
                    *open = Some((File::open(&path).map_err(at(&path))?, 0));
                }
                let Some((reader, offset)) = open else { return Ok(None) };
                let mut bytes = Vec::new();
                let wanted = PART_BYTES.min((file.bytes - *offset) as usize);
                let read = Read::by_ref(reader).take(wanted as u64).read_to_end(&mut bytes);
                read.map_err(at(&path))?;
                if bytes.len() < wanted {
                    let what = format!("snapshot {:?}, file {}", self.manifest.name, file.name);
                    return Err(EngineError::corrupt(what, "it is shorter than its manifest says"));
                }
                let part = SnapshotPart::Bytes { file: file.name.clone(), offset: *offset, bytes };
                *offset += wanted as u64;
                if *offset == file.bytes {
                    (*index, *open) = (*index + 1, None);
                }
                Ok(Some(part))
            }
        }
    }
}

/// Takes the parts of a snapshot in order.
pub struct SnapshotWriter<'a> {
    /// Whose disk it fills; absent outside a database.
    database: Option<&'a Store>,
    staging: Staging,
    manifest: Option<SnapshotManifest>,
    /// Position of the file that is written.
    next: usize,
    current: Option<Current>,
}

struct Current {
    file: File,
    hash: Sha256,
    written: u64,
}

impl SnapshotWriter<'static> {
    /// Begins to write a snapshot to the folder `name` in any folder.
    pub fn to_folder(parent: &Path, name: &str) -> Result<Self> {
        check_name(name)?;
        Self::begin_in(parent, name, None)
    }
}

impl<'a> SnapshotWriter<'a> {
    fn begin_in(parent: &Path, name: &str, database: Option<&'a Store>) -> Result<Self> {
        let staging = Staging::new(parent, name)?;
        Ok(Self { database, staging, manifest: None, next: 0, current: None })
    }

    /// Writes the next part.
    pub fn take(&mut self, part: SnapshotPart) -> Result<()> {
        match part {
            SnapshotPart::Manifest(bytes) => self.begin(&bytes),
            SnapshotPart::Bytes { file, offset, bytes } => self.append(&file, offset, &bytes),
        }
    }

    /// Gives the snapshot its name, when every file is there and as its checksum says.
    pub fn finish(mut self) -> Result<SnapshotManifest> {
        let Some(manifest) = self.manifest.take() else {
            return Err(refused("the manifest", "it is missing"));
        };
        if let Some(file) = manifest.files.get(self.next) {
            return Err(refused(&file.name, "it is missing or ends early"));
        }
        write_manifest(&self.staging.path, &manifest)?;
        sync_folder(&self.staging.path.join(STORE))?;
        self.staging.publish()?;
        Ok(manifest)
    }

    fn begin(&mut self, bytes: &[u8]) -> Result<()> {
        if self.manifest.is_some() {
            return Err(refused("the manifest", "it came twice"));
        }
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(refused("the manifest", "it is too large"));
        }
        let manifest = decode(bytes).map_err(|reason| refused("the manifest", &reason))?;
        self.database.map_or(Ok(()), |store| store.check_room(manifest.bytes()))?;
        let store = self.staging.path.join(STORE);
        fs::create_dir_all(&store).map_err(at(&store))?;
        self.manifest = Some(manifest);
        self.skip_empty()
    }

    fn append(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let store = self.staging.path.join(STORE);
        let manifest = self.manifest.as_ref();
        let Some(file) = manifest.and_then(|manifest| manifest.files.get(self.next)) else {
            return Err(refused(name, "it is not in the manifest, or came before it"));
        };
        if file.name != name {
            return Err(refused(name, &format!("{} should come before it", file.name)));
        }
        let current = open(&mut self.current, &store.join(name))?;
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= file.bytes);
        let Some(end) = end.filter(|_| offset == current.written) else {
            return Err(refused(name, "a part of it is out of place"));
        };
        current.file.write_all(bytes).map_err(at(&store))?;
        current.hash.update(bytes);
        current.written = end;
        if end == file.bytes {
            self.close()?;
        }
        self.skip_empty()
    }

    /// Files of no bytes have no parts.
    fn skip_empty(&mut self) -> Result<()> {
        while let Some(file) = self.manifest.as_ref().and_then(|m| m.files.get(self.next)) {
            if file.bytes > 0 {
                break;
            }
            open(&mut self.current, &self.staging.path.join(STORE).join(&file.name))?;
            self.close()?;
        }
        Ok(())
    }

    /// Ends the file that is written.
    fn close(&mut self) -> Result<()> {
        let file = self.manifest.as_ref().and_then(|manifest| manifest.files.get(self.next));
        if let (Some(current), Some(file)) = (self.current.take(), file) {
            current.file.sync_all().map_err(at(&self.staging.path))?;
            if hex(&current.hash.finalize()) != file.sha256 {
                return Err(refused(&file.name, "its SHA-256 is not that of the manifest"));
            }
            self.next += 1;
        }
        Ok(())
    }
}

fn open<'a>(current: &'a mut Option<Current>, path: &Path) -> Result<&'a mut Current> {
    let opened = match current.take() {
        Some(current) => current,
        None => {
            let file = File::create_new(path).map_err(at(path))?;
            Current { file, hash: Sha256::new(), written: 0 }
        }
    };
    Ok(current.insert(opened))
}

fn refused(file: &str, reason: &str) -> EngineError {
    EngineError::corrupt(format!("snapshot that is sent, file {file}"), reason)
}
