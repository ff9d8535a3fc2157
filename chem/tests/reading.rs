//! What the readers promise: every notation, bounds with their numbers, and never a panic.

use moiety_chem::{ChemError, Molecule, Structure, limits};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// L-alanine with its alpha hydrogen, in 3D (RDKit's ETKDG, then MMFF).
const ALANINE_3D: &str = "alanine
  test              3D

  7  6  0  0  0  0  0  0  0  0999 V2000
   -1.3210   -0.8203   -0.1376 C   0  0  0  0  0  0  0  0  0  0  0  0
   -0.2721    0.2401    0.1643 C   0  0  0  0  0  0  0  0  0  0  0  0
   -0.1279    1.1266   -1.0090 N   0  0  0  0  0  0  0  0  0  0  0  0
    1.0739   -0.4002    0.5244 C   0  0  0  0  0  0  0  0  0  0  0  0
    1.2650   -1.5245    0.9595 O   0  0  0  0  0  0  0  0  0  0  0  0
    2.1147    0.4561    0.3834 O   0  0  0  0  0  0  0  0  0  0  0  0
   -0.5971    0.8245    1.0250 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
  2  3  1  0
  2  4  1  0
  4  5  2  0
  4  6  1  0
  2  7  1  0
M  END
";

/// (E)-but-2-enenitrile, heavy atoms only, in 3D.
const ENENITRILE_3D: &str = "
  test              3D

  5  4  0  0  0  0  0  0  0  0999 V2000
   -1.5423    0.0616   -0.0205 C   0  0
   -0.0936    0.4194    0.0514 C   0  0
    0.9030   -0.4742   -0.0435 C   0  0
    2.2717   -0.0958    0.0296 C   0  0
    3.3893    0.2080    0.0886 N   0  0
  1  2  1  0
  2  3  2  0
  3  4  1  0
  4  5  3  0
M  END
";

/// Alanine in 2D; the bond from the centre to N is wedged (1) or dashed (6).
const ALANINE_2D: &str = "
  test              2D

  6  5  0  0  0  0  0  0  0  0999 V2000
   -1.3000   -0.7500    0.0000 C   0  0
    0.0000    0.0000    0.0000 C   0  0
    0.0000    1.5000    0.0000 N   0  0
    1.3000   -0.7500    0.0000 C   0  0
    2.6000    0.0000    0.0000 O   0  0
    1.3000   -2.2500    0.0000 O   0  0
  1  2  1  0
  2  3  1  WEDGE
  2  4  1  0
  4  5  2  0
  4  6  1  0
M  END
";

const ETHANOL_V3000: &str = "

  test
  0  0  0     0  0            999 V3000
M  V30 BEGIN CTAB
M  V30 COUNTS 3 2 0 0 0
M  V30 BEGIN ATOM
M  V30 1 C 0 0 0 0
M  V30 2 C 1.5 0 0 0
M  V30 3 O 2.2 1.2 0 0
M  V30 END ATOM
M  V30 BEGIN BOND
M  V30 1 1 1 2
M  V30 2 1 2 3
M  V30 END BOND
M  V30 END CTAB
M  END
";

fn smiles(molecule: &Molecule) -> String {
    molecule.identity().expect("has a name").canonical_smiles
}

fn names(molecule: &Molecule) -> Vec<&'static str> {
    molecule.steps().iter().map(|step| step.name).collect()
}

#[test]
fn mol_blocks_keep_coordinates_and_stereo() {
    let alanine = Molecule::from_mol_block(ALANINE_3D).unwrap();
    let l_alanine = Molecule::from_smiles("C[C@H](N)C(=O)O").unwrap();
    assert_eq!(alanine.identity().unwrap(), l_alanine.identity().unwrap());
    assert_eq!(alanine.graph().environments_chiral, l_alanine.graph().environments_chiral);
    assert_eq!(names(&alanine), ["hydrogens_folded"]);
    let rows = alanine.coordinates().expect("3D");
    assert_eq!((rows.len(), rows[5]), (6, [2.1147, 0.4561, 0.3834]));
    let nitrile = Molecule::from_mol_block(ENENITRILE_3D).unwrap();
    assert_eq!(smiles(&nitrile), "C/C=C/C#N");
    assert!(nitrile.steps().is_empty() && nitrile.coordinates().is_some());
}

