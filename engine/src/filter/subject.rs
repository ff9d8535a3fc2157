//! A record under test: prepared conditions asked of it one by one, its molecule read at most once.

use std::{cell::OnceCell, cmp::Ordering};

use moiety_chem::{Molecule, Screen};
use serde_json::{Number, Value};

use super::{Bound, Leaf, Node, Test, field::Field, micros, words};
use crate::{
    StoredRecord,
    error::{EngineError, Result},
    prints::Prints,
};

/// A record, with its fingerprints where they are at hand.
pub(crate) struct Subject<'a> {
    record: &'a StoredRecord,
    prints: Option<&'a Prints>,
    molecule: OnceCell<Option<Molecule>>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(record: &'a StoredRecord, prints: Option<&'a Prints>) -> Self {
        Self { record, prints, molecule: OnceCell::new() }
    }

    /// Whether the record passes; fails where a pattern cannot be matched within its budget.
    pub(crate) fn passes(&self, node: &Node) -> Result<bool> {
        match node {
            Node::Leaf(leaf) => self.holds(leaf),
            Node::All(all) => {
                for node in all {
                    if !self.passes(node)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::AtLeast(least, of) => {
                let mut held = 0;
                for (at, node) in of.iter().enumerate() {
                    if held >= *least || held + (of.len() - at) < *least {
                        break;
                    }
                    held += usize::from(self.passes(node)?);
                }
                Ok(held >= *least)
            }
            Node::Not(inner) => Ok(!self.passes(inner)?),
        }
    }

    /// Whether one condition holds.
    pub(crate) fn holds(&self, leaf: &Leaf) -> Result<bool> {
        Ok(match &leaf.test {
            Test::OneOf(field, wanted) => {
                self.any(field, |found| wanted.iter().any(|wanted| same(found, wanted)))
            }
            Test::Number(field, lower, upper) => self.any(field, |found| {
                let Value::Number(number) = found else { return false };
                is_within(number, *lower, *upper)
            }),
            Test::Time(field, lower, upper) => self.any(field, |found| {
                let moment = found.as_str().and_then(micros);
                moment.is_some_and(|x| lower.is_below(x) && upper.is_above(x))
            }),
            Test::Exists(field) => self.any(field, |found| !found.is_null()),
            Test::Words(field, wanted) => self.has_words(field, wanted),
            Test::Substructure(pattern, stereo) => {
                if self.screen().is_some_and(|screen| !screen.may_contain(pattern.screen())) {
                    return Ok(false);
                }
                let Some(molecule) = self.molecule() else { return Ok(false) };
                pattern.is_in(molecule, *stereo).map_err(|error| {
                    let reason = format!("record {:?}: {error}", self.record.id);
                    EngineError::invalid(format!("{}.smarts", leaf.path), reason)
                })?
            }
            Test::Similar(print, at_least) => match (self.prints, self.record.molecule.is_some()) {
                (Some(prints), _) => prints.morgan.tanimoto(print) >= *at_least,
                (None, false) => false,
                (None, true) => self.molecule().is_some_and(|molecule| {
                    molecule.morgan_fingerprint().tanimoto(print) >= *at_least
                }),
            },
        })
    }

    fn any(&self, field: &Field, mut holds: impl FnMut(&Value) -> bool) -> bool {
        field.any(self.record, &mut holds)
    }

    fn has_words(&self, field: &Field, wanted: &[String]) -> bool {
        let mut missing: Vec<&String> = wanted.iter().collect();
        self.any(field, |found| {
            for word in found.as_str().into_iter().flat_map(words) {
                missing.retain(|wanted| **wanted != word);
            }
            missing.is_empty()
        })
    }

    fn screen(&self) -> Option<&Screen> {
        self.prints.map(|prints| &prints.screen)
    }

    /// The molecule after normalisation.
    fn molecule(&self) -> Option<&Molecule> {
        let read = || {
            let stored = self.record.molecule.as_ref()?;
            Molecule::from_smiles(&stored.facts.canonical_smiles).ok()
        };
        self.molecule.get_or_init(read).as_ref()
    }
}

/// Whether a number is in a range; whole numbers are compared without rounding.
fn is_within(number: &Number, lower: Bound, upper: Bound) -> bool {
    let order = |bound: f64| match (number.as_i128(), number.as_f64()) {
        (Some(whole), _) if bound.is_finite() => {
            let floor = bound.floor();
            // Saturates far beyond what a payload holds.
            let order = whole.cmp(&(floor as i128));
            Some(if bound > floor { order.then(Ordering::Less) } else { order })
        }
        (_, number) => number?.partial_cmp(&bound),
    };
    let above = match lower {
        Bound::Unbounded => true,
        Bound::Inclusive(bound) => order(bound).is_some_and(Ordering::is_ge),
        Bound::Exclusive(bound) => order(bound).is_some_and(Ordering::is_gt),
    };
    above
        && match upper {
            Bound::Unbounded => true,
            Bound::Inclusive(bound) => order(bound).is_some_and(Ordering::is_le),
            Bound::Exclusive(bound) => order(bound).is_some_and(Ordering::is_lt),
        }
}

/// Equality of scalars; `1` equals `1.0`, and large integers are compared as integers.
fn same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(a), Value::Number(b)) => {
            let integers = !a.is_f64() && !b.is_f64();
            a == b || a.as_f64() == b.as_f64() && !integers
        }
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use moiety_chem::{PatternStereo, Structure};
    use serde_json::json;

    use super::*;
    use crate::{Filter, MoleculeFacts, StoredMolecule};

    fn record() -> StoredRecord {
        let properties = json!({"rings": 1, "molecular_weight": 137.1, "formula": "C7H7NO2"});
        let facts = MoleculeFacts {
            canonical_smiles: "Nc1ccccc1C(=O)O".into(),
            inchikey: None,
            properties: properties.as_object().unwrap().clone(),
            ..MoleculeFacts::default()
        };
        let structure = Structure::Smiles("OC(=O)c1ccccc1N".into());
        let payload = json!({
            "n": 3, "x": 2.5, "tag": ["a", "b"], "deep": {"year": 1999, "a.b": true}, "nil": null,
            "assays": [{"name": "hERG", "value": 4}, {"name": "CYP", "value": [9, 11]}],
            "seen": "2024-05-01T12:00:00+02:00", "title": "A yellow Dye", "mol": {"kind": "own"},
            "big": 9_007_199_254_740_993_u64,
        });
        StoredRecord {
            id: "r".into(),
            molecule: Some(StoredMolecule { structure, facts }),
            text: None,
            payload: payload.as_object().unwrap().clone(),
        }
    }

    fn passes(filter: &str) -> bool {
        let filter = Filter::parse(filter).unwrap().prepare().unwrap();
        Subject::new(&record(), None).passes(&filter.root).unwrap()
    }

    #[test]
    fn conditions_hold_for_values_list_items_paths_and_facts() {
        let holding = [
            "n = 3",
            "n = 3.0",
            "tag = 'b'",
            "tag in ['z', 'a']",
            "deep.year = 1999",
            r"deep.a\.b = true",
            "assays.name = 'CYP'",
            "assays.value > 10",
            "nil = null",
            "2 < x <= 2.5",
            "has(deep)",
            "all()",
            "not any()",
            "at_least(2, n = 3, n = 4, has(tag))",
            "at_least(0)",
            "seen = '2024-05-01T12:00:00+02:00'",
            "seen >= '2024-05-01T10:00:00Z'",
            "'2024-05-01' < seen < '2024-05-01T10:00:00.000001Z'",
            "words(title, 'dye, YELLOW')",
            "words(tag, 'a b')",
            "payload.mol.kind = 'own'",
            "payload.n = 3",
            "mol.canonical_smiles = 'Nc1ccccc1C(=O)O'",
            "mol.rings = 1",
            "mw < 200",
            "mol.elements.C = 7 and mol.elements.N >= 1 and mol.elements.Cl = 0",
            "smarts('c1ccccc1[NX3H2]')",
            "similar('NC1=CC=CC=C1C(O)=O', 1)",
            "similar('c1ccccc1C(=O)O', 0.4)",
            "big > 9007199254740992",
        ];
        for text in holding {
            assert!(passes(text), "{text}");
            assert!(!passes(&format!("not ({text})")), "{text}");
        }
    }

    #[test]
    fn missing_null_and_other_types_fail() {
        let failing = [
            "n = '3'",
            "missing = 1",
            "deep.year.more = 1",
            "mol.inchikey = 'x'",
            "x > 2.5",
            "tag >= 0",
            "has(nil)",
            "seen > '2024-05-01T10:00:00Z'",
            "n >= '2024-05-01'",
            "words(title, 'yel')",
            "words(n, '3')",
            "mol.tpsa >= 0",
            "at_least(2, n = 3, n = 4)",
            "smarts('[Cl]')",
            "similar('CCCCCC', 0.2)",
            "big = 9007199254740992",
            "big <= 9007199254740992",
        ];
        for text in failing {
            assert!(!passes(text), "{text}");
        }
    }

    #[test]
    fn a_record_without_molecule_has_no_structure() {
        let record = StoredRecord { molecule: None, ..record() };
        let filter = Filter::Substructure { smarts: "*".into(), stereo: PatternStereo::Ignored };
        for filter in [filter, Filter::parse("similar('C', 0)").unwrap()] {
            let prepared = filter.prepare().unwrap();
            assert!(!Subject::new(&record, None).passes(&prepared.root).unwrap());
        }
    }
}
