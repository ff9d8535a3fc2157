//! A fingerprint in front of substructure search: what a pattern certainly needs, as bits.
//!
//! Every bit of a pattern's screen is set in the screen of each molecule that the pattern is in, so a molecule that lacks
//! one need not be matched. Bits stand for counts of elements, and for paths of up to six atoms (by element; by element
//! and aromaticity; with bond orders; within rings). The scheme is this room's own and changes with its constants.

use crate::{
    bits::Bits,
    topology::{Order, Topology},
};

/// Number of bits of a [`Screen`].
pub const SCREEN_BITS: usize = 2048;

/// Longest path, in atoms.
const PATH_ATOMS: usize = 6;
/// Paths of one graph that are followed; a cage with more is screened by nothing.
const MAX_PATHS: usize = 200_000;
/// Counts of an element that have a bit.
const COUNTS: [usize; 12] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24];

/// A set of structural features; see the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen(Bits<{ SCREEN_BITS / 64 }>);

/// What of a pattern is certain.
#[derive(Debug, Default)]
pub(crate) struct Certain {
    pub(crate) atoms: Vec<CertainAtom>,
    pub(crate) bonds: Vec<CertainBond>,
}

/// What of an atom of a pattern is certain.
#[derive(Debug)]
pub(crate) struct CertainAtom {
    pub(crate) element: Option<u8>,
    pub(crate) aromatic: Option<bool>,
    pub(crate) demand: Demand,
}

/// A bond of a pattern, with its order where that is certain.
#[derive(Debug)]
pub(crate) struct CertainBond {
    pub(crate) begin: u32,
    pub(crate) end: u32,
    pub(crate) order: Option<Order>,
}

/// Further patterns that must be somewhere in the molecule.
#[derive(Debug)]
pub(crate) enum Demand {
    All(Vec<Demand>),
    Any(Vec<Demand>),
    Graph(Certain),
}

impl Demand {
    pub(crate) const NOTHING: Self = Self::All(Vec::new());
}

impl Screen {
    /// False only where no molecule with this screen contains a pattern with that one.
    pub fn may_contain(&self, pattern: &Self) -> bool {
        self.0.contains(&pattern.0)
    }

    /// The bits as 256 bytes; byte `k` holds bits `8k..8k+8`, lowest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Reads what [`Self::to_bytes`] gave; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Bits::from_bytes(bytes).map(Self)
    }

    /// Number of bits set.
    pub fn count(&self) -> u32 {
        self.0.count()
    }

    pub(crate) fn of_molecule(topology: &Topology) -> Self {
        let atoms = topology.atoms.iter();
        let labels: Vec<Label> =
            atoms.map(|atom| Label(Some(atom.element), Some(atom.aromatic))).collect();
        let bonds = topology.bonds.iter().map(|bond| {
            let order = Some(bond.order).filter(|order| *order != Order::Other);
            (bond.begin, bond.end, order)
        });
        let mut screen = Self::empty();
        let whole = Graph::new(labels, bonds.collect()).collect(&mut screen);
        if whole { screen } else { Self(Bits::all()) }
    }

    pub(crate) fn of_pattern(certain: &Certain) -> Self {
        let labels = certain.atoms.iter().map(|atom| Label(atom.element, atom.aromatic)).collect();
        let bonds = certain.bonds.iter().map(|bond| (bond.begin, bond.end, bond.order)).collect();
        let mut screen = Self::empty();
        // A pattern with too many paths asks for the first of them, which is right if not sharp.
        Graph::new(labels, bonds).collect(&mut screen);
        for atom in &certain.atoms {
            screen.join(&Self::of_demand(&atom.demand));
        }
        screen
    }

    fn of_demand(demand: &Demand) -> Self {
        match demand {
            Demand::Graph(certain) => Self::of_pattern(certain),
            Demand::All(all) => {
                let mut screen = Self::empty();
                all.iter().for_each(|demand| screen.join(&Self::of_demand(demand)));
                screen
            }
            Demand::Any(any) => {
                let mut screens = any.iter().map(Self::of_demand);
                let first = screens.next().unwrap_or_else(Self::empty);
                screens.fold(first, |mut common, screen| {
                    common.0.keep_common(&screen.0);
                    common
                })
            }
        }
    }

    fn empty() -> Self {
        Self(Bits::none())
    }

    fn join(&mut self, other: &Self) {
        self.0.join(&other.0);
    }

    fn set(&mut self, feature: u64) {
        // The finaliser of SplitMix64, so that neighbouring features fall far apart.
        let mut x = feature;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0.set_folded(x ^ (x >> 31));
    }
}

