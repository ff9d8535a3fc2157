//! Which server a command talks to: one that runs, or one of its own over a data directory.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use moiety_engine::EngineOptions;
use moiety_rpc::{Client, ServerOptions};

use crate::{
    error::Result,
    model_dir::ModelArgs,
    serve::{DEFAULT_ADDRESS, Local},
};

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// Server to talk to
    #[arg(long, default_value = DEFAULT_ADDRESS, conflicts_with = "data")]
    server: String,
    /// Data directory to open instead, without a server; it must not be in use
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

/// A client, and the server inside this process if there is one.
pub(crate) struct Connection {
    pub(crate) client: Client,
    local: Option<Local>,
}

impl ServerArgs {
    pub(crate) async fn connect(&self) -> Result<Connection> {
        match &self.data {
            Some(data) => self.open(data).await,
            None => Ok(Connection { client: Client::connect(&self.server).await?, local: None }),
        }
    }

    /// A server of this process over a data directory, and a client of it.
    pub(crate) async fn open(&self, data: &Path) -> Result<Connection> {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let places = ServerOptions::default().max_in_flight;
        let local = Local::start(
            data.to_path_buf(),
            EngineOptions::default(),
            any_port,
            &self.model,
            places,
        )
        .await?;
        let client = Client::connect(&local.address.to_string()).await?;
        Ok(Connection { client, local: Some(local) })
    }

    /// Names the place, for messages and progress files.
    pub(crate) fn place(&self) -> String {
        match &self.data {
            Some(data) => data.display().to_string(),
            None => self.server.clone(),
        }
    }
}

impl Connection {
    pub(crate) async fn close(self) -> Result<()> {
        let Self { client, local } = self;
        drop(client);
        match local {
            Some(local) => local.stop().await,
            None => Ok(()),
        }
    }
}