#[test]
fn wedges_of_2d_blocks_set_the_stereo() {
    for (bond, handedness) in [("1", 'R'), ("6", 'S')] {
        let flat = Molecule::from_mol_block(&ALANINE_2D.replace("WEDGE", bond)).unwrap();
        assert_eq!(flat.stereocentres(), [(1, handedness)]);
        assert!(flat.coordinates().is_none());
    }
}

#[test]
fn v3000_blocks_are_read() {
    let ethanol = Molecule::from_mol_block(ETHANOL_V3000).unwrap();
    assert_eq!(smiles(&ethanol), "CCO");
    assert_eq!(Molecule::parse(ethanol.original()).unwrap().atoms(), 3);
}

#[test]
fn carriage_returns_and_foreign_letters_in_the_title_do_no_harm() {
    let block = ETHANOL_V3000.replace("\n", "\r\n").replacen("\r\n", "Äthanol ☃\r\n", 1);
    assert_eq!(smiles(&Molecule::from_mol_block(&block).unwrap()), "CCO");
}

#[test]
fn inchi_gives_the_same_molecule_as_its_smiles() {
    for text in ["CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "F/C=C/F", "[2H]C", "C[N+](C)(C)CCO"] {
        let identity = Molecule::from_smiles(text).unwrap().identity().unwrap();
        let again = Molecule::from_inchi(identity.inchi.as_deref().unwrap()).unwrap();
        assert_eq!(again.identity().unwrap().inchikey, identity.inchikey, "{text}");
    }
}

#[test]
fn the_notation_of_a_text_is_recognised() {
    assert!(matches!(Structure::detect("CCO"), Structure::Smiles(_)));
    assert!(matches!(Structure::detect(" InChI=1S/CH4/h1H4 "), Structure::Inchi(_)));
    assert!(matches!(Structure::detect(ALANINE_3D), Structure::MolBlock(_)));
    assert!(matches!(Structure::detect("CCO\n"), Structure::Smiles(_)));
}

#[test]
fn refusals_say_what_and_where() {
    let said = |text: &str| Molecule::from_smiles(text).unwrap_err().to_string();
    assert!(said("CC(C)(C)(C)C").starts_with("chemically impossible structure: "));
    assert!(said("CC(C)(C)(C)C").ends_with(" at character 2"), "{}", said("CC(C)(C)(C)C"));
    assert!(
        said("c1cccc1").contains("kekulize aromatic atoms 0, 1, 2, 3, 4"),
        "{}",
        said("c1cccc1")
    );
    assert!(said("C!C").ends_with("at character 2"), "{}", said("C!C"));
    let inchi = Molecule::from_inchi("InChI=1S/nonsense").unwrap_err();
    assert!(matches!(inchi, ChemError::Syntax { notation: "InChI", .. }), "{inchi}");
    assert_eq!(inchi.to_string(), "cannot read InChI: its layers do not fit together");
    let block = ALANINE_3D.replace("  2  7  1  0", "  2 99  1  0");
    let block = Molecule::from_mol_block(&block).unwrap_err();
    assert!(matches!(block, ChemError::Syntax { .. }), "{block}");
    let query = ETHANOL_V3000.replace("M  V30 3 O", "M  V30 3 [O,N]");
    let query = Molecule::from_mol_block(&query).unwrap_err();
    assert!(matches!(query, ChemError::Unsupported { .. }), "{query}");
}

