//! The file of lines that an import did not take.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use crate::{
    error::{CliError, Result, at},
    reader::Reject,
};

/// Where lines that were not taken go.
pub(super) struct RejectsPath {
    first: PathBuf,
    /// Whether it was asked for, so that no other name will do.
    asked: bool,
}

impl RejectsPath {
    pub(super) fn new(asked: Option<&Path>, base: &str) -> Self {
        match asked {
            Some(asked) => Self { first: asked.to_owned(), asked: true },
            None => Self { first: format!("{base}.rejects.tsv").into(), asked: false },
        }
    }

    /// The path without a number.
    pub(super) fn first(&self) -> &Path {
        &self.first
    }

    /// The path for an import that goes on after `durable_line`: that of the import that stopped, or one that is free.
    pub(super) fn path(&self, durable_line: u64) -> Result<PathBuf> {
        let numbered = |n: u32| match n {
            1 => self.first.clone(),
            n => self.first.with_extension(format!("{n}.tsv")),
        };
        let free = (1..).find(|&n| !numbered(n).exists()).unwrap_or(u32::MAX);
        match (durable_line > 0, self.asked) {
            (true, true) => Ok(self.first.clone()),
            (true, false) => Ok(numbered(free.saturating_sub(1).max(1))),
            (false, true) if free > 1 => Err(CliError::Usage(format!(
                "{} is there, perhaps the rejects of an earlier import; move it, or name another with --rejects",
                self.first.display()
            ))),
            (false, _) => Ok(numbered(free)),
        }
    }
}

/// Lines that were not taken: line, tab, reason. Made when the first comes.
pub(crate) struct Rejects {
    path: PathBuf,
    file: Option<File>,
}

impl Rejects {
    /// Keeps what an earlier import wrote of lines up to `durable_line`; the rest will come again.
    ///
    /// A file that no import wrote is left alone: that is an error.
    pub(super) fn open(path: &Path, durable_line: u64) -> Result<Self> {
        let earlier = match fs::read_to_string(path) {
            Ok(earlier) => earlier,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::none_yet(path)),
            Err(e) if e.kind() == ErrorKind::InvalidData => return Err(foreign(path)),
            Err(e) => return Err(at(path)(e)),
        };
        let kept = earlier_up_to(&earlier, durable_line).ok_or_else(|| foreign(path))?;
        if kept.is_empty() {
            fs::remove_file(path).map_err(at(path))?;
        } else {
            fs::write(path, kept).map_err(at(path))?;
        }
        Ok(Self::none_yet(path))
    }

    fn none_yet(path: &Path) -> Self {
        Self { path: path.into(), file: None }
    }

    pub(super) fn write(&mut self, reject: &Reject) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&self.path)
                    .map_err(at(&self.path))?,
            ),
        };
        let reason = reject.reason.replace(['\t', '\n', '\r'], " ");
        writeln!(file, "{}\t{reason}", reject.line).map_err(at(&self.path))
    }
}

fn foreign(path: &Path) -> CliError {
    CliError::Usage(format!(
        "{} is there and is no file of rejects; name another with --rejects",
        path.display()
    ))
}

/// The rejects of lines up to `durable_line`; nothing where a line is no reject.
fn earlier_up_to(earlier: &str, durable_line: u64) -> Option<String> {
    let mut kept = String::new();
    for row in earlier.lines() {
        let (line, _) = row.split_once('\t')?;
        if line.parse::<u64>().ok()? <= durable_line {
            kept.push_str(row);
            kept.push('\n');
        }
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_of_durable_lines_are_kept_and_others_come_again() {
        assert_eq!(earlier_up_to("2\tbad\n9\tworse\n", 8), Some("2\tbad\n".into()));
        assert_eq!(earlier_up_to("", 8), Some(String::new()));
    }

    #[test]
    fn a_file_that_no_import_wrote_is_not_overwritten() {
        let dir = tempfile::tempdir().expect("directory");
        let notes = dir.path().join("notes.txt");
        fs::write(&notes, "dear diary\n").expect("notes");
        assert!(Rejects::open(&notes, 0).is_err_and(|e| e.to_string().contains("--rejects")));
        assert_eq!(fs::read_to_string(&notes).expect("notes"), "dear diary\n");
    }
}
