//! Runs every molecule of the golden files and counts where this crate says what RDKit says.

use flate2::read::GzDecoder;
use moiety_chem::{Molecule, Properties, ScaffoldStereo};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Agreement on one property.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) agree: usize,
    pub(crate) total: usize,
    /// What differs: the SMILES and both answers.
    pub(crate) differing: Vec<String>,
}

/// Property name to agreement.
pub(crate) type Table = BTreeMap<&'static str, Row>;

/// Compares everything.
pub(crate) fn measure() -> Table {
    let mut table = Table::new();
    let chem = read("chem.jsonl.gz");
    let molecules: Vec<_> =
        chem.iter().map(|line| Molecule::from_smiles(text(line, "smiles"))).collect();
    for (line, molecule) in chem.iter().zip(&molecules) {
        compare_acceptance(&mut table, line, molecule);
        if let (true, Ok(molecule)) = (line["ok"] == true, molecule) {
            compare_identity(&mut table, line, molecule);
            compare_properties(&mut table, line, &molecule.properties());
            compare_structure(&mut table, line, molecule);
        }
    }
    compare_features(&mut table);
    compare_identifiers(&mut table, &chem);
    compare_similarity(&mut table, &molecules);
    compare_scaffolds(&mut table, &molecules);
    compare_structural(&mut table, &chem, &molecules);
    table
}

fn compare_acceptance(
    table: &mut Table,
    line: &Value,
    molecule: &Result<Molecule, moiety_chem::ChemError>,
) {
    let accepted = line["ok"] == true;
    let name = if accepted { "accepted" } else { "refused" };
    let answer = molecule.as_ref().map_or_else(ToString::to_string, |_| "accepted".to_owned());
    note(table, name, accepted == molecule.is_ok(), || format!("{} {answer}", line["smiles"]));
}

fn compare_identity(table: &mut Table, line: &Value, molecule: &Molecule) {
    let identity = match molecule.identity() {
        Ok(identity) => identity,
        Err(error) => {
            return note(table, "canonical SMILES", false, || {
                format!("{} {error}", line["smiles"])
            });
        }
    };
    let block = |key: &str| key.get(..14).unwrap_or("").to_owned();
    let inchikey = identity.inchikey.clone().unwrap_or_default();
    let found = [
        ("canonical SMILES", identity.canonical_smiles, text(line, "canonical").to_owned()),
        ("InChI", identity.inchi.unwrap_or_default(), text(line, "inchi").to_owned()),
        ("InChIKey, first block", block(&inchikey), block(text(line, "inchikey"))),
        ("InChIKey", inchikey, text(line, "inchikey").to_owned()),
    ];
    for (name, ours, theirs) in found {
        note(table, name, ours == theirs, || format!("{} {ours} {theirs}", line["smiles"]));
    }
}

fn compare_properties(table: &mut Table, line: &Value, ours: &Properties) {
    let count = |name: &str| line[name].as_array().map(|list| list.len() as f64);
    let number = |name: &str| line[name].as_f64();
    let stereo = ours.stereo;
    let found = [
        ("exact mass", Some(ours.exact_mass), number("exact_mass"), 1e-4),
        ("heavy atoms", Some(f64::from(ours.heavy_atoms)), number("heavy_atoms"), 0.0),
        ("rings", Some(f64::from(ours.rings)), number("rings"), 0.0),
        ("logP", ours.log_p, number("logp"), 1e-3),
        ("TPSA", ours.tpsa, number("tpsa"), 1e-2),
        ("H-bond donors", ours.hydrogen_bond_donors.map(f64::from), number("hbd"), 0.0),
        ("H-bond acceptors", ours.hydrogen_bond_acceptors.map(f64::from), number("hba"), 0.0),
        ("rotatable bonds", ours.rotatable_bonds.map(f64::from), number("rotatable"), 0.0),
        (
            "stereocentres assigned",
            stereo.map(|s| f64::from(s.atoms_assigned)),
            count("atom_stereo"),
            0.0,
        ),
        (
            "stereocentres unassigned",
            stereo.map(|s| f64::from(s.atoms_unassigned)),
            count("atom_stereo_unassigned"),
            0.0,
        ),
        (
            "double bonds assigned",
            stereo.map(|s| f64::from(s.bonds_assigned)),
            count("bond_stereo"),
            0.0,
        ),
        (
            "double bonds unassigned",
            stereo.map(|s| f64::from(s.bonds_unassigned)),
            count("bond_stereo_unassigned"),
            0.0,
        ),
    ];
    for (name, ours, theirs, tolerance) in found {
        let Some(theirs) = theirs else { continue };
        let agrees = ours.is_some_and(|ours| (ours - theirs).abs() <= tolerance + 1e-9);
        note(table, name, agrees, || format!("{} {ours:?} {theirs}", line["smiles"]));
    }
    let formula = text(line, "formula");
    note(table, "formula", ours.formula == formula, || format!("{} {formula}", ours.formula));
}

