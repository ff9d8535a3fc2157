//! Bad input of every kind gets a canonical code and a message that says what, where and what to do; nothing is lost.

#![allow(clippy::unwrap_used)]

mod served;

use moiety_rpc::{ClientError, limits, wire};
use served::{
    Served, asks, asks_text, create, note, raw, record, refusal, serve, serve_demo,
    smiles_structure,
};
use tonic::Code;
use wire::{import_request::Message, query::Asked};

/// What was there before the bad input is still there and still found.
async fn nothing_is_lost(served: &Served) {
    assert_eq!(served.client.count("demo", None).await.unwrap().count, 3);
    let found = served.client.query(asks_text("keeps people awake")).await.unwrap();
    assert_eq!(found.hits.len(), 3);
}

async fn query_is_refused(
    served: &Served,
    request: wire::QueryRequest,
    code: Code,
    words: &[&str],
) {
    let shown = format!("{request:.300?}");
    let (found, message) = refusal(served.client.query(request).await);
    assert_eq!(found, code, "{message} for {shown}");
    for word in words {
        assert!(message.contains(word), "no {word:?} in {message:?} for {shown}");
    }
}

#[tokio::test]
async fn unknown_collection_is_not_found_by_every_call() {
    let served = serve().await;
    let client = &served.client;
    let scroll = wire::ScrollRequest { collection: "nowhere".into(), ..Default::default() };
    let query = wire::QueryRequest { collection: "nowhere".into(), ..asks_text("a dye") };
    let explain = wire::ExplainRequest {
        collection: "nowhere".into(),
        query: query.query.clone(),
        id: "a".into(),
        target: 1,
        weights: None,
        filter: None,
    };
    let refusals = [
        refusal(client.collection("nowhere").await),
        refusal(client.stats("nowhere").await),
        refusal(client.drop_collection("nowhere").await),
        refusal(client.upsert("nowhere", served::molecules()).await),
        refusal(
            client
                .upsert(
                    "nowhere",
                    vec![wire::Record {
                        molecule: Some(wire::Structure { format: None }),
                        ..Default::default()
                    }],
                )
                .await,
        ),
        refusal(client.get("nowhere", vec!["a".into()]).await),
        refusal(client.delete("nowhere", vec!["a".into()]).await),
        refusal(client.scroll(scroll).await),
        refusal(client.count("nowhere", None).await),
        refusal(client.query(query).await),
        refusal(client.explain(explain).await),
    ];
    for (code, message) in refusals {
        assert_eq!(code, Code::NotFound, "{message}");
        assert!(message.contains("nowhere"), "{message}");
    }
}