#[test]
fn salts_and_charges_are_undone_with_their_steps() {
    let cases = [
        ("CC(=O)[O-].[Na+]", "CC(=O)O", &["salt_stripped", "charge_neutralised"][..]),
        ("C[C@H]([NH3+])C(=O)[O-]", "C[C@H](N)C(=O)O", &["charge_neutralised", "stereo_kept"]),
        ("C[N+](C)(C)CC(=O)[O-]", "C[N+](C)(C)CC(=O)[O-]", &[]),
        ("C[N+](=O)[O-]", "C[N+](=O)[O-]", &[]),
        ("[Na+].[Cl-]", "[Cl-].[Na+]", &[]),
        ("Cl.c1cc[nH+]cc1.[Cl-]", "c1ccncc1", &["salt_stripped", "charge_neutralised"]),
        ("[O-]c1ccccc1", "Oc1ccccc1", &["charge_neutralised"]),
        ("OS(=O)(=O)[O-]", "O=S(=O)(O)O", &["charge_neutralised"]),
        (
            "C[N+](C)(C)CCOP(=O)([O-])OC.CC(=O)[O-]",
            "COP(=O)([O-])OCC[N+](C)(C)C",
            &["salt_stripped"],
        ),
    ];
    for (given, expected, steps) in cases {
        let molecule = Molecule::from_smiles(given).unwrap();
        let normal = molecule.normalise().unwrap();
        assert_eq!(normal.original(), &Structure::Smiles(given.into()));
        assert_eq!(smiles(&normal), expected, "{given}");
        assert_eq!(names(&normal), steps, "{given}");
        let direct = Molecule::from_smiles(expected).unwrap();
        let (normal, direct) = (normal.properties(), direct.properties());
        assert_eq!((normal.formula, normal.charge), (direct.formula, direct.charge), "{given}");
    }
}

#[test]
fn normalised_atoms_keep_the_order_of_the_input() {
    let normal =
        Molecule::from_smiles("[Na+].[O-]C(=O)[C@@H]([NH3+])C").unwrap().normalise().unwrap();
    let elements: Vec<u16> = normal.graph().atoms.iter().map(|row| row[0] + 1).collect();
    assert_eq!(elements, [8, 6, 8, 6, 7, 6]);
    let alanine = Molecule::from_smiles("OC(=O)[C@@H](N)C").unwrap();
    assert_eq!(normal.stereocentres(), alanine.stereocentres());
    assert_eq!(normal.graph(), alanine.graph());
}

#[test]
fn stereoisomers_differ_only_where_stereo_counts() {
    let pairs = [
        ("C[C@H](F)Cl", "C[C@@H](F)Cl"),
        ("F/C=C/F", r"F/C=C\F"),
        ("C[C@H]1CC[C@H](C)CC1", "C[C@H]1CC[C@@H](C)CC1"),
    ];
    for (a, b) in pairs {
        let (a, b) = (Molecule::from_smiles(a).unwrap(), Molecule::from_smiles(b).unwrap());
        assert_eq!(a.graph().environments, b.graph().environments);
        assert_ne!(a.graph().environments_chiral, b.graph().environments_chiral);
        let (a, b) = (a.identity().unwrap(), b.identity().unwrap());
        assert_ne!(a.inchikey, b.inchikey);
        assert_eq!(a.inchikey_block(), b.inchikey_block());
    }
    let plain = Molecule::from_smiles("OCC(=O)c1ccccc1").unwrap().graph();
    assert_eq!(plain.environments, plain.environments_chiral);
}

/// Molecules that are large or symmetric, where recursion and searches are worst.
fn heavy_inputs() -> Vec<String> {
    let peptide = format!("N{}C(=O)O", "[C@@H](CC(C)C)C(=O)N".repeat(120));
    let ladder = format!("C1CCC1{}", "C1C(C1)C".repeat(100));
    let fullerene = "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6c%11c2c2c7c3c3c8c4c4c9c5c1c1c6c2c3c41";
    let dendrimer = (0..7).fold("C".to_owned(), |tree, _| format!("C({tree}){tree}"));
    vec![
        "C".repeat(1_000),
        format!("C{}", "(F)(F)C".repeat(300)),
        peptide,
        ladder,
        fullerene.to_owned(),
        "C12C3C4C1C5C2C3C45".to_owned(),
        "C[C@H]1C[C@@H](C)C[C@H](C)C1.".repeat(40) + "C",
        "[Na+].[Cl-].".repeat(400) + "C",
        format!("C{}", "=C".repeat(900)),
        dendrimer,
        format!("{}C{}", "C(".repeat(95), ")".repeat(95)),
    ]
}

