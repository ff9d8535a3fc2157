//! What chemists call the parts of a molecule: functional groups and ring systems, with their atoms.
//!
//! Each name has a SMARTS pattern. The table goes from large to small: what lies wholly within a part that already has a
//! name gets none of its own, so that the hydroxy of a carboxylic acid is no alcohol and the rings of a steroid are no
//! cyclohexanes. Names are those of the Gold Book and of ChEBI where these have one.

use std::sync::LazyLock;

use crate::{
    molecule::Molecule,
    pattern::{Pattern, PatternStereo},
};

/// A part of a molecule that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, such as `carboxylic acid`.
    pub name: &'static str,
    /// Its atoms, ascending.
    pub atoms: Vec<u32>,
}

/// Name and pattern, larger parts first.
const TABLE: &[(&str, &str)] = &[
    // Ring systems.
    (
        "steroid core",
        "[#6]1~[#6]~[#6]~[#6]2~[#6](~[#6]~1)~[#6]~[#6]~[#6]1~[#6]~2~[#6]~[#6]~[#6]2~[#6]~[#6]~[#6]~[#6]~1~2",
    ),
    ("porphyrin", "c1cc2cc3ccc(n3)cc3ccc([nH]3)cc3ccc(n3)cc1[nH]2"),
    ("flavone", "O=c1cc(-c2ccccc2)oc2ccccc12"),
    ("isoflavone", "O=c1c(-c2ccccc2)coc2ccccc12"),
    ("flavanone", "O=C1CC(c2ccccc2)Oc2ccccc12"),
    ("flavan", "C1CC(c2ccccc2)Oc2ccccc12"),
    ("anthraquinone", "O=C1c2ccccc2C(=O)c2ccccc12"),
    ("phenothiazine", "c1ccc2c(c1)[#7]c1ccccc1[#16]2"),
    ("acridine", "c1ccc2nc3ccccc3cc2c1"),
    ("carbazole", "c1ccc2c(c1)[nX3]c1ccccc12"),
    ("anthracene", "c1ccc2cc3ccccc3cc2c1"),
    ("phenanthrene", "c1ccc2c(c1)ccc1ccccc12"),
    ("xanthone", "O=c1c2ccccc2oc2ccccc12"),
    ("1,4-benzodiazepine", "[#6]1~[#7]~[#6]~[#6]~[#7]~c2ccccc2~1"),
    ("cephem", "O=C1CC2SCC=CN12"),
    ("penam", "O=C1CC2SCCN12"),
    ("chromone", "O=c1ccoc2ccccc12"),
    ("coumarin", "O=c1ccc2ccccc2o1"),
    ("xanthine", "O=c1nc(=O)c2ncnc2n1"),
    ("guanine", "Nc1nc2c(ncn2)c(=O)[nH]1"),
    ("adenine", "[NX3]c1ncnc2c1ncn2"),
    ("purine", "c1ncc2ncnc2n1"),
    ("pteridine", "c1cnc2ncncc2n1"),
    ("quinoline", "c1ccc2ncccc2c1"),
    ("isoquinoline", "c1ccc2cnccc2c1"),
    ("quinazoline", "c1ccc2ncncc2c1"),
    ("quinoxaline", "c1ccc2nccnc2c1"),
    ("naphthalene", "c1ccc2ccccc2c1"),
    ("benzimidazole", "c1ccc2[nX3]cnc2c1"),
    ("indazole", "c1ccc2[nX3]ncc2c1"),
    ("indole", "c1ccc2[nX3]ccc2c1"),
    ("benzothiazole", "c1ccc2scnc2c1"),
    ("benzoxazole", "c1ccc2ocnc2c1"),
    ("benzofuran", "c1ccc2occc2c1"),
    ("benzothiophene", "c1ccc2sccc2c1"),
    ("1,3-benzodioxole", "c1ccc2OCOc2c1"),
    ("tropane", "C1CC2CCC(C1)N2"),
    // Sugars and nucleobases.
    ("pyranose ring", "[CX4;R]1[CX4;R]([OX2])[CX4;R]([OX2])[CX4;R]([OX2])[CX4;R]([OX2])[OX2]1"),
    (
        "pyranose ring",
        "[CX4;R]1[CX4;R]([OX2])[CX4;R]([OX2])[CX4;R]([OX2,NX3])[CX4;R]([OX2,NX3,SX2])[OX2]1",
    ),
    (
        "pyranose ring",
        "[CX4;R]1[CX4;R]([OX2])[CX4;R]([OX2,NX3])[CX4;R]([OX2,NX3])[CX4;R]([OX2,NX3,SX2])[OX2]1",
    ),
    ("furanose ring", "[CX4;R]1[CX4;R]([OX2])[CX4;R]([OX2,F])[CX4;R]([OX2,NX3,nX3])[OX2]1"),
    ("2-deoxyfuranose ring", "[CX4;R]1[CX4;R]([OX2])[CH2;R][CX4;R]([OX2,NX3,nX3])[OX2]1"),
    ("thymine", "Cc1cnc(=O)[nH]c1=O"),
    ("uracil", "O=c1ccnc(=O)[nH]1"),
    ("cytosine", "Nc1ccnc(=O)n1"),
    // Acids of phosphorus and sulfur and what derives from them.
    (
        "triphosphate",
        "[OX1,OX2]P(=O)([OX1,OX2])[OX2]P(=O)([OX1,OX2])[OX2]P(=O)([OX1,OX2])[OX1,OX2]",
    ),
    ("diphosphate", "[OX1,OX2]P(=O)([OX1,OX2])[OX2]P(=O)([OX1,OX2])[OX1,OX2]"),
    ("phosphate", "[OX1,OX2]P(=O)([OX1,OX2])[OX1,OX2]"),
    ("thiophosphate", "[OX1,OX2,SX1,SX2]P(=[O,S])([OX1,OX2,SX1,SX2])[OX1,OX2,SX1,SX2]"),
    ("phosphonic acid group", "[#6]P(=O)([OX1,OX2])[OX1,OX2]"),
    ("sulfate", "[OX1,OX2]S(=O)(=O)[OX1,OX2]"),
    ("sulfonylurea", "[#6]S(=O)(=O)[NX3,NX2]C(=O)[NX3]"),
    ("sulfonamide", "[#6]S(=O)(=O)[NX3]"),
    ("sulfamide", "[NX3]S(=O)(=O)[NX3]"),
    ("sulfonic acid", "[#6]S(=O)(=O)[OX2H]"),
    ("sulfonate", "[#6]S(=O)(=O)[OX1-]"),
    ("sulfonic ester", "[#6]S(=O)(=O)[OX2][#6]"),
    ("sulfone", "[#6]S(=O)(=O)[#6]"),
    ("sulfoxide", "[#6][SX3](=O)[#6]"),
    ("sulfoxide", "[#6][SX3+]([OX1-])[#6]"),
    // Carbonyl compounds, the most substituted first.
    ("barbiturate ring", "O=C1[NX3]C(=O)CC(=O)[NX3]1"),
    ("hydantoin ring", "O=C1[NX3]CC(=O)[NX3]1"),
    ("beta-lactam", "O=C1[NX3][CX4][CX4]1"),
    ("carboxylic anhydride", "[#6]C(=O)[OX2]C(=O)[#6]"),
    ("imide", "[#6]C(=O)[NX3]C(=O)[#6]"),
    ("carbamate", "[NX3]C(=O)[OX2][#6]"),
    ("urea group", "[NX3]C(=O)[NX3]"),
    ("thiourea group", "[NX3]C(=S)[NX3]"),
    ("carbonate ester", "[#6][OX2]C(=O)[OX2][#6]"),
    ("hydroxamic acid", "[#6]C(=O)[NX3][OX2H]"),
    ("hydrazide", "[#6]C(=O)[NX3][NX3]"),
    ("acyl halide", "[#6]C(=O)[F,Cl,Br,I]"),
    ("alpha-amino acid", "[NX3H2,NX4H3+][CX4][CX3](=O)[OX1-,OX2H]"),
    ("carboxylic acid", "[#6,#1][CX3](=O)[OX2H]"),
    ("carboxylate", "[#6,#1][CX3](=O)[OX1-]"),
    ("thioester", "[#6][CX3](=O)[SX2][#6]"),
    ("lactone", "[#6;R][CX3;R](=O)[OX2;R][#6;R]"),
    ("acetate ester", "[CH3][CX3](=O)[OX2][#6]"),
    ("carboxylic ester", "[#6,#1][CX3](=O)[OX2][#6]"),
    ("lactam", "[#6;R][CX3;R](=O)[NX3;R]"),
    ("acetamide group", "[CH3][CX3](=O)[NX3]"),
    ("carboxamide", "[#6,#1][CX3](=O)[NX3]"),
    ("quinone", "O=C1C=CC(=O)C=C1"),
    ("quinone", "O=C1C(=O)C=CC=C1"),
    ("enone", "[#6][CX3](=O)[CX3]=[CX3]"),
    ("aldehyde", "[#6][CX3H1]=O"),
    ("ketone", "[#6][CX3](=O)[#6]"),
    // Nitrogen.
    ("guanidine group", "[NX3][CX3](=[NX2,NX3+])[NX3]"),
    ("amidine", "[#6][CX3](=[NX2,NX3+])[NX3]"),
    ("nitrate ester", "[#6][OX2][NX3+](=O)[O-]"),
    ("nitro group", "[#6][NX3+](=O)[O-]"),
    ("nitrosamine", "[#7][NX2]=O"),
    ("nitroso group", "[#6][NX2]=O"),
    ("azide", "[#6][NX2]=[NX2+]=[NX1-]"),
    ("azo group", "[#6][NX2]=[NX2][#6]"),
    ("oxime", "[CX3]=[NX2][OX2]"),
    ("hydrazone", "[CX3]=[NX2][NX3]"),
    ("isothiocyanate", "[NX2]=C=S"),
    ("isocyanate", "[NX2]=C=O"),
    ("thiocyanate", "[#6][SX2]C#N"),
    ("nitrile", "[#6]C#N"),
    ("N-oxide", "[#7+][OX1-]"),
    ("hydrazine group", "[NX3;!$(NC=O)][NX3;!$(NC=O)]"),
    ("quaternary ammonium", "[NX4+;!H]([#6])([#6])([#6])[#6]"),
    ("aromatic amine", "[NX3;H2,H1;!$(N[C,S,P]=[O,S,N])]c"),
    ("primary amino group", "[NX3H2,NX4H3+;!$(N[C,S,P]=[O,S,N])][CX4]"),
    ("secondary amino group", "[NX3H1,NX4H2+;!$(N[C,S,P]=[O,S,N])]([CX4])[CX4]"),
    ("tertiary amino group", "[NX3H0,NX4H1+;!$(N[C,S,P]=[O,S,N])]([CX4])([CX4])[CX4]"),
    ("imine", "[#6][CX3]=[NX2][#6,#1]"),
    // Oxygen and sulfur.
    ("hydroperoxide", "[#6][OX2][OX2H]"),
    ("peroxide", "[#6][OX2][OX2][#6]"),
    ("epoxide", "C1OC1"),
    ("catechol", "[OX2H]c1ccccc1[OX2H]"),
    ("phenol", "[OX2H]c1ccccc1"),
    ("hemiacetal", "[OX2H][CX4]([#6,#1])[OX2][#6]"),
    ("acetal", "[#6][OX2][CX4;!$(C(O)(O)O)][OX2][#6]"),
    ("methoxy group", "[CH3][OX2][#6;!$(C=O)]"),
    ("primary alcohol", "[OX2H][CH2][#6]"),
    ("secondary alcohol", "[OX2H][CX4H1]([#6])[#6]"),
    ("tertiary alcohol", "[OX2H][CX4H0]([#6])([#6])[#6]"),
    ("enol", "[OX2H][CX3]=[CX3]"),
    ("ether", "[#6;!$(C=[O,S,N])][OX2;!r3][#6;!$(C=[O,S,N])]"),
    ("disulfide", "[#6][SX2][SX2][#6]"),
    ("thiol", "[#6][SX2H]"),
    ("sulfide", "[#6;!$(C=O)][SX2][#6;!$(C=O)]"),
    ("boronic acid", "[#6]B([OX2H])[OX2H]"),
    // Carbon and halogens.
    ("trifluoromethyl group", "[#6]C(F)(F)F"),
    ("trichloromethyl group", "[#6]C(Cl)(Cl)Cl"),
    ("fluoro group", "[#6]F"),
    ("chloro group", "[#6]Cl"),
    ("bromo group", "[#6]Br"),
    ("iodo group", "[#6]I"),
    ("alkyne", "[CX2]#[CX2]"),
    ("allene", "[CX3]=[CX2]=[CX3]"),
    // Single rings.
    ("pyridine ring", "c1ccncc1"),
    ("pyrimidine ring", "c1cncnc1"),
    ("pyrazine ring", "c1cnccn1"),
    ("pyridazine ring", "c1ccnnc1"),
    ("triazine ring", "c1ncncn1"),
    ("imidazole ring", "c1cn[c,n]c1"),
    ("imidazole ring", "c1c[n]c[n]1"),
    ("pyrazole ring", "c1cn[n]c1"),
    ("1,2,4-triazole ring", "c1ncnn1"),
    ("1,2,3-triazole ring", "c1cnnn1"),
    ("tetrazole ring", "c1nnnn1"),
    ("thiazole ring", "c1cscn1"),
    ("isoxazole ring", "c1cnoc1"),
    ("oxazole ring", "c1cocn1"),
    ("pyrrole ring", "c1ccc[n]1"),
    ("furan ring", "c1ccco1"),
    ("thiophene ring", "c1cccs1"),
    ("piperazine ring", "[CX4]1[CX4][#7][CX4][CX4][#7]1"),
    ("morpholine ring", "[CX4]1[CX4][OX2][CX4][CX4][#7]1"),
    ("piperidine ring", "[CX4]1[CX4][CX4][#7][CX4][CX4]1"),
    ("pyrrolidine ring", "[CX4]1[CX4][CX4][#7][CX4]1"),
    ("oxolane ring", "[CX4]1[CX4][CX4][OX2][CX4]1"),
    ("oxane ring", "[CX4]1[CX4][CX4][OX2][CX4][CX4]1"),
    ("benzene ring", "c1ccccc1"),
    ("cyclohexane ring", "[CX4]1[CX4][CX4][CX4][CX4][CX4]1"),
    ("cyclopentane ring", "[CX4]1[CX4][CX4][CX4][CX4]1"),
    ("cyclobutane ring", "[CX4]1[CX4][CX4][CX4]1"),
    ("cyclopropane ring", "[CX4]1[CX4][CX4]1"),
    ("carbon-carbon double bond", "[CX3]=[CX3]"),
];

