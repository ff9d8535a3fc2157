//! Features of molecules: Morgan environments up to radius 3, those that carry stereo, how many there are of the small ones,
//! and what the formula counts.

use std::collections::BTreeMap;

use moiety_chem::GraphFeatures;

use super::{Counter, Feature, FeatureCounts};

/// Kinds of features; one is never taken for another.
const ENVIRONMENT: u8 = b'e';
const STEREO: u8 = b's';
const SHELL: u8 = b'w';
const NUMBER: u8 = b'n';
const ELEMENT: u8 = b'z';
const TOTAL: u8 = b't';

/// Columns of [`GraphFeatures::atoms`].
const ATOMIC_NUMBER: usize = 0;
const CHARGE: usize = 3;
const HYDROGENS: usize = 4;
/// What the charge column adds so that it is never negative.
const CHARGE_OFFSET: i64 = 5;
/// Radii whose environments are also features by their exact number: hexane and heptane share all else.
const NUMBERED_RADII: usize = 2;

/// Features of a molecule.
pub(crate) fn molecule_features(graph: &GraphFeatures, table_rows: u32) -> FeatureCounts {
    let mut counter = Counter::new(table_rows);
    let mut numbers: BTreeMap<(u8, usize, u32), u32> = BTreeMap::new();
    for (plain, chiral) in graph.environments.iter().zip(&graph.environments_chiral) {
        for (radius, (&plain, &chiral)) in plain.iter().zip(chiral).enumerate() {
            let stereo = (plain != chiral).then_some((STEREO, radius, chiral));
            for feature in [Some((ENVIRONMENT, radius, plain)), stereo].into_iter().flatten() {
                counter.add(environment(feature));
                if radius < NUMBERED_RADII {
                    *numbers.entry(feature).or_default() += 1;
                }
            }
        }
    }
    wider_shells(graph).into_iter().for_each(|shell| counter.add(shell));
    for ((kind, radius, identifier), number) in numbers {
        let of = Feature::of(NUMBER).number(i64::from(kind)).number(radius as i64);
        counter.add(of.number(i64::from(identifier)).number(i64::from(number)));
    }
    for (kind, of, number) in totals(graph) {
        counter.add(Feature::of(kind).number(of).number(number));
    }
    counter.finish()
}

fn environment((kind, radius, identifier): (u8, usize, u32)) -> Feature {
    Feature::of(kind).number(radius as i64).number(i64::from(identifier))
}

/// Environments one bond wider than the graph's own: each atom's widest with those of its neighbours.
fn wider_shells(graph: &GraphFeatures) -> Vec<Feature> {
    let widest = |atom: u32| {
        let environments = &graph.environments[atom as usize];
        i64::from(environments[environments.len() - 1])
    };
    let mut around: Vec<Vec<(u8, i64)>> = vec![Vec::new(); graph.atoms.len()];
    for bond in &graph.bonds {
        for (atom, other) in [(bond.begin, bond.end), (bond.end, bond.begin)] {
            around[atom as usize].push((bond.features[0], widest(other)));
        }
    }
    let shell = |(atom, mut around): (u32, Vec<(u8, i64)>)| {
        around.sort_unstable();
        let centre = Feature::of(SHELL).number(widest(atom));
        around.into_iter().fold(centre, |f, (bond, other)| f.number(i64::from(bond)).number(other))
    };
    (0..).zip(around).map(shell).collect()
}

/// Atoms of each element, and in all hydrogens, atoms, rings, charge and parts: each with its exact number.
fn totals(graph: &GraphFeatures) -> Vec<(u8, i64, i64)> {
    let mut elements: BTreeMap<i64, i64> = BTreeMap::new();
    let (mut hydrogens, mut charge) = (0, 0);
    for atom in &graph.atoms {
        *elements.entry(i64::from(atom[ATOMIC_NUMBER])).or_default() += 1;
        hydrogens += i64::from(atom[HYDROGENS]);
        charge += i64::from(atom[CHARGE]) - CHARGE_OFFSET;
    }
    let (atoms, bonds) = (graph.atoms.len() as i64, graph.bonds.len() as i64);
    let parts = parts(graph);
    let in_all = [hydrogens, charge, atoms, bonds - atoms + parts, parts];
    let in_all = (0..).zip(in_all).map(|(what, number)| (TOTAL, what, number));
    elements.into_iter().map(|(z, number)| (ELEMENT, z, number)).chain(in_all).collect()
}

/// Number of connected parts: a part is counted at its first atom.
fn parts(graph: &GraphFeatures) -> i64 {
    let n = graph.atoms.len();
    let first = |atom: usize| {
        let row = &graph.distances[atom * n..][..atom];
        row.iter().all(|&distance| distance == moiety_chem::UNREACHABLE)
    };
    (0..n).filter(|&atom| first(atom)).count() as i64
}

#[cfg(test)]
mod tests {
    use moiety_chem::Molecule;

    use super::*;

    fn features(smiles: &str) -> FeatureCounts {
        molecule_features(&Molecule::from_smiles(smiles).expect("valid").graph(), 1 << 20)
    }

    #[test]
    fn the_order_of_atoms_counts_for_nothing() {
        assert_eq!(features("OC(=O)C[C@H](N)C"), features("C[C@@H](N)CC(O)=O"));
    }

    #[test]
    fn homologues_isomers_and_ions_differ() {
        for (one, other) in [
            ("CCCCCCCC(=O)O", "CCCCCCCCC(=O)O"),
            ("N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O"),
            ("C/C=C/C", "C/C=C\\C"),
            ("CC(=O)O", "CC(=O)[O-]"),
            ("Oc1ccccc1C", "Oc1cccc(C)c1"),
        ] {
            assert_ne!(features(one).rows, features(other).rows, "{one} {other}");
        }
    }

    #[test]
    fn totals_are_those_of_the_formula() {
        let graph = Molecule::from_smiles("[Na+].OC(=O)c1ccccc1").expect("valid").graph();
        let found = totals(&graph);
        // Seven carbons, two oxygens, one sodium.
        for expected in [(ELEMENT, 5, 7), (ELEMENT, 7, 2), (ELEMENT, 10, 1)] {
            assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
        }
        // Hydrogens, charge, heavy atoms, rings, parts.
        for (what, number) in (0..).zip([6, 1, 10, 1, 2]) {
            assert!(found.contains(&(TOTAL, what, number)), "{what} {number}");
        }
    }
}
