//! The words of a text: runs of letters and digits of its plain form, in lower case.

use moiety_encoder::plain_text;

/// Longest word; what is longer is compared by its beginning.
const MAX_WORD_BYTES: usize = 64;

/// The words of a text in order, repeated ones too.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    let text = plain_text(text).to_lowercase();
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word[..word.floor_char_boundary(MAX_WORD_BYTES)].to_owned())
        .collect();
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_in_lower_case_and_not_too_long() {
        let found: Vec<String> = words("A Yellow-Dye (E102), Öl").collect();
        assert_eq!(found, ["a", "yellow", "dye", "e102", "öl"]);
        assert_eq!(words(" .,;").count(), 0);
        assert!(words("Aspi\u{ad}rin 5 \u{b5}g").eq(words("aspirin 5 \u{3bc}G")));
        assert!(words(&"é".repeat(100)).all(|word| word.len() <= MAX_WORD_BYTES));
    }
}
