//! JSON lines: `{"id": …, "smiles": …, "text": …, "payload": {…}}`; other fields join the payload.

use std::io::BufRead;

use serde_json::{Map, Value};

use super::{
    Lines, Reject,
    fields::{Cell, Raw, Raws},
};

pub(super) fn rows(input: Box<dyn BufRead>) -> Raws {
    Box::new(Lines::new(input).filter_map(move |(line, text)| {
        let text = match text {
            Ok(text) if text.trim().is_empty() => return None,
            Ok(text) => text,
            Err(reason) => return Some(Err(Reject { line, reason })),
        };
        Some(raw(line, &text).map_err(|reason| Reject { line, reason }))
    }))
}

/// The fields of an object; those of its `payload` are payload, whatever their names are.
fn raw(line: u64, text: &str) -> std::result::Result<Raw, String> {
    let mut object: Map<String, Value> =
        serde_json::from_str(text).map_err(|e| not_an_object(&e))?;
    if let Some(digits) = long_integer(text) {
        return Err(format!(
            "the integer {digits} has more digits than a number can hold; write it as a string"
        ));
    }
    let payload = match object.remove("payload") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(payload)) => payload,
        Some(_) => return Err("`payload` is not an object".into()),
    };
    let fields = object.into_iter().map(|(name, value)| (name, Cell::Json(value))).collect();
    Ok(Raw { line, structure: None, name: None, fields, payload })
}

/// What is wrong with a line; its number in the file is told beside it.
fn not_an_object(error: &serde_json::Error) -> String {
    format!("not a JSON object: {error}").replace(" at line 1 column ", " at column ")
}

/// An integer outside strings that is beyond 64 bits, which reading JSON rounds.
fn long_integer(json: &str) -> Option<&str> {
    let mut outside = json.split_inclusive('"').scan((false, false), |(inside, escaped), piece| {
        // A quote behind an odd number of backslashes does not end a string.
        let backslashes =
            piece.trim_end_matches('"').bytes().rev().take_while(|&b| b == b'\\').count();
        let was_inside = *inside;
        *escaped = was_inside && backslashes % 2 == 1;
        if piece.ends_with('"') && !*escaped {
            *inside = !was_inside;
        }
        Some((!was_inside).then_some(piece))
    });
    let is_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let long = |piece: &'_ str| -> Option<(usize, usize)> {
        let digits = |word: &str| word.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
        piece.split(|c| !is_number(c)).filter(|word| word.len() >= 19 && digits(word)).find_map(
            |word| {
                let is_held = word.parse::<u64>().is_ok() || word.parse::<i64>().is_ok();
                let from = word.as_ptr() as usize - piece.as_ptr() as usize;
                (!is_held).then_some((from, from + word.len()))
            },
        )
    };
    outside.find_map(|piece| piece.and_then(|piece| long(piece).map(|(from, to)| &piece[from..to])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_reading_would_round_are_found_outside_strings() {
        assert_eq!(long_integer(r#"{"a": 123456789012345678901}"#), Some("123456789012345678901"));
        assert_eq!(long_integer(r#"{"a": "123456789012345678901", "b\\\"": 1}"#), None);
        assert_eq!(
            long_integer(r#"{"a": 18446744073709551615, "b": 1.2345678901234567890123}"#),
            None
        );
    }
}
