//! A filter on its way in: every part is read and bounded, and an error says which part is wrong.

use moiety_chem::{ChemError, Fingerprint, Molecule, Pattern, PatternStereo, Structure};
use serde_json::Value;

use super::{Bound, Filter, field::Field, micros, words};
use crate::{
    error::{EngineError, Result},
    limits::{
        MAX_FILTER_DEPTH, MAX_FILTER_NODES, MAX_FILTER_STRUCTURES, MAX_STRUCTURE_BYTES,
        MAX_TEXT_BYTES,
    },
};

/// A filter that can be asked of records.
pub(crate) struct Prepared {
    pub(crate) root: Node,
    /// Whether fingerprints help to answer it.
    pub(crate) wants_prints: bool,
}

/// Conditions joined; "at least one of" stands for `or`.
pub(crate) enum Node {
    Leaf(Leaf),
    All(Vec<Node>),
    AtLeast(usize, Vec<Node>),
    Not(Box<Node>),
}

impl Node {
    /// Every condition, in the order of the filter.
    pub(crate) fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Self::Leaf(leaf) => vec![leaf],
            Self::All(nodes) | Self::AtLeast(_, nodes) => {
                nodes.iter().flat_map(Self::leaves).collect()
            }
            Self::Not(inner) => inner.leaves(),
        }
    }
}

/// One condition.
pub(crate) struct Leaf {
    /// Where it stands in the filter.
    pub(crate) path: String,
    /// As it is written in the text form.
    pub(crate) text: String,
    pub(crate) test: Test,
}

/// What a condition asks.
pub(crate) enum Test {
    OneOf(Field, Vec<Value>),
    Number(Field, Bound, Bound),
    Time(Field, Bound<i64>, Bound<i64>),
    Words(Field, Vec<String>),
    Exists(Field),
    Substructure(Box<Pattern>, PatternStereo),
    Similar(Fingerprint, f32),
}

impl Filter {
    /// Checks depth, size, names, bounds and structures; says where something is wrong.
    pub(crate) fn prepare(&self) -> Result<Prepared> {
        let mut walk = Walk { nodes: 0, structures: 0 };
        let root = walk.node(self, "filter", 1)?;
        Ok(Prepared { root, wants_prints: walk.structures > 0 })
    }
}

struct Walk {
    nodes: usize,
    structures: usize,
}

impl Walk {
    fn node(&mut self, filter: &Filter, path: &str, depth: usize) -> Result<Node> {
        self.count(1)?;
        if depth > MAX_FILTER_DEPTH {
            let reason = format!("it is nested deeper than {MAX_FILTER_DEPTH}");
            return Err(EngineError::invalid(path, reason));
        }
        Ok(match filter {
            Filter::And(inner) => Node::All(self.list(inner, path, "all", depth)?),
            Filter::Or(inner) => Node::AtLeast(1, self.list(inner, path, "any", depth)?),
            Filter::Not(inner) => {
                Node::Not(Box::new(self.node(inner, &format!("{path}.not"), depth + 1)?))
            }
            Filter::Group { must, should, must_not, min_should } => {
                let mut all = self.list(must, path, "must", depth)?;
                if let Some(least) = least(path, should.len(), *min_should)? {
                    let should = self.list(should, path, "should", depth)?;
                    all.push(Node::AtLeast(least, should));
                }
                let must_not = self.list(must_not, path, "must_not", depth)?;
                all.extend(must_not.into_iter().map(|node| Node::Not(Box::new(node))));
                Node::All(all)
            }
            condition => Node::Leaf(Leaf {
                path: path.to_owned(),
                test: self.test(condition, path)?,
                text: condition.to_string(),
            }),
        })
    }

    fn list(
        &mut self,
        filters: &[Filter],
        path: &str,
        name: &str,
        depth: usize,
    ) -> Result<Vec<Node>> {
        let filters = filters.iter().enumerate();
        filters
            .map(|(i, filter)| self.node(filter, &format!("{path}.{name}[{i}]"), depth + 1))
            .collect()
    }

