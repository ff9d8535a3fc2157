//! Snapshots and their parts.

use moiety_engine::{SnapshotInfo, SnapshotManifest, SnapshotPart, StoreUse};
use moiety_proto::v1::{self as wire, snapshot_part::Part};

use super::{ConvertError, collection_to_wire};

/// A snapshot whose manifest can be read.
pub fn snapshot_to_wire(manifest: SnapshotManifest) -> wire::Snapshot {
    let SnapshotManifest { name, created_unix_s, format_version, collections, files } = manifest;
    let collections = collections.into_iter().map(|collection| wire::SnapshotCollection {
        records: collection.records,
        collection: Some(collection_to_wire(collection.info)),
    });
    let files = files.into_iter().map(|file| wire::SnapshotFile {
        name: file.name,
        bytes: file.bytes,
        sha256: file.sha256,
    });
    wire::Snapshot {
        name,
        created_unix_s,
        format_version,
        collections: collections.collect(),
        files: files.collect(),
        damage: String::new(),
    }
}

/// A snapshot as it is listed, under the name that it has now.
pub fn snapshot_info_to_wire(info: SnapshotInfo) -> wire::Snapshot {
    let described = match info.manifest {
        Ok(manifest) => snapshot_to_wire(manifest),
        Err(damage) => wire::Snapshot { damage, ..Default::default() },
    };
    wire::Snapshot { name: info.name, ..described }
}

/// A part as it is sent.
pub fn part_to_wire(part: SnapshotPart) -> wire::SnapshotPart {
    let part = match part {
        SnapshotPart::Manifest(bytes) => Part::Manifest(bytes),
        SnapshotPart::Bytes { file, offset, bytes } => {
            Part::Chunk(wire::SnapshotChunk { file, offset, data: bytes })
        }
    };
    wire::SnapshotPart { part: Some(part) }
}

/// A part as it came.
pub fn part_from_wire(part: wire::SnapshotPart) -> Result<SnapshotPart, ConvertError> {
    match part.part {
        Some(Part::Manifest(bytes)) => Ok(SnapshotPart::Manifest(bytes)),
        Some(Part::Chunk(chunk)) => {
            Ok(SnapshotPart::Bytes { file: chunk.file, offset: chunk.offset, bytes: chunk.data })
        }
        None => Err(ConvertError::Missing {
            field: "part".into(),
            remedy: "send the manifest or a chunk of a file",
        }),
    }
}

/// Bytes by component; the caller adds how the answer came to be, and the memory of indexes.
pub fn usage_to_wire(store: StoreUse) -> wire::UsageResponse {
    wire::UsageResponse {
        table_bytes: store.table_bytes,
        blob_bytes: store.blob_bytes,
        log_bytes: store.log_bytes,
        other_bytes: store.other_bytes,
        write_buffer_bytes: store.write_buffer_bytes,
        block_cache_bytes: store.block_cache_bytes,
        ..Default::default()
    }
}
