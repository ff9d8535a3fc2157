//! A database answers before its vectors are in memory, and while they are read again.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use moiety_engine::{
    Engine, EngineError, EngineOptions, Filter, Patience, Query, Readiness, SearchRequest, Side,
    Start,
};
use serde_json::json;

mod fixture;
use fixture::{NAME, encoder, engine, full_record, ids, open, put, search, text, text_record};

fn at_once(dir: &std::path::Path) -> Engine {
    let options =
        EngineOptions { start: Start::AtOnce, exact_below: 64, ..EngineOptions::default() };
    Engine::open(dir, encoder(), options).unwrap()
}

fn wait_until_ready(engine: &Engine) {
    while engine.stats(NAME).unwrap().readiness != Readiness::Ready {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn requests() -> Vec<SearchRequest> {
    let even = Filter::Equals { field: "even".into(), value: json!(true) };
    let mut requests = Vec::new();
    for n in 0..6 {
        let plain = SearchRequest::new(Query::Text(text(n * 31)), Side::Text, 7);
        requests.push(SearchRequest { filter: Some(even.clone()), ..plain.clone() });
        requests.push(plain);
    }
    requests
}

#[test]
fn answers_are_exact_from_the_first_moment_on() {
    let dir = tempfile::tempdir().unwrap();
    {
        let engine = engine(dir.path());
        put(&engine, (0..600).map(text_record).collect());
    }
    let expected: Vec<_> = {
        let engine = open(dir.path());
        let exact = |mut request: SearchRequest| {
            request.accuracy = moiety_engine::Accuracy::Exact;
            search(&engine, &request)
        };
        requests().into_iter().map(exact).collect()
    };
    for _ in 0..5 {
        let engine = at_once(dir.path());
        assert_eq!(engine.count(NAME, None).unwrap(), 600);
        for (request, expected) in requests().iter().zip(&expected) {
            let found = search(&engine, request);
            if found.exact {
                assert_eq!(ids(&found), ids(expected));
            }
        }
    }
}

#[test]
fn a_graph_on_the_disk_is_read_and_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    {
        let engine = engine(dir.path());
        put(&engine, (0..600).map(text_record).collect());
        while engine.stats(NAME).unwrap().texts.linked == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let linked = |dir: &std::path::Path| {
        // With so few vectors this one never makes a graph.
        let options = EngineOptions { exact_below: 100_000, ..EngineOptions::default() };
        let engine = Engine::open(dir, encoder(), options).unwrap();
        let stats = engine.stats(NAME).unwrap();
        assert_eq!((stats.texts.vectors, stats.readiness), (600, Readiness::Ready));
        stats.texts.linked
    };
    assert!(linked(dir.path()) > 0);
    std::fs::remove_dir_all(dir.path().join("graphs")).unwrap();
    assert_eq!(linked(dir.path()), 0);
}

#[test]
fn searches_that_never_end_do_not_keep_vectors_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    {
        let engine = engine(dir.path());
        put(&engine, (0..600).map(text_record).collect());
    }
    let engine = at_once(dir.path());
    let ready = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !ready.load(Ordering::Acquire) {
                    search(&engine, &SearchRequest::new(Query::Text(text(3)), Side::Text, 5));
                }
            });
        }
        wait_until_ready(&engine);
        ready.store(true, Ordering::Release);
    });
}

#[test]
fn a_graph_that_cannot_be_saved_is_said_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let graphs = dir.path().join("graphs");
    let engine = engine(dir.path());
    // No folder can be made where a file is.
    let _ = std::fs::remove_dir_all(&graphs);
    std::fs::write(&graphs, "in the way").unwrap();
    put(&engine, (0..600).map(text_record).collect());
    let unsaved = || engine.stats(NAME).unwrap().unsaved;
    let until = |wanted: bool| {
        while unsaved().is_some() != wanted {
            std::thread::sleep(Duration::from_millis(20));
        }
        unsaved()
    };
    let problem = until(true).unwrap();
    assert!(problem.contains("graph of texts") && problem.contains("graphs"), "{problem}");
    std::fs::remove_file(&graphs).unwrap();
    assert_eq!(until(false), None);
    assert_eq!(std::fs::read_dir(&graphs).unwrap().count(), 1);
}

