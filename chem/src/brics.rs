//! BRICS cuts: which bonds a chemist would break to see a molecule's building blocks.
//!
//! The environments L1..L16 and their pairs are those of Degen et al. 2008 as RDKit
//! (`Chem/BRICS.py`) writes them in SMARTS; here each is a predicate on the graph. Only bonds
//! outside rings are cut, so ring systems stay whole.

use crate::topology::{Bond, Order, Topology};

/// Labels of atoms whose single bond is cut.
const SINGLE_PAIRS: [(u8, &[u8]); 13] = [
    (1, &[3, 5, 10]),
    (3, &[4, 13, 14, 15, 16]),
    (4, &[5, 11]),
    (5, &[12, 14, 16, 13, 15]),
    (6, &[13, 14, 15, 16]),
    (8, &[9, 10, 13, 14, 15, 16]),
    (9, &[13, 14, 15, 16]),
    (10, &[13, 14, 15, 16]),
    (11, &[13, 14, 15, 16]),
    (13, &[14, 15, 16]),
    (14, &[14, 15, 16]),
    (15, &[16]),
    (16, &[16]),
];

const C: u8 = 6;
const N: u8 = 7;
const O: u8 = 8;
const S: u8 = 16;

/// The parts left after all cuts, each ascending.
pub(crate) fn fragments(topology: &Topology) -> Vec<Vec<u32>> {
    let view = View { topology };
    let cut: Vec<bool> = topology.bonds.iter().map(|bond| view.is_cut(bond)).collect();
    topology.parts(|bond| cut[bond])
}

struct View<'a> {
    topology: &'a Topology,
}

