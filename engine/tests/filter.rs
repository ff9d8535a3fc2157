//! Filters: the plan may be what it will, the records that pass are found, and the plan says what it did.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{collections::HashSet, path::Path};

use moiety_chem::Structure;
use moiety_engine::{
    AccessPath, Accuracy, Engine, EngineError, ErrorKind, ExplainRequest, FieldType, Filter,
    IndexState, LevelWeights, Query, Record, SearchRequest, Side, Strategy as Found,
};
use serde_json::json;

mod fixture;
use fixture::{MOLECULES, NAME, engine, ids, open, payload, put, search, spec, text, text_record};

#[test]
fn the_same_set_by_different_predicates_gives_the_same_hits_with_and_without_indexes() {
    let sets = [
        vec![
            "n < 12",
            "n in [0,1,2,3,4,5,6,7,8,9,10,11]",
            "not n >= 12",
            "at_least(1, n <= 5, 5 < n < 12)",
            "label in ['l0','l1','l2','l3','l4','l5','l6','l7','l8','l9','l10','l11']",
        ],
        vec!["even = true", "not even = false", "even != false and has(n)", "words(kind, 'even')"],
        vec![
            "similar('CCO', 1)",
            "mol.formula = 'C2H6O'",
            "smarts('[CH3][CH2][OH]')",
            "n = 8 or n = 16",
        ],
    ];
    let specs = [
        spec("n", FieldType::Integer),
        spec("label", FieldType::Keyword),
        spec("even", FieldType::Bool),
        spec("kind", FieldType::Text),
        spec("mol.formula", FieldType::Keyword),
    ];
    let mut all = Vec::new();
    for indexed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(dir.path());
        if indexed {
            specs.iter().for_each(|spec| drop(engine.create_index(NAME, spec).unwrap()));
        }
        let records = (0..600u64).map(|n| {
            let kind = if n.is_multiple_of(2) { "an even number" } else { "an odd one" };
            let fields = json!({"n": n, "even": n.is_multiple_of(2), "label": format!("l{n}"), "kind": kind});
            let molecule = (n == 8 || n == 16).then(|| Structure::Smiles("CCO".into()));
            Record { molecule, payload: payload(fields), ..text_record(n) }
        });
        put(&engine, records.collect());
        for filters in &sets {
            for filter in filters {
                let filter = Filter::parse(filter).unwrap();
                let query = Query::Text("sweet red wine".into());
                let request = SearchRequest {
                    filter: Some(filter.clone()),
                    ..SearchRequest::new(query, Side::Text, 15)
                };
                let response = search(&engine, &request);
                let passing = engine.count(NAME, Some(&filter)).unwrap();
                assert_eq!(response.hits.len() as u64, passing.min(15), "{filter}");
                let found: Vec<String> = ids(&response).into_iter().map(str::to_owned).collect();
                all.push((filters.as_ptr(), found));
            }
        }
    }
    for (set, found) in &all {
        let first = all.iter().find(|(other, _)| other == set).unwrap();
        assert_eq!(*found, first.1);
    }
}

/// 6,000 records of which one in a thousand has each number, once with an index and once without.
fn shared_out(dir: &Path) -> Engine {
    let engine = engine(dir);
    engine.create_index(NAME, &spec("share", FieldType::Integer)).unwrap();
    let share = |n: u64| n.wrapping_mul(2_654_435_761) % 1_000;
    let records: Vec<Record> = (0..6_000)
        .map(|n| Record {
            payload: payload(json!({"share": share(n), "plain": share(n)})),
            ..text_record(n)
        })
        .collect();
    for records in records.chunks(1_000) {
        put(&engine, records.to_vec());
    }
    engine
}

#[test]
fn an_index_that_admits_half_of_all_is_left_alone_and_never_where_it_counts() {
    let dir = tempfile::tempdir().unwrap();
    let engine = shared_out(dir.path());
    // Only what is on the disk can be estimated.
    engine.flush().unwrap();
    let half = Filter::parse("share < 500").unwrap();
    for (below, is_read) in [(50, true), (500, false), (900, false)] {
        let request = SearchRequest {
            filter: Some(Filter::parse(&format!("share < {below}")).unwrap()),
            ..SearchRequest::new(Query::Text(text(77)), Side::Text, 10)
        };
        let response = search(&engine, &request);
        let plan = response.filter.as_ref().unwrap();
        assert_eq!(plan.conditions[0].access, AccessPath::Index { field: "share".into() });
        assert_eq!(plan.conditions[0].admits.is_some(), is_read, "{below}: {plan:?}");
        let exact = SearchRequest { accuracy: Accuracy::Exact, ..request };
        assert_eq!(response.hits.len(), search(&engine, &exact).hits.len());
    }
    assert_eq!(engine.count(NAME, Some(&half)).unwrap(), 3_000);
    let (_, plan) = engine.count_planned(NAME, &half).unwrap();
    assert_eq!(plan.conditions[0].admits, Some(3_000));
}

