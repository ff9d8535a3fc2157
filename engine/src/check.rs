//! Testing candidates against a filter: only where the indexes are not sure, each record at most once a call.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use rayon::prelude::*;

use crate::{
    Patience, StoredRecord,
    error::{EngineError, Result},
    filter::{Prepared, Subject},
    live::LiveCollection,
    prints::Prints,
    select::Selection,
    store::View,
};

/// Records in memory at one time.
const READ_RECORDS: usize = 256;

/// Answers whether versions pass, at one moment of the store, for as long as the caller waits.
pub(crate) struct Checker<'a> {
    view: &'a View<'a>,
    live: &'a LiveCollection,
    filter: &'a Prepared,
    patience: &'a Patience,
    pub(crate) selection: Selection,
    tested: Mutex<Tested>,
}

#[derive(Default)]
struct Tested {
    verdicts: HashMap<u64, bool>,
    /// The first that went wrong where it could not be returned.
    failed: Option<EngineError>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(
        view: &'a View<'a>,
        live: &'a LiveCollection,
        filter: &'a Prepared,
        selection: Selection,
        patience: &'a Patience,
    ) -> Self {
        Self { view, live, filter, patience, selection, tested: Mutex::default() }
    }

    /// Whether a version passes; for the index, which cannot take an error: see [`Checker::finish`].
    pub(crate) fn accepts(&self, version: u64) -> bool {
        if self.tested().failed.is_some() {
            return false;
        }
        match self.check(&[version]) {
            Ok(verdicts) => verdicts == [true],
            Err(error) => {
                self.tested().failed.get_or_insert(error);
                false
            }
        }
    }

    /// Which of the versions pass, in order. A version that was deleted meanwhile does not.
    pub(crate) fn check(&self, versions: &[u64]) -> Result<Vec<bool>> {
        let mut open: Vec<u64> = Vec::new();
        {
            let tested = self.tested();
            let unsure = |version: &&u64| {
                self.selection.possible.contains(**version)
                    && !self.selection.certain.contains(**version)
                    && !tested.verdicts.contains_key(version)
            };
            open.extend(versions.iter().filter(unsure));
        }
        for versions in open.chunks(READ_RECORDS) {
            let verdicts = self.test(versions)?;
            self.tested().verdicts.extend(versions.iter().copied().zip(verdicts));
        }
        let tested = self.tested();
        let verdict = |version: &u64| {
            self.selection.certain.contains(*version)
                || tested.verdicts.get(version).copied().unwrap_or(false)
        };
        Ok(versions.iter().map(verdict).collect())
    }

    /// Number of records tested so far, and how many of them passed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let tested = self.tested();
        let passed = tested.verdicts.values().filter(|passed| **passed).count();
        (tested.verdicts.len() as u64, passed as u64)
    }

    /// Fails where a test failed that [`Checker::accepts`] answered.
    pub(crate) fn finish(&self) -> Result<()> {
        self.tested().failed.take().map_or(Ok(()), Err)
    }

    fn test(&self, versions: &[u64]) -> Result<Vec<bool>> {
        let records = self.view.records(self.live.number, versions)?;
        let prints = match self.filter.wants_prints {
            true => self.prints(versions)?,
            false => Vec::new(),
        };
        let test = |(at, record): (usize, &Option<StoredRecord>)| match record {
            None => Ok(false),
            Some(record) => {
                // Matching a pattern can take long.
                self.patience.check()?;
                let prints = prints.get(at).and_then(Option::as_ref);
                Subject::new(record, prints).passes(&self.filter.root)
            }
        };
        if self.filter.wants_prints && records.len() > 1 {
            records.par_iter().enumerate().map(test).collect()
        } else {
            records.iter().enumerate().map(test).collect()
        }
    }

    /// From memory, or from the store.
    fn prints(&self, versions: &[u64]) -> Result<Vec<Option<Prints>>> {
        match self.live.prints.moment() {
            Some(held) => Ok(versions.iter().map(|version| held.find(*version)).collect()),
            None => self.view.prints(self.live.number, versions),
        }
    }

    fn tested(&self) -> std::sync::MutexGuard<'_, Tested> {
        self.tested.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
