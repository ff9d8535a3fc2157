//! Fingerprints that come and go, in memory: one for similarity, and beside each a screen for containment.
//!
//! Rows lie one after another in segments of a few thousand that never change, each in the order of its rows' number of
//! bits, so that a threshold leaves most of a segment unread (see `tanimoto.rs`). The last segment grows; it is copied when
//! somebody still reads it, so that readers see one moment and never wait for a scan or a copy. A segment with many removed
//! rows is written anew without them.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rayon::prelude::*;

use crate::{
    error::{IndexError, Result},
    flat::check_range,
    go_on::GoOn,
    print_segment::{Removed, Segment},
    tanimoto::{MAX_BITS, bits_of, bound},
};

/// Rows of a segment; one of 2,048 bits and a screen of as many takes a megabyte.
const SEGMENT_ROWS: usize = 2_048;
/// A segment is written anew when one row in so many is removed.
const REMOVED_SHARE: usize = 4;
/// Segments that are not worth a thread of their own.
const SEGMENTS_A_THREAD: usize = 4;

/// A growing table of fingerprints under ascending identifiers. All its methods may be called from many threads at once.
///
/// ```
/// use moiety_index::{GoOn, PrintTable};
///
/// let table = PrintTable::new(64)?;
/// table.push(3, &[0b0111], &[0b1])?;
/// table.push(7, &[0b0001], &[0b11])?;
/// let view = table.view();
/// assert_eq!(view.above(&[0b0011], 0.6, GoOn::ALWAYS)?, [3]);
/// assert_eq!(view.containing(&[0b10], GoOn::ALWAYS)?, [7]);
/// # Ok::<(), moiety_index::IndexError>(())
/// ```
pub struct PrintTable {
    /// Words of a fingerprint, and of a screen.
    words: usize,
    slots: RwLock<Arc<Vec<Slot>>>,
    /// The largest identifier ever added; held by whoever changes the table.
    last: Mutex<Option<u64>>,
}

/// A segment, and which of its rows are removed.
#[derive(Clone)]
struct Slot {
    rows: Arc<Segment>,
    removed: Arc<Removed>,
}

impl PrintTable {
    /// An empty table for fingerprints and screens of `bits` bits each.
    pub fn new(bits: usize) -> Result<Self> {
        check_range("bits", bits, 1..MAX_BITS + 1)?;
        Ok(Self { words: bits.div_ceil(64), slots: RwLock::default(), last: Mutex::default() })
    }

    /// Adds a fingerprint and its screen under an identifier above all that were ever added.
    pub fn push(&self, id: u64, print: &[u64], screen: &[u64]) -> Result<()> {
        check_words(self.words, print)?;
        check_words(self.words, screen)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last >= id) {
            return Err(IndexError::IdTaken { id });
        }
        *last = Some(id);
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slots = Arc::make_mut(&mut slots);
        if slots.last().is_none_or(|slot| slot.rows.is_sorted()) {
            slots.push(Slot::of(Segment::new(self.words)));
        }
        if let Some(slot) = slots.last_mut() {
            let rows = Arc::make_mut(&mut slot.rows);
            rows.push(id, print, screen);
            if rows.len() == SEGMENT_ROWS {
                *slot = slot.rewritten(self.words, None);
            }
        }
        Ok(())
    }

    /// Hides a row from all views that are taken later; false when there is none.
    pub fn remove(&self, id: u64) -> bool {
        let _turn = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let Some((at, row)) = find(&slots, id) else { return false };
        let slots = Arc::make_mut(&mut slots);
        Arc::make_mut(&mut slots[at].removed).insert(row);
        let Slot { rows, removed } = &slots[at];
        if removed.len() == rows.len() {
            slots.remove(at);
        } else if rows.is_sorted() && removed.len() * REMOVED_SHARE >= rows.len() {
            let joins = |next: &&Slot| {
                next.rows.is_sorted() && slots[at].live() + next.live() <= SEGMENT_ROWS
            };
            let next = slots.get(at + 1).filter(joins).cloned();
            slots[at] = slots[at].rewritten(self.words, next.as_ref());
            if next.is_some() {
                slots.remove(at + 1);
            }
        }
        true
    }

    /// The rows at this moment.
    pub fn view(&self) -> PrintView {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        PrintView { words: self.words, slots: Arc::clone(&slots) }
    }

    /// Memory of all rows, removed ones included, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.view().slots.iter().map(|slot| slot.rows.memory_bytes()).sum()
    }

    /// Memory that a row of so many bits takes, in bytes.
    pub fn row_bytes(bits: usize) -> usize {
        Segment::row_bytes(bits.div_ceil(64))
    }
}