impl View<'_> {
    fn is_cut(&self, bond: &Bond) -> bool {
        let (a, b) = (bond.begin as usize, bond.end as usize);
        match bond.order {
            _ if bond.in_ring => false,
            Order::Double => self.matches(a, 7) && self.matches(b, 7),
            Order::Single => {
                let (left, right) = (self.labels(a), self.labels(b));
                let has = |set: u32, label: u8| set & (1 << label) != 0;
                SINGLE_PAIRS.iter().any(|&(x, ys)| {
                    ys.iter().any(|&y| {
                        (has(left, x) && has(right, y)) || (has(left, y) && has(right, x))
                    })
                })
            }
            _ => false,
        }
    }

    /// Bit set of the labels that stand on single bonds.
    fn labels(&self, atom: usize) -> u32 {
        const SINGLE_LABELS: [u8; 14] = [1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        SINGLE_LABELS.iter().filter(|&&label| self.matches(atom, label)).fold(0, |s, l| s | 1 << l)
    }

    fn matches(&self, atom: usize, label: u8) -> bool {
        let here = &self.topology.atoms[atom];
        let degree = self.topology.degree(atom);
        let is = |element: u8, aromatic: bool| here.element == element && here.aromatic == aromatic;
        match label {
            1 => is(C, false) && degree == 3 && self.is_acyl(atom, false),
            3 => {
                is(O, false)
                    && degree == 2
                    && self.any(atom, |n| n.chain() && [0, 1, C].contains(&n.z))
            }
            4 => {
                is(C, false)
                    && degree != 1
                    && !self.any(atom, |n| n.order == Order::Double)
                    && self.any(atom, |n| n.chain() && n.z == C)
            }
            5 => is(N, false) && degree != 1 && self.is_plain_amine(atom),
            6 => is(C, false) && degree == 3 && !here.in_ring && self.is_acyl(atom, true),
            7 => {
                is(C, false)
                    && (2..=3).contains(&degree)
                    && self.any(atom, |n| n.order == Order::Single && n.z == C)
            }
            8 => {
                is(C, false)
                    && !here.in_ring
                    && degree != 1
                    && !self.any(atom, |n| n.order != Order::Single)
            }
            9 => {
                is(N, true)
                    && here.charge == 0
                    && self.aromatic_pair(atom, &[C, N, O, S], &[C, N, O, S])
            }
            10 => is(N, false) && here.in_ring && self.is_lactam(atom),
            11 => {
                is(S, false)
                    && degree == 2
                    && self.any(atom, |n| n.chain() && [0, C].contains(&n.z))
            }
            12 => is(S, false) && degree == 4 && self.is_sulfonyl(atom),
            13 => is(C, false) && self.ring_pair(atom, &[C, N, O, S], &[N, O, S]),
            14 => is(C, true) && self.aromatic_pair(atom, &[C, N, O, S], &[N, O, S]),
            15 => is(C, false) && self.ring_pair(atom, &[C], &[C]),
            16 => is(C, true) && self.aromatic_pair(atom, &[C], &[C]),
            _ => false,
        }
    }

    fn is_acyl(&self, atom: usize, chain_only: bool) -> bool {
        let partner = |n: &Neighbour| {
            let joined = if chain_only { n.chain() } else { n.single_or_aromatic() };
            joined && [0, C, N, O].contains(&n.z)
        };
        self.any(atom, |n| n.is_oxo()) && self.any(atom, partner)
    }

    fn is_plain_amine(&self, atom: usize) -> bool {
        let forbidden = |n: &Neighbour| {
            n.order == Order::Double
                || (n.order == Order::Single && ![0, 1, C, S].contains(&n.z))
                || (n.in_ring && n.z == C && !n.aromatic && self.any(n.atom, |far| far.is_oxo()))
        };
        !self.any(atom, forbidden)
    }

    /// `N(@C(=O))@[C,N,O,S]`
    fn is_lactam(&self, atom: usize) -> bool {
        let around: Vec<Neighbour> =
            self.around(atom).filter(|n| n.in_ring && !n.aromatic).collect();
        let carbonyl = |n: &Neighbour| n.z == C && self.any(n.atom, |far| far.is_oxo());
        around.iter().enumerate().any(|(i, n)| {
            carbonyl(n)
                && around.iter().enumerate().any(|(j, m)| i != j && [C, N, O, S].contains(&m.z))
        })
    }

    fn is_sulfonyl(&self, atom: usize) -> bool {
        self.around(atom).filter(Neighbour::is_oxo).count() >= 2
            && self.any(atom, |n| n.single_or_aromatic() && [0, C].contains(&n.z))
    }

    fn ring_pair(&self, atom: usize, first: &[u8], second: &[u8]) -> bool {
        self.pair(atom, |n| n.in_ring && n.order == Order::Single && !n.aromatic, first, second)
    }

    fn aromatic_pair(&self, atom: usize, first: &[u8], second: &[u8]) -> bool {
        self.pair(atom, |n| n.order == Order::Aromatic && n.aromatic, first, second)
    }

    /// Whether two different neighbours that pass `joined` are of the two kinds.
    fn pair(
        &self,
        atom: usize,
        joined: impl Fn(&Neighbour) -> bool,
        first: &[u8],
        second: &[u8],
    ) -> bool {
        let around: Vec<u8> = self.around(atom).filter(joined).map(|n| n.z).collect();
        around.iter().enumerate().any(|(i, a)| {
            first.contains(a)
                && around.iter().enumerate().any(|(j, b)| i != j && second.contains(b))
        })
    }

    fn any(&self, atom: usize, holds: impl Fn(&Neighbour) -> bool) -> bool {
        self.around(atom).any(|n| holds(&n))
    }

    fn around(&self, atom: usize) -> impl Iterator<Item = Neighbour> {
        self.topology.neighbours[atom].iter().map(|&(other, bond)| {
            let there = &self.topology.atoms[other as usize];
            let bond = &self.topology.bonds[bond as usize];
            Neighbour {
                atom: other as usize,
                z: there.element,
                aromatic: there.aromatic,
                order: bond.order,
                in_ring: bond.in_ring,
            }
        })
    }
}

/// A neighbour as seen along its bond.
struct Neighbour {
    atom: usize,
    z: u8,
    aromatic: bool,
    order: Order,
    /// The bond lies on a ring.
    in_ring: bool,
}

impl Neighbour {
    fn chain(&self) -> bool {
        self.order == Order::Single && !self.in_ring
    }

    fn single_or_aromatic(&self) -> bool {
        matches!(self.order, Order::Single | Order::Aromatic)
    }

    fn is_oxo(&self) -> bool {
        self.order == Order::Double && self.z == O && !self.aromatic
    }
}
