//! What a set showed, kept beside the run, and the table of all of them.

use std::{fmt::Write, path::Path};

use moiety_encoder::property::{Summary, TaskKind, digest};
use serde::{Deserialize, Serialize};

use super::{
    config::{PropertyConfig, SetConfig},
    data::MeasuredSet,
    trial::{Found, Judged, Way},
};
use crate::error::{CliError, Result, at};

const FILE: &str = "result.json";

/// What a set showed.
#[derive(Serialize, Deserialize)]
pub(super) struct SetResult {
    /// Digest of everything that decides it.
    key: String,
    name: String,
    kind: TaskKind,
    molecules: usize,
    unread: usize,
    tasks: usize,
    split: [usize; 3],
    judged: Vec<Judged>,
    /// Every candidate in words with its validation metric.
    trials: Vec<(String, f64)>,
}

/// Digest of the config of a set, of the bytes of its file and of the encoder.
pub(super) fn key(
    config: &PropertyConfig,
    set: &SetConfig,
    fine_tune: bool,
    inputs: &[&[u8]],
) -> Result<String> {
    let decides = (&config.seeds, &config.candidates, &config.fit, &config.fine_tune, set);
    let mut bytes = serde_json::to_vec(&(decides, fine_tune))
        .map_err(|e| CliError::Usage(format!("config: {e}")))?;
    for input in inputs {
        bytes.extend(digest(input).into_bytes());
    }
    Ok(digest(&bytes))
}

impl SetResult {
    pub(super) fn new(key: String, set: &SetConfig, measured: &MeasuredSet, found: &Found) -> Self {
        let split = &measured.split;
        let trials = found.choice.trials.iter();
        let mut judged = found.judged.clone();
        judged.sort_by_key(|judged| judged.way);
        Self {
            key,
            name: set.name.clone(),
            kind: set.kind,
            molecules: measured.smiles.len(),
            unread: measured.unread,
            tasks: measured.labels.tasks().len(),
            split: [split.train.len(), split.validation.len(), split.test.len()],
            judged,
            trials: trials
                .map(|trial| (super::trial::words(&trial.candidate), trial.validation.mean))
                .collect(),
        }
    }

    /// The result in `dir`, if it is of the same config, data and encoder.
    pub(super) fn load(dir: &Path, key: &str) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(at(&path))?,
        };
        let result: Option<Self> = serde_json::from_slice(&bytes).ok();
        Ok(result.filter(|result| result.key == key))
    }

    pub(super) fn save(&self, dir: &Path) -> Result<()> {
        let json =
            serde_json::to_string_pretty(self).map_err(|e| CliError::Usage(e.to_string()))?;
        let path = dir.join(FILE);
        std::fs::write(&path, json + "\n").map_err(at(&path))
    }

    fn of(&self, way: Way) -> Option<&Judged> {
        self.judged.iter().find(|judged| judged.way == way)
    }
}

/// All sets in Markdown: test metrics, mean ± standard deviation over the seeds.
pub(super) fn table(results: &[SetResult], fingerprint: &str) -> String {
    let ways: Vec<Way> =
        Way::ALL.into_iter().filter(|&way| results.iter().any(|r| r.of(way).is_some())).collect();
    let mut text = format!("encoder {}\n\n", &fingerprint[..fingerprint.len().min(16)]);
    text += "| set | molecules | tasks | metric | the head reads |";
    ways.iter().for_each(|way| text += &format!(" {} |", way.name()));
    text += "\n|---|---:|---:|---|---|";
    ways.iter().for_each(|_| text += "---:|");
    for result in results {
        let (molecules, tasks, metric) = (result.molecules, result.tasks, result.kind.metric());
        let reads = result.of(Way::Head).map_or("", |head| head.chosen.as_str());
        let _ = write!(text, "\n| {} | {molecules} | {tasks} | {metric} | {reads} |", result.name);
        for &way in &ways {
            let cell = result.of(way).map_or("–".to_owned(), |judged| number(&judged.summary()));
            let _ = write!(text, " {cell} |");
        }
    }
    text + "\n"
}

/// Mean ± deviation; no deviation where there is no chance in it.
pub(super) fn number(summary: &Summary) -> String {
    match summary.deviation {
        0.0 => format!("{:.3}", summary.mean),
        deviation => format!("{:.3} ± {deviation:.3}", summary.mean),
    }
}
