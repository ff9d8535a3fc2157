//! Threads for work on many items, below the priority of searches: what is written, and encodings asked for by the dozen.
//!
//! A search that comes meanwhile is not queued behind that work: the system's scheduler gives its threads the processor at once.

use moiety_index::lower_priority;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{EngineError, Result};

/// Up to so many items are work at the caller's own priority.
const FEW: usize = 4;

/// A pool of threads with low priority.
pub(crate) struct BulkThreads(ThreadPool);

impl BulkThreads {
    /// Starts so many threads (0: one per core).
    pub(crate) fn start(count: usize) -> Result<Self> {
        ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("moiety-bulk-{i}"))
            .start_handler(|_| lower_priority())
            .build()
            .map(Self)
            .map_err(|source| EngineError::Threads { count, source })
    }

    /// Runs work on so many items, here where they are few, on the pool where they are not.
    pub(crate) fn run<R: Send>(&self, items: usize, work: impl FnOnce() -> R + Send) -> R {
        if items <= FEW { work() } else { self.0.install(work) }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn many_items_run_on_the_pool_and_few_where_they_come_from() {
        let bulk = BulkThreads::start(3).unwrap();
        let name = || thread::current().name().map(str::to_owned);
        assert_eq!(bulk.run(FEW, name), name());
        assert!(bulk.run(FEW + 1, name).unwrap().starts_with("moiety-bulk-"));
    }
}
