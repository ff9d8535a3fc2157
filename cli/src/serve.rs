//! `moiety serve`: an engine over a data directory, on a socket.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use moiety_engine::{Access, Engine, EngineOptions, Start};
use moiety_rpc::ServerOptions;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    error::{CliError, Result},
    model_dir::{ModelArgs, rerank_defaults},
};

/// Where the server listens unless told otherwise.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:7400";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory of the collections; made if it is not there
    #[arg(long, env = "MOIETY_DATA")]
    data: PathBuf,
    /// Address to listen on. There is no authentication yet: do not listen beyond this machine without a proxy
    #[arg(long, env = "MOIETY_LISTEN", default_value = DEFAULT_ADDRESS)]
    listen: SocketAddr,
    /// Most calls at work at once; further ones are refused with a retry delay
    #[arg(long, env = "MOIETY_MAX_IN_FLIGHT", default_value_t = ServerOptions::default().max_in_flight)]
    max_in_flight: usize,
    /// Most of these calls that the model writes for at once (captions, molecules for texts); further ones are refused with a
    /// retry delay
    #[arg(long, env = "MOIETY_MAX_WRITING", default_value_t = ServerOptions::default().max_writing)]
    max_writing: usize,
    /// Memory for requests, on their way and at work, and for answers that clients have not read, in MiB; beyond it calls are
    /// refused with a retry delay
    #[arg(long, env = "MOIETY_MESSAGE_MEMORY", default_value_t = ServerOptions::default().max_bytes_in_flight >> 20)]
    message_memory: usize,
    /// Serve for reading only: nothing is written, and what can be read of a damaged directory is served
    #[arg(long, env = "MOIETY_READ_ONLY")]
    read_only: bool,
    /// Memory for store, vectors and graphs, in MiB; writes beyond it are refused, and collections beyond it are searched on
    /// the disk [default: 256 for the store, no bound for the rest]
    #[arg(long, env = "MOIETY_MEMORY")]
    memory: Option<usize>,
    /// Seconds that calls may take to finish after SIGTERM or Ctrl-C; what is not done by then is cut. Imports end at once, and the
    /// same import goes on where it was
    #[arg(long, env = "MOIETY_DRAIN_TIMEOUT", default_value_t = ServerOptions::default().drain_timeout.as_secs())]
    drain_timeout: u64,
    /// Milliseconds after which a call is logged as slow; calls that fail always are
    #[arg(long, env = "MOIETY_SLOW_CALL", default_value_t = ServerOptions::default().slow_call.as_millis() as u64)]
    slow_call: u64,
    #[command(flatten)]
    model: ModelArgs,
}

impl Args {
    fn options(&self) -> EngineOptions {
        let options = match self.memory {
            Some(mebibytes) => EngineOptions::within_memory(mebibytes.saturating_mul(1 << 20)),
            None => EngineOptions::default(),
        };
        let access = if self.read_only { Access::ReadOnly } else { Access::ReadWrite };
        let write_threads = self.model.threads();
        EngineOptions { access, start: Start::AtOnce, write_threads, ..options }
    }
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let options = args.options();
    let serving = ServerOptions {
        max_in_flight: args.max_in_flight,
        max_writing: args.max_writing,
        max_bytes_in_flight: args.message_memory.saturating_mul(1 << 20),
        drain_timeout: Duration::from_secs(args.drain_timeout),
        slow_call: Duration::from_millis(args.slow_call),
        ..ServerOptions::default()
    };
    let server = Local::start(args.data, options, args.listen, &args.model, serving).await?;
    outln!("moiety: serving {} on {} (Ctrl-C stops)", server.data.display(), server.address);
    stop_signal().await;
    outln!("moiety: finishing the calls at work");
    server.stop().await
}

/// A server inside this process.
pub(crate) struct Local {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    data: PathBuf,
    engine: Arc<Engine>,
    stop: oneshot::Sender<()>,
    done: JoinHandle<std::result::Result<moiety_rpc::Drained, moiety_rpc::ServeError>>,
}

impl Local {
    /// Opens the engine and begins to serve; port 0 takes a free one, and the model says how queries are reranked.
    pub(crate) async fn start(
        data: PathBuf,
        engine: EngineOptions,
        listen: SocketAddr,
        model: &ModelArgs,
        serving: ServerOptions,
    ) -> Result<Self> {
        let busy =
            |e| CliError::Usage(format!("cannot listen on {listen}: {e}; choose another --listen"));
        let listener = TcpListener::bind(listen).await.map_err(busy)?;
        let address = listener.local_addr().map_err(busy)?;
        let (model, dir) = (model.clone(), data.clone());
        let opened = tokio::task::spawn_blocking(move || open(dir, engine, &model)).await;
        let (engine, rerank) =
            opened.map_err(|e| CliError::Usage(format!("opening the data failed: {e}")))??;
        let options = ServerOptions { rerank, ..serving };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // The sender goes away only with the server's owner.
            let _ = stopped.await;
        };
        let engine = Arc::new(engine);
        let done = tokio::spawn(moiety_rpc::run(listener, Arc::clone(&engine), options, shutdown));
        Ok(Self { address, data, engine, stop, done })
    }

    /// Ends the server when the calls at work are finished, and leaves no log for the next open to read.
    pub(crate) async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        let ended =
            self.done.await.map_err(|e| CliError::Usage(format!("the server failed: {e}")))?;
        // Nothing is lost where it fails, and a directory that is only read has no log of ours.
        let emptied = tokio::task::spawn_blocking(move || self.engine.flush());
        let _ = emptied.await;
        ended.map(|_| ()).map_err(CliError::from)
    }
}

fn open(
    data: PathBuf,
    options: EngineOptions,
    model: &ModelArgs,
) -> Result<(Engine, moiety_rpc::RerankDefaults)> {
    let loaded = model.load()?;
    let heads = model.heads(loaded.encoder.info())?;
    let rerank = rerank_defaults(&loaded);
    let engine = Engine::open(&data, loaded.encoder, options)?.with_heads(heads)?;
    if let Some(damage) = engine.damage() {
        errln!(
            "moiety: {} records cannot be read, {} only be read",
            damage.lost,
            damage.unsearchable
        );
        damage.reasons.iter().for_each(|reason| errln!("moiety: {reason}"));
    }
    Ok((engine, rerank))
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
