//! Filters as text: `mw < 300 and smarts("C(=O)[OX2H1]") and tags in ["drug", "dye"]`.
//!
//! | written | means |
//! |---|---|
//! | `year = 1932`, `year != 1932` | equal, not equal; values are JSON: strings, numbers, `true`, `false`, `null` |
//! | `tags in ["drug", "dye"]`, `tags not in […]` | one of, none of |
//! | `mw < 300`, `100 <= mw < 300` | a range; `<`, `<=`, `>`, `>=` |
//! | `seen >= "2024-05-01"` | a range of RFC 3339 times or dates |
//! | `has(year)` | the field is there and not null |
//! | `words(title, "yellow dye")` | every word is in the text |
//! | `smarts("c1ccccc1O")`, `smarts('C/C=C\C', stereo)` | substructure, without and with stereo marks |
//! | `similar("CCO", 0.7)` | Tanimoto similarity of at least this |
//! | `and`, `or`, `not`, `( )` | `not` binds tightest, `or` loosest |
//! | `at_least(2, a, b, c)`, `all(…)`, `any(…)` | so many of these |
//!
//! Strings are in `"…"` with the escapes of JSON, or in `'…'` without any. A field that is no plain path is written between
//! backticks. `mw`, `logp`, `tpsa`, `hbd` and `hba` are short for facts of the molecule, unless between backticks.

use moiety_chem::{PatternStereo, Structure};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Bound, Filter,
    token::{Token, lex},
};
use crate::limits::MAX_EXPRESSION_BYTES;

/// Deepest nesting of parentheses, calls and `not`.
const MAX_DEPTH: usize = 64;

/// Short names of facts.
pub(super) const SHORT: [(&str, &str); 5] = [
    ("mw", "mol.molecular_weight"),
    ("logp", "mol.log_p"),
    ("tpsa", "mol.tpsa"),
    ("hbd", "mol.hydrogen_bond_donors"),
    ("hba", "mol.hydrogen_bond_acceptors"),
];

/// Words that are no field unless between backticks.
pub(super) const RESERVED: [&str; 7] = ["and", "or", "not", "in", "true", "false", "null"];

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {reason}")]
pub struct FilterSyntaxError {
    /// Where, in characters from 1.
    pub position: usize,
    /// What is wrong, or what was expected.
    pub reason: String,
}

impl Filter {
    /// Reads a filter from text, as in `mw < 300 and tags in ["drug"]`; the grammar is in the module's source.
    ///
    /// ```
    /// use moiety_engine::Filter;
    ///
    /// let filter = Filter::parse(r#"year >= 1900 and not tags = "toxic""#)?;
    /// assert_eq!(filter.to_string(), r#"(year >= 1900 and not tags = "toxic")"#);
    /// assert_eq!(Filter::parse("year >").unwrap_err().position, 7);
    /// # Ok::<(), moiety_engine::FilterSyntaxError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, FilterSyntaxError> {
        if text.len() > MAX_EXPRESSION_BYTES {
            let reason = format!("it has {} bytes, allowed are {MAX_EXPRESSION_BYTES}", text.len());
            return Err(FilterSyntaxError { position: 1, reason });
        }
        let mut parser = Parser { tokens: lex(text)?, next: 0, depth: 0 };
        let filter = parser.any()?;
        match parser.peek() {
            Token::End => Ok(filter),
            _ => Err(parser.expected("`and`, `or` or the end")),
        }
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

type Parsed<T> = Result<T, FilterSyntaxError>;

impl Parser {
    fn any(&mut self) -> Parsed<Filter> {
        self.joined("or", Self::all, Filter::Or)
    }

    fn all(&mut self) -> Parsed<Filter> {
        self.joined("and", Self::not, Filter::And)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Parsed<Filter>,
        join: fn(Vec<Filter>) -> Filter,
    ) -> Parsed<Filter> {
        let first = part(self)?;
        if !self.at_word(word) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.at_word(word) {
            self.next += 1;
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn not(&mut self) -> Parsed<Filter> {
        if !self.at_word("not") {
            return self.one();
        }
        self.next += 1;
        let inner = self.deeper(Self::not)?;
        Ok(Filter::Not(Box::new(inner)))
    }

    fn one(&mut self) -> Parsed<Filter> {
        match self.peek().clone() {
            Token::Sign("(") => {
                self.next += 1;
                let inner = self.deeper(Self::any)?;
                self.sign(")")?;
                Ok(inner)
            }
            Token::Word(name) if self.tokens[self.next + 1].1 == Token::Sign("(") => {
                self.call(&name)
            }
            Token::Number(_) | Token::Text(_) => self.between(),
            _ => self.comparison(),
        }
    }

    fn deeper(&mut self, part: fn(&mut Self) -> Parsed<Filter>) -> Parsed<Filter> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(format!("it is nested deeper than {MAX_DEPTH}")));
        }
        let inner = part(self);
        self.depth -= 1;
        inner
    }

