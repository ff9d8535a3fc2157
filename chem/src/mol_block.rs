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

/// Checks `original` and cuts it behind `M  END`.
pub(crate) fn check(original: &str) -> Result<Block, ChemError> {
    limit("mol block length in bytes", original.len(), limits::MAX_MOL_BLOCK_BYTES)?;
    let lines: Vec<&str> = original.lines().collect();
    if original.trim().is_empty() {
        return Err(syntax("the text is empty", Place::Unknown));
    }
    let counts = lines.get(COUNTS_LINE - 1).copied().unwrap_or("");
    let version = ["V2000", "V3000"].into_iter().find(|version| counts.contains(version));
    let Some(version) = version else {
        return Err(no_counts(&lines));
    };
    let Some(end) = lines.iter().position(|line| line.starts_with("M  END")) else {
        return Err(syntax("there is no 'M  END' line", Place::Line(lines.len())));
    };
    let (atoms, bonds) = if version == "V2000" { v2000(counts)? } else { v3000(&lines[..end])? };
    limit("atoms in the mol block", atoms, limits::MAX_ATOMS)?;
    let rings = (bonds + 1).saturating_sub(atoms);
    limit("rings in the mol block", rings, limits::MAX_RINGS)?;
    let mut text: String = lines[..=end].join("\n");
    text.push('\n');
    if !text.is_ascii() {
        // Only names and comments may hold other letters, and the library does not need them.
        text = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    }
    Ok(Block { text, atoms })
}

fn no_counts(lines: &[&str]) -> ChemError {
    let slipped =
        lines.iter().take(8).position(|line| line.contains("V2000") || line.contains("V3000"));
    match slipped {
        Some(at) => syntax(
            "the counts line must be line 4, behind title, program and comment (which may be empty)",
            Place::Line(at + 1),
        ),
        None => syntax("line 4 must hold the counts and V2000 or V3000", Place::Line(COUNTS_LINE)),
    }
}

/// `aaabbb...`: two columns of three.
fn v2000(counts: &str) -> Result<(usize, usize), ChemError> {
    let column = |range: std::ops::Range<usize>| {
        counts.get(range).and_then(|digits| digits.trim().parse().ok())
    };
    column(0..3).zip(column(3..6)).ok_or_else(|| {
        syntax(
            "the counts line must start with two numbers of three columns",
            Place::Line(COUNTS_LINE),
        )
    })
}

/// `M  V30 COUNTS na nb ...`
fn v3000(lines: &[&str]) -> Result<(usize, usize), ChemError> {
    let found = lines.iter().enumerate().find_map(|(at, line)| {
        let mut words = line.strip_prefix("M  V30")?.split_whitespace();
        (words.next()? == "COUNTS").then(|| (at, words.next(), words.next()))
    });
    let Some((at, atoms, bonds)) = found else {
        return Err(syntax("there is no 'M  V30 COUNTS' line", Place::Line(COUNTS_LINE + 1)));
    };
    let number = |word: Option<&str>| word.and_then(|word| word.parse().ok());
    number(atoms)
        .zip(number(bonds))
        .ok_or_else(|| syntax("COUNTS needs the numbers of atoms and bonds", Place::Line(at + 1)))
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
    fn announced_sizes_are_bounded_before_reading() {
        let block = "\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 4000000000 1 0 0 0\nM  END\n";
        assert!(message(block).contains("atoms in the mol block is 4000000000, above the limit"));
    }
}
