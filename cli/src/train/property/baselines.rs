//! What a head is measured beside: ECFP4 with a linear model, and ECFP4 (with descriptors) with gradient boosting.
//!
//! Both are written here because no well-kept crate takes sparse bits: dense columns would cost some thirty times the work
//! and memory on the larger sets. `logistic` is held against scikit-learn.

mod boosting;
mod columns;
mod lbfgs;
mod logistic;

use indicatif::ProgressBar;
use moiety_encoder::property::{Labels, Network, mean_over_tasks};
use rayon::prelude::*;

use self::{
    boosting::{BoostConfig, Watch, boost},
    columns::Columns,
    logistic::{LinearModel, fit_linear},
};
use super::{
    data::MeasuredSet,
    trial::{Judged, Way},
};

/// Inverse strengths of the penalty that validation chooses from.
const STRENGTHS: [f64; 5] = [0.001, 0.01, 0.1, 1.0, 10.0];

/// The metric of a network on the test rows.
pub(super) fn judge_on_test(set: &MeasuredSet, network: &Network) -> f64 {
    judge(&set.labels, &set.split.test, &network.predict(&set.features, &set.split.test))
}

/// ECFP4 bits in a logistic or a ridge regression, task by task; the strength is that of the best validation metric.
pub(super) fn linear(set: &MeasuredSet) -> Judged {
    let columns = Columns::bits_of(&set.features);
    let bar = set.bar(STRENGTHS.len() * set.labels.tasks().len(), Way::Linear.name());
    let at = |strength: f64| {
        let fit = |task: usize| {
            let (places, y) = set.labels.measured(&set.split.train, task);
            let rows: Vec<&[u16]> =
                places.iter().map(|&at| columns.bits(set.split.train[at])).collect();
            fit_linear(&rows, &y, set.labels.kind(), strength)
        };
        let tasks = 0..set.labels.tasks().len();
        let models = tasks.into_par_iter().map(fit).inspect(|_| bar.inc(1));
        let models: Vec<LinearModel> = models.collect();
        let judge = |rows: &[usize]| {
            let scores = rows.iter().flat_map(|&row| models.iter().map(move |m| (m, row)));
            let scores: Vec<f32> = scores.map(|(m, row)| m.score(columns.bits(row))).collect();
            judge(&set.labels, rows, &scores)
        };
        (judge(&set.split.validation), judge(&set.split.test))
    };
    let mut best = (f64::NAN, f64::NAN, f64::NAN);
    for strength in STRENGTHS {
        let (validation, test) = at(strength);
        if best.0.is_nan() || set.labels.kind().is_better(validation, best.0) {
            best = (validation, test, strength);
        }
    }
    bar.finish_and_clear();
    let (validation, test, strength) = best;
    Judged { way: Way::Linear, chosen: format!("C = {strength}"), validation, test: vec![test] }
}

/// ECFP4 bits, and descriptors where asked, in boosted trees, task by task; the number of trees is that of the best
/// validation metric of the task.
pub(super) fn boosted(set: &MeasuredSet, way: Way, seeds: &[u64]) -> Judged {
    let columns = match way {
        Way::BoostedDescriptors => {
            Columns::bits_and_descriptors_of(&set.features, &set.split.train)
        }
        _ => Columns::bits_of(&set.features),
    };
    let bar = set.bar(seeds.len() * set.labels.tasks().len(), way.name());
    let (validation, test): (Vec<f64>, Vec<f64>) =
        seeds.iter().map(|&seed| boosted_once(set, &columns, seed, &bar)).unzip();
    bar.finish_and_clear();
    let validation = validation.iter().sum::<f64>() / validation.len() as f64;
    Judged { way, chosen: String::new(), validation, test }
}

fn boosted_once(set: &MeasuredSet, columns: &Columns, seed: u64, bar: &ProgressBar) -> (f64, f64) {
    let config = BoostConfig::default();
    let (validation, test) = (&set.split.validation, &set.split.test);
    let fit = |task: usize| {
        let of = |rows: &[usize]| {
            let (places, y) = set.labels.measured(rows, task);
            (places.into_iter().map(|at| rows[at]).collect::<Vec<_>>(), y)
        };
        let ((train, y), (watched, watched_y)) = (of(&set.split.train), of(validation));
        let watch = Watch { rows: &watched, y: &watched_y };
        let model = boost(columns, (&train, &y), &watch, set.labels.kind(), (&config, seed));
        let scores = |rows: &[usize]| rows.iter().map(|&row| model.score(columns, row)).collect();
        (scores(validation), scores(test))
    };
    let tasks = 0..set.labels.tasks().len();
    let fits = tasks.into_par_iter().map(fit).inspect(|_| bar.inc(1));
    let fits: Vec<(Vec<f32>, Vec<f32>)> = fits.collect();
    let (on_validation, on_test): (Vec<_>, Vec<_>) = fits.into_iter().unzip();
    let judge = |rows: &[usize], by_task: &[Vec<f32>]| {
        let of = |at: usize| by_task.iter().map(move |scores| scores[at]);
        judge(&set.labels, rows, &(0..rows.len()).flat_map(of).collect::<Vec<f32>>())
    };
    (judge(validation, &on_validation), judge(test, &on_test))
}

/// The metric on these rows; NaN where no task can be judged.
pub(super) fn judge(labels: &Labels, rows: &[usize], predictions: &[f32]) -> f64 {
    mean_over_tasks(labels, rows, predictions).unwrap_or(f64::NAN)
}
