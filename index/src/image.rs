//! The frozen graph as bytes: what is searched in memory is what lies in the file, section by section.
//!
//! Every section begins on a cache line and its place follows from the shape alone. Nodes stand in an order where those of
//! the upper layers come first, so that a layer is a table whose row is the node: no offsets, no pointers. Numbers are
//! little-endian. Writing, reading and checking files is `file.rs`.

use std::{io, ops::Range};

use memmap2::{Advice, Mmap, MmapMut};

use crate::{
    Metric,
    codes::{self, Quantiser},
    simd::LANE,
};

/// Bytes before the first section.
pub(crate) const HEADER: usize = 512;
/// Sections of an image.
pub(crate) const SECTIONS: usize = 8;
/// Fills the end of a row of links.
pub(crate) const NONE: u32 = u32::MAX;

#[cfg(target_endian = "big")]
compile_error!("an image is searched as it lies in its file, which is little-endian");

/// The sections, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// `dim` scales of the codes, f32.
    Scales,
    /// Nodes of each upper layer, the lowest of them first, u32.
    Counts,
    /// Identifier of each node, u64.
    Ids,
    /// Nodes in the order of their identifiers, u32.
    ById,
    /// `2 m` links of each node, u32.
    Lowest,
    /// `m` links of each node of layer 1, then of layer 2 and so on, u32.
    Upper,
    /// Codes of each node, u8.
    Codes,
    /// `dim` numbers of each node, f32, prepared by the metric.
    Vectors,
}

impl Section {
    pub(crate) const ALL: [Self; SECTIONS] = [
        Self::Scales,
        Self::Counts,
        Self::Ids,
        Self::ById,
        Self::Lowest,
        Self::Upper,
        Self::Codes,
        Self::Vectors,
    ];
}

/// What decides the length of every section.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) metric: Metric,
    pub(crate) dim: usize,
    pub(crate) m: usize,
    pub(crate) nodes: usize,
    /// Upper layers.
    pub(crate) layers: usize,
    /// Nodes of all upper layers together.
    pub(crate) upper_rows: usize,
    /// Bounds of the quantisation, of `codes::Quantiser`.
    pub(crate) residual: f32,
    pub(crate) code_norm: f32,
    pub(crate) norm: f32,
}

impl Shape {
    /// Links of a node on the lowest layer.
    pub(crate) fn degree(&self) -> usize {
        2 * self.m
    }

    /// Length of a section in bytes; `None` beyond all memory.
    pub(crate) fn section_len(&self, section: Section) -> Option<usize> {
        let (items, each) = match section {
            Section::Scales => (self.dim, 4),
            Section::Counts => (self.layers, 4),
            Section::Ids => (self.nodes, 8),
            Section::ById => (self.nodes, 4),
            Section::Lowest => (self.nodes, 4 * self.degree()),
            Section::Upper => (self.upper_rows, 4 * self.m),
            Section::Codes => (self.nodes, codes::stride(self.dim)),
            Section::Vectors => (self.nodes, 4 * self.dim),
        };
        items.checked_mul(each)
    }

    /// Where each section lies, and the length of the whole; `None` beyond all memory.
    pub(crate) fn places(&self) -> Option<([Range<usize>; SECTIONS], usize)> {
        let mut places = [const { 0..0 }; SECTIONS];
        let mut at = HEADER;
        for (place, section) in places.iter_mut().zip(Section::ALL) {
            let end = at.checked_add(self.section_len(section)?)?;
            *place = at..end;
            at = end.checked_next_multiple_of(LANE)?;
        }
        (at <= isize::MAX as usize).then_some((places, at))
    }
}

/// The bytes of a frozen graph. Whoever reads links from it checks nothing again: they were checked when it was made.
pub(crate) struct Image {
    shape: Shape,
    places: [Range<usize>; SECTIONS],
    bytes: Mmap,
}

/// An image that is still being filled.
pub(crate) struct Draft {
    shape: Shape,
    places: [Range<usize>; SECTIONS],
    bytes: MmapMut,
}

