//! Products of small matrices that lie inside larger ones, on the thread that asks.
#![expect(
    unsafe_code,
    reason = "the matrix library takes pointers; every reach is checked against its slice first"
)]

/// A matrix inside a slice: `data[r * row + c * column]` is its number at row `r` and column `c`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Numbers from one row to the next.
    pub(super) row: usize,
    /// Numbers from one column to the next.
    pub(super) column: usize,
}

impl<'a> Matrix<'a> {
    /// Columns `first..first + columns` of rows of `width` numbers.
    pub(super) fn columns(data: &'a [f32], width: usize, first: usize, columns: usize) -> Self {
        let rows = data.len() / width.max(1);
        Self { data: data.get(first..).unwrap_or(&[]), rows, columns, row: width, column: 1 }
    }

    /// The same numbers with rows and columns exchanged.
    pub(super) fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row: self.column, column: self.row, ..self }
    }
}

/// `scale * a b + keep * out`, written into `out` at rows of `out_row` numbers; `keep` is 0 or 1.
///
/// # Panics
/// When the shapes do not fit, or a matrix reaches beyond its slice.
pub(super) fn product(
    scale: f32,
    a: Matrix,
    b: Matrix,
    keep: f32,
    (out, out_row): (&mut [f32], usize),
) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert!(b.rows == k, "a matrix of {k} columns cannot be multiplied by one of {} rows", b.rows);
    if m == 0 || n == 0 {
        return;
    }
    for (matrix, name) in [(a, "left"), (b, "right")] {
        let inside = reach(matrix.rows, matrix.row, matrix.columns, matrix.column);
        assert!(inside <= matrix.data.len(), "the {name} matrix reaches beyond its slice");
    }
    assert!(
        reach(m, out_row, n, 1) <= out.len() && (m == 1 || out_row >= n),
        "no room for the product"
    );
    // SAFETY: `reach` bounds the largest offset that each pointer is read or written at, and the asserts hold it inside the
    // slice; strides are below a slice's length, so they fit an isize. `out` is borrowed alone, and its rows do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_row as isize,
            keep != 0.0,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            keep,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// One past the largest offset of a matrix; at most `usize::MAX`, which no slice has.
fn reach(rows: usize, row: usize, columns: usize, column: usize) -> usize {
    if rows == 0 || columns == 0 {
        return 0;
    }
    let last = |count: usize, stride: usize| (count - 1).saturating_mul(stride);
    last(rows, row).saturating_add(last(columns, column)).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_of_parts_is_the_textbook_sum() {
        let (a, b) = ([1.0, 2.0, 9.0, 3.0, 4.0, 9.0], [5.0, 6.0, 7.0, 8.0]);
        let left = Matrix::columns(&a, 3, 0, 2);
        let right = Matrix::columns(&b, 2, 0, 2);
        let mut out = [1.0; 6];
        product(1.0, left, right, 0.0, (&mut out, 3));
        assert_eq!(out, [19.0, 22.0, 1.0, 43.0, 50.0, 1.0]);
        product(2.0, left, right.transposed(), 1.0, (&mut out, 3));
        assert_eq!(out, [53.0, 68.0, 1.0, 121.0, 156.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "reaches beyond its slice")]
    fn matrix_beyond_its_slice_is_refused() {
        let a = [0.0; 5];
        let left = Matrix { data: &a, rows: 2, columns: 2, row: 4, column: 1 };
        product(1.0, left, Matrix::columns(&a, 2, 0, 2), 0.0, (&mut [0.0; 4], 2));
    }
}
