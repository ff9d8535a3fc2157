//! The one door to the engine: a bounded number of calls, each on a blocking thread, each with a deadline and a clock.
//!
//! A call that finds no free place is refused at once with a delay after which to try again; it never queues, so a busy
//! server answers fast. Engine work that has begun is always finished, also when the client has gone.

use std::{sync::Arc, time::Instant};

use moiety_engine::Engine;
use moiety_proto::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::{Request, Response, Status};

use crate::{
    deadline::deadline,
    status::{busy, deadline_exceeded, panicked, shutting_down},
};

/// What every service shares.
#[derive(Clone)]
pub(crate) struct Edge {
    engine: Arc<Engine>,
    places: Arc<Semaphore>,
    places_total: usize,
    draining: watch::Receiver<bool>,
}

impl Edge {
    pub(crate) fn new(engine: Arc<Engine>, places: usize, draining: watch::Receiver<bool>) -> Self {
        Self { engine, places: Arc::new(Semaphore::new(places)), places_total: places, draining }
    }

    /// Answers a unary call with what `work` makes of it.
    pub(crate) async fn answer<Q, A>(
        &self,
        request: Request<Q>,
        work: impl FnOnce(&Engine, Q, &Clock) -> Result<A, Status> + Send + 'static,
    ) -> Result<Response<A>, Status>
    where
        Q: Send + 'static,
        A: Send + 'static,
    {
        let clock = Clock::start();
        let deadline = deadline(request.metadata());
        let place =
            Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy(self.places_total))?;
        let request = request.into_inner();
        let done = self.blocking(place, move |engine| work(engine, request, &clock));
        let answer = match deadline {
            None => done.await,
            Some(at) => tokio::time::timeout_at(at, done).await.unwrap_or(Err(deadline_exceeded())),
        };
        match &answer {
            Ok(_) => tracing::debug!(time = ?clock.began.elapsed(), "answered"),
            Err(status) => {
                tracing::debug!(code = ?status.code(), reason = status.message(), "refused")
            }
        }
        answer.map(Response::new)
    }

    /// Waits for a free place and does `work` there: for streams, which are held back by waiting.
    pub(crate) async fn wait_and_do<A: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> Result<A, Status> + Send + 'static,
    ) -> Result<A, Status> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| shutting_down())?;
        self.blocking(place, work).await
    }

    /// Comes back when the server begins to shut down.
    pub(crate) async fn drained(&mut self) {
        // An error means that the server is gone, which is the same to us.
        let _ = self.draining.wait_for(|draining| *draining).await;
    }

    async fn blocking<A: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        work: impl FnOnce(&Engine) -> Result<A, Status> + Send + 'static,
    ) -> Result<A, Status> {
        let engine = Arc::clone(&self.engine);
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&engine)
        });
        task.await.unwrap_or_else(|error| Err(panicked(&error)))
    }
}

/// Measures one call.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// What the answer says about itself.
    pub(crate) fn info(
        &self,
        engine: &Engine,
        stages: Vec<wire::StageTime>,
    ) -> Option<wire::AnswerInfo> {
        Some(wire::AnswerInfo {
            model_fingerprint: engine.encoder().info().fingerprint.clone(),
            total_us: micros(self.began.elapsed()),
            stages,
        })
    }
}

/// Whole microseconds, saturating.
pub(crate) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
