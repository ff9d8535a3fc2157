//! Random bytes through protobuf and the conversions end in a value or an error, never in a panic.

use moiety_rpc::{RerankDefaults, convert, wire};
use proptest::prelude::*;
use prost::Message;

fn swallow(bytes: &[u8]) {
    let defaults = RerankDefaults::default();
    if let Ok(request) = wire::QueryRequest::decode(bytes) {
        let _ = convert::query_from_wire(request, &defaults);
    }
    if let Ok(request) = wire::ExplainRequest::decode(bytes) {
        let _ = convert::explain_from_wire(request, &defaults);
    }
    if let Ok(request) = wire::CreateCollectionRequest::decode(bytes) {
        let _ = convert::config_from_wire(request.config, "config");
    }
    if let Ok(request) = wire::UpsertRequest::decode(bytes) {
        for record in request.records {
            let _ = convert::record_from_wire(record, "record");
        }
    }
    if let Ok(filter) = wire::Filter::decode(bytes) {
        let _ = convert::filter_from_wire(filter, "filter");
    }
    if let Ok(request) = wire::GenerateRequest::decode(bytes) {
        let _ = convert::generate_options_from_wire(request.options, "options");
    }
    if let Ok(part) = wire::SnapshotPart::decode(bytes) {
        let _ = convert::part_from_wire(part);
    }
    if let Ok(vector) = wire::Vector::decode(bytes) {
        let _ = convert::vector_from_wire(&vector, "vector");
    }
    if let Ok(payload) = prost_types::Struct::decode(bytes) {
        let _ = convert::payload_from_wire(payload, "payload");
    }
}

/// A message with one of everything, to be bent.
fn seed() -> Vec<u8> {
    let exists = wire::condition::Test::Exists(wire::Exists {});
    let condition = wire::Condition { field: "year".into(), test: Some(exists) };
    let leaf = wire::Filter { node: Some(wire::filter::Node::Condition(condition)) };
    let not = wire::Filter { node: Some(wire::filter::Node::Not(Box::new(leaf))) };
    let all = wire::FilterList { filters: vec![not.clone(), not] };
    wire::QueryRequest {
        collection: "demo".into(),
        query: Some(wire::Query {
            asked: Some(wire::query::Asked::Vector(wire::Vector { data: vec![0; 16], dtype: 1 })),
        }),
        target: 1,
        limit: 10,
        filter: Some(wire::Filter { node: Some(wire::filter::Node::All(all)) }),
        rerank: Some(wire::Rerank {
            mode: 3,
            candidates: 9,
            weights: Some(wire::LevelWeights::default()),
        }),
        mode: 1,
        ef_search: 7,
    }
    .encode_to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        swallow(&bytes);
    }

    #[test]
    fn bent_messages_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = seed();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        swallow(&bytes);
        swallow(&bytes[..cut.index(bytes.len())]);
    }
}
