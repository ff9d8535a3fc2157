//! A molecule written as SMILES, with what each symbol of the text stands for.

use crate::error::ChemError;
use crate::foreign::{self, Foreign};
use std::collections::HashMap;
use std::ops::Range;

/// A canonical SMILES whose symbols know their atoms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenSmiles {
    /// The text.
    pub text: String,
    /// Its symbols in order; together they cover every byte once.
    pub symbols: Vec<SmilesSymbol>,
}

/// One symbol of a SMILES.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmilesSymbol {
    /// Its bytes in the text.
    pub bytes: Range<usize>,
    /// Rows of the molecule's graph, ascending: the atom itself; the two ends of a bond, a ring
    /// closure or a dot; the atom that a branch hangs on.
    pub atoms: Vec<u32>,
}

/// Writes a molecule without its map numbers.
pub(crate) fn write(molecule: &Foreign) -> Result<WrittenSmiles, ChemError> {
    let (text, numbered) = foreign::numbered_smiles(molecule)?;
    let internal = || ChemError::Internal {
        during: "finding the atoms of a SMILES",
        reason: format!("{text} and {numbered} do not agree"),
    };
    let order = order(&text, &numbered).ok_or_else(internal)?;
    let mut symbols = symbols(&text).ok_or_else(internal)?;
    for symbol in &mut symbols {
        for atom in &mut symbol.atoms {
            *atom = *order.get(*atom as usize).ok_or_else(internal)?;
        }
        symbol.atoms.sort_unstable();
        symbol.atoms.dedup();
    }
    Ok(WrittenSmiles { text, symbols })
}

/// The row of each atom of `text`, read off a text of the same molecule whose atoms carry their row + 1.
fn order(text: &str, numbered: &str) -> Option<Vec<u32>> {
    // Parts are written in the order of their texts, which numbers change.
    let mut parts: Vec<(Vec<String>, &str)> =
        numbered.split('.').map(|part| Some((atom_names(part)?, part))).collect::<Option<_>>()?;
    let mut order = Vec::new();
    for part in text.split('.') {
        let names = atom_names(part)?;
        let place = parts.iter().position(|(found, _)| *found == names)?;
        order.extend(numbers(parts.remove(place).1)?);
    }
    Some(order)
}

/// The map numbers of a text, less one.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let atoms = text.split('[').skip(1);
    let number = |atom: &str| atom.split_once(']')?.0.rsplit_once(':')?.1.parse::<u32>().ok();
    atoms.map(|atom| number(atom)?.checked_sub(1)).collect()
}

/// Gives the symbols of `text` their atoms, numbered as they are written. Nothing where the text is no SMILES.
fn symbols(text: &str) -> Option<Vec<SmilesSymbol>> {
    let mut reader = Reader::default();
    let mut at = 0;
    while at < text.len() {
        let (symbol, length) = Symbol::first(&text.as_bytes()[at..])?;
        reader.take(symbol, at..at + length)?;
        at += length;
    }
    Some(reader.symbols)
}

/// The atoms of `text` in order, each as it is written but for its hydrogens and map number.
fn atom_names(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (symbol, length) = Symbol::first(&text.as_bytes()[at..])?;
        if symbol == Symbol::Atom {
            names.push(name(&text[at..at + length]));
        }
        at += length;
    }
    Some(names)
}

