//! Morgan environment identifiers, as RDKit's Morgan generator computes them.
//!
//! Formula: RDKit `GraphMol/Fingerprints/MorganGenerator.cpp` (connectivity invariants, bond types
//! on, ring membership on) with Boost's 32-bit `hash_combine`. Identifiers here are per atom and
//! radius and never left out; [`distinct`] applies RDKit's removal of repeated environments.

use crate::topology::{Cip, Order, Stereo, Topology};
use std::collections::HashSet;

/// Largest radius computed.
pub(crate) const RADIUS: usize = 2;

/// Whether stereo labels enter the identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chirality {
    Ignored,
    Mixed,
}

/// Identifier of each atom's environment at radius 0, 1 and 2.
pub(crate) fn environments(topology: &Topology, chirality: Chirality) -> Vec<[u32; RADIUS + 1]> {
    let mut current: Vec<u32> =
        (0..topology.atoms.len()).map(|atom| invariant(topology, atom, chirality)).collect();
    let mut rows: Vec<[u32; RADIUS + 1]> = current.iter().map(|&id| [id, 0, 0]).collect();
    let bonds = bond_invariants(topology, chirality);
    let mut around: Vec<(u32, u32)> = Vec::new();
    for layer in 0..RADIUS {
        let grown: Vec<u32> = (0..current.len())
            .map(|atom| {
                around.clear();
                let neighbours = &topology.neighbours[atom];
                around.extend(
                    neighbours.iter().map(|&(a, b)| (bonds[b as usize], current[a as usize])),
                );
                // The bond invariant is a signed number in RDKit; both orders agree on these values.
                around.sort_unstable();
                grow(layer as u32, current[atom], &around)
            })
            .collect();
        for (row, &id) in rows.iter_mut().zip(&grown) {
            row[layer + 1] = id;
        }
        current = grown;
    }
    rows
}

/// Identifiers kept by RDKit: of environments that cover the same bonds, only the first.
pub(crate) fn distinct(topology: &Topology, rows: &[[u32; RADIUS + 1]]) -> Vec<(u32, u32, u32)> {
    let mut kept: Vec<(u32, u32, u32)> =
        (0u32..).zip(rows).map(|(atom, row)| (row[0], atom, 0)).collect();
    let words = topology.bonds.len().div_ceil(64);
    let mut cover = vec![vec![0u64; words]; rows.len()];
    let mut dead: Vec<bool> = (0..rows.len()).map(|a| topology.degree(a) == 0).collect();
    let mut seen: HashSet<Vec<u64>> = HashSet::new();
    for layer in 1..=RADIUS {
        let wider = widen(topology, &cover, &dead);
        let mut round: Vec<(&Vec<u64>, u32, usize)> = (0..rows.len())
            .filter(|&atom| !dead[atom])
            .map(|atom| (&wider[atom], rows[atom][layer], atom))
            .collect();
        round.sort_unstable();
        for (bonds, id, atom) in round {
            if seen.insert(bonds.clone()) {
                kept.push((id, atom as u32, layer as u32));
            } else {
                dead[atom] = true;
            }
        }
        cover = wider;
    }
    kept
}

fn widen(topology: &Topology, cover: &[Vec<u64>], dead: &[bool]) -> Vec<Vec<u64>> {
    let mut wider = cover.to_vec();
    for (atom, bits) in wider.iter_mut().enumerate().filter(|(atom, _)| !dead[*atom]) {
        for &(other, bond) in &topology.neighbours[atom] {
            bits[bond as usize / 64] |= 1 << (bond % 64);
            for (word, more) in bits.iter_mut().zip(&cover[other as usize]) {
                *word |= more;
            }
        }
    }
    wider
}

fn invariant(topology: &Topology, index: usize, chirality: Chirality) -> u32 {
    let atom = &topology.atoms[index];
    let total_degree = topology.degree(index) as u32 + u32::from(atom.hydrogens);
    let is_hydrogen = |&&(other, _): &&(u32, u32)| topology.atoms[other as usize].element == 1;
    let kept = topology.neighbours[index].iter().filter(is_hydrogen).count();
    let mut seed = 0;
    combine(&mut seed, u32::from(atom.element));
    combine(&mut seed, total_degree);
    combine(&mut seed, u32::from(atom.hydrogens) + kept as u32);
    combine(&mut seed, i32::from(atom.charge) as u32);
    combine(&mut seed, atom.mass_delta as u32);
    if atom.in_ring {
        combine(&mut seed, 1);
    }
    match (chirality, atom.cip) {
        (Chirality::Mixed, Some(label)) => {
            combine(&mut seed, cip_code(label));
            seed
        }
        _ => seed,
    }
}

fn bond_invariants(topology: &Topology, chirality: Chirality) -> Vec<u32> {
    let stereo_code = |stereo| match stereo {
        Stereo::None | Stereo::Any => 0,
        Stereo::Z | Stereo::Cis => 1_000,
        Stereo::E | Stereo::Trans => 2_000,
    };
    let code = |bond: &crate::topology::Bond| match (chirality, bond.order) {
        (Chirality::Mixed, Order::Double) => bond.rdkit_type + stereo_code(bond.stereo),
        _ => bond.rdkit_type,
    };
    topology.bonds.iter().map(code).collect()
}

fn cip_code(label: Cip) -> u32 {
    match label {
        Cip::R => 1,
        Cip::S => 2,
        Cip::LowerR => 3,
        Cip::LowerS => 4,
    }
}

fn grow(layer: u32, own: u32, around: &[(u32, u32)]) -> u32 {
    let mut id = layer;
    combine(&mut id, own);
    for &(bond, neighbour) in around {
        let mut pair = 0;
        combine(&mut pair, bond);
        combine(&mut pair, neighbour);
        combine(&mut id, pair);
    }
    id
}

/// Boost's `hash_combine` on 32-bit values, where the hash of a number is the number.
pub(crate) fn combine(seed: &mut u32, value: u32) {
    let mixed =
        value.wrapping_add(0x9e37_79b9).wrapping_add(seed.wrapping_shl(6)).wrapping_add(*seed >> 2);
    *seed ^= mixed;
}
