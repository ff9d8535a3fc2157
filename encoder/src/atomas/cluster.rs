//! DPC-KNN: density peaks over the k nearest neighbours (Du, Ding and Jia, Knowledge-Based Systems 99, 2016), as Atomas
//! groups tokens with it (arXiv 2404.16880, section 3.3).
//!
//! A centre is a token that is dense and far from every denser one; each other token joins its nearest centre. Nothing is
//! drawn: equal densities are ordered by index, where the released code adds noise of 1e-6.

use rayon::prelude::*;

use crate::{ops, ragged::Segments};

/// Neighbours, the token itself included, over which a density is taken.
pub(crate) const NEIGHBOURS: usize = 3;

/// Number of clusters of `tokens` tokens: their share `ratio`, rounded up.
pub(crate) fn cluster_count(tokens: usize, ratio: f64) -> usize {
    (tokens as f64 * ratio).ceil() as usize
}

/// The clusters of one sequence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clusters {
    /// The token at the heart of each cluster, best centre first.
    pub(crate) centres: Vec<usize>,
    /// The cluster of each token.
    pub(crate) of_token: Vec<usize>,
}

impl Clusters {
    /// The tokens of each cluster, ascending. No cluster is empty.
    pub(crate) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.centres.len()];
        for (token, &cluster) in self.of_token.iter().enumerate() {
            members[cluster].push(token);
        }
        members
    }

    /// The clusters of `above`, which groups these clusters, as sets of this level's tokens.
    pub(crate) fn members_through(&self, above: &Self) -> Vec<Vec<usize>> {
        let of_token = self.of_token.iter().map(|&cluster| above.of_token[cluster]).collect();
        Self { centres: above.centres.clone(), of_token }.members()
    }
}

/// Groups the tokens of every sequence of a batch. `x` holds their rows of `width` numbers, `counts` the clusters of each
/// sequence (at most its tokens, at least one).
///
/// With `pads`, true where a row is padding, the batch is read as the released code reads it: nothing is near a pad, by a
/// distance that depends on the whole batch, and a pad is no dense token. Without, each sequence stands alone.
pub(crate) fn cluster(
    x: &[f32],
    width: usize,
    segments: &Segments,
    pads: Option<&[bool]>,
    counts: &[usize],
) -> Vec<Clusters> {
    let mut distances: Vec<Vec<f32>> = (0..segments.len())
        .into_par_iter()
        .map(|i| {
            let range = segments.range(i);
            distances(&x[range.start * width..range.end * width], width)
        })
        .collect();
    if let Some(pads) = pads {
        let most = distances.iter().flatten().fold(0.0, |m: f32, &d| m.max(d));
        for (distances, range) in distances.iter_mut().zip(segments.ranges()) {
            push_away(distances, &pads[range], most + 1.0);
        }
    }
    let sequence = |(i, distances): (usize, &Vec<f32>)| {
        let pads = pads.map(|pads| &pads[segments.range(i)]);
        let peaks = Peaks::find(distances, segments.range(i).len(), pads);
        peaks.clusters(distances, counts[i])
    };
    distances.par_iter().enumerate().map(sequence).collect()
}

/// Euclidean distances of all pairs of rows over the root of the width: [tokens, tokens].
fn distances(x: &[f32], width: usize) -> Vec<f32> {
    let n = x.len() / width;
    let scale = 1.0 / (width as f32).sqrt();
    let row = |i: usize| &x[i * width..][..width];
    let mut out = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let distance = ops::squared_distance(row(i), row(j)).sqrt() * scale;
            out[i * n + j] = distance;
            out[j * n + i] = distance;
        }
    }
    out
}

/// Puts `distance` into the columns of the pads.
fn push_away(distances: &mut [f32], pads: &[bool], distance: f32) {
    for row in distances.chunks_exact_mut(pads.len().max(1)) {
        for (d, _) in row.iter_mut().zip(pads).filter(|(_, pad)| **pad) {
            *d = distance;
        }
    }
}

/// How dense each token of a sequence is and how far from a denser one.
struct Peaks {
    density: Vec<f32>,
    separation: Vec<f32>,
}

impl Peaks {
    fn find(distances: &[f32], tokens: usize, pads: Option<&[bool]>) -> Self {
        let is_pad = |i: usize| pads.is_some_and(|pads| pads[i]);
        let rows = || distances.chunks_exact(tokens.max(1)).enumerate();
        let density: Vec<f32> =
            rows().map(|(i, row)| if is_pad(i) { 0.0 } else { density(row) }).collect();
        let farthest = distances.iter().fold(0.0, |m: f32, &d| m.max(d));
        let separation = rows()
            .map(|(i, row)| {
                let denser = (0..tokens).filter(|&j| is_denser(&density, j, i));
                denser.map(|j| row[j]).reduce(f32::min).unwrap_or(farthest)
            })
            .collect();
        Self { density, separation }
    }

    fn scores(&self) -> Vec<f32> {
        self.density.iter().zip(&self.separation).map(|(rho, delta)| rho * delta).collect()
    }

