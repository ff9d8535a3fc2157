//! The engine: an encoder and a directory of collections.

use std::{path::Path, sync::Arc};

use moiety_encoder::Encoder;

use crate::{
    Acknowledged, CollectionConfig, CollectionInfo, CollectionStats, ExplainRequest, Explanation,
    Filter, Record, RecordError, SearchRequest, SearchResponse, StoredRecord, error::Result,
};

/// How an engine uses the machine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Memory for the store's cache of blocks, in bytes.
    pub cache_bytes: usize,
    /// Collections smaller than this are always searched exactly.
    pub exact_below: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20, exact_below: 10_000 }
    }
}

/// A page of records in the order of their identifiers.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<StoredRecord>,
    /// Give this as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

/// A directory of collections, open in this process alone.
pub struct Engine {
    _encoder: Arc<dyn Encoder>,
}

impl Engine {
    /// Opens the directory, making it if need be.
    pub fn open(dir: &Path, encoder: Arc<dyn Encoder>, options: EngineOptions) -> Result<Engine> {
        let _ = (dir, options);
        Ok(Engine { _encoder: encoder })
    }
    /// The encoder it was opened with.
    pub fn encoder(&self) -> &Arc<dyn Encoder> {
        &self._encoder
    }
    /// Makes an empty collection.
    pub fn create_collection(&self, config: CollectionConfig) -> Result<CollectionInfo> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// All collections, by name.
    pub fn list_collections(&self) -> Vec<CollectionInfo> {
        Vec::new()
    }
    /// One collection.
    pub fn collection(&self, name: &str) -> Result<CollectionInfo> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// Removes a collection with all its records.
    pub fn drop_collection(&self, name: &str) -> Result<()> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// How large a collection is.
    pub fn stats(&self, name: &str) -> Result<CollectionStats> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// Writes records durably, then makes them searchable.
    pub fn upsert(
        &self,
        collection: &str,
        records: Vec<Record>,
    ) -> Result<Vec<std::result::Result<Acknowledged, RecordError>>> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// The records of these identifiers, in order; `None` where there is none.
    pub fn get(&self, collection: &str, ids: &[String]) -> Result<Vec<Option<StoredRecord>>> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// Deletes records; says for each identifier whether there was one.
    pub fn delete(&self, collection: &str, ids: &[String]) -> Result<Vec<bool>> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// A page of records in the order of their identifiers.
    pub fn scroll(
        &self,
        collection: &str,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<Page> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// How many records there are, or how many pass the filter.
    pub fn count(&self, collection: &str, filter: Option<&Filter>) -> Result<u64> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// The best records for a query.
    pub fn search(&self, collection: &str, request: &SearchRequest) -> Result<SearchResponse> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
    /// Why a record scores as it does.
    pub fn explain(&self, collection: &str, request: &ExplainRequest) -> Result<Explanation> {
        Err(crate::EngineError::Store("this build has the types only".into()))
    }
}
