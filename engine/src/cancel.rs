//! When to stop working for a caller.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use crate::error::{EngineError, Result};

/// A caller's patience: until it is cancelled or a moment has come. Clones share it.
///
/// Work looks at it between its stages and within long ones. A write that has begun to be written is always finished.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    cancelled: Arc<AtomicBool>,
    until: Option<Instant>,
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

    /// Ends it now.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Says whether the caller still waits.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Acquire) {
            return Err(EngineError::Cancelled);
        }
        match self.until {
            Some(moment) if Instant::now() >= moment => Err(EngineError::DeadlineExceeded),
            _ => Ok(()),
        }
    }
}
