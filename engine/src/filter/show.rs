//! A filter in its text form, which [`Filter::parse`] reads back.

use std::fmt::{Display, Formatter, Result};

use moiety_chem::{PatternStereo, Structure};
use serde_json::Value;

use super::{
    Bound, Filter,
    expression::{RESERVED, SHORT},
    field::keys,
};

/// As [`Filter::parse`] reads it; a group becomes `all(…)` of what it asks.
impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Equals { field, value } => write!(f, "{} = {value}", Name(field)),
            Self::In { field, values } => {
                write!(f, "{} in {}", Name(field), Value::from(values.clone()))
            }
            Self::Range { field, lower, upper } => range(f, field, *lower, *upper),
            Self::TimeRange { field, lower, upper } => {
                range(f, field, lower.as_ref().map(Quoted), upper.as_ref().map(Quoted))
            }
            Self::Words { field, words } => write!(f, "words({}, {})", Name(field), Quoted(words)),
            Self::Exists { field } => write!(f, "has({})", Name(field)),
            Self::Substructure { smarts, stereo } => {
                let stereo = if *stereo == PatternStereo::Respected { ", stereo" } else { "" };
                write!(f, "smarts({}{stereo})", Quoted(smarts))
            }
            Self::Similar { structure, at_least } => {
                let (Structure::Smiles(text) | Structure::Inchi(text) | Structure::MolBlock(text)) =
                    structure;
                write!(f, "similar({}, {at_least})", Quoted(text))
            }
            Self::And(all) => joined(f, all, " and ", "all"),
            Self::Or(any) => joined(f, any, " or ", "any"),
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::Group { must, should, must_not, min_should } => {
                group(f, must, should, must_not, *min_should)
            }
        }
    }
}

fn group(
    f: &mut Formatter<'_>,
    must: &[Filter],
    should: &[Filter],
    must_not: &[Filter],
    min_should: Option<usize>,
) -> Result {
    let least = min_should.or((!should.is_empty()).then_some(1));
    let counted = least.map(|least| {
        let should: Vec<String> = should.iter().map(|filter| format!(", {filter}")).collect();
        format!("at_least({least}{})", should.concat())
    });
    let mut parts: Vec<String> = must.iter().map(Filter::to_string).collect();
    parts.extend(counted);
    parts.extend(must_not.iter().map(|filter| format!("not {filter}")));
    match parts.as_slice() {
        [only] => f.write_str(only),
        parts => write!(f, "all({})", parts.join(", ")),
    }
}

fn joined(f: &mut Formatter<'_>, filters: &[Filter], word: &str, name: &str) -> Result {
    let parts: Vec<String> = filters.iter().map(Filter::to_string).collect();
    match parts.len() {
        0 | 1 => write!(f, "{name}({})", parts.concat()),
        _ => write!(f, "({})", parts.join(word)),
    }
}

fn range<T: Display>(
    f: &mut Formatter<'_>,
    field: &str,
    lower: Bound<T>,
    upper: Bound<T>,
) -> Result {
    let name = Name(field);
    match (lower, upper) {
        (Bound::Unbounded, Bound::Unbounded) => write!(f, "{name} in no range"),
        (Bound::Unbounded, Bound::Inclusive(upper)) => write!(f, "{name} <= {upper}"),
        (Bound::Unbounded, Bound::Exclusive(upper)) => write!(f, "{name} < {upper}"),
        (Bound::Inclusive(lower), Bound::Unbounded) => write!(f, "{name} >= {lower}"),
        (Bound::Exclusive(lower), Bound::Unbounded) => write!(f, "{name} > {lower}"),
        (lower, upper) => {
            match lower {
                Bound::Exclusive(lower) => write!(f, "{lower} < {name}")?,
                Bound::Inclusive(lower) => write!(f, "{lower} <= {name}")?,
                Bound::Unbounded => {}
            }
            match upper {
                Bound::Exclusive(upper) => write!(f, " < {upper}"),
                Bound::Inclusive(upper) => write!(f, " <= {upper}"),
                Bound::Unbounded => Ok(()),
            }
        }
    }
}

/// A field, its keys between backticks where they would not be read as they are.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let part = |c: char| c.is_alphanumeric() || "_-.\\".contains(c);
        let plain = self.0.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && self.0.chars().all(part)
            && !RESERVED.contains(&self.0)
            && !SHORT.iter().any(|(short, _)| *short == self.0);
        if plain {
            return f.write_str(self.0);
        }
        let is_plain = |key: &str| {
            key.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && key.chars().all(|c| c.is_alphanumeric() || "_-".contains(c))
        };
        let keys = keys(self.0);
        for (at, key) in keys.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            match is_plain(key) && keys.len() > 1 {
                true => write!(f, "{dot}{key}")?,
                false => write!(f, "{dot}`{}`", key.replace('`', "``"))?,
            }
        }
        Ok(())
    }
}

