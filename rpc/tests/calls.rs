//! Every call does what its .proto file says, over a real connection.

#![allow(clippy::unwrap_used)]

mod served;

use moiety_rpc::{ImportOptions, wire};
use served::{asks, asks_text, create, note, serve, serve_demo, smiles_structure};
use wire::query::Asked;

fn ids(response: &wire::QueryResponse) -> Vec<&str> {
    response
        .hits
        .iter()
        .map(|hit| hit.record.as_ref().unwrap().record.as_ref().unwrap().id.as_str())
        .collect()
}

fn made_before(year: f64) -> wire::Filter {
    let range = wire::NumberRange { less_than: Some(year), ..Default::default() };
    let test = Some(wire::condition::Test::Range(range));
    let condition = wire::Condition { field: "year".into(), test };
    wire::Filter { node: Some(wire::filter::Node::Condition(condition)) }
}

#[tokio::test]
async fn collection_is_created_got_listed_measured_and_dropped() {
    let served = serve().await;
    let client = &served.client;
    let config = wire::CollectionConfig {
        name: "demo".into(),
        metric: wire::Metric::Dot.into(),
        hnsw: Some(wire::HnswParameters { m: 8, ef_construction: 50, ef_search: 0 }),
        durability: wire::Durability::Wal.into(),
        indexes: vec![],
    };
    let made = client.create_collection(config).await.unwrap();
    let collection = made.collection.unwrap();
    let config = collection.config.clone().unwrap();
    assert_eq!((config.name.as_str(), config.metric()), ("demo", wire::Metric::Dot));
    assert_eq!(config.durability(), wire::Durability::Wal);
    assert_eq!(config.hnsw.unwrap().m, 8);
    assert!(config.hnsw.unwrap().ef_search > 0, "zero was replaced by the default");
    assert_eq!(collection.global_dimension as usize, served::DIMENSION);
    assert_eq!(collection.model_fingerprint, made.info.unwrap().model_fingerprint);

    assert_eq!(client.collection("demo").await.unwrap().collection.unwrap(), collection);
    assert_eq!(client.list_collections().await.unwrap().collections, [collection]);
    assert_eq!(client.stats("demo").await.unwrap().records, 0);
    client.drop_collection("demo").await.unwrap();
    assert_eq!(client.list_collections().await.unwrap().collections, []);
}

#[tokio::test]
async fn records_are_written_read_counted_scrolled_and_deleted() {
    let served = serve_demo().await;
    let client = &served.client;
    let again = client.upsert("demo", served::molecules()).await.unwrap();
    assert_eq!((again.created, again.replaced), (0, 3));

    let wanted = ["indigo", "nobody", "aspirin"].map(String::from).to_vec();
    let got = client.get("demo", wanted).await.unwrap();
    assert_eq!(got.missing_ids, ["nobody"]);
    let indigo = got.records[0].record.clone().unwrap();
    assert_eq!(indigo, served::molecules()[2]);
    assert!(!got.records[0].molecule.as_ref().unwrap().canonical_smiles.is_empty());

    assert_eq!(client.count("demo", None).await.unwrap().count, 3);
    assert_eq!(client.count("demo", Some(made_before(1880.0))).await.unwrap().count, 2);
    assert_eq!(client.stats("demo").await.unwrap().molecules.unwrap().vectors, 3);

    let gone = client.delete("demo", vec!["indigo".into(), "nobody".into()]).await.unwrap();
    assert_eq!((gone.deleted, gone.missing_ids), (1, vec!["nobody".to_owned()]));
    assert_eq!(client.count("demo", None).await.unwrap().count, 2);
}

