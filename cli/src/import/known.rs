//! Whether a file's molecules are in the collection already under other identifiers, as when those of an earlier import were made
//! of line numbers. Only the first molecules are asked about, and only for a few seconds: it is a warning.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use moiety_chem::{Molecule, Structure};
use moiety_rpc::{Client, wire};

use crate::reader::{Row, Rows};

/// Rows of the file that are looked at.
const ROWS: usize = 100;

/// Records of the collection that are looked at; there are more only where each molecule is there many times.
const MOST_RECORDS: u32 = 1000;

/// How long the answer may take; without an index of `mol.inchikey` the server goes through its records.
const PATIENCE: Duration = Duration::from_secs(5);

/// Molecules of a file that are there under another identifier and not under their own.
#[derive(Debug, PartialEq)]
struct Known {
    asked: usize,
    known: usize,
    /// The first: its identifier in the file, and in the collection.
    first: (String, String),
}

/// Looks at the first rows, says what was found, and gives all rows back.
pub(super) async fn warn(client: &Client, collection: &str, mut rows: Rows) -> Rows {
    let head: Vec<_> = rows.by_ref().take(ROWS).collect();
    let keys = keys(head.iter().flatten());
    let found = tokio::time::timeout(PATIENCE, stored(client, collection, &keys)).await;
    // A server that has no time has nothing to say here.
    if let Some(known) = found.ok().flatten().and_then(|stored| Known::of(&keys, &stored)) {
        errln!("moiety: {known}");
    }
    Box::new(head.into_iter().chain(rows))
}

/// InChIKeys after normalisation, as the server makes them, with the identifiers that rows give them.
fn keys<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<(String, String)> {
    rows.filter_map(|row| {
        let structure = match row.record.molecule.as_ref()?.format.clone()? {
            wire::structure::Format::Smiles(text) => Structure::Smiles(text),
            wire::structure::Format::Inchi(text) => Structure::Inchi(text),
            wire::structure::Format::MolBlock(text) => Structure::MolBlock(text),
        };
        let identity = Molecule::parse(&structure).ok()?.normalise().ok()?.identity().ok()?;
        Some((identity.inchikey?, row.record.id.clone()))
    })
    .collect()
}

/// The identifiers of the records that have these keys.
async fn stored(
    client: &Client,
    collection: &str,
    keys: &[(String, String)],
) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let distinct: BTreeSet<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
    if distinct.is_empty() {
        return None;
    }
    let request = wire::ScrollRequest {
        collection: collection.into(),
        limit: MOST_RECORDS,
        filter: Some(Client::filter(format!("mol.inchikey in {}", serde_json::json!(distinct)))),
        ..Default::default()
    };
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for stored in client.scroll(request).await.ok()?.records {
        if let (Some(molecule), Some(record)) = (stored.molecule, stored.record) {
            ids.entry(molecule.inchikey.unwrap_or_default()).or_default().insert(record.id);
        }
    }
    Some(ids)
}

impl Known {
    fn of(keys: &[(String, String)], stored: &BTreeMap<String, BTreeSet<String>>) -> Option<Self> {
        let mut elsewhere = keys.iter().filter_map(|(key, id)| {
            let ids = stored.get(key).filter(|ids| !ids.contains(id))?;
            Some((id.clone(), ids.first()?.clone()))
        });
        let first = elsewhere.next()?;
        Some(Self { asked: keys.len(), known: 1 + elsewhere.count(), first })
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, known, first: (id, stored) } = self;
        write!(
            f,
            "of the first {asked} molecules {known} are in the collection under other identifiers, as `{id}` is under \
             `{stored}`, and this import puts them there once more; name the column of those identifiers with --id-column"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_molecule_is_known_only_where_it_is_under_another_identifier_and_not_under_its_own() {
        let pair = |key: &str, id: &str| (key.to_owned(), id.to_owned());
        let keys = [pair("K1", "f:1"), pair("K2", "X2"), pair("K3", "f:3"), pair("K4", "f:4")];
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let stored = BTreeMap::from([
            ("K2".to_owned(), ids(&["X2", "f:2"])),
            ("K3".to_owned(), ids(&["X3"])),
            ("K4".to_owned(), ids(&["X4", "X5"])),
        ]);
        let known = Known::of(&keys, &stored);
        assert_eq!(known, Some(Known { asked: 4, known: 2, first: pair("f:3", "X3") }));
        assert_eq!(Known::of(&keys, &BTreeMap::new()), None);
    }

    #[test]
    fn keys_are_those_after_normalisation() {
        let row = |id: &str, smiles: &str| Row {
            line: 1,
            is_numbered: false,
            record: wire::Record {
                id: id.into(),
                molecule: Some(crate::structure::structure(smiles)),
                ..Default::default()
            },
        };
        let rows = [row("a", "OCC.Cl"), row("b", "CCO"), row("c", "no structure")];
        let key = "LFQSCWFLJHTTHZ-UHFFFAOYSA-N".to_owned();
        assert_eq!(keys(rows.iter()), [(key.clone(), "a".into()), (key, "b".into())]);
    }
}
