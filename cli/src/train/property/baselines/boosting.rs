//! Gradient boosting with trees over histograms, for bits and bins.
//!
//! Gains, leaf values and second-order steps are those of XGBoost (arXiv 1603.02754, equations 5 to 7). A histogram of a
//! node costs one addition per bit that is set in its rows; what is not set follows from the node's total.

use moiety_encoder::property::{TaskKind, rmse, roc_auc};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::columns::{BINS, Columns};

/// How trees are grown.
#[derive(Clone, Debug)]
pub(super) struct BoostConfig {
    pub(super) rounds: usize,
    /// Rounds without a better watched metric after which growing ends.
    pub(super) patience: usize,
    pub(super) depth: usize,
    pub(super) learning_rate: f64,
    /// Penalty on the squares of leaf values.
    pub(super) lambda: f64,
    /// Least sum of second derivatives in a leaf.
    pub(super) min_child_weight: f64,
    /// Share of the rows that a tree sees.
    pub(super) row_share: f64,
    /// Share of the columns that a tree may split on.
    pub(super) column_share: f64,
}

impl Default for BoostConfig {
    fn default() -> Self {
        Self {
            rounds: 400,
            patience: 40,
            depth: 6,
            learning_rate: 0.1,
            lambda: 1.0,
            min_child_weight: 1.0,
            row_share: 0.8,
            column_share: 0.5,
        }
    }
}

/// Rows that growing is stopped by.
pub(super) struct Watch<'a> {
    pub(super) rows: &'a [usize],
    pub(super) y: &'a [f32],
}

/// Boosted trees.
pub(super) struct Boosted {
    base: f64,
    trees: Vec<Tree>,
}

impl Boosted {
    /// The logit, or the value.
    pub(super) fn score(&self, columns: &Columns, row: usize) -> f32 {
        let trees = self.trees.iter().map(|tree| tree.value(columns, row));
        (self.base + trees.sum::<f64>()) as f32
    }
}

/// A tree, its root first.
type Nodes = Vec<Node>;

struct Tree {
    nodes: Nodes,
}

