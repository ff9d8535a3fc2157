//! Which part of a salt is the molecule, and which charges can be undone.
//!
//! The rules follow the usual registration practice (as in RDKit's `LargestFragmentChooser` and
//! `Uncharger`), kept small: the largest part with carbon stays, and charges that a proton can
//! undo are undone, as far as permanent charges do not need them as counterweight.

use crate::topology::{Order, Topology};

/// Index of the part to keep, among [`Topology::parts`] without cuts; `None` keeps everything.
pub(crate) fn main_part(topology: &Topology, parts: &[Vec<u32>]) -> Option<usize> {
    let is_carbon = |&&atom: &&u32| topology.atoms[atom as usize].element == 6;
    let heavy = |part: &[u32]| {
        part.iter().filter(|&&atom| topology.atoms[atom as usize].element > 1).count()
    };
    let weight =
        |part: &[u32]| -> f64 { part.iter().map(|&atom| topology.atoms[atom as usize].mass).sum() };
    let organic = parts.iter().enumerate().filter(|(_, part)| part.iter().any(|a| is_carbon(&a)));
    // Later parts win only when larger, so equal parts (a dimer) keep the first.
    organic
        .reduce(|best, next| {
            let (a, b) = (best.1, next.1);
            let larger = heavy(b) > heavy(a) || (heavy(b) == heavy(a) && weight(b) > weight(a));
            if larger { next } else { best }
        })
        .map(|(index, _)| index)
        .filter(|_| parts.len() > 1)
}

/// Atoms whose charge is to become 0, ascending.
pub(crate) fn removable_charges(topology: &Topology) -> Vec<u32> {
    let mut acids: Vec<(u8, u32)> = Vec::new();
    let mut bases = Vec::new();
    let mut fixed = 0i32;
    for (index, atom) in (0u32..).zip(&topology.atoms) {
        match charge_kind(topology, index as usize) {
            Kind::Acid(strength) => acids.push((strength, index)),
            Kind::Base => bases.push(index),
            Kind::Fixed => fixed += i32::from(atom.charge),
        }
    }
    // The strongest acids stay charged where permanent cations need them.
    acids.sort_unstable();
    let needed = usize::try_from(fixed).unwrap_or(0);
    let mut removable: Vec<u32> = acids.into_iter().skip(needed).map(|(_, index)| index).collect();
    removable.extend(bases);
    removable.sort_unstable();
    removable
}

enum Kind {
    /// An anion that takes a proton; 0 is the strongest acid.
    Acid(u8),
    /// A cation that gives a proton.
    Base,
    /// Uncharged, or charged for good.
    Fixed,
}

fn charge_kind(topology: &Topology, index: usize) -> Kind {
    let atom = &topology.atoms[index];
    let neighbours = &topology.neighbours[index];
    let opposite = neighbours.iter().any(|&(other, _)| {
        i32::from(topology.atoms[other as usize].charge) * i32::from(atom.charge) < 0
    });
    match (atom.charge, atom.element) {
        _ if opposite => Kind::Fixed,
        (-1, 8 | 16 | 34) => Kind::Acid(acid_strength(topology, index)),
        (-1, 6 | 7 | 15) => Kind::Acid(4),
        (-1, 9 | 17 | 35 | 53) if neighbours.is_empty() => Kind::Acid(0),
        (1, 7 | 8 | 15 | 16 | 34) if atom.hydrogens > 0 => Kind::Base,
        _ => Kind::Fixed,
    }
}

/// Sulfonic before phosphoric before carboxylic before other acids.
fn acid_strength(topology: &Topology, index: usize) -> u8 {
    let neighbours = &topology.neighbours[index];
    let strength = |other: usize| {
        let oxo = topology.neighbours[other].iter().any(|&(far, bond)| {
            topology.atoms[far as usize].element == 8
                && topology.bonds[bond as usize].order == Order::Double
        });
        match topology.atoms[other].element {
            16 if oxo => 0,
            15 if oxo => 1,
            6 if oxo => 2,
            _ => 3,
        }
    };
    neighbours.iter().map(|&(other, _)| strength(other as usize)).min().unwrap_or(3)
}
