//! Generation: greedy, beam search and sampling over one cached decoder.
//!
//! Bounds are checked before the first step, and a callback is asked before every step whether to go on, so a call ends.
//! Sources of a batch do not influence each other; one that is done leaves the batch.

mod beam;
mod draw;
mod options;
mod probabilities;

use candle_core::Tensor;

pub use self::options::{
    GenerateOptions, LengthCount, MAX_CACHE, MAX_ROWS, MAX_TOKENS, MAX_WIDTH, Sampling, Scoring,
    Strategy,
};
use self::probabilities::log_probabilities;
use crate::{
    error::{EncoderError, Result},
    t5::{DecoderCache, T5},
};

/// One generated sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Ids between the start and the end id.
    pub ids: Vec<u32>,
    /// Whether the model ended it; else `max_tokens` did.
    pub ended: bool,
    /// Natural logarithm of the sequence's probability under the model, whatever temperature it was drawn with.
    pub log_probability: f32,
    /// The log-probability with the length taken into account; larger is better.
    pub score: f32,
}

/// What is to be continued: the encoder's output `hidden` [b, n, d] and the `mask` [b, n] under which it was made.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Encoder's output [b, n, d].
    pub hidden: &'a Tensor,
    /// 1 for tokens, 0 for padding [b, n].
    pub mask: &'a Tensor,
}

/// Distinct candidates for each source, best score first; at least one each. `go_on` is asked before every step.
///
/// # Errors
/// [`EncoderError::Request`] names the option that is out of its bounds; [`EncoderError::Stopped`] when `go_on` says no;
/// [`EncoderError::Config`] when the model computes numbers that are not finite.
pub fn generate(
    model: &T5,
    sources: Sources<'_>,
    options: &GenerateOptions,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<Vec<Candidate>>> {
    let (count, positions, _) = sources.hidden.dims3()?;
    options.check(count, positions, model.config())?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut run = Run {
        model,
        options,
        go_on,
        cache: model.start(sources.hidden, sources.mask)?,
        active: (0..count).collect(),
    };
    match &options.strategy {
        Strategy::Beam { beams, candidates } => beam::search(&mut run, *beams, *candidates),
        Strategy::Greedy => draw::walk(&mut run, 1, &mut draw::Greedy),
        Strategy::Sample(sampling) => {
            draw::walk(&mut run, sampling.samples, &mut draw::Sampler::new(sampling, count))
        }
    }
}

/// The state that every strategy steps through.
struct Run<'a> {
    model: &'a T5,
    options: &'a GenerateOptions,
    go_on: &'a mut dyn FnMut() -> bool,
    cache: DecoderCache,
    /// Sources still in the batch, by their place in the call.
    active: Vec<usize>,
}

impl Run<'_> {
    /// One step: log-probabilities of every next id, a row for each of `ids`.
    fn step(&mut self, ids: &[u32]) -> Result<Vec<Vec<f32>>> {
        if !(self.go_on)() {
            return Err(EncoderError::Stopped { steps: self.cache.length() });
        }
        let mut rows = self.model.step(ids, &mut self.cache)?.to_vec2::<f32>()?;
        let eos = self.model.config().eos_token_id;
        rows.iter_mut()
            .try_for_each(|row| log_probabilities(row, self.options.allowed.as_ref(), eos))?;
        Ok(rows)
    }

    /// Goes on with the active sources at `kept` only, and with the cache rows given, a run for each of them.
    fn keep(&mut self, kept: &[usize], rows: &[u32]) -> Result<()> {
        if kept.is_empty() {
            self.active.clear();
            return Ok(());
        }
        self.cache.select_rows(rows)?;
        if kept.len() < self.active.len() {
            let sources: Vec<u32> = kept.iter().map(|&i| i as u32).collect();
            self.cache.select_sources(&sources)?;
            self.active = kept.iter().map(|&i| self.active[i]).collect();
        }
        Ok(())
    }

    /// A candidate whose generated `ids` do not hold the end id.
    fn candidate(&self, ids: Vec<u32>, ended: bool, log_probability: f32) -> Candidate {
        let generated = ids.len() + usize::from(ended);
        let score = self.options.scoring.score(log_probability, generated, ended);
        Candidate { ids, ended, log_probability, score }
    }
}

/// Best score first, and among equals the ids in order, so that the ranking is one.
fn rank(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.ids.cmp(&b.ids)));
}
