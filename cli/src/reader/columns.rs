//! Which fields of a file are the identifier, the structure and the text: as asked for, or by the names that are usual.

use crate::error::{CliError, Result};

/// Which columns of a table or fields of a record hold what. Names are compared without regard to case.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns {
    /// Column or field of the identifier; `name` takes the names of SMILES lines and the titles of mol blocks [default: `id` or a
    /// name like `ChEMBL ID` or `CID`; else the line number]
    #[arg(long)]
    pub(crate) id_column: Option<String>,
    /// Column or field of the structure [default: `smiles`, `canonical_smiles`, `molecule`, `inchi` or the like]
    #[arg(long)]
    pub(crate) molecule_column: Option<String>,
    /// Column or field of the text [default: `text`, `description`, `caption` or `definition`]
    #[arg(long)]
    pub(crate) text_column: Option<String>,
    /// What stands between the cells of a table, or ends the structure of a SMILES line; `tab` for a tab [default: the comma of a
    /// CSV, the tab of a TSV, white space after a SMILES, or what the first line has instead]
    #[arg(long, value_parser = delimiter)]
    pub(crate) delimiter: Option<char>,
}

fn delimiter(text: &str) -> std::result::Result<char, String> {
    let mut signs = text.chars();
    match (text, signs.next(), signs.next()) {
        ("tab" | "\\t", ..) => Ok('\t'),
        (_, Some(delimiter), None) => Ok(delimiter),
        _ => Err("give one character, or tab".into()),
    }
}

/// Usual names as [`key`] makes them, the first that is there first.
const ID_KEYS: [&str; 18] = [
    "id",
    "identifier",
    "recordid",
    "compoundid",
    "moleculeid",
    "chemblid",
    "moleculechemblid",
    "chebiid",
    "drugbankid",
    "pubchemcid",
    "pubchemcompoundcid",
    "cid",
    "zincid",
    "registryid",
    // Of the numbers of CAS some substances have none, so that another identifier goes before.
    "casno",
    "casnumber",
    "casrn",
    "cas",
];
const MOLECULE_KEYS: [&str; 9] = [
    "smiles",
    "canonicalsmiles",
    "isomericsmiles",
    "molecule",
    "structure",
    "inchi",
    "standardinchi",
    "molblock",
    "molfile",
];
const TEXT_KEYS: [&str; 4] = ["text", "description", "caption", "definition"];

/// A name without case, blanks and signs: `ChEMBL ID` and `chembl_id` are one.
pub(crate) fn key(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

/// Whether a cell is one of the usual names, as in a header.
pub(super) fn is_usual_name(cell: &str) -> bool {
    let key = key(cell);
    [&ID_KEYS[..], &MOLECULE_KEYS, &TEXT_KEYS].iter().any(|keys| keys.contains(&key.as_str()))
}

/// The fields that are no payload, by the names that the file has for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Roles {
    pub(crate) id: Option<String>,
    pub(crate) molecule: Option<String>,
    pub(crate) text: Option<String>,
}

/// What a field is to its record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Id,
    Molecule,
    Text,
    Payload,
}

impl Roles {
    /// Finds them among the fields of a file; `has_structure` where the format has a place of its own for it.
    ///
    /// # Errors
    /// A field that was asked for is not there: the error lists those that are.
    pub(super) fn find(names: &[String], columns: &Columns, has_structure: bool) -> Result<Self> {
        let pick = |asked: &Option<String>, usual: &[&str]| match asked {
            Some(asked) => named(names, asked).map(Some),
            None => Ok(usual
                .iter()
                .find_map(|usual| names.iter().find(|name| key(name) == *usual))
                .cloned()),
        };
        let molecule = match (&columns.molecule_column, has_structure) {
            (Some(asked), true) => {
                return Err(CliError::Usage(format!(
                    "--molecule-column {asked}: files of this format have their structures in a place of their own"
                )));
            }
            (None, true) => None,
            (asked, false) => pick(asked, &MOLECULE_KEYS)?,
        };
        let (id, text) =
            (pick(&columns.id_column, &ID_KEYS)?, pick(&columns.text_column, &TEXT_KEYS)?);
        Ok(Self { id, molecule, text })
    }

    pub(super) fn of(&self, name: &str) -> Role {
        let is = |role: &Option<String>| {
            role.as_ref().is_some_and(|field| field == name || key(field) == key(name))
        };
        match (is(&self.id), is(&self.molecule), is(&self.text)) {
            (true, ..) => Role::Id,
            (_, true, _) => Role::Molecule,
            (_, _, true) => Role::Text,
            _ => Role::Payload,
        }
    }
}

/// The field of this name: as written, else without regard to case, else to signs.
fn named(names: &[String], asked: &str) -> Result<String> {
    let exact = names.iter().find(|name| *name == asked);
    let in_any_case = || names.iter().find(|name| name.eq_ignore_ascii_case(asked.trim()));
    let by_key = || names.iter().find(|name| key(name) == key(asked));
    exact.or_else(in_any_case).or_else(by_key).cloned().ok_or_else(|| {
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        CliError::Usage(format!("no column or field `{asked}`; the file has: {there}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> Vec<String> {
        of.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn usual_names_are_known_however_they_are_written() {
        for id in [
            "ChEMBL ID",
            "chembl_id",
            "Molecule ChEMBL ID",
            "PUBCHEM_COMPOUND_CID",
            "ID",
            "CAS No.",
        ] {
            let roles = Roles::find(
                &names(&["Canonical SMILES", id, "Description"]),
                &Columns::default(),
                false,
            );
            let roles = roles.expect("names");
            assert_eq!(roles.id.as_deref(), Some(id));
            assert_eq!(roles.molecule.as_deref(), Some("Canonical SMILES"));
            assert_eq!(roles.text.as_deref(), Some("Description"));
        }
    }

    #[test]
    fn a_tab_can_be_named() {
        assert_eq!(
            (delimiter("tab"), delimiter("\\t"), delimiter("\t")),
            (Ok('\t'), Ok('\t'), Ok('\t'))
        );
        assert_eq!(delimiter(";"), Ok(';'));
        assert!(delimiter("").is_err() && delimiter(";;").is_err());
    }

    #[test]
    fn a_field_that_is_asked_for_is_found_in_any_case_or_the_error_lists_those_there() {
        let asked = |id: &str| Columns { id_column: Some(id.into()), ..Columns::default() };
        let found =
            Roles::find(&names(&["chembl_id", "pref"]), &asked("CHEMBL_ID"), true).expect("there");
        assert_eq!(found.id.as_deref(), Some("chembl_id"));
        let refused = Roles::find(&names(&["chembl_id", "pref"]), &asked("nonsense"), true);
        let refused = refused.expect_err("not there").to_string();
        assert!(refused.contains("`nonsense`") && refused.contains("chembl_id, pref"), "{refused}");
    }
}
