//! Which part of a salt is the molecule, and which charges can be undone.
//!
//! The rules follow the usual registration practice, kept small. Of the parts that are organic the largest stays, counted as
//! RDKit's `LargestFragmentChooser` does: by all atoms, hydrogens included, then by mass. A structure with a metal that is more
//! than a counter-ion stays whole, as such structures do in ChEMBL's pipeline (Bento et al., J. Cheminform. 2020, 12, 51, whose
//! list is extended here by zinc, silver and the metals of lithium, strontium, barium and aluminium drugs). Charges that a proton
//! can undo are undone, as in RDKit's `Uncharger`, as far as permanent charges do not need them as counterweight.

use crate::topology::{Order, Topology};

/// The version of these rules. It changes whenever a structure would be stored in another form than before.
///
/// 1: the largest part by heavy atoms, whatever metal was beside it. 2: by all atoms, and metals of complexes and of metal drugs
/// stay.
pub const NORMALISATION_RULE: u32 = 2;

/// Metals that are mere counter-ions: sodium, magnesium, potassium, calcium, rubidium, caesium.
const COUNTER_IONS: [u8; 6] = [11, 12, 19, 20, 37, 55];

/// Index of the part to keep, among [`Topology::parts`] without cuts; `None` keeps everything.
pub(crate) fn main_part(topology: &Topology, parts: &[Vec<u32>]) -> Option<usize> {
    if parts.len() == 1 || topology.atoms.iter().any(|atom| is_kept_metal(atom.element)) {
        return None;
    }
    let size = |part: &[u32]| -> usize {
        let hydrogens = |&atom: &u32| usize::from(topology.atoms[atom as usize].hydrogens);
        part.iter().map(|atom| 1 + hydrogens(atom)).sum()
    };
    let weight =
        |part: &[u32]| -> f64 { part.iter().map(|&atom| topology.atoms[atom as usize].mass).sum() };
    let organic = parts.iter().enumerate().filter(|(_, part)| is_organic(topology, part));
    // Later parts win only when larger, so equal parts (a dimer) keep the first.
    organic
        .reduce(|best, next| {
            let (a, b) = (best.1, next.1);
            let larger = size(b) > size(a) || (size(b) == size(a) && weight(b) > weight(a));
            if larger { next } else { best }
        })
        .map(|(index, _)| index)
}

/// Metals, but for those that are mere counter-ions: of the d- and f-block, and the heavier ones of the s- and p-block.
fn is_kept_metal(element: u8) -> bool {
    let is_metal = matches!(
        element,
        3 | 4 | 11..=13 | 19..=32 | 37..=51 | 55..=84 | 87..=116
    );
    is_metal && !COUNTER_IONS.contains(&element)
}

/// Whether a part has a carbon bound to hydrogen or carbon; carbonates, cyanides and the like have not.
fn is_organic(topology: &Topology, part: &[u32]) -> bool {
    let is_carbon = |atom: usize| topology.atoms[atom].element == 6;
    part.iter().map(|&atom| atom as usize).filter(|&atom| is_carbon(atom)).any(|atom| {
        let mut neighbours = topology.neighbours[atom].iter();
        topology.atoms[atom].hydrogens > 0
            || neighbours.any(|&(other, _)| is_carbon(other as usize))
    })
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
