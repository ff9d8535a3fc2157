//! A record on its way in: every part is checked, and the molecule read, before anything is encoded.

use moiety_chem::{Molecule, Structure};
use moiety_encoder::{Encoder, EncoderError};
use serde_json::{Map, Number, Value};

use crate::{
    Record, RecordError, StoredMolecule, StoredRecord,
    facts::facts,
    limits::{
        MAX_EXACT_INTEGER, MAX_ID_BYTES, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_DEPTH, MAX_STRUCTURE_BYTES,
        MAX_TEXT_BYTES,
    },
    prints::Prints,
};

/// Longest identifier that an error repeats.
const SHOWN_ID_CHARS: usize = 80;

/// A record that can be encoded.
pub(crate) struct Draft {
    /// Position in the batch.
    pub(crate) position: usize,
    pub(crate) record: StoredRecord,
    pub(crate) molecule: Option<Molecule>,
    /// Fingerprints of the normalised molecule.
    pub(crate) prints: Option<Prints>,
}

/// The part at fault and the reason.
type Fault = (&'static str, String);

/// Checks a record and reads its molecule.
pub(crate) fn prepare(
    encoder: &dyn Encoder,
    position: usize,
    record: Record,
) -> Result<Draft, RecordError> {
    let shown = shown(&record.id);
    read(encoder, record)
        .map(|(record, molecule)| {
            let (molecule, prints) = molecule.unzip();
            Draft { position, record, molecule, prints }
        })
        .map_err(|(field, reason)| RecordError { position, id: shown, field, reason })
}

/// The identifier cut to a printable length.
pub(crate) fn shown(id: &str) -> String {
    let printable = id.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    printable.take(SHOWN_ID_CHARS).collect()
}

/// The reason inside an encoder's error, without its position in a batch that the caller does not know.
pub(crate) fn encoder_reason(error: EncoderError) -> String {
    match error {
        EncoderError::Text { reason, .. } | EncoderError::Molecule { reason, .. } => reason,
        other => other.to_string(),
    }
}

fn read(
    encoder: &dyn Encoder,
    record: Record,
) -> Result<(StoredRecord, Option<(Molecule, Prints)>), Fault> {
    check_id(&record.id)?;
    if record.molecule.is_none() && record.text.is_none() {
        return Err(("molecule", "a record needs a molecule or a text".into()));
    }
    if let Some(text) = &record.text {
        check_text(encoder, text)?;
    }
    check_payload(&record.payload)?;
    let (molecule, stored) = match record.molecule {
        None => (None, None),
        Some(structure) => {
            let (molecule, prints, stored) = read_molecule(encoder, structure)?;
            (Some((molecule, prints)), Some(stored))
        }
    };
    let Record { id, text, payload, .. } = record;
    Ok((StoredRecord { id, molecule: stored, text, payload }, molecule))
}

fn check_id(id: &str) -> Result<(), Fault> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(("id", format!("it has {} bytes, allowed are 1 to {MAX_ID_BYTES}", id.len())));
    }
    if id.chars().any(char::is_control) {
        return Err(("id", "it holds a control character".into()));
    }
    Ok(())
}

fn check_text(encoder: &dyn Encoder, text: &str) -> Result<(), Fault> {
    if text.len() > MAX_TEXT_BYTES {
        let reason = format!("it has {} bytes, allowed are {MAX_TEXT_BYTES}; split it", text.len());
        return Err(("text", reason));
    }
    encoder.check_text(text).map_err(|error| ("text", encoder_reason(error)))
}

fn read_molecule(
    encoder: &dyn Encoder,
    structure: Structure,
) -> Result<(Molecule, Prints, StoredMolecule), Fault> {
    let (Structure::Smiles(text) | Structure::Inchi(text) | Structure::MolBlock(text)) = &structure;
    if text.len() > MAX_STRUCTURE_BYTES {
        let reason = format!("it has {} bytes, allowed are {MAX_STRUCTURE_BYTES}", text.len());
        return Err(("molecule", reason));
    }
    let molecule = Molecule::parse(&structure).map_err(|error| ("molecule", error.to_string()))?;
    encoder.check_molecule(&molecule).map_err(|error| ("molecule", encoder_reason(error)))?;
    let (facts, prints) = facts(&molecule).map_err(|error| ("molecule", error.to_string()))?;
    Ok((molecule, prints, StoredMolecule { structure, facts }))
}

fn check_payload(payload: &Map<String, Value>) -> Result<(), Fault> {
    let mut budget = MAX_PAYLOAD_BYTES;
    payload.iter().try_for_each(|(key, value)| {
        spend(&mut budget, key.len())?;
        check_value(value, 1, &mut budget)
    })
}

