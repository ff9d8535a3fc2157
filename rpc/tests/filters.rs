//! Filters and field indexes over a real connection: answers, plans and refusals.

#![allow(clippy::unwrap_used)]

mod served;

use moiety_rpc::{Client, ClientError, wire};
use served::{asks_text, serve, serve_demo};
use wire::filter::Node;

fn node(node: Node) -> wire::Filter {
    wire::Filter { node: Some(node) }
}

fn smarts(smarts: &str) -> wire::Filter {
    node(Node::Substructure(wire::Substructure { smarts: smarts.into(), stereo: 0 }))
}

async fn violation(client: &Client, filter: wire::Filter) -> (String, String) {
    match client.count("demo", Some(filter)).await.unwrap_err() {
        ClientError::Refused { violations, .. } => {
            (violations[0].field.clone(), violations[0].description.clone())
        }
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_tree_and_a_text_of_the_same_filter_find_the_same_records() {
    let served = serve_demo().await;
    let client = &served.client;
    let early = wire::NumberRange { less_than: Some(1880.0), ..Default::default() };
    let condition =
        wire::Condition { field: "year".into(), test: Some(wire::condition::Test::Range(early)) };
    let similar = wire::Similarity {
        structure: Some(wire::Structure {
            format: Some(wire::structure::Format::Smiles("CC(=O)Oc1ccccc1C(=O)O".into())),
        }),
        at_least: 0.99,
    };
    let tree = node(Node::Group(wire::FilterGroup {
        must: vec![node(Node::Condition(condition)), smarts("c1ccccc1")],
        should: vec![],
        must_not: vec![node(Node::Similarity(similar))],
        min_should: None,
    }));
    let text = Client::filter(
        r#"year < 1880 and smarts("c1ccccc1") and not similar("CC(=O)Oc1ccccc1C(=O)O", 0.99)"#,
    );
    let mut counts = Vec::new();
    for filter in [tree, text] {
        let counted = client.count("demo", Some(filter.clone())).await.unwrap();
        let plan = counted.filter.unwrap();
        assert_eq!(plan.strategy(), wire::FilterStrategy::List);
        assert_eq!((plan.actual, plan.records), (Some(counted.count), 3));
        assert!(plan.conditions[1].text.starts_with("smarts("), "{plan:?}");
        let mut request = asks_text("a dye");
        request.filter = Some(filter);
        let found = client.query(request).await.unwrap();
        assert_eq!(found.hits.len() as u64, counted.count);
        assert_eq!(found.coverage(), wire::Coverage::Exact);
        assert_eq!(found.filter.unwrap().strategy(), wire::FilterStrategy::Among);
        counts.push(counted.count);
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn an_index_is_made_used_listed_and_dropped() {
    let served = serve_demo().await;
    let client = &served.client;
    let made = client.create_index("demo", "year", wire::FieldType::Integer).await.unwrap();
    assert_eq!(made.index.unwrap().state(), wire::IndexState::Ready);
    let listed = client.list_indexes("demo").await.unwrap().indexes;
    assert_eq!(listed[0].index.as_ref().unwrap().field, "year");
    let config = client.collection("demo").await.unwrap().collection.unwrap().config.unwrap();
    assert_eq!(config.indexes.len(), 1);
    let plan = client.count("demo", Some(Client::filter("year < 1880"))).await.unwrap();
    let plan = plan.filter.unwrap();
    assert_eq!((plan.tested, plan.conditions[0].index.as_str()), (0, "year"));
    let again = client.create_index("demo", "year", wire::FieldType::Text).await.unwrap_err();
    assert!(again.to_string().contains("has an index"), "{again}");
    let wrong = client.create_index("demo", "mol.rings", wire::FieldType::Text).await.unwrap_err();
    assert!(wrong.to_string().contains("integer"), "{wrong}");
    client.drop_index("demo", "year").await.unwrap();
    assert!(client.list_indexes("demo").await.unwrap().indexes.is_empty());
    assert!(client.drop_index("demo", "year").await.is_err());
}

#[tokio::test]
async fn a_collection_is_made_with_indexes_and_refuses_other_types() {
    let served = serve().await;
    let index = |field: &str, kind: wire::FieldType| wire::FieldIndex {
        field: field.into(),
        r#type: kind.into(),
    };
    let config = wire::CollectionConfig {
        name: "typed".into(),
        indexes: vec![
            index("year", wire::FieldType::Datetime),
            index("mol.inchikey", wire::FieldType::Keyword),
        ],
        ..Default::default()
    };
    served.client.create_collection(config.clone()).await.unwrap();
    let answer = served.client.upsert("typed", served::molecules()).await.unwrap();
    assert_eq!((answer.created, answer.errors.len()), (0, 3), "a year is a number there");
    assert!(answer.errors[0].reason.contains("datetime"), "{:?}", answer.errors[0]);
    let twice = wire::CollectionConfig {
        name: "twice".into(),
        indexes: vec![index("a", wire::FieldType::Bool), index("payload.a", wire::FieldType::Text)],
        ..config
    };
    let error = served.client.create_collection(twice).await.unwrap_err();
    assert!(error.to_string().contains("indexes[1]"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_in_a_filter_is_named_by_its_path_or_position() {
    let served = serve_demo().await;
    let client = &served.client;
    let object = prost_types::Value {
        kind: Some(prost_types::value::Kind::StructValue(prost_types::Struct::default())),
    };
    let equals = |value| {
        let test = Some(wire::condition::Test::Equals(value));
        node(Node::Condition(wire::Condition { field: "year".into(), test }))
    };
    let must = wire::FilterGroup {
        must: vec![smarts("C"), smarts("C("), equals(object.clone())],
        ..Default::default()
    };
    let cases = [
        (equals(object), "filter.equals", "a string, a number"),
        (node(Node::Group(must)), "filter.must[1].smarts", "SMARTS"),
        (node(Node::Expression("year < and".into())), "filter.expression", "character 8"),
        (node(Node::Expression("mol.mass > 3".into())), "filter.range.field", "exact_mass"),
    ];
    for (filter, field, part) in cases {
        let (found, description) = violation(client, filter).await;
        assert_eq!(found, field, "{description}");
        assert!(description.contains(part), "{description}");
    }
}

#[tokio::test]
async fn explain_says_which_conditions_a_record_meets() {
    let served = serve_demo().await;
    let request = wire::ExplainRequest {
        collection: "demo".into(),
        query: Some(wire::Query { asked: Some(wire::query::Asked::Text("a dye".into())) }),
        id: "indigo".into(),
        target: wire::Side::Molecule.into(),
        weights: None,
        filter: Some(Client::filter("smarts('[Cl]') or has(year)")),
    };
    let explained = served.client.explain(request).await.unwrap().filter.unwrap();
    assert_eq!(explained.verdict(), wire::FilterVerdict::Passes);
    let verdicts: Vec<_> = explained.conditions().collect();
    assert_eq!(verdicts, [wire::FilterVerdict::Fails, wire::FilterVerdict::Passes]);
    assert_eq!(explained.plan.unwrap().conditions[1].text, "has(year)");
}
