//! Writes that happen together.

use rocksdb::WriteBatch;

use super::{
    CollectionId, Store,
    frame::Writer,
    key::{Family, NEXT_COLLECTION, collection_key},
    store_error, value, write_options,
};
use crate::{Durability, Side, error::Result};

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
        self.put(Family::Levels, key.clone(), &values.levels)?;
        self.put(Family::Vectors, key, &value::encode_vector(&values.vector))
    }

    /// Removes all keys of a version but the one of its identifier.
    pub(crate) fn remove_version(&mut self, collection: CollectionId, version: u64) -> Result<()> {
        self.delete(Family::Records, collection.record_key(version))?;
        for side in Side::ALL {
            let key = collection.side_key(side, version);
            self.delete(Family::Levels, key.clone())?;
            self.delete(Family::Vectors, key)?;
        }
        Ok(())
    }

    pub(crate) fn remove_id(&mut self, collection: CollectionId, id: &str) -> Result<()> {
        self.delete(Family::Ids, collection.id_key(id))
    }

    /// Writes what a collection is, and the number that the next one gets.
    pub(crate) fn put_collection(
        &mut self,
        name: &str,
        description: &str,
        next: CollectionId,
    ) -> Result<()> {
        let mut writer = Writer::new();
        writer.str(description);
        self.put(Family::Meta, collection_key(name), &writer.seal())?;
        self.put(Family::Meta, NEXT_COLLECTION.to_vec(), &next.0.to_be_bytes())
    }

    /// Removes a collection and all its keys.
    pub(crate) fn remove_collection(&mut self, name: &str, collection: CollectionId) -> Result<()> {
        self.delete(Family::Meta, collection_key(name))?;
        for family in Family::DATA {
            let cf = self.store.family(family)?;
            self.writes.delete_range_cf(cf, collection.start(), collection.end());
        }
        Ok(())
    }

    /// When this returns, all is as durable as asked.
    pub(crate) fn write(self, durability: Durability) -> Result<()> {
        self.store.db.write_opt(self.writes, &write_options(durability)).map_err(store_error)
    }

    fn put(&mut self, family: Family, key: Vec<u8>, value: &[u8]) -> Result<()> {
        self.writes.put_cf(self.store.family(family)?, key, value);
        Ok(())
    }

    fn delete(&mut self, family: Family, key: Vec<u8>) -> Result<()> {
        self.writes.delete_cf(self.store.family(family)?, key);
        Ok(())
    }
}
