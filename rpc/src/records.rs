//! The `Records` service, but for the import stream (`import.rs`).

use moiety_engine::{Engine, Patience};
use moiety_proto::v1::{self as wire, records_server::Records};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    collections::named,
    convert::{
        check_count, check_limit, filter_from_wire, filter_plan_to_wire, stored_record_to_wire,
    },
    edge::{Clock, Edge},
    import,
    limits::{DEFAULT_PAGE, MAX_BATCH, MAX_PAGE},
    status::engine_status,
    upsert::upsert,
};

/// Answers `moiety.v1.Records`.
pub(crate) struct RecordsService {
    edge: Edge,
}

impl RecordsService {
    pub(crate) fn new(edge: Edge) -> Self {
        Self { edge }
    }
}

#[tonic::async_trait]
impl Records for RecordsService {
    type ImportStream = ReceiverStream<Result<wire::ImportResponse, Status>>;

    async fn upsert(
        &self,
        request: Request<wire::UpsertRequest>,
    ) -> Result<Response<wire::UpsertResponse>, Status> {
        self.edge.answer_patiently(request, write).await
    }

    async fn import(
        &self,
        request: Request<Streaming<wire::ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        import::start(self.edge.clone(), request.into_inner()).map(Response::new)
    }

    async fn get(
        &self,
        request: Request<wire::GetRecordsRequest>,
    ) -> Result<Response<wire::GetRecordsResponse>, Status> {
        self.edge.answer(request, get).await
    }

    async fn delete(
        &self,
        request: Request<wire::DeleteRequest>,
    ) -> Result<Response<wire::DeleteResponse>, Status> {
        self.edge.answer(request, delete).await
    }

    async fn scroll(
        &self,
        request: Request<wire::ScrollRequest>,
    ) -> Result<Response<wire::ScrollResponse>, Status> {
        self.edge.answer_patiently(request, scroll).await
    }

    async fn count(
        &self,
        request: Request<wire::CountRequest>,
    ) -> Result<Response<wire::CountResponse>, Status> {
        self.edge.answer_patiently(request, count).await
    }
}

fn write(
    engine: &Engine,
    request: wire::UpsertRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::UpsertResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    let written = upsert(engine, collection, request.records, patience)?;
    Ok(wire::UpsertResponse {
        created: written.created,
        replaced: written.replaced,
        errors: written.errors,
        info: clock.info(engine, Vec::new()),
    })
}

fn get(
    engine: &Engine,
    request: wire::GetRecordsRequest,
    clock: &Clock,
) -> Result<wire::GetRecordsResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    check_count(request.ids.len(), MAX_BATCH, "ids")?;
    let found = engine.get(collection, &request.ids).map_err(|error| engine_status(&error))?;
    let missing = found.iter().zip(&request.ids).filter(|(record, _)| record.is_none());
    Ok(wire::GetRecordsResponse {
        missing_ids: missing.map(|(_, id)| id.clone()).collect(),
        records: found.into_iter().flatten().map(stored_record_to_wire).collect(),
        info: clock.info(engine, Vec::new()),
    })
}

fn delete(
    engine: &Engine,
    request: wire::DeleteRequest,
    clock: &Clock,
) -> Result<wire::DeleteResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    check_count(request.ids.len(), MAX_BATCH, "ids")?;
    let there = engine.delete(collection, &request.ids).map_err(|error| engine_status(&error))?;
    let missing = there.iter().zip(request.ids).filter(|(there, _)| !**there);
    let missing_ids: Vec<_> = missing.map(|(_, id)| id).collect();
    Ok(wire::DeleteResponse {
        deleted: (there.len() - missing_ids.len()) as u64,
        missing_ids,
        info: clock.info(engine, Vec::new()),
    })
}

fn scroll(
    engine: &Engine,
    request: wire::ScrollRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::ScrollResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    let limit = check_limit(request.limit, DEFAULT_PAGE, MAX_PAGE, "limit")?;
    let filter = request.filter.map(|filter| filter_from_wire(filter, "filter")).transpose()?;
    let after = Some(request.after_id.as_str()).filter(|id| !id.is_empty());
    let page = engine
        .scroll_within(collection, after, limit, filter.as_ref(), patience)
        .map_err(|error| engine_status(&error))?;
    Ok(wire::ScrollResponse {
        records: page.records.into_iter().map(stored_record_to_wire).collect(),
        next_after_id: page.next.unwrap_or_default(),
        info: clock.info(engine, Vec::new()),
    })
}

fn count(
    engine: &Engine,
    request: wire::CountRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::CountResponse, Status> {
    let collection = named(&request.collection, "collection")?;
    let filter = request.filter.map(|filter| filter_from_wire(filter, "filter")).transpose()?;
    let (count, plan) = match &filter {
        None => (engine.count(collection, None).map_err(|error| engine_status(&error))?, None),
        Some(filter) => {
            let counted = engine.count_within(collection, filter, patience);
            let (count, plan) = counted.map_err(|error| engine_status(&error))?;
            (count, Some(filter_plan_to_wire(plan)))
        }
    };
    Ok(wire::CountResponse { count, info: clock.info(engine, Vec::new()), filter: plan })
}
