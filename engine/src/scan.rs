//! Exact search in the store itself, for a collection whose vectors are not in memory yet.

use std::{
    ops::{ControlFlow, Range},
    thread,
};

use moiety_index::{Found, Gauge, Nearest, Neighbor};

use crate::{check::Checker, error::Result, live::LiveCollection, plan::Candidates, store::View};

/// Vectors between two looks at the caller's patience.
const BETWEEN_LOOKS: usize = 1024;

/// The `k` nearest of all vectors that the store has at this moment, read by all cores.
pub(crate) fn nearest(
    view: &View<'_>,
    live: &LiveCollection,
    wanted: Candidates<'_>,
    checker: Option<&Checker<'_>>,
) -> Result<Found> {
    let _first = live.scan();
    let gauge = live.index(wanted.target).gauge(wanted.query)?;
    let spans = match wanted.k {
        0 => Vec::new(),
        _ => view.vector_spans(live.number, wanted.target, rayon::current_num_threads())?,
    };
    // Threads of their own: those of the pool are busy with reading graphs while a collection opens.
    let parts: Result<Vec<Nearest>> = thread::scope(|scope| {
        let scan = |span| nearest_of(view, live, wanted, checker, (gauge.clone(), span));
        let scans: Vec<_> = spans.into_iter().map(|span| scope.spawn(move || scan(span))).collect();
        scans.into_iter().map(joined).collect()
    });
    let nearest = parts?.into_iter().fold(Nearest::new(wanted.k), Nearest::merge);
    Ok(Found { neighbors: nearest.into_sorted(), exact: true, stopped_early: false })
}

/// What a thread came to; its panic goes on here.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The same of some versions.
fn nearest_of(
    view: &View<'_>,
    live: &LiveCollection,
    wanted: Candidates<'_>,
    checker: Option<&Checker<'_>>,
    (mut gauge, span): (Gauge, Range<u64>),
) -> Result<Nearest> {
    let mut nearest = Nearest::new(wanted.k);
    let mut seen = 0;
    view.each_vector(live.number, wanted.target, span, |id, vector| {
        if seen % BETWEEN_LOOKS == 0 {
            wanted.patience.check()?;
        }
        seen += 1;
        let neighbor = Neighbor { id, distance: gauge.distance(vector)? };
        if !nearest.admits(&neighbor) {
            return Ok(ControlFlow::Continue(()));
        }
        let passes = match checker {
            Some(checker) => checker.check(&[id])? == [true],
            None => true,
        };
        if passes {
            nearest.push(neighbor);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(nearest)
}
