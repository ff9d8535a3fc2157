//! Filters. Depth and size are bounded by protobuf's decoder here and by the engine's own limits after.

use moiety_engine::{Bound, Filter, PatternStereo};
use moiety_proto::v1::{self as wire, condition::Test, filter::Node};

use super::{
    ConvertError, known_enum,
    payload::{list_from_wire, value_from_wire},
    record::structure_from_wire,
};

const NODES: &str =
    "send one of all, any, not, condition, group, substructure, similarity, expression";
const TESTS: &str = "send one of equals, one_of, range, exists, time_range, words";
const STEREO: &str = "PATTERN_STEREO_IGNORED, PATTERN_STEREO_RESPECTED";
const RANGE: &str = "send one of at_least, more_than, at_most, less_than";

/// A filter tree.
pub fn filter_from_wire(filter: wire::Filter, field: &str) -> Result<Filter, ConvertError> {
    match filter.node {
        None => Err(ConvertError::Missing { field: format!("{field}.node"), remedy: NODES }),
        Some(Node::All(list)) => filters(list.filters, &format!("{field}.all")).map(Filter::And),
        Some(Node::Any(list)) => filters(list.filters, &format!("{field}.any")).map(Filter::Or),
        Some(Node::Not(inner)) => {
            let inner = filter_from_wire(*inner, &format!("{field}.not"))?;
            Ok(Filter::Not(Box::new(inner)))
        }
        Some(Node::Condition(condition)) => condition_from_wire(condition, field),
        Some(Node::Group(group)) => group_from_wire(group, field),
        Some(Node::Substructure(substructure)) => substructure_from_wire(substructure, field),
        Some(Node::Similarity(similarity)) => similarity_from_wire(similarity, field),
        Some(Node::Expression(text)) => Filter::parse(&text).map_err(|error| {
            ConvertError::Syntax { field: format!("{field}.expression"), reason: error.to_string() }
        }),
    }
}

fn filters(filters: Vec<wire::Filter>, field: &str) -> Result<Vec<Filter>, ConvertError> {
    let filters = filters.into_iter().enumerate();
    filters.map(|(i, filter)| filter_from_wire(filter, &format!("{field}[{i}]"))).collect()
}

fn group_from_wire(group: wire::FilterGroup, field: &str) -> Result<Filter, ConvertError> {
    Ok(Filter::Group {
        must: filters(group.must, &format!("{field}.must"))?,
        should: filters(group.should, &format!("{field}.should"))?,
        must_not: filters(group.must_not, &format!("{field}.must_not"))?,
        min_should: group.min_should.map(|least| least as usize),
    })
}

fn substructure_from_wire(
    substructure: wire::Substructure,
    field: &str,
) -> Result<Filter, ConvertError> {
    let value = substructure.stereo;
    let stereo = match known_enum::<wire::PatternStereo>(value) {
        Some(wire::PatternStereo::Unspecified | wire::PatternStereo::Ignored) => {
            PatternStereo::Ignored
        }
        Some(wire::PatternStereo::Respected) => PatternStereo::Respected,
        None => {
            let field = format!("{field}.stereo");
            return Err(ConvertError::UnknownEnum { field, value, known: STEREO });
        }
    };
    Ok(Filter::Substructure { smarts: substructure.smarts, stereo })
}

fn similarity_from_wire(similarity: wire::Similarity, field: &str) -> Result<Filter, ConvertError> {
    let field = format!("{field}.similar");
    let structure = similarity.structure.unwrap_or_default();
    let structure = structure_from_wire(structure, &format!("{field}.structure"))?;
    Ok(Filter::Similar { structure, at_least: similarity.at_least })
}

fn condition_from_wire(condition: wire::Condition, path: &str) -> Result<Filter, ConvertError> {
    let field = condition.field;
    if field.is_empty() {
        let remedy = "name the payload field to test";
        return Err(ConvertError::Missing { field: format!("{path}.field"), remedy });
    }
    match condition.test {
        None => Err(ConvertError::Missing { field: format!("{path}.test"), remedy: TESTS }),
        Some(Test::Equals(value)) => {
            Ok(Filter::Equals { field, value: value_from_wire(value, &format!("{path}.equals"))? })
        }
        Some(Test::OneOf(list)) => {
            Ok(Filter::In { field, values: list_from_wire(list, &format!("{path}.one_of"))? })
        }
        Some(Test::Range(range)) => range_from_wire(field, &range, &format!("{path}.range")),
        Some(Test::Exists(wire::Exists {})) => Ok(Filter::Exists { field }),
        Some(Test::TimeRange(range)) => {
            times_from_wire(field, range, &format!("{path}.time_range"))
        }
        Some(Test::Words(words)) => Ok(Filter::Words { field, words }),
    }
}

fn times_from_wire(
    field: String,
    range: wire::TimeRange,
    path: &str,
) -> Result<Filter, ConvertError> {
    let wire::TimeRange { at_least, more_than, at_most, less_than } = range;
    let lower = bound(at_least, more_than, path, "at_least", "more_than")?;
    let upper = bound(at_most, less_than, path, "at_most", "less_than")?;
    if (&lower, &upper) == (&Bound::Unbounded, &Bound::Unbounded) {
        return Err(ConvertError::Missing { field: path.into(), remedy: RANGE });
    }
    Ok(Filter::TimeRange { field, lower, upper })
}

