//! What a search promises, for every kind of query and filter.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use moiety_encoder::Encoder;
use moiety_engine::{
    Accuracy, Bound, EngineError, ErrorKind, ExplainRequest, Filter, LevelWeights, Query, Record,
    Rerank, SearchRequest, Side, Structure, limits,
};
use serde_json::json;

mod fixture;
use fixture::{
    DIM, NAME, encoder, engine, full_record, ids, open, payload, put, search, text, text_record,
    wait_for_graph, wait_for_linked,
};

const WEIGHTS: LevelWeights = LevelWeights { global: 0.5, fragment: 0.3, token: 0.2 };

fn text_query(words: &str, limit: usize) -> SearchRequest {
    SearchRequest::new(Query::Text(words.into()), Side::Text, limit)
}

fn equals(field: &str, value: serde_json::Value) -> Filter {
    Filter::Equals { field: field.into(), value }
}

#[test]
fn deleted_record_is_never_returned() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..50).map(text_record).collect());
    let before = search(&engine, &text_query(&text(7), 1));
    assert_eq!(ids(&before), ["r00007"]);
    assert_eq!(engine.delete(NAME, &["r00007".into(), "none".into()]).unwrap(), [true, false]);
    let after = search(&engine, &text_query(&text(7), 50));
    assert!(!ids(&after).contains(&"r00007"));
    assert_eq!(after.hits.len(), 49);
    let reopened = {
        drop(engine);
        open(dir.path())
    };
    assert!(!ids(&search(&reopened, &text_query(&text(7), 50))).contains(&"r00007"));
}

#[test]
fn searches_beside_writers_never_see_what_was_deleted_before_they_began() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let deleted = Mutex::new(HashSet::new());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                put(&engine, vec![text_record(n), text_record(n + 1_000)]);
                if n >= 5 {
                    let id = format!("r{:05}", n - 5);
                    engine.delete(NAME, std::slice::from_ref(&id)).unwrap();
                    deleted.lock().unwrap().insert(id);
                }
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Acquire) {
                let gone = deleted.lock().unwrap().clone();
                let response = search(&engine, &text_query(&text(n), 20));
                assert!(ids(&response).iter().all(|id| !gone.contains(*id)));
                n += 1;
            }
        });
    });
    assert_eq!(engine.count(NAME, None).unwrap(), 305);
}

#[test]
fn replaced_record_is_found_by_its_new_text_only() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..20).map(text_record).collect());
    put(&engine, vec![Record { text: Some("entirely new".into()), ..text_record(3) }]);
    let response = search(&engine, &text_query("entirely new", 1));
    assert_eq!(ids(&response), ["r00003"]);
    assert!(response.hits[0].score > 0.999);
    let old = search(&engine, &text_query(&text(3), 20));
    let hit = old.hits.iter().find(|hit| hit.record.id == "r00003").unwrap();
    assert!(hit.score < 0.9);
    assert_eq!(old.hits.len(), 20);
}

#[test]
fn same_query_same_ranking_and_ties_by_id_across_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let twin = |id: &str| Record { id: id.into(), ..text_record(1) };
    put(&engine, vec![twin("c"), twin("a"), twin("b")]);
    put(&engine, (10..40).map(text_record).collect());
    let request = text_query(&text(1), 10);
    let first = search(&engine, &request);
    assert_eq!(ids(&first)[..3], ["a", "b", "c"]);
    assert_eq!(ids(&search(&engine, &request)), ids(&first));
    drop(engine);
    assert_eq!(ids(&search(&open(dir.path()), &request)), ids(&first));
}

#[test]
fn every_pair_of_sides_is_searched_the_same_way() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..8).map(full_record).collect());
    let structure = Structure::Smiles("CC(=O)Oc1ccccc1C(=O)O".into());
    let queries = [
        Query::Molecule(structure),
        Query::Text("red dye".into()),
        Query::Id { id: "r00003".into(), side: Side::Molecule },
        Query::Id { id: "r00003".into(), side: Side::Text },
        Query::Vector(encoder().encode_texts(&["red"]).unwrap()[0].global.clone()),
    ];
    for query in queries {
        for side in Side::ALL {
            let mut request = SearchRequest::new(query.clone(), side, 5);
            request.rerank = Some(Rerank { candidates: 8, weights: WEIGHTS });
            let response = search(&engine, &request);
            assert_eq!(response.hits.len(), 5, "{query:?} on {side:?}");
            assert!(response.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
            assert_eq!(response.fingerprint, encoder().info().fingerprint);
        }
    }
    let same = SearchRequest::new(
        Query::Molecule(Structure::Smiles("OC(=O)c1ccccc1OC(C)=O".into())),
        Side::Molecule,
        1,
    );
    assert_eq!(ids(&search(&engine, &same)), ["r00003"], "aspirin written another way");
}

