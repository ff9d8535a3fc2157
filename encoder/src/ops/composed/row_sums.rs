//! Sums of chosen rows: the one operation that gathers, pads, pools and embeds on every device.
//!
//! Row `i` of the result is the sum of the rows of `x` that list `i` names, and its gradient is the same operation with the
//! lists transposed. Both run as a tree of row selections and short sums, so no two threads ever write to one place: a GPU
//! sums in a fixed order, and a row that thousands of lists name costs no more than the others.

use std::sync::Arc;

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Device, Layout, Result, Shape, Storage, Tensor,
    backend::BackendStorage, op::ReduceOp,
};

use crate::ragged::Segments;

/// Most rows that one step of the tree adds up.
const FAN: usize = 16;
/// An id that candle's row selection reads as a row of zeros.
const ZERO_ROW: u32 = u32::MAX;

/// For every row of a result, the rows of the source that it sums.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowLists {
    ids: Vec<u32>,
    lists: Segments,
}

impl RowLists {
    /// One row each, or none: a row of zeros.
    pub(crate) fn selection(ids: impl IntoIterator<Item = Option<u32>>) -> Self {
        let ids: Vec<Option<u32>> = ids.into_iter().collect();
        let lists = Segments::from_lengths(ids.iter().map(|id| usize::from(id.is_some())));
        Self { ids: ids.into_iter().flatten().collect(), lists }
    }

    /// `per` rows each.
    pub(crate) fn bags(ids: &[u32], per: usize) -> Self {
        let lists = Segments::from_lengths((0..ids.len() / per.max(1)).map(|_| per));
        Self { ids: ids.to_vec(), lists }
    }

    /// The rows of each segment.
    pub(crate) fn segments(segments: &Segments) -> Self {
        Self { ids: (0..segments.rows() as u32).collect(), lists: segments.clone() }
    }

    /// For each of the source's `rows`, the lists that name it, ascending.
    fn transposed(&self, rows: usize) -> Self {
        let mut counts = vec![0; rows];
        self.ids.iter().for_each(|&id| counts[id as usize] += 1);
        let lists = Segments::from_lengths(counts);
        let mut next: Vec<usize> = lists.ranges().map(|range| range.start).collect();
        let mut ids = vec![0; self.ids.len()];
        for (list, range) in self.lists.ranges().enumerate() {
            for &row in &self.ids[range] {
                ids[next[row as usize]] = list as u32;
                next[row as usize] += 1;
            }
        }
        Self { ids, lists }
    }
}

/// The sums of some lists over tensors of a fixed number of rows, ready on a device.
#[derive(Clone, Debug)]
pub(crate) struct RowSums {
    forward: Arc<[Step]>,
    backward: Arc<[Step]>,
}

/// Selects rows, then sums every `fan` of them.
#[derive(Debug)]
struct Step {
    ids: Tensor,
    fan: usize,
}

impl RowSums {
    /// Prepares the lists for tensors of `rows` rows.
    ///
    /// # Errors
    /// An id that is not below `rows`, and a device that has no memory left.
    pub(crate) fn new(lists: &RowLists, rows: usize, device: &Device) -> Result<Self> {
        if let Some(bad) = lists.ids.iter().find(|&&id| id as usize >= rows) {
            candle_core::bail!("row {bad} is outside a tensor of {rows} rows");
        }
        Ok(Self {
            forward: steps(lists, device)?,
            backward: steps(&lists.transposed(rows), device)?,
        })
    }

    /// Sums rows of `x` ([rows, width]); returns [lists, width].
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(self.clone())
    }

    fn run<S: BackendStorage>(
        &self,
        x: &S,
        layout: &Layout,
        on_this_device: impl Fn(&Storage) -> Result<&S>,
    ) -> Result<(S, Shape)> {
        let width = layout.shape().dims2()?.1;
        let (mut sums, mut layout): (Option<S>, Layout) = (None, layout.clone());
        for step in self.forward.iter() {
            let (ids, ids_layout) = step.ids.storage_and_layout();
            let from = sums.as_ref().unwrap_or(x);
            let rows = from.index_select(on_this_device(&ids)?, &layout, ids_layout, 0)?;
            let groups = ids_layout.shape().elem_count() / step.fan;
            sums = Some(match step.fan {
                1 => rows,
                fan => {
                    let grouped = Layout::contiguous((groups, fan, width));
                    rows.reduce_op(ReduceOp::Sum, &grouped, &[1])?
                }
            });
            layout = Layout::contiguous((groups, width));
        }
        match sums {
            Some(sums) => Ok((sums, layout.shape().clone())),
            None => candle_core::bail!("a tree of sums has at least one step"),
        }
    }
}

