//! Reads that all see the same moment of the store.

use std::{
    collections::BTreeSet,
    ops::{Bound, ControlFlow, Range},
};

use moiety_index::prefetch;
use rocksdb::{
    DB, DBRawIteratorWithThreadMode, Direction, IteratorMode, ReadOptions, SnapshotWithThreadMode,
    properties::{self, PropName},
};

use super::{
    CollectionId, Store,
    frame::Reader,
    frame_error,
    key::{COLLECTION_PREFIX, Family, NEXT_COLLECTION, id_of, version_of},
    level_value,
    posting::KeyRange,
    salvage::Readable,
    settings::store_error,
    value,
};
use crate::{
    Side, StoredRecord,
    error::{EngineError, Result},
    levels::{Levels, StoredLevels},
    prints::Prints,
};

/// Values ahead of the one that is decoded whose bytes are asked for.
const AHEAD: usize = 2;

/// Bytes that are asked for at a time where all vectors are read.
const READ_AHEAD_BYTES: usize = 2 << 20;

/// A key and its value.
pub(crate) type Entry = (Box<[u8]>, Box<[u8]>);
/// What is read one after another.
type Each<'v, T> = Box<dyn Iterator<Item = Result<T>> + 'v>;

/// A moment of the store; it holds no lock, and later writes do not change it.
pub(crate) struct View<'a> {
    store: &'a Store,
    snapshot: SnapshotWithThreadMode<'a, DB>,
}