#[test]
fn what_is_written_while_vectors_are_read_is_found_once_and_what_is_deleted_is_not() {
    let dir = tempfile::tempdir().unwrap();
    {
        let engine = engine(dir.path());
        put(&engine, (0..500).map(text_record).collect());
    }
    let engine = at_once(dir.path());
    for n in 0..40 {
        put(&engine, vec![full_record(1000 + n), text_record(n)]);
        engine.delete(NAME, &[text_record(100 + n).id]).unwrap();
    }
    wait_until_ready(&engine);
    let stats = engine.stats(NAME).unwrap();
    assert_eq!((stats.records, stats.texts.vectors, stats.molecules.vectors), (500, 500, 40));
    assert_eq!(engine.count(NAME, None).unwrap(), 500);
    for n in [0, 39, 200, 1000, 1039] {
        let request = SearchRequest::new(Query::Text(text(n)), Side::Text, 1);
        assert_eq!(ids(&search(&engine, &request)), [text_record(n).id]);
    }
}

#[test]
fn a_rebuild_reclaims_the_deleted_beside_writers_and_searches_that_miss_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..400).map(text_record).collect());
    let gone: Vec<String> = (0..200).map(|n| text_record(n).id).collect();
    engine.delete(NAME, &gone).unwrap();
    // A graph that is made meanwhile leaves out what was deleted before it.
    assert!(engine.stats(NAME).unwrap().texts.tombstones <= 200);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..60 {
                put(&engine, vec![text_record(1000 + n), text_record(200)]);
                engine.delete(NAME, &[text_record(1000 + n).id]).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let request = SearchRequest::new(Query::Text(text(300)), Side::Text, 150);
                let found = search(&engine, &request);
                assert_eq!(found.hits.len(), 150);
                assert_eq!(ids(&found)[0], text_record(300).id);
            }
        });
        for _ in 0..4 {
            engine.rebuild(NAME, &Patience::endless()).unwrap();
        }
    });
    engine.rebuild(NAME, &Patience::endless()).unwrap();
    let stats = engine.stats(NAME).unwrap();
    assert_eq!((stats.texts.tombstones, stats.texts.vectors, stats.records), (0, 200, 200));
}

#[test]
fn many_deletions_begin_a_rebuild_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    for from in (0..6000).step_by(2000) {
        put(&engine, (from..from + 2000).map(text_record).collect());
    }
    let gone: Vec<String> = (0..5000).map(|n| text_record(n).id).collect();
    engine.delete(NAME, &gone).unwrap();
    for _ in 0..2000 {
        if engine.stats(NAME).unwrap().texts.tombstones == 0 {
            assert_eq!(engine.stats(NAME).unwrap().texts.vectors, 1000);
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{:?}", engine.stats(NAME).unwrap());
}

#[test]
fn a_caller_who_has_gone_is_not_worked_for() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    put(&engine, (0..10).map(text_record).collect());
    let request = SearchRequest::new(Query::Text(text(1)), Side::Text, 1);
    let gone = Patience::endless();
    gone.cancel();
    let late = Patience::until(std::time::Instant::now());
    let search = |patience| engine.search_within(NAME, &request, patience);
    assert!(matches!(search(&gone), Err(EngineError::Cancelled)));
    assert!(matches!(search(&late), Err(EngineError::DeadlineExceeded)));
    let written = engine.upsert_within(NAME, vec![text_record(50)], &gone);
    assert!(matches!(written, Err(EngineError::Cancelled)));
    assert_eq!(engine.count(NAME, None).unwrap(), 10);
}