#[test]
fn recall_holds_at_every_selectivity() {
    let dir = tempfile::tempdir().unwrap();
    let engine = shared_out(dir.path());
    fixture::wait_for_linked(&engine, 2_000);
    // With the collection's own width so few are always compared; with a narrow one half of them are sought in the graph.
    let narrow = Accuracy::Ef(40);
    let cases = [1, 10, 100, 500].map(|below| (below, Accuracy::Auto, 95));
    let mut strategies = HashSet::new();
    for (below, accuracy, least) in cases.into_iter().chain([(500, narrow, 90)]) {
        for field in ["share", "plain"] {
            let filter = Filter::parse(&format!("{field} < {below}")).unwrap();
            let (mut found, mut wanted) = (0, 0);
            for n in 0..20 {
                let request = SearchRequest {
                    filter: Some(filter.clone()),
                    accuracy,
                    ..SearchRequest::new(Query::Text(text(n * 77)), Side::Text, 10)
                };
                let exact = SearchRequest { accuracy: Accuracy::Exact, ..request.clone() };
                let (found_now, exact) = (search(&engine, &request), search(&engine, &exact));
                assert_eq!(found_now.hits.len(), exact.hits.len());
                let plan = found_now.filter.as_ref().unwrap();
                let graph = matches!(plan.strategy, Found::Graph { .. } | Found::OverFetch { .. });
                strategies.insert(std::mem::discriminant(&plan.strategy));
                assert!(found_now.exact || graph, "{plan:?}");
                let truth: HashSet<&str> = ids(&exact).into_iter().collect();
                found += ids(&found_now).iter().filter(|id| truth.contains(*id)).count();
                wanted += truth.len();
            }
            assert!(found * 100 >= wanted * least, "{field} < {below}: {found} of {wanted}");
        }
    }
    assert_eq!(strategies.len(), 3, "few compared, the graph walked, and the graph asked for more");
}

#[test]
fn the_plan_says_which_index_answered_and_the_explanation_what_holds() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_index(NAME, &spec("n", FieldType::Integer)).unwrap();
    let records = (0..200).map(|n| Record {
        molecule: Some(Structure::Smiles(MOLECULES[n as usize % 10].into())),
        ..text_record(n)
    });
    put(&engine, records.collect());
    let filter = Filter::parse("n < 100 and even = true and smarts('c1ccccc1')").unwrap();
    let (count, plan) = engine.count_planned(NAME, &filter).unwrap();
    // Of every ten molecules three have the ring, one of them at an even place.
    assert_eq!((count, plan.actual, plan.strategy), (10, Some(10), Found::List));
    let by_path = |path: &str| plan.conditions.iter().find(|c| c.path == path).unwrap().clone();
    assert_eq!(by_path("filter.all[0]").access, AccessPath::Index { field: "n".into() });
    assert_eq!(by_path("filter.all[0]").admits, Some(100));
    assert_eq!(by_path("filter.all[1]").access, AccessPath::Records);
    assert_eq!(by_path("filter.all[2]").access, AccessPath::Screen);
    assert!(plan.tested <= 60 && plan.possible <= 60, "the screen left out most: {plan:?}");
    let explain = |id: &str| {
        let request = ExplainRequest {
            query: Query::Text("red".into()),
            id: id.into(),
            target: Side::Text,
            weights: LevelWeights::GLOBAL_ONLY,
            filter: Some(filter.clone()),
        };
        engine.explain(NAME, &request).unwrap().filter.unwrap()
    };
    let (phenol, dichlorobenzene) = (explain("r00002"), explain("r00009"));
    assert_eq!((phenol.passes, phenol.holds), (true, vec![true, true, true]));
    assert_eq!(dichlorobenzene.holds, [true, false, true]);
    assert!(!dichlorobenzene.passes && dichlorobenzene.plan.strategy == Found::Among);
}

#[test]
fn an_index_refuses_values_of_another_type_and_lives_through_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let first = engine(dir.path());
    put(&first, (0..30).map(text_record).collect());
    let wrong = first.create_index(NAME, &spec("even", FieldType::Keyword)).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Invalid);
    assert!(wrong.to_string().contains("r00000") && wrong.to_string().contains("true"), "{wrong}");
    assert!(first.indexes(NAME).unwrap().is_empty(), "what could not be made is gone");
    let made = first.create_index(NAME, &spec("payload.n", FieldType::Integer)).unwrap();
    assert_eq!((made.spec.field.as_str(), made.state), ("n", IndexState::Ready));
    let misfit = Record { payload: payload(json!({"n": "many"})), ..text_record(5) };
    let outcomes = first.upsert(NAME, vec![text_record(40), misfit, text_record(41)]).unwrap();
    let error = outcomes[1].as_ref().unwrap_err();
    assert_eq!((error.position, error.field), (1, "payload"));
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok() && error.reason.contains("integer"));
    drop(first);
    let engine = open(dir.path());
    assert_eq!(engine.indexes(NAME).unwrap(), [made]);
    assert_eq!(engine.collection(NAME).unwrap().config.indexes, [spec("n", FieldType::Integer)]);
    let filter = Filter::parse("n >= 40").unwrap();
    let (count, plan) = engine.count_planned(NAME, &filter).unwrap();
    assert_eq!((count, plan.tested), (2, 0), "the index is sure");
    engine.drop_index(NAME, "n").unwrap();
    let again = engine.drop_index(NAME, "n").unwrap_err();
    assert!(matches!(again, EngineError::IndexNotFound { .. }), "{again}");
    let (count, plan) = engine.count_planned(NAME, &filter).unwrap();
    assert_eq!((count, plan.tested, &plan.conditions[0].access), (2, 32, &AccessPath::Records));
}

