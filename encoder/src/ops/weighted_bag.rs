//! Weighted embedding bag: each output row is a weighted sum of any number of rows of a table. Weights carry no gradient.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{floats, has_kernels, math, segment_weighted_sum, select_rows, with_floats};
use crate::ragged::Segments;

/// For every row of a result, rows of a table and what each is multiplied by.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WeightedBags {
    rows: Vec<u32>,
    weights: Vec<f32>,
    lengths: Vec<usize>,
}

impl WeightedBags {
    /// Adds one bag.
    pub(crate) fn push(&mut self, bag: impl Iterator<Item = (u32, f32)>) {
        let before = self.rows.len();
        for (row, weight) in bag {
            self.rows.push(row);
            self.weights.push(weight);
        }
        self.lengths.push(self.rows.len() - before);
    }

    fn segments(&self) -> Segments {
        Segments::from_lengths(self.lengths.iter().copied())
    }
}

/// Row `i` of the result is the weighted sum of the rows of `table` ([rows, width]) that bag `i` names: [bags, width].
pub(crate) fn weighted_bag(table: &Tensor, bags: Arc<WeightedBags>) -> Result<Tensor> {
    let rows = table.dim(0)?;
    if let Some(bad) = bags.rows.iter().find(|&&row| row as usize >= rows) {
        candle_core::bail!("row {bad} is outside a table of {rows} rows");
    }
    match has_kernels(table.device()) {
        true => table.apply_op1(WeightedBag(bags)),
        false => composed(table, &bags),
    }
}

fn composed(table: &Tensor, bags: &WeightedBags) -> Result<Tensor> {
    let weights = Tensor::from_slice(&bags.weights, bags.weights.len(), table.device())?;
    let rows = select_rows(table, bags.rows.clone())?;
    segment_weighted_sum(&rows, &weights, &Arc::new(bags.segments()))
}

struct WeightedBag(Arc<WeightedBags>);

impl CustomOp1 for WeightedBag {
    fn name(&self) -> &'static str {
        "weighted-bag"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let table = floats(storage, layout)?;
        let width = layout.shape().dims2()?.1;
        let bags = &self.0;
        let ranges: Vec<_> = bags.segments().ranges().collect();
        let mut out = vec![0.0; ranges.len() * width];
        out.par_chunks_mut(width.max(1)).zip(ranges).with_min_len(8).for_each(|(out, range)| {
            for (&row, &weight) in bags.rows[range.clone()].iter().zip(&bags.weights[range]) {
                math::axpy(weight, &table[row as usize * width..][..width], out);
            }
        });
        Ok((CpuStorage::F32(out), (bags.lengths.len(), width).into()))
    }

    fn bwd(&self, table: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (rows, width) = table.dims2()?;
        let bags = &self.0;
        let mut sum = vec![0.0; rows * width];
        with_floats(grad, |grad| {
            for (range, grad) in bags.segments().ranges().zip(grad.chunks_exact(width)) {
                for (&row, &weight) in bags.rows[range.clone()].iter().zip(&bags.weights[range]) {
                    math::axpy(weight, grad, &mut sum[row as usize * width..][..width]);
                }
            }
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(sum, (rows, width), table.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, gradients_agree, noise};
    use super::*;

    fn bags() -> Arc<WeightedBags> {
        let mut bags = WeightedBags::default();
        bags.push([(0, 0.5), (3, -1.0), (0, 2.0)].into_iter());
        bags.push(std::iter::empty());
        bags.push((0..40).map(|i| (i % 5, 0.1 * i as f32)));
        Arc::new(bags)
    }

    #[test]
    fn bags_sum_weighted_rows_and_pass_gradients_to_each() {
        let table = noise(&[5, 3], 1);
        let out = weighted_bag(&table, bags()).and_then(|out| out.to_vec2::<f32>()).expect("rows");
        let rows = table.to_vec2::<f32>().expect("rows");
        assert!((out[0][1] - (2.5 * rows[0][1] - rows[3][1])).abs() < 1e-6);
        assert_eq!(out[1], [0.0; 3]);
        gradients_agree(&[table], |t| weighted_bag(&t[0], bags()));
    }

    #[test]
    fn composed_bags_are_the_bags() {
        agree(&[noise(&[5, 3], 2)], |t| weighted_bag(&t[0], bags()), |t| composed(&t[0], &bags()));
    }

    #[test]
    fn a_row_outside_the_table_is_an_error() {
        assert!(weighted_bag(&noise(&[5, 3], 1), bags()).is_ok());
        assert!(weighted_bag(&noise(&[4, 3], 1), bags()).is_err());
    }
}
