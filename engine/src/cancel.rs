//! When to stop working for a caller.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use moiety_encoder::EncoderError;
use moiety_index::IndexError;

use crate::error::{EngineError, Result};

/// A caller's patience: until it is cancelled, a moment has come, or the caller says no. Clones share it.
///
/// Work looks at it between its stages and within long ones. A write that has begun to be written is always finished.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    cancelled: Arc<AtomicBool>,
    until: Option<Instant>,
    asked: Option<Asked>,
}

/// A function that says whether the caller still waits.
#[derive(Clone)]
struct Asked(Arc<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

impl Patience {
    /// Without an end, unless it is cancelled.
    pub fn endless() -> Self {
        Self::default()
    }

    /// Ends at this moment.
    pub fn until(moment: Instant) -> Self {
        Self { until: Some(moment), ..Self::default() }
    }

    /// Ends when this says no for the first time. It is asked often, from many threads, and should be as quick as a look at
    /// the clock.
    pub fn while_true(ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { asked: Some(Asked(Arc::new(ask))), ..Self::default() }
    }

    /// Ends it now.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Says whether the caller still waits.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Acquire) {
            return Err(EngineError::Cancelled);
        }
        if self.asked.as_ref().is_some_and(|Asked(ask)| !ask()) {
            self.cancel();
            return Err(EngineError::Cancelled);
        }
        match self.until {
            Some(moment) if Instant::now() >= moment => Err(EngineError::DeadlineExceeded),
            _ => Ok(()),
        }
    }

    /// The error of a call whose work ended with this one: of work that was stopped, why it was.
    pub fn explain(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::Index(IndexError::Stopped)
            | EngineError::Encoder(EncoderError::Stopped { .. }) => {
                self.check().err().unwrap_or(EngineError::Cancelled)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn patience_that_has_ended_stays_ended() {
        let asked = AtomicBool::new(false);
        let patience = Patience::while_true(move || asked.fetch_xor(true, Ordering::Relaxed));
        assert!(matches!(patience.check(), Err(EngineError::Cancelled)));
        assert!(matches!(patience.clone().check(), Err(EngineError::Cancelled)));
    }

    #[test]
    fn stopped_work_is_cancelled_or_late_and_other_errors_stay_what_they_are() {
        let stopped = || EngineError::from(EncoderError::Stopped { steps: 3 });
        let cancelled = Patience::endless();
        cancelled.cancel();
        let late = Patience::until(Instant::now());
        let early = Patience::until(Instant::now() + Duration::from_secs(3_600));
        assert!(matches!(cancelled.explain(stopped()), EngineError::Cancelled));
        assert!(matches!(late.explain(stopped()), EngineError::DeadlineExceeded));
        assert!(matches!(late.explain(IndexError::Stopped.into()), EngineError::DeadlineExceeded));
        assert!(matches!(early.explain(stopped()), EngineError::Cancelled));
        assert!(matches!(late.explain(EngineError::NoHeads), EngineError::NoHeads));
    }
}