enum Node {
    Leaf(f64),
    /// Where `test` holds, `yes` is next.
    Split {
        test: Test,
        yes: usize,
        no: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Test {
    /// The bit is set.
    Bit(u16),
    /// The bin of the column is beyond this one.
    Beyond { column: usize, bin: u8 },
}

impl Test {
    fn holds(self, columns: &Columns, row: usize) -> bool {
        match self {
            Self::Bit(bit) => columns.bits(row).binary_search(&bit).is_ok(),
            Self::Beyond { column, bin } => columns.bins(row)[column] > bin,
        }
    }
}

impl Tree {
    fn value(&self, columns: &Columns, row: usize) -> f64 {
        let mut at = 0;
        loop {
            match &self.nodes[at] {
                Node::Leaf(value) => return *value,
                Node::Split { test, yes, no } => {
                    at = if test.holds(columns, row) { *yes } else { *no }
                }
            }
        }
    }
}

/// Grows trees on `train` rows with targets `y`, and keeps as many as were best on the watched rows; all of them where
/// the watched rows cannot be judged.
pub(super) fn boost(
    columns: &Columns,
    (train, y): (&[usize], &[f32]),
    watch: &Watch,
    kind: TaskKind,
    (config, seed): (&BoostConfig, u64),
) -> Boosted {
    let base = base_score(y, kind);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut scores = vec![base; train.len()];
    let mut watched = vec![base as f32; watch.rows.len()];
    let mut model = Boosted { base, trees: Vec::new() };
    let mut best: Option<(f64, usize)> = None;
    for round in 1..=config.rounds {
        let slopes: Vec<Slope> =
            scores.iter().zip(y).map(|(&score, &y)| slope(score, f64::from(y), kind)).collect();
        let tree = Grower::new(columns, train, &slopes, config, &mut rng).grow();
        for (score, &row) in scores.iter_mut().zip(train) {
            *score += tree.value(columns, row);
        }
        for (score, &row) in watched.iter_mut().zip(watch.rows) {
            *score += tree.value(columns, row) as f32;
        }
        model.trees.push(tree);
        let Some(metric) = judge(&watched, watch.y, kind) else { continue };
        match best {
            Some((before, at)) if !kind.is_better(metric, before) => {
                if round - at >= config.patience {
                    break;
                }
            }
            _ => best = Some((metric, round)),
        }
    }
    if let Some((_, rounds)) = best {
        model.trees.truncate(rounds);
    }
    model
}

fn judge(scores: &[f32], y: &[f32], kind: TaskKind) -> Option<f64> {
    match kind {
        TaskKind::Classification => {
            roc_auc(scores, &y.iter().map(|&y| y == 1.0).collect::<Vec<_>>())
        }
        TaskKind::Regression => rmse(scores, y),
    }
}

/// The constant that fits best, as a score.
fn base_score(y: &[f32], kind: TaskKind) -> f64 {
    let mean = y.iter().map(|&y| f64::from(y)).sum::<f64>() / y.len().max(1) as f64;
    match kind {
        TaskKind::Classification => {
            let share = mean.clamp(1e-6, 1.0 - 1e-6);
            (share / (1.0 - share)).ln()
        }
        TaskKind::Regression => mean,
    }
}

/// First and second derivative of the loss by the score.
#[derive(Clone, Copy, Debug, Default)]
struct Slope {
    g: f64,
    h: f64,
}

impl Slope {
    fn add(&mut self, other: Self) {
        self.g += other.g;
        self.h += other.h;
    }

    fn less(self, other: Self) -> Self {
        Self { g: self.g - other.g, h: self.h - other.h }
    }

    /// What this much slope is worth in one leaf.
    fn worth(self, lambda: f64) -> f64 {
        self.g * self.g / (self.h + lambda)
    }
}

fn slope(score: f64, y: f64, kind: TaskKind) -> Slope {
    match kind {
        TaskKind::Classification => {
            let p = 1.0 / (1.0 + (-score).exp());
            Slope { g: p - y, h: p * (1.0 - p) }
        }
        TaskKind::Regression => Slope { g: score - y, h: 1.0 },
    }
}

/// Grows one tree.
struct Grower<'a> {
    columns: &'a Columns,
    rows: &'a [usize],
    slopes: &'a [Slope],
    config: &'a BoostConfig,
    /// Places in `rows` that the tree sees.
    seen: Vec<u32>,
    /// Whether it may split on a column; bits first.
    open: Vec<bool>,
    width: usize,
    nodes: Nodes,
}

impl<'a> Grower<'a> {
    fn new(
        columns: &'a Columns,
        rows: &'a [usize],
        slopes: &'a [Slope],
        config: &'a BoostConfig,
        rng: &mut StdRng,
    ) -> Self {
        let width = columns.width();
        let mut keeps = |share: f64| share >= 1.0 || rng.random::<f64>() < share;
        let seen = (0..rows.len() as u32).filter(|_| keeps(config.row_share)).collect();
        let open = (0..width + columns.numeric).map(|_| keeps(config.column_share)).collect();
        Self { columns, rows, slopes, config, seen, open, width, nodes: Vec::new() }
    }

    fn grow(mut self) -> Tree {
        let seen = std::mem::take(&mut self.seen);
        self.node(&seen, 0);
        Tree { nodes: self.nodes }
    }

    /// Makes the node of these places and all below it; gives its number.
    fn node(&mut self, places: &[u32], depth: usize) -> usize {
        let mut total = Slope::default();
        places.iter().for_each(|&at| total.add(self.slopes[at as usize]));
        let at = self.nodes.len();
        let step = -total.g / (total.h + self.config.lambda) * self.config.learning_rate;
        self.nodes.push(Node::Leaf(step));
        if depth == self.config.depth {
            return at;
        }
        if let Some(test) = self.best_test(places, total) {
            let holds = |&&place: &&u32| test.holds(self.columns, self.rows[place as usize]);
            let (yes, no): (Vec<u32>, Vec<u32>) = places.iter().partition(holds);
            let (yes, no) = (self.node(&yes, depth + 1), self.node(&no, depth + 1));
            self.nodes[at] = Node::Split { test, yes, no };
        }
        at
    }