impl<'a> View<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, snapshot: store.db.snapshot() }
    }

    /// The version that each identifier names.
    pub(crate) fn versions<'i>(
        &self,
        collection: CollectionId,
        ids: impl IntoIterator<Item = &'i str>,
    ) -> Result<Vec<Option<u64>>> {
        let ids: Vec<&str> = ids.into_iter().collect();
        let keys: Vec<_> = ids.iter().map(|id| collection.id_key(id)).collect();
        let decode = |bytes: &[u8]| match version_of(bytes) {
            Some(version) if bytes.len() == 8 => Ok(version),
            _ => Err(EngineError::corrupt("identifier", "its version is not eight bytes")),
        };
        let Some(readable) = self.readable(collection) else {
            return self.multi_get(Family::Ids, &keys, decode);
        };
        let found = self.each(Family::Ids, &keys, decode)?;
        let known = |id: &str| readable.ids.get(id).copied();
        let versions = ids.iter().zip(found);
        versions
            .map(|(id, found)| found.or_else(|error| known(id).map(Some).ok_or(error)))
            .collect()
    }

    /// What can be read of a collection in a damaged directory; `None` where nothing is damaged.
    pub(crate) fn readable(&self, collection: CollectionId) -> Option<&'a Readable> {
        self.store.salvage.as_ref()?.readable(collection)
    }

    pub(crate) fn version(&self, collection: CollectionId, id: &str) -> Result<Option<u64>> {
        Ok(self.versions(collection, [id])?.pop().flatten())
    }

    pub(crate) fn records(
        &self,
        collection: CollectionId,
        versions: &[u64],
    ) -> Result<Vec<Option<StoredRecord>>> {
        let keys: Vec<_> = versions.iter().map(|&v| collection.record_key(v)).collect();
        self.multi_get(Family::Records, &keys, decode_record)
    }

    /// One result a version.
    pub(crate) fn each_record(
        &self,
        collection: CollectionId,
        versions: &[u64],
    ) -> Vec<Result<Option<StoredRecord>>> {
        let keys: Vec<_> = versions.iter().map(|&v| collection.record_key(v)).collect();
        match self.each(Family::Records, &keys, decode_record) {
            Ok(records) => records.collect(),
            Err(error) => vec![Err(error)],
        }
    }

    /// The stored bytes under a key.
    pub(crate) fn raw(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.multi_get(family, &[key], |bytes| Ok(bytes.to_vec()))?.pop().flatten())
    }

    pub(crate) fn vector(
        &self,
        collection: CollectionId,
        side: Side,
        version: u64,
    ) -> Result<Option<Vec<f32>>> {
        let keys = [collection.side_key(side, version)];
        Ok(self.multi_get(Family::Vectors, &keys, decode_vector)?.pop().flatten())
    }

    pub(crate) fn vectors(
        &self,
        collection: CollectionId,
        side: Side,
        versions: &[u64],
    ) -> Result<Vec<Option<Vec<f32>>>> {
        let keys: Vec<_> = versions.iter().map(|&v| collection.side_key(side, v)).collect();
        self.multi_get(Family::Vectors, &keys, decode_vector)
    }

    /// What `read` makes of the level vectors of each version, which it sees as they lie: one request, and nothing copied.
    pub(crate) fn each_levels<T>(
        &self,
        collection: CollectionId,
        side: Side,
        versions: &[u64],
        mut read: impl FnMut(&StoredLevels<'_>) -> T,
    ) -> Result<Vec<Option<T>>> {
        let keys: Vec<_> = versions.iter().map(|&v| collection.side_key(side, v)).collect();
        self.multi_get(Family::Levels, &keys, |bytes| {
            let levels = level_value::read_levels(bytes).map_err(frame_error(level_vectors))?;
            Ok(read(&levels))
        })
    }

    /// Level vectors with extents.
    pub(crate) fn levels(
        &self,
        collection: CollectionId,
        side: Side,
        version: u64,
    ) -> Result<Option<Levels>> {
        let keys = [collection.side_key(side, version)];
        let decode =
            |bytes: &[u8]| level_value::decode_levels(bytes).map_err(frame_error(level_vectors));
        Ok(self.multi_get(Family::Levels, &keys, decode)?.pop().flatten())
    }

    /// Identifiers after `after`, in order, with their versions.
    pub(crate) fn ids(
        &self,
        collection: CollectionId,
        after: Option<&str>,
    ) -> Result<Each<'_, (String, u64)>> {
        if let Some(readable) = self.readable(collection) {
            let after = after.map_or(Bound::Unbounded, Bound::Excluded);
            let ids = readable.ids.range::<str, _>((after, Bound::Unbounded));
            return Ok(Box::new(ids.map(|(id, version)| Ok((id.clone(), *version)))));
        }
        let start = match after {
            // The smallest key greater than that of `after`.
            Some(id) => [collection.id_key(id), vec![0]].concat(),
            None => collection.start(),
        };
        let entries = self.range(Family::Ids, start, collection.end())?;
        Ok(Box::new(entries.map(|entry| {
            let (key, value) = entry?;
            match (id_of(&key), version_of(&value)) {
                (Some(id), Some(version)) => Ok((id.to_owned(), version)),
                _ => Err(EngineError::corrupt("identifier", "its key or version is malformed")),
            }
        })))
    }

    /// Fingerprints of molecules; absent for a version without a molecule, or from before there were any.
    pub(crate) fn prints(
        &self,
        collection: CollectionId,
        versions: &[u64],
    ) -> Result<Vec<Option<Prints>>> {
        let keys: Vec<_> = versions.iter().map(|&v| collection.record_key(v)).collect();
        if self.readable(collection).is_some() {
            // The molecule says the same where its fingerprints are damaged.
            let prints = self.each(Family::Prints, &keys, decode_prints)?;
            return Ok(prints.map(|prints| prints.unwrap_or(None)).collect());
        }
        self.multi_get(Family::Prints, &keys, decode_prints)
    }

    /// Says whether the fingerprints of a version can be read, if it has any.
    pub(crate) fn check_prints(&self, collection: CollectionId, version: u64) -> Result<()> {
        let keys = [collection.record_key(version)];
        self.multi_get(Family::Prints, &keys, decode_prints).map(drop)
    }

    /// Fingerprints from this version on, in the order of versions.
    pub(crate) fn prints_from(
        &self,
        collection: CollectionId,
        first: u64,
    ) -> Result<Each<'_, (u64, Prints)>> {
        if let Some(readable) = self.readable(collection) {
            let versions: BTreeSet<u64> = readable.ids.values().copied().collect();
            let prints = move |version: u64| match self.prints(collection, &[version]) {
                Ok(mut found) => found.pop().flatten().map(|prints| Ok((version, prints))),
                Err(error) => Some(Err(error)),
            };
            let versions = versions.into_iter().filter(move |version| *version >= first);
            return Ok(Box::new(versions.filter_map(prints)));
        }
        let (start, end) = (collection.record_key(first), collection.end());
        let entries = self.range(Family::Prints, start, end)?;
        Ok(Box::new(entries.map(|entry| {
            let (key, value) = entry?;
            Ok((version_of_key(&key)?, decode_prints(&value)?))
        })))
    }

    /// The versions in a range of a field index, in the order of values; one with many values comes as often.
    pub(crate) fn entries(
        &self,
        range: KeyRange,
    ) -> Result<impl Iterator<Item = Result<u64>> + '_> {
        let entries = self.range(Family::Fields, range.start, range.end)?;
        Ok(entries.map(|entry| version_of_key(&entry?.0)))
    }

    /// About how many entries of the field indexes lie in each range, by bytes on the disk; `None` where less than
    /// `least_bytes` of all indexes are there, and so little can be told.
    pub(crate) fn estimated_entries(
        &self,
        ranges: &[KeyRange],
        least_bytes: u64,
    ) -> Result<Option<Vec<u64>>> {
        let (db, family) = (&self.store.db, self.store.family(Family::Fields)?);
        let number = |property: &PropName| db.property_int_value_cf(family, property);
        let bytes = number(properties::TOTAL_SST_FILES_SIZE).map_err(store_error)?.unwrap_or(0);
        let keys = number(properties::ESTIMATE_NUM_KEYS).map_err(store_error)?.unwrap_or(0);
        if bytes < least_bytes.max(1) {
            return Ok(None);
        }
        let entries = |range: &KeyRange| match range.start < range.end {
            true => {
                let range = rocksdb::Range::new(&range.start, &range.end);
                let size = db.get_approximate_sizes_cf(family, &[range]).first().copied();
                (size.unwrap_or(0) as f64 * keys as f64 / bytes as f64) as u64
            }
            false => 0,
        };
        Ok(Some(ranges.iter().map(entries).collect()))
    }

    /// Shows the global vectors of a side and of these versions, in their order, until there are no more or enough was seen.
    /// They are read past the cache, which would have to let go of everything else.
    pub(crate) fn each_vector(
        &self,
        collection: CollectionId,
        side: Side,
        versions: Range<u64>,
        mut visit: impl FnMut(u64, &[f32]) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        if let Some(readable) = self.readable(collection) {
            for &version in readable.whole.iter().filter(|version| versions.contains(version)) {
                let Some(vector) = self.vector(collection, side, version)? else { continue };
                if visit(version, &vector)?.is_break() {
                    break;
                }
            }
            return Ok(());
        }
        let mut vector = Vec::new();
        let mut entries = self.side_entries(collection, side, &versions)?;
        entries.seek_to_first();
        while let Some((key, value)) = entries.item() {
            value::decode_vector_into(value, &mut vector).map_err(frame_error(global_vector))?;
            if visit(version_of_key(key)?, &vector)?.is_break() {
                break;
            }
            entries.next();
        }
        entries.status().map_err(store_error)
    }

    /// So many ranges, or fewer, that hold all versions of a side with a vector; about as long each.
    pub(crate) fn vector_spans(
        &self,
        collection: CollectionId,
        side: Side,
        parts: usize,
    ) -> Result<Vec<Range<u64>>> {
        let ends = match self.readable(collection) {
            Some(readable) => {
                let whole = readable.whole.iter().copied();
                whole.clone().min().zip(whole.max())
            }
            None => {
                let mut entries = self.side_entries(collection, side, &(0..u64::MAX))?;
                entries.seek_to_first();
                let first = entries.key().map(version_of_key).transpose()?;
                entries.seek_to_last();
                let last = entries.key().map(version_of_key).transpose()?;
                entries.status().map_err(store_error)?;
                first.zip(last)
            }
        };
        Ok(spans(ends, parts))
    }

    /// The largest version of a collection.
    pub(crate) fn last_version(&self, collection: CollectionId) -> Result<Option<u64>> {
        if let Some(readable) = self.readable(collection) {
            return Ok(readable.ids.values().max().copied());
        }
        let mut options = self.options();
        options.set_iterate_lower_bound(collection.start());
        options.set_iterate_upper_bound(collection.end());
        let cf = self.store.family(Family::Records)?;
        match self.store.db.iterator_cf_opt(cf, options, IteratorMode::End).next() {
            None => Ok(None),
            Some(entry) => version_of_key(&entry.map_err(store_error)?.0).map(Some),
        }
    }

    /// The description of every collection.
    pub(crate) fn collections(&self) -> Result<Vec<String>> {
        let mut end = COLLECTION_PREFIX.to_vec();
        end.push(0xff);
        let entries = self.range(Family::Meta, COLLECTION_PREFIX.to_vec(), end)?;
        let decode = |value: &[u8]| Reader::open(value)?.string();
        entries
            .map(|entry| {
                let (key, value) = entry?;
                let what = || format!("collection {}", String::from_utf8_lossy(&key));
                decode(&value).map_err(frame_error(what))
            })
            .collect()
    }

    /// The number that the next collection gets.
    pub(crate) fn next_collection(&self) -> Result<CollectionId> {
        match self.snapshot.get(NEXT_COLLECTION).map_err(store_error)?.as_deref() {
            None => Ok(CollectionId(0)),
            Some(&[a, b, c, d]) => Ok(CollectionId(u32::from_be_bytes([a, b, c, d]))),
            Some(_) => Err(EngineError::corrupt("next collection", "it is not four bytes")),
        }
    }

    /// Whether any key of the collection is there.
    pub(crate) fn holds(&self, collection: CollectionId) -> Result<bool> {
        for family in Family::DATA {
            let mut entries = self.range(family, collection.start(), collection.end())?;
            if entries.next().transpose()?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every key and value of a collection in one family, as they are stored.
    pub(crate) fn stored(
        &self,
        family: Family,
        collection: CollectionId,
    ) -> Result<impl Iterator<Item = Result<Entry>> + '_> {
        self.range(family, collection.start(), collection.end())
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options
    }

    fn multi_get<T>(
        &self,
        family: Family,
        keys: &[impl AsRef<[u8]>],
        decode: impl FnMut(&[u8]) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        self.each(family, keys, decode)?.collect()
    }

    /// One result a key.
    fn each<T>(
        &self,
        family: Family,
        keys: &[impl AsRef<[u8]>],
        mut decode: impl FnMut(&[u8]) -> Result<T>,
    ) -> Result<impl Iterator<Item = Result<Option<T>>>> {
        let cf = self.store.family(family)?;
        let options = self.options();
        let mut values = self.store.db.batched_multi_get_cf_opt(cf, keys, false, &options);
        let decoded = move |at: usize| {
            if let Some(Ok(Some(later))) = values.get(at + AHEAD) {
                prefetch(later);
            }
            let value = std::mem::replace(&mut values[at], Ok(None)).map_err(store_error)?;
            value.map(|bytes| decode(&bytes)).transpose()
        };
        Ok((0..keys.len()).map(decoded))
    }

    /// Entries of the vectors of a side, by the versions in their keys.
    fn side_entries(
        &self,
        collection: CollectionId,
        side: Side,
        versions: &Range<u64>,
    ) -> Result<DBRawIteratorWithThreadMode<'_, DB>> {
        let mut options = self.options();
        options.fill_cache(false);
        options.set_readahead_size(READ_AHEAD_BYTES);
        options.set_iterate_lower_bound(collection.side_key(side, versions.start));
        options.set_iterate_upper_bound(collection.side_key(side, versions.end));
        let cf = self.store.family(Family::Vectors)?;
        Ok(self.store.db.raw_iterator_cf_opt(cf, options))
    }

    fn range(
        &self,
        family: Family,
        start: Vec<u8>,
        end: Vec<u8>,
    ) -> Result<impl Iterator<Item = Result<Entry>> + '_> {
        let mut options = self.options();
        options.set_iterate_upper_bound(end);
        let cf = self.store.family(family)?;
        let mode = IteratorMode::From(&start, Direction::Forward);
        let entries = self.store.db.iterator_cf_opt(cf, options, mode);
        Ok(entries.map(|entry| entry.map_err(store_error)))
    }
}

/// Cuts the versions from the first to the last into so many ranges.
fn spans(ends: Option<(u64, u64)>, parts: usize) -> Vec<Range<u64>> {
    let Some((first, last)) = ends else { return Vec::new() };
    let step = ((last - first) / parts.max(1) as u64 + 1) as usize;
    let starts = (first..=last).step_by(step);
    starts.map(|start| start..(start + step as u64).min(last + 1)).collect()
}

fn version_of_key(key: &[u8]) -> Result<u64> {
    version_of(key).ok_or_else(|| EngineError::corrupt("key", "it has no version"))
}

fn global_vector() -> String {
    "global vector".to_owned()
}

fn level_vectors() -> String {
    "level vectors".to_owned()
}

fn decode_record(bytes: &[u8]) -> Result<StoredRecord> {
    value::decode_record(bytes).map_err(frame_error(|| "record".to_owned()))
}

fn decode_prints(bytes: &[u8]) -> Result<Prints> {
    value::decode_prints(bytes).map_err(frame_error(|| "fingerprints".to_owned()))
}

fn decode_vector(bytes: &[u8]) -> Result<Vec<f32>> {
    value::decode_vector(bytes).map_err(frame_error(global_vector))
}
