//! A typed expression over a record's payload and over its molecule's facts (`mol.…`).

use serde_json::Value;

/// Which records a search, a scroll or a count sees.
///
/// A field is a path of object keys joined by dots (`source.year`). Where the path ends at an array, a condition holds
/// when it holds for one of its elements. A missing field fails every condition but `Not`.
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
    /// The field is there and not null.
    Exists {
        /// Path of the field.
        field: String,
    },
    /// All hold; true when empty.
    And(Vec<Filter>),
    /// At least one holds; false when empty.
    Or(Vec<Filter>),
    /// The inner filter does not hold.
    Not(Box<Filter>),
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Everything on this side is in.
    Unbounded,
    /// The value itself is in.
    Inclusive(f64),
    /// The value itself is out.
    Exclusive(f64),
}