/// Walks a value within a depth and a budget of bytes, so that no payload can take long.
fn check_value(value: &Value, depth: usize, budget: &mut usize) -> Result<(), Fault> {
    if depth > MAX_PAYLOAD_DEPTH {
        return Err(("payload", format!("it is nested deeper than {MAX_PAYLOAD_DEPTH}")));
    }
    match value {
        Value::String(text) => spend(budget, text.len()),
        Value::Array(items) => {
            spend(budget, 0)?;
            items.iter().try_for_each(|item| check_value(item, depth + 1, budget))
        }
        Value::Object(object) => object.iter().try_for_each(|(key, value)| {
            spend(budget, key.len())?;
            check_value(value, depth + 1, budget)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => spend(budget, 0),
    }
}

/// An integer in a value that a double, which is what numbers are on the wire, would round to another. The engine keeps it as it
/// is.
pub fn inexact_integer(value: &Value) -> Option<&Number> {
    match value {
        Value::Number(number) => Some(number).filter(|number| is_inexact(number)),
        Value::Array(items) => items.iter().find_map(inexact_integer),
        Value::Object(fields) => fields.values().find_map(inexact_integer),
        _ => None,
    }
}

fn is_inexact(number: &Number) -> bool {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    magnitude.is_some_and(|magnitude| magnitude > MAX_EXACT_INTEGER)
}

/// Takes the bytes of a string, or a few for anything else.
fn spend(budget: &mut usize, bytes: usize) -> Result<(), Fault> {
    let reason = || format!("it is larger than {MAX_PAYLOAD_BYTES} bytes");
    *budget = budget.checked_sub(bytes + 2).ok_or_else(|| ("payload", reason()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use moiety_encoder::HashingEncoder;
    use serde_json::json;

    use super::*;

    fn fault(record: Record) -> RecordError {
        prepare(&HashingEncoder::new(8), 4, record).err().unwrap()
    }

    fn text_record() -> Record {
        Record { id: "a".into(), text: Some("a dye".into()), ..Record::default() }
    }

    #[test]
    fn each_fault_names_its_part_and_place() {
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let bad = Some(Structure::Smiles("C1CC".into()));
        let faults = [
            (Record { id: String::new(), ..text_record() }, "id"),
            (Record { id: "a\nb".into(), ..text_record() }, "id"),
            (Record { id: "i".repeat(MAX_ID_BYTES + 1), ..text_record() }, "id"),
            (Record { text: None, ..text_record() }, "molecule"),
            (Record { text: Some("...".into()), ..text_record() }, "text"),
            (Record { text: Some(long), ..text_record() }, "text"),
            (Record { molecule: bad, ..text_record() }, "molecule"),
        ];
        for (record, field) in faults {
            let error = fault(record);
            assert_eq!((error.field, error.position), (field, 4), "{error}");
        }
    }

    #[test]
    fn payloads_are_bounded_in_depth_and_size() {
        let mut deep = json!(1);
        for _ in 0..MAX_PAYLOAD_DEPTH {
            deep = json!([deep]);
        }
        let large = json!("x".repeat(MAX_PAYLOAD_BYTES));
        let many = json!(vec![0; MAX_PAYLOAD_BYTES]);
        for value in [deep, large, many] {
            let payload = [("key".to_owned(), value)].into_iter().collect();
            assert_eq!(fault(Record { payload, ..text_record() }).field, "payload");
        }
    }

    #[test]
    fn integers_that_a_double_would_round_are_found_wherever_they_are() {
        let found = |value: Value| inexact_integer(&json!([{ "n": value }])).is_some();
        for exact in [json!(1_u64 << 53), json!(-(1_i64 << 53)), json!(1e300), json!(0.1)] {
            assert!(!found(exact.clone()), "{exact}");
        }
        for inexact in [json!((1_u64 << 53) + 1), json!(u64::MAX), json!(i64::MIN)] {
            assert!(found(inexact.clone()), "{inexact}");
        }
    }

    #[test]
    fn a_molecule_gets_its_facts() {
        let molecule = Some(Structure::Smiles("OCC".into()));
        let draft =
            prepare(&HashingEncoder::new(8), 0, Record { molecule, ..text_record() }).ok().unwrap();
        let stored = draft.record.molecule.unwrap();
        assert_eq!(stored.facts.canonical_smiles, "CCO");
        assert_eq!(stored.facts.properties["heavy_atoms"], 3);
    }
}
