//! Prints the table of `RDKIT.md`: agreement with RDKit per property, and with `--differing` the
//! molecules that differ. `cargo run -p moiety-chem --example agreement`

#[path = "../tests/golden/mod.rs"]
mod golden;

use std::io::Write;

fn main() -> std::io::Result<()> {
    let differing = std::env::args().any(|argument| argument == "--differing");
    let mut out = std::io::stdout().lock();
    writeln!(out, "| property | agrees | of |\n|---|---:|---:|")?;
    for (name, row) in golden::measure() {
        writeln!(out, "| {name} | {} | {} |", row.agree, row.total)?;
        for line in row.differing.iter().filter(|_| differing) {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}
