//! The engine: an encoder and a directory of collections.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use moiety_encoder::{Encoder, property::Heads};

use crate::{
    Acknowledged, CollectionConfig, CollectionInfo, CollectionStats, Durability, ExplainRequest,
    Explanation, Filter, FilterPlan, IndexInfo, IndexSpec, Record, RecordError, SearchRequest,
    SearchResponse, StoredRecord, delete,
    error::{EngineError, Result},
    explain, index_field,
    limits::MAX_COLLECTIONS,
    live::LiveCollection,
    read,
    schema::Schema,
    search,
    store::{Batch, CollectionId, Store, key::FORMAT_VERSION},
    upsert,
};

/// How an engine uses the machine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Memory for the store's cache of blocks, in bytes.
    pub cache_bytes: usize,
    /// Indexes with fewer vectors than this have no graph and are always searched exactly.
    pub exact_below: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20, exact_below: moiety_index::EXACT_BELOW }
    }
}

/// A page of records in the order of their identifiers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The records.
    pub records: Vec<StoredRecord>,
    /// Give this as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

/// A directory of collections, open in this process alone.
///
/// All methods may be called from many threads at once. Writers of one collection take turns; searches wait for nobody.
pub struct Engine {
    store: Store,
    encoder: Arc<dyn Encoder>,
    /// What predicts properties; none unless given.
    pub(crate) heads: Heads,
    options: EngineOptions,
    collections: RwLock<BTreeMap<String, Arc<LiveCollection>>>,
    /// Held while the set of collections changes.
    schema: Mutex<()>,
}

impl Engine {
    /// Opens the directory, making it if need be, and reads all vectors into memory. Graphs are built in the background;
    /// until they are, search is exact.
    ///
    /// Fails when another process has it open, when it was written in another format, or when a collection was written
    /// with another model.
    pub fn open(dir: &Path, encoder: Arc<dyn Encoder>, options: EngineOptions) -> Result<Engine> {
        let store = Store::open(dir, options.cache_bytes)?;
        let mut collections = BTreeMap::new();
        let view = store.view();
        for description in view.collections()? {
            let live = LiveCollection::described(&description, options.exact_below)?;
            live.check_model(encoder.info())?;
            let live = live.replay(&view)?;
            index_field::resume(&store, &live)?;
            collections.insert(live.info.config.name.clone(), Arc::new(live));
        }
        drop(view);
        let (collections, schema) = (RwLock::new(collections), Mutex::new(()));
        Ok(Engine { store, encoder, heads: Heads::default(), options, collections, schema })
    }

    /// The encoder it was opened with.
    pub fn encoder(&self) -> &Arc<dyn Encoder> {
        &self.encoder
    }

    /// Makes an empty collection for vectors of the engine's model.
    pub fn create_collection(&self, config: CollectionConfig) -> Result<CollectionInfo> {
        config.check()?;
        let _turn = self.schema.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_free(&config.name)?;
        let model = self.encoder.info();
        let schema = Schema::of(&config.indexes)?;
        let info = CollectionInfo {
            // The schema has them from now on.
            config: CollectionConfig { indexes: Vec::new(), ..config },
            model: model.name.clone(),
            fingerprint: model.fingerprint.clone(),
            global_dim: model.global_dim,
            part_dim: model.part_dim,
            format_version: FORMAT_VERSION,
        };
        let number = self.store.view().next_collection()?;
        let next = CollectionId(number.0 + 1);
        let live = LiveCollection::empty(number, info, schema, self.options.exact_below)?;
        let info = live.current_info();
        let name = info.config.name.clone();
        let mut batch = Batch::new(&self.store);
        batch.put_collection(&name, &live.describe()?)?;
        batch.put_next_collection(next)?;
        batch.write(Durability::Fsync)?;
        self.write_collections().insert(name, Arc::new(live));
        Ok(info)
    }

    /// All collections, by name.
    pub fn list_collections(&self) -> Vec<CollectionInfo> {
        self.read_collections().values().map(|live| live.current_info()).collect()
    }

    /// One collection.
    pub fn collection(&self, name: &str) -> Result<CollectionInfo> {
        Ok(self.live(name)?.current_info())
    }

