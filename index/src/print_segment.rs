//! A few thousand fingerprints with their screens, one after another.

use std::ops::RangeInclusive;

use crate::{
    simd::Isa,
    tanimoto::{BLOCK, bits_of, tanimoto},
};

/// Rows that a growing segment makes room for at a time.
const STEP_ROWS: usize = 64;

/// Rows under identifiers. Sorted ones stand in the order of their number of bits, others in that of their identifiers.
#[derive(Clone)]
pub(crate) struct Segment {
    words: usize,
    ids: Vec<u64>,
    /// Bits of each fingerprint.
    counts: Vec<u32>,
    prints: Vec<u64>,
    screens: Vec<u64>,
    /// Rows in the order of identifiers, where that is another order.
    by_id: Option<Box<[u32]>>,
}

/// Rows that are not there any more, a bit each.
#[derive(Clone, Default)]
pub(crate) struct Removed(Vec<u64>);

impl Removed {
    pub(crate) fn insert(&mut self, row: usize) {
        if self.0.len() <= row / 64 {
            self.0.resize(row / 64 + 1, 0);
        }
        self.0[row / 64] |= 1 << (row % 64);
    }

    pub(crate) fn contains(&self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(crate) fn len(&self) -> usize {
        bits_of(&self.0)
    }
}

impl Segment {
    /// Without rows; it takes them in the order of identifiers.
    pub(crate) fn new(words: usize) -> Self {
        Self {
            words,
            ids: Vec::new(),
            counts: Vec::new(),
            prints: Vec::new(),
            screens: Vec::new(),
            by_id: None,
        }
    }

    /// Bytes of one row.
    pub(crate) fn row_bytes(words: usize) -> usize {
        (2 * words + 1) * size_of::<u64>() + 2 * size_of::<u32>()
    }

    /// Adds a row after all others, which must not be sorted yet.
    pub(crate) fn push(&mut self, id: u64, print: &[u64], screen: &[u64]) {
        if self.ids.len() == self.ids.capacity() {
            self.reserve(STEP_ROWS);
        }
        self.ids.push(id);
        self.counts.push(bits_of(print) as u32);
        self.prints.extend_from_slice(print);
        self.screens.extend_from_slice(screen);
    }

    /// Makes room for so many rows more, and no others: what is kept free counts as memory too.
    fn reserve(&mut self, rows: usize) {
        self.ids.reserve_exact(rows);
        self.counts.reserve_exact(rows);
        self.prints.reserve_exact(rows * self.words);
        self.screens.reserve_exact(rows * self.words);
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn is_sorted(&self) -> bool {
        self.by_id.is_some()
    }

    /// The largest identifier.
    pub(crate) fn last_id(&self) -> Option<u64> {
        match self.by_id.as_ref().and_then(|order| order.last()) {
            Some(&row) => Some(self.ids[row as usize]),
            None => self.ids.last().copied(),
        }
    }

    /// Memory of its rows, in bytes, with what is kept free for more.
    pub(crate) fn memory_bytes(&self) -> usize {
        let words = self.ids.capacity() + self.prints.capacity() + self.screens.capacity();
        let order = self.by_id.as_ref().map_or(0, |order| order.len());
        words * size_of::<u64>() + (self.counts.capacity() + order) * size_of::<u32>()
    }

    /// The place of an identifier.
    pub(crate) fn find(&self, id: u64) -> Option<usize> {
        match &self.by_id {
            Some(order) => {
                let at = order.binary_search_by_key(&id, |&row| self.ids[row as usize]).ok()?;
                Some(order[at] as usize)
            }
            None => self.ids.binary_search(&id).ok(),
        }
    }

    /// The fingerprint and the screen in a place.
    pub(crate) fn row(&self, row: usize) -> (&[u64], &[u64]) {
        let place = row * self.words..(row + 1) * self.words;
        (&self.prints[place.clone()], &self.screens[place])
    }

    /// Adds those rows of another segment, whose identifiers are larger, that are not removed.
    pub(crate) fn take(&mut self, other: &Self, removed: &Removed) {
        for at in 0..other.len() {
            let row = other.by_id.as_ref().map_or(at, |order| order[at] as usize);
            if !removed.contains(row) {
                let (print, screen) = other.row(row);
                self.push(other.ids[row], print, screen);
            }
        }
    }

    /// The rows in the order of their number of bits, in no more memory than they need.
    pub(crate) fn sorted(&self) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&row| (self.counts[row], self.ids[row]));
        let mut sorted = Self::new(self.words);
        sorted.reserve(order.len());
        for row in order {
            let (print, screen) = self.row(row);
            sorted.push(self.ids[row], print, screen);
        }
        let mut by_id: Box<[u32]> = (0..sorted.len() as u32).collect();
        by_id.sort_unstable_by_key(|&row| sorted.ids[row as usize]);
        sorted.by_id = Some(by_id);
        sorted
    }

    /// Finds the places and identifiers of rows that are at least so similar to a query, given with its number of bits, among
    /// those with so many bits.
    pub(crate) fn above(
        &self,
        (query, bits): (&[u64], usize),
        counts: RangeInclusive<usize>,
        at_least: f32,
        mut found: impl FnMut(usize, u64),
    ) {
        let (least, most) = (*counts.start() as u32, *counts.end() as u32);
        let rows = match self.is_sorted() {
            true => {
                let first = self.counts.partition_point(|&count| count < least);
                first..self.counts.partition_point(|&count| count <= most)
            }
            false => 0..self.len(),
        };
        let isa = Isa::best();
        let mut shared = [0; BLOCK];
        for begin in rows.clone().step_by(BLOCK) {
            let end = (begin + BLOCK).min(rows.end);
            isa.shared_bits(&self.prints[begin * self.words..end * self.words], query, &mut shared);
            for (row, &shared) in (begin..end).zip(&shared) {
                let similarity = tanimoto(bits, self.counts[row] as usize, shared as usize);
                if similarity as f32 >= at_least {
                    found(row, self.ids[row]);
                }
            }
        }
    }

    /// Finds the places and identifiers of rows whose screen has all bits of these words, given by place.
    pub(crate) fn containing(&self, asked: &[(usize, u64)], mut found: impl FnMut(usize, u64)) {
        for (row, screen) in self.screens.chunks_exact(self.words).enumerate() {
            if asked.iter().all(|&(at, word)| word & !screen[at] == 0) {
                found(row, self.ids[row]);
            }
        }
    }
}
