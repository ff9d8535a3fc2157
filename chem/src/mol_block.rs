//! A first look at a mol block: sizes are bounded and the header is where it should be.
//!
//! Reading atoms and bonds is left to the chemistry library; this makes sure that what it gets is
//! ASCII, complete and of bounded size, and that the common slips get an error with their line.

use crate::error::{ChemError, Place};
use crate::limits;
use crate::molecule::limit;

/// A block that the library may read.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) text: String,
    /// Atoms announced by the counts line.
    pub(crate) atoms: usize,
}

/// Line of the counts in a V2000 or V3000 block.
const COUNTS_LINE: usize = 4;
/// What begins every line of a V3000 block behind the counts.
const V3000_PREFIX: &str = "M  V30 ";

/// Checks `original`, cuts it behind `M  END`, and writes it as the library reads it: lines that end with LF, V3000 lines
/// that go on joined, and the counts of V2000 in their columns.
pub(crate) fn check(original: &str) -> Result<Block, ChemError> {
    limit("mol block length in bytes", original.len(), limits::MAX_MOL_BLOCK_BYTES)?;
    if original.trim().is_empty() {
        return Err(syntax("the text is empty", Place::Unknown));
    }
    let one_way = original.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = one_way.lines().collect();
    let counts = lines.get(COUNTS_LINE - 1).copied().unwrap_or("");
    let Some(version) = version(counts) else {
        return Err(no_counts(&lines));
    };
    let Some(end) = lines.iter().position(|line| line.starts_with("M  END")) else {
        return Err(syntax("there is no 'M  END' line", Place::Line(lines.len())));
    };
    let head = lines[..COUNTS_LINE - 1].iter().map(|line| (*line).to_owned());
    let body = &lines[COUNTS_LINE..=end];
    let (atoms, bonds, text) = match version {
        Version::V2000(counts) => {
            let mut body: Vec<String> = body.iter().map(|line| (*line).to_owned()).collect();
            body.iter_mut().take(counts.atoms).for_each(|line| name_dummy(line, V2000_SYMBOL));
            number_groups(&mut body, counts.atoms);
            let text = head.chain([counts.written()]).chain(body);
            (counts.atoms, counts.bonds, text.collect::<Vec<_>>())
        }
        Version::V3000 => {
            let mut joined = join_continued(body);
            let (atoms, bonds) = v3000(&joined)?;
            name_v3000_dummies(&mut joined);
            let text = head.chain([counts.replace("v3000", "V3000")]).chain(joined);
            (atoms, bonds, text.collect())
        }
    };
    limit("atoms in the mol block", atoms, limits::MAX_ATOMS)?;
    let rings = (bonds + 1).saturating_sub(atoms);
    limit("rings in the mol block", rings, limits::MAX_RINGS)?;
    let mut text = text.join("\n");
    text.push('\n');
    if !text.is_ascii() {
        // Only names and comments may hold other letters, and the library does not need them.
        text = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    }
    Ok(Block { text, atoms })
}

/// How a block is written, by its counts line.
enum Version {
    V2000(Counts),
    V3000,
}

/// The counts of a V2000 block.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    atoms: usize,
    bonds: usize,
    chiral: usize,
}

impl Counts {
    /// `aaabbb...`: columns of three, as the format has it; else numbers between blanks, as some programs write them.
    fn read(line: &str) -> Option<Self> {
        let column = |from: usize| {
            let digits = line.get(from..from + 3).or_else(|| line.get(from..))?.trim();
            digits.parse::<usize>().ok()
        };
        if let Some((atoms, bonds)) = column(0).zip(column(3)) {
            return Some(Self { atoms, bonds, chiral: column(12).unwrap_or(0) });
        }
        let mut numbers = line.split_whitespace().map_while(|word| word.parse::<usize>().ok());
        let (atoms, bonds) = numbers.next().zip(numbers.next())?;
        Some(Self { atoms, bonds, chiral: numbers.nth(2).unwrap_or(0) })
    }

