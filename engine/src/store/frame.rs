//! The outer shape of every value: a format version, a checksum, and a body that is read without trust.

/// Version of the bodies' layouts.
const LAYOUT: u8 = 1;
const HEADER: usize = 5;
/// Deepest nesting of a stored payload; the engine's own bound is lower.
const MAX_DEPTH: usize = 64;

use serde_json::{Map, Number, Value};

/// Why a value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the value ends early")]
    Short,
    #[error("layout {0} is not known to this program")]
    Layout(u8),
    #[error("the checksum does not fit the value")]
    Checksum,
    #[error("{0}")]
    Content(&'static str),
}

/// Writes a body; [`Writer::seal`] puts the header before it.
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEADER] }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn f32(&mut self, value: f32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn raw(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.bytes.extend(bytes);
    }

    /// Seven bits a byte, low bits first.
    pub(crate) fn count(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    pub(crate) fn str(&mut self, text: &str) {
        self.count(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn option(&mut self, text: Option<&str>) {
        self.u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.str(text);
        }
    }

    pub(crate) fn object(&mut self, object: &Map<String, Value>) {
        self.count(object.len() as u64);
        for (key, value) in object {
            self.str(key);
            self.json(value);
        }
    }

    fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.u8(0),
            Value::Bool(flag) => self.u8(1 + u8::from(*flag)),
            Value::Number(number) => self.number(number),
            Value::String(text) => {
                self.u8(6);
                self.str(text);
            }
            Value::Array(items) => {
                self.u8(7);
                self.count(items.len() as u64);
                items.iter().for_each(|item| self.json(item));
            }
            Value::Object(object) => {
                self.u8(8);
                self.object(object);
            }
        }
    }

    fn number(&mut self, number: &Number) {
        if let Some(value) = number.as_u64() {
            self.u8(3);
            self.raw(value.to_le_bytes());
        } else if let Some(value) = number.as_i64() {
            self.u8(4);
            self.raw(value.to_le_bytes());
        } else {
            self.u8(5);
            self.raw(number.as_f64().unwrap_or_default().to_le_bytes());
        }
    }

    pub(crate) fn seal(mut self) -> Vec<u8> {
        let checksum = crc32fast::hash(&self.bytes[HEADER..]);
        self.bytes[0] = LAYOUT;
        self.bytes[1..HEADER].copy_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// Reads a body; it never reads past the end and never allocates more than the body could fill.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks the header.
    pub(crate) fn open(value: &'a [u8]) -> Result<Self, FrameError> {
        let (header, body) = value.split_first_chunk::<HEADER>().ok_or(FrameError::Short)?;
        let [layout, checksum @ ..] = *header;
        if layout != LAYOUT {
            return Err(FrameError::Layout(layout));
        }
        if u32::from_le_bytes(checksum) != crc32fast::hash(body) {
            return Err(FrameError::Checksum);
        }
        Ok(Self { rest: body })
    }

    /// Says that nothing may follow.
    pub(crate) fn finish(self) -> Result<(), FrameError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FrameError::Content("bytes are left over")) }
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(FrameError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(FrameError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FrameError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// `n` finite floats as they lie, low bytes first.
    pub(crate) fn floats(&mut self, n: usize) -> Result<&'a [[u8; 4]], FrameError> {
        let bytes = self.bytes(n.checked_mul(4).ok_or(FrameError::Short)?)?;
        let (floats, _) = bytes.as_chunks::<4>();
        if floats.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite()) {
            Ok(floats)
        } else {
            Err(FrameError::Content("a number is not finite"))
        }
    }

    pub(crate) fn count(&mut self) -> Result<u64, FrameError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(FrameError::Content("a count is too long"))
    }

    /// A count of things that take at least `least` bytes each.
    pub(crate) fn count_of(&mut self, least: usize) -> Result<usize, FrameError> {
        let count = usize::try_from(self.count()?).map_err(|_| FrameError::Short)?;
        let fits = count.checked_mul(least).is_some_and(|bytes| bytes <= self.rest.len());
        if fits { Ok(count) } else { Err(FrameError::Short) }
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, FrameError> {
        let n = self.count_of(1)?;
        std::str::from_utf8(self.bytes(n)?).map_err(|_| FrameError::Content("text is not UTF-8"))
    }

    pub(crate) fn string(&mut self) -> Result<String, FrameError> {
        self.str().map(str::to_owned)
    }

    pub(crate) fn option(&mut self) -> Result<Option<String>, FrameError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.string().map(Some),
            _ => Err(FrameError::Content("an option is neither there nor not")),
        }
    }

    pub(crate) fn object(&mut self) -> Result<Map<String, Value>, FrameError> {
        self.object_at(0)
    }

    fn object_at(&mut self, depth: usize) -> Result<Map<String, Value>, FrameError> {
        (0..self.count_of(2)?).map(|_| Ok((self.string()?, self.json(depth + 1)?))).collect()
    }

    fn json(&mut self, depth: usize) -> Result<Value, FrameError> {
        if depth > MAX_DEPTH {
            return Err(FrameError::Content("a payload is nested too deep"));
        }
        Ok(match self.u8()? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => u64::from_le_bytes(self.array()?).into(),
            4 => i64::from_le_bytes(self.array()?).into(),
            5 => f64::from_le_bytes(self.array()?).into(),
            6 => self.string()?.into(),
            7 => (0..self.count_of(1)?).map(|_| self.json(depth + 1)).collect::<Result<_, _>>()?,
            8 => Value::Object(self.object_at(depth)?),
            _ => return Err(FrameError::Content("a payload has a value of no known kind")),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_payload_comes_back_as_it_was(value in json(), count in any::<u64>()) {
            let object: Map<String, Value> = [("key".to_owned(), value)].into_iter().collect();
            let mut writer = Writer::new();
            writer.object(&object);
            writer.count(count);
            let sealed = writer.seal();
            let mut reader = Reader::open(&sealed).unwrap();
            prop_assert_eq!(reader.object().unwrap(), object);
            prop_assert_eq!(reader.count().unwrap(), count);
            reader.finish().unwrap();
        }

        #[test]
        fn a_changed_byte_is_noticed(at in 0usize..12, bit in 0u8..8) {
            let mut writer = Writer::new();
            writer.str("values");
            let mut sealed = writer.seal();
            sealed[at] ^= 1 << bit;
            prop_assert!(Reader::open(&sealed).is_err());
        }

        #[test]
        fn random_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut writer = Writer::new();
            writer.raw(body);
            let sealed = writer.seal();
            let _ = Reader::open(&sealed).unwrap().object();
            let _ = Reader::open(&sealed).unwrap().floats(usize::MAX);
            let _ = Reader::open(&sealed).unwrap().option();
        }
    }
}