/// `[13C@H:4]` to `13C@`.
fn name(atom: &str) -> String {
    let Some(inner) = atom.strip_prefix('[').and_then(|atom| atom.strip_suffix(']')) else {
        return atom.into();
    };
    let inner = inner.split(':').next().unwrap_or(inner);
    let head = inner.len() - inner.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    // The first letter is the element's; a later H counts hydrogens.
    match inner.get(head + 1..).and_then(|rest| rest.find('H')) {
        Some(place) => {
            let (before, after) = inner.split_at(head + 1 + place);
            let after = after[1..].trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}{after}")
        }
        None => inner.into(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Atom,
    Bond,
    Ring(u32),
    Open,
    Close,
}

impl Symbol {
    /// The symbol that `rest` begins with, and its length.
    fn first(rest: &[u8]) -> Option<(Self, usize)> {
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
        Some(match rest {
            [b'[', ..] => (Self::Atom, 1 + rest.iter().position(|&b| b == b']')?),
            [b'B', b'r', ..] | [b'C', b'l', ..] => (Self::Atom, 2),
            [b'-', b'>', ..] | [b'<', b'-', ..] => (Self::Bond, 2),
            [b'-' | b'=' | b'#' | b'$' | b':' | b'/' | b'\\' | b'~' | b'.', ..] => (Self::Bond, 1),
            [b'(', ..] => (Self::Open, 1),
            [b')', ..] => (Self::Close, 1),
            [b'%', b'(', ..] => {
                let end = rest.iter().position(|&b| b == b')')?;
                (Self::Ring(number(&rest[2..end])?), end + 1)
            }
            [b'%', a, b, ..] => (Self::Ring(number(&[*a, *b])?), 3),
            [digit, ..] if digit.is_ascii_digit() => (Self::Ring(u32::from(digit - b'0')), 1),
            [letter, ..] if letter.is_ascii_alphabetic() || *letter == b'*' => (Self::Atom, 1),
            _ => return None,
        })
    }
}

/// Where a reader of symbols stands.
#[derive(Default)]
struct Reader {
    symbols: Vec<SmilesSymbol>,
    atoms: u32,
    /// The atom that the next one is bound to.
    last: Option<u32>,
    branches: Vec<Option<u32>>,
    /// A bond symbol that waits for its second end.
    waiting: Option<usize>,
    /// Open ring closures: the symbol and its atom.
    rings: HashMap<u32, (usize, u32)>,
}

impl Reader {
    fn take(&mut self, symbol: Symbol, bytes: Range<usize>) -> Option<()> {
        let index = self.symbols.len();
        let mut atoms: Vec<u32> = self.last.into_iter().collect();
        match symbol {
            Symbol::Atom => {
                atoms = vec![self.atoms];
                self.last = Some(self.atoms);
                if let Some(bond) = self.waiting.take() {
                    self.symbols[bond].atoms.push(self.atoms);
                }
                self.atoms += 1;
            }
            Symbol::Bond => self.waiting = Some(index),
            Symbol::Ring(number) => {
                let here = self.last?;
                let bond = self.waiting.take();
                match self.rings.remove(&number) {
                    Some((opened, there)) => {
                        self.symbols[opened].atoms.push(here);
                        atoms.push(there);
                        bond.into_iter().for_each(|bond| self.symbols[bond].atoms.push(there));
                    }
                    None => drop(self.rings.insert(number, (index, here))),
                }
            }
            Symbol::Open => self.branches.push(self.last),
            Symbol::Close => {
                self.last = self.branches.pop()?;
                atoms = self.last.into_iter().collect();
            }
        }
        self.symbols.push(SmilesSymbol { bytes, atoms });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Molecule;

    fn pieces(text: &str) -> Vec<(&str, Vec<u32>)> {
        let symbols = symbols(text).expect("a SMILES");
        let sorted = |mut atoms: Vec<u32>| {
            atoms.sort_unstable();
            atoms
        };
        symbols.into_iter().map(|s| (&text[s.bytes], sorted(s.atoms))).collect()
    }

    #[test]
    fn every_symbol_has_the_atoms_that_it_is_about() {
        let of = |atoms: &[u32]| atoms.to_vec();
        assert_eq!(
            pieces("C(=O)[O-].[Na+]"),
            [
                ("C", of(&[0])),
                ("(", of(&[0])),
                ("=", of(&[0, 1])),
                ("O", of(&[1])),
                (")", of(&[0])),
                ("[O-]", of(&[2])),
                (".", of(&[2, 3])),
                ("[Na+]", of(&[3])),
            ]
        );
        assert_eq!(
            pieces("Cl/C1=C/%10.C1%10"),
            [
                ("Cl", of(&[0])),
                ("/", of(&[0, 1])),
                ("C", of(&[1])),
                ("1", of(&[1, 3])),
                ("=", of(&[1, 2])),
                ("C", of(&[2])),
                ("/", of(&[2])),
                ("%10", of(&[2, 3])),
                (".", of(&[2, 3])),
                ("C", of(&[3])),
                ("1", of(&[1, 3])),
                ("%10", of(&[2, 3])),
            ]
        );
    }

    #[test]
    fn names_leave_out_hydrogens_and_map_numbers() {
        let names = atom_names("[13C@@H:4]([NH3+:2])[CH3:1].[H:5][Hg]Br").expect("names");
        assert_eq!(names, ["13C@@", "N+", "C", "H", "Hg", "Br"]);
    }

    /// Element, charge and hydrogens of the atoms, and the bonds as pairs, both in the order given.
    fn graph(molecule: &Molecule, order: impl Fn(u32) -> u32) -> (Vec<[u16; 3]>, Vec<(u32, u32)>) {
        let graph = molecule.graph();
        let mut atoms = vec![[0; 3]; graph.atoms.len()];
        for (row, atom) in graph.atoms.iter().enumerate() {
            atoms[order(row as u32) as usize] = [atom[0], atom[3], atom[4]];
        }
        let pair = |a: u32, b: u32| (a.min(b), a.max(b));
        let mut bonds: Vec<_> =
            graph.bonds.iter().map(|b| pair(order(b.begin), order(b.end))).collect();
        bonds.sort_unstable();
        (atoms, bonds)
    }

    fn is_atom(text: &str, symbol: &SmilesSymbol) -> bool {
        text[symbol.bytes.clone()].starts_with(|c: char| c == '[' || c.is_ascii_alphabetic())
    }

    #[test]
    fn the_text_is_canonical_and_its_symbols_point_at_the_rows_of_the_molecule() {
        for smiles in [
            "OC(=O)C[C@H](N)C",
            "[Na+].[O-]C(=O)c1ccccc1.O.[Na+].[O-]S(=O)(=O)[O-]",
            "C(/F)=C\\Cl",
            "c1ccc2c(c1)[nH]c1ccccc12",
            "[CH3:7]C(C)(C)[13CH2]O",
            "OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O",
            "[H][H]",
        ] {
            let molecule = Molecule::from_smiles(smiles).expect("a molecule");
            let written = molecule.written().expect("written");
            let again = Molecule::from_smiles(&written.text).expect("the text is read again");
            let bytes: Vec<usize> = written.symbols.iter().flat_map(|s| s.bytes.clone()).collect();
            assert_eq!(bytes, (0..written.text.len()).collect::<Vec<_>>());
            let atoms = written.symbols.iter().filter(|symbol| is_atom(&written.text, symbol));
            let place: HashMap<u32, u32> =
                atoms.zip(0..).map(|(symbol, place)| (symbol.atoms[0], place)).collect();
            assert_eq!(graph(&molecule, |row| place[&row]), graph(&again, |row| row), "{smiles}");
            if !smiles.contains(':') {
                let canonical = molecule.identity().expect("identity").canonical_smiles;
                assert_eq!(written.text, canonical);
            }
        }
    }
}
