//! Imports as a person makes them: what is asked of a collection afterwards, and what is said on the way.

#![allow(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::{fs, path::Path, process::Command};

/// Runs a command over a data directory below `dir`, which is where it writes; its two outputs.
fn moiety(dir: &Path, args: &[&str]) -> (String, String) {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/moiety-mini");
    let output = Command::new(env!("CARGO_BIN_EXE_moiety"))
        .current_dir(dir)
        .env("RUST_LOG", "error")
        .args(args)
        .args(["--data", "data", "--model", model])
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// Weights as exports write them: with zeros at the end, without a point, with an exponent.
const NUMBERS: &str = "id,smiles,MolWt,AlogP,code\n\
    a,CCO,46.07,-0.14,007\nb,CCCO,60.10,0.30,12\nc,CCCCO,74.120,0.0,13\nd,CCCCCO,88.15,1.00,14\n\
    e,CCCCCCO,102.2,-0.0,15\nf,CCN,45.080,1e0,16\ng,CCCN,59,+0.5,17\n\
    h,CCCCN,73.1,9007199254740993,18\ni,CCCCCN,87.2,1.5E2,19\n";

#[test]
fn every_number_of_a_column_is_found_however_it_is_written_and_can_be_indexed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("n.csv"), NUMBERS).unwrap();
    let (said, _) = moiety(dir.path(), &["import", "n.csv", "--collection", "c"]);
    assert!(
        said.contains("MolWt: number") && said.contains("code: text (line 2 has `007`)"),
        "{said}"
    );
    assert!(said.contains("9 new, 0 replaced, 0 rejected"), "{said}");
    let indexed = moiety(dir.path(), &["index", "create", "--collection", "c", "MolWt", "float"]);
    assert_eq!(indexed, ("MolWt: float\n".into(), String::new()));
    let asked = ["search", "--collection", "c", "--text", "an alcohol", "--limit", "100", "--json"];
    let (found, _) = moiety(dir.path(), &[&asked[..], &["--filter", "MolWt < 1000"]].concat());
    assert_eq!(found.lines().count(), 9, "{found}");
    // An index goes before the column: of its own this one would be text.
    fs::write(dir.path().join("more.csv"), "id,smiles,MolWt\nj,CO,32.040\nk,C,n/d\n").unwrap();
    let (said, _) = moiety(dir.path(), &["import", "more.csv", "--collection", "c"]);
    assert!(said.contains("MolWt: number, by its index"), "{said}");
    let (found, _) = moiety(dir.path(), &[&asked[..], &["--filter", "MolWt = 32.04"]].concat());
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[test]
fn molecules_that_are_there_under_other_identifiers_are_named_and_a_dry_run_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "ChEMBL ID;Smiles\nX1;CCO\nX2;OC(C)=O\n").unwrap();
    fs::write(dir.path().join("b.smi"), "OCC ethanol\nCC(=O)O.[Na+] acid\nCCN amine\n").unwrap();
    let (said, warned) = moiety(dir.path(), &["import", "a.csv", "--collection", "c"]);
    assert!(said.contains("identifier: ChEMBL ID") && said.contains("2 new"), "{said}");
    assert_eq!(warned, "");
    let dry = ["import", "b.smi", "--collection", "c", "--dry-run"];
    let (shown, warned) = moiety(dir.path(), &dry);
    assert!(
        shown.contains("\"id\":\"b:1\"") && shown.ends_with("nothing was written (--dry-run)\n")
    );
    assert!(warned.contains("made of the file's name and line numbers"), "{warned}");
    assert!(
        warned.contains("first 3 molecules") && warned.contains("`b:1` is under `X1`"),
        "{warned}"
    );
    let (said, _) = moiety(dir.path(), &["import", "b.smi", "--collection", "c"]);
    assert!(said.contains("3 new") && said.contains("3 have identifiers made of line"), "{said}");
}

#[test]
fn the_rejects_of_an_earlier_import_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.smi"), "CCO\nnonsense x\n").unwrap();
    for rejects in ["a.smi.c.rejects.tsv", "a.smi.c.rejects.2.tsv"] {
        let (said, _) = moiety(dir.path(), &["import", "a.smi", "--collection", "c"]);
        assert!(said.contains(&format!("1 rejected (see {rejects})")), "{said}");
        assert!(fs::read_to_string(dir.path().join(rejects)).unwrap().starts_with("2\t"));
    }
    let (_, refused) = moiety(dir.path(), &["search", "--collection", "c", "--smiles", "aspirin"]);
    assert!(refused.contains("--text \"aspirin\""), "{refused}");
}
