//! Filters: whatever the indexes and the plan, the records that pass are those that a look at each of them says.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::collections::{BTreeMap, HashSet};

use moiety_chem::{Molecule, Pattern, PatternStereo, Structure};
use moiety_engine::{
    AccessPath, Accuracy, Bound, Engine, EngineError, ErrorKind, ExplainRequest, FieldType, Filter,
    IndexSpec, IndexState, LevelWeights, Query, Record, SearchRequest, Side, Strategy as Found,
};
use proptest::prelude::*;
use serde_json::{Value, json};

mod fixture;
use fixture::{NAME, engine, ids, open, payload, put, search, text, text_record};

const SMILES: [&str; 10] = [
    "CCO",
    "CC(=O)O",
    "c1ccccc1O",
    "CC(=O)Oc1ccccc1C(=O)O",
    "OCC(O)CO",
    "CN1C=NC2=C1C(=O)N(C)C(=O)N2C",
    "C/C=C/C",
    "C/C=C\\C",
    "NCC(=O)[O-].[Na+]",
    "Clc1ccccc1Cl",
];

fn spec(field: &str, field_type: FieldType) -> IndexSpec {
    IndexSpec { field: field.into(), field_type }
}

/// A record whose fields depend on `seed`, each now and then missing, null or a list.
fn record(key: u8, seed: u64) -> Record {
    let pick =
        |salt: u64, n: u64| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(salt as u32)) % n;
    let mut fields = serde_json::Map::new();
    let mut put = |name: &str, salt: u64, value: Value, other: Value| {
        match pick(salt, 6) {
            0 => {}
            1 => drop(fields.insert(name.into(), Value::Null)),
            2 => drop(fields.insert(name.into(), json!([value, other]))),
            _ => drop(fields.insert(name.into(), value)),
        };
    };
    put("n", 3, json!(pick(9, 9) as i64 - 4), json!(7));
    put("x", 5, json!(pick(11, 9) as f64 / 2.0 - 2.0), json!(-0.5));
    put("tag", 7, json!(["a", "b", "ü"][pick(13, 3) as usize]), json!("b"));
    put("on", 15, json!(pick(17, 2) == 0), json!(true));
    put("seen", 19, json!(format!("202{}-05-01T10:00:00Z", pick(21, 5))), json!("2022-05-01"));
    put("title", 23, json!(["red dye", "a blue dye", "Wine"][pick(25, 3) as usize]), json!("salt"));
    let molecule = Structure::Smiles(SMILES[pick(27, 10) as usize].into());
    Record {
        id: format!("k{key:03}"),
        text: (pick(29, 5) > 0).then(|| text(seed)),
        molecule: Some(molecule).filter(|_| pick(29, 5) < 4),
        payload: payload(json!({"a": {"b": fields}})),
    }
}

fn indexes() -> Vec<IndexSpec> {
    use FieldType as T;
    vec![
        spec("a.b.n", T::Integer),
        spec("a.b.x", T::Float),
        spec("a.b.tag", T::Keyword),
        spec("a.b.on", T::Bool),
        spec("a.b.seen", T::Datetime),
        spec("a.b.title", T::Text),
        spec("mol.heavy_atoms", T::Integer),
        spec("mol.molecular_weight", T::Float),
        spec("mol.formula", T::Keyword),
        spec("mol.elements.Cl", T::Integer),
    ]
}

/// Values of a payload field, written again and in another way than the engine's.
fn values(record: &Record, field: &str) -> Vec<Value> {
    let facts = record
        .molecule
        .as_ref()
        .map(|structure| Molecule::parse(structure).unwrap().normalise().unwrap().properties());
    let name = field.rsplit('.').next().unwrap();
    let found = match (name, facts) {
        ("heavy_atoms", facts) => facts.map(|facts| json!(facts.heavy_atoms)),
        ("molecular_weight", facts) => facts.map(|facts| json!(facts.molecular_weight)),
        ("formula", facts) => facts.map(|facts| json!(facts.formula)),
        ("Cl", facts) => facts.map(|facts| json!(facts.formula.matches("Cl2").count() * 2)),
        (name, _) => record.payload["a"]["b"].get(name).cloned(),
    };
    match found {
        None => vec![],
        Some(Value::Array(items)) => items,
        Some(value) => vec![value],
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    a == b || a.is_number() && b.is_number() && a.as_f64() == b.as_f64()
}

fn in_bounds<T: PartialOrd>(x: &T, lower: &Bound<T>, upper: &Bound<T>) -> bool {
    let above = match lower {
        Bound::Unbounded => true,
        Bound::Inclusive(bound) => x >= bound,
        Bound::Exclusive(bound) => x > bound,
    };
    let below = match upper {
        Bound::Unbounded => true,
        Bound::Inclusive(bound) => x <= bound,
        Bound::Exclusive(bound) => x < bound,
    };
    above && below
}

/// Dates and times of these tests order as texts once a date has its midnight.
fn moment(text: &str) -> String {
    if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() }
}

