//! Hashed features: what a text or a molecule holds, counted, beside what its tower makes of it.
//!
//! Names of compounds are made of parts that recur (`hydroxy`, `octadec`, `(9Z)`), and so are molecules; a table with a row for
//! each learns from few pairs which go together, where a transformer needs many. Features are hashed to rows (feature hashing,
//! arXiv 0902.2206), as fastText hashes the n-grams of words (arXiv 1607.04606). Which features there are is said here and in
//! the two files below; what they weigh is the table's business.

mod molecule;
mod table;
mod text;

use std::collections::BTreeMap;

pub(crate) use molecule::molecule_features;
pub(crate) use table::{FeatureTable, inverse_frequencies};
pub(crate) use text::text_features;

/// True for the names of tables whose rows are features.
pub(crate) fn is_table(name: &str) -> bool {
    name.contains(".features.")
}

/// Rows of a table and how often each was seen: a bag.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FeatureCounts {
    /// Ascending, each once.
    pub(crate) rows: Vec<u32>,
    pub(crate) counts: Vec<f32>,
}

/// Counts features into rows of a table.
struct Counter {
    table_rows: u32,
    counts: BTreeMap<u32, f32>,
}

impl Counter {
    fn new(table_rows: u32) -> Self {
        Self { table_rows: table_rows.max(1), counts: BTreeMap::new() }
    }

    /// Adds one sighting of a feature.
    fn add(&mut self, feature: Feature) {
        *self.counts.entry(feature.row(self.table_rows)).or_default() += 1.0;
    }

    fn finish(self) -> FeatureCounts {
        let (rows, counts) = self.counts.into_iter().unzip();
        FeatureCounts { rows, counts }
    }
}

/// The hash of a feature, the same on every machine and for ever: FNV-1a over 64 bits of its kind and its parts.
#[derive(Clone, Copy)]
struct Feature(u64);

impl Feature {
    /// A feature of this kind; no other kind's feature is taken for it.
    fn of(kind: u8) -> Self {
        Self(0xcbf2_9ce4_8422_2325).bytes(&[kind])
    }

    /// With a text as its next part.
    fn text(self, text: &str) -> Self {
        // No text holds this byte, so two parts are never read as one.
        self.bytes(text.as_bytes()).bytes(&[0xff])
    }

    /// With a number as its next part.
    fn number(self, number: i64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let step = |h: u64, &byte: &u8| (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }

    /// Its row; the finaliser of MurmurHash3 lets any number of rows spread evenly.
    fn row(self, table_rows: u32) -> u32 {
        let mut h = self.0;
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        ((h ^ (h >> 33)) % u64::from(table_rows)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_never_change() {
        // A model's tables are of no use to a program that hashes otherwise.
        assert_eq!(Feature::of(b'r').text("octadecanoic").row(1 << 16), 31376);
        assert_eq!(Feature::of(b'z').number(5).number(-7).row(1 << 16), 52652);
        assert_eq!(Feature::of(b'r').row(1), 0);
    }

    #[test]
    fn parts_are_told_apart() {
        let pair = |a: &str, b: &str| Feature::of(b'p').text(a).text(b).0;
        assert_ne!(pair("ab", "c"), pair("a", "bc"));
        assert_ne!(Feature::of(b'p').text("a").0, Feature::of(b'q').text("a").0);
    }

    #[test]
    fn features_are_counted() {
        let mut counter = Counter::new(1 << 20);
        for word in ["a", "b", "a"] {
            counter.add(Feature::of(b'w').text(word));
        }
        let mut counts = counter.finish().counts;
        counts.sort_by(f32::total_cmp);
        assert_eq!(counts, [1.0, 2.0]);
    }
}
