//! The alphabet of SMILES as tokens: atoms, bracket atoms, bonds, rings and branches, and bytes for everything else.
//!
//! Every token is a string and the tokens of an input are its pieces in order, so nothing can be lost, the backslash of
//! E/Z stereo included. Frequent bracket atoms are one token, others are taken apart inside their brackets. The lists
//! decide the ids of trained models: they may only grow, and only at the end.

use std::{collections::HashMap, ops::Range};

/// Bonds, branches, separators and the wildcard.
const STRUCTURE: &str = "-=#$:/\\.()~*%[]+@>";
/// Rings, isotopes, charges, hydrogen counts and atom classes.
const DIGITS: &str = "0123456789";
/// Atoms that need no brackets.
const ORGANIC: [&str; 17] =
    ["C", "c", "N", "n", "O", "o", "S", "s", "P", "p", "F", "Cl", "Br", "I", "B", "b", "@@"];
/// What may stand in brackets besides: the other elements by number, and aromatic ones.
const BRACKETED: &str = "H He Li Be Ne Na Mg Al Si Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Kr Rb Sr Y Zr Nb Mo \
    Tc Ru Rh Pd Ag Cd In Sn Sb Te Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb \
    Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og se as te \
    si";
/// Frequent bracket atoms, counted over open collections of about two million molecules.
const WHOLE: &str = "[C@H] [C@@H] [nH] [O-] [C@] [N+] [C@@] [Si] [NH+] [n+] [Na+] [NH3+] [NH2+] [2H] [nH+] [O] [N-] \
    [Cl-] [SiH] [Br-] [S+] [I-] [CH2] [C-] [K+] [Ca+2] [OH] [C] [n-] [o+] [O+] [c] [S-] [P+] [NH4+] [CH3] [As] [PH] [Se] \
    [Sn] [O-2] [N] [Mg+2] [OH-] [H+] [S] [OH+] [B-] [Fe] [CH] [Zn+2] [NH2] [NH] [Li+] [P@] [P@@] [S@] [S@@] [se] [SH] \
    [13C] [13CH3] [3H] [18F]";

/// The fixed list of strings and their numbers.
pub(super) struct SmilesAlphabet {
    strings: Vec<&'static str>,
    numbers: HashMap<&'static str, u32>,
}

/// A piece of a SMILES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) symbol: Symbol,
    /// Bytes of the input; for a byte of a longer character, the whole character.
    pub(super) span: Range<usize>,
    /// The atom it belongs to.
    pub(super) atom: Option<u32>,
}

/// What a piece is in the alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// Number of a string.
    Listed(u32),
    /// A byte outside of all strings.
    Byte(u8),
}

impl SmilesAlphabet {
    pub(super) fn new() -> Self {
        let single = |list: &'static str| (0..list.len()).map(move |i| &list[i..=i]);
        let strings: Vec<&str> = single(STRUCTURE)
            .chain(single(DIGITS))
            .chain(ORGANIC)
            .chain(BRACKETED.split_whitespace())
            .chain(WHOLE.split_whitespace())
            .collect();
        let numbers = strings.iter().zip(0..).map(|(&string, number)| (string, number)).collect();
        Self { strings, numbers }
    }

    pub(super) fn len(&self) -> usize {
        self.strings.len()
    }

    pub(super) fn string(&self, number: u32) -> Option<&'static str> {
        self.strings.get(number as usize).copied()
    }

    /// Cuts any string into pieces; meaningful for SMILES, without loss for all.
    pub(super) fn cut(&self, smiles: &str) -> Vec<Piece> {
        let mut cut = Cut { alphabet: self, smiles, pieces: Vec::new(), atoms: 0 };
        let mut at = 0;
        while at < smiles.len() {
            at = match smiles.as_bytes()[at] {
                b'[' => cut.bracket(at),
                _ => cut.outside(at),
            };
        }
        cut.pieces
    }
}

struct Cut<'a> {
    alphabet: &'a SmilesAlphabet,
    smiles: &'a str,
    pieces: Vec<Piece>,
    atoms: u32,
}