#[test]
fn an_index_is_made_while_writers_write() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..2_000).map(text_record).collect());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..150 {
                let moved =
                    Record { payload: payload(json!({"n": n + 10_000})), ..text_record(n * 3) };
                put(&engine, vec![moved, text_record(3_000 + n)]);
                engine.delete(NAME, &[format!("r{:05}", n * 3 + 1)]).unwrap();
            }
        });
        scope.spawn(|| engine.create_index(NAME, &spec("n", FieldType::Integer)).unwrap());
    });
    for (filter, expected) in [("n >= 10000", 150), ("n < 2000", 1_700), ("has(n)", 2_000)] {
        let filter = Filter::parse(filter).unwrap();
        let (count, plan) = engine.count_planned(NAME, &filter).unwrap();
        assert_eq!((count, plan.tested), (expected, 0), "{filter}");
    }
}

#[test]
fn an_answer_is_bounded_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let large = "x".repeat(60_000);
    let records =
        (0..1_200).map(|n| Record { payload: payload(json!({"x": large})), ..text_record(n) });
    let records: Vec<Record> = records.collect();
    records.chunks(300).for_each(|records| put(&engine, records.to_vec()));
    let query = || Query::Text("red".into());
    let error = engine.search(NAME, &SearchRequest::new(query(), Side::Text, 1_200)).unwrap_err();
    assert!(matches!(&error, EngineError::Invalid { field, .. } if field == "limit"), "{error}");
    assert_eq!(search(&engine, &SearchRequest::new(query(), Side::Text, 500)).hits.len(), 500);
    let first = engine.scroll(NAME, None, 10_000, None).unwrap();
    assert!(first.records.len() < 1_200);
    let rest = engine.scroll(NAME, first.next.as_deref(), 10_000, None).unwrap();
    assert_eq!((first.records.len() + rest.records.len(), rest.next), (1_200, None));
}

#[test]
fn names_in_backticks_keep_their_dots_and_a_records_own_text_can_be_asked() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let record = |n: u64, fields| Record { payload: payload(fields), ..text_record(n) };
    let first = record(1, json!({"CAS No.": "50-78-2", "assays": [{"IC 50": 3}]}));
    let first = Record { text: Some("A yellow dye, for wo\u{ad}ol".into()), ..first };
    put(&engine, vec![first, record(2, json!({"CAS No": "x", "text": "a payload's own"}))]);
    let count = |filter: &str| engine.count(NAME, Some(&Filter::parse(filter).unwrap())).unwrap();
    assert_eq!(count("`CAS No.` = '50-78-2'"), 1);
    assert_eq!(count(r"`CAS No.` = '50-78-2' and assays.`IC 50` = 3"), 1);
    assert_eq!(count("words(text, 'YELLOW wool')"), 1);
    assert_eq!(count("words(payload.text, 'payload')"), 1);
    assert_eq!(count("id = 'r00001' or id = 'r7'"), count("has(assays)"));
    engine.create_index(NAME, &spec("text", FieldType::Text)).unwrap();
    assert_eq!(count("words(text, 'yellow wool')"), 1);
}

#[test]
fn a_field_that_no_record_has_is_named_where_nothing_passes() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let record = |n| Record { payload: payload(json!({"class": "drug"})), ..text_record(n) };
    put(&engine, (0..5).map(record).collect());
    let plan = |filter: &str| {
        let request = SearchRequest {
            filter: Some(Filter::parse(filter).unwrap()),
            ..SearchRequest::new(Query::Text("sweet red wine".into()), Side::Text, 3)
        };
        search(&engine, &request).filter.unwrap()
    };
    let warnings = plan("clas = 'drug' and mw < 10").warnings;
    assert_eq!(warnings, ["no record has the field `clas`; fields there are: class"]);
    assert!(plan("class = 'dye'").warnings.is_empty(), "the field is there");
    assert!(plan("class = 'drug'").warnings.is_empty());
    let counted = Filter::parse("not has(class) and kind = 1").unwrap();
    assert_eq!(engine.count_planned(NAME, &counted).unwrap().1.warnings.len(), 1);
}
