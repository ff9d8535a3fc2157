//! Copies what the library perceived into the plain graph of this room.

use super::{Foreign, guard, internal};
use crate::error::ChemError;
use crate::topology::{Atom, Bond, Cip, Hybridisation, Order, Stereo, Topology};
use cosmolkit::{BondOrder, BondStereo, CipDescriptor, Hybridization, Molecule, MoleculeAtom};

/// Bound on the newer stereo rules, which can take exponential time on symmetric cages.
const CIP_MAX_ITERATIONS: u32 = 20_000;

/// Copies the perceived graph.
pub(crate) fn topology(molecule: &Foreign) -> Result<Topology, ChemError> {
    guard("perceiving the graph", molecule.size(), || {
        let inner = &molecule.0;
        let rings = inner.symmetrized_sssr().map_err(|e| internal("finding rings", &e))?;
        let mut ring_atoms = vec![false; inner.num_atoms()];
        let mut ring_bonds = vec![false; inner.num_bonds()];
        rings.atom_rings().iter().flatten().for_each(|a| ring_atoms[a.index()] = true);
        rings.bond_rings().iter().flatten().for_each(|b| ring_bonds[b.index()] = true);
        let mut atoms = inner
            .atoms()
            .iter()
            .map(|atom| copy_atom(atom, ring_atoms[atom.id().index()]))
            .collect::<Result<Vec<_>, _>>()?;
        label_ring_stereo(inner, &mut atoms);
        let bonds = inner.bonds().iter().map(|b| copy_bond(b, ring_bonds[b.id().index()]));
        let rings: Vec<Vec<usize>> = rings
            .bond_rings()
            .iter()
            .map(|ring| ring.iter().map(|bond| bond.index()).collect())
            .collect();
        Ok(Topology::new(atoms, bonds.collect(), &rings))
    })
}

/// Coordinates of the first 3D conformer, in ångström; one row per atom.
pub(crate) fn coordinates(molecule: &Foreign) -> Option<Vec<[f32; 3]>> {
    let conformer = molecule.0.conformers_3d().first()?;
    Some(conformer.coordinates().iter().map(|row| row.map(|x| x as f32)).collect())
}

fn copy_atom(atom: &MoleculeAtom, in_ring: bool) -> Result<Atom, ChemError> {
    let hydrogens = atom.total_hydrogens().map_err(|e| internal("counting hydrogens", &e))?;
    let cip = atom.cip_descriptor().map_err(|e| internal("reading stereo labels", &e))?;
    let (mass, exact_mass) = masses(atom);
    Ok(Atom {
        element: atom.atomic_number(),
        symbol: atom.element().symbol(),
        charge: atom.formal_charge(),
        hydrogens: u8::try_from(hydrogens).unwrap_or(u8::MAX),
        radicals: atom.radical_electrons(),
        hybridisation: match atom.hybridization() {
            Hybridization::Sp => Hybridisation::Sp,
            Hybridization::Sp2 => Hybridisation::Sp2,
            Hybridization::Sp3 => Hybridisation::Sp3,
            Hybridization::Sp3d => Hybridisation::Sp3d,
            Hybridization::Sp3d2 => Hybridisation::Sp3d2,
            _ => Hybridisation::Other,
        },
        aromatic: atom.is_aromatic(),
        chiral_tag: u8::try_from(atom.chiral_tag_code()).unwrap_or(u8::MAX),
        cip: cip.and_then(copy_label),
        in_ring,
        mass_delta: mass_delta(atom),
        mass,
        exact_mass,
    })
}

/// Reading labels centres by RDKit's older rules, which leave out pseudo-asymmetric ones (cis and
/// trans 1,4-dimethylcyclohexane). Those get r/s from the newer rules, where they end in time.
fn label_ring_stereo(molecule: &Molecule, atoms: &mut [Atom]) {
    let unlabelled = |atom: &Atom| matches!(atom.chiral_tag, 1 | 2) && atom.cip.is_none();
    let missing: Vec<usize> = (0..atoms.len()).filter(|&i| unlabelled(&atoms[i])).collect();
    if missing.is_empty() {
        return;
    }
    let options = cosmolkit::CipLabelOptions::default()
        .with_atoms(missing.iter().map(|&index| cosmolkit::AtomId::new(index)))
        .with_bonds([])
        .with_max_recursive_iterations(CIP_MAX_ITERATIONS);
    let mut labelled = molecule.clone();
    if labelled.assign_cip_labels_with_options_(&options).is_err() {
        return;
    }
    let read = labelled.atoms();
    for index in missing {
        atoms[index].cip = read[index].cip_descriptor().ok().flatten().and_then(copy_label);
    }
}

fn copy_label(label: CipDescriptor) -> Option<Cip> {
    match label {
        CipDescriptor::R => Some(Cip::R),
        CipDescriptor::S => Some(Cip::S),
        CipDescriptor::LowerR => Some(Cip::LowerR),
        CipDescriptor::LowerS => Some(Cip::LowerS),
        _ => None,
    }
}

/// Mass in the mean over natural isotopes and of the commonest isotope, or twice the isotope's.
fn masses(atom: &MoleculeAtom) -> (f64, f64) {
    match atom.isotope() {
        Some(isotope) => {
            let mass = isotope_mass(atom, isotope);
            (mass, mass)
        }
        None => (
            cosmolkit_core::atomic_mass(atom.element(), None).unwrap_or(0.0),
            cosmolkit_core::most_common_isotope_mass(atom.element()),
        ),
    }
}

/// RDKit takes the mass number for an isotope that is in no table.
fn isotope_mass(atom: &MoleculeAtom, isotope: u16) -> f64 {
    let mass = cosmolkit_core::isotope_mass(atom.element(), isotope).unwrap_or(0.0);
    if mass > 0.0 || atom.atomic_number() == 0 { mass } else { f64::from(isotope) }
}

fn mass_delta(atom: &MoleculeAtom) -> i32 {
    let mean = cosmolkit_core::atomic_mass(atom.element(), None).unwrap_or(0.0);
    atom.isotope().map_or(0, |isotope| (isotope_mass(atom, isotope) - mean) as i32)
}

fn copy_bond(bond: &cosmolkit::Bond, in_ring: bool) -> Bond {
    let order = if bond.is_aromatic() { BondOrder::Aromatic } else { bond.order() };
    Bond {
        begin: bond.begin().index() as u32,
        end: bond.end().index() as u32,
        order: match bond.order() {
            BondOrder::Single => Order::Single,
            BondOrder::Double => Order::Double,
            BondOrder::Triple => Order::Triple,
            BondOrder::Aromatic => Order::Aromatic,
            _ => Order::Other,
        },
        rdkit_type: u32::try_from(order.rdkit_code()).unwrap_or(0),
        stereo: match bond.stereo() {
            BondStereo::Z => Stereo::Z,
            BondStereo::E => Stereo::E,
            BondStereo::Cis => Stereo::Cis,
            BondStereo::Trans => Stereo::Trans,
            BondStereo::Any => Stereo::Any,
            _ => Stereo::None,
        },
        conjugated: bond.is_conjugated(),
        in_ring,
    }
}