impl Slot {
    fn of(rows: Segment) -> Self {
        Self { rows: Arc::new(rows), removed: Arc::default() }
    }

    fn live(&self) -> usize {
        self.rows.len() - self.removed.len()
    }

    /// The rows that are not removed, sorted, with those of the next slot if it is given.
    fn rewritten(&self, words: usize, next: Option<&Self>) -> Self {
        let mut rows = Segment::new(words);
        for slot in std::iter::once(self).chain(next) {
            rows.take(&slot.rows, &slot.removed);
        }
        Self::of(rows.sorted())
    }
}

/// The slot and the row of an identifier that is there.
fn find(slots: &[Slot], id: u64) -> Option<(usize, usize)> {
    let at = slots.partition_point(|slot| slot.rows.last_id() < Some(id));
    let Slot { rows, removed } = slots.get(at)?;
    let row = rows.find(id).filter(|&row| !removed.contains(row))?;
    Some((at, row))
}

fn check_words(expected: usize, row: &[u64]) -> Result<()> {
    if row.len() == expected {
        return Ok(());
    }
    Err(IndexError::Dimension { expected, found: row.len() })
}

/// The rows of a table at one moment.
#[derive(Clone)]
pub struct PrintView {
    words: usize,
    slots: Arc<Vec<Slot>>,
}

impl PrintView {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.slots.iter().map(Slot::live).sum()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The fingerprint and the screen of an identifier.
    pub fn find(&self, id: u64) -> Option<(&[u64], &[u64])> {
        let (at, row) = find(&self.slots, id)?;
        Some(self.slots[at].rows.row(row))
    }

    /// Identifiers of all rows whose Tanimoto similarity, rounded to 32 bits, is at least this, in no order; by all cores
    /// where there are many.
    pub fn above(&self, query: &[u64], at_least: f32, go_on: GoOn<'_>) -> Result<Vec<u64>> {
        check_words(self.words, query)?;
        let bits = bits_of(query);
        let enough = |count: &usize| bound(bits, *count) as f32 >= at_least;
        let counts = 0..self.words * 64 + 1;
        let Some(least) = counts.clone().find(enough) else { return go_on.finished(Vec::new()) };
        let counts = least..=counts.rev().find(enough).unwrap_or(least);
        self.each(go_on, |rows, found| rows.above((query, bits), counts.clone(), at_least, found))
    }

    /// Identifiers of all rows whose screen has every bit of the pattern, in no order; by all cores where there are many.
    pub fn containing(&self, pattern: &[u64], go_on: GoOn<'_>) -> Result<Vec<u64>> {
        check_words(self.words, pattern)?;
        let asked = pattern.iter().copied().enumerate().filter(|(_, word)| *word != 0);
        let asked: Vec<(usize, u64)> = asked.collect();
        self.each(go_on, |rows, found| rows.containing(&asked, found))
    }

    /// What is found in each segment, together.
    fn each(
        &self,
        go_on: GoOn<'_>,
        find: impl Fn(&Segment, &mut dyn FnMut(usize, u64)) + Sync,
    ) -> Result<Vec<u64>> {
        let collect = |mut found: Vec<u64>, slot: &Slot| {
            if go_on.is_wanted() {
                find(&slot.rows, &mut |row, id| {
                    if !slot.removed.contains(row) {
                        found.push(id);
                    }
                });
            }
            found
        };
        let found = if self.slots.len() <= SEGMENTS_A_THREAD {
            self.slots.iter().fold(Vec::new(), collect)
        } else {
            let slots = self.slots.par_iter().with_min_len(SEGMENTS_A_THREAD);
            slots.fold(Vec::new, collect).reduce(Vec::new, joined)
        };
        go_on.finished(found)
    }
}

fn joined(mut found: Vec<u64>, more: Vec<u64>) -> Vec<u64> {
    found.extend(more);
    found
}