fn moments(bound: &Bound<String>) -> Bound<String> {
    match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Inclusive(text) => Bound::Inclusive(moment(text)),
        Bound::Exclusive(text) => Bound::Exclusive(moment(text)),
    }
}

fn passes(filter: &Filter, record: &Record) -> bool {
    let normalised = || {
        let structure = record.molecule.as_ref()?;
        Some(Molecule::parse(structure).unwrap().normalise().unwrap())
    };
    match filter {
        Filter::Equals { field, value } => values(record, field).iter().any(|v| equal(v, value)),
        Filter::In { field, values: wanted } => {
            values(record, field).iter().any(|v| wanted.iter().any(|w| equal(v, w)))
        }
        Filter::Range { field, lower, upper } => values(record, field)
            .iter()
            .any(|v| v.as_f64().is_some_and(|x| in_bounds(&x, lower, upper))),
        Filter::TimeRange { field, lower, upper } => values(record, field).iter().any(|v| {
            let time = v.as_str().filter(|text| text.starts_with("20")).map(moment);
            time.is_some_and(|time| in_bounds(&time, &moments(lower), &moments(upper)))
        }),
        Filter::Words { field, words } => {
            let values = values(record, field);
            let text: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            let text = text.join(" ").to_lowercase();
            let there: HashSet<&str> = text.split(' ').collect();
            words.to_lowercase().split(' ').all(|word| there.contains(word))
        }
        Filter::Exists { field } => values(record, field).iter().any(|v| !v.is_null()),
        Filter::Substructure { smarts, stereo } => normalised().is_some_and(|molecule| {
            Pattern::from_smarts(smarts).unwrap().is_in(&molecule, *stereo).unwrap()
        }),
        Filter::Similar { structure, at_least } => normalised().is_some_and(|molecule| {
            let query = Molecule::parse(structure).unwrap().normalise().unwrap();
            molecule.morgan_fingerprint().tanimoto(&query.morgan_fingerprint()) >= *at_least
        }),
        Filter::And(all) => all.iter().all(|filter| passes(filter, record)),
        Filter::Or(any) => any.iter().any(|filter| passes(filter, record)),
        Filter::Not(inner) => !passes(inner, record),
        Filter::Group { must, should, must_not, min_should } => {
            let held = should.iter().filter(|filter| passes(filter, record)).count();
            must.iter().all(|filter| passes(filter, record))
                && !must_not.iter().any(|filter| passes(filter, record))
                && held >= min_should.unwrap_or(usize::from(!should.is_empty()))
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-5i64..8).prop_map(Value::from),
        (-10i64..10).prop_map(|x| json!(x as f64 / 4.0)),
        prop::sample::select(vec![
            json!("a"),
            json!("b"),
            json!("ü"),
            json!(true),
            json!(false),
            json!(null),
            json!("2022-05-01"),
            json!("2023-05-01T10:00:00Z"),
            json!("red dye"),
            json!("C2H6O"),
            json!(1e300),
            json!(13),
        ]),
    ]
}

fn ends<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = (Bound<T>, Bound<T>)> {
    let end = prop_oneof![
        Just(Bound::Unbounded),
        value.clone().prop_map(Bound::Inclusive),
        value.prop_map(Bound::Exclusive),
    ];
    (end.clone(), end).prop_filter("an end", |(lower, upper)| {
        !matches!((lower, upper), (Bound::Unbounded, Bound::Unbounded))
    })
}

