//! Lines of a text file, whichever way they end: with LF, with CR and LF, or with CR alone, as old systems wrote them.

use std::io::{BufRead, Result};

/// A line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLine {
    /// There is no further line.
    End,
    /// It is in the buffer whole, without its end.
    Whole,
    /// It has so many bytes, of which the buffer holds the first; the rest was passed over.
    TooLong(usize),
}

/// Reads the next line into `line`, which is emptied first; no more than `most` of its bytes are kept.
///
/// # Errors
/// Those of the input.
pub fn read_line(input: &mut impl BufRead, most: usize, line: &mut Vec<u8>) -> Result<ReadLine> {
    line.clear();
    let mut length = 0;
    let mut has_begun = false;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(if has_begun { found(length, most) } else { ReadLine::End });
        }
        has_begun = true;
        let end = buffer.iter().position(|&byte| matches!(byte, b'\n' | b'\r'));
        let text = end.unwrap_or(buffer.len());
        line.extend_from_slice(&buffer[..text.min(most - line.len())]);
        length += text;
        let ended_with_cr = end.is_some_and(|at| buffer[at] == b'\r');
        input.consume(text + usize::from(end.is_some()));
        if ended_with_cr && input.fill_buf()?.first() == Some(&b'\n') {
            input.consume(1);
        }
        if end.is_some() {
            return Ok(found(length, most));
        }
    }
}

fn found(length: usize, most: usize) -> ReadLine {
    if length > most { ReadLine::TooLong(length) } else { ReadLine::Whole }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn lines(text: &[u8], most: usize, buffer: usize) -> Vec<(ReadLine, String)> {
        let mut input = BufReader::with_capacity(buffer, text);
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        loop {
            match read_line(&mut input, most, &mut line).expect("reads from memory") {
                ReadLine::End => return lines,
                read => lines.push((read, String::from_utf8(line.clone()).expect("ASCII"))),
            }
        }
    }

    #[test]
    fn a_line_longer_than_allowed_is_cut_and_the_next_is_read() {
        let whole = |text: &str| (ReadLine::Whole, text.to_owned());
        let long = (ReadLine::TooLong(5), "abc".to_owned());
        assert_eq!(lines(b"abcde\rx\n", 3, 2), [long, whole("x")]);
        assert_eq!(lines(b"", 3, 2), []);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_whichever_way_they_end(
            written in prop::collection::vec("[a-z]{0,5}", 1..8),
            buffer in 1usize..9,
        ) {
            let expected: Vec<_> =
                written.iter().map(|line| (ReadLine::Whole, line.clone())).collect();
            for end in ["\n", "\r\n", "\r"] {
                let text: String = written.iter().map(|line| format!("{line}{end}")).collect();
                prop_assert_eq!(&lines(text.as_bytes(), 9, buffer), &expected, "{:?}", end);
            }
        }
    }
}
