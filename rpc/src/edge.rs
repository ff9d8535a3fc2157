//! The one door to the engine: a bounded number of calls, each on a blocking thread, each with a deadline and a clock.
//!
//! A call that finds no free place is refused at once with a delay after which to try again; it never queues, so a busy
//! server answers fast. Bytes are bounded as calls are: of requests at work, and of answers that their clients have not read.
//! Work for a client that has gone ends where the engine next looks; a write that has begun is always finished.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moiety_engine::{Engine, Patience};
use moiety_proto::v1 as wire;
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::{Code, Request, Response, Status};

use crate::{
    deadline::deadline,
    held::Held,
    limits::{MAX_IMPORTS, MAX_TRANSFERS},
    room::Room,
    status::{busy, busy_importing, busy_transferring, deadline_exceeded, panicked, shutting_down},
};

/// What every service shares.
#[derive(Clone)]
pub(crate) struct Edge {
    engine: Arc<Engine>,
    places: Arc<Semaphore>,
    places_total: usize,
    transfers: Arc<Semaphore>,
    imports: Arc<Semaphore>,
    room: Room,
    slow_call: Duration,
    draining: watch::Receiver<bool>,
}

/// What bounds the calls of a server, and from when on one is slow.
pub(crate) struct Bounds {
    /// Most calls at work at once.
    pub(crate) places: usize,
    /// Bytes of requests and answers.
    pub(crate) room: Room,
    /// A call that takes longer is logged.
    pub(crate) slow_call: Duration,
}

impl Edge {
    pub(crate) fn new(
        engine: Arc<Engine>,
        bounds: Bounds,
        draining: watch::Receiver<bool>,
    ) -> Self {
        let Bounds { places, room, slow_call } = bounds;
        Self {
            engine,
            places: Arc::new(Semaphore::new(places)),
            places_total: places,
            slow_call,
            transfers: Arc::new(Semaphore::new(MAX_TRANSFERS)),
            imports: Arc::new(Semaphore::new(MAX_IMPORTS)),
            room,
            draining,
        }
    }

    /// A place for a snapshot on its way, until it is dropped.
    pub(crate) fn transfer(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = Arc::clone(&self.transfers).try_acquire_owned();
        place.map_err(|_| busy_transferring(MAX_TRANSFERS))
    }

    /// A place for an import, until it is dropped.
    pub(crate) fn import(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = Arc::clone(&self.imports).try_acquire_owned();
        place.map_err(|_| busy_importing(MAX_IMPORTS))
    }

    /// Answers a unary call with what `work` makes of it.
    pub(crate) async fn answer<Q, A>(
        &self,
        request: Request<Q>,
        work: impl FnOnce(&Engine, Q, &Clock) -> Result<A, Status> + Send + 'static,
    ) -> Result<Response<A>, Status>
    where
        Q: Message + 'static,
        A: Message + 'static,
    {
        let work = move |engine: &Engine, request, clock: &Clock, _: &Patience| {
            work(engine, request, clock)
        };
        self.answer_patiently(request, work).await
    }

    /// As [`Edge::answer`], with work that looks at the caller's patience: it ends with the deadline, and when the call
    /// is cancelled.
    pub(crate) async fn answer_patiently<Q, A>(
        &self,
        request: Request<Q>,
        work: impl FnOnce(&Engine, Q, &Clock, &Patience) -> Result<A, Status> + Send + 'static,
    ) -> Result<Response<A>, Status>
    where
        Q: Message + 'static,
        A: Message + 'static,
    {
        let clock = Clock::start();
        let deadline = deadline(request.metadata());
        let place =
            Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy(self.places_total))?;
        let request = request.into_inner();
        let room = self.room.take(request.encoded_len())?;
        let patience = deadline.map_or_else(Patience::endless, |at| Patience::until(at.into_std()));
        let work =
            move |engine: &Engine, patience: &Patience| work(engine, request, &clock, patience);
        let done = self.blocking((place, room), patience, work);
        let answer = match deadline {
            None => done.await,
            Some(at) => tokio::time::timeout_at(at, done).await.unwrap_or(Err(deadline_exceeded())),
        };
        self.log(answer.as_ref().err(), clock.began.elapsed());
        self.respond(answer?)
    }

    /// One line for a call that failed or was slow; the span has its method. What the call asked for is not in it, beyond
    /// what the message of an error repeats.
    fn log(&self, failed: Option<&Status>, time: Duration) {
        match failed {
            Some(status) => {
                let (code, reason) = (status.code(), status.message());
                tracing::info!(?code, ?time, reason, "the call failed");
            }
            None if time >= self.slow_call => {
                tracing::info!(code = ?Code::Ok, ?time, "the call was slow");
            }
            None => tracing::debug!(?time, "answered"),
        }
    }

    /// An answer that takes room until the client has read it.
    fn respond<A: Message>(&self, answer: A) -> Result<Response<A>, Status> {
        let bytes = answer.encoded_len();
        let mut response = Response::new(answer);
        // Small answers are let through: to refuse them would save nothing.
        if bytes > Held::PIECE_BYTES {
            response.extensions_mut().insert(Held::new(self.room.take(bytes)?));
        }
        Ok(response)
    }

    /// Waits for a free place and for room for so many bytes, and does `work` there: for imports, which are held back by
    /// waiting and can be resumed. The patience that it works with ends when nobody waits for this any more, or when the server
    /// begins to shut down.
    pub(crate) async fn wait_and_do<A: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Engine, &Patience) -> Result<A, Status> + Send + 'static,
    ) -> Result<A, Status> {
        let room = self.room.wait_for(bytes).await?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| shutting_down())?;
        let draining = self.draining.clone();
        let patience = Patience::while_true(move || !*draining.borrow());
        let began = Instant::now();
        let done = self.blocking((place, room), patience, work).await.map_err(|status| {
            let stopped = status.code() == Code::Cancelled && self.is_draining();
            if stopped { shutting_down() } else { status }
        });
        // How long a chunk takes depends on its size, so none is slow.
        if let Err(status) = &done {
            self.log(Some(status), began.elapsed());
        }
        done
    }

    /// The engine, for work that is no short call.
    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine)
    }

    /// Whether the server has begun to shut down.
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Comes back when the server begins to shut down.
    pub(crate) async fn drained(&mut self) {
        // An error means that the server is gone, which is the same to us.
        let _ = self.draining.wait_for(|draining| *draining).await;
    }

    /// Does `work` on a blocking thread, and holds what it takes until it is done. Its patience ends at the latest when
    /// nobody waits for this any more.
    async fn blocking<A: Send + 'static>(
        &self,
        taken: impl Send + 'static,
        patience: Patience,
        work: impl FnOnce(&Engine, &Patience) -> Result<A, Status> + Send + 'static,
    ) -> Result<A, Status> {
        let engine = Arc::clone(&self.engine);
        let _ending = Ending(patience.clone());
        let task = tokio::task::spawn_blocking(move || {
            let _taken = taken;
            work(&engine, &patience)
        });
        task.await.unwrap_or_else(|error| Err(panicked(&error)))
    }
}

/// Ends a caller's patience when it is dropped.
struct Ending(Patience);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.cancel();
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