#[test]
fn large_and_symmetric_molecules_end_in_time_on_a_small_stack() {
    let run = || {
        for text in heavy_inputs() {
            let start = Instant::now();
            let label: String = text.chars().take(40).collect();
            match Molecule::from_smiles(&text) {
                Ok(molecule) => {
                    molecule.graph();
                    molecule.fragments();
                    molecule.properties();
                    molecule.identity().unwrap();
                    molecule.normalise().unwrap();
                }
                Err(error) => {
                    assert!(!matches!(error, ChemError::Internal { .. }), "{label} {error}")
                }
            }
            let took = start.elapsed();
            assert!(took < Duration::from_secs(60), "{label} took {took:?}");
        }
    };
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(run).unwrap().join().unwrap();
}

#[test]
fn size_limits_name_their_bound() {
    let said = |text: &str| Molecule::from_smiles(text).unwrap_err().to_string();
    assert!(
        said(&"C".repeat(1_001)).contains("number of heavy atoms is 1001, above the limit of 1000")
    );
    assert!(said(&"C".repeat(10_001)).contains("SMILES length in bytes is 10001"));
    let long = "x".repeat(limits::MAX_LINE_NOTATION_BYTES + 1);
    assert!(matches!(Molecule::from_inchi(&long), Err(ChemError::TooLarge { .. })));
    let long = "x".repeat(limits::MAX_MOL_BLOCK_BYTES + 1);
    assert!(matches!(Molecule::from_mol_block(&long), Err(ChemError::TooLarge { .. })));
}

#[test]
fn molecules_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Molecule>();
}

/// Uses everything that a molecule offers.
fn use_up(molecule: Result<Molecule, ChemError>) {
    let Ok(molecule) = molecule else { return };
    let graph = molecule.graph();
    let mut atoms: Vec<u32> = molecule.fragments().concat();
    atoms.sort_unstable();
    assert_eq!(atoms, (0..graph.atoms.len() as u32).collect::<Vec<_>>());
    molecule.properties();
    let _ = molecule.identity();
    let _ = molecule.normalise();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_text_never_panics(text in "\\PC{0,60}") {
        for structure in [Structure::Smiles(text.clone()), Structure::Inchi(text.clone()), Structure::MolBlock(text)] {
            use_up(Molecule::parse(&structure));
        }
    }

    #[test]
    fn text_like_smiles_never_panics(text in "[CNOSPcnos()=#\\[\\]@H+\\-/\\\\.1-4%*:$]{1,40}") {
        use_up(Molecule::from_smiles(&text));
    }

    #[test]
    fn extended_smiles_never_panic(tail in "[\\$;:,.&o0-9()a-zA-Z^*wU|-]{0,30}") {
        use_up(Molecule::from_smiles(&format!("C[C@H](F)/C=C/Cl |{tail}|")));
    }

    #[test]
    fn text_like_inchi_never_panics(tail in "[CHNO0-9,\\-()/bthmisqp+?;*]{0,60}") {
        use_up(Molecule::from_inchi(&format!("InChI=1S/{tail}")));
    }

    #[test]
    fn damaged_mol_blocks_never_panic(at in 0..600usize, junk in "\\PC{0,6}", cut in 0..12usize, v3000: bool) {
        let block = if v3000 { ETHANOL_V3000 } else { ALANINE_3D };
        let (at, end) = (at.min(block.len()), (at + cut).min(block.len()));
        use_up(Molecule::from_mol_block(&format!("{}{junk}{}", &block[..at], &block[end..])));
    }

    #[test]
    fn random_bytes_never_panic_the_sdf_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut text = bytes;
        text.extend_from_slice(b"\n$$$$\n");
        text.extend_from_slice(ALANINE_3D.as_bytes());
        let last = moiety_chem::SdfReader::new(&text[..]).last().unwrap().unwrap();
        prop_assert_eq!(last.mol_block.as_str(), ALANINE_3D);
    }
}

