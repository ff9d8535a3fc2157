//! Which server a command talks to: one that runs, or one of its own over a data directory.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use moiety_engine::EngineOptions;
use moiety_rpc::{Client, ServerOptions};

use crate::{
    error::{Result, at},
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

/// Where a model is asked, for commands that need no collection.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PlaceArgs {
    /// Ask the model inside this process: no server, no data directory
    #[arg(long, conflicts_with_all = ["server", "data"])]
    local: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// A client, and the server inside this process if there is one.
pub(crate) struct Connection {
    pub(crate) client: Client,
    local: Option<Local>,
    /// An empty data directory that goes with it.
    scratch: Option<tempfile::TempDir>,
}

impl PlaceArgs {
    pub(crate) async fn connect(&self) -> Result<Connection> {
        if !self.local {
            return self.server.connect().await;
        }
        let scratch = tempfile::tempdir().map_err(at(Path::new("temporary directory")))?;
        let connection = self.server.open(scratch.path()).await?;
        Ok(Connection { scratch: Some(scratch), ..connection })
    }
}

impl ServerArgs {
    pub(crate) async fn connect(&self) -> Result<Connection> {
        match &self.data {
            Some(data) => self.open(data).await,
            None => {
                let client = Client::connect(&self.server).await?;
                Ok(Connection { client, local: None, scratch: None })
            }
        }
    }

    /// A server of this process over a data directory, and a client of it.
    pub(crate) async fn open(&self, data: &Path) -> Result<Connection> {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let local = Local::start(
            data.to_path_buf(),
            EngineOptions::default(),
            any_port,
            &self.model,
            ServerOptions::default(),
        )
        .await?;
        let client = Client::connect(&local.address.to_string()).await?;
        Ok(Connection { client, local: Some(local), scratch: None })
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
        let Self { client, local, scratch } = self;
        drop(client);
        if let Some(local) = local {
            local.stop().await?;
        }
        drop(scratch);
        Ok(())
    }
}
