//! Level vectors of many records in memory, as bytes and as floats, and their comparison with a query.

use std::{ops::Range, path::Path};

use moiety_encoder::{Encoding, Level};
use moiety_index::{Best, CodedRows, Codes, MaxSim, dot_rows, prefetch};

use crate::{BenchError, npy};

/// Records ahead whose bytes are asked for, as the store does.
const AHEAD: usize = 2;
/// Names of the levels, as files are called.
const LEVELS: [&str; 2] = ["fragments", "tokens"];

/// Level vectors of many records.
pub struct Pool {
    dim: usize,
    /// Record after record: for each level the weights, then the rows, as the store has them.
    pub coded: Vec<u8>,
    /// Where each record begins, and its number of parts at each level.
    records: Vec<(usize, [usize; 2])>,
    /// The same in floats.
    pub levels: [Floats; 2],
}

/// A query's parts as bytes, as it comes to the rerank of a search, and their weights.
pub struct CodedQuery([(Codes, Vec<f32>); 2]);

impl CodedQuery {
    /// Both levels of an encoding.
    pub fn of(query: &Encoding) -> Self {
        let level = |level: &Level| (Codes::of(&level.vectors, level.dim), level.weights.clone());
        Self([level(&query.fragments), level(&query.tokens)])
    }
}

/// One level of many records in floats.
#[derive(Default)]
pub struct Floats {
    /// Row after row.
    pub vectors: Vec<f32>,
    /// One a row.
    pub weights: Vec<f32>,
    /// The rows of each record.
    spans: Vec<Range<usize>>,
}

impl Pool {
    /// Repeats these encodings until there are `count` records; each has parts at both levels.
    pub fn new(encodings: &[Encoding], count: usize) -> Self {
        let dim = encodings.first().map_or(0, |encoding| encoding.fragments.dim);
        let (mut coded, mut records) = (Vec::new(), Vec::new());
        for encoding in encodings.iter().cycle().take(count) {
            let levels = [&encoding.fragments, &encoding.tokens];
            records.push((coded.len(), levels.map(Level::len)));
            for level in levels {
                level.weights.iter().for_each(|weight| coded.extend(weight.to_le_bytes()));
                coded.extend_from_slice(Codes::of(&level.vectors, level.dim).as_bytes());
            }
        }
        Self { dim, coded, records, levels: Floats::both(encodings, count) }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Scores of both levels together, compared as bytes; the query is laid out on the way.
    pub fn rerank(&self, query: &CodedQuery, candidates: &[usize]) -> Vec<f32> {
        let mut levels = query
            .0
            .each_ref()
            .map(|(codes, weights)| (MaxSim::new(codes.rows()), weights.as_slice()));
        let score = |(place, &candidate): (usize, &usize)| {
            self.prefetch(candidates.get(place + AHEAD));
            let (mut at, parts) = self.records[candidate];
            let mut total = 0.0;
            for ((max_sim, query_weights), n) in levels.iter_mut().zip(parts) {
                let (weights, rest) = self.coded[at..].split_at(4 * n);
                let bytes = n * CodedRows::row_bytes(self.dim).unwrap_or(0);
                let best =
                    CodedRows::new(self.dim, &rest[..bytes]).and_then(|rows| max_sim.compare(rows));
                let weights = weights.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
                total += best.map_or(0.0, |best| both_ways(best, query_weights, weights));
                at += 4 * n + bytes;
            }
            total
        };
        candidates.iter().enumerate().map(score).collect()
    }

    /// Adds up the bytes of these records, eight at a time: what reading them takes.
    pub fn sum_of_bytes(&self, candidates: &[usize]) -> u64 {
        let mut sums = [0u64; 8];
        for (place, &candidate) in candidates.iter().enumerate() {
            self.prefetch(candidates.get(place + AHEAD));
            for lane in self.coded[self.bytes_of(candidate)].as_chunks::<64>().0 {
                for (sum, word) in sums.iter_mut().zip(lane.as_chunks::<8>().0) {
                    *sum = sum.wrapping_add(u64::from_le_bytes(*word));
                }
            }
        }
        sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
    }

    fn prefetch(&self, candidate: Option<&usize>) {
        if let Some(&candidate) = candidate {
            prefetch(&self.coded[self.bytes_of(candidate)]);
        }
    }

    fn bytes_of(&self, record: usize) -> Range<usize> {
        let end = self.records.get(record + 1).map_or(self.coded.len(), |next| next.0);
        self.records[record].0..end
    }

    /// The same in floats: products of each part of the query with all parts of a candidate.
    pub fn rerank_in_floats(&self, query: &Encoding, candidates: &[usize]) -> Vec<f32> {
        let (mut cosines, mut of_target) = (Vec::new(), Vec::new());
        let mut score = |candidate: usize| {
            let levels = self.levels.iter().zip([&query.fragments, &query.tokens]);
            let scores = levels.map(|(pool, query)| {
                let span = pool.spans[candidate].clone();
                let vectors = &pool.vectors[span.start * self.dim..span.end * self.dim];
                cosines.resize(span.len(), 0.0);
                of_target.clear();
                of_target.resize(span.len(), f32::NEG_INFINITY);
                let of_query = (0..query.len()).map(|q| {
                    dot_rows(vectors, query.vector(q), &mut cosines);
                    let pairs = of_target.iter_mut().zip(&cosines);
                    pairs.for_each(|(best, cosine): (&mut f32, &f32)| *best = best.max(*cosine));
                    cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max)
                });
                let of_query: Vec<f32> = of_query.collect();
                let best = Best { query: &of_query, target: &of_target };
                both_ways(best, &query.weights, pool.weights[span].iter().copied())
            });
            scores.sum()
        };
        candidates.iter().map(|&candidate| score(candidate)).collect()
    }

