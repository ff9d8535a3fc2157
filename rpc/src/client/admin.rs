//! An operator's calls.

use moiety_proto::v1::{self as wire, upload_snapshot_request::Message};
use tokio_stream::{Stream, StreamExt};
use tonic::Streaming;

use super::{Client, ClientError};

type Result<T> = std::result::Result<T, ClientError>;

/// A snapshot on its way here.
#[derive(Debug)]
pub struct SnapshotDownload {
    parts: Streaming<wire::DownloadSnapshotResponse>,
}

impl SnapshotDownload {
    /// The next part; `None` after the last. The server waits meanwhile.
    pub async fn next_part(&mut self) -> Result<Option<wire::SnapshotPart>> {
        Ok(self.parts.message().await?.map(|response| response.part.unwrap_or_default()))
    }
}

impl Client {
    /// Makes a snapshot.
    pub async fn create_snapshot(&self, name: &str) -> Result<wire::CreateSnapshotResponse> {
        let request = wire::CreateSnapshotRequest { name: name.into() };
        Ok(self.admin.clone().create_snapshot(request).await?.into_inner())
    }

    /// All snapshots, by name.
    pub async fn list_snapshots(&self) -> Result<wire::ListSnapshotsResponse> {
        Ok(self.admin.clone().list_snapshots(wire::ListSnapshotsRequest {}).await?.into_inner())
    }

    /// Compares every file of a snapshot with its checksum.
    pub async fn verify_snapshot(&self, name: &str) -> Result<wire::VerifySnapshotResponse> {
        let request = wire::VerifySnapshotRequest { name: name.into() };
        Ok(self.admin.clone().verify_snapshot(request).await?.into_inner())
    }

    /// Removes a snapshot.
    pub async fn delete_snapshot(&self, name: &str) -> Result<wire::DeleteSnapshotResponse> {
        let request = wire::DeleteSnapshotRequest { name: name.into() };
        Ok(self.admin.clone().delete_snapshot(request).await?.into_inner())
    }

    /// Begins to read a snapshot.
    pub async fn download_snapshot(&self, name: &str) -> Result<SnapshotDownload> {
        let request = wire::DownloadSnapshotRequest { name: name.into() };
        let parts = self.admin.clone().download_snapshot(request).await?.into_inner();
        Ok(SnapshotDownload { parts })
    }

    /// Sends a snapshot, part by part in the order in which they are read.
    pub async fn upload_snapshot(
        &self,
        name: &str,
        parts: impl Stream<Item = wire::SnapshotPart> + Send + 'static,
    ) -> Result<wire::UploadSnapshotResponse> {
        let message = |message| wire::UploadSnapshotRequest { message: Some(message) };
        let first = tokio_stream::once(message(Message::Name(name.into())));
        let messages = first.chain(parts.map(move |part| message(Message::Part(part))));
        Ok(self.admin.clone().upload_snapshot(messages).await?.into_inner())
    }

    /// Puts the collections of a snapshot in place of those of the same names; see the service.
    pub async fn restore_snapshot(
        &self,
        request: wire::RestoreSnapshotRequest,
    ) -> Result<wire::RestoreSnapshotResponse> {
        Ok(self.admin.clone().restore_snapshot(request).await?.into_inner())
    }

    /// Gives back the memory of deleted vectors.
    pub async fn rebuild(&self, collection: &str) -> Result<wire::RebuildResponse> {
        let request = wire::RebuildRequest { collection: collection.into() };
        Ok(self.admin.clone().rebuild(request).await?.into_inner())
    }

    /// Gives back the disk of deleted records.
    pub async fn compact(&self, collection: &str) -> Result<wire::CompactResponse> {
        let request = wire::CompactRequest { collection: collection.into() };
        Ok(self.admin.clone().compact(request).await?.into_inner())
    }

    /// What the database takes of disk and memory.
    pub async fn usage(&self) -> Result<wire::UsageResponse> {
        Ok(self.admin.clone().usage(wire::UsageRequest {}).await?.into_inner())
    }
}
