//! Writes that happen together.

use rocksdb::WriteBatch;

use super::{
    CollectionId, Store,
    frame::Writer,
    key::{Family, NEXT_COLLECTION, collection_key},
    posting::FieldValue,
    settings::{store_error, write_options},
    sync::Ticket,
    value,
};
use crate::{Durability, Side, error::Result, prints::Prints};

/// Both values of one side of a record.
pub(crate) struct SideValue {
    pub(crate) vector: Vec<f32>,
    /// As `encode_levels` gives it.
    pub(crate) levels: Vec<u8>,
}

/// Changes that are written whole or not at all.
pub(crate) struct Batch<'a> {
    store: &'a Store,
    writes: WriteBatch,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, writes: WriteBatch::default() }
    }

    /// Makes `id` name this version; `record` is as `encode_record` gives it.
    pub(crate) fn put_record(
        &mut self,
        collection: CollectionId,
        id: &str,
        version: u64,
        record: &[u8],
    ) -> Result<()> {
        self.put(Family::Ids, collection.id_key(id), &version.to_be_bytes())?;
        self.put(Family::Records, collection.record_key(version), record)
    }

    pub(crate) fn put_side(
        &mut self,
        collection: CollectionId,
        side: Side,
        version: u64,
        values: &SideValue,
    ) -> Result<()> {
        let key = collection.side_key(side, version);
        self.put(Family::Levels, key, &values.levels)?;
        self.put(Family::Vectors, key, &value::encode_vector(&values.vector))
    }

    pub(crate) fn put_prints(
        &mut self,
        collection: CollectionId,
        version: u64,
        prints: &Prints,
    ) -> Result<()> {
        self.put(Family::Prints, collection.record_key(version), &value::encode_prints(prints))
    }

    /// Adds what a version has in field indexes.
    pub(crate) fn put_entries(
        &mut self,
        collection: CollectionId,
        version: u64,
        entries: &[(u32, FieldValue)],
    ) -> Result<()> {
        entries.iter().try_for_each(|(index, value)| {
            self.put(Family::Fields, collection.field_key(*index, value, version), &[])
        })
    }

    /// Removes what a version has in field indexes.
    pub(crate) fn remove_entries(
        &mut self,
        collection: CollectionId,
        version: u64,
        entries: &[(u32, FieldValue)],
    ) -> Result<()> {
        entries.iter().try_for_each(|(index, value)| {
            self.delete(Family::Fields, collection.field_key(*index, value, version))
        })
    }

    /// Removes all entries of a field index.
    pub(crate) fn remove_index(&mut self, collection: CollectionId, index: u32) -> Result<()> {
        let range = collection.index_range(index);
        self.writes.delete_range_cf(self.store.family(Family::Fields)?, range.start, range.end);
        Ok(())
    }

    /// Removes all keys of a version but the one of its identifier and its entries in field indexes.
    pub(crate) fn remove_version(&mut self, collection: CollectionId, version: u64) -> Result<()> {
        self.delete(Family::Records, collection.record_key(version))?;
        self.delete(Family::Prints, collection.record_key(version))?;
        for side in Side::ALL {
            let key = collection.side_key(side, version);
            self.delete(Family::Levels, key)?;
            self.delete(Family::Vectors, key)?;
        }
        Ok(())
    }

    pub(crate) fn remove_id(&mut self, collection: CollectionId, id: &str) -> Result<()> {
        self.delete(Family::Ids, collection.id_key(id))
    }

    /// Writes what a collection is.
    pub(crate) fn put_collection(&mut self, name: &str, description: &str) -> Result<()> {
        let mut writer = Writer::new();
        writer.str(description);
        self.put(Family::Meta, collection_key(name), &writer.seal())
    }

    /// Writes the number that the next collection gets.
    pub(crate) fn put_next_collection(&mut self, next: CollectionId) -> Result<()> {
        self.put(Family::Meta, NEXT_COLLECTION, &next.0.to_be_bytes())
    }

    /// Removes a collection and all its keys.
    pub(crate) fn remove_collection(&mut self, name: &str, collection: CollectionId) -> Result<()> {
        self.delete(Family::Meta, collection_key(name))?;
        self.remove_contents(collection)
    }

    /// Bytes as another store had them.
    pub(crate) fn put_raw(&mut self, family: Family, key: Vec<u8>, value: &[u8]) -> Result<()> {
        self.put(family, key, value)
    }

    /// Removes all keys of a collection but its description.
    pub(crate) fn remove_contents(&mut self, collection: CollectionId) -> Result<()> {
        for family in Family::DATA {
            let cf = self.store.family(family)?;
            self.writes.delete_range_cf(cf, collection.start(), collection.end());
        }
        Ok(())
    }

    /// Bytes of all keys and values.
    pub(crate) fn bytes(&self) -> u64 {
        self.writes.size_in_bytes() as u64
    }

    /// When this returns, all is as durable as asked; a ticket says what is still to be waited for before that.
    pub(crate) fn write_in_turn(self, durability: Durability) -> Result<Option<Ticket>> {
        self.store.check_writable()?;
        let options = write_options(durability == Durability::Fsync);
        self.store.db.write_opt(self.writes, &options).map_err(store_error)?;
        Ok((durability == Durability::Grouped).then(|| self.store.sync.ticket()))
    }

    /// When this returns, all is as durable as asked.
    pub(crate) fn write(self, durability: Durability) -> Result<()> {
        let store = self.store;
        store.wait_for_sync(self.write_in_turn(durability)?)
    }

    fn put(&mut self, family: Family, key: impl AsRef<[u8]>, value: &[u8]) -> Result<()> {
        self.writes.put_cf(self.store.family(family)?, key, value);
        Ok(())
    }

    fn delete(&mut self, family: Family, key: impl AsRef<[u8]>) -> Result<()> {
        self.writes.delete_cf(self.store.family(family)?, key);
        Ok(())
    }
}
