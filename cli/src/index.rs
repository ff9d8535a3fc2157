//! `moiety index`: indexes of fields, which filters use instead of reading records.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use moiety_rpc::{Client, wire};

use crate::{connect::ServerArgs, error::Result, progress};

/// How often progress is asked for.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an index; every record's value there must have its type.
    Create {
        /// Path of the field, as in a filter: year, source.name, mol.inchikey
        field: String,
        /// What its values are
        #[arg(value_enum)]
        kind: Kind,
        #[command(flatten)]
        place: Place,
    },
    /// Drop the index of a field.
    Drop {
        /// Path of the field
        field: String,
        #[command(flatten)]
        place: Place,
    },
    /// List the indexes of a collection.
    List {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(clap::Args)]
struct Place {
    /// Collection that it belongs to
    #[arg(long)]
    collection: String,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Strings, found as a whole
    Keyword,
    /// Whole numbers
    Integer,
    /// Numbers
    Float,
    /// True and false
    Bool,
    /// RFC 3339 times or dates
    Datetime,
    /// Strings, found by their words
    Text,
}

impl Kind {
    fn to_wire(self) -> wire::FieldType {
        match self {
            Self::Keyword => wire::FieldType::Keyword,
            Self::Integer => wire::FieldType::Integer,
            Self::Float => wire::FieldType::Float,
            Self::Bool => wire::FieldType::Bool,
            Self::Datetime => wire::FieldType::Datetime,
            Self::Text => wire::FieldType::Text,
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let (Command::Create { place, .. } | Command::Drop { place, .. } | Command::List { place }) =
        &args.command;
    let connection = place.server.connect().await?;
    let (client, collection) = (&connection.client, &place.collection);
    match &args.command {
        Command::Create { field, kind, .. } => create(client, collection, field, *kind).await?,
        Command::Drop { field, .. } => {
            client.drop_index(collection, field).await?;
        }
        Command::List { .. } => {
            for index in client.list_indexes(collection).await?.indexes {
                outln!("{}", describe(&index));
            }
        }
    }
    connection.close().await
}

/// Makes the index and shows how far it is.
async fn create(client: &Client, collection: &str, field: &str, kind: Kind) -> Result<()> {
    let records = client.stats(collection).await?.records;
    let bar = progress::bar(records, "indexing");
    let create = client.create_index(collection, field, kind.to_wire());
    tokio::pin!(create);
    let made = loop {
        tokio::select! {
            made = &mut create => break made?,
            () = tokio::time::sleep(PROGRESS_INTERVAL) => {
                let indexes = client.list_indexes(collection).await?.indexes;
                let building = |index: &&wire::FieldIndexStatus| {
                    index.state() == wire::IndexState::Building
                };
                bar.set_position(indexes.iter().find(building).map_or(0, |index| index.records));
            }
        }
    };
    bar.finish_and_clear();
    outln!("{}", describe(&made.index.unwrap_or_default()));
    Ok(())
}

fn describe(status: &wire::FieldIndexStatus) -> String {
    let index = status.index.clone().unwrap_or_default();
    let kind = index.r#type().as_str_name().trim_start_matches("FIELD_TYPE_").to_lowercase();
    match status.state() {
        wire::IndexState::Building => {
            format!("{}: {kind}, {} records read so far", index.field, status.records)
        }
        _ => format!("{}: {kind}", index.field),
    }
}
