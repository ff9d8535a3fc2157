//! Does to the files of a killed process what a crash of the machine, or a bad disk, may do to them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

fn files(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let wanted = entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_wanted));
    let mut paths: Vec<_> = wanted.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// A crash of the machine: garbage after the end of the log, and graphs cut, changed or gone. Gives the number of graphs
/// that were there.
pub fn tear(dir: &Path, round: u64) -> usize {
    if let Some(log) = files(dir, |name| name.ends_with(".log")).last() {
        let mut log = fs::OpenOptions::new().append(true).open(log).unwrap();
        // The beginning of a record that was never written to its end.
        let torn = [[0x5a, 0x11, 0x22, 0x33, 0xff, 0x00, 0x01].as_slice(), &[7; 40]].concat();
        log.write_all(&torn[..round as usize % torn.len()]).unwrap();
    }
    let graphs = files(&dir.join("graphs"), |name| name.ends_with(".graph"));
    for graph in &graphs {
        match round % 4 {
            0 => {}
            1 => cut(graph, 2),
            2 => change(graph),
            _ => fs::remove_file(graph).unwrap(),
        }
    }
    graphs.len()
}

/// A bad disk, which loses what it has acknowledged: one file of a copy is cut or changed. Gives its name.
pub fn spoil(from: &Path, copy: &Path, round: u64) -> String {
    fs::create_dir_all(copy).unwrap();
    for path in files(from, |name| name != "LOCK" && name != "moiety.lock") {
        if path.is_file() {
            fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
    }
    let kind = [".log", ".sst", "MANIFEST-"][round as usize % 3];
    let of_kind = files(copy, |name| name.ends_with(kind) || name.starts_with(kind));
    // A new directory has no table yet.
    let file = of_kind.get(round as usize / 6 % of_kind.len().max(1));
    let file = file.cloned().unwrap_or_else(|| copy.join("CURRENT"));
    match round / 3 % 2 {
        0 => cut(&file, 2 + round as usize / 6 % 7),
        _ => change(&file),
    }
    file.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Leaves one part in so many.
fn cut(path: &Path, parts: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / parts]).unwrap();
}

fn change(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    if let Some(byte) = bytes.len().checked_div(2).and_then(|middle| bytes.get_mut(middle)) {
        *byte ^= 0x10;
    }
    fs::write(path, bytes).unwrap();
}