struct Quoted<'a>(&'a String);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", Value::from(self.0.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::field::escaped, *};

    /// Paths as they are written: of a key with a dot or a backslash both have a backslash before them.
    fn field() -> impl Strategy<Value = String> {
        let path = prop::collection::vec(".{1,6}|[a-z]{1,3}", 1..3);
        let path =
            path.prop_map(|keys| keys.iter().map(|key| escaped(key)).collect::<Vec<_>>().join("."));
        prop_oneof!["[a-z]{1,4}", path, Just("mw".to_owned()), Just("not".to_owned())]
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e12f64..1e12).prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ]
    }

    fn ends<T: Clone + std::fmt::Debug + 'static>(
        value: impl Strategy<Value = T> + Clone + 'static,
    ) -> impl Strategy<Value = (Bound<T>, Bound<T>)> {
        let end = prop_oneof![
            Just(Bound::Unbounded),
            value.clone().prop_map(Bound::Inclusive),
            value.prop_map(Bound::Exclusive),
        ];
        (end.clone(), end).prop_filter("an end", |(lower, upper)| {
            !matches!((lower, upper), (Bound::Unbounded, Bound::Unbounded))
        })
    }

    fn filter() -> impl Strategy<Value = Filter> {
        let smarts = |smarts, stereo| Filter::Substructure { smarts, stereo };
        let leaf = prop_oneof![
            (field(), value()).prop_map(|(field, value)| Filter::Equals { field, value }),
            (field(), prop::collection::vec(value(), 0..3))
                .prop_map(|(field, values)| Filter::In { field, values }),
            (field(), ends(-1e9f64..1e9)).prop_map(|(field, (lower, upper))| Filter::Range {
                field,
                lower,
                upper
            }),
            (field(), ends(".{0,8}")).prop_map(|(field, (lower, upper))| Filter::TimeRange {
                field,
                lower,
                upper
            }),
            (field(), ".{0,8}").prop_map(|(field, words)| Filter::Words { field, words }),
            field().prop_map(|field| Filter::Exists { field }),
            ".{0,8}".prop_map(move |text| smarts(text, PatternStereo::Ignored)),
            ".{0,8}".prop_map(move |text| smarts(text, PatternStereo::Respected)),
            ("[A-Z]{0,8}", 0f32..1.0).prop_map(|(text, at_least)| Filter::Similar {
                structure: Structure::Smiles(text),
                at_least
            }),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..4);
            prop_oneof![
                list.clone().prop_map(Filter::And),
                list.clone().prop_map(Filter::Or),
                inner.prop_map(|inner| Filter::Not(Box::new(inner))),
                (list, 0usize..4).prop_map(|(should, least)| Filter::Group {
                    must: vec![],
                    should,
                    must_not: vec![],
                    min_should: Some(least),
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_filter_is_read_as_it_is_written(filter in filter()) {
            let text = filter.to_string();
            prop_assert_eq!(Filter::parse(&text).map_err(|e| format!("{text}: {e}")), Ok(filter));
        }

        #[test]
        fn any_text_is_read_or_refused_within_it(
            text in ".{0,60}",
            near in "[a-c0-9 ()\\[\\]<>=!,.\"'`\\\\-]{0,40}",
            words in prop::collection::vec("and|or|not|in|a|smarts|at_least|\\(|\\)|,|\"C\"|<=|5", 0..14),
        ) {
            for text in [text, near, words.join(" ")] {
                if let Err(error) = Filter::parse(&text) {
                    prop_assert!((1..=text.chars().count() + 1).contains(&error.position), "{text}");
                }
            }
        }
    }

    #[test]
    fn the_grammar_means_what_it_says() {
        let cases = [
            ("a = 1 and b = 2 or c = 3", "((a = 1 and b = 2) or c = 3)"),
            ("not a = 1 and b != 2", "(not a = 1 and not b = 2)"),
            ("100 <= mw < 300", "100 <= mol.molecular_weight < 300"),
            ("300 > mw", "mol.molecular_weight < 300"),
            ("9 > x >= 2.5", "2.5 <= x < 9"),
            ("seen >= '2024-05-01'", "seen >= \"2024-05-01\""),
            ("tags not in ['a', 2, null]", "not tags in [\"a\",2,null]"),
            ("smarts('C/C=C\\C', stereo)", r#"smarts("C/C=C\\C", stereo)"#),
            ("at_least(2, has(a), (b = 1), any())", "at_least(2, has(a), b = 1, any())"),
            ("`mw` = 3 or `a``b` = 1", "(`mw` = 3 or `a``b` = 1)"),
            ("`CAS No.` = '50-78-2'", "`CAS No.` = \"50-78-2\""),
            ("assays.`IC 50`.value < 3", "assays.`IC 50`.value < 3"),
            ("`text` = 'x' and text = 'x'", "(payload.text = \"x\" and text = \"x\")"),
        ];
        for (text, expected) in cases {
            assert_eq!(Filter::parse(text).unwrap().to_string(), expected, "{text}");
        }
        let group = Filter::Group {
            must: vec![Filter::Exists { field: "a".into() }],
            should: vec![Filter::Equals { field: "b".into(), value: json!(1) }],
            must_not: vec![Filter::Exists { field: "c".into() }],
            min_should: None,
        };
        assert_eq!(group.to_string(), "all(has(a), at_least(1, b = 1), not has(c))");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_position() {
        let cases = [
            ("", 1, "a field"),
            ("a = ", 5, "a value"),
            ("a = 1 b", 7, "the end"),
            ("é = \"open", 5, "not closed"),
            ("a in [1 2]", 9, "`,`"),
            ("a < true", 5, "number"),
            ("1 < a > 0", 7, "same way"),
            ("1 < a < '2024'", 15, "not both"),
            ("smart(\"C\")", 1, "smarts"),
            ("smarts(C)", 8, "string"),
            ("a = 1e", 5, "no number"),
            ("a ? 1", 3, "no meaning"),
            ("not", 4, "a field"),
            ("a = \"\\x\"", 5, "escape"),
        ];
        for (text, position, part) in cases {
            let error = Filter::parse(text).unwrap_err();
            assert_eq!(error.position, position, "{text}: {error}");
            assert!(error.reason.contains(part), "{text}: {error}");
        }
        assert!(Filter::parse(&"(".repeat(100)).unwrap_err().reason.contains("deeper"));
        assert!(Filter::parse(&"x".repeat(MAX_EXPRESSION_BYTES + 1)).is_err());
    }

    use crate::limits::MAX_EXPRESSION_BYTES;
}
