//! A number of a payload is the double that was written, wherever it is read.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use moiety_engine::{Engine, FieldType, Filter, Record};
use serde_json::{Map, Value, json};

mod fixture;
use fixture::{NAME, engine, open, put, spec, text};

/// Doubles that a quick reading of their digits takes for a neighbour.
const HARD: [&str; 9] = [
    "51.248178375505404",
    "-93.31137037688033",
    "-36.573994842753436",
    "52.314008204106244",
    "97.45365320034685",
    "2.0030397744267762e-253",
    "7.101215824554616e+260",
    "1.769268377902049e+74",
    "-1.6727517818542075e+58",
];

fn value(text: &str) -> f64 {
    text.parse().unwrap()
}

/// The bits that come back, and whether filters of these digits find them, and no neighbour of theirs does.
fn check(engine: &Engine) {
    for (n, text) in HARD.iter().enumerate() {
        let id = format!("r{n}");
        let record = engine.get(NAME, std::slice::from_ref(&id)).unwrap().remove(0).unwrap();
        for field in ["plain", "indexed"] {
            let stored = record.payload[field].as_f64().unwrap();
            assert_eq!(stored.to_bits(), value(text).to_bits(), "{text}");
            for filter in [format!("{field} = {text}"), format!("{text} <= {field} <= {text}")] {
                let found = engine.scroll(NAME, None, 10, Some(&Filter::parse(&filter).unwrap()));
                let found: Vec<String> =
                    found.unwrap().records.into_iter().map(|record| record.id).collect();
                assert_eq!(found, std::slice::from_ref(&id), "{filter}");
            }
            let strict = Filter::parse(&format!("{field} > {text} and {field} <= {text}")).unwrap();
            assert_eq!(engine.count(NAME, Some(&strict)).unwrap(), 0);
        }
    }
}

#[test]
fn doubles_come_back_bit_for_bit_and_filters_of_the_same_digits_find_them() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    engine.create_index(NAME, &spec("indexed", FieldType::Float)).unwrap();
    let record = |(n, digits): (usize, &&str)| {
        // Through the digits, as an import of JSON lines does.
        let json = format!(r#"{{"plain": {digits}, "indexed": {digits}}}"#);
        let payload: Map<String, Value> = serde_json::from_str(&json).unwrap();
        Record { id: format!("r{n}"), text: Some(text(n as u64)), payload, ..Record::default() }
    };
    put(&engine, HARD.iter().enumerate().map(record).collect());
    check(&engine);
    drop(engine);
    check(&open(dir.path()));
}

#[test]
fn a_filter_says_the_number_it_was_given() {
    for digits in HARD {
        let filter = Filter::parse(&format!("x = {digits}")).unwrap();
        assert_eq!(filter, Filter::Equals { field: "x".into(), value: json!(value(digits)) });
        assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
    }
    for (digits, whole) in
        [("7", json!(7)), ("-7", json!(-7)), ("18446744073709551615", json!(u64::MAX))]
    {
        let filter = Filter::parse(&format!("x = {digits}")).unwrap();
        assert_eq!(filter, Filter::Equals { field: "x".into(), value: whole });
    }
}