#[tokio::test]
async fn scroll_gives_every_record_once_in_order() {
    let served = serve().await;
    create(&served.client, "demo").await;
    let records = (0..25).map(|i| note(&format!("r{i:02}"), &format!("text {i}"))).collect();
    served.client.upsert("demo", records).await.unwrap();
    let (mut seen, mut after_id) = (Vec::new(), String::new());
    loop {
        let request =
            wire::ScrollRequest { collection: "demo".into(), after_id, limit: 10, filter: None };
        let page = served.client.scroll(request).await.unwrap();
        assert!(page.records.len() <= 10);
        seen.extend(page.records.into_iter().map(|stored| stored.record.unwrap().id));
        after_id = page.next_after_id;
        if after_id.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = (0..25).map(|i| format!("r{i:02}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn import_acknowledges_every_chunk_in_order() {
    let served = serve().await;
    create(&served.client, "demo").await;
    let options = ImportOptions { window: 3, ..Default::default() };
    let mut session = served.client.import("demo", options).await.unwrap();
    let mut acknowledged = Vec::new();
    for chunk in 1..=20u64 {
        let good = note(&format!("r{chunk:02}"), "a text");
        let bad = note("", "no id");
        acknowledged.extend(session.send(chunk * 10, vec![bad, good]).await.unwrap());
    }
    assert!(session.last_durable() >= 170, "at most three chunks wait: {}", session.last_durable());
    acknowledged.extend(session.finish().await.unwrap());
    let sequences: Vec<_> = acknowledged.iter().map(|answer| answer.durable_sequence).collect();
    assert_eq!(sequences, (1..=20).map(|chunk| chunk * 10).collect::<Vec<_>>());
    for answer in &acknowledged {
        assert_eq!((answer.created, answer.errors.len()), (1, 1));
        assert_eq!(answer.errors[0].position, 0);
        assert_eq!(answer.errors[0].code(), wire::ItemErrorCode::InvalidId);
    }
    assert_eq!(served.client.count("demo", None).await.unwrap().count, 20);
}

#[tokio::test]
async fn query_finds_by_text_molecule_vector_and_stored_id() {
    let served = serve_demo().await;
    let client = &served.client;
    let by_text = client.query(asks_text("a blue dye for cloth")).await.unwrap();
    assert_eq!(ids(&by_text)[0], "indigo");
    assert_eq!(by_text.hits.len(), 3);
    assert!(by_text.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    assert_eq!(by_text.coverage(), wire::Coverage::Exact);

    let caffeine = smiles_structure("CN1C=NC2=C1C(=O)N(C(=O)N2C)C");
    let asked = asks(Asked::Molecule(caffeine.clone()), wire::Side::Molecule);
    let by_molecule = client.query(asked).await.unwrap();
    assert_eq!(ids(&by_molecule)[0], "caffeine");

    let request = wire::EncodeMoleculesRequest { molecules: vec![caffeine], ..Default::default() };
    let encoded = client.encode_molecules(request).await.unwrap();
    let vector = encoded.items[0].encoding.clone().unwrap().global.unwrap();
    let by_vector = client.query(asks(Asked::Vector(vector), wire::Side::Molecule)).await.unwrap();
    assert_eq!(ids(&by_vector), ids(&by_molecule), "the same vector gives the same ranking");

    let stored = wire::StoredId { id: "aspirin".into(), side: 0 };
    let by_id = client.query(asks(Asked::Stored(stored), wire::Side::Molecule)).await.unwrap();
    assert_eq!(ids(&by_id)[0], "aspirin");
}

#[tokio::test]
async fn query_obeys_filter_limit_and_mode() {
    let served = serve_demo().await;
    let request = wire::QueryRequest {
        filter: Some(made_before(1880.0)),
        limit: 1,
        mode: wire::SearchMode::Exact.into(),
        ..asks_text("relieves pain and fever")
    };
    let response = served.client.query(request.clone()).await.unwrap();
    assert_eq!(response.hits.len(), 1);
    assert_ne!(ids(&response)[0], "aspirin", "made in 1897");
    let all = wire::QueryRequest { limit: 0, ..request };
    assert_eq!(served.client.query(all).await.unwrap().hits.len(), 2);
}

#[tokio::test]
async fn contributions_of_an_explanation_add_up_to_the_score() {
    let served = serve_demo().await;
    let request = wire::ExplainRequest {
        collection: "demo".into(),
        query: asks_text("a blue dye").query,
        id: "indigo".into(),
        target: wire::Side::Text.into(),
        weights: Some(wire::LevelWeights { global: 1.0, fragment: 0.5, token: 0.25 }),
        filter: None,
    };
    let explained = served.client.explain(request).await.unwrap();
    let matches = explained.levels.iter().flat_map(|level| &level.matches);
    let sum: f32 = matches.map(|pair| pair.contribution).sum();
    assert!((sum - explained.score).abs() < 1e-4, "{sum} and {}", explained.score);
    assert_eq!(explained.levels[0].level(), wire::LevelName::Global);
}

#[tokio::test]
async fn reranked_score_is_the_weighted_sum_of_its_levels() {
    let served = serve_demo().await;
    let weights = wire::LevelWeights { global: 1.0, fragment: 0.5, token: 0.25 };
    let rerank = wire::Rerank {
        mode: wire::RerankMode::Levels.into(),
        candidates: 3,
        weights: Some(weights),
    };
    let request = wire::QueryRequest { rerank: Some(rerank), ..asks_text("keeps people awake") };
    let response = served.client.query(request).await.unwrap();
    assert_eq!(ids(&response)[0], "caffeine");
    for hit in response.hits {
        let levels = hit.levels.unwrap();
        let sum = levels.global.unwrap() * weights.global
            + levels.fragment.unwrap_or(0.0) * weights.fragment
            + levels.token.unwrap_or(0.0) * weights.token;
        assert!((sum - hit.score).abs() < 1e-4, "{sum} and {}", hit.score);
    }
}

#[tokio::test]
async fn encoder_gives_vectors_in_the_dtype_and_detail_asked_for() {
    let served = serve().await;
    let request = wire::EncodeTextsRequest {
        texts: vec!["a blue dye".into(), String::new(), "pain".into()],
        detail: wire::EncodingDetail::Levels.into(),
        dtype: wire::DType::DtypeF16.into(),
    };
    let answer = served.client.encode_texts(request).await.unwrap();
    let positions: Vec<_> = answer.items.iter().map(|item| item.position).collect();
    assert_eq!(positions, [0, 2]);
    assert_eq!(
        (answer.errors[0].position, answer.errors[0].code()),
        (1, wire::ItemErrorCode::InvalidText)
    );
    let encoding = answer.items[0].encoding.clone().unwrap();
    let global = encoding.global.unwrap();
    assert_eq!(global.data.len(), served::DIMENSION * 2);
    let numbers = moiety_rpc::convert::vector_from_wire(&global, "global").unwrap();
    let norm: f32 = numbers.iter().map(|number| number * number).sum();
    assert!((norm - 1.0).abs() < 1e-2, "unit norm, to half precision: {norm}");
    let tokens = encoding.tokens.unwrap();
    let matrix = tokens.vectors.unwrap();
    assert_eq!(matrix.data.len(), (matrix.rows * matrix.columns * 2) as usize);
    assert_eq!(tokens.extents.len(), matrix.rows as usize);

    let molecules = vec![smiles_structure("C1CC"), smiles_structure("CCO")];
    let request = wire::EncodeMoleculesRequest { molecules, ..Default::default() };
    let answer = served.client.encode_molecules(request).await.unwrap();
    assert_eq!((answer.items[0].position, answer.errors[0].position), (1, 0));
    assert_eq!(answer.items[0].encoding.as_ref().unwrap().tokens, None, "not asked for");
}

#[tokio::test]
async fn every_answer_says_its_time_and_model() {
    let served = serve_demo().await;
    let client = &served.client;
    let model = client.info().await.unwrap();
    assert_eq!(model.global_dimension as usize, served::DIMENSION);
    assert_eq!(model.max_message_bytes as usize, moiety_rpc::limits::MAX_MESSAGE_BYTES);
    let fingerprint = model.info.unwrap().model_fingerprint;
    assert!(!fingerprint.is_empty());
    let query = client.query(asks_text("a dye")).await.unwrap().info.unwrap();
    let stages: Vec<_> = query.stages.iter().map(|stage| stage.stage.as_str()).collect();
    assert_eq!(stages, ["parse", "encode", "plan", "candidates", "rerank", "fetch"]);
    let infos = [
        Some(query),
        client.collection("demo").await.unwrap().info,
        client.list_collections().await.unwrap().info,
        client.stats("demo").await.unwrap().info,
        client.count("demo", None).await.unwrap().info,
        client.get("demo", vec!["aspirin".into()]).await.unwrap().info,
        client.upsert("demo", served::molecules()).await.unwrap().info,
        client.delete("demo", vec!["aspirin".into()]).await.unwrap().info,
        client.drop_collection("demo").await.unwrap().info,
    ];
    for info in infos {
        let info = info.unwrap();
        assert_eq!(info.model_fingerprint, fingerprint);
        assert!(info.total_us > 0);
    }
}
