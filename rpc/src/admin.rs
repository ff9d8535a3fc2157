//! The `Admin` service, but for the streams of snapshots (`transfer.rs`).

use moiety_engine::{Engine, Patience};
use moiety_proto::v1::{self as wire, admin_server::Admin};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    collections::named,
    convert::{collection_to_wire, snapshot_info_to_wire, snapshot_to_wire, usage_to_wire},
    edge::{Clock, Edge},
    status::engine_status,
    transfer,
};

/// Answers `moiety.v1.Admin`.
pub(crate) struct AdminService {
    edge: Edge,
}

impl AdminService {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    type DownloadSnapshotStream = ReceiverStream<Result<wire::DownloadSnapshotResponse, Status>>;

    async fn create_snapshot(
        &self,
        request: Request<wire::CreateSnapshotRequest>,
    ) -> Result<Response<wire::CreateSnapshotResponse>, Status> {
        self.edge.answer_patiently(request, create).await
    }

    async fn list_snapshots(
        &self,
        request: Request<wire::ListSnapshotsRequest>,
    ) -> Result<Response<wire::ListSnapshotsResponse>, Status> {
        self.edge.answer(request, list).await
    }

    async fn verify_snapshot(
        &self,
        request: Request<wire::VerifySnapshotRequest>,
    ) -> Result<Response<wire::VerifySnapshotResponse>, Status> {
        self.edge.answer_patiently(request, verify).await
    }

    async fn delete_snapshot(
        &self,
        request: Request<wire::DeleteSnapshotRequest>,
    ) -> Result<Response<wire::DeleteSnapshotResponse>, Status> {
        self.edge.answer(request, delete).await
    }

    async fn download_snapshot(
        &self,
        request: Request<wire::DownloadSnapshotRequest>,
    ) -> Result<Response<Self::DownloadSnapshotStream>, Status> {
        let name = request.into_inner().name;
        named(&name, "name")?;
        transfer::download(self.edge.clone(), name).await.map(Response::new)
    }

    async fn upload_snapshot(
        &self,
        request: Request<Streaming<wire::UploadSnapshotRequest>>,
    ) -> Result<Response<wire::UploadSnapshotResponse>, Status> {
        transfer::upload(&self.edge, request.into_inner()).await.map(Response::new)
    }

    async fn restore_snapshot(
        &self,
        request: Request<wire::RestoreSnapshotRequest>,
    ) -> Result<Response<wire::RestoreSnapshotResponse>, Status> {
        self.edge.answer_patiently(request, restore).await
    }

    async fn rebuild(
        &self,
        request: Request<wire::RebuildRequest>,
    ) -> Result<Response<wire::RebuildResponse>, Status> {
        self.edge.answer_patiently(request, rebuild).await
    }

    async fn compact(
        &self,
        request: Request<wire::CompactRequest>,
    ) -> Result<Response<wire::CompactResponse>, Status> {
        self.edge.answer_patiently(request, compact).await
    }

    async fn usage(
        &self,
        request: Request<wire::UsageRequest>,
    ) -> Result<Response<wire::UsageResponse>, Status> {
        self.edge.answer(request, usage).await
    }
}

fn create(
    engine: &Engine,
    request: wire::CreateSnapshotRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::CreateSnapshotResponse, Status> {
    let name = named(&request.name, "name")?;
    let manifest = engine.create_snapshot(name, patience).map_err(|error| engine_status(&error))?;
    Ok(wire::CreateSnapshotResponse {
        snapshot: Some(snapshot_to_wire(manifest)),
        info: clock.info(engine, Vec::new()),
    })
}

fn list(
    engine: &Engine,
    _: wire::ListSnapshotsRequest,
    clock: &Clock,
) -> Result<wire::ListSnapshotsResponse, Status> {
    let snapshots = engine.list_snapshots().map_err(|error| engine_status(&error))?;
    Ok(wire::ListSnapshotsResponse {
        snapshots: snapshots.into_iter().map(snapshot_info_to_wire).collect(),
        info: clock.info(engine, Vec::new()),
    })
}

fn verify(
    engine: &Engine,
    request: wire::VerifySnapshotRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::VerifySnapshotResponse, Status> {
    let name = named(&request.name, "name")?;
    let manifest = engine.verify_snapshot(name, patience).map_err(|error| engine_status(&error))?;
    Ok(wire::VerifySnapshotResponse {
        snapshot: Some(snapshot_to_wire(manifest)),
        info: clock.info(engine, Vec::new()),
    })
}

fn delete(
    engine: &Engine,
    request: wire::DeleteSnapshotRequest,
    clock: &Clock,
) -> Result<wire::DeleteSnapshotResponse, Status> {
    let name = named(&request.name, "name")?;
    engine.delete_snapshot(name).map_err(|error| engine_status(&error))?;
    Ok(wire::DeleteSnapshotResponse { info: clock.info(engine, Vec::new()) })
}

fn restore(
    engine: &Engine,
    request: wire::RestoreSnapshotRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::RestoreSnapshotResponse, Status> {
    let name = named(&request.name, "name")?;
    let given = |text: &'_ str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (only, as_name) = (given(&request.collection), given(&request.as_name));
    let restored = engine
        .restore_snapshot(name, only.as_deref(), as_name.as_deref(), patience)
        .map_err(|error| engine_status(&error))?;
    Ok(wire::RestoreSnapshotResponse {
        collections: restored.into_iter().map(collection_to_wire).collect(),
        info: clock.info(engine, Vec::new()),
    })
}

fn rebuild(
    engine: &Engine,
    request: wire::RebuildRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::RebuildResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    engine.rebuild(collection, patience).map_err(|error| engine_status(&error))?;
    Ok(wire::RebuildResponse { info: clock.info(engine, Vec::new()) })
}

fn compact(
    engine: &Engine,
    request: wire::CompactRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::CompactResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    engine.compact(collection, patience).map_err(|error| engine_status(&error))?;
    Ok(wire::CompactResponse { info: clock.info(engine, Vec::new()) })
}

fn usage(
    engine: &Engine,
    _: wire::UsageRequest,
    clock: &Clock,
) -> Result<wire::UsageResponse, Status> {
    let (mut vector_bytes, mut memory_bytes, mut fingerprint_bytes) = (0, 0, 0);
    for collection in engine.list_collections() {
        // One that was dropped a moment ago takes nothing.
        let Ok(stats) = engine.stats(&collection.config.name) else { continue };
        fingerprint_bytes += stats.fingerprint_bytes;
        for side in [stats.molecules, stats.texts] {
            vector_bytes += side.vector_bytes;
            memory_bytes += side.memory_bytes;
        }
    }
    Ok(wire::UsageResponse {
        vector_bytes,
        fingerprint_bytes,
        graph_bytes: memory_bytes.saturating_sub(vector_bytes),
        info: clock.info(engine, Vec::new()),
        ..usage_to_wire(engine.usage())
    })
}
