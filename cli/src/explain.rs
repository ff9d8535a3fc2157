//! Why a record scores as it does, for a person: which phrase matched which fragment.

use moiety_rpc::wire;

use crate::structure;

/// Most matches that are shown of a level.
const SHOWN: usize = 6;

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
        let matches: Vec<_> =
            level.matches.iter().filter(|m| counts && m.query.is_some()).collect();
        let (shown, others) = matches.split_at(SHOWN.min(matches.len()));
        for one in shown {
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
        if !others.is_empty() {
            let rest: f32 = others.iter().map(|one| one.contribution).sum();
            lines.push(format!("    {} more add {rest:+.3}", others.len()));
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
    fn what_is_shown_of_a_level_adds_up_to_it() {
        let span = |start| wire::Extent {
            extent: Some(wire::extent::Extent::Span(wire::ByteSpan { start, end: start + 1 })),
        };
        let matches = (0..8).map(|i| wire::Match {
            query: Some(span(i)),
            contribution: 0.125,
            ..wire::Match::default()
        });
        let level = wire::LevelExplanation {
            level: wire::LevelName::Fragment.into(),
            score: 2.0,
            weight: 0.5,
            matches: matches.collect(),
        };
        let explanation =
            wire::ExplainResponse { score: 1.0, levels: vec![level], ..Default::default() };
        let text = describe(&wire::Hit::default(), Some("phenolic"), &explanation);
        let adds = text.lines().filter_map(|line| line.rsplit_once(" add")?.1.rsplit_once('+'));
        let sum: f32 = adds.map(|(_, number)| number.parse::<f32>().unwrap_or(f32::NAN)).sum();
        assert!(text.contains("“p” → the whole") && text.contains("2 more add +0.250"), "{text}");
        assert!((sum - 1.0).abs() < 1e-6, "{text}");
    }

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
