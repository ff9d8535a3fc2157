//! What was measured: a table of molecules by tasks, with holes.

use serde::{Deserialize, Serialize};

use crate::error::{EncoderError, Result};

/// What the tasks of a set ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Yes or no; a head gives the probability of yes.
    Classification,
    /// A number in the unit of the set.
    Regression,
}

impl TaskKind {
    /// Name of the metric that sets of this kind are judged by.
    pub fn metric(self) -> &'static str {
        match self {
            Self::Classification => "ROC-AUC",
            Self::Regression => "RMSE",
        }
    }

    /// Whether `a` is a better value of that metric than `b`.
    pub fn is_better(self, a: f64, b: f64) -> bool {
        match self {
            Self::Classification => a > b,
            Self::Regression => a < b,
        }
    }
}

/// The measurements of a set, one row a molecule.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    kind: TaskKind,
    tasks: Vec<String>,
    values: Vec<f32>,
}

impl Labels {
    /// `values` are rows of one number per task, NaN where nothing was measured; 0 or 1 in a classification.
    ///
    /// # Errors
    /// A table without tasks, rows that are not full, infinite numbers, a class other than 0 and 1.
    pub fn new(kind: TaskKind, tasks: Vec<String>, values: Vec<f32>) -> Result<Self> {
        let fail = |reason: String| Err(EncoderError::Config(reason));
        if tasks.is_empty() || !values.len().is_multiple_of(tasks.len()) {
            let (found, tasks) = (values.len(), tasks.len());
            return fail(format!("{found} labels do not make rows of {tasks} tasks"));
        }
        let allowed = |x: f32| match kind {
            Classification => x.is_nan() || x == 0.0 || x == 1.0,
            Regression => !x.is_infinite(),
        };
        use TaskKind::{Classification, Regression};
        match values.iter().position(|&x| !allowed(x)) {
            Some(at) => {
                let (row, task) = (at / tasks.len(), &tasks[at % tasks.len()]);
                fail(format!("row {row} has the label {} for {task}", values[at]))
            }
            None => Ok(Self { kind, tasks, values }),
        }
    }

    /// What the tasks ask for.
    pub fn kind(&self) -> TaskKind {
        self.kind
    }

    /// Names of the tasks.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// Number of molecules.
    pub fn rows(&self) -> usize {
        self.values.len() / self.tasks.len()
    }

    /// What was measured for a molecule, NaN where nothing was.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.tasks.len()..][..self.tasks.len()]
    }

    /// The measurements of these rows for one task, with their places in `rows`; those that are missing are left out.
    pub fn measured(&self, rows: &[usize], task: usize) -> (Vec<usize>, Vec<f32>) {
        let values = rows.iter().map(|&row| self.row(row)[task]).enumerate();
        values.filter(|(_, value)| !value.is_nan()).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(kind: TaskKind, values: Vec<f32>) -> Result<Labels> {
        Labels::new(kind, vec!["a".into(), "b".into()], values)
    }

    #[test]
    fn tables_that_make_no_sense_are_refused() {
        use TaskKind::{Classification, Regression};
        assert!(labels(Classification, vec![0.0, 1.0, f32::NAN, 1.0]).is_ok());
        assert!(labels(Classification, vec![0.0, 0.5]).is_err());
        assert!(labels(Regression, vec![0.0, f32::INFINITY]).is_err());
        assert!(labels(Regression, vec![0.0, 1.0, 2.0]).is_err());
        assert!(Labels::new(Regression, vec![], vec![]).is_err());
    }

    #[test]
    fn missing_measurements_are_left_out_with_their_places() {
        let table = labels(TaskKind::Regression, vec![1.0, 2.0, f32::NAN, 4.0, 5.0, 6.0]);
        assert_eq!(table.expect("table").measured(&[2, 1, 0], 0), (vec![0, 2], vec![5.0, 1.0]));
    }
}
