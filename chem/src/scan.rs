//! A first look at a SMILES, before the chemistry library sees it.
//!
//! It bounds length, nesting, rings and atoms, says at which character brackets, branches and ring
//! bonds are wrong, and tidies what is surely an accident of transport: outer blanks, a name behind
//! the SMILES, doubled backslashes. It does not judge chemistry.

use crate::error::{ChemError, Place};
use crate::limits;
use crate::molecule::{NormalisationStep, limit};
use std::collections::BTreeMap;

/// What the library is to read, and how its atoms map to characters of the original text.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) text: String,
    pub(crate) steps: Vec<NormalisationStep>,
    /// Character (from 1) at which each atom starts.
    pub(crate) atoms: Vec<usize>,
    /// Atoms written as `[H]`, with or without isotope, charge or map.
    pub(crate) hydrogens: usize,
    /// Characters cut off at the front.
    pub(crate) offset: usize,
}

/// Checks and tidies `original`.
pub(crate) fn scan(original: &str) -> Result<Scan, ChemError> {
    limit("SMILES length in bytes", original.len(), limits::MAX_LINE_NOTATION_BYTES)?;
    let trimmed = original.trim();
    let offset = original.chars().take_while(|c| c.is_whitespace()).count();
    if trimmed.is_empty() {
        return Err(syntax("the text is empty".into(), Place::Unknown));
    }
    let mut steps = Vec::new();
    if trimmed.len() < original.len() {
        steps.push(step("text_trimmed", "blanks around the SMILES removed"));
    }
    let (core, rest) = match trimmed.find(char::is_whitespace) {
        Some(at) => (&trimmed[..at], trimmed[at..].trim_start()),
        None => (trimmed, ""),
    };
    let mut walk = Walk { offset, ..Walk::default() };
    walk.run(core)?;
    let mut text = core.to_owned();
    if core.contains(r"\\") {
        text = text.replace(r"\\", r"\");
        steps.push(step("backslashes_collapsed", r"doubled backslashes read as one"));
    }
    if rest.starts_with('|') {
        text = format!("{text} {rest}");
    } else if !rest.is_empty() {
        steps.push(step("name_dropped", "text after the first blank taken as a name"));
    }
    Ok(Scan { text, steps, atoms: walk.atoms, hydrogens: walk.hydrogens, offset })
}

/// State of one pass over the characters.
#[derive(Default)]
struct Walk {
    offset: usize,
    atoms: Vec<usize>,
    hydrogens: usize,
    branches: Vec<usize>,
    rings: BTreeMap<u32, usize>,
    ring_bonds: usize,
}

impl Walk {
    fn run(&mut self, core: &str) -> Result<(), ChemError> {
        let chars: Vec<char> = core.chars().collect();
        if let Some(at) = chars.iter().position(|c| !c.is_ascii_graphic()) {
            let what = format!("'{}' is no SMILES character", chars[at].escape_default());
            return Err(self.wrong(what, at));
        }
        let mut at = 0;
        while at < chars.len() {
            at = self.step(&chars, at)?;
        }
        if let Some(&open) = self.branches.last() {
            return Err(self.wrong("the branch opened here is never closed".into(), open));
        }
        if let Some((label, &open)) = self.rings.iter().next() {
            let what = format!("ring bond {label} opened here is never closed");
            return Err(self.wrong(what, open));
        }
        limit("atoms in the SMILES", self.atoms.len(), limits::MAX_ATOMS)?;
        limit("ring bonds in the SMILES", self.ring_bonds, limits::MAX_RINGS)
    }

    /// Consumes what starts at `at` and says where the next thing starts.
    fn step(&mut self, chars: &[char], at: usize) -> Result<usize, ChemError> {
        match chars[at] {
            '[' => self.bracket(chars, at),
            ']' => Err(self.wrong("']' closes no bracket".into(), at)),
            '(' => {
                self.branches.push(at);
                limit("branch depth in the SMILES", self.branches.len(), limits::MAX_BRANCH_DEPTH)?;
                Ok(at + 1)
            }
            ')' => match self.branches.pop() {
                Some(_) => Ok(at + 1),
                None => Err(self.wrong("')' closes no branch".into(), at)),
            },
            '%' => self.long_ring(chars, at),
            digit @ '0'..='9' => {
                self.ring(u32::from(digit) - u32::from('0'), at);
                Ok(at + 1)
            }
            'C' if chars.get(at + 1) == Some(&'l') => Ok(self.atom(at, 2)),
            'B' if chars.get(at + 1) == Some(&'r') => Ok(self.atom(at, 2)),
            'A'..='Z' | 'a'..='z' | '*' => Ok(self.atom(at, 1)),
            _ => Ok(at + 1),
        }
    }

    fn atom(&mut self, at: usize, width: usize) -> usize {
        self.atoms.push(self.offset + at + 1);
        at + width
    }

    fn bracket(&mut self, chars: &[char], at: usize) -> Result<usize, ChemError> {
        let inside = chars[at + 1..].iter().take_while(|c| !matches!(c, '[' | ']')).count();
        let end = at + 1 + inside;
        if chars.get(end) != Some(&']') {
            return Err(self.wrong("the bracket opened here is never closed".into(), at));
        }
        if inside == 0 {
            return Err(self.wrong("the bracket holds no atom".into(), at));
        }
        let symbol: Vec<char> =
            chars[at + 1..end].iter().copied().skip_while(char::is_ascii_digit).take(2).collect();
        let is_hydrogen =
            symbol.first() == Some(&'H') && !symbol.get(1).is_some_and(char::is_ascii_lowercase);
        self.hydrogens += usize::from(is_hydrogen);
        self.atom(at, 0);
        Ok(end + 1)
    }

    fn long_ring(&mut self, chars: &[char], at: usize) -> Result<usize, ChemError> {
        let (first, last, next) = match chars.get(at + 1) {
            Some('(') => {
                let digits = chars[at + 2..].iter().take_while(|c| c.is_ascii_digit()).count();
                let close = at + 2 + digits;
                if chars.get(close) != Some(&')') || !(1..=5).contains(&digits) {
                    return Err(self.wrong("'%(' needs 1 to 5 digits and ')'".into(), at));
                }
                (at + 2, close, close + 1)
            }
            _ => (at + 1, at + 3, at + 3),
        };
        let label: Option<String> = chars.get(first..last).map(|d| d.iter().collect());
        match label.and_then(|digits| digits.parse().ok()) {
            Some(label) => {
                self.ring(label, at);
                Ok(next)
            }
            None => Err(self.wrong("'%' needs a ring number of two digits".into(), at)),
        }
    }

    fn ring(&mut self, label: u32, at: usize) {
        if self.rings.remove(&label).is_none() {
            self.rings.insert(label, at);
            self.ring_bonds += 1;
        }
    }

    fn wrong(&self, reason: String, at: usize) -> ChemError {
        syntax(reason, Place::Character(self.offset + at + 1))
    }
}

fn step(name: &'static str, detail: &str) -> NormalisationStep {
    NormalisationStep { name, detail: detail.into() }
}

fn syntax(reason: String, place: Place) -> ChemError {
    ChemError::Syntax { notation: "SMILES", reason, place }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        scan(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn errors_name_the_character() {
        assert_eq!(
            message("CC(C"),
            "cannot read SMILES: the branch opened here is never closed at character 3"
        );
        assert!(
            message("  C1CC").ends_with("ring bond 1 opened here is never closed at character 4")
        );
        assert!(message("CC)").ends_with("at character 3"));
        assert!(message("C[C").ends_with("at character 2"));
        assert!(message("CCé").contains("is no SMILES character at character 3"));
        assert!(message("C%1CC%1").ends_with("at character 2"));
    }

    #[test]
    fn nesting_and_length_are_bounded() {
        let deep = format!("{}C{}", "C(".repeat(200), ")".repeat(200));
        assert!(
            message(&deep).contains("branch depth in the SMILES is 101, above the limit of 100")
        );
        assert!(message(&"C".repeat(20_000)).contains("SMILES length in bytes is 20000"));
    }

    #[test]
    fn tidying_is_recorded() {
        let names = |text: &str| -> Vec<&str> {
            scan(text).expect("readable").steps.iter().map(|s| s.name).collect()
        };
        assert_eq!(names(" CCO "), ["text_trimmed"]);
        assert_eq!(names("CCO ethanol"), ["name_dropped"]);
        assert_eq!(names(r"C\\C=C\\C"), ["backslashes_collapsed"]);
        assert!(names("CCO |$;;OH$|").is_empty());
    }

    #[test]
    fn atoms_keep_their_characters() {
        let found = scan(" C[13CH3]Cl(Br)c1ccccc1").expect("readable");
        assert_eq!(&found.atoms[..4], &[2, 3, 10, 13]);
        assert_eq!(scan("[H][2H][Hg][He][H+]").expect("readable").hydrogens, 3);
    }
}