    fn test(&mut self, condition: &Filter, path: &str) -> Result<Test> {
        match condition {
            Filter::Equals { field, value } => {
                check_value(&format!("{path}.equals"), value)?;
                Ok(Test::OneOf(read_field(path, field)?, vec![value.clone()]))
            }
            Filter::In { field, values } => {
                self.count(values.len())?;
                for (i, value) in values.iter().enumerate() {
                    check_value(&format!("{path}.one_of[{i}]"), value)?;
                }
                Ok(Test::OneOf(read_field(path, field)?, values.clone()))
            }
            Filter::Range { field, lower, upper } => {
                let path = format!("{path}.range");
                check_ends(&path, lower, upper)?;
                for (bound, names) in ends(lower, upper) {
                    if bound.value().is_some_and(f64::is_nan) {
                        let reason = "a bound of a range must be a number";
                        return Err(EngineError::invalid(end_path(&path, bound, names), reason));
                    }
                }
                Ok(Test::Number(read_field(&path, field)?, *lower, *upper))
            }
            Filter::TimeRange { field, lower, upper } => {
                let path = format!("{path}.time_range");
                check_ends(&path, lower, upper)?;
                let [lower, upper] = ends(&lower.as_ref(), &upper.as_ref())
                    .map(|(bound, names)| moment(&path, bound, names));
                Ok(Test::Time(read_field(&path, field)?, lower?, upper?))
            }
            Filter::Words { field, words: text } => {
                let path = format!("{path}.words");
                Ok(Test::Words(read_field(&path, field)?, self.words(&path, text)?))
            }
            Filter::Exists { field } => Ok(Test::Exists(read_field(path, field)?)),
            Filter::Substructure { smarts, stereo } => {
                let path = format!("{path}.smarts");
                self.structure(&path)?;
                let pattern = Pattern::from_smarts(smarts).map_err(chemistry(path))?;
                Ok(Test::Substructure(Box::new(pattern), *stereo))
            }
            Filter::Similar { structure, at_least } => {
                self.structure(path)?;
                if !(0.0..=1.0).contains(at_least) {
                    let reason = format!("{at_least} is out of range: a similarity is 0 to 1");
                    return Err(EngineError::invalid(format!("{path}.similar.at_least"), reason));
                }
                let path = format!("{path}.similar.structure");
                Ok(Test::Similar(fingerprint(path, structure)?, *at_least))
            }
            Filter::And(_) | Filter::Or(_) | Filter::Not(_) | Filter::Group { .. } => {
                Err(EngineError::invalid(path, "a condition is expected here"))
            }
        }
    }

    fn words(&mut self, path: &str, text: &str) -> Result<Vec<String>> {
        if text.len() > MAX_TEXT_BYTES {
            let reason = format!("it has {} bytes, allowed are {MAX_TEXT_BYTES}", text.len());
            return Err(EngineError::invalid(path, reason));
        }
        let mut wanted: Vec<String> = words(text).collect();
        wanted.sort_unstable();
        wanted.dedup();
        self.count(wanted.len())?;
        if wanted.is_empty() {
            return Err(EngineError::invalid(path, "it holds no word: no letter and no digit"));
        }
        Ok(wanted)
    }

    fn count(&mut self, more: usize) -> Result<()> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MAX_FILTER_NODES {
            let reason = format!("it has more than {MAX_FILTER_NODES} conditions and values");
            return Err(EngineError::invalid("filter", reason));
        }
        Ok(())
    }

    fn structure(&mut self, path: &str) -> Result<()> {
        self.structures += 1;
        if self.structures > MAX_FILTER_STRUCTURES {
            let reason = format!("a filter has at most {MAX_FILTER_STRUCTURES} structures");
            return Err(EngineError::invalid(path, reason));
        }
        Ok(())
    }
}

/// How many of `should` must hold; `None` where nothing is asked.
fn least(path: &str, should: usize, min_should: Option<usize>) -> Result<Option<usize>> {
    match min_should {
        Some(least) if least > should => {
            let reason = format!("{least} of {should} conditions can never hold");
            Err(EngineError::invalid(format!("{path}.min_should"), reason))
        }
        Some(least) => Ok(Some(least)),
        None if should == 0 => Ok(None),
        None => Ok(Some(1)),
    }
}

fn read_field(path: &str, field: &str) -> Result<Field> {
    Field::parse(field).map_err(|reason| EngineError::invalid(format!("{path}.field"), reason))
}

fn check_value(path: &str, value: &Value) -> Result<()> {
    if value.is_array() || value.is_object() {
        let reason = "a field is compared with a string, a number, a boolean or null";
        return Err(EngineError::invalid(path, reason));
    }
    Ok(())
}

fn check_ends<T: PartialEq>(path: &str, lower: &Bound<T>, upper: &Bound<T>) -> Result<()> {
    if matches!((lower, upper), (Bound::Unbounded, Bound::Unbounded)) {
        return Err(EngineError::invalid(path, "a range needs a lower or an upper bound"));
    }
    Ok(())
}

