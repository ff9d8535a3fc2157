//! The keys of the store, one family after another; numbers are big-endian, so that keys order as numbers do.
//!
//! | family    | key                              | value                                   |
//! |-----------|----------------------------------|-----------------------------------------|
//! | `default` | `format`, `next`, `c/` + name    | format version, next number, collection |
//! | `ids`     | collection, identifier           | version                                 |
//! | `records` | collection, version              | record                                  |
//! | `vectors` | collection, side, version        | global vector                           |
//! | `levels`  | collection, side, version        | fragment and token vectors              |
//! | `prints`  | collection, version              | fingerprints of the molecule            |
//! | `fields`  | collection, index, value, version| nothing; see `posting.rs`               |
//!
//! A *version* is a number that one version of one record has, and no other of its collection. Replacing a record gives it
//! a new version and removes the keys of the old one in the same batch, so what a version's keys hold never changes.

use crate::Side;

/// Version of everything under these keys; a store of another version is refused.
pub(crate) const FORMAT_VERSION: u32 = 1;

pub(crate) const FORMAT: &[u8] = b"format";
pub(crate) const NEXT_COLLECTION: &[u8] = b"next";
pub(crate) const COLLECTION_PREFIX: &[u8] = b"c/";

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Meta,
    Ids,
    Records,
    Vectors,
    Levels,
    Prints,
    Fields,
}

impl Family {
    pub(crate) const ALL: [Family; 7] = [
        Self::Meta,
        Self::Ids,
        Self::Records,
        Self::Vectors,
        Self::Levels,
        Self::Prints,
        Self::Fields,
    ];
    /// Families whose keys begin with a collection.
    pub(crate) const DATA: [Family; 6] =
        [Self::Ids, Self::Records, Self::Vectors, Self::Levels, Self::Prints, Self::Fields];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Meta => "default",
            Self::Ids => "ids",
            Self::Records => "records",
            Self::Vectors => "vectors",
            Self::Levels => "levels",
            Self::Prints => "prints",
            Self::Fields => "fields",
        }
    }
}

/// Bytes of a key of one side of a version.
const SIDE_KEY_BYTES: usize = 13;

/// Number of a collection; it is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CollectionId(pub(crate) u32);

impl CollectionId {
    /// First key of the collection in any family but `default`.
    pub(crate) fn start(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    /// First key after the collection.
    pub(crate) fn end(self) -> Vec<u8> {
        // The last number is never given to a collection.
        (self.0.saturating_add(1)).to_be_bytes().to_vec()
    }

    pub(crate) fn id_key(self, id: &str) -> Vec<u8> {
        [&self.0.to_be_bytes()[..], id.as_bytes()].concat()
    }

    pub(crate) fn record_key(self, version: u64) -> Vec<u8> {
        [&self.0.to_be_bytes()[..], &version.to_be_bytes()].concat()
    }

    pub(crate) fn side_key(self, side: Side, version: u64) -> [u8; SIDE_KEY_BYTES] {
        let mut key = [0; SIDE_KEY_BYTES];
        key[..4].copy_from_slice(&self.0.to_be_bytes());
        key[4] = side_code(side);
        key[5..].copy_from_slice(&version.to_be_bytes());
        key
    }

    /// The key that this collection has where another has `key`.
    pub(crate) fn own_key(self, key: &[u8]) -> Vec<u8> {
        [&self.0.to_be_bytes()[..], key.get(4..).unwrap_or_default()].concat()
    }
}

/// The version at the end of a key of any family of versions.
pub(crate) fn version_of(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The identifier at the end of a key of `ids`.
pub(crate) fn id_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(4..)?).ok()
}

pub(crate) fn collection_key(name: &str) -> Vec<u8> {
    [COLLECTION_PREFIX, name.as_bytes()].concat()
}

fn side_code(side: Side) -> u8 {
    match side {
        Side::Molecule => 0,
        Side::Text => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_within_their_collection_and_side_and_order_as_versions() {
        let (a, b) = (CollectionId(7), CollectionId(8));
        for version in [0, 1, 255, 256, u64::MAX] {
            assert!(a.start() < a.record_key(version) && a.record_key(version) < a.end());
            assert!(a.end() <= b.start());
            assert!(a.side_key(Side::Molecule, version) < a.side_key(Side::Text, 0));
            for side in Side::ALL {
                let key = a.side_key(side, version);
                assert!(a.side_key(side, 0) <= key && key <= a.side_key(side, u64::MAX));
                assert_eq!(version_of(&key), Some(version));
            }
        }
        assert!(a.record_key(255) < a.record_key(256));
        assert_eq!(id_of(&a.id_key("x/é")), Some("x/é"));
        assert!(a.id_key("\u{10ffff}") < a.end());
    }

    #[test]
    fn foreign_keys_have_no_version_and_no_id() {
        assert_eq!(version_of(b"short"), None);
        assert_eq!(id_of(b"abc"), None);
        assert_eq!(id_of(&[0, 0, 0, 1, 0xff]), None);
    }
}
