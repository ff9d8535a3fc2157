//! Graph features for the encoders: OGB's atom and bond integers, distances, environments.
//!
//! The integer tables are those of OGB 1.3 (`ogb/utils/features.py`), so that weights trained on
//! such features can be loaded.

use crate::morgan::{self, Chirality, RADIUS};
use crate::topology::{Atom, Bond, Hybridisation, Order, Stereo, Topology};
use std::collections::VecDeque;

/// Distance between atoms of different parts.
pub const UNREACHABLE: u16 = 510;

/// Last index of OGB's element table: "something else".
const OTHER_ELEMENT: u16 = 118;

/// What an encoder sees of a molecule; rows are the atoms in the order of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphFeatures {
    /// Per atom: element index (Z - 1; 118 = other), chirality tag, total degree, charge + 5,
    /// hydrogens, radical electrons, hybridisation, aromatic, in ring.
    pub atoms: Vec<[u16; 9]>,
    /// Each bond once.
    pub bonds: Vec<GraphBond>,
    /// Bonds on the shortest path, `n * n` row-major; [`UNREACHABLE`] between parts.
    pub distances: Vec<u16>,
    /// Morgan identifiers of radius 0, 1 and 2, equal to RDKit's, none left out.
    pub environments: Vec<[u32; RADIUS + 1]>,
    /// The same with R/S and E/Z mixed in: stereoisomers differ.
    pub environments_chiral: Vec<[u32; RADIUS + 1]>,
}

/// One bond of [`GraphFeatures`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphBond {
    /// Row of the first atom.
    pub begin: u32,
    /// Row of the second atom.
    pub end: u32,
    /// Type (single 0, double 1, triple 2, aromatic 3, other 4), stereo (none 0, Z 1, E 2, cis 3,
    /// trans 4, any 5), conjugated.
    pub features: [u8; 3],
}

pub(crate) fn features(topology: &Topology) -> GraphFeatures {
    let atoms = &topology.atoms;
    GraphFeatures {
        atoms: (0..atoms.len()).map(|a| atom_row(&atoms[a], topology.degree(a))).collect(),
        bonds: topology.bonds.iter().map(bond_row).collect(),
        distances: distances(topology),
        environments: morgan::environments(topology, Chirality::Ignored),
        environments_chiral: morgan::environments(topology, Chirality::Mixed),
    }
}

fn atom_row(atom: &Atom, degree: usize) -> [u16; 9] {
    let element = match atom.element {
        z @ 1..=118 => u16::from(z) - 1,
        _ => OTHER_ELEMENT,
    };
    let charge = match atom.charge {
        c @ -5..=5 => (c + 5) as u16,
        _ => 11,
    };
    let hybridisation = match atom.hybridisation {
        Hybridisation::Sp => 0,
        Hybridisation::Sp2 => 1,
        Hybridisation::Sp3 => 2,
        Hybridisation::Sp3d => 3,
        Hybridisation::Sp3d2 => 4,
        Hybridisation::Other => 5,
    };
    [
        element,
        u16::from(atom.chiral_tag).min(4),
        (degree as u16 + u16::from(atom.hydrogens)).min(11),
        charge,
        u16::from(atom.hydrogens).min(9),
        u16::from(atom.radicals).min(5),
        hybridisation,
        u16::from(atom.aromatic),
        u16::from(atom.in_ring),
    ]
}

fn bond_row(bond: &Bond) -> GraphBond {
    let order = match bond.order {
        Order::Single => 0,
        Order::Double => 1,
        Order::Triple => 2,
        Order::Aromatic => 3,
        Order::Other => 4,
    };
    let stereo = match bond.stereo {
        Stereo::None => 0,
        Stereo::Z => 1,
        Stereo::E => 2,
        Stereo::Cis => 3,
        Stereo::Trans => 4,
        Stereo::Any => 5,
    };
    let features = [order, stereo, u8::from(bond.conjugated)];
    GraphBond { begin: bond.begin, end: bond.end, features }
}

/// Breadth first from every atom.
fn distances(topology: &Topology) -> Vec<u16> {
    let n = topology.atoms.len();
    let mut all = vec![UNREACHABLE; n * n];
    let mut queue = VecDeque::new();
    for start in 0..n {
        let row = &mut all[start * n..(start + 1) * n];
        row[start] = 0;
        queue.push_back(start);
        while let Some(atom) = queue.pop_front() {
            // A path longer than the sentinel cannot be told from none; it is capped below it.
            let next = (row[atom] + 1).min(UNREACHABLE - 1);
            for &(other, _) in &topology.neighbours[atom] {
                let other = other as usize;
                if row[other] == UNREACHABLE {
                    row[other] = next;
                    queue.push_back(other);
                }
            }
        }
    }
    all
}
