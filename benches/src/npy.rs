//! NumPy's `.npy` files (little-endian, C order), so that a peer reads the very same numbers.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use crate::{BenchError, error::at};

/// Vectors, each with its numbers.
pub type Rows = Vec<Vec<f32>>;

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

/// Reads rows of `float32`.
pub fn read_f32(path: &Path) -> Result<Rows, BenchError> {
    let file = File::open(path).map_err(at(path))?;
    read(&mut BufReader::new(file)).map_err(at(path))
}

/// Format 1.0 has two bytes for the length of the dictionary, later ones have four.
fn read(file: &mut impl Read) -> io::Result<Rows> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let mut start = [0; 8];
    file.read_exact(&mut start)?;
    if &start[..6] != b"\x93NUMPY" {
        return Err(invalid("not a .npy file"));
    }
    let mut length = [0; 4];
    file.read_exact(&mut length[..if start[6] == 1 { 2 } else { 4 }])?;
    let mut dictionary = vec![0; u32::from_le_bytes(length) as usize];
    file.read_exact(&mut dictionary)?;
    let dictionary = String::from_utf8_lossy(&dictionary).into_owned();
    if !dictionary.contains("'<f4'") || dictionary.contains("'fortran_order': True") {
        return Err(invalid("its numbers are not float32 in C order"));
    }
    let shape = dictionary.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')'));
    let sizes = shape.map(|(shape, _)| shape.split(',').map(|size| size.trim().parse::<usize>()));
    let Some((Ok(rows), Ok(columns))) = sizes.and_then(|mut sizes| sizes.next().zip(sizes.next()))
    else {
        return Err(invalid("it is not a table"));
    };
    let mut row = vec![0; columns * 4];
    let mut read_row = |_| {
        file.read_exact(&mut row)?;
        let (numbers, _) = row.as_chunks::<4>();
        Ok(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    };
    (0..rows).map(&mut read_row).collect()
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
    use super::{header, read};

    #[test]
    fn rows_are_read_as_they_were_written() {
        let mut file = header("<f4", (2, 3));
        let rows = vec![vec![1.0f32, -2.5, 3.0], vec![0.0, 1e-9, 7.0]];
        file.extend(rows.iter().flatten().flat_map(|x| x.to_le_bytes()));
        assert_eq!(read(&mut file.as_slice()).expect("a table"), rows);
        assert!(read(&mut header("<i8", (2, 3)).as_slice()).is_err());
        assert!(read(&mut &file[..file.len() - 1]).is_err());
    }

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
