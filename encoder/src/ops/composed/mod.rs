//! The same operations as compositions of candle's own tensor operations, for devices that have no kernels of ours.
//!
//! They promise what the CPU operations promise, in values and gradients to 1e-5, and are slower there. Sequences of like
//! lengths are padded together; whatever moves rows about goes through [`RowSums`], because candle's own gradients of row
//! selections add one row after the other on a GPU.

mod attention;
mod maxsim;
mod padded;
mod pointwise;
mod row_sums;
mod segment;

pub(super) use attention::PaddedAttention;
pub(super) use maxsim::weighted_max_sim;
pub(super) use pointwise::{bias_gelu, layer_norm};
pub(super) use row_sums::{RowLists, RowSums};
pub(super) use segment::{segment_softmax, segment_weighted_sum};
