//! What a caller may ask of generation, and its bounds.

use std::ops::Range;

use crate::{
    error::{EncoderError, Result},
    t5::T5Config,
};

/// Most ids of one generated sequence.
pub const MAX_TOKENS: usize = 4096;
/// Most beams or samples of one source.
pub const MAX_WIDTH: usize = 64;
/// Most rows (sources times beams or samples) of one call.
pub const MAX_ROWS: usize = 1024;
/// Most numbers that the caches of one call may hold: 4 GiB.
pub const MAX_CACHE: usize = 1 << 30;

/// How sequences are generated.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// The search.
    pub strategy: Strategy,
    /// Most ids of one sequence, the end id included.
    pub max_tokens: usize,
    /// How a candidate's score depends on its length.
    pub scoring: Scoring,
    /// Ids that may be generated besides the end id; all when absent. Probabilities are those among the allowed ids.
    pub allowed: Option<Range<u32>>,
}

/// The search for sequences.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// The most probable id at each step: one candidate.
    Greedy,
    /// Beam search.
    Beam {
        /// Hypotheses kept at each step; at most half of the allowed ids.
        beams: usize,
        /// Candidates returned, at most `beams`.
        candidates: usize,
    },
    /// Independent draws; equal ones are merged, so fewer may come back.
    Sample(Sampling),
}

/// How ids are drawn. Filters apply in the order temperature, `top_k`, `top_p`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Draws for each source.
    pub samples: usize,
    /// Logits are divided by it; above 0. Small values come near to greedy.
    pub temperature: f32,
    /// Only so many of the most probable ids are drawn; all when absent.
    pub top_k: Option<usize>,
    /// Only the most probable ids that together reach this probability are drawn (Holtzman et al., arXiv 1904.09751);
    /// 1 for all.
    pub top_p: f32,
    /// Draw `i` of every source is a function of this, of `i` and of the source, whatever else is in the batch.
    pub seed: u64,
}

/// A candidate's score is its log-probability divided by `length ^ length_penalty`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// 0 for the plain log-probability, 1 for the mean over ids; more favours long sequences.
    pub length_penalty: f32,
    /// What the length counts.
    pub length: LengthCount,
}

/// What the length of a candidate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthCount {
    /// The ids generated, the end id included.
    Generated,
    /// The start id and the ids generated without the end id, as transformers 4.34 does: a sequence cut at `max_tokens`
    /// counts one longer than under `Generated`, one that ended counts the same.
    WithStart,
}

impl Default for GenerateOptions {
    /// Greedy, at most 512 ids, mean log-probability.
    fn default() -> Self {
        Self {
            strategy: Strategy::Greedy,
            max_tokens: 512,
            scoring: Scoring { length_penalty: 1.0, length: LengthCount::Generated },
            allowed: None,
        }
    }
}

impl Scoring {
    /// Score of a sequence of `generated` ids (the end id included).
    pub(super) fn score(&self, log_probability: f32, generated: usize, ended: bool) -> f32 {
        let start = usize::from(!ended && self.length == LengthCount::WithStart);
        log_probability / ((generated + start) as f32).powf(self.length_penalty)
    }

    /// Score that the best candidate of a step may still reach, as the reference estimates it: at its present length.
    pub(super) fn attainable(&self, log_probability: f32, generated: usize) -> f32 {
        self.score(log_probability, generated, false)
    }
}

impl GenerateOptions {
    /// How many sources of `positions` tokens each one call can take; 0 where the options ask too much for one alone.
    pub(in crate::t5) fn sources_per_call(&self, positions: usize, config: &T5Config) -> usize {
        let rows = MAX_ROWS / self.width().max(1);
        rows.min(MAX_CACHE / self.cached_numbers(1, positions, config).max(1))
    }

    /// Rows that each source takes.
    pub(super) fn width(&self) -> usize {
        match &self.strategy {
            Strategy::Greedy => 1,
            Strategy::Beam { beams, .. } => *beams,
            Strategy::Sample(sampling) => sampling.samples,
        }
    }