    fn call(&mut self, name: &str) -> Parsed<Filter> {
        let known = ["has", "words", "smarts", "similar", "all", "any", "at_least"];
        if !known.contains(&name) {
            return Err(self.wrong(format!("`{name}` is none of {}", known.join(", "))));
        }
        self.next += 2;
        let filter = match name {
            "has" => Filter::Exists { field: self.field()? },
            "words" => {
                let field = self.field()?;
                self.sign(",")?;
                Filter::Words { field, words: self.text()? }
            }
            "smarts" => {
                let smarts = self.text()?;
                Filter::Substructure { smarts, stereo: self.stereo()? }
            }
            "similar" => {
                let structure = Structure::detect(&self.text()?);
                self.sign(",")?;
                Filter::Similar { structure, at_least: self.number("a similarity from 0 to 1")? }
            }
            "at_least" => {
                let least = self.number("how many")?;
                let should = self.list(true)?;
                let (must, must_not) = (Vec::new(), Vec::new());
                Filter::Group { must, should, must_not, min_should: Some(least) }
            }
            "all" => Filter::And(self.list(false)?),
            _ => Filter::Or(self.list(false)?),
        };
        self.sign(")")?;
        Ok(filter)
    }

    /// Filters up to the closing parenthesis; `begun` says that something stands before them.
    fn list(&mut self, mut begun: bool) -> Parsed<Vec<Filter>> {
        let mut filters = Vec::new();
        while *self.peek() != Token::Sign(")") {
            if begun {
                self.sign(",")?;
            }
            begun = true;
            filters.push(self.deeper(Self::any)?);
        }
        Ok(filters)
    }

    fn stereo(&mut self) -> Parsed<PatternStereo> {
        if *self.peek() != Token::Sign(",") {
            return Ok(PatternStereo::Ignored);
        }
        self.next += 1;
        if !self.at_word("stereo") {
            return Err(self.expected("`stereo`"));
        }
        self.next += 1;
        Ok(PatternStereo::Respected)
    }

    /// `100 <= mw < 300`, or one side of it.
    fn between(&mut self) -> Parsed<Filter> {
        let first = self.next;
        self.next += 1;
        let (sign, field) = (self.order()?, self.field()?);
        let second = match self.peek() {
            Token::Sign("<" | "<=" | ">" | ">=") => {
                if sign.starts_with('<') != matches!(self.peek(), Token::Sign("<" | "<=")) {
                    return Err(self.wrong("both signs of a range point the same way".into()));
                }
                let sign = self.order()?;
                self.next += 1;
                Some((sign, self.next - 1))
            }
            _ => None,
        };
        // Read from the field, the first sign points the other way.
        let flipped = match sign {
            "<" => ">",
            "<=" => ">=",
            ">" => "<",
            _ => "<=",
        };
        self.range(field, [Some((flipped, first)), second])
    }

    fn comparison(&mut self) -> Parsed<Filter> {
        let field = self.field()?;
        match self.peek().clone() {
            Token::Sign("=" | "==") => {
                self.next += 1;
                Ok(Filter::Equals { field, value: self.value()? })
            }
            Token::Sign("!=") => {
                self.next += 1;
                Ok(Filter::Not(Box::new(Filter::Equals { field, value: self.value()? })))
            }
            Token::Sign("<" | "<=" | ">" | ">=") => {
                let sign = self.order()?;
                self.next += 1;
                self.range(field, [Some((sign, self.next - 1)), None])
            }
            Token::Word(word) if word == "in" => {
                self.next += 1;
                Ok(Filter::In { field, values: self.values()? })
            }
            Token::Word(word) if word == "not" => {
                self.next += 1;
                if !self.at_word("in") {
                    return Err(self.expected("`in`"));
                }
                self.next += 1;
                Ok(Filter::Not(Box::new(Filter::In { field, values: self.values()? })))
            }
            _ => Err(self.expected("=, !=, <, <=, >, >=, `in` or `not in`")),
        }
    }

