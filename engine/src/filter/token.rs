//! The tokens of a filter's text, with their places.

use std::{iter::Peekable, str::CharIndices};

use super::{FilterSyntaxError, field::escaped};

/// A token; its text is unquoted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A path or a word of the language.
    Word(String),
    /// A path of a field of which a part is between backticks; dots there are part of the name.
    Field(String),
    Text(String),
    Number(String),
    Sign(&'static str),
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(text) | Self::Number(text) => write!(f, "`{text}`"),
            Self::Field(text) => write!(f, "the field `{text}`"),
            Self::Text(_) => write!(f, "a string"),
            Self::Sign(sign) => write!(f, "`{sign}`"),
            Self::End => write!(f, "the end"),
        }
    }
}

const SIGNS: [&str; 12] = ["==", "!=", "<=", ">=", "<", ">", "=", "(", ")", "[", "]", ","];

/// Tokens with their positions in characters from 1.
pub(super) fn lex(text: &str) -> Result<Vec<(usize, Token)>, FilterSyntaxError> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut counted = (0, 1);
    let mut position = |at: usize| {
        counted = (at, counted.1 + text[counted.0..at].chars().count());
        counted.1
    };
    while let Some(&(at, c)) = chars.peek() {
        let place = position(at);
        let wrong = |reason: &str| FilterSyntaxError { position: place, reason: reason.into() };
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let token = if let Some(sign) = SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) {
            chars.nth(sign.len() - 1);
            Token::Sign(sign)
        } else if "\"'".contains(c) {
            let end = quoted(&mut chars, c).ok_or_else(|| wrong("a quote is not closed"))?;
            unquote(c, &text[at..end]).ok_or_else(|| wrong("the string has a wrong escape"))?
        } else if c.is_ascii_digit() || c == '-' {
            let number = take(text, &mut chars, |c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            let value: Option<f64> = serde_json::from_str(number).ok();
            value.ok_or_else(|| wrong(&format!("`{number}` is no number")))?;
            Token::Number(number.into())
        } else if c.is_alphabetic() || "_`".contains(c) {
            path(text, &mut chars).ok_or_else(|| wrong("a quote is not closed"))?
        } else {
            return Err(wrong(&format!("`{c}` has no meaning here")));
        };
        tokens.push((place, token));
    }
    tokens.push((position(text.len()), Token::End));
    Ok(tokens)
}

type Chars<'a> = Peekable<CharIndices<'a>>;

/// A path of names, each plain or between backticks, with dots between them; `None` where a backtick is not closed.
fn path(text: &str, chars: &mut Chars<'_>) -> Option<Token> {
    let part = |c: char| c.is_alphanumeric() || "_-.\\".contains(c);
    let (mut path, mut has_quotes) = (String::new(), false);
    loop {
        match chars.peek() {
            Some(&(at, '`')) => {
                let end = quoted(chars, '`')?;
                let name = text[at + 1..end - 1].replace("``", "`");
                // Alone it is a key of the payload, whatever it is called.
                let is_own = path.is_empty() && ["id", "text"].contains(&name.as_str());
                path.push_str(if is_own { "payload." } else { "" });
                path.push_str(&escaped(&name));
                has_quotes = true;
            }
            _ => path.push_str(take(text, chars, part)),
        }
        let next = text[chars.peek().map_or(text.len(), |(at, _)| *at)..].chars().next();
        let goes_on = match next {
            Some('`') => path.ends_with('.') && !path.ends_with("\\."),
            Some('.') => has_quotes,
            _ => false,
        };
        if !goes_on {
            return Some(if has_quotes { Token::Field(path) } else { Token::Word(path) });
        }
    }
}

/// The characters from here on for which `part` holds.
fn take<'a>(text: &'a str, chars: &mut Chars<'_>, part: impl Fn(char) -> bool) -> &'a str {
    let start = chars.peek().map_or(text.len(), |(at, _)| *at);
    while chars.next_if(|(_, c)| part(*c)).is_some() {}
    let end = chars.peek().map_or(text.len(), |(at, _)| *at);
    &text[start..end]
}

/// Goes behind the closing quote; the position there, or `None` when there is none.
fn quoted(chars: &mut Chars<'_>, quote: char) -> Option<usize> {
    chars.next();
    loop {
        match chars.next()? {
            (at, c) if c == quote => {
                // A doubled backtick stands for one.
                if quote == '`' && chars.next_if(|(_, c)| *c == '`').is_some() {
                    continue;
                }
                return Some(at + c.len_utf8());
            }
            (_, '\\') if quote == '"' => {
                chars.next();
            }
            _ => {}
        }
    }
}

fn unquote(quote: char, whole: &str) -> Option<Token> {
    let inner = &whole[1..whole.len() - 1];
    match quote {
        '"' => serde_json::from_str(whole).ok().map(Token::Text),
        _ => Some(Token::Text(inner.into())),
    }
}
