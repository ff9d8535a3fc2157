//! Generation one id at a time: the most probable one, or a draw.

use std::collections::HashSet;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Candidate, Run, Sampling, probabilities::largest, rank};
use crate::error::Result;

/// Up to so many ids are picked by insertion; more are sorted.
const FEW: usize = 256;

/// Chooses the next id of a row.
pub(super) trait Choose {
    /// The id, given log-probabilities; `row` counts through the rows of the whole call.
    fn choose(&mut self, row: usize, log_probabilities: &[f32]) -> u32;
}

/// The most probable id; the first among equals.
pub(super) struct Greedy;

impl Choose for Greedy {
    fn choose(&mut self, _: usize, log_probabilities: &[f32]) -> u32 {
        largest(log_probabilities.iter().copied(), 1).first().map_or(0, |&(id, _)| id as u32)
    }
}

/// Seeded draws; each row has a stream of its own.
pub(super) struct Sampler<'a> {
    options: &'a Sampling,
    streams: Vec<StdRng>,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(options: &'a Sampling, sources: usize) -> Self {
        let stream = |row: usize| {
            let draw = (row % options.samples) as u64;
            StdRng::seed_from_u64(options.seed ^ draw.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        };
        Self { options, streams: (0..sources * options.samples).map(stream).collect() }
    }
}

impl Choose for Sampler<'_> {
    fn choose(&mut self, row: usize, log_probabilities: &[f32]) -> u32 {
        let kept = filtered(log_probabilities, self.options);
        let total: f64 = kept.iter().map(|&(_, weight)| weight).sum();
        let mut left = self.streams[row].random::<f64>() * total;
        let drawn = kept.iter().find(|&&(_, weight)| {
            left -= weight;
            left < 0.0
        });
        // Rounding may leave a remainder behind the last id.
        drawn.or(kept.last()).map_or(0, |&(id, _)| id as u32)
    }
}

/// Ids that may be drawn, most probable first, with weights proportional to their probabilities.
fn filtered(log_probabilities: &[f32], options: &Sampling) -> Vec<(usize, f64)> {
    let all = log_probabilities.iter().copied();
    let kept = match options.top_k {
        Some(k) if k <= FEW => largest(all, k),
        limit => {
            let mut sorted: Vec<(usize, f32)> = all.enumerate().collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            sorted.truncate(limit.unwrap_or(usize::MAX));
            sorted
        }
    };
    let best = kept.first().map_or(0.0, |&(_, x)| x);
    let weight = |x: f32| f64::from((x - best) / options.temperature).exp();
    let mut kept: Vec<(usize, f64)> = kept.into_iter().map(|(id, x)| (id, weight(x))).collect();
    let total: f64 = kept.iter().map(|&(_, weight)| weight).sum();
    let mut reached = 0.0;
    let enough = kept.iter().position(|&(_, weight)| {
        reached += weight;
        reached >= f64::from(options.top_p) * total
    });
    kept.truncate(enough.map_or(usize::MAX, |last| last.saturating_add(1)));
    kept
}

/// One row on its way.
#[derive(Clone, Default)]
struct Row {
    ids: Vec<u32>,
    log_probability: f32,
    ended: bool,
}

/// Lets every row choose id after id until it ends or reaches the limit; `width` rows for each source.
pub(super) fn walk(
    run: &mut Run<'_>,
    width: usize,
    choose: &mut dyn Choose,
) -> Result<Vec<Vec<Candidate>>> {
    let config = run.model.config();
    let (start, eos, pad) =
        (config.decoder_start_token_id, config.eos_token_id, config.pad_token_id);
    let mut rows = vec![Row::default(); run.active.len() * width];
    let mut next = vec![start; rows.len()];
    // The first step is the same for all rows of a source, but each row needs keys and values of its own.
    while !run.active.is_empty() {
        let scores = run.step(&next)?;
        let mut kept = Vec::new();
        for (place, &source) in run.active.iter().enumerate() {
            for i in 0..width {
                let (at, scores) = (source * width + i, &scores[place * width + i]);
                let row = &mut rows[at];
                if row.ended {
                    continue;
                }
                let id = choose.choose(at, scores);
                row.log_probability += scores[id as usize];
                row.ended = id == eos;
                if !row.ended {
                    row.ids.push(id);
                }
            }
            let open = |row: &Row| !row.ended && row.ids.len() < run.options.max_tokens;
            if rows[source * width..(source + 1) * width].iter().any(open) {
                kept.push(place);
            }
        }
        let stay: Vec<u32> = kept
            .iter()
            .flat_map(|&place| (place * width..(place + 1) * width).map(|r| r as u32))
            .collect();
        run.keep(&kept, &stay)?;
        let last = |row: &Row| if row.ended { pad } else { row.ids.last().copied().unwrap_or(pad) };
        next = run
            .active
            .iter()
            .flat_map(|&s| rows[s * width..(s + 1) * width].iter().map(last))
            .collect();
    }
    Ok(rows.chunks(width).map(|rows| distinct(run, rows)).collect())
}

/// The different ones among a source's rows, best first.
fn distinct(run: &Run<'_>, rows: &[Row]) -> Vec<Candidate> {
    let candidate = |row: &Row| run.candidate(row.ids.clone(), row.ended, row.log_probability);
    let mut candidates: Vec<Candidate> = rows.iter().map(candidate).collect();
    rank(&mut candidates);
    let mut seen = HashSet::new();
    candidates.retain(|candidate| seen.insert((candidate.ids.clone(), candidate.ended)));
    candidates
}
