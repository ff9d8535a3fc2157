//! Exact search in the store itself, for a collection whose vectors are not in memory yet.

use std::collections::BinaryHeap;

use moiety_index::{Found, Neighbor};

use crate::{check::Checker, error::Result, live::LiveCollection, plan::Candidates, store::View};

/// Vectors between two looks at the caller's patience.
const BETWEEN_LOOKS: usize = 1024;

/// The `k` nearest of all vectors that the store has at this moment.
pub(crate) fn nearest(
    view: &View<'_>,
    live: &LiveCollection,
    wanted: Candidates<'_>,
    checker: Option<&Checker<'_>>,
) -> Result<Found> {
    let Candidates { query, target, k, patience } = wanted;
    let index = live.index(target);
    let mut nearest: BinaryHeap<Neighbor> = BinaryHeap::new();
    let all = if k == 0 { None } else { Some(view.vectors_from(live.number, target, 0)?) };
    for (count, entry) in all.into_iter().flatten().enumerate() {
        if count % BETWEEN_LOOKS == 0 {
            patience.check()?;
        }
        let (id, vector) = entry?;
        let neighbor = Neighbor { id, distance: index.distance(query, &vector)? };
        if nearest.len() == k && nearest.peek().is_some_and(|worst| neighbor >= *worst) {
            continue;
        }
        if let Some(checker) = checker
            && checker.check(&[id])? != [true]
        {
            continue;
        }
        nearest.push(neighbor);
        if nearest.len() > k {
            nearest.pop();
        }
    }
    Ok(Found { neighbors: nearest.into_sorted_vec(), exact: true, stopped_early: false })
}
