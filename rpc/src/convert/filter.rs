//! Filters. Depth and size are bounded by protobuf's decoder here and by the engine's own limits after.

use moiety_engine::{Bound, Filter};
use moiety_proto::v1::{self as wire, condition::Test, filter::Node};

use super::{
    ConvertError,
    payload::{list_from_wire, value_from_wire},
};

const NODES: &str = "send one of all, any, not, condition";
const TESTS: &str = "send one of equals, one_of, range, exists";

/// A filter tree.
pub fn filter_from_wire(filter: wire::Filter, field: &str) -> Result<Filter, ConvertError> {
    match filter.node {
        None => Err(ConvertError::Missing { field: format!("{field}.node"), remedy: NODES }),
        Some(Node::All(list)) => filters(list, &format!("{field}.all")).map(Filter::And),
        Some(Node::Any(list)) => filters(list, &format!("{field}.any")).map(Filter::Or),
        Some(Node::Not(inner)) => {
            let inner = filter_from_wire(*inner, &format!("{field}.not"))?;
            Ok(Filter::Not(Box::new(inner)))
        }
        Some(Node::Condition(condition)) => condition_from_wire(condition, field),
    }
}

fn filters(list: wire::FilterList, field: &str) -> Result<Vec<Filter>, ConvertError> {
    let filters = list.filters.into_iter().enumerate();
    filters.map(|(i, filter)| filter_from_wire(filter, &format!("{field}.filters[{i}]"))).collect()
}

fn condition_from_wire(condition: wire::Condition, path: &str) -> Result<Filter, ConvertError> {
    let path = format!("{path}.condition");
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
    }
}

fn range_from_wire(
    field: String,
    range: &wire::NumberRange,
    path: &str,
) -> Result<Filter, ConvertError> {
    let lower = bound(range.at_least, range.more_than, path, "at_least", "more_than")?;
    let upper = bound(range.at_most, range.less_than, path, "at_most", "less_than")?;
    if (lower, upper) == (Bound::Unbounded, Bound::Unbounded) {
        let remedy = "send one of at_least, more_than, at_most, less_than";
        return Err(ConvertError::Missing { field: path.into(), remedy });
    }
    Ok(Filter::Range { field, lower, upper })
}

fn bound(
    inclusive: Option<f64>,
    exclusive: Option<f64>,
    path: &str,
    inclusive_name: &str,
    exclusive_name: &str,
) -> Result<Bound, ConvertError> {
    let finite = |value: f64, name: &str| match value.is_finite() {
        true => Ok(value),
        false => Err(ConvertError::NotFinite { field: format!("{path}.{name}"), position: 0 }),
    };
    match (inclusive, exclusive) {
        (None, None) => Ok(Bound::Unbounded),
        (Some(value), None) => finite(value, inclusive_name).map(Bound::Inclusive),
        (None, Some(value)) => finite(value, exclusive_name).map(Bound::Exclusive),
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
        let cases = [
            (wire::Filter { node: None }, "filter.node"),
            (condition("", Test::Exists(wire::Exists {})), "filter.condition.field"),
            (range(wire::NumberRange::default()), "filter.condition.range"),
            (
                range(wire::NumberRange { at_most: Some(f64::NAN), ..Default::default() }),
                "filter.condition.range.at_most",
            ),
            (
                range(wire::NumberRange {
                    at_least: Some(1.0),
                    more_than: Some(1.0),
                    ..Default::default()
                }),
                "filter.condition.range.more_than",
            ),
            (condition("x", Test::Equals(Value { kind: None })), "filter.condition.equals"),
        ];
        for (filter, field) in cases {
            assert_eq!(filter_from_wire(filter, "filter").unwrap_err().field(), field);
        }
    }
}