fn compare_structure(table: &mut Table, line: &Value, molecule: &Molecule) {
    let graph = molecule.graph();
    note(table, "atoms", line["atoms"] == graph.atoms.len(), || line["smiles"].to_string());
    let aromatic = graph.atoms.iter().filter(|row| row[7] == 1).count();
    note(table, "aromatic atoms", line["aromatic_atoms"] == aromatic, || {
        line["smiles"].to_string()
    });
    let labels: Vec<(u64, String)> = molecule
        .stereocentres()
        .into_iter()
        .filter(|(_, label)| label.is_uppercase())
        .map(|(atom, label)| (u64::from(atom), label.to_string()))
        .collect();
    let mut given: Vec<(u64, String)> = array(&line["atom_stereo"])
        .map(|pair| (pair[0].as_u64().unwrap_or(0), text(pair, 1).to_owned()))
        .collect();
    given.sort();
    note(table, "R/S labels", labels == given, || {
        format!("{} {labels:?} {given:?}", line["smiles"])
    });
    let bits: String =
        molecule.morgan_fingerprint().to_bytes().iter().map(|b| format!("{b:02x}")).collect();
    note(table, "Morgan fingerprint", text(line, "morgan2_2048") == bits, || {
        line["smiles"].to_string()
    });
    let pair = |a: u64, b: u64| (a.min(b), a.max(b));
    let mut theirs: Vec<(u64, u64)> = array(&line["brics_bonds"])
        .map(|cut| pair(cut[0].as_u64().unwrap_or(0), cut[1].as_u64().unwrap_or(0)))
        .collect();
    theirs.sort_unstable();
    let mut owner = vec![0; graph.atoms.len()];
    for (index, fragment) in molecule.fragments().iter().enumerate() {
        fragment.iter().for_each(|&atom| owner[atom as usize] = index);
    }
    let mut ours: Vec<(u64, u64)> = graph
        .bonds
        .iter()
        .filter(|bond| owner[bond.begin as usize] != owner[bond.end as usize])
        .map(|bond| pair(bond.begin.into(), bond.end.into()))
        .collect();
    ours.sort_unstable();
    note(table, "BRICS bonds", ours == theirs, || {
        format!("{} {ours:?} {theirs:?}", line["smiles"])
    });
}

fn compare_features(table: &mut Table) {
    for line in read("features.jsonl.gz") {
        let graph = match Molecule::from_smiles(text(&line, "smiles")) {
            Ok(molecule) => molecule.graph(),
            Err(error) => return note(table, "OGB atom features", false, || error.to_string()),
        };
        let atoms: Vec<Vec<u16>> = graph.atoms.iter().map(|row| row.to_vec()).collect();
        let bonds: Vec<Vec<u32>> = graph
            .bonds
            .iter()
            .map(|bond| {
                let [order, stereo, conjugated] = bond.features.map(u32::from);
                vec![bond.begin, bond.end, order, stereo, conjugated]
            })
            .collect();
        let distances: Vec<&[u16]> = graph.distances.chunks(atoms.len().max(1)).collect();
        let found = [
            ("OGB atom features", serde_json::json!(atoms), "atoms"),
            ("OGB bond features", serde_json::json!(bonds), "bonds"),
            ("shortest-path distances", serde_json::json!(distances), "spd"),
        ];
        for (name, ours, field) in found {
            note(table, name, ours == line[field], || line["smiles"].to_string());
        }
    }
}

fn compare_identifiers(table: &mut Table, chem: &[Value]) {
    for line in read("morgan_ids.jsonl.gz") {
        let smiles = text(&chem[line["i"].as_u64().unwrap_or(0) as usize], "smiles");
        let Ok(molecule) = Molecule::from_smiles(smiles) else { continue };
        let rows = molecule.graph().environments;
        let agrees = array(&line["ids"]).all(|entry| {
            array(&entry[1]).all(|place| {
                let (atom, radius) = (place[0].as_u64(), place[1].as_u64());
                atom.zip(radius).is_some_and(|(a, r)| entry[0] == rows[a as usize][r as usize])
            })
        });
        note(table, "Morgan identifiers", agrees, || smiles.to_owned());
    }
}

