//! Lines of a text file with their numbers.

use std::io::BufRead;

use moiety_chem::{ReadLine, read_line};

/// Longest line that is read, in bytes; a longer one is rejected whole.
pub(super) const MAX_LINE_BYTES: usize = 8 << 20;

/// Lines, however they end; one that is too long or not UTF-8 is rejected and reading goes on.
pub(crate) struct Lines {
    input: Box<dyn BufRead>,
    line: u64,
    failed: bool,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn BufRead>) -> Self {
        Self { input, line: 0, failed: false }
    }

    fn read(&mut self) -> std::io::Result<Option<std::result::Result<String, String>>> {
        let mut bytes = Vec::new();
        match read_line(&mut self.input, MAX_LINE_BYTES, &mut bytes)? {
            ReadLine::End => return Ok(None),
            ReadLine::TooLong(_) => {
                return Ok(Some(Err(format!("longer than {MAX_LINE_BYTES} bytes"))));
            }
            ReadLine::Whole => {}
        }
        Ok(Some(String::from_utf8(bytes).map_err(|e| {
            format!(
                "not UTF-8 at byte {} of the line; convert the file",
                e.utf8_error().valid_up_to() + 1
            )
        })))
    }
}

impl Iterator for Lines {
    type Item = (u64, std::result::Result<String, String>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        self.line += 1;
        match self.read() {
            Ok(line) => Some((self.line, line?)),
            Err(e) => {
                self.failed = true;
                Some((self.line, Err(format!("reading stopped: {e}"))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_utf8_is_rejected_and_reading_goes_on() {
        let lines: Vec<_> = Lines::new(Box::new(&b"CCO\n\xff\xfe\rCC\r\n"[..])).collect();
        assert_eq!(lines[0], (1, Ok("CCO".into())));
        assert!(lines[1].1.as_ref().is_err_and(|reason| reason.contains("UTF-8")));
        assert_eq!(lines[2], (3, Ok("CC".into())));
    }
}
