//! `moiety snapshot`: copies of a database, made, checked, moved and restored.

use std::path::PathBuf;

use jiff::Timestamp;
use moiety_engine::{SnapshotReader, SnapshotWriter, verify_snapshot_folder};
use moiety_rpc::{Client, convert, wire};

use crate::{
    connect::ServerArgs,
    error::{CliError, Result},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make a snapshot of all collections while the server goes on
    Create(Named),
    /// List the snapshots
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Compare every file of a snapshot with its checksum
    Verify {
        /// Name of the snapshot
        #[arg(required_unless_present = "folder")]
        name: Option<String>,
        /// A downloaded snapshot instead of one of a server
        #[arg(long, conflicts_with = "name")]
        folder: Option<PathBuf>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Remove a snapshot
    Delete(Named),
    /// Copy a snapshot from a server to a folder here
    Download {
        /// Name of the snapshot
        name: String,
        /// Where the folder of this name is made
        #[arg(long, default_value = ".")]
        to: PathBuf,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Copy a downloaded snapshot to a server
    Upload {
        /// Folder of the snapshot
        folder: PathBuf,
        /// Its name there [default: the folder's]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Put the collections of a snapshot in place of those of the same names
    Restore {
        /// Name of the snapshot
        name: String,
        /// The one collection to restore [default: all]
        #[arg(long)]
        collection: Option<String>,
        /// Another name for that collection
        #[arg(long = "as", requires = "collection")]
        as_name: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(clap::Args)]
struct Named {
    /// Name of the snapshot
    name: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    if let Action::Verify { folder: Some(folder), .. } = &args.action {
        let manifest = verify_snapshot_folder(folder)?;
        outln!("{}", line(&convert::snapshot_to_wire(manifest)));
        return Ok(());
    }
    let connection = args.action.server().connect().await?;
    act(&args.action, &connection.client).await?;
    connection.close().await
}

impl Action {
    fn server(&self) -> &ServerArgs {
        match self {
            Self::Create(named) | Self::Delete(named) => &named.server,
            Self::List { server }
            | Self::Verify { server, .. }
            | Self::Download { server, .. }
            | Self::Upload { server, .. }
            | Self::Restore { server, .. } => server,
        }
    }
}

async fn act(action: &Action, client: &Client) -> Result<()> {
    match action {
        Action::Create(Named { name, .. }) => {
            let made = client.create_snapshot(name).await?;
            outln!("{}", line(&made.snapshot.unwrap_or_default()));
        }
        Action::List { .. } => {
            for snapshot in client.list_snapshots().await?.snapshots {
                outln!("{}", line(&snapshot));
            }
        }
        Action::Verify { name, .. } => {
            let whole = client.verify_snapshot(name.as_deref().unwrap_or_default()).await?;
            outln!("{}: every file is as it was made", line(&whole.snapshot.unwrap_or_default()));
        }
        Action::Delete(Named { name, .. }) => {
            client.delete_snapshot(name).await?;
            outln!("{name} is removed");
        }
        Action::Download { name, to, .. } => download(client, name, to).await?,
        Action::Upload { folder, name, .. } => upload(client, folder, name.as_deref()).await?,
        Action::Restore { name, collection, as_name, .. } => {
            let request = wire::RestoreSnapshotRequest {
                name: name.clone(),
                collection: collection.clone().unwrap_or_default(),
                as_name: as_name.clone().unwrap_or_default(),
            };
            for restored in client.restore_snapshot(request).await?.collections {
                outln!("restored {}", restored.config.unwrap_or_default().name);
            }
        }
    }
    Ok(())
}

async fn download(client: &Client, name: &str, to: &std::path::Path) -> Result<()> {
    let mut writer = SnapshotWriter::to_folder(to, name)?;
    let mut parts = client.download_snapshot(name).await?;
    while let Some(part) = parts.next_part().await? {
        let part = convert::part_from_wire(part).map_err(|e| CliError::Usage(e.to_string()))?;
        writer.take(part)?;
    }
    let manifest = writer.finish()?;
    outln!("{} in {}", line(&convert::snapshot_to_wire(manifest)), to.join(name).display());
    Ok(())
}

async fn upload(client: &Client, folder: &std::path::Path, name: Option<&str>) -> Result<()> {
    let own = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Whole here, so that a fault found there is of the way.
    let manifest = verify_snapshot_folder(folder)?;
    let mut reader = SnapshotReader::of_folder(folder)?;
    let parts = std::iter::from_fn(move || match reader.next_part() {
        Ok(part) => part.map(convert::part_to_wire),
        Err(error) => {
            // The server refuses what ends early, and keeps nothing.
            errln!("moiety: {error}");
            None
        }
    });
    let name = name.unwrap_or(&own);
    client.upload_snapshot(name, tokio_stream::iter(parts)).await?;
    outln!("{} is there as {name}", line(&convert::snapshot_to_wire(manifest)));
    Ok(())
}

/// A snapshot in one line.
fn line(snapshot: &wire::Snapshot) -> String {
    if !snapshot.damage.is_empty() {
        return format!("{}: damaged: {}", snapshot.name, snapshot.damage);
    }
    let records: u64 = snapshot.collections.iter().map(|collection| collection.records).sum();
    let bytes: u64 = snapshot.files.iter().map(|file| file.bytes).sum();
    format!(
        "{}: {records} records in {} collections, {:.1} MB in {} files, made {}",
        snapshot.name,
        snapshot.collections.len(),
        bytes as f64 / 1e6,
        snapshot.files.len(),
        moment(snapshot.created_unix_s)
    )
}

/// A moment in UTC; as a number where no calendar has it.
fn moment(unix_s: u64) -> String {
    let moment = i64::try_from(unix_s).ok().and_then(|s| Timestamp::from_second(s).ok());
    moment.map_or_else(|| format!("{unix_s} s after 1970 began"), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(1_709_208_000), "2024-02-29T12:00:00Z");
        assert!(moment(u64::MAX).contains("1970"));
    }
}