/// A mol block of these atoms in a row, each bound to the next, with lines of properties.
fn chain(counts: &str, atoms: &[&str], properties: &str) -> String {
    let atom = |(at, symbol): (usize, &&str)| {
        format!("{:10.4}{:10.4}{:10.4} {symbol:3} 0  0  0  0  0  0\n", at as f64 * 1.3, 0.0, 0.0)
    };
    let atom_lines: String = atoms.iter().enumerate().map(atom).collect();
    let bonds: String = (1..atoms.len()).map(|at| format!("{at:3}{:3}  1  0\n", at + 1)).collect();
    format!("\n\n\n{counts}\n{atom_lines}{bonds}{properties}M  END\n")
}

#[test]
fn atoms_that_are_none_are_read_from_mol_blocks_as_from_smiles() {
    let counts = "  3  2  0  0  0  0  0  0  0  0999 V2000";
    for symbol in ["*", "A", "Q", "X", "R", "R#"] {
        let block = chain(counts, &[symbol, "C", "O"], "");
        let molecule = Molecule::from_mol_block(&block).unwrap_or_else(|e| panic!("{symbol}: {e}"));
        assert_eq!(smiles(&molecule), "*CO", "{symbol}");
        let third = ETHANOL_V3000.replace("M  V30 1 C", &format!("M  V30 1 {symbol}"));
        assert_ne!(third, ETHANOL_V3000);
        assert_eq!(smiles(&Molecule::from_mol_block(&third).unwrap()), "*CO", "{symbol}");
    }
    let numbered = chain(counts, &["R#", "C", "R#"], "M  RGP  2   1   2   3  10\n");
    assert_eq!(smiles(&Molecule::from_mol_block(&numbered).unwrap()), "[2*]C[10*]");
}

#[test]
fn wedges_on_double_bonds_of_sulfur_and_phosphorus_tell_their_stereo() {
    // What RDKit 2026.09.1 makes of the same blocks.
    for (block, expected) in [
        (include_str!("data/wedge_on_sulfinyl.mol"), "CC[S@@](C)=O"),
        (include_str!("data/wedge_on_phosphoryl.mol"), "CC[P@](C)(=O)O"),
    ] {
        assert_eq!(smiles(&Molecule::from_mol_block(block).unwrap()), expected);
    }
}

#[test]
fn metals_that_are_no_counter_ions_keep_their_structure_whole() {
    let whole = [
        ("ferrocene", "[Fe+2].c1cc[cH-]c1.c1cc[cH-]c1"),
        ("cisplatin", "[NH3].[NH3].[Cl-].[Cl-].[Pt+2]"),
        ("carboplatin", "[NH3].[NH3].[O-]C(=O)C1(CCC1)C([O-])=O.[Pt+2]"),
        ("gadopentetate", "[Gd+3].[O-]C(=O)CN(CCN(CC([O-])=O)CC(O)=O)CCN(CC([O-])=O)CC(O)=O"),
        ("lithium carbonate", "[Li+].[Li+].[O-]C([O-])=O"),
        ("lithium citrate", "[Li+].[Li+].[Li+].OC(CC([O-])=O)(CC([O-])=O)C([O-])=O"),
        ("sodium carbonate", "[Na+].[Na+].[O-]C([O-])=O"),
    ];
    for (name, given) in whole {
        let molecule = Molecule::from_smiles(given).unwrap();
        let normal = molecule.normalise().unwrap();
        assert_eq!(smiles(&normal), smiles(&molecule), "{name}");
        assert!(!names(&normal).contains(&"salt_stripped"), "{name}");
    }
}

#[test]
fn the_main_part_of_a_salt_is_the_larger_by_all_its_atoms() {
    // The picrate has 16 heavy atoms and the amine 7; with hydrogens 18 and 23.
    let picrate = "CC[NH+](CC)CC.[O-]c1c(cc(cc1[N+]([O-])=O)[N+]([O-])=O)[N+]([O-])=O";
    let normal = Molecule::from_smiles(picrate).unwrap().normalise().unwrap();
    assert_eq!(smiles(&normal), "CCN(CC)CC");
    let atorvastatin_like = "[Ca+2].CC(C)CC([O-])=O.CC(C)CC([O-])=O";
    let normal = Molecule::from_smiles(atorvastatin_like).unwrap().normalise().unwrap();
    assert_eq!(smiles(&normal), "CC(C)CC(=O)O");
}
