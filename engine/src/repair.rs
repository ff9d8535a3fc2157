//! Repair: everything that can be read of a damaged directory goes into a new one, which takes its place.
//!
//! Records whose vectors are unreadable are encoded again, fingerprints that are unreadable are computed again, and field
//! indexes are made again of all records. The damaged directory is kept under another name, untouched.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use moiety_encoder::Encoder;

use crate::{
    Damage, Durability, Engine, EngineOptions, Record, Side, StoredRecord,
    error::{EngineError, Result},
    live::parse_description,
    prints::Prints,
    store::{Batch, CollectionId, Store, View, key::Family, relist},
};

const COPY_BYTES: u64 = 4 << 20;
/// Records that are encoded again at a time.
const ENCODED: usize = 256;

/// What a repair saved, or would save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Records saved, those encoded again included.
    pub saved: u64,
    /// Records encoded again.
    pub encoded_again: u64,
    /// What was wrong.
    pub damage: Damage,
    /// Where the damaged directory is now; absent when nothing was done.
    pub kept_as: Option<PathBuf>,
}

/// Says what can be saved of a directory and, with `save`, saves it: the directory is then whole, and the damaged one lies
/// beside it under another name. Nobody else may have it open.
pub fn repair(
    dir: &Path,
    encoder: Arc<dyn Encoder>,
    options: &EngineOptions,
    save: bool,
) -> Result<Repaired> {
    let mut relisted = None;
    let source = match Store::open_damaged(dir, options) {
        Err(EngineError::Corrupt { .. }) => {
            let copy = Temporary(beside(dir, "relisted")?);
            relist(dir, &copy.0, options)?;
            Store::open_damaged(&relisted.insert(copy).0, options)?
        }
        opened => opened?,
    };
    let damage = source.damage().cloned().unwrap_or_default();
    let view = source.view();
    let collections: Vec<_> = view
        .collections()?
        .iter()
        .map(|description| {
            parse_description(description).map(|parsed| (parsed, description.clone()))
        })
        .collect::<Result<_>>()?;
    let readable = |number| view.readable(number).map_or((0, 0), |r| (r.whole.len(), r.bare.len()));
    let counts = collections.iter().map(|((number, _), _)| readable(*number));
    let (whole, bare) = counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    let mut report = Repaired {
        saved: (whole + bare) as u64,
        encoded_again: bare as u64,
        damage,
        kept_as: None,
    };
    if !save {
        return Ok(report);
    }
    let staging = beside(dir, "repaired")?;
    let target = Store::open(&staging, options)?;
    let mut again: Vec<(String, Vec<StoredRecord>)> = Vec::new();
    for ((number, info), description) in &collections {
        copy(&view, &target, *number)?;
        let mut batch = Batch::new(&target);
        batch.put_collection(&info.config.name, description)?;
        batch.put_next_collection(view.next_collection()?)?;
        batch.write(Durability::Fsync)?;
        let bare = view.readable(*number).map_or(&[][..], |readable| &readable.bare);
        let records = view.records(*number, bare)?.into_iter().flatten().collect();
        again.push((info.config.name.clone(), records));
    }
    drop(target);
    drop(view);
    drop(source);
    encode_again(&staging, encoder, options, again)?;
    report.kept_as = Some(take_place(dir, &staging)?);
    Ok(report)
}

/// A directory that goes away.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It holds nothing of its own.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Copies the whole versions of a collection as they are stored.
fn copy(view: &View<'_>, target: &Store, collection: CollectionId) -> Result<()> {
    let Some(readable) = view.readable(collection) else { return Ok(()) };
    let mut batch = Batch::new(target);
    for (id, version) in &readable.ids {
        if readable.whole.binary_search(version).is_err() {
            continue;
        }
        let sides = Side::ALL.map(|side| collection.side_key(side, *version).to_vec());
        let values = sides
            .into_iter()
            .flat_map(|key| [(Family::Vectors, key.clone()), (Family::Levels, key)]);
        if let Some(prints) = prints(view, collection, *version)? {
            batch.put_prints(collection, *version, &prints)?;
        }
        let record = collection.record_key(*version);
        for (family, key) in values.chain([(Family::Records, record)]) {
            if let Some(value) = view.raw(family, &key)? {
                batch.put_raw(family, key, &value)?;
            }
        }
        batch.put_raw(Family::Ids, collection.id_key(id), &version.to_be_bytes())?;
        if batch.bytes() >= COPY_BYTES {
            target.check_room(batch.bytes())?;
            std::mem::replace(&mut batch, Batch::new(target)).write(Durability::Wal)?;
        }
    }
    batch.write(Durability::Fsync)
}

/// The fingerprints of a version; those that cannot be read are computed again.
fn prints(view: &View<'_>, collection: CollectionId, version: u64) -> Result<Option<Prints>> {
    if let Some(prints) = view.prints(collection, &[version])?.pop().flatten() {
        return Ok(Some(prints));
    }
    let record = view.records(collection, &[version])?.pop().flatten();
    Ok(record.as_ref().and_then(Prints::of_record))
}

fn encode_again(
    dir: &Path,
    encoder: Arc<dyn Encoder>,
    options: &EngineOptions,
    collections: Vec<(String, Vec<StoredRecord>)>,
) -> Result<()> {
    let engine = Engine::open(dir, encoder, options.clone())?;
    for (name, records) in collections {
        // Their entries were not copied: they are made of the records again.
        for index in engine.indexes(&name)? {
            engine.drop_index(&name, &index.spec.field)?;
            engine.create_index(&name, &index.spec)?;
        }
        let mut records = records.into_iter().map(|stored| Record {
            id: stored.id,
            molecule: stored.molecule.map(|molecule| molecule.structure),
            text: stored.text,
            payload: stored.payload,
        });
        loop {
            let chunk: Vec<Record> = records.by_ref().take(ENCODED).collect();
            if chunk.is_empty() {
                break;
            }
            for outcome in engine.upsert(&name, chunk)? {
                outcome.map_err(|error| {
                    EngineError::corrupt(format!("record {:?}", error.id), error.reason)
                })?;
            }
        }
    }
    engine.flush()
}

/// Exchanges the two directories; the damaged one gets a name that says so.
fn take_place(dir: &Path, staging: &Path) -> Result<PathBuf> {
    let kept = beside(dir, "damaged")?;
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| EngineError::Io { path, source }
    };
    let snapshots = dir.join(crate::snapshot::FOLDER);
    if snapshots.exists() {
        let moved = staging.join(crate::snapshot::FOLDER);
        fs::rename(&snapshots, &moved).map_err(at(&snapshots))?;
    }
    fs::rename(dir, &kept).map_err(at(dir))?;
    fs::rename(staging, dir).map_err(at(staging))?;
    Ok(kept)
}

/// A free name beside a directory.
fn beside(dir: &Path, what: &str) -> Result<PathBuf> {
    let dir =
        dir.canonicalize().map_err(|source| EngineError::Io { path: dir.to_owned(), source })?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let candidates = (0..1000).map(|n| match n {
        0 => dir.with_file_name(format!("{name}.{what}")),
        n => dir.with_file_name(format!("{name}.{what}-{n}")),
    });
    let mut free = candidates.filter(|candidate| !candidate.exists());
    free.next().ok_or_else(|| EngineError::Store(format!("no free name beside {}", dir.display())))
}
