//! The `Collections` service.

use moiety_engine::Engine;
use moiety_proto::v1::{self as wire, collections_server::Collections};
use tonic::{Request, Response, Status};

use crate::{
    convert::{
        ConvertError, collection_to_wire, config_from_wire, index_from_wire, index_status_to_wire,
        stats_to_wire,
    },
    edge::{Clock, Edge},
    status::engine_status,
};

/// Answers `moiety.v1.Collections`.
pub(crate) struct CollectionsService {
    edge: Edge,
}

impl CollectionsService {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }
}

#[tonic::async_trait]
impl Collections for CollectionsService {
    async fn create(
        &self,
        request: Request<wire::CreateCollectionRequest>,
    ) -> Result<Response<wire::CreateCollectionResponse>, Status> {
        self.edge.answer(request, create).await
    }

    async fn get(
        &self,
        request: Request<wire::GetCollectionRequest>,
    ) -> Result<Response<wire::GetCollectionResponse>, Status> {
        self.edge.answer(request, get).await
    }

    async fn list(
        &self,
        request: Request<wire::ListCollectionsRequest>,
    ) -> Result<Response<wire::ListCollectionsResponse>, Status> {
        self.edge.answer(request, list).await
    }

    async fn drop(
        &self,
        request: Request<wire::DropCollectionRequest>,
    ) -> Result<Response<wire::DropCollectionResponse>, Status> {
        self.edge.answer(request, drop_collection).await
    }

    async fn stats(
        &self,
        request: Request<wire::CollectionStatsRequest>,
    ) -> Result<Response<wire::CollectionStatsResponse>, Status> {
        self.edge.answer(request, stats).await
    }

    async fn create_index(
        &self,
        request: Request<wire::CreateIndexRequest>,
    ) -> Result<Response<wire::CreateIndexResponse>, Status> {
        self.edge.answer(request, create_index).await
    }

    async fn drop_index(
        &self,
        request: Request<wire::DropIndexRequest>,
    ) -> Result<Response<wire::DropIndexResponse>, Status> {
        self.edge.answer(request, drop_index).await
    }

    async fn list_indexes(
        &self,
        request: Request<wire::ListIndexesRequest>,
    ) -> Result<Response<wire::ListIndexesResponse>, Status> {
        self.edge.answer(request, list_indexes).await
    }
}

/// The name of a collection, which must be given.
pub(crate) fn named<'a>(name: &'a str, field: &str) -> Result<&'a str, ConvertError> {
    if name.is_empty() {
        let remedy = "send the name of a collection";
        return Err(ConvertError::Missing { field: field.into(), remedy });
    }
    Ok(name)
}

fn create(
    engine: &Engine,
    request: wire::CreateCollectionRequest,
    clock: &Clock,
) -> Result<wire::CreateCollectionResponse, Status> {
    let config = config_from_wire(request.config, "config")?;
    named(&config.name, "config.name")?;
    let collection = engine.create_collection(config).map_err(|error| engine_status(&error))?;
    Ok(wire::CreateCollectionResponse {
        collection: Some(collection_to_wire(collection)),
        info: clock.info(engine, Vec::new()),
    })
}

fn get(
    engine: &Engine,
    request: wire::GetCollectionRequest,
    clock: &Clock,
) -> Result<wire::GetCollectionResponse, Status> {
    let name = named(&request.name, "name")?;
    let collection = engine.collection(name).map_err(|error| engine_status(&error))?;
    Ok(wire::GetCollectionResponse {
        collection: Some(collection_to_wire(collection)),
        info: clock.info(engine, Vec::new()),
    })
}

fn list(
    engine: &Engine,
    _: wire::ListCollectionsRequest,
    clock: &Clock,
) -> Result<wire::ListCollectionsResponse, Status> {
    let collections = engine.list_collections().into_iter().map(collection_to_wire).collect();
    Ok(wire::ListCollectionsResponse { collections, info: clock.info(engine, Vec::new()) })
}

fn drop_collection(
    engine: &Engine,
    request: wire::DropCollectionRequest,
    clock: &Clock,
) -> Result<wire::DropCollectionResponse, Status> {
    let name = named(&request.name, "name")?;
    engine.drop_collection(name).map_err(|error| engine_status(&error))?;
    Ok(wire::DropCollectionResponse { info: clock.info(engine, Vec::new()) })
}

fn stats(
    engine: &Engine,
    request: wire::CollectionStatsRequest,
    clock: &Clock,
) -> Result<wire::CollectionStatsResponse, Status> {
    let name = named(&request.name, "name")?;
    let stats = engine.stats(name).map_err(|error| engine_status(&error))?;
    let info = clock.info(engine, Vec::new());
    Ok(wire::CollectionStatsResponse { info, ..stats_to_wire(&stats) })
}

fn create_index(
    engine: &Engine,
    request: wire::CreateIndexRequest,
    clock: &Clock,
) -> Result<wire::CreateIndexResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    let spec = index_from_wire(request.index.unwrap_or_default(), "index")?;
    let made = engine.create_index(collection, &spec).map_err(|error| engine_status(&error))?;
    Ok(wire::CreateIndexResponse {
        index: Some(index_status_to_wire(made)),
        info: clock.info(engine, Vec::new()),
    })
}

fn drop_index(
    engine: &Engine,
    request: wire::DropIndexRequest,
    clock: &Clock,
) -> Result<wire::DropIndexResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    engine.drop_index(collection, &request.field).map_err(|error| engine_status(&error))?;
    Ok(wire::DropIndexResponse { info: clock.info(engine, Vec::new()) })
}

fn list_indexes(
    engine: &Engine,
    request: wire::ListIndexesRequest,
    clock: &Clock,
) -> Result<wire::ListIndexesResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    let indexes = engine.indexes(collection).map_err(|error| engine_status(&error))?;
    Ok(wire::ListIndexesResponse {
        indexes: indexes.into_iter().map(index_status_to_wire).collect(),
        info: clock.info(engine, Vec::new()),
    })
}
