//! Any filter, over any records and indexes, admits what a look at each record says.
//!
//! The look is written here again, from the meaning of each condition and not from the engine's code.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::collections::{BTreeMap, HashSet};

use moiety_chem::{Molecule, Pattern, PatternStereo, Structure};
use moiety_engine::{
    Accuracy, Bound, Engine, FieldType, Filter, IndexSpec, Query, Record, SearchRequest, Side,
};
use proptest::prelude::*;
use serde_json::{Value, json};

mod fixture;
use fixture::{MOLECULES, NAME, engine, ids, open, payload, put, search, spec, text};

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
    let molecule = Structure::Smiles(MOLECULES[pick(27, 10) as usize].into());
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
    let structure = prop::sample::select(MOLECULES.to_vec());
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
