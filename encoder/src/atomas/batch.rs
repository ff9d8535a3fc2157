//! Token sequences side by side.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::{
    config::{AtomasConfig, Padding},
    polymerise::Rows,
};
use crate::{
    error::{EncoderError, Result},
    ragged::Segments,
};

/// Sequences of ids of one modality, each with its end mark, padded to one length `n`.
#[derive(Clone, Debug)]
pub(crate) struct TokenBatch {
    /// [b, n], u32.
    pub(super) ids: Tensor,
    /// [b, n]: 1 for tokens, 0 for padding.
    pub(super) mask: Tensor,
    /// Tokens of each sequence, the end mark included.
    lengths: Vec<usize>,
    padding: Padding,
}

impl TokenBatch {
    /// Pads `sequences` to the length that the config asks for, or else to the longest of them. None may be empty or
    /// longer than `max_tokens`.
    pub(crate) fn new<S: AsRef<[u32]>>(
        sequences: &[S],
        config: &AtomasConfig,
        device: &Device,
    ) -> Result<Self> {
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.as_ref().len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let most = config.max_tokens;
        if longest > most || lengths.contains(&0) {
            let reason = format!("a sequence has {longest} tokens, must be 1..={most}");
            return Err(EncoderError::Config(reason));
        }
        let padded = if config.padding == Padding::Faithful { most } else { longest };
        let mut ids = vec![config.t5.pad_token_id; sequences.len() * padded];
        let mut mask = vec![0f32; ids.len()];
        for (i, sequence) in sequences.iter().map(AsRef::as_ref).enumerate() {
            let range = i * padded..i * padded + sequence.len();
            ids[range.clone()].copy_from_slice(sequence);
            mask[range].fill(1.0);
        }
        let shape = (sequences.len(), padded);
        Ok(Self {
            ids: Tensor::from_vec(ids, shape, device)?,
            mask: Tensor::from_vec(mask, shape, device)?,
            lengths,
            padding: config.padding,
        })
    }

    /// Tokens that a level-0 row stands for, sequence by sequence.
    pub(super) fn rows_of(&self, sequence: usize) -> usize {
        match self.padding {
            Padding::Faithful => self.padded(),
            Padding::Masked => self.lengths[sequence].saturating_sub(1).max(1),
        }
    }

    /// The rows of `hidden` [b, n, d] that the levels are made of.
    pub(super) fn rows(&self, hidden: &Tensor) -> Result<Rows> {
        let rows: Vec<usize> = (0..self.lengths.len()).map(|i| self.rows_of(i)).collect();
        let segments = Arc::new(Segments::from_lengths(rows.iter().copied()));
        let flat = hidden.flatten_to(1)?;
        if self.padding == Padding::Faithful {
            let is_pad = |i: usize| i % self.padded() >= self.lengths[i / self.padded()];
            let pads = (0..segments.rows()).map(is_pad).collect();
            return Ok(Rows { x: flat, segments, pads: Some(pads) });
        }
        let places: Vec<u32> = rows
            .iter()
            .enumerate()
            .flat_map(|(i, &rows)| (0..rows).map(move |row| (i, row)))
            .map(|(i, row)| (i * self.padded() + row) as u32)
            .collect();
        let x = flat.index_select(&Tensor::new(places, hidden.device())?, 0)?;
        Ok(Rows { x, segments, pads: None })
    }

    fn padded(&self) -> usize {
        self.ids.dims()[1]
    }
}
