//! Reading records without a query: by identifier, page by page, or just how many.

use crate::{
    Filter, Page, StoredRecord,
    delete::check_ids,
    error::{EngineError, Result},
    limits::MAX_LIMIT,
    live::LiveCollection,
    store::{Store, View},
};

/// Records that a page reads at a time while it filters.
const READ_RECORDS: usize = 256;

/// The records of these identifiers, in order.
pub(crate) fn get(
    store: &Store,
    live: &LiveCollection,
    ids: &[String],
) -> Result<Vec<Option<StoredRecord>>> {
    check_ids(ids)?;
    let view = store.view();
    let versions = view.versions(live.number, ids.iter().map(String::as_str))?;
    let there: Vec<u64> = versions.iter().flatten().copied().collect();
    let mut records = view.records(live.number, &there)?.into_iter();
    Ok(versions.iter().map(|version| version.and_then(|_| records.next().flatten())).collect())
}

/// Up to `limit` records after `after` that pass the filter, in the order of identifiers.
pub(crate) fn scroll(
    store: &Store,
    live: &LiveCollection,
    after: Option<&str>,
    limit: usize,
    filter: Option<&Filter>,
) -> Result<Page> {
    if !(1..=MAX_LIMIT).contains(&limit) {
        let reason = format!("{limit} is out of range: allowed is 1 to {MAX_LIMIT}");
        return Err(EngineError::invalid("limit", reason));
    }
    filter.map_or(Ok(()), Filter::check)?;
    let view = store.view();
    let mut ids = view.ids(live.number, after)?;
    let mut page = Page::default();
    loop {
        let wanted = READ_RECORDS.min(limit - page.records.len() + 1);
        let versions: Vec<u64> =
            ids.by_ref().take(wanted).map(|entry| Ok(entry?.1)).collect::<Result<_>>()?;
        if versions.is_empty() {
            return Ok(page);
        }
        for record in passing(&view, live, &versions, filter)? {
            if page.records.len() == limit {
                // There is one more, so the page's last record is where the next page starts.
                page.next = page.records.last().map(|record| record.id.clone());
                return Ok(page);
            }
            page.records.push(record);
        }
    }
}

/// How many records pass the filter.
pub(crate) fn count(store: &Store, live: &LiveCollection, filter: Option<&Filter>) -> Result<u64> {
    let Some(filter) = filter else { return Ok(live.records()) };
    filter.check()?;
    Ok(matching(&store.view(), live, filter)?.len() as u64)
}

/// The versions of all records that pass a filter, ascending.
pub(crate) fn matching(
    view: &View<'_>,
    live: &LiveCollection,
    filter: &Filter,
) -> Result<Vec<u64>> {
    let mut versions = Vec::new();
    for entry in view.all_records(live.number)? {
        let (version, record) = entry?;
        if filter.matches(&record) {
            versions.push(version);
        }
    }
    Ok(versions)
}

fn passing(
    view: &View<'_>,
    live: &LiveCollection,
    versions: &[u64],
    filter: Option<&Filter>,
) -> Result<impl Iterator<Item = StoredRecord>> {
    let records = view.records(live.number, versions)?.into_iter().flatten();
    Ok(records.filter(move |record| filter.is_none_or(|filter| filter.matches(record))))
}
