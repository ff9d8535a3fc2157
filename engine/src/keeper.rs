//! A thread that looks after the collections while nobody calls: what memory has room for by now comes to memory, and what
//! has settled goes to the disk.

use std::{collections::HashMap, thread, time::Duration};

use crate::{Side, background::Stop, engine::load, graphs, rebuild::Work, store::CollectionId};

/// How often it looks.
const LOOK: Duration = Duration::from_secs(2);
const NAP: Duration = Duration::from_millis(20);

/// Looks until it is stopped. Graphs that have stayed the same for a while are saved, and at the end all that are not on the
/// disk.
pub(crate) fn keep(work: &Work<'_>, saves: bool) {
    let mut seen: HashMap<(CollectionId, Side), usize> = HashMap::new();
    loop {
        let stopped = wait(work.stop);
        for live in work.budget.all() {
            if !stopped && live.may_fit(work.budget.free()) {
                // Where it fails again, searches go on reading the store.
                let _ = load(&live, work);
            }
            for side in Side::ALL {
                let index = live.index(side);
                if !stopped {
                    index.build_when_due();
                }
                let settled =
                    seen.insert((live.number, side), index.savable()) == Some(index.savable());
                if saves && (settled || stopped) {
                    // It is a cache: an open without it takes longer and finds the same. But it should be known.
                    live.note_save(side, graphs::save(work.store, &live, side));
                }
            }
        }
        if stopped {
            return;
        }
    }
}

/// Sleeps for one look; true as soon as it is stopped.
fn wait(stop: &Stop) -> bool {
    for _ in 0..LOOK.as_millis() / NAP.as_millis() {
        if stop.is_set() {
            return true;
        }
        thread::sleep(NAP);
    }
    stop.is_set()
}
