//! What a command asks a model about (structures or texts, from the command line or a file) and what comes back for each.

use std::path::{Path, PathBuf};

use moiety_rpc::wire;

use crate::{
    error::Result,
    reader::{self, Columns, Format, Lines, Reading, Source},
    structure,
};

/// A thing that is asked about, with what to call it.
pub(crate) struct Asked<T> {
    pub(crate) shown: String,
    pub(crate) item: T,
}

/// What came back for it, or the reason why nothing did.
pub(crate) struct Answer<T> {
    pub(crate) shown: String,
    pub(crate) outcome: Outcome<T>,
}

pub(crate) type Outcome<T> = std::result::Result<T, String>;

/// Structures to ask about.
#[derive(clap::Args)]
pub(crate) struct Structures {
    /// Structures, as SMILES or InChI
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    structures: Vec<String>,
    #[command(flatten)]
    records: Records,
}

/// Texts to ask about.
#[derive(clap::Args)]
pub(crate) struct Texts {
    /// Texts, each quoted
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    texts: Vec<String>,
    #[command(flatten)]
    records: Records,
}

#[derive(clap::Args)]
struct Records {
    /// Ask about those of a file instead, in any format that `import` reads; of a `.txt` each line is a text
    #[arg(long)]
    file: Option<PathBuf>,
    /// How the file is written [default: by its name]
    #[arg(long, requires = "file")]
    format: Option<Format>,
    #[command(flatten)]
    columns: Columns,
}

impl Structures {
    /// Reads them; lines of a file that hold none are named on stderr.
    pub(crate) fn read(&self) -> Result<Vec<Asked<wire::Structure>>> {
        let Some(file) = &self.records.file else {
            let asked =
                |text: &String| Asked { shown: text.clone(), item: structure::structure(text) };
            return Ok(self.structures.iter().map(asked).collect());
        };
        self.records.read(file, "structure", |record| {
            Some(Asked { shown: record.id, item: record.molecule? })
        })
    }
}

impl Texts {
    /// Reads them; lines of a file that hold none are named on stderr.
    pub(crate) fn read(&self) -> Result<Vec<Asked<String>>> {
        let asked = |text: String| Asked { shown: text.clone(), item: text };
        let Some(file) = &self.records.file else {
            return Ok(self.texts.iter().cloned().map(asked).collect());
        };
        if self.records.format.is_none() && is_plain(file) {
            return Ok(lines(file)?.into_iter().map(asked).collect());
        }
        self.records.read(file, "text", |record| record.text.map(asked))
    }
}

impl Records {
    fn read<T>(
        &self,
        file: &Path,
        what: &str,
        pick: impl Fn(wire::Record) -> Option<Asked<T>>,
    ) -> Result<Vec<Asked<T>>> {
        let mut all = Vec::new();
        let reading =
            Reading { format: self.format, columns: Some(&self.columns), ..Reading::default() };
        for row in reader::open(&Source::new(file)?, reading)?.rows {
            let (line, picked) = match row {
                Ok(row) => (row.line, pick(row.record).ok_or_else(|| format!("no {what}"))),
                Err(reject) => (reject.line, Err(reject.reason)),
            };
            match picked {
                Ok(asked) => all.push(asked),
                Err(reason) => errln!("{}, line {line}: {reason}", file.display()),
            }
        }
        Ok(all)
    }
}

fn is_plain(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.strip_suffix(".gz").unwrap_or(&name).ends_with(".txt")
}

/// The lines of a file that are not blank.
fn lines(file: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for (line, text) in Lines::new(reader::reader(file)?) {
        match text {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => all.push(text.trim().to_owned()),
            Err(reason) => errln!("{}, line {line}: {reason}", file.display()),
        }
    }
    Ok(all)
}

/// The answers to a chunk, in its order: what was made of each item by its position, or why it was not taken.
pub(crate) fn answers<T, A>(
    asked: &[Asked<T>],
    items: impl IntoIterator<Item = (u32, A)>,
    errors: Vec<wire::ItemError>,
) -> Vec<Answer<A>> {
    let missing = || Err("the server said nothing about it".to_owned());
    let mut answers: Vec<Answer<A>> = asked
        .iter()
        .map(|asked| Answer { shown: asked.shown.clone(), outcome: missing() })
        .collect();
    let made = items.into_iter().map(|(position, item)| (position, Ok(item)));
    let refused = errors.into_iter().map(|error| (error.position, Err(error.reason)));
    for (position, outcome) in made.chain(refused) {
        if let Some(answer) = answers.get_mut(position as usize) {
            answer.outcome = outcome;
        }
    }
    answers
}

/// Fails where some could not be read, once everything was printed.
pub(crate) fn all_read<A>(answers: &[Answer<A>]) -> Result<()> {
    match answers.iter().filter(|answer| answer.outcome.is_err()).count() {
        0 => Ok(()),
        unread => Err(crate::error::CliError::Usage(format!(
            "{unread} of {} could not be read",
            answers.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stand_in_the_order_of_the_questions() {
        let asked: Vec<Asked<()>> =
            ["a", "b", "c"].map(|shown| Asked { shown: shown.into(), item: () }).into();
        let error = wire::ItemError { position: 0, reason: "bad".into(), ..Default::default() };
        let found = answers(&asked, [(2, "made"), (9, "lost")], vec![error]);
        let outcomes: Vec<_> =
            found.iter().map(|a| (a.shown.as_str(), a.outcome.clone())).collect();
        let missing = Err("the server said nothing about it".to_owned());
        assert_eq!(outcomes, [("a", Err("bad".into())), ("b", missing), ("c", Ok("made"))]);
        assert!(all_read(&found).is_err() && all_read(&found[2..]).is_ok());
    }

    #[test]
    fn lines_of_a_plain_file_are_texts() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("asked.TXT");
        std::fs::write(&file, "an acid\n\n  a yellow dye \n").expect("write");
        let records = Records { file: Some(file), format: None, columns: Columns::default() };
        let texts = Texts { texts: vec![], records }.read().expect("read");
        let shown: Vec<&str> = texts.iter().map(|asked| asked.item.as_str()).collect();
        assert_eq!(shown, ["an acid", "a yellow dye"]);
    }
}