    /// The test with the largest gain, if one gains; the first of equals.
    fn best_test(&self, places: &[u32], total: Slope) -> Option<Test> {
        let (bits, bins) = self.histograms(places);
        let lambda = self.config.lambda;
        let worth = total.worth(lambda);
        let gain = |part: Slope| {
            let rest = total.less(part);
            let enough = part.h.min(rest.h) >= self.config.min_child_weight;
            enough.then(|| part.worth(lambda) + rest.worth(lambda) - worth)
        };
        let mut best: Option<(f64, Test)> = None;
        let mut offer = |gain: Option<f64>, test: Test| {
            if let Some(gain) = gain.filter(|&g| g > best.map_or(1e-6, |(best, _)| best)) {
                best = Some((gain, test));
            }
        };
        for (bit, &part) in bits.iter().enumerate().filter(|(bit, _)| self.open[*bit]) {
            offer(gain(part), Test::Bit(bit as u16));
        }
        for (column, bins) in bins.chunks_exact(BINS).enumerate() {
            if !self.open[self.width + column] {
                continue;
            }
            let mut beyond = Slope::default();
            for bin in (1..BINS).rev() {
                beyond.add(bins[bin]);
                offer(gain(beyond), Test::Beyond { column, bin: bin as u8 - 1 });
            }
        }
        best.map(|(_, test)| test)
    }

    /// Sums of slopes where each bit is set, and in each bin.
    fn histograms(&self, places: &[u32]) -> (Vec<Slope>, Vec<Slope>) {
        let mut bits = vec![Slope::default(); self.width];
        let mut bins = vec![Slope::default(); self.columns.numeric * BINS];
        for &place in places {
            let (row, slope) = (self.rows[place as usize], self.slopes[place as usize]);
            for &bit in self.columns.bits(row) {
                bits[usize::from(bit)].add(slope);
            }
            for (column, &bin) in self.columns.bins(row).iter().enumerate() {
                bins[column * BINS + usize::from(bin)].add(slope);
            }
        }
        (bits, bins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interaction_that_no_linear_model_sees_is_learned() {
        let bits: Vec<Vec<u16>> =
            (0..64u16).map(|i| (0..6).filter(|bit| i >> bit & 1 == 1).collect()).collect();
        let rows: Vec<usize> = (0..bits.len()).collect();
        let both = |row: &Vec<u16>| row.contains(&0) != row.contains(&3);
        let y: Vec<f32> = bits.iter().map(|row| f32::from(u8::from(both(row)))).collect();
        let columns = Columns::new(bits, &[], &[]);
        let config = BoostConfig { rounds: 60, ..BoostConfig::default() };
        let watch = Watch { rows: &rows, y: &y };
        let model = boost(&columns, (&rows, &y), &watch, TaskKind::Classification, (&config, 1));
        let scores: Vec<f32> = rows.iter().map(|&row| model.score(&columns, row)).collect();
        let classes: Vec<bool> = y.iter().map(|&y| y == 1.0).collect();
        assert!(roc_auc(&scores, &classes).is_some_and(|auc| auc > 0.95));
    }

    /// `boosting.json` is what XGBoost 3.2.0 says of 160 rows of random bits: 25 rounds of `hist`, `eta` 0.1, `max_depth` 4,
    /// `lambda` 1, `min_child_weight` 1, everything seen, `base_score` the mean.
    #[test]
    fn scores_are_those_of_xgboost() {
        #[derive(serde::Deserialize)]
        struct Golden {
            rows: Vec<Vec<u16>>,
            regression: Target,
            classification: Target,
        }
        #[derive(serde::Deserialize)]
        struct Target {
            y: Vec<f32>,
            scores: Vec<f32>,
        }
        let golden = include_str!("../../../../tests/data/boosting.json");
        let golden: Golden = serde_json::from_str(golden).expect("golden scores");
        let rows: Vec<usize> = (0..golden.rows.len()).collect();
        let columns = Columns::new(golden.rows, &[], &[]);
        let config = BoostConfig {
            rounds: 25,
            depth: 4,
            row_share: 1.0,
            column_share: 1.0,
            ..BoostConfig::default()
        };
        for (kind, target) in [
            (TaskKind::Regression, golden.regression),
            (TaskKind::Classification, golden.classification),
        ] {
            let watch = Watch { rows: &[], y: &[] };
            let model = boost(&columns, (&rows, &target.y), &watch, kind, (&config, 1));
            for (&row, expected) in rows.iter().zip(target.scores) {
                let score = model.score(&columns, row);
                assert!((score - expected).abs() < 1e-4, "{kind:?} {row}: {score}, not {expected}");
            }
        }
    }
}
