//! Beam search as transformers 4.34 does it, with `early_stopping` off.
//!
//! At each step the best `2 × beams` continuations of a source are looked at. One that ends among the first `beams`
//! becomes a hypothesis; a lower one is dropped. The best `beams` that do not end go on. A source is done when it has
//! `beams` hypotheses and the worst of them is at least what the best continuation scores at its present length; what is
//! still open at the limit competes as it is.

use super::{Candidate, Run, probabilities::largest, rank};
use crate::error::Result;

/// A sequence that goes on.
#[derive(Clone, Default)]
struct Beam {
    ids: Vec<u32>,
    log_probability: f32,
}

/// A continuation of beam `from`.
struct Continuation {
    from: usize,
    id: u32,
    log_probability: f32,
}

/// What one source has so far.
struct Search {
    beams: Vec<Beam>,
    hypotheses: Vec<Candidate>,
    width: usize,
}

/// The best `candidates` of every source.
pub(super) fn search(
    run: &mut Run<'_>,
    width: usize,
    candidates: usize,
) -> Result<Vec<Vec<Candidate>>> {
    let start = run.model.config().decoder_start_token_id;
    let mut searches: Vec<Search> = run.active.iter().map(|_| Search::new(width)).collect();
    let mut next = vec![start; run.active.len() * width];
    for _ in 0..run.options.max_tokens {
        if run.active.is_empty() {
            break;
        }
        let scores = run.step(&next)?;
        let (mut kept, mut rows) = (Vec::new(), Vec::new());
        for (place, &source) in run.active.iter().enumerate() {
            let first = place * width;
            let search = &mut searches[source];
            let (parents, done) = search.advance(&scores[first..first + width], run);
            if !done {
                kept.push(place);
                rows.extend(parents.iter().map(|&parent| (first + parent) as u32));
            }
        }
        run.keep(&kept, &rows)?;
        next = run.active.iter().flat_map(|&source| searches[source].last_ids()).collect();
    }
    for &source in &run.active {
        searches[source].close(run);
    }
    let best = |search: Search| {
        let mut found = search.hypotheses;
        found.truncate(candidates);
        found
    };
    Ok(searches.into_iter().map(best).collect())
}

impl Search {
    fn new(width: usize) -> Self {
        let mut beams = vec![Beam::default(); width];
        // All beams begin equal; only the first may be continued, or the candidates would repeat.
        beams[1..].iter_mut().for_each(|beam| beam.log_probability = f32::NEG_INFINITY);
        Self { beams, hypotheses: Vec::new(), width }
    }

    /// Takes one step given each beam's log-probabilities. Returns the beam that each new beam continues, and whether the
    /// source is done.
    fn advance(&mut self, scores: &[Vec<f32>], run: &Run<'_>) -> (Vec<usize>, bool) {
        let eos = run.model.config().eos_token_id;
        let continuations = self.continuations(scores);
        let best = continuations.first().map_or(f32::NEG_INFINITY, |c| c.log_probability);
        let (mut beams, mut parents) = (Vec::new(), Vec::new());
        for (place, continuation) in continuations.into_iter().enumerate() {
            let Continuation { from, id, log_probability } = continuation;
            let mut ids = self.beams[from].ids.clone();
            if id == eos {
                if place < self.width {
                    self.add(run.candidate(ids, true, log_probability));
                }
                continue;
            }
            ids.push(id);
            beams.push(Beam { ids, log_probability });
            parents.push(from);
            if beams.len() == self.width {
                break;
            }
        }
        self.beams = beams;
        let generated = self.beams.first().map_or(0, |beam| beam.ids.len());
        let attainable = run.options.scoring.attainable(best, generated);
        let full = self.hypotheses.len() == self.width;
        let done = full && self.hypotheses.last().is_some_and(|worst| worst.score >= attainable);
        (parents, done)
    }

    /// The best `2 × width` continuations, best first.
    fn continuations(&self, scores: &[Vec<f32>]) -> Vec<Continuation> {
        let vocabulary = scores.first().map_or(1, Vec::len);
        let all = self
            .beams
            .iter()
            .zip(scores)
            .flat_map(|(beam, row)| row.iter().map(move |score| beam.log_probability + score));
        largest(all, 2 * self.width)
            .into_iter()
            .map(|(place, log_probability)| Continuation {
                from: place / vocabulary,
                id: (place % vocabulary) as u32,
                log_probability,
            })
            .collect()
    }

    /// Adds a hypothesis and drops the worst of more than `width`.
    fn add(&mut self, candidate: Candidate) {
        self.hypotheses.push(candidate);
        rank(&mut self.hypotheses);
        self.hypotheses.truncate(self.width);
    }

    /// Lets the open beams compete at the limit.
    fn close(&mut self, run: &Run<'_>) {
        for beam in std::mem::take(&mut self.beams) {
            self.add(run.candidate(beam.ids, false, beam.log_probability));
        }
    }

    fn last_ids(&self) -> impl Iterator<Item = u32> {
        self.beams.iter().map(|beam| beam.ids.last().copied().unwrap_or(0))
    }
}