/// Element and aromaticity, as far as they are certain.
#[derive(Clone, Copy)]
struct Label(Option<u8>, Option<bool>);

/// Molecule and pattern alike, so that both are cut into features by the same code.
struct Graph {
    labels: Vec<Label>,
    /// Per atom: neighbour, order where certain, whether the bond is in a ring.
    neighbours: Vec<Vec<(u32, Option<Order>, bool)>>,
}

/// What of a path is hashed; a kind that needs something uncertain is left out.
#[derive(Clone, Copy)]
enum Kind {
    Elements = 1,
    Aromatic,
    Bonds,
    Ring,
    RingAromatic,
}

const KINDS: [Kind; 5] =
    [Kind::Elements, Kind::Aromatic, Kind::Bonds, Kind::Ring, Kind::RingAromatic];

/// A step of a path: the atom, and the bond that leads to it.
type Step = (u32, Option<Order>, bool);

impl Graph {
    fn new(labels: Vec<Label>, bonds: Vec<(u32, u32, Option<Order>)>) -> Self {
        let mut neighbours = vec![Vec::new(); labels.len()];
        let ends: Vec<(u32, u32)> = bonds.iter().map(|bond| (bond.0, bond.1)).collect();
        for ((begin, end, order), in_ring) in bonds.into_iter().zip(ring_bonds(labels.len(), &ends))
        {
            neighbours[begin as usize].push((end, order, in_ring));
            neighbours[end as usize].push((begin, order, in_ring));
        }
        Self { labels, neighbours }
    }

    /// Sets the bits of all features; false when there are too many paths.
    fn collect(&self, screen: &mut Screen) -> bool {
        let mut counts = [0usize; 256];
        let elements = self.labels.iter().filter_map(|label| label.0);
        elements.for_each(|element| counts[usize::from(element)] += 1);
        for (element, &count) in counts.iter().enumerate() {
            for step in COUNTS.iter().take_while(|step| **step <= count) {
                screen.set((element as u64) << 8 | *step as u64);
            }
        }
        let mut paths = 0;
        (0..self.labels.len() as u32).all(|atom| {
            let mut path = vec![(atom, None, true)];
            self.extend(&mut path, &mut paths, screen)
        })
    }

    fn extend(&self, path: &mut Vec<Step>, paths: &mut usize, screen: &mut Screen) -> bool {
        *paths += 1;
        if *paths > MAX_PATHS {
            return false;
        }
        KINDS.into_iter().filter_map(|kind| self.feature(path, kind)).for_each(|f| screen.set(f));
        if path.len() == PATH_ATOMS {
            return true;
        }
        let last = path[path.len() - 1].0;
        for &step in &self.neighbours[last as usize] {
            if path.iter().any(|seen| seen.0 == step.0) {
                continue;
            }
            path.push(step);
            let whole = self.extend(path, paths, screen);
            path.pop();
            if !whole {
                return false;
            }
        }
        true
    }

