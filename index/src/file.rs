//! A frozen graph in a file: a header, then the sections of the image as they are searched.
//!
//! All bytes stand under a checksum (CRC-32: of the header, and of each section with its padding), and what they say is
//! checked again, so that a file which is truncated, damaged, of another version or of another index is refused with the
//! reason, and the caller builds the graph again. A file is written under a temporary name, synced and renamed: a crash
//! leaves the old one or the new one. It is read into memory of its own, on huge pages where there are any, rather than
//! mapped: nobody can change it underneath, and random reads are faster.
//!
//! | bytes | header |
//! |---|---|
//! | 0..8 | `MOIETYIX` |
//! | 8..12 | format version, u32 |
//! | 12..16 | metric: 0 cosine, 1 dot |
//! | 16..56 | `dim`, `m`, nodes, upper layers, nodes of all upper layers: five u64 |
//! | 56..68 | bounds of the quantisation: three f32 |
//! | 68..72 | length of the label, u32 |
//! | 72..136 | label |
//! | 136..168 | checksums of the sections, u32 each |
//! | 508..512 | checksum of the bytes before |

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crc32fast::Hasher;
use rayon::prelude::*;

use crate::{
    Metric,
    config::MAX_M,
    error::{IndexError, Result},
    flat::MAX_DIM,
    image::{Draft, HEADER, Image, NONE, SECTIONS, Section, Shape},
    layers::MAX_HEIGHT,
    points::MAX_POINTS,
};

/// Longest label, in bytes.
pub const MAX_LABEL: usize = 64;
/// Version of the files that this code writes, and the only one that it reads.
pub const GRAPH_FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"MOIETYIX";
const LABEL_AT: usize = 72;
const SUMS_AT: usize = 136;
const HEADER_SUM_AT: usize = HEADER - 4;
/// Bytes that one thread reads and sums at a time.
const CHUNK: usize = 8 << 20;

/// Writes the image under this name, in the place of what is there.
pub(crate) fn write(path: &Path, label: &[u8], image: &Image) -> Result<()> {
    check_label(label)?;
    let sums = Section::ALL.map(|section| sum_of(&image.bytes()[image.padded(section)]));
    let header = encode(image.shape(), label, &sums);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let written = write_to(&temporary, &header, &image.bytes()[HEADER..])
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|error| {
        // It may not be there; the error that matters is the first.
        let _ = fs::remove_file(&temporary);
        failed(path, &error)
    })
}

/// Reads what [`write`] wrote under the same label.
pub(crate) fn read(path: &Path, label: &[u8]) -> Result<Image> {
    check_label(label)?;
    let io = |error: io::Error| failed(path, &error);
    let corrupt = |reason: String| IndexError::Corrupt { path: path.to_path_buf(), reason };
    let mut file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    let mut header = [0; HEADER];
    if len < HEADER as u64 {
        return Err(corrupt(format!("it is {len} bytes long, shorter than its header")));
    }
    file.read_exact(&mut header).map_err(io)?;
    let Decoded { shape, sums } = decode(path, &header, label)?;
    let expected = shape.places().map(|(_, end)| end);
    if expected.and_then(|end| u64::try_from(end).ok()) != Some(len) {
        return Err(corrupt(format!("it is {len} bytes long, its header says {expected:?}")));
    }
    let mut draft = Draft::zeroed(shape).map_err(io)?;
    for (section, sum) in Section::ALL.into_iter().zip(sums) {
        let place = draft.padded(section);
        let found = read_and_sum(path, place.start, &mut draft.bytes_mut()[place]).map_err(io)?;
        if found != sum {
            return Err(corrupt(format!("the checksum of its section {section:?} is wrong")));
        }
    }
    let image = draft.finish().map_err(io)?;
    check(&image).map_err(corrupt)?;
    Ok(image)
}

fn write_to(path: &Path, header: &[u8], rest: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(header)?;
    file.write_all(rest)?;
    file.sync_all()
}

/// Without it a power loss may undo the renaming.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => {
            File::open(folder)?.sync_all()
        }
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &io::Error) -> IndexError {
    IndexError::File { path: path.to_path_buf(), kind: error.kind(), reason: error.to_string() }
}

fn check_label(label: &[u8]) -> Result<()> {
    let allowed = format!("0 to {MAX_LABEL} bytes");
    if label.len() <= MAX_LABEL {
        return Ok(());
    }
    Err(IndexError::Parameter { name: "label", value: label.len(), allowed })
}

/// Fills the bytes from a place of the file, by all cores.
fn read_and_sum(path: &Path, begin: usize, bytes: &mut [u8]) -> io::Result<u32> {
    let read = |(at, chunk): (usize, &mut [u8])| {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start((begin + at * CHUNK) as u64))?;
        file.read_exact(chunk)?;
        Ok(hash(chunk))
    };
    let hashers = bytes.par_chunks_mut(CHUNK).enumerate().map(read).collect::<io::Result<_>>()?;
    Ok(combine(hashers))
}

fn sum_of(bytes: &[u8]) -> u32 {
    combine(bytes.par_chunks(CHUNK).map(hash).collect())
}

fn hash(bytes: &[u8]) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher
}

/// The checksum of the chunks one after the other.
fn combine(hashers: Vec<Hasher>) -> u32 {
    let mut whole = Hasher::new();
    hashers.iter().for_each(|hasher| whole.combine(hasher));
    whole.finalize()
}

