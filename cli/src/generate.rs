//! `moiety generate`: molecules that the model proposes for texts, as a table or as JSON lines.

use comfy_table::{Cell, Table};
use moiety_rpc::wire;
use serde_json::{Value, json};
use wire::generated_molecule::Reading;

use crate::{
    asked::{Answer, Asked, Texts, all_read, answers},
    connect::Connection,
    error::Result,
    table::shorten,
    writing::{self, AT_ONCE, CommandArgs},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    texts: Texts,
    #[command(flatten)]
    command: CommandArgs,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let asked = args.texts.read()?;
    let connection = args.command.connect().await?;
    let (proposed, info) = generate(&connection, &asked, args.command.options()).await?;
    args.command.print(&proposed, in_json, table, info.as_ref());
    connection.close().await?;
    all_read(&proposed)
}

type Proposed = Answer<Vec<wire::GeneratedMolecule>>;

async fn generate(
    connection: &Connection,
    asked: &[Asked<String>],
    options: wire::GenerateOptions,
) -> Result<(Vec<Proposed>, Option<wire::AnswerInfo>)> {
    let mut proposed = Vec::with_capacity(asked.len());
    let mut info = None;
    for chunk in asked.chunks(AT_ONCE) {
        let texts = chunk.iter().map(|asked| asked.item.clone()).collect();
        let request = wire::GenerateRequest { texts, options: Some(options) };
        let response = connection.client.generate(request).await?;
        let items = response.items.into_iter().map(|item| (item.position, item.molecules));
        proposed.extend(answers(chunk, items, response.errors));
        info = response.info;
    }
    Ok((proposed, info))
}

fn in_json(answer: &Proposed) -> Value {
    match &answer.outcome {
        Err(reason) => json!({ "text": answer.shown, "error": reason }),
        Ok(molecules) => {
            let molecules: Vec<Value> = molecules.iter().map(molecule_in_json).collect();
            json!({ "text": answer.shown, "molecules": molecules })
        }
    }
}

fn molecule_in_json(proposed: &wire::GeneratedMolecule) -> Value {
    let mut molecule = json!({
        "written": proposed.written.as_ref().map(writing::json),
        "valid": matches!(proposed.reading, Some(Reading::Molecule(_))),
    });
    match &proposed.reading {
        Some(Reading::Molecule(named)) => {
            molecule["smiles"] = named.canonical_smiles.clone().into();
            molecule["inchikey"] = named.inchikey.clone().into();
        }
        Some(Reading::Invalid(reason)) => molecule["reason"] = reason.clone().into(),
        None => {}
    }
    molecule
}

/// One line a candidate; what is no molecule is marked as such.
fn table(proposed: &[Proposed]) -> Table {
    let mut table = writing::table(["text", "score", "generated molecule"]);
    for answer in proposed {
        let shown = shorten(&answer.shown, 40);
        match &answer.outcome {
            Err(reason) => {
                let reason = format!("not read: {}", shorten(reason, 80));
                table.add_row([shown.as_str(), "", &reason]);
            }
            Ok(molecules) => molecules.iter().for_each(|molecule| {
                let written = molecule.written.clone().unwrap_or_default();
                let score = format!("{:.3}", written.score);
                table.add_row([&shown, &score, &in_words(molecule, &written)].map(Cell::new));
            }),
        }
    }
    table
}

fn in_words(molecule: &wire::GeneratedMolecule, written: &wire::GeneratedText) -> String {
    match &molecule.reading {
        Some(Reading::Molecule(named)) => named.canonical_smiles.clone(),
        Some(Reading::Invalid(reason)) => {
            format!("invalid: {} ({})", writing::shown(written), shorten(reason, 60))
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed() -> Vec<Proposed> {
        let written = |text: &str| {
            let origin = wire::TextOrigin::Generated.into();
            Some(wire::GeneratedText { text: text.into(), origin, ..Default::default() })
        };
        let named = wire::ReadMolecule { canonical_smiles: "CCO".into(), inchikey: None };
        let molecules = vec![
            wire::GeneratedMolecule {
                written: written("OCC"),
                reading: Some(Reading::Molecule(named)),
            },
            wire::GeneratedMolecule {
                written: written("C1CC"),
                reading: Some(Reading::Invalid("ring 1 is open".into())),
            },
        ];
        vec![Answer { shown: "an alcohol".into(), outcome: Ok(molecules) }]
    }

    #[test]
    fn json_lines_tell_molecules_from_what_is_none() {
        let line = in_json(&proposed()[0]);
        let molecules = &line["molecules"];
        assert_eq!(
            (&molecules[0]["valid"], &molecules[0]["smiles"]),
            (&json!(true), &json!("CCO"))
        );
        assert_eq!(molecules[0]["written"]["generated"], true);
        assert_eq!(molecules[1]["valid"], false);
        assert_eq!(molecules[1]["reason"], "ring 1 is open");
    }

    #[test]
    fn tables_mark_what_is_no_molecule() {
        let text = table(&proposed()).to_string();
        assert!(text.contains("invalid: C1CC (ring 1 is open)") && text.contains("CCO"), "{text}");
    }
}
