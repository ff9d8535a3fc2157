//! SMARTS in the library: reading, matching under a budget of steps, and what of a pattern is certain.

use super::{Foreign, guard};
use crate::error::{ChemError, Place};
use crate::screen::{Certain, CertainAtom, CertainBond, Demand};
use crate::topology::Order;
use cosmolkit::{
    AtomQueryPredicate, BondOrder, BondQueryPredicate, MatchResult, QueryGraph, QueryNode,
    SmartsParseError, SmartsParseParams, SubstructMatchParams, parse_smarts_with_params,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A pattern of the library.
#[derive(Clone)]
pub(crate) struct ForeignPattern(QueryGraph);

impl ForeignPattern {
    pub(crate) fn atoms(&self) -> usize {
        self.0.num_atoms()
    }
}

/// Reads a SMARTS with RDKit's defaults, without a name or extensions behind it.
pub(crate) fn read_pattern(text: &str) -> Result<ForeignPattern, ChemError> {
    guard("reading SMARTS", text.len(), || {
        let params = SmartsParseParams {
            allow_cxsmiles: false,
            parse_name: false,
            ..SmartsParseParams::default()
        };
        parse_smarts_with_params(text, &params).map(ForeignPattern).map_err(|e| smarts_error(&e))
    })
}

/// At most `most` matches of the pattern in the molecule, distinct by atom set: for each its atoms in the pattern's order.
/// `steps` bounds the pairs of atoms that are tried.
pub(crate) fn matches(
    pattern: &ForeignPattern,
    molecule: &Foreign,
    stereo: bool,
    steps: usize,
    most: usize,
) -> Result<Vec<Vec<u32>>, ChemError> {
    guard("matching a SMARTS", molecule.size(), || {
        let left = Arc::new(AtomicUsize::new(steps));
        let budget = Arc::clone(&left);
        let params = SubstructMatchParams {
            max_matches: most,
            use_chirality: stereo,
            // Refusing every further pair ends the search within a few steps, recursive parts too.
            extra_atom_check: Some(Arc::new(move |_, _, _, _| {
                let spend = |left: usize| left.checked_sub(1);
                budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
            })),
            ..SubstructMatchParams::default()
        };
        let found = molecule.0.substruct_matches_with_params(&pattern.0, &params);
        if left.load(Ordering::Relaxed) == 0 {
            return Err(ChemError::TooHard { steps });
        }
        let found = found.map_err(|error| ChemError::Unsupported {
            reason: format!("{error}; write the SMARTS without it"),
        })?;
        let atoms = |m: MatchResult| m.atom_mapping.into_iter().map(|atom| atom as u32).collect();
        Ok(found.into_iter().map(atoms).collect())
    })
}

/// What every molecule with a match has for certain.
pub(crate) fn certain(pattern: &ForeignPattern) -> Certain {
    certain_graph(&pattern.0)
}

fn certain_graph(graph: &QueryGraph) -> Certain {
    let atoms: Vec<CertainAtom> =
        graph.atoms().iter().map(|atom| certain_atom(atom.predicate())).collect();
    let bonds = graph.bonds().iter().map(|bond| {
        let (begin, end) = bond.endpoints();
        let aliphatic = [begin, end].iter().any(|&atom| atoms[atom].aromatic == Some(false));
        let orders = orders(bond.predicate()).unwrap_or_default();
        // An aromatic bond joins aromatic atoms only.
        let mut open =
            orders.into_iter().filter(|&order| !(aliphatic && order == BondOrder::Aromatic));
        let order = match (open.next(), open.next()) {
            (Some(BondOrder::Single), None) => Some(Order::Single),
            (Some(BondOrder::Double), None) => Some(Order::Double),
            (Some(BondOrder::Triple), None) => Some(Order::Triple),
            (Some(BondOrder::Aromatic), None) => Some(Order::Aromatic),
            _ => None,
        };
        CertainBond { begin: begin as u32, end: end as u32, order }
    });
    let bonds = bonds.collect();
    Certain { atoms, bonds }
}

fn certain_atom(node: &QueryNode<AtomQueryPredicate>) -> CertainAtom {
    let (element, aromatic) = kind(node);
    CertainAtom { element, aromatic, demand: demand(node) }
}

/// Element and aromaticity, where every atom that passes has the same.
fn kind(node: &QueryNode<AtomQueryPredicate>) -> (Option<u8>, Option<bool>) {
    use AtomQueryPredicate as P;
    match node {
        QueryNode::Predicate(P::AtomicNumber(element)) => (Some(*element), None),
        QueryNode::Predicate(P::AtomType { atomic_number, aromatic }) => {
            (Some(*atomic_number), Some(*aromatic))
        }
        QueryNode::Predicate(P::IsAromatic(aromatic)) => (None, Some(*aromatic)),
        QueryNode::Predicate(_) | QueryNode::Not(_) | QueryNode::Xor(_) => (None, None),
        QueryNode::And(children) => children
            .iter()
            .map(kind)
            .fold((None, None), |all, one| (all.0.or(one.0), all.1.or(one.1))),
        QueryNode::Or(children) => {
            let mut kinds = children.iter().map(kind);
            let first = kinds.next().unwrap_or_default();
            let same = |all: (Option<u8>, Option<bool>), one: (Option<u8>, Option<bool>)| {
                (all.0.filter(|_| all.0 == one.0), all.1.filter(|_| all.1 == one.1))
            };
            kinds.fold(first, same)
        }
    }
}

/// The recursive patterns that must match for the atom to pass.
fn demand(node: &QueryNode<AtomQueryPredicate>) -> Demand {
    match node {
        QueryNode::Predicate(AtomQueryPredicate::RecursiveSmarts(inner)) => {
            inner.query_graph().map_or(Demand::NOTHING, |graph| Demand::Graph(certain_graph(graph)))
        }
        QueryNode::And(children) => Demand::All(children.iter().map(demand).collect()),
        QueryNode::Or(children) => Demand::Any(children.iter().map(demand).collect()),
        QueryNode::Predicate(_) | QueryNode::Not(_) | QueryNode::Xor(_) => Demand::NOTHING,
    }
}

/// The orders that a bond may have; `None` where that cannot be told.
fn orders(node: &QueryNode<BondQueryPredicate>) -> Option<Vec<BondOrder>> {
    use BondQueryPredicate as P;
    match node {
        QueryNode::Predicate(P::Order(order)) => Some(vec![*order]),
        QueryNode::Predicate(P::OrderIn(orders)) => Some(orders.clone()),
        QueryNode::Predicate(P::IsAromatic(true)) => Some(vec![BondOrder::Aromatic]),
        QueryNode::Predicate(_) | QueryNode::Not(_) | QueryNode::Xor(_) => None,
        QueryNode::And(children) => children
            .iter()
            .filter_map(orders)
            .reduce(|all, one| all.into_iter().filter(|order| one.contains(order)).collect()),
        QueryNode::Or(children) => {
            let mut all: Vec<BondOrder> = Vec::new();
            for child in children {
                all.extend(orders(child)?);
            }
            let mut seen: Vec<BondOrder> = Vec::new();
            for order in all {
                if !seen.contains(&order) {
                    seen.push(order);
                }
            }
            Some(seen)
        }
    }
}

fn smarts_error(error: &SmartsParseError) -> ChemError {
    use SmartsParseError as E;
    let (reason, place) = match error {
        E::UnexpectedCharacter { position, context, .. } => {
            (context.clone(), Place::Character((*position).max(1)))
        }
        E::InvalidAtomPrimitive { position, detail } => {
            (detail.clone(), Place::Character((*position).max(1)))
        }
        E::UnclosedBracket(position) => {
            ("a bracket is not closed".into(), Place::Character(position + 1))
        }
        E::UnclosedParenthesis(position) => {
            ("a parenthesis is not closed".into(), Place::Character(position + 1))
        }
        other => (super::wording::heart(&other.to_string()), Place::Unknown),
    };
    ChemError::Syntax { notation: "SMARTS", reason, place }
}
