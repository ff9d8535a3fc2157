//! Where records come from: a file, or standard input.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek},
    path::{Path, PathBuf},
};

use crate::error::{CliError, Result, at};

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// A file of records, gzipped or not.
///
/// What can be read once only, such as standard input, is copied to a temporary file first, since files are read twice.
pub(crate) struct Source {
    path: PathBuf,
    copy: Option<File>,
}

impl Source {
    /// The file at this path; `-` is standard input.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let is_input = path == Path::new(STANDARD_INPUT);
        if !is_input && path.metadata().map_err(at(path))?.is_file() {
            return Ok(Self { path: path.to_owned(), copy: None });
        }
        let mut copy = tempfile::tempfile().map_err(at(Path::new("a temporary file")))?;
        let copied = match is_input {
            true => io::copy(&mut io::stdin().lock(), &mut copy),
            false => io::copy(&mut File::open(path).map_err(at(path))?, &mut copy),
        };
        copied.map_err(at(path))?;
        Ok(Self { path: path.to_owned(), copy: Some(copy) })
    }

    /// Whether a later run can read it again from the same place.
    pub(crate) fn is_file(&self) -> bool {
        self.copy.is_none()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the file, for messages and for what is made beside it.
    pub(super) fn name(&self) -> &str {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
        if name == STANDARD_INPUT { "standard input" } else { name }
    }

    /// The name without what tells its packing and its format: `a.part1.smi.gz` and `a.part2.smi.gz` stay apart.
    pub(super) fn stem(&self) -> String {
        if self.path == Path::new(STANDARD_INPUT) {
            return "stdin".into();
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        if stem.is_empty() { "row".into() } else { stem.to_owned() }
    }

    /// Opens it at its beginning.
    pub(crate) fn open(&self) -> Result<Box<dyn BufRead>> {
        let Some(copy) = &self.copy else { return reader(&self.path) };
        let mut file = copy.try_clone().map_err(at(&self.path))?;
        file.rewind().map_err(at(&self.path))?;
        unpacked(file, &self.path)
    }
}

/// Opens a file, unpacking it if its first bytes say gzip; a byte order mark is passed over.
pub(crate) fn reader(path: &Path) -> Result<Box<dyn BufRead>> {
    unpacked(File::open(path).map_err(at(path))?, path)
}

fn unpacked(file: File, path: &Path) -> Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    let magic = file.fill_buf().map_err(at(path))?;
    let mut input: Box<dyn BufRead> = if magic.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(1 << 16, flate2::read::MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    let start = input.fill_buf().map_err(at(path))?;
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        let path = path.display();
        return Err(CliError::Usage(format!(
            "{path} is written in UTF-16; convert it: iconv -f UTF-16 -t UTF-8 {path}"
        )));
    }
    if start.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    Ok(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_format_and_packing_stay_apart() {
        let stem = |path: &str| Source { path: path.into(), copy: None }.stem();
        assert_eq!(stem("x/a.part1.smi.gz"), "a.part1");
        assert_eq!(stem("a.part2.smi"), "a.part2");
        assert_eq!(stem("plain"), "plain");
        assert_eq!(stem("-"), "stdin");
    }
}
