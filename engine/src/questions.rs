//! What an engine is asked: records, pages, counts, searches and explanations. Each call ends with its caller's patience.

use crate::{
    Engine, ExplainRequest, Explanation, Filter, FilterPlan, Patience, SearchRequest,
    SearchResponse, StoredRecord, error::Result, explain, read, search,
};

/// A page of records in the order of their identifiers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The records.
    pub records: Vec<StoredRecord>,
    /// Give this as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

impl Engine {
    /// The records of these identifiers, in order; `None` where there is none.
    pub fn get(&self, collection: &str, ids: &[String]) -> Result<Vec<Option<StoredRecord>>> {
        read::get(&self.store, &*self.live(collection)?, ids)
    }

    /// Up to `limit` records after `after`, in the order of their identifiers.
    pub fn scroll(
        &self,
        collection: &str,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
    ) -> Result<Page> {
        self.scroll_within(collection, after, limit, filter, &Patience::endless())
    }

    /// As [`Engine::scroll`], for as long as the caller waits.
    pub fn scroll_within(
        &self,
        collection: &str,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
        patience: &Patience,
    ) -> Result<Page> {
        let live = self.live(collection)?;
        read::scroll(&self.store, &live, after, limit, (filter, patience))
            .map_err(|error| patience.explain(error))
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
        self.count_within(collection, filter, &Patience::endless())
    }

    /// As [`Engine::count_planned`], for as long as the caller waits.
    pub fn count_within(
        &self,
        collection: &str,
        filter: &Filter,
        patience: &Patience,
    ) -> Result<(u64, FilterPlan)> {
        read::count(&self.store, &*self.live(collection)?, filter, patience)
            .map_err(|error| patience.explain(error))
    }

    /// The best records for a query.
    pub fn search(&self, collection: &str, request: &SearchRequest) -> Result<SearchResponse> {
        self.search_within(collection, request, &Patience::endless())
    }

    /// As [`Engine::search`], for as long as the caller waits.
    pub fn search_within(
        &self,
        collection: &str,
        request: &SearchRequest,
        patience: &Patience,
    ) -> Result<SearchResponse> {
        let live = self.live(collection)?;
        search::search(&self.store, self.encoder().as_ref(), &live, request, patience)
            .map_err(|error| patience.explain(error))
    }

    /// Why a record scores as it does.
    pub fn explain(&self, collection: &str, request: &ExplainRequest) -> Result<Explanation> {
        self.explain_within(collection, request, &Patience::endless())
    }

    /// As [`Engine::explain`], for as long as the caller waits.
    pub fn explain_within(
        &self,
        collection: &str,
        request: &ExplainRequest,
        patience: &Patience,
    ) -> Result<Explanation> {
        let live = self.live(collection)?;
        explain::explain(&self.store, self.encoder().as_ref(), &live, request, patience)
            .map_err(|error| patience.explain(error))
    }
}
