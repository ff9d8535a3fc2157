//! RDKit's path fingerprint ("RDK", Daylight-like): every connected set of one to seven bonds, branched or not, hashed to two of
//! 2,048 bits.
//!
//! Formula: RDKit `GraphMol/Fingerprints/RDKitFPGenerator.cpp` with its defaults; the second bit is the first number of Boost's
//! Mersenne twister with a state of four words. Bit for bit as RDKit's, see `RDKIT.md`.

use crate::error::ChemError;
use crate::fingerprint::Fingerprint;
use crate::limits::MAX_BOND_SETS;
use crate::morgan::combine;
use crate::topology::Topology;

/// Most bonds of a set.
const LONGEST: usize = 7;

/// The fingerprint of a graph.
///
/// # Errors
/// [`ChemError::TooLarge`] where there are more than [`MAX_BOND_SETS`] sets.
pub(crate) fn fingerprint(topology: &Topology) -> Result<Fingerprint, ChemError> {
    let mut walk = Walk::new(topology);
    for first in (0..topology.bonds.len() as u32).filter(|&bond| is_certain(topology, bond)) {
        walk.near[first as usize] = true;
        walk.path.push(first);
        let open = walk.newly_near(first, first);
        walk.grow(first, &open)?;
        walk.leave(&open);
        walk.path.clear();
    }
    Ok(walk.found)
}

/// Grows sets of bonds, each found once: from its smallest bond, only by larger ones, and each step only by bonds that no
/// earlier step could have taken (Wernicke's enumeration, IEEE/ACM TCBB 2006, on the graph of bonds).
struct Walk<'a> {
    topology: &'a Topology,
    /// For each bond those that share an atom with it.
    around: Vec<Vec<u32>>,
    path: Vec<u32>,
    /// Bonds that are in the set, or were open to it.
    near: Vec<bool>,
    sets: usize,
    found: Fingerprint,
}

impl<'a> Walk<'a> {
    fn new(topology: &'a Topology) -> Self {
        let around = (0u32..).zip(&topology.bonds).map(|(index, bond)| {
            let ends = [bond.begin, bond.end].into_iter();
            let bonds = ends.flat_map(|atom| &topology.neighbours[atom as usize]);
            let others = bonds.map(|&(_, bond)| bond).filter(|&bond| bond != index);
            others.filter(|&bond| is_certain(topology, bond)).collect()
        });
        Self {
            topology,
            around: around.collect(),
            path: Vec::with_capacity(LONGEST),
            near: vec![false; topology.bonds.len()],
            sets: 0,
            found: Fingerprint::empty(),
        }
    }

    /// Takes the set as it is, and all sets that the `open` bonds make of it.
    fn grow(&mut self, first: u32, open: &[u32]) -> Result<(), ChemError> {
        self.sets += 1;
        crate::molecule::limit("number of connected sets of bonds", self.sets, MAX_BOND_SETS)?;
        let seed = seed(self.topology, &self.path);
        self.found.set_folded(seed);
        self.found.set_folded(second_hash(seed));
        if self.path.len() == LONGEST {
            return Ok(());
        }
        for (taken, &bond) in open.iter().enumerate() {
            let fresh = self.newly_near(bond, first);
            let next: Vec<u32> = open[taken + 1..].iter().chain(&fresh).copied().collect();
            self.path.push(bond);
            self.grow(first, &next)?;
            self.path.pop();
            self.leave(&fresh);
        }
        Ok(())
    }

    /// Bonds beyond `first` around this one that were not near before, and are now.
    fn newly_near(&mut self, bond: u32, first: u32) -> Vec<u32> {
        let mut fresh = Vec::new();
        for &other in &self.around[bond as usize] {
            if other > first && !self.near[other as usize] {
                self.near[other as usize] = true;
                fresh.push(other);
            }
        }
        fresh
    }

    fn leave(&mut self, bonds: &[u32]) {
        bonds.iter().for_each(|&bond| self.near[bond as usize] = false);
    }
}

/// The hash of a set of bonds: of a single bond its own, else that of the sorted hashes and the number of atoms.
fn seed(topology: &Topology, path: &[u32]) -> u32 {
    let bonds: Vec<_> = path.iter().map(|&bond| &topology.bonds[bond as usize]).collect();
    let degree = |atom: u32| {
        bonds.iter().filter(|bond| bond.begin == atom || bond.end == atom).count() as u32
    };
    let mut hashes: Vec<u32> = bonds
        .iter()
        .map(|bond| {
            let end = |atom: u32| (invariant(topology, atom), degree(atom));
            let mut ends = [end(bond.begin), end(bond.end)];
            ends.sort_unstable();
            let [(small, few), (large, many)] = ends;
            // Bonds that share an atom with this one; two that share both are the same bond.
            let mut hash = few + many - 2;
            for value in [bond.rdkit_type, large, many, small, few] {
                combine(&mut hash, value);
            }
            hash
        })
        .collect();
    if let [single] = hashes[..] {
        return single;
    }
    hashes.sort_unstable();
    let mut atoms: Vec<u32> = bonds.iter().flat_map(|bond| [bond.begin, bond.end]).collect();
    atoms.sort_unstable();
    atoms.dedup();
    hashes.push(atoms.len() as u32);
    hashes.into_iter().fold(0, |mut seed, hash| {
        combine(&mut seed, hash);
        seed
    })
}

/// Whether a bond has an order; sets with one that has none (`~`) are not hashed.
fn is_certain(topology: &Topology, bond: u32) -> bool {
    topology.bonds[bond as usize].rdkit_type != 0
}

/// Element and aromaticity of an atom.
fn invariant(topology: &Topology, atom: u32) -> u32 {
    let atom = &topology.atoms[atom as usize];
    (u32::from(atom.element) % 128) << 1 | u32::from(atom.aromatic)
}

/// The upper 31 bits of the first number of a Mersenne twister (32-bit words, four of them, middle word 2, mask of 31 bits)
/// with this seed.
fn second_hash(seed: u32) -> u32 {
    let next = |word: u32, index: u32| {
        1_812_433_253u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(index)
    };
    let first = next(seed, 1);
    let second = next(first, 2);
    let mixed = (seed & 0x8000_0000) | (first & 0x7fff_ffff);
    let twist = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
    let mut word = second ^ (mixed >> 1) ^ twist;
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c_5680;
    word ^= (word << 15) & 0xefc6_0000;
    word ^= word >> 18;
    word >> 1
}

#[cfg(test)]
mod tests {
    use crate::limits::MAX_BOND_SETS;
    use crate::{ChemError, Molecule};

    #[test]
    fn the_order_of_atoms_does_not_matter_and_the_order_of_bonds_does() {
        let of = |smiles: &str| Molecule::from_smiles(smiles).unwrap().path_fingerprint().unwrap();
        assert_eq!(of("OC(=O)c1ccccc1O"), of("c1(O)c(C(O)=O)cccc1"));
        assert_ne!(of("CC=O"), of("CCO"));
        assert_ne!(of("C1CC1"), of("CC(C)C"));
        assert_eq!((of("[Na+].[Cl-]").count(), of("C~C").count()), (0, 0));
    }

    #[test]
    fn more_sets_than_the_bound_are_refused() {
        let star = format!("*{}", "(C)".repeat(40));
        let error = Molecule::from_smiles(&star).unwrap().path_fingerprint().unwrap_err();
        assert!(matches!(error, ChemError::TooLarge { limit: MAX_BOND_SETS, .. }), "{error}");
    }
}