static NAMED: LazyLock<Vec<(&str, Pattern)>> = LazyLock::new(|| {
    let read =
        |&(name, smarts): &(&'static str, &str)| Some((name, Pattern::from_smarts(smarts).ok()?));
    TABLE.iter().filter_map(read).collect()
});

/// The parts of a molecule that have names, larger ones first. A pattern that takes too many steps names nothing.
pub(crate) fn groups(molecule: &Molecule) -> Vec<Group> {
    let screen = molecule.screen();
    let mut groups: Vec<Group> = Vec::new();
    for (name, pattern) in NAMED.iter().filter(|(_, pattern)| screen.may_contain(pattern.screen()))
    {
        let matches = pattern.matches(molecule, PatternStereo::Ignored).unwrap_or_default();
        for atoms in matches {
            if !groups.iter().any(|group| is_within(&atoms, &group.atoms)) {
                groups.push(Group { name, atoms });
            }
        }
    }
    groups
}

/// Both are ascending.
fn is_within(part: &[u32], whole: &[u32]) -> bool {
    part.iter().all(|atom| whole.binary_search(atom).is_ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn names(smiles: &str) -> BTreeMap<&'static str, usize> {
        let molecule = Molecule::from_smiles(smiles).expect("a valid SMILES");
        let mut names = BTreeMap::new();
        for group in molecule.groups() {
            *names.entry(group.name).or_insert(0) += 1;
        }
        names
    }

    #[test]
    fn every_pattern_of_the_table_is_read() {
        assert_eq!(NAMED.len(), TABLE.len());
    }

    #[test]
    fn molecules_have_the_groups_that_a_chemist_sees() {
        for (smiles, expected) in [
            (
                "CC(=O)Oc1ccccc1C(=O)O",
                vec![("acetate ester", 1), ("benzene ring", 1), ("carboxylic acid", 1)],
            ),
            ("CC(=O)Nc1ccc(O)cc1", vec![("acetamide group", 1), ("phenol", 1)]),
            ("NCC(=O)O", vec![("alpha-amino acid", 1)]),
            ("CCO", vec![("primary alcohol", 1)]),
            ("CCOCC", vec![("ether", 1)]),
            ("CC(C)=O", vec![("ketone", 1)]),
            ("CC#N", vec![("nitrile", 1)]),
            ("C1CO1", vec![("epoxide", 1)]),
            ("Cn1c(=O)c2c(ncn2C)n(C)c1=O", vec![("xanthine", 1)]),
            (
                "Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1",
                vec![
                    ("aromatic amine", 1),
                    ("benzene ring", 1),
                    ("isoxazole ring", 1),
                    ("sulfonamide", 1),
                ],
            ),
            ("c1ccc2[nH]ccc2c1", vec![("indole", 1)]),
            ("O=C(O)CCC(=O)O", vec![("carboxylic acid", 2)]),
            ("CSSC", vec![("disulfide", 1)]),
            ("OCC1OC(O)C(O)C(O)C1O", vec![("primary alcohol", 1), ("pyranose ring", 1)]),
        ] {
            assert_eq!(names(smiles), expected.into_iter().collect(), "{smiles}");
        }
        let testosterone = names("CC12CCC3C(C1CCC2O)CCC4=CC(=O)CCC34C");
        assert!(
            testosterone.contains_key("steroid core") && testosterone.contains_key("enone"),
            "{testosterone:?}"
        );
        assert!(!testosterone.contains_key("cyclohexane ring"), "{testosterone:?}");
    }

    #[test]
    fn nothing_lies_within_a_part_that_has_a_name() {
        for smiles in [
            "CC(=O)Oc1ccccc1C(=O)O",
            "CN1C2CCC1C(C(=O)OC)C(OC(=O)c1ccccc1)C2",
            "OC(=O)CS(=O)(=O)NC(=O)N",
        ] {
            let groups = Molecule::from_smiles(smiles).expect("valid").groups();
            for (i, group) in groups.iter().enumerate() {
                assert!(
                    !groups[..i].iter().any(|larger| is_within(&group.atoms, &larger.atoms)),
                    "{group:?}"
                );
            }
        }
    }
}
