//! ROC-AUC and RMSE, and what several seeds say together.

use super::labels::{Labels, TaskKind};

/// Area under the ROC curve: the chance that a positive scores above a negative, ties by half.
///
/// `None` where one of the two is missing. By ranks, as Mann and Whitney count them.
pub fn roc_auc(scores: &[f32], positive: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = positive.iter().filter(|&&yes| yes).count() as f64;
    let negatives = positive.len() as f64 - positives;
    let (mut below, mut won) = (0.0, 0.0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let yes = tied.iter().filter(|&&at| positive[at]).count() as f64;
        let no = tied.len() as f64 - yes;
        won += yes * (below + no / 2.0);
        below += no;
    }
    (positives > 0.0 && negatives > 0.0).then(|| won / (positives * negatives))
}

/// Root of the mean squared difference; `None` of nothing.
pub fn rmse(predicted: &[f32], measured: &[f32]) -> Option<f64> {
    let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    let sum: f64 = predicted.iter().zip(measured).map(square).sum();
    (!predicted.is_empty()).then(|| (sum / predicted.len() as f64).sqrt())
}

/// The metric of the set's kind on these rows, as a mean over the tasks that can be judged there.
///
/// `predictions` holds one number per task for each of `rows`, in order. A task without a measurement, or of one class
/// only, is left out of the mean; `None` where none is left.
pub fn mean_over_tasks(labels: &Labels, rows: &[usize], predictions: &[f32]) -> Option<f64> {
    let tasks = labels.tasks().len();
    let judge = |task: usize| {
        let (places, measured) = labels.measured(rows, task);
        let predicted: Vec<f32> = places.iter().map(|at| predictions[at * tasks + task]).collect();
        match labels.kind() {
            TaskKind::Classification => {
                roc_auc(&predicted, &measured.iter().map(|&x| x == 1.0).collect::<Vec<_>>())
            }
            TaskKind::Regression => rmse(&predicted, &measured),
        }
    };
    let judged: Vec<f64> = (0..tasks).filter_map(judge).collect();
    (!judged.is_empty()).then(|| judged.iter().sum::<f64>() / judged.len() as f64)
}

/// Mean and sample standard deviation over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, with one degree of freedom taken for the mean; 0 of a single value.
    pub deviation: f64,
}

impl Summary {
    /// Sums up at least one value; NaN of none.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        Self { mean, deviation: (squares / (count - 1.0).max(1.0)).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_of_hand_worked_cases() {
        let auc = |scores: &[f32], yes: &[u8]| {
            roc_auc(scores, &yes.iter().map(|&y| y == 1).collect::<Vec<_>>())
        };
        assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]), Some(0.75));
        assert_eq!(auc(&[0.9, 0.8, 0.2], &[1, 1, 0]), Some(1.0));
        assert_eq!(auc(&[0.5; 6], &[1, 0, 0, 1, 0, 0]), Some(0.5));
        // Pairs: 0.3 over 0.1, 0.3 ties 0.3, 0.2 over 0.1, 0.2 below 0.3: 2.5 of 4.
        assert_eq!(auc(&[0.3, 0.2, 0.3, 0.1], &[1, 1, 0, 0]), Some(0.625));
        assert_eq!((auc(&[0.3, 0.2], &[1, 1]), auc(&[], &[])), (None, None));
    }

    #[test]
    fn rmse_of_hand_worked_cases() {
        assert_eq!(rmse(&[1.0, 2.0], &[4.0, 6.0]), Some((12.5f64).sqrt()));
        assert_eq!(rmse(&[], &[]), None);
    }

    #[test]
    fn tasks_that_cannot_be_judged_are_left_out_of_the_mean() {
        let nan = f32::NAN;
        let values = vec![1.0, 1.0, nan, 0.0, 1.0, nan, 0.0, 1.0, nan];
        let tasks = ["a", "b", "c"].map(String::from).to_vec();
        let labels = Labels::new(TaskKind::Classification, tasks, values).expect("labels");
        // Task a: 0.9 and 0.8 of one positive, one between; b has one class, c nothing.
        let predictions = [0.9, 0.0, 0.0, 0.8, 0.0, 0.0, 0.95, 0.0, 0.0];
        assert_eq!(mean_over_tasks(&labels, &[0, 1, 2], &predictions), Some(0.5));
        assert_eq!(mean_over_tasks(&labels, &[0], &predictions[..3]), None);
    }

    #[test]
    fn summaries_use_the_sample_deviation() {
        assert_eq!(Summary::of(&[1.0, 2.0, 3.0]), Summary { mean: 2.0, deviation: 1.0 });
        assert_eq!(Summary::of(&[4.0]).deviation, 0.0);
    }
}
