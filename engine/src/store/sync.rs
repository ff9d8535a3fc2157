//! One sync for all writers that wait for one.
//!
//! A writer takes a ticket when its batch is in the log. The first that waits syncs the log for every ticket given so far;
//! the others wait for it. No timer is involved: under load batches gather while a sync runs, and alone a writer syncs at
//! once.

use std::sync::{Condvar, Mutex, PoisonError};

/// Who has written and what is synced.
#[derive(Default)]
pub(super) struct SharedSync {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    written: u64,
    synced: u64,
    syncing: bool,
    /// After a failed sync nobody knows what is on the disk: no later sync may say otherwise.
    failed: Option<String>,
}

/// The place of one write in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl SharedSync {
    /// To be called when the batch is in the log.
    pub(super) fn ticket(&self) -> Ticket {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.written += 1;
        Ticket(state.written)
    }

    /// Comes back when the log is on the disk up to this ticket, by `sync` of this caller or of another.
    pub(super) fn wait(
        &self,
        ticket: Ticket,
        sync: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(reason) = &state.failed {
                return Err(reason.clone());
            }
            if state.synced >= ticket.0 {
                return Ok(());
            }
            if !state.syncing {
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.syncing = true;
        let reached = state.written;
        drop(state);
        let result = sync();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.syncing = false;
        match &result {
            Ok(()) => state.synced = state.synced.max(reached),
            Err(reason) => state.failed = Some(reason.clone()),
        }
        self.changed.notify_all();
        result
    }

    /// Says why nothing more may be written, if a sync has failed.
    pub(super) fn failure(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failed.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn writers_that_come_together_share_a_sync_and_none_returns_before_it() {
        let (shared, syncs) = (SharedSync::default(), AtomicUsize::new(0));
        let finished = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let ticket = shared.ticket();
                    let slow = || {
                        thread::sleep(Duration::from_millis(30));
                        finished.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    };
                    syncs.fetch_add(1, Ordering::SeqCst);
                    shared.wait(ticket, slow).unwrap();
                    assert!(finished.load(Ordering::SeqCst) > 0);
                });
            }
        });
        assert_eq!(syncs.load(Ordering::SeqCst), 8);
        assert!(finished.load(Ordering::SeqCst) < 8, "every writer synced alone");
    }

    #[test]
    fn after_a_failed_sync_no_later_one_succeeds() {
        let shared = SharedSync::default();
        let (first, second) = (shared.ticket(), shared.ticket());
        assert!(shared.wait(first, || Err("the disk is gone".into())).is_err());
        assert_eq!(shared.wait(second, || Ok(())).unwrap_err(), "the disk is gone");
        assert!(shared.failure().is_some());
    }
}