type Names = [&'static str; 2];

/// Both ends with their names, inclusive and exclusive.
fn ends<T: Copy>(lower: &Bound<T>, upper: &Bound<T>) -> [(Bound<T>, Names); 2] {
    [(*lower, ["at_least", "more_than"]), (*upper, ["at_most", "less_than"])]
}

fn end_path<T>(path: &str, bound: Bound<T>, names: Names) -> String {
    let exclusive = matches!(bound, Bound::Exclusive(_));
    format!("{path}.{}", names[usize::from(exclusive)])
}

fn moment(path: &str, bound: Bound<&String>, names: Names) -> Result<Bound<i64>> {
    let wrong = |text: &str| {
        let reason = format!("{text:?} is no RFC 3339 time, as 2024-05-01T12:00:00Z, and no date");
        EngineError::invalid(end_path(path, bound, names), reason)
    };
    let read = |text: &String| micros(text).ok_or_else(|| wrong(text));
    Ok(match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Inclusive(text) => Bound::Inclusive(read(text)?),
        Bound::Exclusive(text) => Bound::Exclusive(read(text)?),
    })
}

fn fingerprint(path: String, structure: &Structure) -> Result<Fingerprint> {
    let (Structure::Smiles(text) | Structure::Inchi(text) | Structure::MolBlock(text)) = structure;
    if text.len() > MAX_STRUCTURE_BYTES {
        let reason = format!("it has {} bytes, allowed are {MAX_STRUCTURE_BYTES}", text.len());
        return Err(EngineError::invalid(path, reason));
    }
    let normalised = Molecule::parse(structure).and_then(|molecule| molecule.normalise());
    Ok(normalised.map_err(chemistry(path))?.morgan_fingerprint())
}

fn chemistry(path: String) -> impl FnOnce(ChemError) -> EngineError {
    |error| EngineError::invalid(path, error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn equals(field: &str, value: Value) -> Filter {
        Filter::Equals { field: field.into(), value }
    }

    fn range(lower: Bound, upper: Bound) -> Filter {
        Filter::Range { field: "a".into(), lower, upper }
    }

    fn smarts(text: &str) -> Filter {
        Filter::Substructure { smarts: text.into(), stereo: PatternStereo::Ignored }
    }

    fn similar(text: &str, at_least: f32) -> Filter {
        Filter::Similar { structure: Structure::Smiles(text.into()), at_least }
    }

    fn times(lower: Bound<String>, upper: Bound<String>) -> Filter {
        Filter::TimeRange { field: "a".into(), lower, upper }
    }

    #[test]
    fn filters_without_bound_are_refused_with_their_place() {
        let mut deep = equals("a", json!(1));
        for _ in 0..MAX_FILTER_DEPTH {
            deep = Filter::Not(Box::new(deep));
        }
        assert!(deep.prepare().is_err());
        let wide = Filter::In { field: "a".into(), values: vec![json!(1); MAX_FILTER_NODES] };
        assert!(wide.prepare().is_err());
        let many = Filter::And(vec![smarts("C"); MAX_FILTER_STRUCTURES + 1]);
        assert!(many.prepare().is_err());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let good = || equals("a", json!(1));
        let nan = range(Bound::Unbounded, Bound::Inclusive(f64::NAN));
        let open = range(Bound::Unbounded, Bound::Unbounded);
        let late = times(Bound::Exclusive("yesterday".into()), Bound::Unbounded);
        let group = |must: Vec<Filter>, min_should| Filter::Group {
            must,
            should: vec![good()],
            must_not: vec![],
            min_should,
        };
        let one_of = Filter::In { field: "a".into(), values: vec![json!(1), json!({})] };
        let words = Filter::Words { field: "a".into(), words: "...".into() };
        let cases = [
            (Filter::And(vec![good(), equals("", json!(1))]), "filter.all[1].field"),
            (equals("mol.logp", json!(1)), "filter.field"),
            (equals("a", json!({"b": 1})), "filter.equals"),
            (one_of, "filter.one_of[1]"),
            (Filter::Or(vec![open]), "filter.any[0].range"),
            (group(vec![good(), good(), nan], None), "filter.must[2].range.at_most"),
            (group(vec![], Some(2)), "filter.min_should"),
            (Filter::Not(Box::new(late)), "filter.not.time_range.more_than"),
            (words, "filter.words"),
            (smarts("C(="), "filter.smarts"),
            (smarts(&"C".repeat(2_000)), "filter.smarts"),
            (similar("C1CC", 0.5), "filter.similar.structure"),
            (similar("CC", 1.5), "filter.similar.at_least"),
            (similar("CC", f32::NAN), "filter.similar.at_least"),
        ];
        for (filter, expected) in cases {
            let Err(EngineError::Invalid { field, reason }) = filter.prepare().map(|_| ()) else {
                panic!("{filter:?} was taken")
            };
            assert_eq!(field, expected, "{reason}");
        }
    }
}
