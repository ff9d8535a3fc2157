//! Which records a search, a scroll or a count sees: a typed expression over payload, molecule and structure.
//!
//! A [`Filter`] is what a caller writes, as a tree or as text ([`Filter::parse`]). It is prepared once for a request, which
//! checks it and says where something is wrong; what is prepared is asked of records here and of indexes in `select`.

mod expression;
mod field;
mod prepare;
mod show;
mod subject;
mod time;
mod token;
mod words;

use moiety_chem::{PatternStereo, Structure};
use serde_json::Value;

pub use expression::FilterSyntaxError;
pub(crate) use field::Field;
pub(crate) use prepare::{Leaf, Node, Prepared, Test};
pub(crate) use subject::Subject;
pub(crate) use time::micros;
pub(crate) use words::words;

/// Which records a search, a scroll or a count sees.
///
/// A field is a path of object keys joined by dots (`source.year`; a dot of a key itself is written `\.`). Paths lead through
/// lists, and a condition holds when it holds for one of the values found. `text` and `id` are the record's own. `mol.` leads to the facts of the molecule
/// (`mol.molecular_weight`, `mol.inchikey_block`, `mol.elements.Cl`, …) and `payload.` to the payload whatever its keys are,
/// so that a payload's own `mol` or `text` is `payload.mol` or `payload.text`. A missing field fails every condition but `Not`.
///
/// Facts and structures are those of the molecule after normalisation: the largest organic part, neutral where it can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// The field equals the value; numbers are compared as numbers.
    Equals {
        /// Path of the field.
        field: String,
        /// String, number, boolean or null.
        value: Value,
    },
    /// The field equals one of the values.
    In {
        /// Path of the field.
        field: String,
        /// Strings, numbers, booleans or nulls.
        values: Vec<Value>,
    },
    /// The field is a number within the bounds.
    Range {
        /// Path of the field.
        field: String,
        /// Lower bound.
        lower: Bound,
        /// Upper bound.
        upper: Bound,
    },
    /// The field is an RFC 3339 time, or a date, within the bounds, which are such times too; compared to the microsecond,
    /// a date as its first moment in UTC.
    TimeRange {
        /// Path of the field.
        field: String,
        /// Lower bound.
        lower: Bound<String>,
        /// Upper bound.
        upper: Bound<String>,
    },
    /// Every one of these words is in the field, a text or a list of texts. Words are runs of letters and digits, compared
    /// without regard to case.
    Words {
        /// Path of the field.
        field: String,
        /// Words in any order.
        words: String,
    },
    /// The field is there and not null.
    Exists {
        /// Path of the field.
        field: String,
    },
    /// The molecule contains the pattern.
    Substructure {
        /// The pattern, as SMARTS.
        smarts: String,
        /// Whether the stereo marks of the pattern must be met.
        stereo: PatternStereo,
    },
    /// The molecule is as similar to the structure as this: Tanimoto of Morgan fingerprints, radius 2, 2048 bits.
    Similar {
        /// What it is compared with; normalised like any record's molecule.
        structure: Structure,
        /// Least similarity, 0 to 1.
        at_least: f32,
    },
    /// All hold; true when empty.
    And(Vec<Filter>),
    /// At least one holds; false when empty.
    Or(Vec<Filter>),
    /// The inner filter does not hold.
    Not(Box<Filter>),
    /// All of `must`, none of `must_not`, and at least `min_should` of `should`.
    Group {
        /// Every one of these holds.
        must: Vec<Filter>,
        /// At least `min_should` of these hold.
        should: Vec<Filter>,
        /// None of these holds.
        must_not: Vec<Filter>,
        /// At most as many as `should` has; absent means 1 where there is any `should`.
        min_should: Option<usize>,
    },
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound<T = f64> {
    /// Everything on this side is in.
    Unbounded,
    /// The value itself is in.
    Inclusive(T),
    /// The value itself is out.
    Exclusive(T),
}

impl<T> Bound<T> {
    /// The bound with another value.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Bound<U> {
        match self {
            Self::Unbounded => Bound::Unbounded,
            Self::Inclusive(value) => Bound::Inclusive(change(value)),
            Self::Exclusive(value) => Bound::Exclusive(change(value)),
        }
    }

    pub(crate) fn as_ref(&self) -> Bound<&T> {
        match self {
            Self::Unbounded => Bound::Unbounded,
            Self::Inclusive(value) => Bound::Inclusive(value),
            Self::Exclusive(value) => Bound::Exclusive(value),
        }
    }

    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Unbounded => None,
            Self::Inclusive(value) | Self::Exclusive(value) => Some(value),
        }
    }
}

impl<T: PartialOrd + Copy> Bound<T> {
    /// As a lower bound: whether `x` is on the inner side.
    pub(crate) fn is_below(self, x: T) -> bool {
        match self {
            Self::Unbounded => true,
            Self::Inclusive(bound) => bound <= x,
            Self::Exclusive(bound) => bound < x,
        }
    }

    /// As an upper bound: whether `x` is on the inner side.
    pub(crate) fn is_above(self, x: T) -> bool {
        match self {
            Self::Unbounded => true,
            Self::Inclusive(bound) => x <= bound,
            Self::Exclusive(bound) => x < bound,
        }
    }
}