impl Draft {
    /// Zeros, of an address that is aligned to a page.
    pub(crate) fn zeroed(shape: Shape) -> io::Result<Self> {
        let (places, len) = shape.places().ok_or(io::ErrorKind::OutOfMemory)?;
        let bytes = MmapMut::map_anon(len)?;
        // Random reads of large tables miss the translation cache less on huge pages; where there are none, nothing is lost.
        #[cfg(target_os = "linux")]
        let _ = bytes.advise(Advice::HugePage);
        Ok(Self { shape, places, bytes })
    }

    /// All bytes, the header included.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Where a section and the padding after it lie.
    pub(crate) fn padded(&self, section: Section) -> Range<usize> {
        padded(&self.places, section, self.bytes.len())
    }

    pub(crate) fn section_mut<T: bytemuck::Pod>(&mut self, section: Section) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.bytes[self.places[section as usize].clone()])
    }

    /// The vectors, and the codes to be written of them.
    pub(crate) fn vectors_and_codes(&mut self) -> (&[f32], &mut [u8]) {
        let codes = self.places[Section::Codes as usize].clone();
        let vectors = self.places[Section::Vectors as usize].clone();
        let (before, after) = self.bytes.split_at_mut(vectors.start);
        (bytemuck::cast_slice(&after[..vectors.len()]), &mut before[codes])
    }

    /// No more is written.
    pub(crate) fn finish(self) -> io::Result<Image> {
        let Self { shape, places, bytes } = self;
        Ok(Image { shape, places, bytes: bytes.make_read_only()? })
    }

    /// Writes the scales and keeps the bounds.
    pub(crate) fn set_quantiser(&mut self, quantiser: &Quantiser) {
        self.section_mut(Section::Scales).copy_from_slice(&quantiser.scales);
        let Quantiser { residual, code_norm, norm, .. } = *quantiser;
        self.shape = Shape { residual, code_norm, norm, ..self.shape };
    }
}

impl Image {
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// All bytes; those of the header are zeros unless a file was read.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where a section and the padding after it lie.
    pub(crate) fn padded(&self, section: Section) -> Range<usize> {
        padded(&self.places, section, self.bytes.len())
    }

    fn section<T: bytemuck::Pod>(&self, section: Section) -> &[T] {
        bytemuck::cast_slice(&self.bytes[self.places[section as usize].clone()])
    }

    pub(crate) fn quantiser(&self) -> Quantiser {
        let Shape { residual, code_norm, norm, .. } = self.shape;
        Quantiser { scales: self.section(Section::Scales).to_vec(), residual, code_norm, norm }
    }

    /// Nodes of each upper layer, the lowest of them first.
    pub(crate) fn counts(&self) -> &[u32] {
        self.section(Section::Counts)
    }

    pub(crate) fn ids(&self) -> &[u64] {
        self.section(Section::Ids)
    }

    /// Nodes in the order of their identifiers.
    pub(crate) fn by_id(&self) -> &[u32] {
        self.section(Section::ById)
    }

    /// Links of the lowest layer, `2 m` a node.
    pub(crate) fn lowest(&self) -> &[u32] {
        self.section(Section::Lowest)
    }

    /// Links of the upper layers, `m` a node, layer after layer.
    pub(crate) fn upper(&self) -> &[u32] {
        self.section(Section::Upper)
    }

    pub(crate) fn codes(&self) -> &[u8] {
        self.section(Section::Codes)
    }

    pub(crate) fn vectors(&self) -> &[f32] {
        self.section(Section::Vectors)
    }

    pub(crate) fn vector(&self, node: usize) -> &[f32] {
        &self.vectors()[node * self.shape.dim..][..self.shape.dim]
    }

    /// The node of an identifier.
    pub(crate) fn node_of(&self, id: u64) -> Option<usize> {
        let ids = self.ids();
        let found = self.by_id().binary_search_by_key(&id, |&node| ids[node as usize]);
        found.ok().map(|at| self.by_id()[at] as usize)
    }
}

fn padded(places: &[Range<usize>; SECTIONS], section: Section, len: usize) -> Range<usize> {
    let end = places.get(section as usize + 1).map_or(len, |next| next.start);
    places[section as usize].start..end
}