    /// The line as the format has it. What does not fit the columns is beyond the limits.
    fn written(&self) -> String {
        let Self { atoms, bonds, chiral } = self;
        format!("{atoms:3}{bonds:3}  0  0{:3}  0  0  0  0  0999 V2000", chiral.min(&1))
    }
}

/// The version that a counts line names, in any case; a line of numbers alone is V2000, as in RDKit.
fn version(counts: &str) -> Option<Version> {
    let upper = counts.to_ascii_uppercase();
    if upper.contains("V3000") {
        return Some(Version::V3000);
    }
    let numbers = upper.split_whitespace().filter(|word| *word != "V2000" && *word != "0999V2000");
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    if !upper.contains("V2000") && !numbers.clone().all(is_number) {
        return None;
    }
    Counts::read(counts).map(Version::V2000)
}

/// Where an atom line of a V2000 block has the symbol.
const V2000_SYMBOL: std::ops::Range<usize> = 31..34;
/// Symbols of atoms that are none, in the mol block of a definite structure: any atom, any but hydrogen, any but hydrogen and
/// carbon, a halogen, a group. RDKit writes them all as `*` in a SMILES.
const DUMMIES: [&str; 5] = ["*", "A", "Q", "X", "R"];

/// Writes a symbol for any atom as `R#`, which the library takes for a dummy in both versions.
fn name_dummy(line: &mut String, symbol: std::ops::Range<usize>) {
    let is_dummy = line.get(symbol.clone()).is_some_and(|symbol| DUMMIES.contains(&symbol.trim()));
    if is_dummy {
        let written = format!("{:width$}", "R#", width = symbol.len());
        line.replace_range(symbol, &written);
    }
}

/// Takes the numbers of R groups (`M  RGP`, pairs of atom and number) into the symbols of their atoms, where the library reads
/// them.
fn number_groups(body: &mut Vec<String>, atoms: usize) {
    let is_numbering = |line: &String| line.starts_with("M  RGP");
    let numbers: Vec<usize> = body
        .iter()
        .filter(|line| is_numbering(line))
        .flat_map(|line| line.split_whitespace().skip(3))
        .filter_map(|word| word.parse().ok())
        .collect();
    for pair in numbers.chunks_exact(2) {
        let line =
            pair[0].checked_sub(1).filter(|&atom| atom < atoms).and_then(|at| body.get_mut(at));
        if let Some(line) = line.filter(|line| line.get(V2000_SYMBOL) == Some("R# ")) {
            line.replace_range(V2000_SYMBOL, &format!("{:3}", format!("R{}", pair[1].min(99))));
        }
    }
    body.retain(|line| !is_numbering(line));
}

/// The same in the atom block of a V3000 block: `M  V30 index symbol x y z …`.
fn name_v3000_dummies(lines: &mut [String]) {
    let begin = lines.iter().position(|line| line.contains("BEGIN ATOM"));
    let end = lines.iter().position(|line| line.contains("END ATOM"));
    let Some((begin, end)) = begin.zip(end).filter(|(begin, end)| begin < end) else { return };
    for line in &mut lines[begin + 1..end] {
        let Some(symbol) = line.split_whitespace().nth(3) else { continue };
        let from = symbol.as_ptr() as usize - line.as_ptr() as usize;
        let symbol = from..from + symbol.len();
        name_dummy(line, symbol);
    }
}

/// V3000 lines with those that end in `-` joined to the next.
fn join_continued(lines: &[&str]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in lines {
        match (joined.last_mut().filter(|_| is_open), line.strip_prefix(V3000_PREFIX)) {
            (Some(open), Some(rest)) => open.push_str(rest.trim_end()),
            _ => joined.push(line.trim_end().to_owned()),
        }
        is_open = line.starts_with(V3000_PREFIX) && line.trim_end().ends_with('-');
        if let Some(open) = joined.last_mut().filter(|_| is_open) {
            open.pop();
        }
    }
    joined
}

