//! What a written SMILES promises, on the molecules that RDKit's answers are known for.

use moiety_chem::{Molecule, WrittenSmiles};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

fn molecules() -> Vec<(String, Molecule)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chem.jsonl.gz");
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("the golden file");
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("gzip");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let read = |line: Value| {
        let smiles = line["smiles"].as_str()?.to_owned();
        let molecule = Molecule::from_smiles(&smiles).ok()?;
        Some((smiles, molecule))
    };
    lines.filter_map(read).collect()
}

/// The row of each atom of the text, in its order.
fn order(written: &WrittenSmiles) -> Vec<u32> {
    let is_atom =
        |text: &str| text.starts_with(|c: char| c == '[' || c == '*' || c.is_alphabetic());
    let atoms = written.symbols.iter().filter(|s| is_atom(&written.text[s.bytes.clone()]));
    atoms.map(|symbol| symbol.atoms[0]).collect()
}

/// Elements and charges in an order, and the bonds between places in it.
fn graph(molecule: &Molecule, order: &[u32]) -> (Vec<[u16; 2]>, Vec<[u32; 2]>) {
    let graph = molecule.graph();
    let place: BTreeMap<u32, u32> = order.iter().copied().zip(0..).collect();
    let atoms = order.iter().map(|&row| graph.atoms[row as usize]).map(|a| [a[0], a[3]]).collect();
    let pair = |a: u32, b: u32| [place[&a].min(place[&b]), place[&a].max(place[&b])];
    let mut bonds: Vec<_> = graph.bonds.iter().map(|b| pair(b.begin, b.end)).collect();
    bonds.sort_unstable();
    (atoms, bonds)
}

#[test]
fn symbols_point_at_the_atoms_of_every_molecule_and_the_text_is_canonical() {
    let molecules = molecules();
    assert!(molecules.len() > 2_800);
    for (smiles, molecule) in molecules {
        let written = molecule.written().unwrap_or_else(|e| panic!("{smiles}: {e}"));
        let covered: usize = written.symbols.iter().map(|s| s.bytes.len()).sum();
        assert_eq!(covered, written.text.len(), "{smiles}");
        let canonical = molecule.identity().expect("identity").canonical_smiles;
        assert!(written.text == canonical || canonical.contains(':'), "{smiles}");
        let order = order(&written);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..molecule.atoms() as u32).collect::<Vec<_>>(), "{smiles}");
        // What RDKit writes it does not always read again (some metals); the text is the same then.
        let Ok(again) = Molecule::from_smiles(&written.text) else { continue };
        if again.atoms() == molecule.atoms() {
            let rows: Vec<u32> = (0..again.atoms() as u32).collect();
            assert_eq!(graph(&molecule, &order), graph(&again, &rows), "{smiles}");
        }
    }
}
