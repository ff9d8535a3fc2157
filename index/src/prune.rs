//! Which of many near nodes become links: those that lie in different directions.

use crate::{graph::Rows, kernel::dot, simd::prefetch};

/// Rows that are asked for ahead of the one being compared.
const AHEAD: usize = 4;

/// A node that may become a link, with its product with the node whose links are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) product: f32,
    pub(crate) node: u32,
}

impl Candidate {
    pub(crate) fn new(rows: Rows<'_>, of: u32, node: u32) -> Self {
        Self { product: dot(rows.get(of), rows.get(node)), node }
    }
}

/// Products of a node with others, the nearest first, ties by node; nodes given twice stand once.
pub(crate) fn candidates(
    rows: Rows<'_>,
    of: u32,
    nodes: impl IntoIterator<Item = u32>,
) -> Vec<Candidate> {
    let nodes: Vec<u32> = nodes.into_iter().filter(|&node| node != of).collect();
    let ahead = |at: usize| nodes.get(at).map_or((), |&node| prefetch(rows.get(node)));
    (0..AHEAD).for_each(ahead);
    let compare = |(at, &node): (usize, &u32)| {
        ahead(at + AHEAD);
        Candidate::new(rows, of, node)
    };
    let mut found: Vec<Candidate> = nodes.iter().enumerate().map(compare).collect();
    found.sort_unstable_by(|a, b| b.product.total_cmp(&a.product).then(a.node.cmp(&b.node)));
    found.dedup_by_key(|candidate| candidate.node);
    found
}

/// Up to `degree` of the candidates, which stand nearest first: each is nearer to the node than to any chosen before it
/// (algorithm 4 of Malkov and Yashunin, arXiv 1603.09320).
pub(crate) fn choose(rows: Rows<'_>, candidates: &[Candidate], degree: usize) -> Vec<u32> {
    choose_beside(Vec::with_capacity(degree), rows, candidates, degree)
}

/// As [`choose`], beside links that stay whatever comes.
pub(crate) fn choose_beside(
    mut chosen: Vec<u32>,
    rows: Rows<'_>,
    candidates: &[Candidate],
    degree: usize,
) -> Vec<u32> {
    for candidate in candidates {
        if chosen.len() == degree {
            break;
        }
        let row = rows.get(candidate.node);
        if chosen.iter().all(|&other| dot(rows.get(other), row) < candidate.product) {
            chosen.push(candidate.node);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metric;

    #[test]
    fn links_go_in_different_directions() {
        let numbers = [1.0, 0.0, 0.9, 0.1, 0.89, 0.11, 0.8, -0.5, 0.9, 0.1];
        let rows = Rows { metric: Metric::Dot, dim: 2, numbers: &numbers };
        let near = candidates(rows, 0, [3, 2, 1, 0, 2]);
        assert_eq!(near.iter().map(|candidate| candidate.node).collect::<Vec<_>>(), [1, 2, 3]);
        // The second lies behind the first.
        let unit = |x: f32, y: f32| [x / x.hypot(y), y / x.hypot(y)];
        let numbers = [unit(1.0, 0.0), unit(1.0, 0.2), unit(1.0, 0.3), unit(1.0, -0.4)].concat();
        let rows = Rows { metric: Metric::Cosine, dim: 2, numbers: &numbers };
        let near = candidates(rows, 0, [1, 2, 3]);
        assert_eq!(choose(rows, &near, 8), [1, 3]);
        assert_eq!(choose(rows, &near, 1), [1]);
    }
}
