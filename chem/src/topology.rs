//! The plain graph of a molecule, copied once out of the chemistry library.
//!
//! Everything this room computes itself reads only this, so the rest of the room does not depend
//! on which library parsed the text.

/// An atom as perceived: aromaticity, hydrogens and stereo are final.
#[derive(Debug, Clone)]
pub(crate) struct Atom {
    /// Atomic number, 0 for a dummy.
    pub(crate) element: u8,
    pub(crate) symbol: &'static str,
    pub(crate) charge: i8,
    /// Hydrogens that are not atoms of the graph.
    pub(crate) hydrogens: u8,
    pub(crate) radicals: u8,
    pub(crate) hybridisation: Hybridisation,
    pub(crate) aromatic: bool,
    /// Chirality tag in RDKit's numbering: 0 none, 1 clockwise, 2 counter-clockwise, others.
    pub(crate) chiral_tag: u8,
    pub(crate) cip: Option<Cip>,
    pub(crate) in_ring: bool,
    /// Whole part of (isotope mass - standard atomic weight), 0 without an isotope.
    pub(crate) mass_delta: i32,
    /// Mean mass over natural isotopes, in dalton; the isotope's own where one is given.
    pub(crate) mass: f64,
    /// Mass of the commonest isotope, in dalton; the isotope's own where one is given.
    pub(crate) exact_mass: f64,
}

/// Label of a tetrahedral centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cip {
    R,
    S,
    /// Pseudo-asymmetric, as in ring stereo.
    LowerR,
    LowerS,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hybridisation {
    Sp,
    Sp2,
    Sp3,
    Sp3d,
    Sp3d2,
    Other,
}

#[derive(Debug, Clone)]
pub(crate) struct Bond {
    pub(crate) begin: u32,
    pub(crate) end: u32,
    pub(crate) order: Order,
    /// RDKit's number of the bond type, which Morgan identifiers hash.
    pub(crate) rdkit_type: u32,
    pub(crate) stereo: Stereo,
    pub(crate) conjugated: bool,
    pub(crate) in_ring: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Single,
    Double,
    Triple,
    Aromatic,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stereo {
    None,
    Z,
    E,
    Cis,
    Trans,
    Any,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Topology {
    pub(crate) atoms: Vec<Atom>,
    pub(crate) bonds: Vec<Bond>,
    /// Per atom: (neighbour, bond).
    pub(crate) neighbours: Vec<Vec<(u32, u32)>>,
    /// Smallest rings, symmetric equivalents included.
    pub(crate) rings: u32,
    /// Those of them whose bonds are all aromatic.
    pub(crate) aromatic_rings: u32,
}

impl Topology {
    /// Joins atoms and bonds; `rings` lists the bonds of each ring.
    pub(crate) fn new(atoms: Vec<Atom>, bonds: Vec<Bond>, rings: &[Vec<usize>]) -> Self {
        let mut neighbours = vec![Vec::new(); atoms.len()];
        for (index, bond) in (0u32..).zip(&bonds) {
            neighbours[bond.begin as usize].push((bond.end, index));
            neighbours[bond.end as usize].push((bond.begin, index));
        }
        let aromatic =
            |ring: &&Vec<usize>| ring.iter().all(|&bond| bonds[bond].order == Order::Aromatic);
        let aromatic_rings = rings.iter().filter(aromatic).count() as u32;
        Self { atoms, bonds, neighbours, rings: rings.len() as u32, aromatic_rings }
    }

    /// Number of neighbours in the graph.
    pub(crate) fn degree(&self, atom: usize) -> usize {
        self.neighbours[atom].len()
    }

    /// Number of atoms other than hydrogens and dummies.
    pub(crate) fn heavy_atoms(&self) -> usize {
        self.atoms.iter().filter(|atom| atom.element > 1).count()
    }

    /// Connected parts after removing the bonds for which `cut` holds, each ascending, ordered by
    /// their smallest atom.
    pub(crate) fn parts(&self, cut: impl Fn(usize) -> bool) -> Vec<Vec<u32>> {
        let mut seen = vec![false; self.atoms.len()];
        let mut parts = Vec::new();
        for start in 0..self.atoms.len() {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let mut part = vec![start as u32];
            let mut next = 0;
            while let Some(&atom) = part.get(next) {
                next += 1;
                for &(other, bond) in &self.neighbours[atom as usize] {
                    if !seen[other as usize] && !cut(bond as usize) {
                        seen[other as usize] = true;
                        part.push(other);
                    }
                }
            }
            part.sort_unstable();
            parts.push(part);
        }
        parts
    }
}
