//! A bound of memory: counted for all, and never passed for the sake of a graph.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{
    thread,
    time::{Duration, Instant},
};

use moiety_index::{GoOn, HnswConfig, HnswIndex, IndexError, Meter, Metric, SearchParams};

mod random;
use random::Random;

const DIM: usize = 32;
const POINTS: u64 = 2_000;

fn config() -> HnswConfig {
    HnswConfig { exact_below: 500, ..HnswConfig::new(Metric::Cosine, DIM) }
}

fn fill(index: &HnswIndex) {
    let mut random = Random::new(5);
    for id in 0..POINTS {
        index.insert(id, &random.vector(DIM)).unwrap();
    }
}

#[test]
fn a_graph_is_built_when_there_is_room_for_it_and_vectors_are_found_before() {
    let free = HnswIndex::new(config()).unwrap();
    let (rows, work) = (free.insertion_bytes(POINTS as usize), free.build_bytes(POINTS as usize));
    assert!(work > rows && free.build_bytes(499) == 0);
    // Room for a graph beside a part of it and the rest, but for what another index takes.
    let meter = Meter::bounded(2 * rows + work);
    let other = HnswIndex::metered(HnswConfig { exact_below: 10_000, ..config() }, &meter).unwrap();
    fill(&other);
    let index = HnswIndex::metered(config(), &meter).unwrap();
    for id in 0..400 {
        index.insert(id, &Random::new(id).vector(DIM)).unwrap();
    }
    drop(index);
    assert_eq!(settled(&meter, rows), rows);
    let index = HnswIndex::metered(config(), &meter).unwrap();
    fill(&index);
    index.finish_graph();
    assert!(meter.used() <= meter.bound(), "{} of {}", meter.used(), meter.bound());
    assert!((index.linked() as u64) < POINTS, "{}", index.linked());
    let query = Random::new(5).vector(DIM);
    let params = SearchParams { k: 3, ef: 64, exact: false, accept: None, go_on: GoOn::ALWAYS };
    assert_eq!(index.search(&query, params).unwrap().neighbors[0].id, 0);
    drop(other);
    index.finish_graph();
    assert_eq!(index.linked() as u64, POINTS);
    assert_eq!(index.search(&query, params).unwrap().neighbors[0].id, 0);
    assert_eq!(meter.used(), index.memory_bytes());
    drop(index);
    assert_eq!(settled(&meter, 0), 0);
}

/// What is in use once the builder of a dropped index, which may still be at work, has let go of it.
fn settled(meter: &Meter, expected: usize) -> usize {
    let until = Instant::now() + Duration::from_secs(20);
    while meter.used() != expected && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
    meter.used()
}

#[test]
fn a_file_that_there_is_no_room_for_is_not_read() {
    let (dir, meter) = (tempfile::tempdir().unwrap(), Meter::default());
    let path = dir.path().join("some.graph");
    let index = HnswIndex::metered(config(), &meter).unwrap();
    fill(&index);
    index.finish_graph();
    index.save(&path, b"label").unwrap();
    let whole = index.memory_bytes();
    let tight = Meter::bounded(whole / 2);
    let error = HnswIndex::open(config(), &tight, &path, b"label").err().unwrap();
    assert!(matches!(error, IndexError::NoRoom { .. }), "{error}");
    assert_eq!(tight.used(), 0);
    let opened = HnswIndex::open(config(), &Meter::bounded(2 * whole), &path, b"label").unwrap();
    assert_eq!(opened.memory_bytes(), whole);
}

#[test]
fn a_graph_that_waits_for_room_is_built_when_asked_again() {
    let free = HnswIndex::new(config()).unwrap();
    let meter = Meter::bounded(free.insertion_bytes(500) + free.build_bytes(500));
    let other = HnswIndex::metered(config(), &meter).unwrap();
    other.insert(1, &Random::new(1).vector(DIM)).unwrap();
    let index = HnswIndex::metered(config(), &meter).unwrap();
    let mut random = Random::new(5);
    for id in 0..500 {
        index.insert(id, &random.vector(DIM)).unwrap();
    }
    assert!(index.lacks_room() && index.linked() == 0);
    drop(other);
    index.build_when_due();
    for _ in 0..2_000 {
        if index.linked() == 500 {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert!(index.linked() == 500 && !index.lacks_room());
}
