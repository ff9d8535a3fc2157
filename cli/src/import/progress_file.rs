//! Where an import stands, so that the next one goes on there.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

use super::Args;
use crate::error::{CliError, Result, at};

/// Where an import stands, kept beside its rejects and replaced atomically.
pub(crate) struct ProgressFile {
    path: PathBuf,
    state: ProgressState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ProgressState {
    file: String,
    /// Length of the file and when it was written, in seconds: another file of the same name has other lines.
    bytes: u64,
    modified: u64,
    /// How lines become records.
    reading: String,
    place: String,
    collection: String,
    durable_line: u64,
}

impl ProgressFile {
    /// Takes up the state of an earlier import of the same file into the same place, unless told to begin anew.
    pub(super) fn open(path: PathBuf, args: &Args) -> Result<Self> {
        let mut state = ProgressState::new(args)?;
        match fs::read_to_string(&path) {
            Ok(text) if !args.restart => state.durable_line = state.go_on_from(&text, &path)?,
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(at(&path)(e)),
            _ => {}
        }
        Ok(Self { path, state })
    }

    /// The last line known to be durable; 0 before the first.
    pub(super) fn durable_line(&self) -> u64 {
        self.state.durable_line
    }

    /// Forgets where an earlier import stood.
    pub(super) fn begin_anew(&mut self) {
        self.state.durable_line = 0;
    }

    pub(super) fn advance(&mut self, durable_line: u64) -> Result<()> {
        self.state.durable_line = durable_line;
        let new = self.path.with_extension("new");
        let json = serde_json::to_vec(&self.state).map_err(|e| CliError::Usage(e.to_string()))?;
        fs::write(&new, json).map_err(at(&new))?;
        fs::rename(&new, &self.path).map_err(at(&self.path))
    }

    pub(super) fn remove(self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(at(&self.path)(e)),
            _ => Ok(()),
        }
    }
}

impl ProgressState {
    fn new(args: &Args) -> Result<Self> {
        let facts = fs::metadata(&args.file).map_err(at(&args.file))?;
        let modified = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Ok(Self {
            file: args.file.display().to_string(),
            bytes: facts.len(),
            modified: modified.map_or(0, |since| since.as_secs()),
            reading: format!("{:?} {:?}", args.format, args.columns),
            place: args.server.place(),
            collection: args.collection.clone(),
            durable_line: 0,
        })
    }

    /// The line after which to go on, if the earlier import is one of the same records.
    fn go_on_from(&self, earlier: &str, path: &Path) -> Result<u64> {
        let path = path.display();
        let refused = |why: String| {
            CliError::Usage(format!(
                "{why}; begin at the first line with --restart, or remove {path}"
            ))
        };
        let earlier: Self = serde_json::from_str(earlier)
            .map_err(|_| refused(format!("{path} is not the progress of an import")))?;
        let place = (&self.file, &self.place, &self.collection);
        if (&earlier.file, &earlier.place, &earlier.collection) != place {
            let why =
                format!("{path} belongs to an import of {} into {}", earlier.file, earlier.place);
            return Err(refused(why));
        }
        if (earlier.bytes, earlier.modified) != (self.bytes, self.modified) {
            let why = format!("{} has changed since its import stopped", self.file);
            return Err(refused(why));
        }
        if earlier.reading != self.reading {
            return Err(refused(
                "the import that stopped read other columns or another format".into(),
            ));
        }
        Ok(earlier.durable_line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> ProgressState {
        ProgressState {
            file: "a.csv".into(),
            bytes: 10,
            modified: 1,
            reading: "None".into(),
            place: "here".into(),
            collection: "c".into(),
            durable_line: 0,
        }
    }

    fn go_on(earlier: &ProgressState) -> Result<u64> {
        let text = serde_json::to_string(earlier).expect("progress");
        state().go_on_from(&text, Path::new("a.progress.json"))
    }

    #[test]
    fn the_same_import_goes_on_after_its_last_durable_line() {
        assert_eq!(go_on(&ProgressState { durable_line: 7, ..state() }).expect("same"), 7);
    }

    #[test]
    fn a_changed_file_or_another_place_or_other_columns_do_not_go_on_silently() {
        let others = [
            (ProgressState { bytes: 11, ..state() }, "changed"),
            (ProgressState { modified: 2, ..state() }, "changed"),
            (ProgressState { place: "there".into(), ..state() }, "belongs to"),
            (ProgressState { reading: "Some(Smiles)".into(), ..state() }, "other columns"),
        ];
        for (earlier, says) in others {
            let refused = go_on(&earlier).expect_err("another import").to_string();
            assert!(refused.contains(says) && refused.contains("--restart"), "{refused}");
        }
    }
}
