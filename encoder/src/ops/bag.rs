//! Embedding bag: each output row is the sum of a fixed number of rows of a table.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{
    composed::{RowLists, RowSums},
    floats, has_kernels, math, with_floats,
};

/// Row `i` of the result is the sum of table rows `indices[i * per .. (i + 1) * per]`.
///
/// `table` is [vocabulary, width]; every index must be below the vocabulary. Returns [indices.len() / per, width].
pub(crate) fn embedding_bag(table: &Tensor, indices: Arc<Vec<u32>>, per: usize) -> Result<Tensor> {
    if !has_kernels(table.device()) {
        return composed(table, &indices, per);
    }
    let vocabulary = table.dim(0)? as u32;
    if let Some(bad) = indices.iter().find(|&&i| i >= vocabulary) {
        candle_core::bail!("index {bad} is outside an embedding table of {vocabulary} rows");
    }
    table.apply_op1(EmbeddingBag { indices, per })
}

fn composed(table: &Tensor, indices: &[u32], per: usize) -> Result<Tensor> {
    RowSums::new(&RowLists::bags(indices, per), table.dim(0)?, table.device())?.apply(table)
}

/// Rows of `x` ([rows, width] or [rows]) in the order of `ids`.
pub(crate) fn select_rows(x: &Tensor, ids: Vec<u32>) -> Result<Tensor> {
    if has_kernels(x.device()) {
        let count = ids.len();
        return x.index_select(&Tensor::from_vec(ids, count, x.device())?, 0);
    }
    if x.rank() == 1 {
        return composed(&x.unsqueeze(1)?, &ids, 1)?.squeeze(1);
    }
    composed(x, &ids, 1)
}

struct EmbeddingBag {
    indices: Arc<Vec<u32>>,
    per: usize,
}

impl CustomOp1 for EmbeddingBag {
    fn name(&self) -> &'static str {
        "embedding-bag"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let table = floats(storage, layout)?;
        let width = layout.shape().dims2()?.1;
        let rows = self.indices.len() / self.per;
        let mut out = vec![0.0; rows * width];
        out.par_chunks_mut(width).zip(self.indices.par_chunks(self.per)).with_min_len(64).for_each(
            |(out, bag)| {
                for &i in bag {
                    math::axpy(1.0, &table[i as usize * width..][..width], out);
                }
            },
        );
        Ok((CpuStorage::F32(out), (rows, width).into()))
    }

    fn bwd(&self, table: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (vocabulary, width) = table.dims2()?;
        let mut sum = vec![0.0; vocabulary * width];
        with_floats(grad, |grad| {
            for (grad, bag) in grad.chunks_exact(width).zip(self.indices.chunks_exact(self.per)) {
                for &i in bag {
                    math::axpy(1.0, grad, &mut sum[i as usize * width..][..width]);
                }
            }
            Ok(())
        })?;
        Ok(Some(Tensor::from_vec(sum, (vocabulary, width), table.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, gradients_agree, noise};
    use super::*;

    #[test]
    fn bag_sums_rows_and_passes_gradients_to_each() {
        let table = noise(&[4, 3], 1);
        let bags = Arc::new(vec![0, 3, 3, 1]);
        let out =
            embedding_bag(&table, bags.clone(), 2).expect("op").to_vec2::<f32>().expect("rows");
        let rows = table.to_vec2::<f32>().expect("rows");
        assert_eq!(out[0][1], rows[0][1] + rows[3][1]);
        gradients_agree(&[table], |t| embedding_bag(&t[0], bags.clone(), 2));
    }

    #[test]
    fn composed_bag_is_the_bag() {
        let bags: Vec<u32> = (0..300).map(|i| i * i % 11).collect();
        agree(
            &[noise(&[12, 5], 1)],
            |t| embedding_bag(&t[0], Arc::new(bags.clone()), 3),
            |t| composed(&t[0], &bags, 3),
        );
    }

    #[test]
    fn index_outside_the_table_is_an_error() {
        assert!(embedding_bag(&noise(&[4, 3], 1), Arc::new(vec![4]), 1).is_err());
    }
}
