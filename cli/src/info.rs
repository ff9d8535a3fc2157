//! `moiety info`: the model and the collections of a server.

use moiety_rpc::wire::Readiness;

use crate::{connect::ServerArgs, error::Result};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let connection = args.server.connect().await?;
    let info = connection.client.info().await?;
    let writes = info.generation() == moiety_rpc::wire::GenerationSupport::Both;
    let fingerprint = info.info.unwrap_or_default().model_fingerprint;
    outln!("server {} at {}", info.server_version, args.server.place());
    outln!("model {} ({fingerprint})", info.model_name);
    outln!(
        "  vectors of {} (whole) and {} (parts); reads up to {} heavy atoms and {} word pieces",
        info.global_dimension,
        info.part_dimension,
        info.max_atoms,
        info.max_text_tokens
    );
    if writes {
        outln!("  writes captions of molecules, and molecules for texts");
    }
    info.heads.iter().for_each(|head| outln!("{}", head_line(head)));
    for collection in connection.client.list_collections().await?.collections {
        let (rule, current) = (collection.normalisation_rule, collection.server_normalisation_rule);
        let name = collection.config.unwrap_or_default().name;
        let stats = connection.client.stats(&name).await?;
        let (molecules, texts) =
            (stats.molecules.unwrap_or_default(), stats.texts.unwrap_or_default());
        outln!(
            "collection {name}: {} records, {} molecules, {} texts, {:.1} MB on disk, {:.1} MB of indexes in memory{}",
            stats.records,
            molecules.vectors,
            texts.vectors,
            stats.disk_bytes as f64 / 1e6,
            (molecules.memory_bytes + texts.memory_bytes + stats.fingerprint_bytes) as f64 / 1e6,
            readiness(stats.readiness())
        );
        if rule != current {
            outln!(
                "  made when structures were normalised by rule {rule}; this server's rule is {current}: import it again to have \
                 all records by one rule"
            );
        }
        if let Some(problem) = &stats.unsaved {
            outln!(
                "  a graph is not on the disk as it is, so the next start makes again what is missing: {problem}"
            );
        }
    }
    outln!("{}", usage_lines(&connection.client.usage().await?));
    connection.close().await
}

/// What makes searches slow at the moment, if anything does.
fn readiness(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::OnDisk => "; no room for them in memory, every search reads the disk",
        Readiness::Loading => "; they are being read, until then every search reads the disk",
        Readiness::Linking => {
            "; a graph is being built, until then vectors are compared one by one"
        }
        Readiness::Ready | Readiness::Unspecified => "",
    }
}

/// Bytes by component, of memory and of disk.
fn usage_lines(used: &moiety_rpc::wire::UsageResponse) -> String {
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let line = |parts: &[(&str, u64)]| {
        let parts = parts.iter().map(|(name, bytes)| format!("{name} {}", mb(*bytes)));
        parts.collect::<Vec<_>>().join(", ")
    };
    let memory = line(&[
        ("vectors", used.vector_bytes),
        ("graphs", used.graph_bytes),
        ("fingerprints", used.fingerprint_bytes),
        ("cache of the store, writes included", used.block_cache_bytes),
    ]);
    let disk = line(&[
        ("tables", used.table_bytes),
        ("blobs", used.blob_bytes),
        ("log", used.log_bytes),
        ("other", used.other_bytes),
    ]);
    format!("memory: {memory}\ndisk: {disk}")
}

/// A head in one line, with what it is worth.
fn head_line(head: &moiety_rpc::wire::HeadInfo) -> String {
    let quality = head.quality.clone().unwrap_or_default();
    let tasks = match head.tasks.len() {
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    };
    format!(
        "head {}: {} ({tasks}), {} {:.3} ± {:.3} on a scaffold split, {} training molecules",
        head.name,
        head.title,
        quality.metric,
        quality.mean,
        quality.deviation,
        quality.training_molecules
    )
}
