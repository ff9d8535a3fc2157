//! What retrieval reaches without learning: words by BM25, structures by ECFP4, joined through the training captions.
//!
//! A caption votes for training molecules by the BM25 score of their captions, and these for molecules by Tanimoto
//! similarity: `score(text, molecule) = max_i bm25(text, caption_i) * tanimoto(molecule, molecule_i)` over the best
//! `BRIDGES` training pairs. Both directions rank by the same score.

use std::collections::HashMap;

use moiety_chem::Fingerprint;
use moiety_encoder::retrieval::{RankingMetrics, rank_among};
use rayon::prelude::*;

use super::{
    data::Benchmark,
    report::{Report, Setting},
};

/// Training pairs that a caption is joined through.
const BRIDGES: usize = 20;
/// Okapi's usual constants.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Adds the baseline's rows.
pub(super) fn rank(benchmark: &Benchmark, report: &mut Report) {
    let index = Bm25::new(benchmark.training.iter().map(|(text, _)| text.as_str()));
    let training: Vec<Fingerprint> =
        benchmark.training.par_iter().map(|(_, m)| m.morgan_fingerprint()).collect();
    let pool: Vec<Fingerprint> =
        benchmark.pool.par_iter().map(|m| m.morgan_fingerprint()).collect();
    let bridges: Vec<Vec<(usize, f32)>> =
        benchmark.captions.par_iter().map(|caption| index.best(&caption.text, BRIDGES)).collect();
    let score = |bridges: &[(usize, f32)], molecule: &Fingerprint| {
        bridges.iter().map(|&(i, bm25)| bm25 * molecule.tanimoto(&training[i])).fold(0.0, f32::max)
    };
    let own = |query: usize| &pool[benchmark.captions[query].molecule];
    let queries = 0..benchmark.captions.len();
    for setting in Setting::ALL {
        let ranks: Vec<usize> = queries
            .clone()
            .into_par_iter()
            .map(|query| {
                let truth = score(&bridges[query], own(query));
                match setting {
                    Setting::TextToPool => {
                        rank_among(pool.iter().map(|m| score(&bridges[query], m)), truth)
                    }
                    Setting::TextToValidation => rank_among(
                        queries.clone().map(|other| score(&bridges[query], own(other))),
                        truth,
                    ),
                    Setting::MoleculeToValidation => {
                        rank_among(bridges.iter().map(|bridges| score(bridges, own(query))), truth)
                    }
                }
            })
            .collect();
        let targets = if setting == Setting::TextToPool { pool.len() } else { queries.len() };
        report.add(
            setting,
            "BM25 and ECFP4 through the training captions",
            RankingMetrics::from_ranks(ranks, targets),
        );
    }
}

/// Okapi BM25 over the words of a set of texts.
struct Bm25 {
    /// Texts and counts of each word.
    postings: HashMap<String, Vec<(u32, f32)>>,
    /// Length of each text over the mean length.
    lengths: Vec<f32>,
}

impl Bm25 {
    fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut postings: HashMap<String, Vec<(u32, f32)>> = HashMap::new();
        let mut lengths = Vec::new();
        for (i, text) in texts.enumerate() {
            let mut counts: HashMap<String, f32> = HashMap::new();
            words(text).for_each(|word| *counts.entry(word).or_default() += 1.0);
            lengths.push(counts.values().sum());
            counts
                .into_iter()
                .for_each(|(word, n)| postings.entry(word).or_default().push((i as u32, n)));
        }
        let mean = lengths.iter().sum::<f32>() / lengths.len().max(1) as f32;
        lengths.iter_mut().for_each(|length| *length /= mean);
        Self { postings, lengths }
    }

    /// The best texts for a query with their scores, best first.
    fn best(&self, query: &str, count: usize) -> Vec<(usize, f32)> {
        let mut scores = vec![0.0; self.lengths.len()];
        for word in words(query) {
            let Some(texts) = self.postings.get(&word) else { continue };
            let (all, with) = (self.lengths.len() as f32, texts.len() as f32);
            let idf = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
            for &(i, n) in texts {
                let saturation = n + K1 * (1.0 - B + B * self.lengths[i as usize]);
                scores[i as usize] += idf * n * (K1 + 1.0) / saturation;
            }
        }
        let mut order: Vec<(usize, f32)> =
            scores.into_iter().enumerate().filter(|(_, score)| *score > 0.0).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order.truncate(count);
        order
    }
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_count_more_than_common_ones() {
        let index = Bm25::new(["the acid", "the base", "the acid of the sea"].into_iter());
        let best = index.best("the base", 3);
        assert_eq!(best[0].0, 1);
        assert!(index.best("nothing shared", 3).is_empty());
    }
}
