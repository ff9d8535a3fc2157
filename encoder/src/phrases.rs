//! Words and phrases of a text: which word pieces form a word, and which words a phrase.
//!
//! A phrase is a run of content words between function words, sentence marks and commas that a space follows (the commas
//! inside `2,4-dinitrophenol` do not end it). Nothing here knows vectors.

use std::ops::Range;

/// Longest phrase in words; a longer run is cut.
const MAX_PHRASE_WORDS: usize = 8;

/// Words that link phrases and stand for nothing by themselves.
const FUNCTION_WORDS: [&str; 34] = [
    "a", "also", "an", "and", "are", "as", "at", "be", "been", "by", "can", "for", "from", "has",
    "have", "having", "in", "into", "is", "it", "its", "of", "on", "or", "than", "that", "the",
    "this", "to", "used", "was", "which", "whose", "with",
];

/// One word: its bytes in the text and its pieces among the ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) bytes: Range<usize>,
    pub(crate) pieces: Range<usize>,
}

/// The words that carry meaning: those with a letter or digit, or all of them when none has.
pub(crate) fn content_words(text: &str, words: Vec<Word>) -> Vec<Word> {
    let has_letter = |word: &Word| text[word.bytes.clone()].chars().any(char::is_alphanumeric);
    if words.iter().any(has_letter) {
        words.into_iter().filter(has_letter).collect()
    } else {
        words
    }
}

/// Groups of consecutive word indices that form phrases. Function words belong to none, unless nothing else is there.
pub(crate) fn phrases(text: &str, words: &[Word]) -> Vec<Range<usize>> {
    let mut phrases: Vec<Range<usize>> = Vec::new();
    let mut open: Option<Range<usize>> = None;
    for (i, word) in words.iter().enumerate() {
        let functional = is_function_word(&text[word.bytes.clone()]);
        let breaks = i > 0 && ends_phrase(&text[words[i - 1].bytes.end..word.bytes.start]);
        let full = open.as_ref().is_some_and(|phrase| phrase.len() >= MAX_PHRASE_WORDS);
        if functional || breaks || full {
            phrases.extend(open.take());
        }
        if !functional {
            open = Some(open.map_or(i, |phrase| phrase.start)..i + 1);
        }
    }
    phrases.extend(open);
    if phrases.is_empty() && !words.is_empty() {
        phrases.push(0..words.len());
    }
    phrases
}

fn is_function_word(word: &str) -> bool {
    let lower = word.to_lowercase();
    FUNCTION_WORDS.binary_search(&lower.as_str()).is_ok()
}

/// True when the characters between two words close a phrase.
fn ends_phrase(gap: &str) -> bool {
    let spaced = gap.contains(char::is_whitespace);
    spaced && gap.contains([',', '.', ';', ':', '!', '?', '(', ')', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        let mut words = Vec::new();
        let mut start = None;
        for (i, c) in text.char_indices().chain([(text.len(), ' ')]) {
            match (c.is_alphanumeric(), start) {
                (true, None) => start = Some(i),
                (false, Some(s)) => {
                    words.push(Word { bytes: s..i, pieces: 0..0 });
                    start = None;
                }
                _ => {}
            }
        }
        let spans = phrases(text, &words);
        spans
            .into_iter()
            .map(|p| &text[words[p.start].bytes.start..words[p.end - 1].bytes.end])
            .collect()
    }

    #[test]
    fn function_words_are_sorted_for_the_search() {
        assert!(FUNCTION_WORDS.is_sorted());
    }

    #[test]
    fn phrases_end_at_function_words_and_marks_but_not_inside_names() {
        assert_eq!(
            split(
                "The molecule is a 2,4-dinitrophenol, a yellow dye. It has a role as an uncoupler"
            ),
            ["molecule", "2,4-dinitrophenol", "yellow dye", "role", "uncoupler"]
        );
    }

    #[test]
    fn text_of_function_words_is_one_phrase() {
        assert_eq!(split("of the"), ["of the"]);
    }
}
