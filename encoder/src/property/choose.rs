//! Choosing among networks by the validation rows alone.

use rayon::prelude::*;

use super::{
    features::Features,
    fit::{Candidate, Fit, FitConfig, fit},
    labels::{Labels, TaskKind},
    metrics::Summary,
    split::Split,
};
use crate::error::{EncoderError, Result};

/// A candidate and how it did on the validation rows.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What was tried.
    pub candidate: Candidate,
    /// Its fits, one a seed.
    pub fits: Vec<Fit>,
    /// Their validation metrics together.
    pub validation: Summary,
}

/// Every trial of a set.
#[derive(Clone, Debug)]
pub struct Choice {
    /// All trials, in the order of the candidates.
    pub trials: Vec<Trial>,
    kind: TaskKind,
}

impl Choice {
    /// The trial that did best on the validation rows, among those whose candidate `takes` accepts; the first of equals.
    pub fn best(&self, takes: impl Fn(&Candidate) -> bool) -> Option<&Trial> {
        let better =
            |a: &Trial, b: &Trial| self.kind.is_better(b.validation.mean, a.validation.mean);
        let trials = self.trials.iter().filter(|trial| takes(&trial.candidate));
        trials.reduce(|best, trial| if better(best, trial) { trial } else { best })
    }
}

/// Fits every candidate with every seed, and judges each by its mean on the validation rows; `fitted` is called after
/// each fit.
///
/// # Errors
/// No candidate or no seed, and whatever a fit can fail with.
pub fn choose(
    features: &Features,
    labels: &Labels,
    split: &Split,
    candidates: &[Candidate],
    (config, seeds): (&FitConfig, &[u64]),
    fitted: impl Fn() + Sync,
) -> Result<Choice> {
    if candidates.is_empty() || seeds.is_empty() {
        return Err(EncoderError::Config("candidates and seeds must not be empty".into()));
    }
    let runs: Vec<(&Candidate, u64)> = candidates
        .iter()
        .flat_map(|candidate| seeds.iter().map(move |&s| (candidate, s)))
        .collect();
    let fits: Result<Vec<Fit>> = runs
        .into_par_iter()
        .map(|(candidate, seed)| fit(features, labels, split, candidate, (config, seed)))
        .inspect(|_| fitted())
        .collect();
    let fits = fits?;
    let trial = |(candidate, fits): (&Candidate, &[Fit])| {
        let metrics: Vec<f64> = fits.iter().map(|fit| fit.validation).collect();
        let validation = Summary::of(&metrics);
        Trial { candidate: candidate.clone(), fits: fits.to_vec(), validation }
    };
    let trials = candidates.iter().zip(fits.chunks(seeds.len())).map(trial).collect();
    Ok(Choice { trials, kind: labels.kind() })
}
