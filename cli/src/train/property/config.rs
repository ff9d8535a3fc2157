//! What a run of the recipe is asked to do: `configs/property.json`.

use moiety_encoder::property::{Candidate, FineTuneConfig, FitConfig, TaskKind};
use serde::{Deserialize, Serialize};

use crate::error::{CliError, Result};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PropertyConfig {
    /// Every row of the table is a mean over these.
    pub(super) seeds: Vec<u64>,
    /// Heads that are tried; validation chooses. Those that do not read the encoder show what it adds.
    pub(super) candidates: Vec<Candidate>,
    pub(super) fit: FitConfig,
    pub(super) fine_tune: FineTuneConfig,
    pub(super) sets: Vec<SetConfig>,
}

/// A set of measurements.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetConfig {
    /// Short name; that of its head.
    pub(super) name: String,
    /// What is predicted, in a few words.
    pub(super) title: String,
    /// File below the data directory: CSV with a header, gzipped or not.
    pub(super) file: String,
    pub(super) kind: TaskKind,
    /// Unit of the values, where they are numbers.
    #[serde(default)]
    pub(super) unit: String,
    /// Columns of the tasks; none named: every column but those ignored and the structure.
    #[serde(default)]
    pub(super) tasks: Vec<String>,
    /// Names that the tasks of the head have instead of their columns.
    #[serde(default)]
    pub(super) task_names: Vec<String>,
    /// Columns that are no tasks.
    #[serde(default)]
    pub(super) ignore: Vec<String>,
    /// Column of the structure.
    pub(super) smiles: String,
    pub(super) licence: String,
    pub(super) source: String,
    /// What the head must not be used for, for its card.
    #[serde(default)]
    pub(super) limits: String,
    /// Whether a head is written.
    #[serde(default)]
    pub(super) ship: bool,
}

impl PropertyConfig {
    pub(super) fn from_json(json: &str) -> Result<Self> {
        let fail = |reason: String| CliError::Usage(format!("config: {reason}"));
        let config: Self = serde_json::from_str(json).map_err(|e| fail(e.to_string()))?;
        if config.seeds.is_empty() || config.candidates.is_empty() {
            return Err(fail("seeds and candidates must not be empty".into()));
        }
        let misnamed = |set: &&SetConfig| {
            !set.task_names.is_empty() && set.task_names.len() != set.tasks.len()
        };
        match config.sets.iter().find(misnamed) {
            Some(set) => Err(fail(format!("{}: one task name per task, or none", set.name))),
            None => Ok(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_that_ships_is_read() {
        let json = include_str!("../../../../configs/property.json");
        let config = PropertyConfig::from_json(json).expect("config");
        assert_eq!(config.sets.len(), 11);
        assert_eq!(config.seeds.len(), 3);
        let shipped = config.sets.iter().filter(|set| set.ship).map(|set| set.name.as_str());
        assert_eq!(shipped.collect::<Vec<_>>(), ["bbbp", "tox21", "esol", "lipophilicity"]);
    }
}
