//! Making an image of a graph: nodes put in an order that keeps neighbors near each other in memory.

use std::{collections::VecDeque, io};

use crate::{
    Metric,
    codes::Quantiser,
    image::{Draft, Image, NONE, Section, Shape},
    layers::{Layers, Links, linked},
};

/// A graph over rows of vectors, and their identifiers, which are all different.
pub(crate) struct Parts<'a> {
    pub(crate) metric: Metric,
    pub(crate) dim: usize,
    pub(crate) layers: &'a Layers,
    /// `dim` numbers a node, prepared by the metric.
    pub(crate) rows: &'a [f32],
    pub(crate) ids: &'a [u64],
}

/// Writes everything into one image.
pub(crate) fn freeze(parts: &Parts<'_>) -> io::Result<Image> {
    let order = order(parts.layers);
    let counts = counts(parts.layers);
    let shape = Shape {
        metric: parts.metric,
        dim: parts.dim,
        m: parts.layers.m(),
        nodes: parts.layers.len(),
        layers: counts.len(),
        upper_rows: counts.iter().map(|&count| count as usize).sum(),
        residual: 0.0,
        code_norm: 0.0,
        norm: 0.0,
    };
    let mut draft = Draft::zeroed(shape)?;
    draft.section_mut(Section::Counts).copy_from_slice(&counts);
    write_ids(&mut draft, parts.ids, &order);
    write_links(&mut draft, parts.layers, &order, &counts);
    write_vectors(&mut draft, parts, &order);
    draft.finish()
}

/// Nodes of each upper layer, the lowest of them first.
fn counts(layers: &Layers) -> Vec<u32> {
    let top = layers.entry().map_or(0, |(_, height)| height);
    let mut counts = vec![0; top];
    for node in 0..layers.len() as u32 {
        counts[..layers.height(node)].iter_mut().for_each(|count| *count += 1);
    }
    counts
}

/// Nodes in their new order: by height, the greatest first, and within a height as a breadth-first walk meets them.
fn order(layers: &Layers) -> Vec<u32> {
    let mut met = vec![false; layers.len()];
    let mut order = Vec::with_capacity(layers.len());
    let mut queue = VecDeque::new();
    let entry = layers.entry().map(|(node, _)| node);
    // Nodes that nothing leads to begin walks of their own.
    for start in entry.into_iter().chain(0..layers.len() as u32) {
        if std::mem::replace(&mut met[start as usize], true) {
            continue;
        }
        queue.push_back(start);
        while let Some(node) = queue.pop_front() {
            order.push(node);
            for link in linked(layers.lowest(node)) {
                if !std::mem::replace(&mut met[link as usize], true) {
                    queue.push_back(link);
                }
            }
        }
    }
    order.sort_by_key(|&node| std::cmp::Reverse(layers.height(node)));
    order
}

fn write_ids(draft: &mut Draft, ids: &[u64], order: &[u32]) {
    let ordered = draft.section_mut::<u64>(Section::Ids);
    ordered.iter_mut().zip(order).for_each(|(id, &node)| *id = ids[node as usize]);
    let mut by_id: Vec<(u64, u32)> = ordered.iter().copied().zip(0..).collect();
    by_id.sort_unstable();
    let section = draft.section_mut::<u32>(Section::ById);
    section.iter_mut().zip(by_id).for_each(|(slot, (_, node))| *slot = node);
}

fn write_links(draft: &mut Draft, layers: &Layers, order: &[u32], counts: &[u32]) {
    let mut place = vec![0u32; order.len()];
    (0..).zip(order).for_each(|(at, &node)| place[node as usize] = at);
    let write = |rows: &mut [u32], layer: usize| {
        for (row, &node) in rows.chunks_exact_mut(layers.degree(layer)).zip(order) {
            row.fill(NONE);
            let links = linked(layers.row(node, layer));
            row.iter_mut().zip(links).for_each(|(slot, link)| *slot = place[link as usize]);
        }
    };
    write(draft.section_mut(Section::Lowest), 0);
    let mut rest = draft.section_mut::<u32>(Section::Upper);
    for (layer, &count) in (1..).zip(counts) {
        let (rows, above) = rest.split_at_mut(count as usize * layers.m());
        write(rows, layer);
        rest = above;
    }
}

fn write_vectors(draft: &mut Draft, parts: &Parts<'_>, order: &[u32]) {
    let dim = parts.dim;
    let vectors = draft.section_mut::<f32>(Section::Vectors);
    for (vector, &node) in vectors.chunks_exact_mut(dim).zip(order) {
        vector.copy_from_slice(&parts.rows[node as usize * dim..][..dim]);
    }
    let (vectors, codes) = draft.vectors_and_codes();
    let quantiser = Quantiser::fit(vectors, dim, codes);
    draft.set_quantiser(&quantiser);
}
