//! The graph in its file: what was written is what is read, and a file that is not right is refused with the reason.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use moiety_index::{GoOn, HnswConfig, HnswIndex, IndexError, Meter, Metric, SearchParams};
use proptest::prelude::*;

mod random;
use random::Random;

const DIM: usize = 12;
const LABEL: &[u8] = b"molecules of model 7";

fn config() -> HnswConfig {
    HnswConfig { exact_below: 1, m: 6, ef_construction: 40, ..HnswConfig::new(Metric::Cosine, DIM) }
}

fn filled() -> HnswIndex {
    let (index, mut random) = (HnswIndex::new(config()).unwrap(), Random::new(8));
    for id in 0..1_500 {
        index.insert(id * 3, &random.vector(DIM)).unwrap();
    }
    index.finish_graph();
    index
}

/// A saved graph, as bytes.
fn saved() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graph");
        assert_eq!(filled().save(&path, LABEL).unwrap(), 1_500);
        fs::read(&path).unwrap()
    })
}

fn write(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("graph");
    fs::write(&path, bytes).unwrap();
    path
}

fn open(path: &Path) -> Result<HnswIndex, IndexError> {
    HnswIndex::open(config(), &Meter::default(), path, LABEL)
}

fn error_of(bytes: &[u8]) -> IndexError {
    let folder = tempfile::tempdir().unwrap();
    match open(&write(folder.path(), bytes)) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error,
    }
}

#[test]
fn an_opened_graph_answers_as_the_one_that_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (index, path) = (filled(), folder.path().join("graph"));
    index.save(&path, LABEL).unwrap();
    index.save(&path, LABEL).unwrap();
    let opened = open(&path).unwrap();
    assert_eq!((opened.len(), opened.linked(), opened.tombstones()), (1_500, 1_500, 0));
    let mut random = Random::new(9);
    for exact in [false, true] {
        for _ in 0..50 {
            let (query, params) = (
                random.vector(DIM),
                SearchParams { k: 9, ef: 30, exact, accept: None, go_on: GoOn::ALWAYS },
            );
            assert_eq!(
                opened.search(&query, params).unwrap(),
                index.search(&query, params).unwrap()
            );
        }
    }
    assert!(opened.remove(300) && !opened.contains(300));
    opened.insert(301, &random.vector(DIM)).unwrap();
    assert_eq!(opened.len(), 1_500);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn an_opened_graph_is_brought_to_what_the_store_holds() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(&write(folder.path(), saved())).unwrap();
    opened.insert(4_600, &[1.0; DIM]).unwrap();
    // The store lost every tenth record and got two new ones, one of which the tail has.
    let stored = (0..1_500).map(|id| id * 3).filter(|id| id % 10 != 0).chain([4_600, 4_700]);
    assert_eq!(opened.reconcile(stored), [4_700]);
    assert_eq!(opened.len(), 1_500 - 150 + 1);
    assert!(!opened.contains(30) && opened.contains(33) && opened.contains(4_600));
}

#[test]
fn nothing_is_saved_before_there_is_a_graph() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph");
    assert_eq!(HnswIndex::new(config()).unwrap().save(&path, LABEL).unwrap(), 0);
    assert!(!path.exists());
    assert!(matches!(open(&path), Err(IndexError::File { .. })));
    assert!(filled().save(&folder.path().join("none/graph"), LABEL).is_err());
}

#[test]
fn a_graph_of_another_index_or_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), saved());
    let foreign = |config: HnswConfig, label: &[u8]| {
        matches!(
            HnswIndex::open(config, &Meter::default(), &path, label),
            Err(IndexError::ForeignGraph { .. })
        )
    };
    assert!(foreign(HnswConfig { metric: Metric::Dot, ..config() }, LABEL));
    assert!(foreign(HnswConfig { dim: 13, ..config() }, LABEL));
    assert!(foreign(HnswConfig { m: 7, ..config() }, LABEL));
    assert!(foreign(config(), b"molecules of model 8"));
    assert!(foreign(config(), b""));
    assert!(!foreign(config(), LABEL));
    assert!(HnswIndex::open(config(), &Meter::default(), &path, &[0; 65]).is_err());
    let mut newer = saved().to_vec();
    newer[8] = 9;
    assert!(error_of(&newer).to_string().contains("format is 9"));
    assert!(matches!(error_of(&[b'x'; 4_096]), IndexError::ForeignGraph { .. }));
}

#[test]
fn every_length_but_the_right_one_is_refused() {
    let bytes = saved();
    for len in [0, 1, 511, 512, 513, bytes.len() / 2, bytes.len() - 64, bytes.len() - 1] {
        assert!(matches!(error_of(&bytes[..len]), IndexError::Corrupt { .. }), "{len} bytes");
    }
    assert!(matches!(error_of(&[bytes, &[0]].concat()), IndexError::Corrupt { .. }));
}

#[test]
fn every_flipped_bit_of_the_header_is_refused() {
    for at in 0..512 {
        let mut bytes = saved().to_vec();
        bytes[at] ^= 1 << (at % 8);
        let error = error_of(&bytes);
        let refused = matches!(error, IndexError::Corrupt { .. } | IndexError::ForeignGraph { .. });
        assert!(refused, "byte {at}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_damage_to_the_rest_is_refused(
        at in 512usize..200_000,
        flip in 1u8..,
        run in 1usize..100,
    ) {
        let mut bytes = saved().to_vec();
        let at = 512 + at % (bytes.len() - 512);
        bytes[at..].iter_mut().take(run).for_each(|byte| *byte ^= flip);
        let refused = matches!(error_of(&bytes), IndexError::Corrupt { .. });
        prop_assert!(refused);
    }
}
