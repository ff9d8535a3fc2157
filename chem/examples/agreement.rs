//! Compares this crate with RDKit's answers in a directory of golden files.
use moiety_chem::Molecule;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Instant;

fn main() {
    let dir = std::env::args().nth(1).expect("fixtures dir");
    let read = |name: &str| -> Vec<Value> {
        std::fs::read_to_string(format!("{dir}/{name}"))
            .expect("file")
            .lines()
            .map(|l| serde_json::from_str(l).expect("json"))
            .collect()
    };
    let mut tally: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut note = |name: &'static str, ok: bool, detail: &dyn Fn() -> String| {
        let t = tally.entry(name).or_default();
        t.1 += 1;
        if ok {
            t.0 += 1
        } else {
            println!("DIFF {name}: {}", detail());
        }
    };
    for row in read("features.jsonl") {
        let smiles = row["smiles"].as_str().unwrap();
        let g = Molecule::from_smiles(smiles).unwrap().graph();
        let atoms: Vec<Vec<u64>> =
            g.atoms.iter().map(|r| r.iter().map(|&x| x as u64).collect()).collect();
        note("feature atoms", serde_json::json!(atoms) == row["atoms"], &|| smiles.into());
        let bonds: Vec<Vec<u64>> = g
            .bonds
            .iter()
            .map(|b| {
                vec![
                    b.begin as u64,
                    b.end as u64,
                    b.features[0] as u64,
                    b.features[1] as u64,
                    b.features[2] as u64,
                ]
            })
            .collect();
        note("feature bonds", serde_json::json!(bonds) == row["bonds"], &|| smiles.into());
        let n = atoms.len();
        let spd: Vec<&[u16]> = g.distances.chunks(n).collect();
        note("feature spd", serde_json::json!(spd) == row["spd"], &|| smiles.into());
    }
    let chem = read("chem.jsonl");
    for row in read("morgan_ids.jsonl") {
        let smiles = chem[row["i"].as_u64().unwrap() as usize]["smiles"].as_str().unwrap();
        let g = Molecule::from_smiles(smiles).unwrap().graph();
        let mut ok = true;
        for entry in row["ids"].as_array().unwrap() {
            for place in entry[1].as_array().unwrap() {
                let (a, r) =
                    (place[0].as_u64().unwrap() as usize, place[1].as_u64().unwrap() as usize);
                ok &= u64::from(g.environments[a][r]) == entry[0].as_u64().unwrap();
            }
        }
        note("morgan ids", ok, &|| smiles.into());
    }
    for (a, b) in [
        ("C[C@H](F)Cl", "C[C@@H](F)Cl"),
        ("F/C=C/F", "F/C=C\\F"),
        ("C[C@H]1CC[C@H](C)CC1", "C[C@H]1CC[C@@H](C)CC1"),
        ("OC1CCC(O)CC1", "OC1CCC(O)CC1"),
    ] {
        let (x, y) =
            (Molecule::from_smiles(a).unwrap().graph(), Molecule::from_smiles(b).unwrap().graph());
        println!(
            "{a} {b} plain equal {} chiral equal {}",
            x.environments == y.environments,
            x.environments_chiral == y.environments_chiral
        );
    }
    let start = Instant::now();
    let mut slow = Vec::new();
    let mols: Vec<_> = chem
        .iter()
        .map(|r| {
            let t = Instant::now();
            let m = Molecule::from_smiles(r["smiles"].as_str().unwrap());
            slow.push((t.elapsed(), r["i"].as_u64().unwrap()));
            m
        })
        .collect();
    println!("parse {:?}", start.elapsed());
    slow.sort();
    println!("slowest {:?}", &slow[slow.len() - 5..]);
    let start = Instant::now();
    let graphs: Vec<_> = mols.iter().map(|m| m.as_ref().ok().map(|m| m.graph())).collect();
    println!("graphs {:?} of {}", start.elapsed(), graphs.len());
    for (row, mol) in chem.iter().zip(&mols) {
        let smiles = row["smiles"].as_str().unwrap();
        let ok = row["ok"].as_bool().unwrap();
        note(if ok { "accepts" } else { "rejects" }, ok == mol.is_ok(), &|| {
            format!("{smiles:?} {:?} {:?}", row["error"], mol.as_ref().err())
        });
        let (true, Ok(mol)) = (ok, mol) else { continue };
        note("heavy atoms", row["heavy_atoms"] == mol.heavy_atoms(), &|| smiles.into());
        let hex: String =
            mol.morgan_fingerprint().to_bytes().iter().map(|b| format!("{b:02x}")).collect();
        note("morgan2", row["morgan2_2048"] == hex.as_str(), &|| smiles.into());
        let g = mol.graph();
        let mut cut: Vec<(u64, u64)> = row["brics_bonds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| {
                let (x, y) = (b[0].as_u64().unwrap(), b[1].as_u64().unwrap());
                (x.min(y), x.max(y))
            })
            .collect();
        cut.sort();
        let mut owner = vec![0; g.atoms.len()];
        for (i, f) in mol.fragments().iter().enumerate() {
            f.iter().for_each(|&a| owner[a as usize] = i);
        }
        let mut ours: Vec<(u64, u64)> = g
            .bonds
            .iter()
            .filter(|b| owner[b.begin as usize] != owner[b.end as usize])
            .map(|b| (b.begin.min(b.end) as u64, b.begin.max(b.end) as u64))
            .collect();
        ours.sort();
        note("brics bonds", ours == cut, &|| format!("{smiles} {ours:?} {cut:?}"));
    }
    for (name, (ok, all)) in tally {
        println!("{name}: {ok} of {all}");
    }
}