    /// The same number whichever end the path is read from.
    fn feature(&self, path: &[Step], kind: Kind) -> Option<u64> {
        let mut words = [0u16; PATH_ATOMS];
        let mut backward = [0u16; PATH_ATOMS];
        let n = path.len();
        for (i, &(atom, order, in_ring)) in path.iter().enumerate() {
            if matches!(kind, Kind::Ring | Kind::RingAromatic) && (!in_ring || n == 1) {
                return None;
            }
            let label = self.label(atom, kind)?;
            let bond = if i > 0 && matches!(kind, Kind::Bonds) { order? as u16 + 1 } else { 0 };
            words[i] |= label << 3 | bond;
            backward[n - 1 - i] |= label << 3;
            if i > 0 {
                backward[n - i] |= bond;
            }
        }
        let sequence = (&words[..n]).min(&backward[..n]);
        let start = kind as u64 ^ 0xcbf2_9ce4_8422_2325;
        Some(sequence.iter().fold(start, |hash, &word| {
            (hash ^ u64::from(word)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    fn label(&self, atom: u32, kind: Kind) -> Option<u16> {
        let Label(element, aromatic) = self.labels[atom as usize];
        let element = u16::from(element?);
        match kind {
            Kind::Elements | Kind::Ring => Some(element << 1),
            Kind::Aromatic | Kind::Bonds | Kind::RingAromatic => {
                Some(element << 1 | u16::from(aromatic?))
            }
        }
    }
}

/// For each bond whether it is in a ring, whatever its order: not a bridge of the graph.
fn ring_bonds(atoms: usize, bonds: &[(u32, u32)]) -> Vec<bool> {
    let mut neighbours = vec![Vec::new(); atoms];
    for (index, &(begin, end)) in bonds.iter().enumerate() {
        neighbours[begin as usize].push((end as usize, index));
        neighbours[end as usize].push((begin as usize, index));
    }
    let mut in_ring = vec![false; bonds.len()];
    // Depth first: a bond is a bridge when nothing below it reaches above it (Tarjan 1974).
    let (mut order, mut low) = (vec![0usize; atoms], vec![0usize; atoms]);
    let mut next = 0;
    for root in 0..atoms {
        if order[root] != 0 {
            continue;
        }
        next += 1;
        (order[root], low[root]) = (next, next);
        let mut stack = vec![(root, usize::MAX, 0)];
        while let Some(top) = stack.last_mut() {
            let (atom, arrived, turn) = *top;
            top.2 += 1;
            match neighbours[atom].get(turn) {
                Some(&(_, bond)) if bond == arrived => {}
                Some(&(other, _)) if order[other] != 0 => low[atom] = low[atom].min(order[other]),
                Some(&(other, bond)) => {
                    next += 1;
                    (order[other], low[other]) = (next, next);
                    stack.push((other, bond, 0));
                }
                None => {
                    stack.pop();
                    if let Some(&(above, _, _)) = stack.last() {
                        low[above] = low[above].min(low[atom]);
                    }
                }
            }
        }
    }
    for (index, &(begin, end)) in bonds.iter().enumerate() {
        let (a, b) = (begin as usize, end as usize);
        let (above, below) = if order[a] < order[b] { (a, b) } else { (b, a) };
        in_ring[index] = low[below] <= order[above];
    }
    in_ring
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bonds_of_rings_are_told_from_bridges() {
        // A square with a tail, and two triangles that share an atom.
        let tailed = [(0, 1), (1, 2), (2, 3), (3, 0), (3, 4)];
        assert_eq!(ring_bonds(5, &tailed), [true, true, true, true, false]);
        let joined = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 2), (5, 6)];
        assert_eq!(ring_bonds(7, &joined), [true, true, true, true, true, true, false]);
    }

    #[test]
    fn screens_come_back_from_their_bytes() {
        let mut screen = Screen::empty();
        (0..50).for_each(|feature| screen.set(feature));
        assert_eq!(Screen::from_bytes(&screen.to_bytes()), Some(screen));
        assert_eq!(Screen::from_bytes(&[0; 255]), None);
    }
}
