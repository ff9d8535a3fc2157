//! Writes NumPy's `.npy` files (format 1.0, little-endian, C order), so that a peer reads the very same numbers.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::{BenchError, error::at};

/// Writes rows of equal length as `float32`.
pub fn write_f32(path: &Path, rows: &[Vec<f32>]) -> Result<(), BenchError> {
    let numbers = rows.iter().flatten().map(|x| x.to_le_bytes());
    write(path, "<f4", (rows.len(), width(rows)), numbers).map_err(at(path))
}

/// Writes rows of equal length as `int64`.
pub fn write_i64(path: &Path, rows: &[Vec<i64>]) -> Result<(), BenchError> {
    let numbers = rows.iter().flatten().map(|x| x.to_le_bytes());
    write(path, "<i8", (rows.len(), width(rows)), numbers).map_err(at(path))
}

fn width<T>(rows: &[Vec<T>]) -> usize {
    rows.first().map_or(0, Vec::len)
}

fn write<const N: usize>(
    path: &Path,
    dtype: &str,
    shape: (usize, usize),
    numbers: impl Iterator<Item = [u8; N]>,
) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&header(dtype, shape))?;
    for number in numbers {
        file.write_all(&number)?;
    }
    file.flush()
}

/// Magic, version, length of the dictionary, and the dictionary, padded to a multiple of 64 bytes.
fn header(dtype: &str, (rows, columns): (usize, usize)) -> Vec<u8> {
    let mut dictionary =
        format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    const FIXED: usize = 10;
    let padded = (FIXED + dictionary.len() + 1).next_multiple_of(64);
    dictionary.extend(std::iter::repeat_n(' ', padded - FIXED - dictionary.len() - 1));
    dictionary.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((dictionary.len() as u16).to_le_bytes());
    header.extend(dictionary.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn header_is_aligned_and_says_its_own_length() {
        let header = header("<f4", (20_000, 256));
        assert_eq!(header.len() % 64, 0);
        let said = u16::from_le_bytes([header[8], header[9]]) as usize;
        assert_eq!(said + 10, header.len());
        assert!(header.ends_with(b"\n"));
        let text = String::from_utf8_lossy(&header[10..]);
        assert!(
            text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (20000, 256), }")
        );
    }
}
