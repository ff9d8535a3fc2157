//! How texts are read before anything else looks at them: one form for queries, stored texts, the words of filters and both parts
//! of the text tower.
//!
//! Characters that only format (soft hyphens, zero-width spaces and joiners, marks of direction, variation selectors) are left
//! out; what remains takes Unicode's form NFKC, so that ligatures, super- and subscripts, full-width letters, the micro sign and
//! composed or decomposed accents are read alike; and dashes and primes become `-` and `'`, as chemical names have them either
//! way. Case is left to the readers.

use std::{borrow::Cow, ops::Range};

use tokenizers::{NormalizedString, normalizer::Range as Span};

/// Characters that show nothing by themselves: the category Cf and the other default-ignorable ones of Unicode 16
/// (`DerivedCoreProperties.txt`, `Default_Ignorable_Code_Point`), but for fillers that stand for letters.
const FORMAT: [(char, char); 19] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// A text in its plain form, with the way back to the bytes that it came from.
pub(crate) enum PlainText<'a> {
    /// It was plain already.
    Same(&'a str),
    /// It was changed.
    Changed(Box<NormalizedString>),
}

impl<'a> PlainText<'a> {
    /// Reads a text.
    pub(crate) fn new(text: &'a str) -> Self {
        if text.is_ascii() {
            return Self::Same(text);
        }
        let mut plain = NormalizedString::from(text);
        plain.filter(|c| !is_format(c)).nfkc().map(in_ascii);
        Self::Changed(Box::new(plain))
    }

    /// The plain form.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Same(text) => text,
            Self::Changed(plain) => plain.get(),
        }
    }

    /// The bytes of the original that these bytes of the plain form came from.
    pub(crate) fn original(&self, bytes: Range<usize>) -> Range<usize> {
        match self {
            Self::Same(_) => bytes,
            Self::Changed(plain) => {
                plain.convert_offsets(Span::Normalized(bytes.clone())).unwrap_or(bytes)
            }
        }
    }
}

/// A text in its plain form.
pub fn plain_text(text: &str) -> Cow<'_, str> {
    match PlainText::new(text) {
        PlainText::Same(text) => Cow::Borrowed(text),
        PlainText::Changed(plain) => Cow::Owned(plain.get().to_owned()),
    }
}

fn is_format(c: char) -> bool {
    FORMAT.iter().any(|(first, last)| (first..=last).contains(&&c))
}

/// Dashes, the minus sign and primes as a keyboard has them.
fn in_ascii(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{2b9}' | '\u{2bc}' | '\u{2032}' => '\'',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_spellings_of_a_text_have_one_plain_form() {
        for (written, plain) in [
            ("aspi\u{ad}rin", "aspirin"),
            ("aspi\u{200b}rin", "aspirin"),
            ("\u{feff}ca\u{fb00}eine", "caffeine"),
            ("H\u{2082}SO\u{2084} in cm\u{b3}", "H2SO4 in cm3"),
            ("5 \u{b5}g", "5 \u{3bc}g"),
            ("cafe\u{301}ine", "caf\u{e9}ine"),
            ("2\u{2010}oxo\u{2212}1,1\u{2032}\u{2011}bi", "2-oxo-1,1'-bi"),
            ("plain", "plain"),
        ] {
            assert_eq!(plain_text(written), plain, "{written:?}");
        }
    }

    #[test]
    fn bytes_lead_back_to_what_was_written() {
        let written = "a ca\u{fb00}\u{ad}eine-like µ-opioid";
        let plain = PlainText::new(written);
        let at = plain.as_str().find("caffeine").unwrap();
        assert_eq!(&written[plain.original(at..at + 8)], "ca\u{fb00}\u{ad}eine");
        let at = plain.as_str().find("\u{3bc}").unwrap();
        assert_eq!(&written[plain.original(at..at + 2)], "µ");
    }

    proptest! {
        #[test]
        fn format_characters_and_decomposition_change_nothing(
            words in "[a-zA-Zéüñαβ0-9 ,-]{0,30}",
            at in 0usize..40,
            mark in prop::sample::select(vec!['\u{ad}', '\u{200b}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{fe0f}']),
        ) {
            let mut marked: Vec<char> = words.chars().collect();
            marked.insert(at.min(marked.len()), mark);
            let marked: String = marked.into_iter().collect();
            prop_assert_eq!(plain_text(&marked), plain_text(&words));
            let mut decomposed = NormalizedString::from(words.as_str());
            decomposed.nfd();
            prop_assert_eq!(plain_text(decomposed.get()), plain_text(&words));
        }

        #[test]
        fn the_plain_form_is_plain_and_its_bytes_lie_between_characters(text in "\\PC{0,60}") {
            let plain = PlainText::new(&text);
            prop_assert_eq!(plain_text(plain.as_str()), plain.as_str());
            for (at, c) in plain.as_str().char_indices() {
                let original = plain.original(at..at + c.len_utf8());
                prop_assert!(text.get(original).is_some());
            }
        }
    }
}