    /// Checks every option for this many sources of `positions` tokens each.
    pub(in crate::t5) fn check(
        &self,
        sources: usize,
        positions: usize,
        config: &T5Config,
    ) -> Result<()> {
        let fail = |reason: String| Err(EncoderError::Request(reason));
        let width = self.width();
        if !(1..=MAX_WIDTH).contains(&width) {
            return fail(format!("{width} beams or samples asked for, must be 1..={MAX_WIDTH}"));
        }
        if sources * width > MAX_ROWS {
            return fail(format!(
                "{sources} sources with {width} beams or samples each are over the bound of {MAX_ROWS} rows; split the \
                 batch"
            ));
        }
        if !(1..=MAX_TOKENS).contains(&self.max_tokens) {
            return fail(format!("max_tokens is {}, must be 1..={MAX_TOKENS}", self.max_tokens));
        }
        self.check_cache(sources, positions, config)?;
        if !(-10.0..=10.0).contains(&self.scoring.length_penalty) {
            let found = self.scoring.length_penalty;
            return fail(format!("length_penalty is {found}, must be -10..=10"));
        }
        let vocabulary = config.vocab_size;
        let allowed = match &self.allowed {
            None => vocabulary,
            Some(ids) if ids.is_empty() || ids.end as usize > vocabulary => {
                return fail(format!("allowed ids {ids:?} must be in 0..{vocabulary} and some"));
            }
            Some(ids) => ids.len() + usize::from(!ids.contains(&config.eos_token_id)),
        };
        match &self.strategy {
            Strategy::Greedy => Ok(()),
            Strategy::Beam { beams, candidates } => check_beam(*beams, *candidates, allowed),
            Strategy::Sample(sampling) => sampling.check(),
        }
    }

    /// Checks the memory of keys and values.
    fn check_cache(&self, sources: usize, positions: usize, config: &T5Config) -> Result<()> {
        let numbers = self.cached_numbers(sources, positions, config);
        if numbers <= MAX_CACHE {
            return Ok(());
        }
        Err(EncoderError::Request(format!(
            "{sources} sources with {} beams or samples of {} tokens may need {numbers} cached numbers, over the bound of \
             {MAX_CACHE}; split the batch or ask for fewer tokens",
            self.width(),
            self.max_tokens
        )))
    }

    /// Keys and values of sources and rows, should every row reach its limit.
    fn cached_numbers(&self, sources: usize, positions: usize, config: &T5Config) -> usize {
        let row_tokens = self.width().saturating_mul(self.max_tokens);
        let tokens = sources.saturating_mul(row_tokens.saturating_add(positions));
        tokens.saturating_mul(2 * config.decoder_layers() * config.inner())
    }
}

fn check_beam(beams: usize, candidates: usize, allowed: usize) -> Result<()> {
    let fail = |reason: String| Err(EncoderError::Request(reason));
    if 2 * beams > allowed {
        return fail(format!(
            "{beams} beams need {} ids to choose from, {allowed} allowed",
            2 * beams
        ));
    }
    if !(1..=beams).contains(&candidates) {
        return fail(format!("{candidates} candidates asked for, must be 1..={beams}, the beams"));
    }
    Ok(())
}

impl Sampling {
    fn check(&self) -> Result<()> {
        let fail = |reason: String| Err(EncoderError::Request(reason));
        if !(1e-3..=100.0).contains(&self.temperature) {
            return fail(format!("temperature is {}, must be 0.001..=100", self.temperature));
        }
        if self.top_k == Some(0) {
            return fail("top_k is 0; leave it out to draw from all ids".into());
        }
        if !(f32::MIN_POSITIVE..=1.0).contains(&self.top_p) {
            return fail(format!("top_p is {}, must be above 0 and at most 1", self.top_p));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_call_is_bounded() {
        let json = r#"{"vocab_size":32128,"d_model":768,"d_kv":64,"d_ff":2048,"num_layers":12,"num_heads":12}"#;
        let config = T5Config::from_json(json).expect("valid");
        let options = GenerateOptions {
            strategy: Strategy::Beam { beams: 5, candidates: 5 },
            ..GenerateOptions::default()
        };
        assert!(options.check(16, 512, &config).is_ok());
        let most = options.sources_per_call(512, &config);
        assert!(options.check(most, 512, &config).is_ok());
        assert!(options.check(most + 1, 512, &config).is_err());
        for (sources, positions) in [(24, 0), (16, 2048), (204, 512)] {
            let error = options.check(sources, positions, &config).expect_err("too much");
            assert!(error.to_string().contains("cached numbers"), "{error}");
        }
        let error = options.check(usize::MAX / 64, 1, &config).expect_err("too many").to_string();
        assert!(error.contains("1024 rows"), "{error}");
    }
}
