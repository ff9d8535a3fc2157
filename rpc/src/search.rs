//! The `Search` service.

use moiety_engine::{Engine, Patience};
use moiety_proto::v1::{self as wire, search_server::Search};
use tonic::{Request, Response, Status};

use crate::{
    collections::named,
    convert::{
        RerankDefaults, explain_from_wire, explanation_to_wire, filter_plan_to_wire, hit_to_wire,
        query_from_wire, search_stages,
    },
    edge::{Clock, Edge},
    status::engine_status,
};

/// Answers `moiety.v1.Search`.
pub(crate) struct SearchService {
    edge: Edge,
    defaults: RerankDefaults,
}

impl SearchService {
    pub(crate) fn new(edge: Edge, defaults: RerankDefaults) -> Self {
        Self { edge, defaults }
    }
}

#[tonic::async_trait]
impl Search for SearchService {
    async fn query(
        &self,
        request: Request<wire::QueryRequest>,
    ) -> Result<Response<wire::QueryResponse>, Status> {
        let defaults = self.defaults;
        let work = move |engine: &Engine, request, clock: &Clock, patience: &Patience| {
            query(engine, request, &defaults, clock, patience)
        };
        self.edge.answer_patiently(request, work).await
    }

    async fn explain(
        &self,
        request: Request<wire::ExplainRequest>,
    ) -> Result<Response<wire::ExplainResponse>, Status> {
        let defaults = self.defaults;
        let work = move |engine: &Engine, request, clock: &Clock, patience: &Patience| {
            explain(engine, request, &defaults, clock, patience)
        };
        self.edge.answer_patiently(request, work).await
    }
}

fn query(
    engine: &Engine,
    request: wire::QueryRequest,
    defaults: &RerankDefaults,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::QueryResponse, Status> {
    let (collection, search) = query_from_wire(request, defaults)?;
    let collection = named(&collection, "collection")?;
    let found = engine
        .search_within(collection, &search, patience)
        .map_err(|error| engine_status(&error))?;
    let coverage = match found.exact {
        true => wire::Coverage::Exact,
        false => wire::Coverage::Approximate,
    };
    Ok(wire::QueryResponse {
        hits: found.hits.into_iter().map(hit_to_wire).collect(),
        coverage: coverage.into(),
        filter: found.filter.map(filter_plan_to_wire),
        info: clock.info(engine, search_stages(&found.timings)),
    })
}

fn explain(
    engine: &Engine,
    request: wire::ExplainRequest,
    defaults: &RerankDefaults,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::ExplainResponse, Status> {
    let (collection, explain) = explain_from_wire(request, defaults)?;
    let collection = named(&collection, "collection")?;
    let explanation = engine
        .explain_within(collection, &explain, patience)
        .map_err(|error| engine_status(&error))?;
    let info = clock.info(engine, search_stages(&explanation.timings));
    Ok(wire::ExplainResponse { info, ..explanation_to_wire(&explanation) })
}
