//! Keys of the field indexes: values as bytes that order as the values do.
//!
//! A key is collection, index, value, version. The value begins with its kind and ends by itself, so that no value's key is
//! the beginning of another's: numbers have eight bytes, and a text ends with two zeros, its own zeros being followed by
//! 255.

use super::CollectionId;

/// Longest text in a key; what is longer is found by its beginning.
const MAX_TEXT_BYTES: usize = 256;

/// A value in a field index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum FieldValue {
    /// That the field has a value.
    Present,
    Bool(bool),
    /// A whole number, or microseconds since 1970.
    Integer(i64),
    /// The bits of a number, arranged to order as numbers do; see [`FieldValue::float`].
    Float(u64),
    /// A string, or a word of it.
    Keyword(String),
}

impl FieldValue {
    /// A number; both zeros are one.
    pub(crate) fn float(value: f64) -> Self {
        let bits = (value + 0.0).to_bits();
        // Negative numbers order backwards among themselves and before the others.
        Self::Float(if bits >> 63 == 1 { !bits } else { bits | 1 << 63 })
    }

    /// Whether the key holds all of the value.
    pub(crate) fn is_whole(&self) -> bool {
        !matches!(self, Self::Keyword(text) if text.len() > MAX_TEXT_BYTES)
    }

    fn write(&self, key: &mut Vec<u8>) {
        match self {
            Self::Present => key.push(0),
            Self::Bool(flag) => key.extend([1, u8::from(*flag)]),
            Self::Integer(value) => {
                key.push(2);
                key.extend((value ^ i64::MIN).to_be_bytes());
            }
            Self::Float(bits) => {
                key.push(3);
                key.extend(bits.to_be_bytes());
            }
            Self::Keyword(text) => {
                key.push(4);
                for &byte in text.as_bytes().iter().take(MAX_TEXT_BYTES) {
                    key.push(byte);
                    if byte == 0 {
                        key.push(255);
                    }
                }
                key.extend([0, 0]);
            }
        }
    }
}

/// Keys from `start` up to, but not including, `end`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyRange {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

/// One end of a range of values: the value, and whether it is itself in.
pub(crate) type End = Option<(FieldValue, bool)>;

impl CollectionId {
    pub(crate) fn field_key(self, index: u32, value: &FieldValue, version: u64) -> Vec<u8> {
        let mut key = self.value_key(index, value);
        key.extend(version.to_be_bytes());
        key
    }

    /// All versions with this value.
    pub(crate) fn value_range(self, index: u32, value: &FieldValue) -> KeyRange {
        let start = self.value_key(index, value);
        KeyRange { end: after(start.clone()), start }
    }

    /// All versions with a value between two; where an end is open, up to the last value of the other end's kind.
    pub(crate) fn between(self, index: u32, kind: &FieldValue, lower: End, upper: End) -> KeyRange {
        let kind_start = || {
            let mut key = self.value_key(index, kind);
            key.truncate(9);
            key
        };
        let start = match lower {
            None => kind_start(),
            Some((value, true)) => self.value_key(index, &value),
            Some((value, false)) => after(self.value_key(index, &value)),
        };
        let end = match upper {
            None => after(kind_start()),
            Some((value, true)) => after(self.value_key(index, &value)),
            Some((value, false)) => self.value_key(index, &value),
        };
        KeyRange { start, end }
    }

    /// All keys of an index.
    pub(crate) fn index_range(self, index: u32) -> KeyRange {
        let start = [self.0.to_be_bytes(), index.to_be_bytes()].concat();
        KeyRange { end: after(start.clone()), start }
    }

    fn value_key(self, index: u32, value: &FieldValue) -> Vec<u8> {
        let mut key = [self.0.to_be_bytes(), index.to_be_bytes()].concat();
        value.write(&mut key);
        key
    }
}

/// The first key after all that begin with this one.
fn after(mut key: Vec<u8>) -> Vec<u8> {
    while key.last() == Some(&255) {
        key.pop();
    }
    if let Some(last) = key.last_mut() {
        *last += 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLLECTION: CollectionId = CollectionId(7);

    fn value() -> impl Strategy<Value = FieldValue> {
        prop_oneof![
            Just(FieldValue::Present),
            any::<bool>().prop_map(FieldValue::Bool),
            any::<i64>().prop_map(FieldValue::Integer),
            (-5i64..5).prop_map(FieldValue::Integer),
            any::<f64>().prop_filter("a number", |x| !x.is_nan()).prop_map(FieldValue::float),
            ".{0,6}".prop_map(FieldValue::Keyword),
            "[a\u{0}\u{1}]{0,4}".prop_map(FieldValue::Keyword),
        ]
    }

    fn is_in(range: &KeyRange, key: &[u8]) -> bool {
        range.start.as_slice() <= key && key < range.end.as_slice()
    }

    proptest! {
        #[test]
        fn keys_order_as_values_and_a_range_holds_its_value_only(
            a in value(), b in value(), version in any::<u64>(), other in any::<u64>(),
        ) {
            let (x, y) = (COLLECTION.field_key(3, &a, version), COLLECTION.field_key(3, &b, other));
            if a != b {
                prop_assert_eq!(a.cmp(&b), x.cmp(&y));
            }
            let range = COLLECTION.value_range(3, &a);
            prop_assert!(is_in(&range, &x));
            prop_assert_eq!(is_in(&range, &y), a == b);
            prop_assert!(is_in(&COLLECTION.index_range(3), &x));
            prop_assert!(!is_in(&COLLECTION.index_range(4), &x));
        }

        #[test]
        fn ranges_of_numbers_hold_what_lies_between(
            x in -9f64..9.0, low in -9i32..9, high in -9i32..9, inclusive in any::<[bool; 2]>(),
        ) {
            let x = if x.fract() < 0.5 { x.round() } else { x };
            let (low, high) = (f64::from(low), f64::from(high));
            let kind = FieldValue::float(0.0);
            let lower = Some((FieldValue::float(low), inclusive[0]));
            let upper = Some((FieldValue::float(high), inclusive[1]));
            let key = COLLECTION.field_key(0, &FieldValue::float(x), 5);
            let above = x > low || inclusive[0] && x == low;
            let below = x < high || inclusive[1] && x == high;
            let range = COLLECTION.between(0, &kind, lower.clone(), upper.clone());
            prop_assert_eq!(is_in(&range, &key), above && below);
            prop_assert_eq!(is_in(&COLLECTION.between(0, &kind, lower, None), &key), above);
            prop_assert_eq!(is_in(&COLLECTION.between(0, &kind, None, upper), &key), below);
        }
    }

    #[test]
    fn long_texts_are_cut_and_say_so() {
        let (short, long) = ("a".repeat(256), "a".repeat(257));
        assert!(FieldValue::Keyword(short.clone()).is_whole());
        assert!(!FieldValue::Keyword(long.clone()).is_whole());
        let range = COLLECTION.value_range(0, &FieldValue::Keyword(long));
        assert!(is_in(&range, &COLLECTION.field_key(0, &FieldValue::Keyword(short), 1)));
        assert_eq!(after(vec![1, 255, 255]), [2]);
    }
}
