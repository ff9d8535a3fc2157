//! Output of the frozen text layers, computed once per text and kept in f16; phrases that are read alone are computed each time.
//! Where no layer is frozen nothing is kept: the embeddings are then trained, and come with their gradient.

use std::{collections::BTreeMap, sync::Arc};

use candle_core::Tensor;
use half::f16;

use super::{augment::Window, data::Example};
use crate::{error::Result, ragged::Segments, text::TextTower};

/// Kept rows by kind and place of the pair; a row is one word piece.
pub(super) struct FrozenTexts {
    layers: usize,
    width: usize,
    kept: BTreeMap<(String, usize), Box<[f16]>>,
}

impl FrozenTexts {
    pub(super) fn new(layers: usize, width: usize) -> Self {
        Self { layers, width, kept: BTreeMap::new() }
    }

    /// Rows [pieces of all windows, width] of the chosen pieces of these pairs, each embedded at its place in the whole
    /// text.
    pub(super) fn rows(
        &mut self,
        tower: &TextTower,
        kind: &str,
        batch: &[(usize, &Example)],
        windows: &[Window],
    ) -> Result<Tensor> {
        if self.layers == 0 {
            let ids = windows.iter().flat_map(|window| window.input.ids.iter().copied()).collect();
            return tower.embed_at(ids, windows.iter().flat_map(places).collect());
        }
        self.fill(tower, kind, batch)?;
        let alone: Vec<&[u32]> =
            windows.iter().filter(|w| w.alone).map(|w| &w.input.ids[..]).collect();
        let alone = self.forward(tower, &alone)?;
        let mut alone = alone.iter();
        let mut rows = Vec::new();
        for ((i, _), window) in batch.iter().zip(windows) {
            if let Some(phrases) = window.alone.then(|| alone.next()).flatten() {
                rows.extend_from_slice(phrases);
                continue;
            }
            let kept = &self.kept[&(kind.to_owned(), *i)];
            for &piece in &window.pieces {
                rows.extend(kept[piece * self.width..][..self.width].iter().map(|x| x.to_f32()));
            }
        }
        let count = rows.len() / self.width;
        Ok(Tensor::from_vec(rows, (count, self.width), tower.device())?)
    }

    fn fill(&mut self, tower: &TextTower, kind: &str, batch: &[(usize, &Example)]) -> Result<()> {
        let missing: Vec<_> =
            batch.iter().filter(|(i, _)| !self.kept.contains_key(&(kind.to_owned(), *i))).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let ids: Vec<&[u32]> =
            missing.iter().map(|(_, example)| example.text.ids.as_slice()).collect();
        for ((i, _), rows) in missing.iter().zip(self.forward(tower, &ids)?) {
            self.kept.insert((kind.to_owned(), *i), rows.into_iter().map(f16::from_f32).collect());
        }
        Ok(())
    }

    /// Rows [pieces, width] of each of these texts, as numbers.
    fn forward(&self, tower: &TextTower, ids: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let segments = Arc::new(Segments::from_lengths(ids.iter().map(|ids| ids.len())));
        let x = tower.layers_forward(&tower.embed(ids)?, &segments, 0..self.layers)?;
        let x = x.flatten_all()?.to_vec1::<f32>()?;
        let rows = |range: std::ops::Range<usize>| {
            x[range.start * self.width..range.end * self.width].to_vec()
        };
        Ok(segments.ranges().map(rows).collect())
    }
}

/// Where the pieces of a window stand for the layers: in the whole text, or by themselves.
fn places(window: &Window) -> Vec<u32> {
    match window.alone {
        true => (0..window.pieces.len() as u32).collect(),
        false => window.pieces.iter().map(|&place| place as u32).collect(),
    }
}