fn encode(shape: &Shape, label: &[u8], sums: &[u32; SECTIONS]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, MAGIC);
    put(8, &GRAPH_FORMAT.to_le_bytes());
    put(12, &metric_number(shape.metric).to_le_bytes());
    let sizes = [shape.dim, shape.m, shape.nodes, shape.layers, shape.upper_rows];
    (0..).zip(sizes).for_each(|(at, size)| put(16 + 8 * at, &(size as u64).to_le_bytes()));
    let bounds = [shape.residual, shape.code_norm, shape.norm];
    (0..).zip(bounds).for_each(|(at, bound)| put(56 + 4 * at, &bound.to_le_bytes()));
    put(68, &(label.len() as u32).to_le_bytes());
    put(LABEL_AT, label);
    (0..).zip(sums).for_each(|(at, sum)| put(SUMS_AT + 4 * at, &sum.to_le_bytes()));
    let sum = crc32fast::hash(&header[..HEADER_SUM_AT]);
    header[HEADER_SUM_AT..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// What a header says.
struct Decoded {
    shape: Shape,
    sums: [u32; SECTIONS],
}

fn decode(path: &Path, header: &[u8; HEADER], label: &[u8]) -> Result<Decoded> {
    let path = || path.to_path_buf();
    let corrupt = |reason: &str| IndexError::Corrupt { path: path(), reason: reason.to_owned() };
    let foreign = |reason: String| IndexError::ForeignGraph { path: path(), reason };
    let u32_at = |at| u32::from_le_bytes(bytes_at(header, at));
    let f32_at = |at| f32::from_le_bytes(bytes_at(header, at));
    if header[..8] != MAGIC[..] {
        return Err(foreign("it is not the file of a graph".to_owned()));
    }
    if u32_at(8) != GRAPH_FORMAT {
        let reason = format!("its format is {}, this program reads {GRAPH_FORMAT}", u32_at(8));
        return Err(foreign(reason));
    }
    if crc32fast::hash(&header[..HEADER_SUM_AT]) != u32_at(HEADER_SUM_AT) {
        return Err(corrupt("the checksum of its header is wrong"));
    }
    let said = header[LABEL_AT..].get(..(u32_at(68) as usize).min(MAX_LABEL));
    if said != Some(label) {
        return Err(foreign("it was written for another index".to_owned()));
    }
    let size = |at: usize, most: usize| {
        let size = u64::from_le_bytes(bytes_at(header, 16 + 8 * at));
        let size = usize::try_from(size).ok().filter(|size| *size <= most);
        size.ok_or_else(|| corrupt("a size in its header is out of range"))
    };
    let metric = metric_of(u32_at(12)).ok_or_else(|| corrupt("it names no metric"))?;
    let shape = Shape {
        metric,
        dim: size(0, MAX_DIM)?,
        m: size(1, MAX_M)?,
        nodes: size(2, MAX_POINTS)?,
        layers: size(3, MAX_HEIGHT)?,
        upper_rows: size(4, MAX_POINTS)?,
        residual: f32_at(56),
        code_norm: f32_at(60),
        norm: f32_at(64),
    };
    let sums = std::array::from_fn(|at| u32_at(SUMS_AT + 4 * at));
    let sizes = [shape.dim, shape.m, shape.nodes];
    let bounds = [shape.residual, shape.code_norm, shape.norm];
    if sizes.contains(&0) || bounds.iter().any(|bound| !bound.is_finite() || *bound < 0.0) {
        return Err(corrupt("a number in its header is out of range"));
    }
    Ok(Decoded { shape, sums })
}

fn bytes_at<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    std::array::from_fn(|byte| header[at + byte])
}

fn metric_number(metric: Metric) -> u32 {
    match metric {
        Metric::Cosine => 0,
        Metric::Dot => 1,
    }
}

fn metric_of(number: u32) -> Option<Metric> {
    [Metric::Cosine, Metric::Dot].into_iter().find(|&metric| metric_number(metric) == number)
}

/// What a search relies on: every link leads to a node of its layer, and every identifier can be found.
fn check(image: &Image) -> std::result::Result<(), String> {
    let shape = image.shape();
    let mut below = shape.nodes;
    let mut upper = image.upper();
    let leads = |links: &[u32], nodes: usize| {
        links.par_iter().all(|&link| link == NONE || (link as usize) < nodes)
    };
    let mut right = leads(image.lowest(), shape.nodes);
    for &count in image.counts() {
        let count = count as usize;
        let Some((links, rest)) = upper.split_at_checked(count * shape.m) else {
            return Err("its layers are longer than their table".to_owned());
        };
        right &= count > 0 && count <= below && leads(links, count);
        (below, upper) = (count, rest);
    }
    if !right || !upper.is_empty() {
        return Err("a link leads to no node".to_owned());
    }
    let ids = image.ids();
    let id = |node: &u32| ids.get(*node as usize);
    let sorted = image.by_id().par_windows(2).all(|pair| id(&pair[0]) < id(&pair[1]));
    if !sorted || image.by_id().par_iter().any(|node| id(node).is_none()) {
        return Err("its table of identifiers is out of order".to_owned());
    }
    if image.quantiser().scales.iter().any(|scale| !scale.is_finite()) {
        return Err("a scale is not finite".to_owned());
    }
    Ok(())
}
