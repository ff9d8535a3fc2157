//! Numbers a chemist filters by, as RDKit defines them.
//!
//! Formula, masses, charge and ring count are summed here from the perceived graph; the others
//! come from the chemistry library and are missing in the rare case that it fails.

use crate::foreign::{Descriptors, Stereo};
use crate::topology::Topology;
use std::collections::BTreeMap;

/// Mass of the hydrogens that are not atoms of the graph, mean and commonest isotope.
const HYDROGEN_MASS: (f64, f64) = (1.008, 1.007_825_032);

/// Mass of an electron in dalton, which an ion's exact mass lacks or has more.
const ELECTRON_MASS: f64 = 0.000_548_579_909;

/// Properties of a molecule; every part of a salt counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Properties {
    /// Formula as C, H, then the alphabet, with the charge behind it, for example `C2H3O2-`.
    pub formula: String,
    /// Mass with the commonest isotopes, in dalton.
    pub exact_mass: f64,
    /// Mass with natural isotopes, in g/mol.
    pub molecular_weight: f64,
    /// Atoms other than hydrogens and dummies.
    pub heavy_atoms: u32,
    /// Smallest rings, symmetric equivalents included, as RDKit counts them (cubane has 6).
    pub rings: u32,
    /// Sum of formal charges, in elementary charges.
    pub charge: i32,
    /// Octanol-water partition coefficient after Wildman and Crippen, as a decimal logarithm.
    pub log_p: Option<f64>,
    /// Polar surface of N and O after Ertl, in Å².
    pub tpsa: Option<f64>,
    /// Hydrogen bond donors.
    pub hydrogen_bond_donors: Option<u32>,
    /// Hydrogen bond acceptors.
    pub hydrogen_bond_acceptors: Option<u32>,
    /// Rotatable bonds, strict definition (amides and the like do not count).
    pub rotatable_bonds: Option<u32>,
    /// Stereo elements; missing where they could not be perceived.
    pub stereo: Option<StereoCounts>,
}

/// How many stereo elements are set and how many were left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StereoCounts {
    /// Stereocentres with a given handedness.
    pub atoms_assigned: u32,
    /// Stereocentres without.
    pub atoms_unassigned: u32,
    /// Double bonds given as E or Z.
    pub bonds_assigned: u32,
    /// Double bonds that could be E or Z.
    pub bonds_unassigned: u32,
}

pub(crate) fn properties(
    topology: &Topology,
    descriptors: Descriptors,
    stereo: Option<Stereo>,
) -> Properties {
    let atoms = &topology.atoms;
    let charge: i32 = atoms.iter().map(|atom| i32::from(atom.charge)).sum();
    let electrons = f64::from(charge) * ELECTRON_MASS;
    let hydrogens: f64 = atoms.iter().map(|atom| f64::from(atom.hydrogens)).sum();
    Properties {
        formula: formula(topology, charge),
        exact_mass: atoms.iter().map(|a| a.exact_mass).sum::<f64>() + hydrogens * HYDROGEN_MASS.1
            - electrons,
        molecular_weight: atoms.iter().map(|a| a.mass).sum::<f64>() + hydrogens * HYDROGEN_MASS.0,
        heavy_atoms: topology.heavy_atoms() as u32,
        rings: topology.rings,
        charge,
        log_p: descriptors.log_p,
        tpsa: descriptors.tpsa,
        hydrogen_bond_donors: descriptors.donors,
        hydrogen_bond_acceptors: descriptors.acceptors,
        rotatable_bonds: descriptors.rotatable,
        stereo: stereo.map(|count| StereoCounts {
            atoms_assigned: count.atoms,
            atoms_unassigned: count.atoms_open,
            bonds_assigned: count.bonds,
            bonds_unassigned: count.bonds_open,
        }),
    }
}

/// RDKit's order: C, H, then the alphabet, also where there is no carbon.
fn formula(topology: &Topology, charge: i32) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for atom in &topology.atoms {
        *counts.entry(atom.symbol).or_default() += 1;
        if atom.hydrogens > 0 {
            *counts.entry("H").or_default() += usize::from(atom.hydrogens);
        }
    }
    let mut text = String::new();
    let mut put = |symbol: &str, count: usize| match count {
        0 => {}
        1 => text.push_str(symbol),
        _ => text.push_str(&format!("{symbol}{count}")),
    };
    put("C", counts.remove("C").unwrap_or(0));
    put("H", counts.remove("H").unwrap_or(0));
    counts.iter().for_each(|(symbol, &count)| put(symbol, count));
    match charge {
        0 => text,
        1 => text + "+",
        -1 => text + "-",
        _ => format!("{text}{charge:+}"),
    }
}
