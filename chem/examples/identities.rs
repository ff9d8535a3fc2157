//! Identities of structures, for a comparison with another program: one JSON object a line in, one out.
//!
//! ```text
//! echo '{"kind": "smiles", "text": "OCC"}' | cargo run -p moiety-chem --example identities
//! {"smiles":"CCO","inchikey":"LFQSCWFLJHTTHZ-UHFFFAOYSA-N"}
//! ```
//!
//! `kind` is `smiles`, `inchi` or `mol`; a structure that is refused gives `{"error": …}`. scripts/rdkit_compare.sh feeds it files.

use std::io::{self, BufRead, Write};

use moiety_chem::{Molecule, Structure};
use serde_json::{Value, json};

fn identity(line: &str) -> Result<Value, String> {
    let request: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let text = request["text"].as_str().ok_or("no text")?.to_owned();
    let structure = match request["kind"].as_str() {
        Some("smiles") => Structure::Smiles(text),
        Some("inchi") => Structure::Inchi(text),
        Some("mol") => Structure::MolBlock(text),
        _ => return Err("kind must be smiles, inchi or mol".into()),
    };
    let molecule = Molecule::parse(&structure).map_err(|error| error.to_string())?;
    let identity = molecule.identity().map_err(|error| error.to_string())?;
    Ok(json!({ "smiles": identity.canonical_smiles, "inchikey": identity.inchikey }))
}

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let answer = identity(&line?).unwrap_or_else(|error| json!({ "error": error }));
        writeln!(out, "{answer}")?;
    }
    out.flush()
}
