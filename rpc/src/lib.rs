//! The gRPC edge of Moiety: [`run`] serves an engine over `moiety.v1`, [`Client`] calls such a server.
//!
//! It bounds, converts and reports; it is not a place for search or storage, which are the engine's, nor for chemistry.
//! It is the only room with tokio and tonic.
//!
//! ```no_run
//! # async fn example(engine: moiety_engine::Engine) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:7400").await?;
//! let stop = async { std::future::pending().await };
//! moiety_rpc::run(listener, Arc::new(engine), moiety_rpc::ServerOptions::default(), stop).await?;
//! # Ok(())
//! # }
//! ```

mod admin;
mod arriving;
mod client;
mod collections;
pub mod convert;
mod deadline;
mod edge;
mod encoder;
mod generate;
mod held;
mod import;
pub mod limits;
mod predict;
mod readiness;
mod records;
mod refusal;
mod room;
mod search;
mod server;
mod status;
mod transfer;
mod upsert;

pub use client::{
    Client, ClientError, FieldViolation, ImportOptions, ImportSession, SnapshotDownload,
};
pub use convert::RerankDefaults;
pub use moiety_proto::v1 as wire;
/// A payload on the wire, a JSON object in the form of `google.protobuf.Struct`.
pub use prost_types::Struct as Payload;
pub use server::{Drained, ServeError, ServerOptions, run};