    /// A range from signs as read from the field, each with the place of its value.
    fn range(&mut self, field: String, ends: [Option<(&'static str, usize)>; 2]) -> Parsed<Filter> {
        let mut numbers = [Bound::Unbounded, Bound::Unbounded];
        let mut times = [Bound::Unbounded, Bound::Unbounded];
        let (mut has_number, mut has_time) = (false, false);
        for (sign, at) in ends.into_iter().flatten() {
            let side = usize::from(sign.starts_with('<'));
            let strict = sign.len() == 1;
            let (place, token) = self.tokens[at.min(self.tokens.len() - 1)].clone();
            match token {
                Token::Number(number) => {
                    has_number = true;
                    numbers[side] = bound(strict, read(&number).unwrap_or(f64::NAN));
                }
                Token::Text(text) => {
                    has_time = true;
                    times[side] = bound(strict, text);
                }
                token => {
                    let reason = format!("expected a number, or a time as a string, not {token}");
                    return Err(FilterSyntaxError { position: place, reason });
                }
            }
        }
        match (has_number, has_time) {
            (true, true) => Err(self.wrong("a range is of numbers or of times, not both".into())),
            (true, false) => {
                let [lower, upper] = numbers;
                Ok(Filter::Range { field, lower, upper })
            }
            _ => {
                let [lower, upper] = times;
                Ok(Filter::TimeRange { field, lower, upper })
            }
        }
    }

    fn values(&mut self) -> Parsed<Vec<Value>> {
        self.sign("[")?;
        let mut values = Vec::new();
        while *self.peek() != Token::Sign("]") {
            if !values.is_empty() {
                self.sign(",")?;
            }
            values.push(self.value()?);
        }
        self.next += 1;
        Ok(values)
    }

    fn value(&mut self) -> Parsed<Value> {
        let value = match self.peek() {
            Token::Text(text) => Some(Value::from(text.as_str())),
            Token::Number(text) => read(text).map(Value::Number),
            Token::Word(word) => match word.as_str() {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                "null" => Some(Value::Null),
                _ => None,
            },
            _ => None,
        };
        let wanted = "a value: a string in quotes, a number, true, false or null";
        let value = value.ok_or_else(|| self.expected(wanted))?;
        self.next += 1;
        Ok(value)
    }

    fn field(&mut self) -> Parsed<String> {
        let field = match self.peek() {
            Token::Field(field) => field.clone(),
            Token::Word(word) if !RESERVED.contains(&word.as_str()) => {
                let short = SHORT.iter().find(|(short, _)| short == word);
                short.map_or_else(|| word.clone(), |(_, fact)| (*fact).to_owned())
            }
            _ => return Err(self.expected("a field")),
        };
        self.next += 1;
        Ok(field)
    }

    fn text(&mut self) -> Parsed<String> {
        let Token::Text(text) = self.peek().clone() else {
            return Err(self.expected("a string in quotes"));
        };
        self.next += 1;
        Ok(text)
    }

    fn number<T: DeserializeOwned>(&mut self, what: &str) -> Parsed<T> {
        let number = match self.peek() {
            Token::Number(text) => read(text),
            _ => None,
        };
        let number = number.ok_or_else(|| self.expected(what))?;
        self.next += 1;
        Ok(number)
    }

    fn order(&mut self) -> Parsed<&'static str> {
        match *self.peek() {
            Token::Sign(sign @ ("<" | "<=" | ">" | ">=")) => {
                self.next += 1;
                Ok(sign)
            }
            _ => Err(self.expected("<, <=, > or >=")),
        }
    }

    fn sign(&mut self, sign: &str) -> Parsed<()> {
        match self.peek() {
            Token::Sign(found) if *found == sign => {
                self.next += 1;
                Ok(())
            }
            _ => Err(self.expected(&format!("`{sign}`"))),
        }
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found == word)
    }

    /// The token to read; behind the last one it is the last, which is the end.
    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)].1
    }

    fn expected(&self, what: &str) -> FilterSyntaxError {
        self.wrong(format!("expected {what}, not {}", self.peek()))
    }

    fn wrong(&self, reason: String) -> FilterSyntaxError {
        let position = self.tokens[self.next.min(self.tokens.len() - 1)].0;
        FilterSyntaxError { position, reason }
    }
}

fn bound<T>(strict: bool, value: T) -> Bound<T> {
    if strict { Bound::Exclusive(value) } else { Bound::Inclusive(value) }
}

/// A number, read as those of payloads are.
fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}
