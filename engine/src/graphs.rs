//! Graphs on the disk: a cache beside the store, so that an open need not build them.
//!
//! A file `graphs/COLLECTION-SIDE-NEXT.graph` holds versions below `NEXT` and no other. Versions are never given twice as
//! long as every open begins above the largest `NEXT`, so a version in a file and one in the store are the same vector. A
//! file that is missing, damaged or foreign is rebuilt from the store; what came or went since it was written is made up for.

use std::{
    collections::HashMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use moiety_index::HnswIndex;
use sha2::{Digest, Sha256};

use crate::{
    Side,
    error::Result,
    live::LiveCollection,
    rebuild::{Indexes, Work, fill, fresh},
    store::{CollectionId, Store, View},
};

/// Folder of the graphs in a data directory.
pub(crate) const FOLDER: &str = "graphs";
/// With more than one vector in so many missing from a file, reading all in order is faster than reading these.
const MISSING_SHARE: usize = 8;
/// Missing vectors that are read at a time.
const READ: usize = 256;
/// Entries between two looks at the stop sign, and at who should go first.
const BETWEEN_LOOKS: usize = 256;

/// The name of a graph's file, taken apart.
struct Name {
    collection: CollectionId,
    side: Side,
    next: u64,
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".graph")?.split('-');
        let collection = CollectionId(parts.next()?.parse().ok()?);
        let side = parts.next()?;
        let side = Side::ALL.into_iter().find(|known| known.name() == side)?;
        let next = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { collection, side, next })
    }
}

/// The files of one collection, with the version that each is below.
fn files(dir: &Path, collection: CollectionId) -> Vec<(PathBuf, Name)> {
    let entries = fs::read_dir(dir.join(FOLDER)).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = Name::parse(entry.file_name().to_str()?)?;
        Some((entry.path(), name))
    });
    named.filter(|(_, name)| name.collection == collection).collect()
}

/// A version that no file of the collection holds, nor any above it.
pub(crate) fn first_free_version(dir: &Path, collection: CollectionId) -> u64 {
    files(dir, collection).into_iter().map(|(_, name)| name.next).max().unwrap_or(0)
}

/// Removes the files of collections that are not among these, and what was cut off in the middle.
pub(crate) fn remove_others(dir: &Path, collections: &[CollectionId]) {
    for entry in fs::read_dir(dir.join(FOLDER)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let known = name.to_str().and_then(Name::parse);
        if !known.is_some_and(|known| collections.contains(&known.collection)) {
            // A file that stays is never opened.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Indexes of all vectors of a view, from their files where these can be used; `None` when it was stopped.
pub(crate) fn load(
    view: &View<'_>,
    live: &LiveCollection,
    work: &Work<'_>,
) -> Result<Option<Indexes>> {
    let Work { store, budget, stop, .. } = *work;
    let mut versions = Vec::new();
    for (i, entry) in view.ids(live.number, None)?.enumerate() {
        if i % BETWEEN_LOOKS == 0 && !work.goes_on(live) {
            return Ok(None);
        }
        versions.push(entry?.1);
    }
    versions.sort_unstable();
    let mut files: HashMap<Side, PathBuf> = HashMap::new();
    // Of a damaged directory nothing but what was read is believed.
    if view.readable(live.number).is_none() {
        files.extend(
            self::files(store.dir(), live.number).into_iter().map(|(path, n)| (n.side, path)),
        );
    }
    if files.is_empty() {
        return fresh(view, live, work);
    }
    let mut indexes = Vec::with_capacity(2);
    for side in Side::ALL {
        let file = files.get(&side);
        let opened = file.and_then(|file| live.open_index(file, &label(live, side)).ok());
        let index = match opened {
            Some(index) => complete(view, live, (side, index), (&versions, work))?,
            None => anew(view, live, side, work)?,
        };
        budget.make_room_for(live, 0)?;
        indexes.push((side, Arc::new(index)));
        if stop.is_set() {
            return Ok(None);
        }
    }
    for (side, index) in &indexes {
        live.set_saved_nodes(*side, index.savable());
    }
    Ok(<[_; 2]>::try_from(indexes).ok())
}

/// Removes from an opened index what the store has not, and adds what it has, unless it is stopped.
fn complete(
    view: &View<'_>,
    live: &LiveCollection,
    (side, index): (Side, HnswIndex),
    (versions, work): (&[u64], &Work<'_>),
) -> Result<HnswIndex> {
    let missing = index.reconcile(versions.iter().copied());
    if missing.len() > READ && missing.len() * MISSING_SHARE > versions.len() {
        // Records without this side are missing too: only the store knows them apart, read in order.
        let mut count = 0;
        view.each_vector(live.number, side, 0..u64::MAX, |version, vector| {
            if count % BETWEEN_LOOKS == 0 && !work.goes_on(live) {
                return Ok(ControlFlow::Break(()));
            }
            count += 1;
            if !index.contains(version) {
                index.insert(version, vector)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        return Ok(index);
    }
    for versions in missing.chunks(READ) {
        if !work.goes_on(live) {
            break;
        }
        let vectors = view.vectors(live.number, side, versions)?;
        for (version, vector) in versions.iter().zip(vectors) {
            if let Some(vector) = vector {
                index.insert(*version, &vector)?;
            }
        }
    }
    Ok(index)
}

fn anew(view: &View<'_>, live: &LiveCollection, side: Side, work: &Work<'_>) -> Result<HnswIndex> {
    let index = Arc::new(live.empty_index()?);
    fill(view, live, (&[(side, Arc::clone(&index))], 0), work)?;
    Arc::try_unwrap(index).or_else(|_| live.empty_index())
}

/// Says whose graph a file is; a digest, as a fingerprint may be of any length.
fn label(live: &LiveCollection, side: Side) -> [u8; 32] {
    let whose = format!("{} {} {}", live.number.0, side.name(), live.info.fingerprint);
    Sha256::digest(whose).into()
}

/// Writes the graph of a side, if it is another than the one on the disk; false where there is none to write.
pub(crate) fn save(store: &Store, live: &LiveCollection, side: Side) -> Result<bool> {
    let index = live.index(side);
    let nodes = index.savable();
    if nodes == 0 || live.is_loading() {
        return Ok(false);
    }
    if nodes == live.saved_nodes(side) {
        return Ok(true);
    }
    store.check_room((nodes * index.config().dim * size_of::<f32>()) as u64)?;
    let folder = store.dir().join(FOLDER);
    let at = |source| crate::EngineError::Io { path: folder.clone(), source };
    fs::create_dir_all(&folder).map_err(at)?;
    let before: Vec<PathBuf> = files(store.dir(), live.number)
        .into_iter()
        .filter(|(_, name)| name.side == side)
        .map(|(path, _)| path)
        .collect();
    let unnamed = folder.join(format!("{}-{}.unnamed", live.number.0, side.name()));
    let saved = index.save(&unnamed, &label(live, side))?;
    // Everything in it has a version below this one.
    let next = live.writer()?.next_version();
    let named = folder.join(format!("{}-{}-{next}.graph", live.number.0, side.name()));
    fs::rename(&unnamed, &named).map_err(at)?;
    for old in before.into_iter().filter(|old| *old != named) {
        fs::remove_file(old).map_err(at)?;
    }
    live.set_saved_nodes(side, saved);
    Ok(true)
}