    /// Removes a collection with all its records.
    pub fn drop_collection(&self, name: &str) -> Result<()> {
        let _turn = self.schema.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live(name)?;
        let mut writer = live.writer()?;
        let mut batch = Batch::new(&self.store);
        batch.remove_collection(name, live.number)?;
        batch.write(Durability::Fsync)?;
        writer.close();
        self.write_collections().remove(name);
        Ok(())
    }

    /// How large a collection is, and how ready.
    pub fn stats(&self, name: &str) -> Result<CollectionStats> {
        let live = self.live(name)?;
        Ok(live.stats(self.store.disk_bytes(live.number)))
    }

    /// Makes an index of a field, and comes back when filters use it; writes and searches go on meanwhile.
    ///
    /// Fails where a record has a value of another type there; records that come later are refused one by one. When the
    /// process ends before it is done, the next open finishes it.
    pub fn create_index(&self, collection: &str, spec: &IndexSpec) -> Result<IndexInfo> {
        index_field::create(&self.store, &*self.live(collection)?, spec)
    }

    /// Drops the index of a field; filters on it read records from now on.
    pub fn drop_index(&self, collection: &str, field: &str) -> Result<()> {
        index_field::drop_index(&self.store, &*self.live(collection)?, field)
    }

    /// The indexes of a collection, and how far those are that are being built.
    pub fn indexes(&self, collection: &str) -> Result<Vec<IndexInfo>> {
        Ok(self.live(collection)?.fields.indexes())
    }

    /// Writes records durably and makes them searchable; one result per record, in order.
    ///
    /// A record that cannot be taken does not keep the others from being written. An error of the whole call means that
    /// none of them was acknowledged.
    pub fn upsert(
        &self,
        collection: &str,
        records: Vec<Record>,
    ) -> Result<Vec<std::result::Result<Acknowledged, RecordError>>> {
        upsert::upsert(&self.store, &self.encoder, &*self.live(collection)?, records)
    }

    /// The records of these identifiers, in order; `None` where there is none.
    pub fn get(&self, collection: &str, ids: &[String]) -> Result<Vec<Option<StoredRecord>>> {
        read::get(&self.store, &*self.live(collection)?, ids)
    }

    /// Deletes records durably and at once; says for each identifier whether there was one.
    pub fn delete(&self, collection: &str, ids: &[String]) -> Result<Vec<bool>> {
        delete::delete(&self.store, &*self.live(collection)?, ids)
    }

    /// Up to `limit` records after `after`, in the order of their identifiers.
    pub fn scroll(
        &self,
        collection: &str,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<Page> {
        read::scroll(&self.store, &*self.live(collection)?, after, limit, filter)
    }

    /// How many records there are, or how many pass the filter.
    pub fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64> {
        match filter {
            None => Ok(self.live(collection)?.records()),
            Some(filter) => Ok(self.count_planned(collection, filter)?.0),
        }
    }

    /// How many records pass the filter, and how that was found out.
    pub fn count_planned(&self, collection: &str, filter: &Filter) -> Result<(u64, FilterPlan)> {
        read::count(&self.store, &*self.live(collection)?, filter)
    }

    /// The best records for a query.
    pub fn search(&self, collection: &str, request: &SearchRequest) -> Result<SearchResponse> {
        search::search(&self.store, self.encoder.as_ref(), &*self.live(collection)?, request)
    }

    /// Why a record scores as it does.
    pub fn explain(&self, collection: &str, request: &ExplainRequest) -> Result<Explanation> {
        explain::explain(&self.store, self.encoder.as_ref(), &*self.live(collection)?, request)
    }

    fn live(&self, name: &str) -> Result<Arc<LiveCollection>> {
        let live = self.read_collections().get(name).cloned();
        live.ok_or_else(|| EngineError::CollectionNotFound { name: name.to_owned() })
    }

    fn check_free(&self, name: &str) -> Result<()> {
        let collections = self.read_collections();
        if collections.contains_key(name) {
            return Err(EngineError::CollectionExists { name: name.to_owned() });
        }
        if collections.len() >= MAX_COLLECTIONS {
            let reason = format!("there are {MAX_COLLECTIONS} collections, which is the bound");
            return Err(EngineError::invalid("name", reason));
        }
        Ok(())
    }

    fn read_collections(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<LiveCollection>>> {
        self.collections.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_collections(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<LiveCollection>>> {
        self.collections.write().unwrap_or_else(PoisonError::into_inner)
    }
}
