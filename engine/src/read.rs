//! Reading records without a query: by identifier, page by page, or just how many.

use crate::{
    Filter, FilterPlan, Page, Patience, StoredRecord, Strategy,
    check::Checker,
    delete::check_ids,
    error::{EngineError, Result},
    filter::Prepared,
    limits::{MAX_ANSWER_BYTES, MAX_LIMIT},
    live::LiveCollection,
    plan::{self, Plan},
    select::select,
    store::{CollectionId, Store, View},
    unknown_fields,
};

/// Records that are in memory at one time beside an answer.
const READ_RECORDS: usize = 256;
/// Versions that are asked of the filter at one time.
const CHECK_VERSIONS: usize = 2_048;

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
    let mut records = records(&view, live, &there, "ids")?.into_iter();
    Ok(versions.iter().map(|version| version.and_then(|_| records.next().flatten())).collect())
}

/// Records of versions, in order; refuses more than an answer holds, naming the field that asks for fewer.
pub(crate) fn records(
    view: &View<'_>,
    live: &LiveCollection,
    versions: &[u64],
    field: &str,
) -> Result<Vec<Option<StoredRecord>>> {
    let mut records = Vec::with_capacity(versions.len());
    let mut bytes = 0;
    for versions in versions.chunks(READ_RECORDS) {
        let read = view.records(live.number, versions)?;
        bytes += read.iter().flatten().map(StoredRecord::rough_bytes).sum::<usize>();
        if bytes > MAX_ANSWER_BYTES {
            let reason = format!(
                "the records take more than {MAX_ANSWER_BYTES} bytes, which is the bound of an answer; ask for fewer"
            );
            return Err(EngineError::invalid(field, reason));
        }
        records.extend(read);
    }
    Ok(records)
}

/// Up to `limit` records after `after` that pass the filter, in the order of identifiers; fewer where they are large.
pub(crate) fn scroll(
    store: &Store,
    live: &LiveCollection,
    after: Option<&str>,
    limit: usize,
    (filter, patience): (Option<&Filter>, &Patience),
) -> Result<Page> {
    if !(1..=MAX_LIMIT).contains(&limit) {
        let reason = format!("{limit} is out of range: allowed is 1 to {MAX_LIMIT}");
        return Err(EngineError::invalid("limit", reason));
    }
    let filter = filter.map(Filter::prepare).transpose()?;
    let view = store.view();
    let checker = filter.as_ref().map(|filter| plan::checker(&view, live, filter, patience));
    let checker = checker.transpose()?;
    let mut ids = view.ids(live.number, after)?;
    let mut filler = Filler { limit, bytes: 0, page: Page::default() };
    let mut passing: Vec<u64> = Vec::new();
    let mut ended = false;
    while !ended {
        // Versions that may pass are gathered without reading a record; those that do are read.
        while passing.is_empty() && !ended {
            let mut open = Vec::new();
            patience.check()?;
            for entry in ids.by_ref().take(CHECK_VERSIONS) {
                open.push(entry?.1);
            }
            ended = open.len() < CHECK_VERSIONS;
            passing = kept(checker.as_ref(), open, &filler)?;
        }
        for versions in std::mem::take(&mut passing).chunks(READ_RECORDS) {
            let wanted = versions.len().min(filler.wanted());
            for record in view.records(live.number, &versions[..wanted])?.into_iter().flatten() {
                if !filler.take(record) {
                    return Ok(filler.page);
                }
            }
        }
    }
    Ok(filler.page)
}

/// Which versions pass; tests no more than the page may need.
fn kept(checker: Option<&Checker<'_>>, open: Vec<u64>, filler: &Filler) -> Result<Vec<u64>> {
    let Some(checker) = checker else { return Ok(open) };
    let mut kept = Vec::new();
    let possible = open.into_iter().filter(|v| checker.selection.possible.contains(*v));
    let possible: Vec<u64> = possible.collect();
    for versions in possible.chunks(READ_RECORDS) {
        let verdicts = checker.check(versions)?;
        kept.extend(versions.iter().zip(verdicts).filter_map(|(v, passes)| passes.then_some(*v)));
        if kept.len() >= filler.wanted() {
            break;
        }
    }
    Ok(kept)
}

/// A page that is being filled.
struct Filler {
    limit: usize,
    bytes: usize,
    page: Page,
}

impl Filler {
    /// Records that end the page for sure: the last of them only says that there are more.
    fn wanted(&self) -> usize {
        self.limit - self.page.records.len() + 1
    }

    /// False when the page is full, and this record is the first of the next one.
    fn take(&mut self, record: StoredRecord) -> bool {
        let bytes = record.rough_bytes();
        let full = self.page.records.len() == self.limit
            || self.bytes + bytes > MAX_ANSWER_BYTES && !self.page.records.is_empty();
        if full {
            self.page.next = self.page.records.last().map(|record| record.id.clone());
            return false;
        }
        self.bytes += bytes;
        self.page.records.push(record);
        true
    }
}

/// How many identifiers there are.
pub(crate) fn count_ids(view: &View<'_>, collection: CollectionId) -> Result<u64> {
    let mut records = 0;
    for entry in view.ids(collection, None)? {
        entry?;
        records += 1;
    }
    Ok(records)
}

/// How many records pass the filter, and how that was found out.
pub(crate) fn count(
    store: &Store,
    live: &LiveCollection,
    filter: &Filter,
    patience: &Patience,
) -> Result<(u64, FilterPlan)> {
    let prepared: Prepared = filter.prepare()?;
    let view = store.view();
    // Reading an index to its end is always less than reading the records.
    let selection = select(&view, live, &prepared, u64::MAX, patience)?;
    let checker = Checker::new(&view, live, &prepared, selection, patience);
    let estimated = plan::estimate(&checker)?;
    let certain = checker.selection.certain.len();
    let unsure: Vec<u64> =
        (&checker.selection.possible - &checker.selection.certain).iter().collect();
    let mut count = certain;
    for versions in unsure.chunks(READ_RECORDS) {
        count += checker.check(versions)?.into_iter().filter(|passes| *passes).count() as u64;
    }
    let plan = Plan { strategy: Strategy::List, estimated };
    let mut plan = plan::report(plan, live, &checker);
    if count == 0 {
        plan.warnings = unknown_fields::warnings(&view, live, &prepared)?;
    }
    Ok((count, plan))
}