impl CustomOp1 for RowSums {
    fn name(&self) -> &'static str {
        "row-sums"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(x, layout, |ids| match ids {
            Storage::Cpu(ids) => Ok(ids),
            _ => candle_core::bail!("row lists and rows must be on one device"),
        })
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        self.run(x, layout, |ids| match ids {
            Storage::Cuda(ids) => Ok(ids),
            _ => candle_core::bail!("row lists and rows must be on one device"),
        })
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let transposed = Self { forward: self.backward.clone(), backward: self.forward.clone() };
        grad.contiguous()?.apply_op1_no_bwd(&transposed).map(Some)
    }
}

/// The tree: as long as a list is longer than one row, every list is cut into chunks and each chunk summed.
fn steps(lists: &RowLists, device: &Device) -> Result<Arc<[Step]>> {
    let mut steps = Vec::new();
    let (mut ids, mut lists) = (lists.ids.clone(), lists.lists.clone());
    while let Some(longest) = lists.ranges().map(|range| range.len()).max().filter(|&n| n > 1) {
        let fan = longest.min(FAN);
        let chunks: Vec<&[u32]> = lists.ranges().flat_map(|range| ids[range].chunks(fan)).collect();
        let mut padded = vec![ZERO_ROW; chunks.len() * fan];
        for (to, chunk) in padded.chunks_exact_mut(fan).zip(&chunks) {
            to[..chunk.len()].copy_from_slice(chunk);
        }
        let count = chunks.len() as u32;
        steps.push(step(padded, fan, device)?);
        lists = Segments::from_lengths(lists.ranges().map(|range| range.len().div_ceil(fan)));
        ids = (0..count).collect();
    }
    let every_list_is_one_chunk = lists.ranges().all(|range| range.len() == 1);
    if steps.is_empty() || !every_list_is_one_chunk {
        let one = |range: std::ops::Range<usize>| ids.get(range).and_then(<[u32]>::first).copied();
        steps.push(step(
            lists.ranges().map(|range| one(range).unwrap_or(ZERO_ROW)).collect(),
            1,
            device,
        )?);
    }
    Ok(steps.into())
}

fn step(ids: Vec<u32>, fan: usize, device: &Device) -> Result<Step> {
    let count = ids.len();
    Ok(Step { ids: Tensor::from_vec(ids, count, device)?, fan })
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{device, gap, gradients_agree, noise};
    use super::*;

    fn sums(lists: &RowLists, x: &Tensor) -> Result<Tensor> {
        RowSums::new(lists, x.dim(0)?, x.device())?.apply(x)
    }

    /// Lists of no row, one row, and more than two steps of the tree add up.
    fn lists() -> RowLists {
        let lengths = [0, 1, 3 * FAN * FAN + 5, 2];
        let ids = (0..lengths.iter().sum::<usize>()).map(|i| (i * i % 7) as u32).collect();
        RowLists { ids, lists: Segments::from_lengths(lengths) }
    }

    #[test]
    fn every_list_sums_its_rows() {
        let x = noise(&[7, 3], 1).to_device(&device()).expect("device");
        let rows = x
            .to_vec2::<f64>()
            .or_else(|_| x.to_dtype(candle_core::DType::F64).and_then(|x| x.to_vec2::<f64>()));
        let rows = rows.expect("rows");
        let lists = lists();
        let expected: Vec<f32> = lists
            .lists
            .ranges()
            .flat_map(|range| {
                let ids = &lists.ids[range];
                let column = |c: usize| ids.iter().map(|&id| rows[id as usize][c]).sum::<f64>();
                [column(0) as f32, column(1) as f32, column(2) as f32]
            })
            .collect();
        let expected = Tensor::from_vec(expected, (4, 3), &Device::Cpu).expect("expected");
        let ours = sums(&lists, &x).expect("sums");
        assert!(gap(&ours, &expected) < 1e-4);
    }

    #[test]
    fn gradients_reach_every_row_as_often_as_it_was_named() {
        gradients_agree(&[noise(&[5, 2], 1)], |t| {
            sums(&RowLists::bags(&[0, 3, 3, 1, 4, 0], 2), &t[0])
        });
        gradients_agree(&[noise(&[3, 2], 1)], |t| {
            sums(&RowLists::selection([Some(2), None, Some(0)]), &t[0])
        });
    }

    #[test]
    fn a_row_outside_the_tensor_is_an_error() {
        assert!(sums(&RowLists::bags(&[3], 1), &noise(&[3, 2], 1)).is_err());
    }
}
