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
        for one in level.matches.iter().filter(|m| m.query.is_some()).take(SHOWN) {
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
            let name = name_of(&atoms.indices, groups);
            let name = name.map_or_else(String::new, |name| format!(" ({name})"));
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

/// The name of the group that shares most with these atoms: at least half of all that either has.
fn name_of<'a>(atoms: &[u32], groups: &'a [wire::NamedGroup]) -> Option<&'a str> {
    let shared = |group: &wire::NamedGroup| {
        let own = group.atoms.as_ref().map_or(&[][..], |atoms| &atoms.indices);
        let both = own.iter().filter(|atom| atoms.contains(atom)).count();
        (both, own.len() + atoms.len() - both)
    };
    let near = groups.iter().map(|group| (shared(group), group));
    let near = near.filter(|((both, either), _)| 2 * both >= *either && *both > 0);
    let best = near.max_by(|((a, all_a), _), ((b, all_b), _)| (a * all_b).cmp(&(b * all_a)));
    best.map(|(_, group)| group.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoms_have_the_name_of_the_group_that_they_mostly_are() {
        let group = |name: &str, indices: &[u32]| wire::NamedGroup {
            name: name.into(),
            atoms: Some(wire::Atoms { indices: indices.to_vec() }),
        };
        let groups = [group("carboxylic acid", &[3, 4, 5, 6]), group("benzene ring", &[6, 7, 8])];
        assert_eq!(name_of(&[3, 4, 5], &groups), Some("carboxylic acid"));
        assert_eq!(name_of(&[6, 7, 8], &groups), Some("benzene ring"));
        assert_eq!(name_of(&[6], &groups), None);
        assert_eq!(name_of(&[], &groups), None);
    }
}