impl Cut<'_> {
    /// One piece outside of brackets; returns where the next begins.
    fn outside(&mut self, at: usize) -> usize {
        let rest = &self.smiles[at..];
        let length = if rest.starts_with("Cl") || rest.starts_with("Br") { 2 } else { 1 };
        let is_atom = matches!(
            rest.as_bytes()[0],
            b'C' | b'c'
                | b'N'
                | b'n'
                | b'O'
                | b'o'
                | b'S'
                | b's'
                | b'P'
                | b'p'
                | b'F'
                | b'I'
                | b'B'
                | b'b'
                | b'*'
        );
        let atom = is_atom.then(|| self.next_atom());
        self.piece(at, length, atom)
    }

    /// A bracket atom, whole or in pieces; all of them are the atom.
    fn bracket(&mut self, at: usize) -> usize {
        let atom = Some(self.next_atom());
        let end = self.smiles[at..].find(']').map_or(self.smiles.len(), |i| at + i + 1);
        if self.alphabet.numbers.contains_key(&self.smiles[at..end]) {
            return self.piece(at, end - at, atom);
        }
        let mut at = at;
        while at < end {
            let two = self.smiles.get(at..at + 2);
            let length = two.is_some_and(|s| self.alphabet.numbers.contains_key(s)).then_some(2);
            at = self.piece(at, length.unwrap_or(1), atom);
        }
        end
    }

    /// Adds the listed string of `length` bytes at `at`, or the bytes of the character there.
    fn piece(&mut self, at: usize, length: usize, atom: Option<u32>) -> usize {
        if let Some(&number) =
            self.smiles.get(at..at + length).and_then(|string| self.alphabet.numbers.get(string))
        {
            let span = at..at + length;
            self.pieces.push(Piece { symbol: Symbol::Listed(number), span, atom });
            return at + length;
        }
        let width = self.smiles[at..].chars().next().map_or(1, char::len_utf8);
        let span = at..at + width;
        for &byte in &self.smiles.as_bytes()[span.clone()] {
            self.pieces.push(Piece { symbol: Symbol::Byte(byte), span: span.clone(), atom });
        }
        at + width
    }

    fn next_atom(&mut self) -> u32 {
        self.atoms += 1;
        self.atoms - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(smiles: &str) -> Vec<String> {
        let alphabet = SmilesAlphabet::new();
        let string = |piece: &Piece| match piece.symbol {
            Symbol::Listed(number) => alphabet.string(number).expect("listed").to_owned(),
            Symbol::Byte(byte) => format!("<{byte:02x}>"),
        };
        alphabet.cut(smiles).iter().map(string).collect()
    }

    #[test]
    fn no_string_stands_twice_and_their_numbers_are_for_ever() {
        let alphabet = SmilesAlphabet::new();
        assert_eq!(alphabet.numbers.len(), alphabet.len());
        for (string, number) in [
            ("-", 0),
            ("\\", 6),
            ("0", 18),
            ("C", 28),
            ("@@", 44),
            ("H", 45),
            ("si", 156),
            ("[C@H]", 157),
            ("[18F]", 220),
        ] {
            assert_eq!(alphabet.numbers.get(string), Some(&number), "{string}");
        }
        assert_eq!(alphabet.len(), 221);
    }

    #[test]
    fn brackets_change_what_two_letters_mean() {
        assert_eq!(strings("Cn1cSn1"), ["C", "n", "1", "c", "S", "n", "1"]);
        assert_eq!(strings("C[Sn+]C"), ["C", "[", "Sn", "+", "]", "C"]);
        assert_eq!(strings("C[Sn]C"), ["C", "[Sn]", "C"]);
        assert_eq!(strings("ClC(Br)=C"), ["Cl", "C", "(", "Br", ")", "=", "C"]);
        assert_eq!(
            strings("[15N@@H2+:12]%10"),
            ["[", "1", "5", "N", "@@", "H", "2", "+", ":", "1", "2", "]", "%", "1", "0"]
        );
    }

    #[test]
    fn stereo_bonds_have_tokens_of_their_own() {
        assert_eq!(strings("C/C=C\\C"), ["C", "/", "C", "=", "C", "\\", "C"]);
    }

    #[test]
    fn every_piece_knows_its_atom() {
        let atoms = |smiles: &str| -> Vec<Option<u32>> {
            SmilesAlphabet::new().cut(smiles).iter().map(|piece| piece.atom).collect()
        };
        let (a, b, c) = (Some(0), Some(1), Some(2));
        assert_eq!(atoms("CC(=O)"), [a, b, None, None, c, None]);
        assert_eq!(atoms("Cl[13CH2-]*"), [a, b, b, b, b, b, b, b, b, c]);
    }

    #[test]
    fn what_is_not_listed_becomes_bytes_and_a_bracket_may_stay_open() {
        assert_eq!(strings("Cé"), ["C", "<c3>", "<a9>"]);
        assert_eq!(strings("[Né"), ["[", "N", "<c3>", "<a9>"]);
        assert_eq!(strings("["), ["["]);
        assert_eq!(strings(""), [""; 0]);
    }
}
