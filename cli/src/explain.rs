//! Why a record scores as it does, for a person: which phrase matched which fragment.

use moiety_rpc::wire;

use crate::{search::Side, structure};

/// Most matches that are shown of a level.
const SHOWN: usize = 6;

pub(crate) fn request(
    collection: &str,
    query: wire::Query,
    hit: &wire::Hit,
    target: Side,
) -> wire::ExplainRequest {
    let id = hit
        .record
        .as_ref()
        .and_then(|r| r.record.as_ref())
        .map(|r| r.id.clone())
        .unwrap_or_default();
    wire::ExplainRequest {
        collection: collection.into(),
        query: Some(query),
        id,
        target: target.to_wire().into(),
        weights: None,
        filter: None,
    }
}

/// The explanation as text; `query` is the text that was asked, if it was one.
pub(crate) fn describe(
    hit: &wire::Hit,
    query: Option<&str>,
    explanation: &wire::ExplainResponse,
) -> String {
    let stored = hit.record.clone().unwrap_or_default();
    let record = stored.record.clone().unwrap_or_default();
    let mut lines = vec![format!("\n{}: score {:.3}", record.id, explanation.score)];
    if let Some(smiles) = structure::smiles(&stored) {
        lines.push(format!("  {smiles}"));
    }
    for level in &explanation.levels {
        let name = match level.level() {
            wire::LevelName::Global => "whole",
            wire::LevelName::Fragment => "phrases and fragments",
            _ => "words and atoms",
        };
        lines.push(format!("  {name}: {:.3} × weight {}", level.score, level.weight));
        let counts = level.weight != 0.0;
        for one in level.matches.iter().filter(|m| counts && m.query.is_some()).take(SHOWN) {
            let (from, to) = (
                part(one.query.as_ref(), query, &explanation.query_groups),
                part(one.target.as_ref(), record.text.as_deref(), &explanation.target_groups),
            );
            let arrow = match one.direction() {
                wire::MatchDirection::TargetToQuery => "←",
                _ => "→",
            };
            lines.push(format!(
                "    {from} {arrow} {to}   cosine {:.2}, adds {:+.3}",
                one.cosine, one.contribution
            ));
        }
    }
    lines.join("\n")
}

fn part(extent: Option<&wire::Extent>, text: Option<&str>, groups: &[wire::NamedGroup]) -> String {
    match extent.and_then(|extent| extent.extent.as_ref()) {
        Some(wire::extent::Extent::Atoms(atoms)) => {
            let indices: Vec<String> = atoms.indices.iter().map(u32::to_string).collect();
            let names = names_of(&atoms.indices, groups);
            let name = names.map_or_else(String::new, |names| format!(" ({names})"));
            format!("atoms {}{name}", indices.join(","))
        }
        Some(wire::extent::Extent::Span(span)) => {
            let piece = text.and_then(|text| text.get(span.start as usize..span.end as usize));
            piece.map_or_else(
                || format!("bytes {}..{}", span.start, span.end),
                |piece| format!("“{piece}”"),
            )
        }
        None => "the whole".into(),
    }
}

/// The groups that mostly lie within these atoms, or the one that these atoms lie in.
fn names_of(atoms: &[u32], groups: &[wire::NamedGroup]) -> Option<String> {
    let shared = |group: &wire::NamedGroup| {
        let own = group.atoms.as_ref().map_or(&[][..], |atoms| &atoms.indices);
        (own.iter().filter(|atom| atoms.contains(atom)).count(), own.len())
    };
    let mut within: Vec<&str> = Vec::new();
    for group in groups {
        let (both, own) = shared(group);
        if both > 0 && 2 * both >= own && !within.contains(&group.name.as_str()) {
            within.push(&group.name);
        }
    }
    if !within.is_empty() {
        return Some(within.join(", "));
    }
    let around = groups.iter().find(|group| !atoms.is_empty() && shared(group).0 == atoms.len());
    around.map(|group| format!("in {}", group.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoms_have_the_names_of_the_groups_they_hold_or_lie_in() {
        let group = |name: &str, indices: &[u32]| wire::NamedGroup {
            name: name.into(),
            atoms: Some(wire::Atoms { indices: indices.to_vec() }),
        };
        let groups = [group("carboxylic acid", &[3, 4, 5, 6]), group("benzene ring", &[6, 7, 8])];
        let names = |atoms: &[u32]| names_of(atoms, &groups);
        assert_eq!(names(&[3, 4, 5]).as_deref(), Some("carboxylic acid"));
        assert_eq!(names(&[4, 5, 6, 7, 8]).as_deref(), Some("carboxylic acid, benzene ring"));
        assert_eq!(names(&[7]).as_deref(), Some("in benzene ring"));
        assert_eq!((names(&[9]), names(&[])), (None, None));
    }
}