fn no_counts(lines: &[&str]) -> ChemError {
    let slipped =
        lines.iter().take(8).position(|line| line.contains("V2000") || line.contains("V3000"));
    match slipped {
        Some(at) => syntax(
            "the counts line must be line 4, behind title, program and comment (which may be empty)",
            Place::Line(at + 1),
        ),
        None => syntax(
            "line 4 must hold the numbers of atoms and bonds, and may name V2000 or V3000",
            Place::Line(COUNTS_LINE),
        ),
    }
}

/// `M  V30 COUNTS na nb ...`
fn v3000(lines: &[String]) -> Result<(usize, usize), ChemError> {
    let found = lines.iter().enumerate().find_map(|(at, line)| {
        let mut words = line.strip_prefix("M  V30")?.split_whitespace();
        (words.next()? == "COUNTS").then(|| (at, words.next(), words.next()))
    });
    let Some((at, atoms, bonds)) = found else {
        return Err(syntax("there is no 'M  V30 COUNTS' line", Place::Line(COUNTS_LINE + 1)));
    };
    let number = |word: Option<&str>| word.and_then(|word| word.parse().ok());
    number(atoms).zip(number(bonds)).ok_or_else(|| {
        let place = Place::Line(COUNTS_LINE + at + 1);
        syntax("COUNTS needs the numbers of atoms and bonds", place)
    })
}

fn syntax(reason: &str, place: Place) -> ChemError {
    ChemError::Syntax { notation: "mol block", reason: reason.into(), place }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        check(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn header_slips_name_the_line() {
        let counts = "  1  0  0  0  0  0  0  0  0  0999 V2000\n";
        assert!(message(&format!("t\n\n{counts}M  END\n")).ends_with("at line 3"));
        assert!(message("one\ntwo").ends_with("at line 4"));
        assert!(message(&format!("\n\n\n{counts}")).contains("no 'M  END' line at line 4"));
        assert!(message("\n\n\nabcdef V2000\nM  END").ends_with("at line 4"));
    }

    #[test]
    fn counts_are_read_with_or_without_columns_and_version() {
        let counts = |line: &str| match version(line) {
            Some(Version::V2000(Counts { atoms, bonds, chiral })) => Some((atoms, bonds, chiral)),
            _ => None,
        };
        for line in [
            "  3  2  0  0  1  0  0  0  0  0999 V2000",
            "  3  2  0  0  1  0  0  0  0  0999 v2000",
            "  3  2  0  0  1",
            "  3  2  0  0  1  0  0  0  0  0    0",
            "3 2 0 0 1 0 0 0 0 0 999 V2000",
            "3 2 0 0 1",
        ] {
            assert_eq!(counts(line), Some((3, 2, 1)), "{line:?}");
        }
        assert_eq!(counts("120119  0  0  0"), Some((120, 119, 0)));
        assert_eq!(counts("abcdef V2000"), None);
        assert_eq!(counts("  3  C  0"), None);
        assert!(matches!(version("  0  0  0     0  0            999 v3000"), Some(Version::V3000)));
    }

    #[test]
    fn v3000_lines_that_end_with_a_hyphen_go_on_anywhere() {
        let lines = [
            "M  V30 COUNTS -",
            "M  V30 3 2 -",
            "M  V30 0 0 0",
            "M  V30 1 C 0 0 0 0 CHG=-",
            "M  V30 1",
        ];
        let joined = join_continued(&lines);
        assert_eq!(joined, ["M  V30 COUNTS 3 2 0 0 0", "M  V30 1 C 0 0 0 0 CHG=1"]);
    }

    #[test]
    fn announced_sizes_are_bounded_before_reading() {
        let block = "\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 4000000000 1 0 0 0\nM  END\n";
        assert!(message(block).contains("atoms in the mol block is 4000000000, above the limit"));
    }
}