    /// Writes the floats, and those of the queries, for `rerank_peers.py`.
    pub fn write(&self, folder: &Path, queries: &[Floats; 2]) -> Result<(), BenchError> {
        for ((name, pool), queries) in LEVELS.iter().zip(&self.levels).zip(queries) {
            for (floats, rows, spans) in
                [(pool, "", "_spans"), (queries, "_queries", "_query_spans")]
            {
                npy::write_f32(&folder.join(format!("{name}{rows}.npy")), &floats.rows(self.dim))?;
                let spans_file = folder.join(format!("{name}{spans}.npy"));
                let spans = floats.spans.iter().map(|s| vec![s.start as i64, s.end as i64]);
                npy::write_i64(&spans_file, &spans.collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }
}

impl Floats {
    /// Both levels of these encodings, repeated until there are `count` records.
    pub fn both(encodings: &[Encoding], count: usize) -> [Self; 2] {
        let mut both: [Self; 2] = Default::default();
        for encoding in encodings.iter().cycle().take(count) {
            for (floats, level) in both.iter_mut().zip([&encoding.fragments, &encoding.tokens]) {
                let start = floats.weights.len();
                floats.vectors.extend_from_slice(&level.vectors);
                floats.weights.extend_from_slice(&level.weights);
                floats.spans.push(start..start + level.len());
            }
        }
        both
    }

    /// Each row's vector and weight.
    fn rows(&self, dim: usize) -> Vec<Vec<f32>> {
        let rows = self.vectors.chunks_exact(dim.max(1)).zip(&self.weights);
        rows.map(|(vector, &weight)| [vector, &[weight]].concat()).collect()
    }
}

fn both_ways(best: Best<'_>, query: &[f32], target: impl Iterator<Item = f32>) -> f32 {
    let query: f32 = best.query.iter().zip(query).map(|(cosine, weight)| cosine * weight).sum();
    let target: f32 = best.target.iter().zip(target).map(|(cosine, weight)| cosine * weight).sum();
    (query + target) / 2.0
}

#[cfg(test)]
mod tests {
    use moiety_encoder::{Encoder, HashingEncoder};

    use super::*;

    #[test]
    fn bytes_and_floats_give_nearly_the_same_scores() {
        let texts = ["a yellow dye, of wool and silk", "an acid that dyes wool", "sweet wine"];
        let encodings = HashingEncoder::new(48).encode_texts(&texts).expect("texts");
        let pool = Pool::new(&encodings, 7);
        let candidates = [6, 0, 4];
        let coded = pool.rerank(&CodedQuery::of(&encodings[0]), &candidates);
        let floats = pool.rerank_in_floats(&encodings[0], &candidates);
        assert!(coded.iter().zip(&floats).all(|(a, b)| (a - b).abs() < 0.01));
        assert!((coded[0] - 2.0).abs() < 0.01 && (coded[1] - 2.0).abs() < 0.01 && coded[2] < 1.9);
    }
}
