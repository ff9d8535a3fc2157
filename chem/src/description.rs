//! A structure in words: what can be read off the graph, said as ChEBI's definitions say it.

use crate::{
    groups::{self, Group},
    molecule::Molecule,
    topology::{Cip, Order, Stereo, Topology},
};

/// Counts in words; larger ones are in digits.
const WORDS: [&str; 21] = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];
/// Shortest chain of carbons that is mentioned.
const CHAIN: usize = 4;

/// Sentences on groups, size, chains, charge and stereo, each only where there is something to say.
pub(crate) fn description(molecule: &Molecule, topology: &Topology) -> String {
    let sentences = [
        group_sentence(&groups::groups(molecule)),
        Some(size_sentence(topology)),
        chain_sentence(topology),
        charge_sentence(topology),
        stereo_sentence(topology),
    ];
    sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn group_sentence(groups: &[Group]) -> Option<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for group in groups {
        match counts.iter_mut().find(|(name, _)| *name == group.name) {
            Some((_, count)) => *count += 1,
            None => counts.push((group.name, 1)),
        }
    }
    let said: Vec<String> = counts.iter().map(|&(name, count)| counted(count, name)).collect();
    (!said.is_empty()).then(|| format!("It contains {}.", listed(&said)))
}

fn size_sentence(topology: &Topology) -> String {
    let of = |element: u8| topology.atoms.iter().filter(|atom| atom.element == element).count();
    let elements = [
        (6, "carbon atom"),
        (7, "nitrogen atom"),
        (8, "oxygen atom"),
        (16, "sulfur atom"),
        (15, "phosphorus atom"),
    ];
    let mut said: Vec<String> = elements
        .iter()
        .filter(|(element, _)| of(*element) > 0)
        .map(|&(element, name)| counted(of(element), name))
        .collect();
    said.push(counted(topology.rings as usize, "ring"));
    format!("It has {}.", listed(&said))
}

/// The longest path over carbons outside rings.
fn chain_sentence(topology: &Topology) -> Option<String> {
    let longest = longest_chain(topology);
    (longest >= CHAIN)
        .then(|| format!("Its longest chain has {}.", counted(longest, "carbon atom")))
}

fn longest_chain(topology: &Topology) -> usize {
    let in_chain = |atom: usize| topology.atoms[atom].element == 6 && !topology.atoms[atom].in_ring;
    // Outside rings the carbons form trees: the atom farthest from any atom ends a longest path.
    let farthest = |start: usize| {
        let mut reached = vec![(start, usize::MAX, 1)];
        let mut next = 0;
        while let Some(&(atom, from, length)) = reached.get(next) {
            next += 1;
            let bonded = topology.neighbours[atom].iter().map(|&(other, _)| other as usize);
            reached.extend(
                bonded
                    .filter(|&other| other != from && in_chain(other))
                    .map(|other| (other, atom, length + 1)),
            );
        }
        reached
    };
    let mut seen = vec![false; topology.atoms.len()];
    let mut longest = 0;
    for start in (0..topology.atoms.len()).filter(|&atom| in_chain(atom)) {
        if seen[start] {
            continue;
        }
        let tree = farthest(start);
        tree.iter().for_each(|&(atom, ..)| seen[atom] = true);
        let end = tree.last().map_or(start, |&(atom, ..)| atom);
        longest = longest.max(farthest(end).last().map_or(0, |&(.., length)| length));
    }
    longest
}

fn charge_sentence(topology: &Topology) -> Option<String> {
    let charge: i32 = topology.atoms.iter().map(|atom| i32::from(atom.charge)).sum();
    (charge != 0).then(|| format!("It is an ion of charge {charge:+}."))
}

fn stereo_sentence(topology: &Topology) -> Option<String> {
    let centres =
        |wanted: Cip| topology.atoms.iter().filter(|atom| atom.cip == Some(wanted)).count();
    let bonds = |wanted: [Stereo; 2]| {
        topology
            .bonds
            .iter()
            .filter(|bond| bond.order == Order::Double && wanted.contains(&bond.stereo))
            .count()
    };
    let said: Vec<String> = [
        (centres(Cip::R), "stereocentre", "R"),
        (centres(Cip::S), "stereocentre", "S"),
        (bonds([Stereo::E, Stereo::Trans]), "double bond", "E"),
        (bonds([Stereo::Z, Stereo::Cis]), "double bond", "Z"),
    ]
    .into_iter()
    .filter(|&(count, ..)| count > 0)
    .map(|(count, what, label)| format!("{} of {label} configuration", counted(count, what)))
    .collect();
    (!said.is_empty()).then(|| format!("It has {}.", listed(&said)))
}

/// `two thiols`, `a` never.
fn counted(count: usize, name: &str) -> String {
    let number = WORDS.get(count).map_or_else(|| count.to_string(), |word| (*word).to_owned());
    let plural = if count == 1 { "" } else { "s" };
    format!("{number} {name}{plural}")
}

fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::molecule::Molecule;

    #[test]
    fn structures_are_said_in_words() {
        for (smiles, said) in [
            (
                "CC(=O)Oc1ccccc1C(=O)O",
                "It contains one carboxylic acid, one acetate ester and one benzene ring. It has nine carbon atoms, four oxygen \
                 atoms and one ring.",
            ),
            (
                "CCCCCCCC/C=C\\CCCCCCCC(=O)[O-]",
                "It contains one carboxylate and one carbon-carbon double bond. It has eighteen carbon atoms, two oxygen atoms and \
                 no rings. Its longest chain has eighteen carbon atoms. It is an ion of charge -1. It has one double bond of Z \
                 configuration.",
            ),
            (
                "C[C@H](N)C(=O)O",
                "It contains one alpha-amino acid. It has three carbon atoms, one nitrogen atom, two oxygen atoms and no rings. It \
                 has one stereocentre of S configuration.",
            ),
            (
                "CC(C)CCC(C)C(C)C",
                "It has ten carbon atoms and no rings. Its longest chain has seven carbon atoms.",
            ),
            ("O", "It has one oxygen atom and no rings."),
        ] {
            assert_eq!(
                Molecule::from_smiles(smiles).expect("valid").description(),
                said,
                "{smiles}"
            );
        }
    }
}