#[test]
fn records_of_one_side_are_not_found_on_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let molecule_only = Record { text: None, ..full_record(0) };
    put(&engine, vec![molecule_only, text_record(1)]);
    assert_eq!(ids(&search(&engine, &text_query("acid", 9))), ["r00001"]);
    let request = SearchRequest::new(Query::Text("acid".into()), Side::Molecule, 9);
    assert_eq!(ids(&search(&engine, &request)), ["r00000"]);
    let query = Query::Id { id: "r00001".into(), side: Side::Molecule };
    let error = engine.search(NAME, &SearchRequest::new(query, Side::Text, 1)).unwrap_err();
    assert!(matches!(error, EngineError::SideMissing { .. }), "{error}");
}

#[test]
fn reranked_score_is_the_weighted_sum_of_the_levels_and_explain_adds_up_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..30).map(full_record).collect());
    for (query, target) in [
        (Query::Text("red dye, sweet wine 4".into()), Side::Text),
        (Query::Molecule(Structure::Smiles("CC(=O)Oc1ccccc1".into())), Side::Molecule),
        (Query::Text("acid".into()), Side::Molecule),
        (Query::Id { id: "r00004".into(), side: Side::Text }, Side::Text),
    ] {
        let mut request = SearchRequest::new(query.clone(), target, 10);
        request.rerank = Some(Rerank { candidates: 30, weights: WEIGHTS });
        for hit in search(&engine, &request).hits {
            assert!((WEIGHTS.total(&hit.levels) - hit.score).abs() < 1e-6);
            assert!(hit.levels.fragment.is_some() && hit.levels.token.is_some());
            let id = hit.record.id.clone();
            let request =
                ExplainRequest { query: query.clone(), id, target, weights: WEIGHTS, filter: None };
            let explanation = engine.explain(NAME, &request).unwrap();
            assert!((explanation.score - hit.score).abs() < 1e-5);
            let pairs = explanation.levels.iter().flat_map(|level| &level.pairs);
            let sum: f32 = pairs.map(|pair| pair.contribution).sum();
            assert!((sum - hit.score).abs() < 1e-4, "{sum} {}", hit.score);
            assert_eq!(explanation.levels.len(), 3);
        }
    }
}

#[test]
fn explain_names_the_words_that_match() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, vec![Record { text: Some("a bitter drug".into()), ..text_record(0) }]);
    let request = ExplainRequest {
        query: Query::Text("drug".into()),
        id: "r00000".into(),
        target: Side::Text,
        weights: LevelWeights { global: 0.0, fragment: 0.0, token: 1.0 },
        filter: None,
    };
    let best = engine.explain(NAME, &request).unwrap().levels[2].pairs[0].clone();
    assert!(best.cosine > 0.99);
    assert_eq!(best.target, Some(moiety_engine::Extent::Span { start: 9, end: 13 }));
}

#[test]
fn explain_names_the_groups_of_both_molecules() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let molecule = |smiles: &str| Structure::Smiles(smiles.into());
    put(&engine, vec![Record { molecule: Some(molecule("OC(=O)CCS")), ..text_record(0) }]);
    let named = |query: Query, target: Side| {
        let request =
            ExplainRequest { query, id: "r00000".into(), target, weights: WEIGHTS, filter: None };
        let explanation = engine.explain(NAME, &request).unwrap();
        let names = |groups: Vec<moiety_engine::Group>| -> Vec<_> {
            groups.into_iter().map(|group| (group.name, group.atoms)).collect()
        };
        (names(explanation.query_groups), names(explanation.target_groups))
    };
    let groups = vec![("carboxylic acid", vec![0, 1, 2, 3]), ("thiol", vec![4, 5])];
    let nitrile = vec![("nitrile", vec![0, 1, 2])];
    let asked = Query::Molecule(molecule("CC#N"));
    assert_eq!(named(asked, Side::Molecule), (nitrile, groups.clone()));
    let stored = Query::Id { id: "r00000".into(), side: Side::Molecule };
    assert_eq!(named(stored, Side::Text), (groups.clone(), vec![]));
    assert_eq!(named(Query::Text("acid".into()), Side::Molecule), (vec![], groups));
}

#[test]
fn the_same_set_by_different_predicates_gives_the_same_hits() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..600).map(text_record).collect());
    wait_for_graph(&engine);
    let not = |filter| Filter::Not(Box::new(filter));
    let range = |lower, upper| Filter::Range { field: "n".into(), lower, upper };
    let few: Vec<_> = (0..12).map(|n| json!(n)).collect();
    let sets = [
        vec![
            Filter::In { field: "n".into(), values: few.clone() },
            range(Bound::Unbounded, Bound::Exclusive(12.0)),
            not(range(Bound::Inclusive(12.0), Bound::Unbounded)),
            Filter::Or(few.into_iter().map(|n| equals("n", n)).collect()),
        ],
        vec![
            equals("even", json!(true)),
            not(equals("even", json!(false))),
            Filter::And(vec![Filter::Exists { field: "n".into() }, equals("even", json!(true))]),
        ],
    ];
    for filters in sets {
        let mut answers = Vec::new();
        for filter in filters {
            let mut request = text_query("sweet red wine", 15);
            request.filter = Some(filter.clone());
            request.accuracy = Accuracy::Exact;
            let response = search(&engine, &request);
            assert_eq!(
                response.hits.len() as u64,
                engine.count(NAME, Some(&filter)).unwrap().min(15)
            );
            answers.push(ids(&response).into_iter().map(str::to_owned).collect::<Vec<_>>());
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    }
}

