//! A server on a loopback port with an engine in a temporary directory, for tests.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod raw;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use moiety_chem::Molecule;
use moiety_encoder::{Encoder, EncoderError, Encoding, HashingEncoder, ModelInfo};
use moiety_engine::{Engine, EngineError, EngineOptions};
use moiety_rpc::{Client, ClientError, Drained, ServeError, ServerOptions, run, wire};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::Code;

/// Length of the vectors of the tests' encoder.
pub const DIMENSION: usize = 64;

/// A running server.
pub struct Served {
    pub address: SocketAddr,
    pub client: Client,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<Drained, ServeError>>,
    // Removed last, when the engine is closed.
    dir: Option<tempfile::TempDir>,
}

impl Served {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Begins to shut down without waiting.
    pub fn begin_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the end.
    pub async fn ended(self) -> Drained {
        self.task.await.unwrap().unwrap()
    }

    /// Shuts down and gives the directory back, for a second life.
    pub async fn stopped(mut self) -> Option<tempfile::TempDir> {
        self.begin_stop();
        let dir = self.dir.take();
        self.ended().await;
        dir
    }
}

/// A server with a new directory and default options.
pub async fn serve() -> Served {
    serve_with(Arc::new(HashingEncoder::new(DIMENSION)), ServerOptions::default()).await
}

pub async fn serve_with(encoder: Arc<dyn Encoder>, options: ServerOptions) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let mut served = serve_at(any, dir.path(), encoder, options).await;
    served.dir = Some(dir);
    served
}

pub async fn serve_at(
    address: SocketAddr,
    dir: &Path,
    encoder: Arc<dyn Encoder>,
    options: ServerOptions,
) -> Served {
    let engine = open(dir, &encoder).await;
    serve_open(address, engine, options).await
}

/// A server of an engine that is open, over the directory that it is open in.
pub async fn serve_engine(dir: tempfile::TempDir, engine: Engine) -> Served {
    let any = "127.0.0.1:0".parse().unwrap();
    Served { dir: Some(dir), ..serve_open(any, engine, ServerOptions::default()).await }
}

/// A server of an engine that is open.
pub async fn serve_open(address: SocketAddr, engine: Engine, options: ServerOptions) -> Served {
    let engine = Arc::new(engine);
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(run(listener, engine, options, async {
        let _ = stopped.await;
    }));
    let client = Client::connect(&format!("http://{address}")).await.unwrap();
    Served { address, client, stop: Some(stop), task, dir: None }
}

/// A server with a collection `demo` that holds the molecules of [`molecules`].
pub async fn serve_demo() -> Served {
    let served = serve().await;
    create(&served.client, "demo").await;
    let answer = served.client.upsert("demo", molecules()).await.unwrap();
    assert_eq!((answer.created, answer.errors), (3, vec![]));
    served
}

/// Opens an engine, waiting for the last holder of the directory to let go.
async fn open(dir: &Path, encoder: &Arc<dyn Encoder>) -> Engine {
    for _ in 0..100 {
        match Engine::open(dir, Arc::clone(encoder), EngineOptions::default()) {
            Err(EngineError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            opened => return opened.unwrap(),
        }
    }
    panic!("{} is still locked", dir.display())
}

pub async fn create(client: &Client, name: &str) {
    let config = wire::CollectionConfig { name: name.into(), ..Default::default() };
    client.create_collection(config).await.unwrap();
}

pub fn molecules() -> Vec<wire::Record> {
    vec![
        record("aspirin", "CC(=O)Oc1ccccc1C(=O)O", "relieves pain and fever", 1897.0),
        record("caffeine", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "keeps people awake", 1819.0),
        record("indigo", "O=C1C(=C2Nc3ccccc3C2=O)Nc2ccccc12", "a blue dye for cloth", 1878.0),
    ]
}

pub fn record(id: &str, smiles: &str, text: &str, year: f64) -> wire::Record {
    let payload = serde_json::json!({ "year": year, "name": id });
    wire::Record {
        id: id.into(),
        molecule: Some(smiles_structure(smiles)),
        text: Some(text.into()),
        payload: Some(moiety_rpc::convert::payload_to_wire(payload.as_object().unwrap())),
    }
}

/// A record with a text only.
pub fn note(id: &str, text: &str) -> wire::Record {
    wire::Record { id: id.into(), text: Some(text.into()), ..Default::default() }
}

pub fn smiles_structure(smiles: &str) -> wire::Structure {
    wire::Structure { format: Some(wire::structure::Format::Smiles(smiles.into())) }
}

pub fn asks(asked: wire::query::Asked, target: wire::Side) -> wire::QueryRequest {
    wire::QueryRequest {
        collection: "demo".into(),
        query: Some(wire::Query { asked: Some(asked) }),
        target: target.into(),
        ..Default::default()
    }
}

pub fn asks_text(text: &str) -> wire::QueryRequest {
    asks(wire::query::Asked::Text(text.into()), wire::Side::Text)
}

/// The code and message of a refusal.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (Code, String) {
    match result {
        Err(ClientError::Refused { code, message, .. }) => (code, message),
        other => panic!("not refused: {other:?}"),
    }
}

/// An encoder that stops at a gate before it encodes a text that holds `wait`, and panics at one that holds `panic`.
pub struct GatedEncoder {
    inner: HashingEncoder,
    gate: Gate,
}

/// The gate of a [`GatedEncoder`]: it counts who comes, and lets through one at a time, or all.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<Passage>, Condvar)>);

#[derive(Default)]
struct Passage {
    came: usize,
    allowed: usize,
}

impl Gate {
    pub fn open(&self) {
        self.allow(usize::MAX);
    }

    /// Lets one more through.
    pub fn let_one(&self) {
        let allowed = self.0.0.lock().unwrap().allowed;
        self.allow(allowed + 1);
    }

    pub async fn someone_waits(&self) {
        while self.came() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How many came so far.
    pub fn came(&self) -> usize {
        self.0.0.lock().unwrap().came
    }

    fn allow(&self, allowed: usize) {
        self.0.0.lock().unwrap().allowed = allowed;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut passage = self.0.0.lock().unwrap();
        passage.came += 1;
        let number = passage.came;
        let _open = self.0.1.wait_while(passage, |passage| passage.allowed < number).unwrap();
    }
}

impl GatedEncoder {
    pub fn new(gate: Gate) -> Self {
        Self { inner: HashingEncoder::new(DIMENSION), gate }
    }
}

impl Encoder for GatedEncoder {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }

    fn encode_molecules(&self, molecules: &[&Molecule]) -> Result<Vec<Encoding>, EncoderError> {
        self.inner.encode_molecules(molecules)
    }

    fn encode_texts(&self, texts: &[&str]) -> Result<Vec<Encoding>, EncoderError> {
        assert!(!texts.iter().any(|text| text.contains("panic")), "asked to panic");
        if texts.iter().any(|text| text.contains("wait")) {
            self.gate.pass();
        }
        self.inner.encode_texts(texts)
    }

    fn check_molecule(&self, molecule: &Molecule) -> Result<(), EncoderError> {
        self.inner.check_molecule(molecule)
    }

    fn check_text(&self, text: &str) -> Result<(), EncoderError> {
        self.inner.check_text(text)
    }
}