fn range_from_wire(
    field: String,
    range: &wire::NumberRange,
    path: &str,
) -> Result<Filter, ConvertError> {
    let wire::NumberRange { at_least, more_than, at_most, less_than } = *range;
    let ends = [
        (at_least, "at_least"),
        (more_than, "more_than"),
        (at_most, "at_most"),
        (less_than, "less_than"),
    ];
    if let Some((_, name)) = ends.iter().find(|(end, _)| end.is_some_and(|x| !x.is_finite())) {
        return Err(ConvertError::NotFinite { field: format!("{path}.{name}"), position: 0 });
    }
    let lower = bound(at_least, more_than, path, "at_least", "more_than")?;
    let upper = bound(at_most, less_than, path, "at_most", "less_than")?;
    if (lower, upper) == (Bound::Unbounded, Bound::Unbounded) {
        return Err(ConvertError::Missing { field: path.into(), remedy: RANGE });
    }
    Ok(Filter::Range { field, lower, upper })
}

fn bound<T>(
    inclusive: Option<T>,
    exclusive: Option<T>,
    path: &str,
    inclusive_name: &str,
    exclusive_name: &str,
) -> Result<Bound<T>, ConvertError> {
    match (inclusive, exclusive) {
        (None, None) => Ok(Bound::Unbounded),
        (Some(value), None) => Ok(Bound::Inclusive(value)),
        (None, Some(value)) => Ok(Bound::Exclusive(value)),
        (Some(_), Some(_)) => Err(ConvertError::Conflict {
            field: format!("{path}.{exclusive_name}"),
            reason: format!("{inclusive_name} is given too; send one of them"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{ListValue, Value, value::Kind};

    use super::*;

    fn condition(field: &str, test: Test) -> wire::Filter {
        let condition = wire::Condition { field: field.into(), test: Some(test) };
        wire::Filter { node: Some(Node::Condition(condition)) }
    }

    fn number(value: f64) -> Value {
        Value { kind: Some(Kind::NumberValue(value)) }
    }

    #[test]
    fn filter_tree_keeps_its_shape() {
        let range = wire::NumberRange {
            at_least: Some(1900.0),
            less_than: Some(2000.0),
            ..Default::default()
        };
        let not = wire::Filter {
            node: Some(Node::Not(Box::new(condition("gone", Test::Exists(wire::Exists {}))))),
        };
        let any = wire::FilterList {
            filters: vec![
                condition(
                    "kind",
                    Test::Equals(Value { kind: Some(Kind::StringValue("dye".into())) }),
                ),
                condition("n", Test::OneOf(ListValue { values: vec![number(1.0), number(2.5)] })),
            ],
        };
        let all = wire::FilterList {
            filters: vec![
                condition("year", Test::Range(range)),
                not,
                wire::Filter { node: Some(Node::Any(any)) },
            ],
        };
        let filter =
            filter_from_wire(wire::Filter { node: Some(Node::All(all)) }, "filter").unwrap();
        let expected = Filter::And(vec![
            Filter::Range {
                field: "year".into(),
                lower: Bound::Inclusive(1900.0),
                upper: Bound::Exclusive(2000.0),
            },
            Filter::Not(Box::new(Filter::Exists { field: "gone".into() })),
            Filter::Or(vec![
                Filter::Equals { field: "kind".into(), value: "dye".into() },
                Filter::In { field: "n".into(), values: vec![1.into(), 2.5.into()] },
            ]),
        ]);
        assert_eq!(filter, expected);
    }

    #[test]
    fn incomplete_filters_are_refused_with_their_path() {
        let range = |range| condition("x", Test::Range(range));
        let node = |node| wire::Filter { node: Some(node) };
        let exists = || condition("x", Test::Exists(wire::Exists {}));
        let group = wire::FilterGroup {
            must_not: vec![exists(), wire::Filter { node: None }],
            ..Default::default()
        };
        let unknown = wire::Substructure { smarts: "C".into(), stereo: 9 };
        let cases = [
            (wire::Filter { node: None }, "filter.node"),
            (condition("", Test::Exists(wire::Exists {})), "filter.field"),
            (range(wire::NumberRange::default()), "filter.range"),
            (
                range(wire::NumberRange { at_most: Some(f64::NAN), ..Default::default() }),
                "filter.range.at_most",
            ),
            (
                range(wire::NumberRange {
                    at_least: Some(1.0),
                    more_than: Some(1.0),
                    ..Default::default()
                }),
                "filter.range.more_than",
            ),
            (condition("x", Test::Equals(Value { kind: None })), "filter.equals"),
            (condition("x", Test::TimeRange(wire::TimeRange::default())), "filter.time_range"),
            (node(Node::Expression("x <".into())), "filter.expression"),
            (
                node(Node::Similarity(wire::Similarity::default())),
                "filter.similar.structure.format",
            ),
            (node(Node::Group(group)), "filter.must_not[1].node"),
            (node(Node::Substructure(unknown)), "filter.stereo"),
        ];
        for (filter, field) in cases {
            assert_eq!(filter_from_wire(filter, "filter").unwrap_err().field(), field);
        }
    }
}
