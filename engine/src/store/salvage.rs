//! What can still be read of a damaged directory.
//!
//! An iterator stops at the first unreadable file, and one such file at the lowest level hides a whole family from it. A
//! single key is read in spite of it, unless it lies in the damaged part. So the versions of a collection, which are small
//! numbers, are tried one after another.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
};

use rocksdb::DB;

use super::{
    CollectionId, Store, View,
    key::{Family, version_of},
    settings::{Memory, open_error},
};
use crate::{
    EngineOptions, Side, StoredRecord,
    error::{EngineError, Result},
    live::number_of,
};

/// Versions that are tried at a time.
const TRIED: u64 = 1024;
/// Versions in a row that are nowhere before the search for more ends.
const LONGEST_GAP: u64 = 1 << 16;
/// Most messages and identifiers that are kept.
const MOST_NAMED: usize = 1000;

/// What cannot be read of a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong, file by file as far as it is known; at most a thousand messages.
    pub reasons: BTreeSet<String>,
    /// Records that are whole but for vectors: they can be read, but no search finds them until they are encoded again.
    pub unsearchable: u64,
    /// Records that cannot be read.
    pub lost: u64,
    /// Their identifiers, as far as these can be read; at most a thousand.
    pub lost_ids: Vec<String>,
}

/// What can be read.
pub(super) struct Salvage {
    pub(super) damage: Damage,
    collections: HashMap<CollectionId, Readable>,
}

/// The readable part of one collection.
#[derive(Default)]
pub(crate) struct Readable {
    /// Version by identifier of every readable record.
    pub(crate) ids: BTreeMap<String, u64>,
    /// Versions whose record, vectors and levels can all be read, ascending.
    pub(crate) whole: Vec<u64>,
    /// Versions of which only the record can be read, ascending.
    pub(crate) bare: Vec<u64>,
}

impl Salvage {
    pub(super) fn of(store: &Store) -> Result<Self> {
        let mut salvage = Self { damage: Damage::default(), collections: HashMap::new() };
        let view = store.view();
        for description in view.collections()? {
            let number = number_of(&description)?;
            let readable = salvage.read(store, &view, number);
            salvage.collections.insert(number, readable);
        }
        Ok(salvage)
    }

    pub(super) fn readable(&self, collection: CollectionId) -> Option<&Readable> {
        self.collections.get(&collection)
    }

    fn read(&mut self, store: &Store, view: &View<'_>, collection: CollectionId) -> Readable {
        let mut readable = Readable::default();
        let mut lost = BTreeSet::new();
        let known_last = last_version(store, view, collection);
        let (mut next, mut seen) = (0, known_last);
        while next <= seen.saturating_add(LONGEST_GAP) {
            let versions: Vec<u64> = (next..next + TRIED).collect();
            for (version, record) in versions.iter().zip(view.each_record(collection, &versions)) {
                match record {
                    Ok(None) => continue,
                    Ok(Some(record)) => {
                        self.sort(view, collection, *version, &record, &mut readable)
                    }
                    Err(error) => {
                        self.note(&error);
                        // Past the known end a damaged file says so of every key.
                        if *version <= known_last {
                            lost.insert(*version);
                        }
                        continue;
                    }
                }
                seen = seen.max(*version);
            }
            next += TRIED;
        }
        self.name_lost(view, collection, &readable, lost);
        self.look_at_fields(view, collection);
        readable
    }

    /// Puts a readable record where it belongs.
    fn sort(
        &mut self,
        view: &View<'_>,
        collection: CollectionId,
        version: u64,
        record: &StoredRecord,
        readable: &mut Readable,
    ) {
        let there =
            [(Side::Molecule, record.molecule.is_some()), (Side::Text, record.text.is_some())];
        let sides = there.into_iter().filter(|(_, there)| *there);
        let mut whole = true;
        for (side, _) in sides {
            let vector = view.vector(collection, side, version).map(|found| found.is_some());
            let levels = view.levels(collection, side, version).map(|found| found.is_some());
            for found in [vector, levels] {
                match found {
                    Ok(found) => whole &= found,
                    Err(error) => {
                        whole = false;
                        self.note(&error);
                    }
                }
            }
        }
        if let Err(error) = view.check_prints(collection, version) {
            self.note(&error);
        }
        readable.ids.insert(record.id.clone(), version);
        if whole {
            readable.whole.push(version);
        } else {
            readable.bare.push(version);
            self.damage.unsearchable += 1;
        }
    }

    /// Field indexes are not used and a repair makes them again: what matters is which file is damaged.
    fn look_at_fields(&mut self, view: &View<'_>, collection: CollectionId) {
        let damaged = match view.stored(Family::Fields, collection) {
            Ok(mut entries) => entries.find_map(Result::err),
            Err(error) => Some(error),
        };
        damaged.iter().for_each(|error| self.note(error));
    }

    /// Identifiers lead to the records that are lost, where they can be read themselves.
    fn name_lost(
        &mut self,
        view: &View<'_>,
        collection: CollectionId,
        readable: &Readable,
        lost: BTreeSet<u64>,
    ) {
        let mut named = 0;
        match view.ids(collection, None) {
            Err(error) => self.note(&error),
            Ok(ids) => {
                for entry in ids {
                    match entry {
                        Ok((id, _)) if readable.ids.contains_key(&id) => {}
                        Ok((id, _)) => {
                            named += 1;
                            if self.damage.lost_ids.len() < MOST_NAMED {
                                self.damage.lost_ids.push(id);
                            }
                        }
                        Err(error) => {
                            self.note(&error);
                            break;
                        }
                    }
                }
            }
        }
        self.damage.lost += named.max(lost.len() as u64);
    }

    fn note(&mut self, error: &EngineError) {
        if self.damage.reasons.len() < MOST_NAMED {
            self.damage.reasons.insert(error.to_string());
        }
    }
}

/// Makes a copy of a damaged directory with a new list of its files: for one whose own list is unreadable.
///
/// Tables and blobs are shared with the original where the file system has hard links; nothing there is changed.
pub(crate) fn relist(dir: &Path, copy: &Path, options: &EngineOptions) -> Result<()> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| EngineError::Io { path, source }
    };
    fs::create_dir(copy).map_err(at(copy))?;
    for entry in fs::read_dir(dir).map_err(at(dir))?.flatten() {
        let (from, to) = (entry.path(), copy.join(entry.file_name()));
        let end = from.extension().and_then(|end| end.to_str());
        let copied = match end {
            // These are never changed in place.
            Some("sst" | "blob") => {
                fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))
            }
            Some("log") => fs::copy(&from, &to).map(drop),
            _ => Ok(()),
        };
        copied.map_err(at(&from))?;
    }
    DB::repair(&Memory::new(options).salvaging(), copy).map_err(|error| open_error(copy, error))
}

/// The largest version that a table or an iterator knows of, or zero.
fn last_version(store: &Store, view: &View<'_>, collection: CollectionId) -> u64 {
    let by_iterator = view.last_version(collection).ok().flatten();
    let files = store.db.live_files().unwrap_or_default();
    let ends = files.into_iter().filter(|file| file.column_family_name == Family::Records.name());
    let within = |key: &Vec<u8>| collection.start() <= *key && *key < collection.end();
    let by_files = ends.filter_map(|file| file.end_key).filter(within);
    let by_files = by_files.filter_map(|key| version_of(&key)).max();
    by_iterator.into_iter().chain(by_files).max().unwrap_or(0)
}
