//! Threads that work beside the callers, and end before the engine does.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::Patience;

/// Says to long work that it should end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// The engine ends.
    ending: Arc<AtomicBool>,
    /// Whoever waits for the work.
    waiting: Option<Patience>,
}

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        let nobody_waits = || self.waiting.as_ref().is_some_and(|waiting| waiting.check().is_err());
        self.ending.load(Ordering::Acquire) || nobody_waits()
    }

    /// Also set when this caller waits no more.
    pub(crate) fn or(&self, patience: &Patience) -> Self {
        Self { waiting: Some(patience.clone()), ..self.clone() }
    }
}

/// The threads of one engine; dropping it stops them and waits for them.
#[derive(Default)]
pub(crate) struct Background {
    stop: Stop,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Background {
    /// The sign that all of them look at.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Begins work in a thread of its own; false where the system has no thread to give.
    pub(crate) fn spawn(&self, name: &str, work: impl FnOnce(&Stop) + Send + 'static) -> bool {
        let stop = self.stop.clone();
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || work(&stop));
        let Ok(thread) = spawned else { return false };
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        true
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.ending.store(true, Ordering::Release);
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}