#[tokio::test]
async fn bad_collection_is_refused_with_the_field() {
    let served = serve().await;
    create(&served.client, "demo").await;
    let named = |name: &str| wire::CollectionConfig { name: name.into(), ..Default::default() };
    let hnsw = |m, ef_construction| wire::CollectionConfig {
        hnsw: Some(wire::HnswParameters { m, ef_construction, ef_search: 0 }),
        ..named("other")
    };
    let cases = [
        (named(""), Code::InvalidArgument, "name"),
        (named("../escape"), Code::InvalidArgument, "name"),
        (named(&"x".repeat(10_000)), Code::InvalidArgument, "name"),
        (named("demo"), Code::AlreadyExists, "demo"),
        (
            wire::CollectionConfig { metric: 99, ..named("other") },
            Code::InvalidArgument,
            "METRIC_COSINE",
        ),
        (
            wire::CollectionConfig { durability: -5, ..named("other") },
            Code::InvalidArgument,
            "DURABILITY_FSYNC",
        ),
        (hnsw(1, 0), Code::InvalidArgument, "m"),
        (hnsw(257, 0), Code::InvalidArgument, "m"),
        (hnsw(u32::MAX, u32::MAX), Code::InvalidArgument, "m"),
    ];
    for (config, code, word) in cases {
        let (found, message) = refusal(served.client.create_collection(config).await);
        assert_eq!(found, code, "{message}");
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(served.client.list_collections().await.unwrap().collections.len(), 1);
}

#[tokio::test]
async fn field_violations_travel_as_details() {
    let served = serve_demo().await;
    let request = wire::QueryRequest { target: 9, ..asks_text("a dye") };
    match served.client.query(request).await {
        Err(ClientError::Refused { violations, .. }) => {
            assert_eq!(violations[0].field, "target");
            assert!(violations[0].description.contains("SIDE_MOLECULE"));
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn bad_records_come_back_and_their_neighbours_are_stored() {
    let served = serve_demo().await;
    let molecule = |smiles: &str| wire::Record { text: None, ..record("bad", smiles, "", 0.0) };
    let nan = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(f64::NAN)) };
    let huge = prost_types::Value {
        kind: Some(prost_types::value::Kind::StringValue("x".repeat(1 << 20))),
    };
    let paid = |value| wire::Record {
        payload: Some(prost_types::Struct { fields: [("k".to_owned(), value)].into() }),
        ..note("bad", "a text")
    };
    use wire::ItemErrorCode as Fault;
    let cases = [
        (note("", "no id"), Fault::InvalidId),
        (note(&"i".repeat(5_000), "long id"), Fault::InvalidId),
        (wire::Record { id: "bad".into(), ..Default::default() }, Fault::InvalidItem),
        (molecule("C1CC"), Fault::InvalidMolecule),
        (molecule(""), Fault::InvalidMolecule),
        (molecule("not a molecule?"), Fault::InvalidMolecule),
        (molecule(&"C".repeat(10_000)), Fault::InvalidMolecule),
        (molecule(&"(".repeat(5_000)), Fault::InvalidMolecule),
        (molecule(&"C".repeat(2_000_000)), Fault::InvalidMolecule),
        (
            wire::Record {
                molecule: Some(wire::Structure { format: None }),
                ..note("bad", "a text")
            },
            Fault::InvalidMolecule,
        ),
        (note("bad", ""), Fault::InvalidText),
        (note("bad", &"word ".repeat(100_000)), Fault::InvalidText),
        (paid(nan), Fault::InvalidPayload),
        (paid(prost_types::Value { kind: None }), Fault::InvalidPayload),
        (paid(huge), Fault::InvalidPayload),
    ];
    let (bad, faults): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let mut batch = Vec::new();
    for (i, record) in bad.into_iter().enumerate() {
        batch.push(record);
        batch.push(note(&format!("good{i}"), "a good neighbour"));
    }
    let answer = served.client.upsert("demo", batch).await.unwrap();
    assert_eq!(answer.created as usize, faults.len(), "every neighbour is stored");
    let found: Vec<_> = answer.errors.iter().map(|error| (error.position, error.code())).collect();
    let expected: Vec<_> =
        faults.iter().enumerate().map(|(i, fault)| (i as u32 * 2, *fault)).collect();
    assert_eq!(found, expected, "{:#?}", answer.errors);
    for error in &answer.errors {
        assert!(!error.reason.is_empty() && error.reason.len() < 1_000, "{error:.2000?}");
    }
    assert_eq!(served.client.count("demo", None).await.unwrap().count as usize, 3 + faults.len());
}

#[tokio::test]
async fn empty_and_oversized_batches_are_refused_with_the_bounds() {
    let served = serve_demo().await;
    let client = &served.client;
    let many = vec![note("a", "b"); limits::MAX_BATCH + 1];
    let ids = vec!["a".to_owned(); limits::MAX_BATCH + 1];
    let texts = wire::EncodeTextsRequest {
        texts: vec!["a".into(); limits::MAX_ENCODE + 1],
        ..Default::default()
    };
    let scroll =
        wire::ScrollRequest { collection: "demo".into(), limit: 1_001, ..Default::default() };
    let cases = [
        (refusal(client.upsert("demo", Vec::new()).await), "10000"),
        (refusal(client.upsert("demo", many).await), "10000"),
        (refusal(client.get("demo", Vec::new()).await), "10000"),
        (refusal(client.get("demo", ids.clone()).await), "10000"),
        (refusal(client.delete("demo", Vec::new()).await), "10000"),
        (refusal(client.delete("demo", ids).await), "10000"),
        (refusal(client.encode_texts(wire::EncodeTextsRequest::default()).await), "1000"),
        (refusal(client.encode_texts(texts).await), "1000"),
        (refusal(client.encode_molecules(wire::EncodeMoleculesRequest::default()).await), "1000"),
        (refusal(client.scroll(scroll).await), "1000"),
    ];
    for ((code, message), bound) in cases {
        assert_eq!(code, Code::InvalidArgument, "{message}");
        assert!(message.contains(bound), "{message}");
    }
    nothing_is_lost(&served).await;
}

#[tokio::test]
async fn bad_vectors_are_refused() {
    let served = serve_demo().await;
    let vector = |data: Vec<u8>, dtype: i32| {
        asks(Asked::Vector(wire::Vector { data, dtype }), wire::Side::Molecule)
    };
    let numbers = |number: f32, count: usize| number.to_le_bytes().repeat(count);
    let mut nan = numbers(0.5, served::DIMENSION);
    nan[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    let right = served::DIMENSION.to_string();
    let cases = [
        (vector(nan, 1), vec!["query.vector.data", "position 2"]),
        (vector(numbers(f32::INFINITY, served::DIMENSION), 1), vec!["finite"]),
        (vector(numbers(1.0, 3), 1), vec!["3", right.as_str()]),
        (vector(numbers(1.0, 100_000), 1), vec!["100000", right.as_str()]),
        (vector(vec![0; 7], 1), vec!["7 bytes", "4"]),
        (vector(Vec::new(), 1), vec!["query.vector.data", "missing"]),
        (vector(numbers(1.0, served::DIMENSION), 0), vec!["DTYPE_F32"]),
        (vector(numbers(1.0, served::DIMENSION), 77), vec!["77", "DTYPE_F32"]),
    ];
    for (request, words) in cases {
        query_is_refused(&served, request, Code::InvalidArgument, &words).await;
    }
    nothing_is_lost(&served).await;
}

#[tokio::test]
async fn bad_questions_are_refused() {
    let served = serve_demo().await;
    let smiles =
        |smiles: &str| asks(Asked::Molecule(smiles_structure(smiles)), wire::Side::Molecule);
    let stored = |id: &str, side: i32| {
        asks(Asked::Stored(wire::StoredId { id: id.into(), side }), wire::Side::Molecule)
    };
    let text = asks_text("a dye");
    let invalid = [
        (wire::QueryRequest { query: None, ..text.clone() }, "query"),
        (wire::QueryRequest { collection: String::new(), ..text.clone() }, "collection"),
        (wire::QueryRequest { target: 0, ..text.clone() }, "SIDE_MOLECULE"),
        (wire::QueryRequest { mode: 44, ..text.clone() }, "SEARCH_MODE_EXACT"),
        (wire::QueryRequest { limit: u32::MAX, ..text.clone() }, "limit"),
        (asks_text(""), "text"),
        (asks_text("  \n "), "text"),
        (smiles("C1CC"), "SMILES"),
        (smiles(""), "query.molecule"),
        (smiles(&"C".repeat(10_000)), "limit"),
        (
            asks(Asked::Molecule(wire::Structure { format: None }), wire::Side::Molecule),
            "query.molecule.format",
        ),
        (stored("aspirin", 55), "query.stored.side"),
    ];
    for (request, word) in invalid {
        query_is_refused(&served, request, Code::InvalidArgument, &[word]).await;
    }
    query_is_refused(&served, stored("nobody", 0), Code::NotFound, &["nobody"]).await;
    nothing_is_lost(&served).await;
}

#[tokio::test]
async fn deep_filters_are_refused_and_never_overflow_the_stack() {
    let served = serve_demo().await;
    for depth in [20, 40, 90] {
        let exists = wire::condition::Test::Exists(wire::Exists {});
        let condition = wire::Condition { field: "year".into(), test: Some(exists) };
        let mut filter = wire::Filter { node: Some(wire::filter::Node::Condition(condition)) };
        for _ in 0..depth {
            filter = wire::Filter { node: Some(wire::filter::Node::Not(Box::new(filter))) };
        }
        let request = wire::QueryRequest { filter: Some(filter), ..asks_text("a dye") };
        query_is_refused(&served, request, Code::InvalidArgument, &[]).await;
    }
    let mut filter = Vec::new();
    for _ in 0..5_000 {
        // Field 3 of Filter, `not`, around what there is.
        filter = prefixed(0x1a, filter);
    }
    let body = prefixed(0x12, filter);
    let status = raw::call(&served.url(), "/moiety.v1.Records/Count", body).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    nothing_is_lost(&served).await;
}

/// A length-delimited field around `inner`.
fn prefixed(tag: u8, inner: Vec<u8>) -> Vec<u8> {
    let mut outer = vec![tag];
    prost::encode_length_delimiter(inner.len(), &mut outer).unwrap();
    outer.extend(inner);
    outer
}

#[tokio::test]
async fn over_limit_message_is_refused_with_the_limit() {
    let served = serve_demo().await;
    let limit = limits::MAX_MESSAGE_BYTES;
    let huge = "x".repeat(limit + 1);
    let (code, message) = refusal(served.client.query(asks_text(&huge)).await);
    assert_eq!(code, Code::ResourceExhausted, "{message}");
    assert!(message.contains(&limit.to_string()), "{message}");

    let answers =
        raw::import(&served.url(), vec![start("demo"), chunk(1, vec![note("a", &huge)])]).await;
    let status = answers.into_iter().next().unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains(&limit.to_string()), "{status}");
    nothing_is_lost(&served).await;
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_callers_fault() {
    let served = serve_demo().await;
    let not_utf8 = vec![0x0a, 0x02, 0xff, 0xfe];
    let cases = [not_utf8, vec![0xff; 64], vec![0x0a, 0x7f, 0x00], b"{\"json\": true}".to_vec()];
    for (method, body) in [
        "/moiety.v1.Search/Query",
        "/moiety.v1.Records/Upsert",
        "/moiety.v1.Collections/Get",
        "/moiety.v1.Encoder/EncodeTexts",
    ]
    .into_iter()
    .flat_map(|method| cases.iter().map(move |body| (method, body.clone())))
    {
        let status = raw::call(&served.url(), method, body.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{method} {body:x?} {status}");
    }
    let status = raw::call(&served.url(), "/moiety.v1.Collections/Get", vec![0x0a, 0x01, 0xff])
        .await
        .unwrap_err();
    assert!(status.message().contains("UTF-8") && status.message().contains("name"), "{status}");
    let status = raw::call(&served.url(), "/moiety.v1.Search/Guess", vec![]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    nothing_is_lost(&served).await;
}

#[tokio::test]
async fn unknown_enums_of_the_encoder_are_refused() {
    let served = serve().await;
    let texts = vec!["a dye".to_owned()];
    for (detail, dtype, word) in [(9, 0, "ENCODING_DETAIL_GLOBAL"), (0, 9, "DTYPE_F32")] {
        let request = wire::EncodeTextsRequest { texts: texts.clone(), detail, dtype };
        let (code, message) = refusal(served.client.encode_texts(request).await);
        assert_eq!(code, Code::InvalidArgument);
        assert!(message.contains(word), "{message}");
    }
}

#[tokio::test]
async fn a_question_that_cannot_be_encoded_names_its_field() {
    let served = serve_demo().await;
    let (code, message) = refusal(served.client.query(asks_text(" ")).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.starts_with("query.text: "), "{message}");
}

#[tokio::test]
async fn explanation_of_a_missing_record_or_of_nothing_is_refused() {
    let served = serve_demo().await;
    let explain = |query, id: &str| wire::ExplainRequest {
        collection: "demo".into(),
        query,
        id: id.into(),
        target: wire::Side::Text.into(),
        weights: None,
        filter: None,
    };
    let text = asks_text("a dye").query;
    let numbers =
        moiety_rpc::convert::vector_to_wire(&[0.125; served::DIMENSION], wire::DType::DtypeF32);
    let vector = asks(Asked::Vector(numbers), wire::Side::Text).query;
    let (code, message) = refusal(served.client.explain(explain(text, "nobody")).await);
    assert_eq!(code, Code::NotFound, "{message}");
    let explained = served.client.explain(explain(vector, "indigo")).await.unwrap();
    assert_eq!(explained.levels.len(), 1, "a vector has no parts to explain");
    let (code, message) = refusal(served.client.explain(explain(None, "indigo")).await);
    assert_eq!(code, Code::InvalidArgument, "{message}");
}

fn start(collection: &str) -> wire::ImportRequest {
    let start = wire::ImportStart { collection: collection.into() };
    wire::ImportRequest { message: Some(Message::Start(start)) }
}

fn chunk(sequence: u64, records: Vec<wire::Record>) -> wire::ImportRequest {
    let chunk = wire::ImportChunk { sequence, records };
    wire::ImportRequest { message: Some(Message::Chunk(chunk)) }
}

#[tokio::test]
async fn bad_imports_end_with_a_reason_and_keep_what_was_acknowledged() {
    let served = serve_demo().await;
    let empty = wire::ImportRequest { message: None };
    let good = |sequence| chunk(sequence, vec![note(&format!("import{sequence}"), "a text")]);
    let cases = [
        (vec![], 0, Code::InvalidArgument, "start"),
        (vec![good(1)], 0, Code::InvalidArgument, "start"),
        (vec![empty.clone()], 0, Code::InvalidArgument, "start"),
        (vec![start("nowhere"), good(1)], 0, Code::NotFound, "nowhere"),
        (vec![start(""), good(1)], 0, Code::InvalidArgument, "collection"),
        (vec![start("demo"), good(1), start("demo")], 1, Code::InvalidArgument, "start"),
        (vec![start("demo"), good(2), good(2)], 1, Code::InvalidArgument, "sequence"),
        (vec![start("demo"), chunk(0, vec![note("a", "b")])], 0, Code::InvalidArgument, "sequence"),
        (vec![start("demo"), good(3), empty], 1, Code::InvalidArgument, "chunk"),
        (vec![start("demo"), good(4), chunk(5, Vec::new())], 1, Code::InvalidArgument, "records"),
    ];
    for (messages, acknowledged, code, word) in cases {
        let mut answers = raw::import(&served.url(), messages.clone()).await;
        let status = answers.pop().unwrap().unwrap_err();
        assert_eq!(status.code(), code, "{messages:?}: {status}");
        assert!(status.message().contains(word), "{messages:?}: {status}");
        assert_eq!(answers.len(), acknowledged, "{messages:?}");
    }
    assert_eq!(served.client.count("demo", None).await.unwrap().count, 3 + 4);
}