    fn clusters(&self, distances: &[f32], count: usize) -> Clusters {
        let scores = self.scores();
        let mut centres: Vec<usize> = (0..scores.len()).collect();
        centres.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]));
        centres.truncate(count.max(1));
        let distance = |centre: usize, token: usize| distances[centre * scores.len() + token];
        let nearest = |token: usize| {
            let ranks = 0..centres.len();
            ranks.min_by(|&a, &b| {
                distance(centres[a], token).total_cmp(&distance(centres[b], token))
            })
        };
        let mut of_token: Vec<usize> =
            (0..scores.len()).map(|token| nearest(token).unwrap_or(0)).collect();
        for (rank, &centre) in centres.iter().enumerate() {
            of_token[centre] = rank;
        }
        Clusters { centres, of_token }
    }
}

/// `exp(-mean of the squares of the smallest distances)`.
fn density(row: &[f32]) -> f32 {
    let mut nearest = row.to_vec();
    nearest.sort_unstable_by(f32::total_cmp);
    nearest.truncate(NEIGHBOURS);
    let mean = nearest.iter().map(|d| d * d).sum::<f32>() / nearest.len().max(1) as f32;
    (-mean).exp()
}

/// Whether token `j` is denser than token `i`; among equals the first is.
fn is_denser(density: &[f32], j: usize, i: usize) -> bool {
    density[j] > density[i] || (density[j] == density[i] && j < i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomas::fixture::Fixture;

    #[test]
    fn density_peaks_and_clusters_are_those_of_the_released_code() {
        let fixture = Fixture::load("dpc_knn");
        for case in 0..20 {
            let at = |part: &str| format!("case{case:02}.{part}");
            let (batch, n, width) = fixture.tensor(&at("x")).dims3().expect("rank 3");
            let (x, centres) = (fixture.floats(&at("x")), fixture.indices(&at("centres")));
            let pads: Option<Vec<bool>> = fixture
                .has(&at("mask"))
                .then(|| fixture.indices(&at("mask")).iter().map(|&m| m == 0).collect());
            let segments = Segments::from_lengths(vec![n; batch]);
            let count = centres.len() / batch;
            let found = cluster(&x, width, &segments, pads.as_deref(), &vec![count; batch]);
            let score = fixture.floats(&at("centre_score"));
            let wanted = fixture.indices(&at("idx_cluster"));
            for (i, found) in found.iter().enumerate() {
                let real = |t: usize| pads.as_ref().is_none_or(|pads| !pads[i * n + t]);
                for (rank, &centre) in centres[i * count..(i + 1) * count].iter().enumerate() {
                    if score[i * n + centre] > 0.0 {
                        assert_eq!(found.centres[rank], centre, "case {case}, sequence {i}");
                    }
                }
                for t in (0..n).filter(|&t| real(t)) {
                    assert_eq!(found.of_token[t], wanted[i * n + t], "case {case}, token {t}");
                }
            }
            peaks_agree(&fixture, case, &x, pads.as_deref());
        }
    }

    fn peaks_agree(fixture: &Fixture, case: usize, x: &[f32], pads: Option<&[bool]>) {
        let at = |part: &str| format!("case{case:02}.{part}");
        let (batch, n, width) = fixture.tensor(&at("x")).dims3().expect("rank 3");
        let mut all: Vec<Vec<f32>> =
            x.chunks_exact(n * width).map(|x| distances(x, width)).collect();
        let most = all.iter().flatten().fold(0.0, |m: f32, &d| m.max(d));
        let (density, delta) = (fixture.floats(&at("density")), fixture.floats(&at("delta")));
        for i in 0..batch {
            let pads = pads.map(|pads| &pads[i * n..(i + 1) * n]);
            if let Some(pads) = pads {
                push_away(&mut all[i], pads, most + 1.0);
            }
            let peaks = Peaks::find(&all[i], n, pads);
            for t in 0..n {
                assert!((peaks.density[t] - density[i * n + t]).abs() < 1e-5, "case {case}");
                assert!((peaks.separation[t] - delta[i * n + t]).abs() < 1e-3, "case {case}");
            }
        }
    }

    #[test]
    fn two_heaps_become_two_clusters_and_equal_rows_are_ordered_by_index() {
        let x = [0.0, 0.1, 5.0, 5.1, 0.05, 5.05];
        let one = Segments::from_lengths([6]);
        let found = cluster(&x, 1, &one, None, &[2]);
        assert_eq!(found[0].members(), [vec![0, 1, 4], vec![2, 3, 5]]);
        let found = cluster(&[1.0; 6], 1, &one, None, &[3]);
        assert_eq!(found[0].centres, [0, 1, 2]);
        assert_eq!(found[0].of_token, [0, 1, 2, 0, 0, 0]);
    }

    #[test]
    fn a_sequence_is_clustered_as_if_it_were_alone() {
        let x: Vec<f32> = (0..60).map(|i| ((i * 37 % 23) as f32).sin()).collect();
        let batch = Segments::from_lengths([7, 1, 12]);
        let together = cluster(&x, 3, &batch, None, &[3, 1, 5]);
        for (i, count) in [(0, 3), (1, 1), (2, 5)] {
            let range = batch.range(i);
            let rows = &x[range.start * 3..range.end * 3];
            let alone = cluster(rows, 3, &Segments::from_lengths([range.len()]), None, &[count]);
            assert_eq!(alone[0], together[i]);
        }
    }

    #[test]
    fn clusters_of_clusters_are_sets_of_tokens() {
        let below = Clusters { centres: vec![0, 2, 4], of_token: vec![0, 0, 1, 1, 2] };
        let above = Clusters { centres: vec![1, 0], of_token: vec![1, 0, 0] };
        assert_eq!(below.members_through(&above), [vec![2, 3, 4], vec![0, 1]]);
    }
}