#[test]
fn k_hits_come_back_wherever_k_records_pass_the_filter() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..800).map(text_record).collect());
    wait_for_graph(&engine);
    for (below, limit) in [(0, 10), (3, 10), (100, 50), (400, 300), (800, 800)] {
        let filter = Filter::Range {
            field: "n".into(),
            lower: Bound::Unbounded,
            upper: Bound::Exclusive(f64::from(below)),
        };
        let request = SearchRequest { filter: Some(filter), ..text_query("toxic metal", limit) };
        let response = search(&engine, &request);
        assert_eq!(response.hits.len(), limit.min(below as usize));
        let passes = |n: &serde_json::Value| n.as_u64().unwrap() < below as u64;
        assert!(response.hits.iter().all(|hit| passes(&hit.record.payload["n"])));
    }
}

#[test]
fn graph_search_finds_nearly_what_exact_search_finds() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..2_500).map(text_record).collect());
    wait_for_linked(&engine, 2_000);
    let mut found = 0;
    for n in 0..30 {
        let request = SearchRequest { accuracy: Accuracy::Ef(64), ..text_query(&text(n * 50), 10) };
        let exact = SearchRequest { accuracy: Accuracy::Exact, ..request.clone() };
        let (graph, exact) = (search(&engine, &request), search(&engine, &exact));
        assert!(!graph.exact && exact.exact);
        let truth: HashSet<&str> = ids(&exact).into_iter().collect();
        found += ids(&graph).iter().filter(|id| truth.contains(*id)).count();
    }
    assert!(found >= 270, "{found} of 300");
}

#[test]
fn facts_of_the_molecule_are_filterable_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..8).map(full_record).collect());
    let filter = Filter::Range {
        field: "mol.molecular_weight".into(),
        lower: Bound::Exclusive(150.0),
        upper: Bound::Unbounded,
    };
    let page = engine.scroll(NAME, None, 10, Some(&filter)).unwrap();
    let found: Vec<&str> = page.records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(found, ["r00003", "r00005"], "aspirin and caffeine");
    let by_smiles = equals("mol.canonical_smiles", json!("CCO"));
    assert_eq!(engine.count(NAME, Some(&by_smiles)).unwrap(), 1);
}

#[test]
fn nothing_is_found_in_nothing_and_limits_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    assert!(search(&engine, &text_query("red", 10)).hits.is_empty());
    put(&engine, vec![text_record(0)]);
    let mut nothing = text_query("red", 0);
    nothing.rerank = Some(Rerank { candidates: 10, weights: WEIGHTS });
    assert!(search(&engine, &nothing).hits.is_empty());
    assert_eq!(search(&engine, &text_query("red", limits::MAX_LIMIT)).hits.len(), 1);
    let vector = |vector| SearchRequest::new(Query::Vector(vector), Side::Text, 1);
    let nan = LevelWeights { global: f32::NAN, ..WEIGHTS };
    let molecule = |smiles: &str| Query::Molecule(Structure::Smiles(smiles.into()));
    let refused = [
        text_query("red", limits::MAX_LIMIT + 1),
        text_query("...", 1),
        text_query(&"x".repeat(limits::MAX_TEXT_BYTES + 1), 1),
        vector(vec![1.0; DIM + 1]),
        vector(vec![]),
        vector(vec![f32::NAN; DIM]),
        vector(vec![0.0; DIM]),
        SearchRequest::new(molecule("C1CC"), Side::Text, 1),
        SearchRequest::new(molecule(""), Side::Text, 1),
        SearchRequest { accuracy: Accuracy::Ef(0), ..text_query("red", 1) },
        SearchRequest { accuracy: Accuracy::Ef(limits::MAX_EF + 1), ..text_query("red", 1) },
        SearchRequest { filter: Some(equals("", json!(1))), ..text_query("red", 1) },
        SearchRequest {
            rerank: Some(Rerank { candidates: 1, weights: nan }),
            ..text_query("red", 1)
        },
    ];
    for request in refused {
        let error = engine.search(NAME, &request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let unknown = Query::Id { id: "none".into(), side: Side::Text };
    let error = engine.search(NAME, &SearchRequest::new(unknown, Side::Text, 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = engine.search("nowhere", &text_query("red", 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn payload_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let given = payload(json!({
        "large": u64::MAX, "small": i64::MIN, "real": 0.1, "third": 1.0 / 3.0, "text": "ü\u{0}",
        "list": [1, [2.5, null]], "nested": {"": {"a": true}},
    }));
    put(&engine, vec![Record { payload: given.clone(), ..text_record(0) }]);
    let stored = engine.get(NAME, &["r00000".into(), "none".into()]).unwrap();
    assert_eq!(stored[0].as_ref().unwrap().payload, given);
    assert!(stored[1].is_none());
}
