//! Points in the order of their insertion, read without a lock while others append and delete.
//!
//! A point never moves and is never changed: it is written once, counted, and perhaps marked dead.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::error::{IndexError, Result};

/// Slots of the first block; each block is twice as long as the one before.
const FIRST_BLOCK: usize = 1024;
const BLOCKS: usize = 22;

/// Most points of one index, tombstones included.
pub const MAX_POINTS: usize = 1 << 31;

/// One inserted vector.
pub(crate) struct Point {
    pub(crate) id: u64,
    /// Prepared by the metric.
    pub(crate) vector: Arc<[f32]>,
}

#[derive(Default)]
struct Slot {
    point: OnceLock<Point>,
    dead: AtomicBool,
}

pub(crate) struct Points {
    blocks: [OnceLock<Box<[Slot]>>; BLOCKS],
    len: AtomicUsize,
    dead: AtomicUsize,
    capacity: usize,
    /// Slot of every live identifier; its write lock is also what makes appends take turns.
    slots: RwLock<HashMap<u64, usize>>,
}

impl Points {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            blocks: std::array::from_fn(|_| OnceLock::new()),
            len: AtomicUsize::new(0),
            dead: AtomicUsize::new(0),
            capacity,
            slots: RwLock::default(),
        }
    }

    /// Number of slots in use, dead ones included: every slot below is readable.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn dead(&self) -> usize {
        self.dead.load(Ordering::Acquire)
    }

    pub(crate) fn append(&self, id: u64, vector: Arc<[f32]>) -> Result<()> {
        let mut slots = self.write_slots();
        if slots.contains_key(&id) {
            return Err(IndexError::IdTaken { id });
        }
        let at = self.len();
        if at >= self.capacity {
            return Err(IndexError::Full { capacity: self.capacity });
        }
        let (block, offset) = place(at);
        let block = self.blocks[block]
            .get_or_init(|| (0..FIRST_BLOCK << block).map(|_| Slot::default()).collect());
        let _ = block[offset].point.set(Point { id, vector });
        slots.insert(id, at);
        self.len.store(at + 1, Ordering::Release);
        Ok(())
    }

    /// Marks the point dead; false when there is no such live point.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut slots = self.write_slots();
        let Some(slot) = slots.remove(&id).and_then(|at| self.slot(at)) else { return false };
        slot.dead.store(true, Ordering::Release);
        self.dead.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// The point in a slot, unless it is dead or not there.
    pub(crate) fn live(&self, at: usize) -> Option<&Point> {
        let slot = self.slot(at)?;
        if slot.dead.load(Ordering::Acquire) { None } else { slot.point.get() }
    }

    /// The identifier that a slot was given, dead or not.
    pub(crate) fn id(&self, at: usize) -> Option<u64> {
        self.slot(at)?.point.get().map(|point| point.id)
    }

    /// The live points of these identifiers; others are skipped.
    pub(crate) fn find(&self, ids: &[u64]) -> Vec<&Point> {
        let slots = self.read_slots();
        let places: Vec<usize> = ids.iter().filter_map(|id| slots.get(id).copied()).collect();
        drop(slots);
        places.into_iter().filter_map(|at| self.live(at)).collect()
    }

    fn slot(&self, at: usize) -> Option<&Slot> {
        if at >= self.len() {
            return None;
        }
        let (block, offset) = place(at);
        self.blocks[block].get().map(|slots| &slots[offset])
    }

    fn read_slots(&self) -> RwLockReadGuard<'_, HashMap<u64, usize>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_slots(&self) -> RwLockWriteGuard<'_, HashMap<u64, usize>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Block and offset of a slot: block `b` starts at slot `FIRST_BLOCK * (2^b - 1)`.
fn place(at: usize) -> (usize, usize) {
    let block = (at / FIRST_BLOCK + 1).ilog2() as usize;
    (block, at - FIRST_BLOCK * ((1 << block) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_its_own_place() {
        let mut expected = (0, 0);
        for at in 0..10 * FIRST_BLOCK {
            assert_eq!(place(at), expected);
            expected.1 += 1;
            if expected.1 == FIRST_BLOCK << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(place(MAX_POINTS - 1).0 < BLOCKS);
    }

    #[test]
    fn an_id_is_taken_until_it_is_removed_and_capacity_counts_tombstones() {
        let points = Points::new(2);
        let vector: Arc<[f32]> = Arc::from([1.0f32].as_slice());
        points.append(7, vector.clone()).unwrap();
        assert_eq!(points.append(7, vector.clone()), Err(IndexError::IdTaken { id: 7 }));
        assert!(points.remove(7));
        assert!(!points.remove(7));
        points.append(7, vector.clone()).unwrap();
        assert_eq!(points.append(8, vector), Err(IndexError::Full { capacity: 2 }));
        assert_eq!((points.len(), points.dead()), (2, 1));
    }
}
