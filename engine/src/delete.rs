//! Deleting: one durable batch, then the tombstones, then the answer.

use std::collections::HashSet;

use crate::{
    error::{EngineError, Result},
    limits::MAX_BATCH_IDS,
    live::LiveCollection,
    store::{Batch, Store},
    upsert::entries_of,
};

/// Deletes records; says for each identifier whether it was there. One given twice is there once.
pub(crate) fn delete(store: &Store, live: &LiveCollection, ids: &[String]) -> Result<Vec<bool>> {
    check_ids(ids)?;
    store.check_writable()?;
    let writer = live.writer()?;
    let versions = store.view().versions(live.number, ids.iter().map(String::as_str))?;
    let entries = entries_of(store, live, &live.fields.schema(), &versions)?;
    let mut seen = HashSet::new();
    let mut batch = Batch::new(store);
    let mut gone = Vec::new();
    let mut there = Vec::with_capacity(ids.len());
    for ((id, version), entries) in ids.iter().zip(versions).zip(entries) {
        let version = version.filter(|_| seen.insert(id));
        if let Some(version) = version {
            batch.remove_id(live.number, id)?;
            batch.remove_version(live.number, version)?;
            batch.remove_entries(live.number, version, &entries)?;
            gone.push(version);
        }
        there.push(version.is_some());
    }
    let ticket = match gone.is_empty() {
        true => None,
        false => batch.write_in_turn(live.info.config.durability)?,
    };
    for version in &gone {
        live.forget(*version);
    }
    live.subtract_records(gone.len() as u64);
    drop(writer);
    store.wait_for_sync(ticket)?;
    Ok(there)
}

pub(crate) fn check_ids(ids: &[String]) -> Result<()> {
    if ids.len() <= MAX_BATCH_IDS {
        return Ok(());
    }
    let reason = format!("{} identifiers, allowed are {MAX_BATCH_IDS}; split it", ids.len());
    Err(EngineError::invalid("ids", reason))
}