fn filters() -> impl Strategy<Value = Filter> {
    let field = prop::sample::select(indexes()).prop_map(|spec| spec.field);
    let number = prop_oneof![-6f64..9.0, (-6i32..40).prop_map(f64::from), 20f64..200.0];
    let time = prop::sample::select(vec!["2022-05-01", "2023-05-01T10:00:00Z", "2021-01-01"]);
    let time = time.prop_map(str::to_owned);
    let words = prop::sample::select(vec!["dye", "red dye", "WINE", "a", "salt blue", "none"]);
    let smarts = prop::sample::select(vec![
        "C",
        "c1ccccc1",
        "[OX2H]",
        "Cl",
        "C/C=C/C",
        "[Na+]",
        "C(=O)[OX2H1]",
    ]);
    let structure = prop::sample::select(SMILES.to_vec());
    let leaf = prop_oneof![
        (field.clone(), value()).prop_map(|(field, value)| Filter::Equals { field, value }),
        (field.clone(), prop::collection::vec(value(), 0..4))
            .prop_map(|(field, values)| Filter::In { field, values }),
        (field.clone(), ends(number)).prop_map(|(field, (lower, upper))| Filter::Range {
            field,
            lower,
            upper
        }),
        (field.clone(), ends(time)).prop_map(|(field, (lower, upper))| Filter::TimeRange {
            field,
            lower,
            upper
        }),
        (field.clone(), words)
            .prop_map(|(field, words)| Filter::Words { field, words: words.into() }),
        field.prop_map(|field| Filter::Exists { field }),
        (smarts, any::<bool>()).prop_map(|(smarts, stereo)| Filter::Substructure {
            smarts: smarts.into(),
            stereo: if stereo { PatternStereo::Respected } else { PatternStereo::Ignored },
        }),
        (structure, 0f32..=1.0).prop_map(|(text, at_least)| Filter::Similar {
            structure: Structure::Smiles(text.into()),
            at_least,
        }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            list.clone().prop_map(Filter::And),
            list.clone().prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
            (list.clone(), list.clone(), list, any::<bool>()).prop_map(
                |(must, should, must_not, all)| {
                    let min_should = all.then_some(should.len());
                    Filter::Group { must, should, must_not, min_should }
                }
            ),
        ]
    })
}

/// What every way to ask says, beside a look at each record.
fn compare(engine: &Engine, model: &BTreeMap<String, Record>, filter: &Filter) {
    let expected: Vec<&str> =
        model.values().filter(|r| passes(filter, r)).map(|r| r.id.as_str()).collect();
    let (count, plan) = engine.count_planned(NAME, filter).unwrap();
    assert_eq!(count, expected.len() as u64, "{filter}\n{plan:#?}");
    assert_eq!(plan.actual, Some(count));
    let page = engine.scroll(NAME, None, 1_000, Some(filter)).unwrap();
    let found: Vec<&str> = page.records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(found, expected, "{filter}");
    let texts = expected.iter().filter(|id| model[**id].text.is_some()).count();
    let query = Query::Text(text(3));
    let exact = SearchRequest {
        filter: Some(filter.clone()),
        accuracy: Accuracy::Exact,
        ..SearchRequest::new(query, Side::Text, 7)
    };
    let auto = SearchRequest { accuracy: Accuracy::Auto, ..exact.clone() };
    let (exact, auto) = (search(engine, &exact), search(engine, &auto));
    assert_eq!(exact.hits.len(), texts.min(7), "{filter}");
    let expected: HashSet<&str> = expected.into_iter().collect();
    assert!(ids(&exact).iter().all(|id| expected.contains(id)), "{filter}");
    assert!(exact.exact && auto.exact, "so few are always compared");
    assert_eq!(ids(&exact), ids(&auto), "{filter}");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 300, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn any_filter_admits_what_a_look_at_each_record_says(
        written in prop::collection::vec((0u8..60, any::<u64>()), 1..90),
        deleted in prop::collection::vec(0u8..60, 0..8),
        before in prop::sample::subsequence(indexes(), 0..=10),
        after in prop::sample::subsequence(indexes(), 0..=5),
        dropped in prop::collection::vec(0usize..10, 0..3),
        filters in prop::collection::vec(filters(), 12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(dir.path());
        for spec in &before {
            engine.create_index(NAME, spec).unwrap();
        }
        let mut model = BTreeMap::new();
        for (key, seed) in written {
            let record = record(key, seed);
            if record.text.is_some() || record.molecule.is_some() {
                put(&engine, vec![record.clone()]);
                model.insert(record.id.clone(), record);
            }
        }
        for key in deleted {
            let id = format!("k{key:03}");
            engine.delete(NAME, std::slice::from_ref(&id)).unwrap();
            model.remove(&id);
        }
        for spec in &after {
            let made = engine.create_index(NAME, spec);
            prop_assert_eq!(made.is_ok(), !before.contains(spec));
        }
        for at in dropped {
            let _ = engine.drop_index(NAME, &indexes()[at].field);
        }
        for filter in &filters {
            compare(&engine, &model, filter);
        }
        drop(engine);
        let reopened = open(dir.path());
        filters.iter().take(3).for_each(|filter| compare(&reopened, &model, filter));
    }
}

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

#[test]
fn recall_holds_at_every_selectivity() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
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
    fixture::wait_for_graph(&engine);
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
        molecule: Some(Structure::Smiles(SMILES[n as usize % 10].into())),
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
