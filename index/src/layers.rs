//! The links of a graph while it is made: tables of nodes that can still grow.

use crate::image::NONE;

/// Highest layer.
pub(crate) const MAX_HEIGHT: usize = 15;

/// Rows of links, padded with [`NONE`], for nodes that are numbered from zero.
pub(crate) trait Links {
    /// Links of a node on the lowest layer.
    fn lowest(&self, node: u32) -> &[u32];

    /// Links of a node on a layer from 1 to its height.
    fn upper(&self, node: u32, layer: usize) -> &[u32];

    /// A node of the greatest height, and that height.
    fn entry(&self) -> Option<(u32, usize)>;

    /// Links of a node on any layer up to its height.
    fn row(&self, node: u32, layer: usize) -> &[u32] {
        if layer == 0 { self.lowest(node) } else { self.upper(node, layer) }
    }
}

/// A graph in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    m: usize,
    heights: Vec<u8>,
    lowest: Vec<u32>,
    /// First row of a node among the upper rows.
    first: Vec<u32>,
    upper: Vec<u32>,
    entry: Option<u32>,
}

impl Layers {
    pub(crate) fn new(m: usize) -> Self {
        Self { m, ..Self::default() }
    }

    /// Adds the next node, without links.
    pub(crate) fn push(&mut self, height: usize) {
        let height = height.min(MAX_HEIGHT);
        let node = self.heights.len() as u32;
        self.first.push((self.upper.len() / self.m) as u32);
        self.heights.push(height as u8);
        self.lowest.resize(self.lowest.len() + 2 * self.m, NONE);
        self.upper.resize(self.upper.len() + height * self.m, NONE);
        if self.entry().is_none_or(|(_, top)| height > top) {
            self.entry = Some(node);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.heights.len()
    }

    pub(crate) fn m(&self) -> usize {
        self.m
    }

    /// Highest layer of a node.
    pub(crate) fn height(&self, node: u32) -> usize {
        self.heights[node as usize].into()
    }

    /// Most links of a node on a layer.
    pub(crate) fn degree(&self, layer: usize) -> usize {
        if layer == 0 { 2 * self.m } else { self.m }
    }

    /// Replaces a row; what does not fit is left out.
    pub(crate) fn set(&mut self, node: u32, layer: usize, links: impl IntoIterator<Item = u32>) {
        let degree = self.degree(layer);
        let begin = if layer == 0 { node as usize * degree } else { self.place(node, layer) };
        let table = if layer == 0 { &mut self.lowest } else { &mut self.upper };
        let row = &mut table[begin..begin + degree];
        row.fill(NONE);
        row.iter_mut().zip(links).for_each(|(slot, link)| *slot = link);
    }

    fn place(&self, node: u32, layer: usize) -> usize {
        (self.first[node as usize] as usize + layer - 1) * self.m
    }
}

impl Links for Layers {
    fn lowest(&self, node: u32) -> &[u32] {
        &self.lowest[node as usize * 2 * self.m..][..2 * self.m]
    }

    fn upper(&self, node: u32, layer: usize) -> &[u32] {
        &self.upper[self.place(node, layer)..][..self.m]
    }

    fn entry(&self) -> Option<(u32, usize)> {
        self.entry.map(|node| (node, self.height(node)))
    }
}

/// The links of a row, without the padding.
pub(crate) fn linked(row: &[u32]) -> impl Iterator<Item = u32> + '_ {
    row.iter().copied().take_while(|&link| link != NONE)
}
