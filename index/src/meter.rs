//! What the indexes that share a bound take of memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts the bytes of all that it was given to, while they are held; clones count together.
#[derive(Clone, Debug)]
pub struct Meter {
    used: Arc<AtomicUsize>,
    bound: usize,
}

impl Meter {
    /// Nothing taken yet of so many bytes.
    pub fn bounded(bound: usize) -> Self {
        Self { used: Arc::default(), bound }
    }

    /// Bytes taken now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// The most that should be taken. Vectors are taken all the same, as someone has promised to keep them; graphs are not
    /// built beyond it.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// Whether so many bytes more stay within the bound.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.bound
    }

    /// Counts bytes until the charge is dropped, beyond the bound too.
    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        Charge { used: Arc::clone(&self.used), bytes: AtomicUsize::new(bytes) }
    }

    /// The same, within the bound or not at all.
    pub(crate) fn try_charge(&self, bytes: usize) -> Option<Charge> {
        let within = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.bound);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, within).ok()?;
        Some(Charge { used: Arc::clone(&self.used), bytes: AtomicUsize::new(bytes) })
    }
}

impl Default for Meter {
    /// Without a bound.
    fn default() -> Self {
        Self::bounded(usize::MAX)
    }
}

/// Bytes that are counted until it is dropped.
pub(crate) struct Charge {
    used: Arc<AtomicUsize>,
    bytes: AtomicUsize,
}

impl Charge {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes(), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_and_no_more_is_lent_than_there_is() {
        let meter = Meter::bounded(100);
        let held = meter.charge(60);
        held.add(20);
        assert!(meter.try_charge(21).is_none() && !meter.has_room(21));
        let lent = meter.clone().try_charge(20);
        assert_eq!((meter.used(), held.bytes(), lent.is_some()), (100, 80, true));
        drop((held, lent));
        assert_eq!(meter.used(), 0);
        assert!(Meter::default().try_charge(usize::MAX).is_some());
    }
}
