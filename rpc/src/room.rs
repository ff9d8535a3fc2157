//! Memory for messages: of requests on their way and at work, and of answers that their clients have not read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::status::{out_of_bytes, shutting_down};

/// Bytes are counted in units of this many.
const UNIT_BYTES: usize = 1024;

/// So many bytes, of which parts are taken and given back; clones share them.
#[derive(Clone)]
pub(crate) struct Room {
    units: Arc<Semaphore>,
    total: usize,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        let total = (bytes / UNIT_BYTES).clamp(1, u32::MAX as usize);
        Self { units: Arc::new(Semaphore::new(total)), total }
    }

    /// Room for so many bytes, or all there is where that is less; a refusal where it is taken.
    pub(crate) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        let taken = Arc::clone(&self.units).try_acquire_many_owned(self.units_of(bytes));
        taken.map_err(|_| out_of_bytes(self.total * UNIT_BYTES))
    }

    /// The same, after waiting for it.
    pub(crate) async fn wait_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        let taken = Arc::clone(&self.units).acquire_many_owned(self.units_of(bytes)).await;
        taken.map_err(|_| shutting_down())
    }

    fn units_of(&self, bytes: usize) -> u32 {
        bytes.div_ceil(UNIT_BYTES).min(self.total) as u32
    }
}