fn compare_similarity(table: &mut Table, molecules: &[Result<Molecule, moiety_chem::ChemError>]) {
    let print = |line: &Value| {
        let molecule = molecules.get(line.as_u64()? as usize)?.as_ref().ok()?;
        Some(molecule.morgan_fingerprint())
    };
    for line in read("tanimoto.jsonl.gz") {
        for near in array(&line["neighbours"]) {
            let Some((a, b)) = print(&line["query"]).zip(print(&near[0])) else { continue };
            let (common, union) =
                (near[1].as_f64().unwrap_or(0.0), near[2].as_f64().unwrap_or(1.0));
            let agrees = (f64::from(a.tanimoto(&b)) - common / union).abs() < 1e-6;
            note(table, "Tanimoto similarity", agrees, || format!("{} {}", line["query"], near[0]));
        }
    }
}

fn compare_scaffolds(table: &mut Table, molecules: &[Result<Molecule, moiety_chem::ChemError>]) {
    for line in read("murcko.jsonl.gz") {
        let molecule = line["i"].as_u64().and_then(|i| molecules.get(i as usize));
        let Some(Ok(molecule)) = molecule else { continue };
        let found = [
            ("scaffold", ScaffoldStereo::Kept, text(&line, "scaffold")),
            ("scaffold without stereo", ScaffoldStereo::Ignored, text(&line, "flat")),
        ];
        for (name, stereo, theirs) in found {
            let ours = molecule.scaffold(stereo).unwrap_or_else(|error| error.to_string());
            note(table, name, ours == theirs, || format!("{} {ours} {theirs}", line["i"]));
        }
    }
}

fn compare_structural(
    table: &mut Table,
    chem: &[Value],
    molecules: &[Result<Molecule, moiety_chem::ChemError>],
) {
    let mut before = None;
    for line in read("structural.jsonl.gz") {
        let at = line["i"].as_u64().unwrap_or(0) as usize;
        let last = before.take();
        let Some(Ok(molecule)) = molecules.get(at) else { continue };
        let smiles = &chem[at]["smiles"];
        let keys = molecule.maccs_keys().expect("within bounds");
        note(table, "MACCS keys", hex(&keys) == text(&line, "maccs"), || {
            format!("{smiles} {:?} {}", keys.keys().collect::<Vec<_>>(), line["maccs"])
        });
        let paths = molecule.path_fingerprint().expect("within bounds");
        let hash = format!("{:016x}", fnv(&paths.to_bytes()));
        let agrees = line["paths"] == serde_json::json!([paths.count(), hash]);
        note(table, "path fingerprint", agrees, || format!("{smiles} {}", paths.count()));
        let now = (keys, paths, molecule.morgan_counts());
        let (keys, paths, counts) = before.insert(now);
        let Some(last) = last else { continue };
        let (last_keys, last_paths, last_counts) = &last;
        let ours =
            [keys.tanimoto(last_keys), paths.tanimoto(last_paths), counts.tanimoto(last_counts)];
        let theirs = array(&line["to_line_before"]).filter_map(Value::as_f64);
        let agrees = theirs.zip(ours).all(|(theirs, ours)| (theirs - f64::from(ours)).abs() < 1e-6);
        note(table, "Tanimoto of keys, paths and counts", agrees, || {
            format!("{smiles} {ours:?} {}", line["to_line_before"])
        });
    }
}

/// Keys as a number in hex, key k at bit k.
fn hex(keys: &moiety_chem::MaccsKeys) -> String {
    let digit = |place: usize| -> u32 {
        (0..4).map(|bit| u32::from(keys.has(4 * place + bit)) << bit).sum()
    };
    (0..42).rev().filter_map(|place| char::from_digit(digit(place), 16)).collect()
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn note(table: &mut Table, name: &'static str, agrees: bool, differs: impl FnOnce() -> String) {
    let row = table.entry(name).or_default();
    row.total += 1;
    if agrees {
        row.agree += 1;
    } else {
        row.differing.push(differs());
    }
}

fn read(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    BufReader::new(GzDecoder::new(file))
        .lines()
        .map(|line| {
            serde_json::from_str(&line.expect("golden file is text")).expect("golden line is JSON")
        })
        .collect()
}

fn text(value: &Value, key: impl serde_json::value::Index) -> &str {
    value[key].as_str().unwrap_or("")
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
