//! Global vectors of towers that stay as they are, computed once per text and molecule.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::{augment::Window, data::Example};
use crate::{error::Result, towers::Towers};

/// Texts or molecules that one pass encodes.
const PASS: usize = 32;

/// Vectors by kind and place of the pair.
#[derive(Default)]
pub(super) struct KnownVectors {
    texts: BTreeMap<(String, usize), Vec<f32>>,
    molecules: BTreeMap<(String, usize), Vec<f32>>,
}

impl KnownVectors {
    /// Unit vectors [pairs, global_dim] of the texts, of some of them only as much as a step reads alone.
    pub(super) fn texts(
        &mut self,
        towers: &Towers,
        kind: &str,
        batch: &[(usize, &Example)],
        windows: &[Window],
    ) -> Result<Tensor> {
        let pass = |ids: &[&[u32]]| towers.text.plain_global(ids);
        fill(&mut self.texts, kind, batch, |example| example.text.ids.as_slice(), pass)?;
        let alone: Vec<&[u32]> =
            windows.iter().filter(|w| w.alone).map(|w| w.input.ids.as_slice()).collect();
        let mut alone = in_passes(&alone, pass)?.into_iter();
        let mut rows = Vec::new();
        for ((i, _), window) in batch.iter().zip(windows) {
            match window.alone.then(|| alone.next()).flatten() {
                Some(vector) => rows.push(vector),
                None => rows.push(self.texts[&(kind.to_owned(), *i)].clone()),
            }
        }
        stacked(rows, towers)
    }

    /// Unit vectors [pairs, global_dim] of the molecules.
    pub(super) fn molecules(
        &mut self,
        towers: &Towers,
        kind: &str,
        batch: &[(usize, &Example)],
    ) -> Result<Tensor> {
        let pass = |graphs: &[_]| towers.molecule.plain_global(graphs);
        fill(&mut self.molecules, kind, batch, |example| &example.molecule, pass)?;
        let known = |(i, _): &(usize, _)| self.molecules[&(kind.to_owned(), *i)].clone();
        stacked(batch.iter().map(known).collect(), towers)
    }
}

/// Computes what is missing for a batch.
fn fill<'a, I: Copy + Sync>(
    known: &mut BTreeMap<(String, usize), Vec<f32>>,
    kind: &str,
    batch: &[(usize, &'a Example)],
    input: impl Fn(&'a Example) -> I,
    pass: impl Fn(&[I]) -> Result<Tensor>,
) -> Result<()> {
    let missing: Vec<_> =
        batch.iter().filter(|(i, _)| !known.contains_key(&(kind.to_owned(), *i))).collect();
    let inputs: Vec<I> = missing.iter().map(|(_, example)| input(example)).collect();
    for ((i, _), vector) in missing.into_iter().zip(in_passes(&inputs, pass)?) {
        known.insert((kind.to_owned(), *i), vector);
    }
    Ok(())
}

fn in_passes<I>(inputs: &[I], pass: impl Fn(&[I]) -> Result<Tensor>) -> Result<Vec<Vec<f32>>> {
    let mut vectors = Vec::new();
    for inputs in inputs.chunks(PASS) {
        vectors.extend(pass(inputs)?.to_vec2::<f32>()?);
    }
    Ok(vectors)
}

fn stacked(rows: Vec<Vec<f32>>, towers: &Towers) -> Result<Tensor> {
    let (count, width) = (rows.len(), rows.first().map_or(0, Vec::len));
    let rows = Tensor::from_vec(rows.concat(), (count, width), &Device::Cpu)?;
    Ok(rows.to_device(towers.text.device())?)
}
