//! The fingerprints of a live collection, in memory where the budget allows; else structure filters read the store.
//!
//! They change in a writer's turn only, and readers never wait for one. A version that is not among them has no molecule, is
//! newer than they are, or was written before there were fingerprints; the last two are known as such.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use moiety_chem::{FINGERPRINT_BITS, SCREEN_BITS};
use moiety_index::{PrintTable, PrintView};

use crate::{
    Side,
    background::Stop,
    error::{EngineError, Result},
    fields::Versions,
    live::LiveCollection,
    prints::Prints,
    rebuild::Work,
    store::View,
};

/// Versions that may be left for the writer's turn.
const LAST_VERSIONS: u64 = 256;
/// How often a load catches up before it takes the turn all the same.
const CATCH_UPS: usize = 8;
/// Fingerprints between two looks at the stop sign.
const BETWEEN_LOOKS: usize = 1_024;

/// They lie in one table.
const _: () = assert!(FINGERPRINT_BITS == SCREEN_BITS);

/// The fingerprints of a collection, or nothing.
pub(crate) struct LivePrints(RwLock<Option<Arc<Held>>>);

struct Held {
    table: PrintTable,
    /// Versions that have a molecule and no fingerprints in the store.
    unprinted: Versions,
    /// Everything below is in the table, if it is anywhere.
    known: AtomicU64,
}

impl LivePrints {
    /// Of a collection without records.
    pub(crate) fn empty() -> Result<Self> {
        let (unprinted, known) = (Versions::new(), AtomicU64::new(0));
        let held = Held { table: PrintTable::new(FINGERPRINT_BITS)?, unprinted, known };
        Ok(Self(RwLock::new(Some(Arc::new(held)))))
    }

    /// Bytes that the fingerprints of so many molecules more take, where they are in memory.
    pub(crate) fn insertion_bytes(&self, molecules: usize) -> usize {
        if self.is_held() { molecules * PrintTable::row_bytes(FINGERPRINT_BITS) } else { 0 }
    }

    /// Takes the fingerprints of a version, in a writer's turn and before anyone is told of the version.
    pub(crate) fn push(&self, version: u64, prints: Option<&Prints>) -> Result<()> {
        let Some(held) = self.held() else { return Ok(()) };
        if let Some(prints) = prints {
            let (morgan, screen) = prints.to_words();
            held.table.push(version, &morgan, &screen)?;
        }
        held.known.store(version + 1, Ordering::Release);
        Ok(())
    }

    pub(crate) fn remove(&self, version: u64) {
        if let Some(held) = self.held() {
            held.table.remove(version);
        }
    }

    /// What is in memory at this moment, if anything.
    pub(crate) fn moment(&self) -> Option<PrintsMoment> {
        let held = self.held()?;
        let known = held.known.load(Ordering::Acquire);
        Some(PrintsMoment { rows: held.table.view(), known, held })
    }

    /// Gives the memory back; from now on the store is read.
    pub(crate) fn let_go(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.held().map_or(0, |held| held.table.memory_bytes())
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held().is_some()
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, held: Held) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(held));
    }
}

/// Fingerprints as they were at one moment.
pub(crate) struct PrintsMoment {
    pub(crate) rows: PrintView,
    known: u64,
    held: Arc<Held>,
}

impl PrintsMoment {
    /// Which of these versions may have a molecule although they are not among the rows.
    pub(crate) fn unsure(&self, within: &Versions) -> Versions {
        let mut unsure = within & &self.held.unprinted;
        if within.max().is_some_and(|last| last >= self.known) {
            let mut newer = within.clone();
            newer.remove_range(..self.known);
            unsure |= newer;
        }
        unsure
    }

    /// The fingerprints of a version.
    pub(crate) fn find(&self, version: u64) -> Option<Prints> {
        self.rows.find(version).and_then(Prints::from_words)
    }
}

/// Reads the fingerprints of a collection into memory, where they are not there and the budget allows; its vectors must be
/// there already. Writers and searches go on meanwhile. A load that is stopped leaves the store in use.
pub(crate) fn load(live: &LiveCollection, work: &Work<'_>) -> Result<()> {
    let Work { store, budget, stop, .. } = *work;
    let _alone = live.rebuild_turn();
    let prints = live.index(Side::Molecule).len() * PrintTable::row_bytes(FINGERPRINT_BITS);
    // The next graph is built in what they leave.
    let bytes = prints.saturating_add(live.build_bytes(0));
    if live.prints.is_held() || live.is_loading() || !budget.has_room(bytes) {
        return Ok(());
    }
    let table = PrintTable::new(FINGERPRINT_BITS)?;
    let turn = live.writer()?;
    let recording = live.record_forgotten();
    let mut next = 0;
    let (mut view, mut reached) = (store.view(), turn.next_version());
    drop(turn);
    for _ in 0..CATCH_UPS {
        if !fill(&view, live, &table, next, stop)? {
            return Ok(());
        }
        let turn = live.writer()?;
        next = reached;
        (view, reached) = (store.view(), turn.next_version());
        drop(turn);
        if reached - next <= LAST_VERSIONS {
            break;
        }
    }
    let turn = live.writer()?;
    if !fill(&store.view(), live, &table, next, stop)? {
        return Ok(());
    }
    recording.forgotten().into_iter().for_each(|version| {
        table.remove(version);
    });
    let unprinted = unprinted(live, &table, store.damage().is_some());
    live.prints.put(Held { table, unprinted, known: AtomicU64::new(turn.next_version()) });
    Ok(())
}

/// Adds all fingerprints of a view from this version on; false when it was stopped.
fn fill(
    view: &View<'_>,
    live: &LiveCollection,
    table: &PrintTable,
    first: u64,
    stop: &Stop,
) -> Result<bool> {
    for (count, entry) in view.prints_from(live.number, first)?.enumerate() {
        if count % BETWEEN_LOOKS == 0 && stop.is_set() {
            return Ok(false);
        }
        let (version, prints) = entry?;
        let (morgan, screen) = prints.to_words();
        table.push(version, &morgan, &screen).map_err(|error| {
            EngineError::corrupt(format!("fingerprints of version {version}"), error.to_string())
        })?;
    }
    Ok(!stop.is_set())
}

/// Versions whose molecule has a vector and no row. Where the store is damaged the vector may be lost as well, so that all
/// without a row are suspect.
fn unprinted(live: &LiveCollection, table: &PrintTable, damaged: bool) -> Versions {
    let (molecules, rows) = (live.index(Side::Molecule), table.view());
    if molecules.len() == rows.len() && !damaged {
        return Versions::new();
    }
    let has_molecule = |version: u64| damaged || molecules.contains(version);
    let lacks = |version: &u64| rows.find(*version).is_none() && has_molecule(*version);
    live.fields.versions().into_iter().filter(lacks).collect()
}
