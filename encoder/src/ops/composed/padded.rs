//! Sequences of like lengths side by side.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};

use crate::ragged::Segments;

/// Sequences up to this length are padded to each other whatever they are.
const SHORT: usize = 8;
/// Added to what must not be attended to.
const MASKED: f32 = -1e9;

/// Some sequences of a batch, each with its longest one's number of places.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PaddedGroup {
    /// Which sequences.
    pub(super) members: Vec<usize>,
    /// Places of each.
    pub(super) places: usize,
}

impl PaddedGroup {
    /// Puts every sequence that has a row into one group, longest first. Its shortest has at least two thirds of the places
    /// of its longest, so less than half of a batch of scores is padding however the lengths spread.
    pub(super) fn of(segments: &Segments) -> Vec<Self> {
        let length = |i: usize| segments.range(i).len();
        let mut order: Vec<usize> = (0..segments.len()).filter(|&i| length(i) > 0).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(length(i)));
        let mut groups: Vec<Self> = Vec::new();
        for i in order {
            match groups.last_mut() {
                Some(g) if 3 * length(i) >= 2 * g.places || g.places <= SHORT => g.members.push(i),
                _ => groups.push(Self { members: vec![i], places: length(i) }),
            }
        }
        groups
    }

    /// All sequences in one group, in order, the empty ones too.
    pub(super) fn whole(segments: &Segments) -> Self {
        let places = segments.ranges().map(|range| range.len()).max().unwrap_or(0);
        Self { members: (0..segments.len()).collect(), places }
    }

    /// For every place, the row of the batch that stands there.
    pub(super) fn rows<'a>(
        &'a self,
        segments: &'a Segments,
    ) -> impl Iterator<Item = Option<u32>> + 'a {
        let row = |range: Range<usize>, place: usize| {
            (place < range.len()).then_some((range.start + place) as u32)
        };
        self.members
            .iter()
            .flat_map(move |&i| (0..self.places).map(move |place| row(segments.range(i), place)))
    }

    /// 0 where a row stands and a large negative number where none does: [members, places].
    pub(super) fn mask(&self, segments: &Segments, device: &Device) -> Result<Tensor> {
        let mask: Vec<f32> =
            self.rows(segments).map(|row| if row.is_some() { 0.0 } else { MASKED }).collect();
        Tensor::from_vec(mask, (self.members.len(), self.places), device)
    }
}

/// Where each row of the batch stands among the places of all groups laid end to end.
pub(super) fn places_of_rows(groups: &[PaddedGroup], segments: &Segments) -> Vec<Option<u32>> {
    let mut places = vec![None; segments.rows()];
    let rows = groups.iter().flat_map(|group| group.rows(segments));
    for (place, row) in rows.enumerate() {
        if let Some(row) = row {
            places[row as usize] = Some(place as u32);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_one_place_and_groups_hold_like_lengths() {
        let segments = Segments::from_lengths([30, 3, 0, 100, 25, 1, 8, 95]);
        let groups = PaddedGroup::of(&segments);
        let members: Vec<&[usize]> = groups.iter().map(|g| g.members.as_slice()).collect();
        assert_eq!(members, [&[3, 7][..], &[0, 4], &[6, 1, 5]]);
        let places = places_of_rows(&groups, &segments);
        let rows: Vec<_> = groups.iter().flat_map(|g| g.rows(&segments)).collect();
        for (row, place) in places.iter().enumerate() {
            let place = place.expect("every row stands somewhere") as usize;
            assert_eq!(rows[place], Some(row as u32));
        }
        assert_eq!(rows.iter().flatten().count(), segments.rows());
    }
}
