//! Serving: from a listener to the end of the last call.

use std::{future::Future, io, sync::Arc, time::Duration};

use moiety_engine::Engine;
use moiety_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        admin_server::AdminServer, collections_server::CollectionsServer,
        encoder_server::EncoderServer, records_server::RecordsServer, search_server::SearchServer,
    },
};
use tokio::{net::TcpListener, sync::watch};
use tonic::{
    codec::CompressionEncoding,
    server::NamedService,
    transport::server::{Server, TcpIncoming},
};
use tonic_health::{ServingStatus, pb::health_server, server::HealthReporter};
use tower::util::{MapRequestLayer, MapResponseLayer};

use crate::{
    admin::AdminService,
    arriving,
    collections::CollectionsService,
    convert::RerankDefaults,
    edge::{Bounds, Edge},
    encoder::EncoderService,
    held,
    limits::MAX_MESSAGE_BYTES,
    readiness,
    records::RecordsService,
    refusal,
    room::Room,
    search::SearchService,
};

/// A service that takes requests plain, by gzip and by zstd. The bound is of the message as it is when unpacked: unpacking ends
/// there. Answers go out plain: clients of most languages say that they take gzip without being asked.
macro_rules! bounded {
    ($service:expr) => {
        $service
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
    };
}

/// Most calls open at once on one connection, those that are refused or wait included.
const MAX_STREAMS: u32 = 1_024;

/// How a server behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerOptions {
    /// Most engine calls at work at once; one beyond is refused with RESOURCE_EXHAUSTED. At least one.
    pub max_in_flight: usize,
    /// Most bytes of requests, on their way and at work, and of answers that clients have not read; what goes beyond is
    /// refused with RESOURCE_EXHAUSTED. A single message larger than this still goes through alone.
    pub max_bytes_in_flight: usize,
    /// Most calls that the model writes for at once (captions, molecules for texts), of `max_in_flight`; each takes cores for
    /// seconds, and memory for all that it writes. At least one.
    pub max_writing: usize,
    /// How long calls may take to finish once shutdown has begun; what is not done by then is cut.
    pub drain_timeout: Duration,
    /// A call that takes longer is logged, as one that fails is.
    pub slow_call: Duration,
    /// How queries are reranked that leave it to the server: settings of the model that is served.
    pub rerank: RerankDefaults,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
            max_bytes_in_flight: 256 << 20,
            max_writing: 2,
            drain_timeout: Duration::from_secs(20),
            slow_call: Duration::from_secs(1),
            rerank: RerankDefaults::default(),
        }
    }
}

/// Why a server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors for reflection cannot be read: a broken build.
    #[error("cannot build the reflection service: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener is not usable.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// The transport failed.
    #[error("the transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every call was finished.
    Finished,
    /// Calls were still at work at the end of `drain_timeout`; their clients saw the connection close.
    Cut,
}

/// Serves `engine` on `listener` until `shutdown` comes back and the calls at work are finished.
///
/// On shutdown the health service turns to NOT_SERVING and ends its watches, and no call is accepted any more. Imports end at
/// once with UNAVAILABLE, since they can be resumed: a chunk that is being written is written and acknowledged, one that is
/// still being encoded is not. Other calls have `drain_timeout` to finish.
pub async fn run(
    listener: TcpListener,
    engine: Arc<Engine>,
    options: ServerOptions,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Drained, ServeError> {
    let (drain, draining) = watch::channel(false);
    let room = Room::new(options.max_bytes_in_flight);
    let places = options.max_in_flight.max(1);
    let bounds = Bounds { places, room: room.clone(), slow_call: options.slow_call };
    let edge = Edge::new(Arc::clone(&engine), bounds, draining.clone());
    let reporter = healthy().await;
    let reporting = tokio::spawn(readiness::report(engine, reporter.clone(), draining.clone()));
    let health = health_server::HealthServer::new(
        tonic_health::server::HealthService::from_health_reporter(reporter.clone()),
    );
    let router = Server::builder()
        .trace_fn(|request| tracing::info_span!("call", method = request.uri().path()))
        .max_concurrent_streams(Some(MAX_STREAMS))
        .http2_keepalive_interval(Some(Duration::from_secs(60)))
        .layer(MapResponseLayer::new(refusal::restate_response))
        .layer(MapResponseLayer::new(held::hold))
        .layer(MapRequestLayer::new(move |request| arriving::count(request, &room)))
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(bounded!(CollectionsServer::new(CollectionsService::new(edge.clone()))))
        .add_service(bounded!(RecordsServer::new(RecordsService::new(edge.clone()))))
        .add_service(bounded!(SearchServer::new(SearchService::new(edge.clone(), options.rerank))))
        .add_service(bounded!(AdminServer::new(AdminService::new(edge.clone()))))
        .add_service(bounded!(EncoderServer::new(EncoderService::new(edge, options.max_writing))));
    let address = listener.local_addr()?;
    tracing::info!(%address, max_in_flight = options.max_in_flight, "serving");
    let stop = async move {
        shutdown.await;
        tracing::info!("shutting down: finishing the calls at work");
        end_watches(reporter).await;
        // Nobody listens only if no call is at work.
        let _ = drain.send(true);
        // It takes back the health of collections, so that their watches end too.
        let _ = reporting.await;
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::select! {
        served = router.serve_with_incoming_shutdown(incoming, stop) => {
            served?;
            Ok(Drained::Finished)
        }
        () = drain_deadline(draining, options.drain_timeout) => {
            tracing::warn!(timeout = ?options.drain_timeout, "calls still at work are cut");
            Ok(Drained::Cut)
        }
    }
}

fn services() -> [&'static str; 6] {
    [
        "",
        AdminServer::<AdminService>::NAME,
        CollectionsServer::<CollectionsService>::NAME,
        RecordsServer::<RecordsService>::NAME,
        SearchServer::<SearchService>::NAME,
        EncoderServer::<EncoderService>::NAME,
    ]
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

async fn healthy() -> HealthReporter {
    let reporter = HealthReporter::new();
    for service in services() {
        reporter.set_service_status(service, ServingStatus::Serving).await;
    }
    reporter
}

/// Tells watchers the last news and closes their streams, which would otherwise hold their connections open.
async fn end_watches(mut reporter: HealthReporter) {
    for service in services() {
        reporter.set_service_status(service, ServingStatus::NotServing).await;
        reporter.clear_service_status(service).await;
    }
}

async fn drain_deadline(mut draining: watch::Receiver<bool>, timeout: Duration) {
    if draining.wait_for(|draining| *draining).await.is_ok() {
        tokio::time::sleep(timeout).await;
    } else {
        // The sender is gone without a shutdown: the server itself is ending.
        std::future::pending::<()>().await;
    }
}
