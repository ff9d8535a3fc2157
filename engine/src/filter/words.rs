//! The words of a text: runs of letters and digits, in lower case.

/// Longest word; what is longer is compared by its beginning.
const MAX_WORD_BYTES: usize = 64;

/// The words of a text in order, repeated ones too.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(|word| {
        let mut word = word.to_lowercase();
        let end = (0..=MAX_WORD_BYTES.min(word.len())).rev().find(|&at| word.is_char_boundary(at));
        word.truncate(end.unwrap_or(0));
        word
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_in_lower_case_and_not_too_long() {
        let found: Vec<String> = words("A Yellow-Dye (E102), Öl").collect();
        assert_eq!(found, ["a", "yellow", "dye", "e102", "öl"]);
        assert_eq!(words(" .,;").count(), 0);
        assert!(words(&"é".repeat(100)).all(|word| word.len() <= MAX_WORD_BYTES));
    }
}
