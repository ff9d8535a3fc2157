//! Features of texts: written words, runs of letters or digits, neighbours among those, and n-grams inside the longer ones.

use super::{Counter, Feature, FeatureCounts};

/// Lengths of the n-grams, with the marks that stand for a run's two ends.
const NGRAMS: std::ops::RangeInclusive<usize> = 4..=6;
/// Shorter runs have no n-grams: they are one feature already. In characters.
const LEAST_RUN: usize = 5;
/// Longer runs are no words; of them only the head is cut into n-grams.
const LONGEST_RUN: usize = 64;

/// Kinds of features; one is never taken for another.
const WRITTEN: u8 = b'w';
const RUN: u8 = b'r';
const PAIR: u8 = b'p';
const NGRAM: u8 = b'n';

/// Features of a text.
pub(crate) fn text_features(text: &str, table_rows: u32) -> FeatureCounts {
    let text = text.to_lowercase();
    let mut counter = Counter::new(table_rows);
    for word in text.split_whitespace() {
        counter.add(Feature::of(WRITTEN).text(word.trim_matches(['.', ',', ';'])));
    }
    let runs = runs(&text);
    for run in &runs {
        add_run(&mut counter, run);
    }
    for pair in runs.windows(2) {
        counter.add(neighbours(pair[0], pair[1]));
    }
    counter.finish()
}

fn neighbours(one: &str, next: &str) -> Feature {
    Feature::of(PAIR).text(one).text(next)
}

fn add_run(counter: &mut Counter, run: &str) {
    counter.add(Feature::of(RUN).text(run));
    let marked: String = format!("<{}>", run.chars().take(LONGEST_RUN).collect::<String>());
    let mut bounds: Vec<usize> = marked.char_indices().map(|(at, _)| at).collect();
    bounds.push(marked.len());
    if bounds.len() < LEAST_RUN + 3 {
        return;
    }
    for length in NGRAMS {
        for ends in bounds.windows(length + 1) {
            counter.add(Feature::of(NGRAM).text(&marked[ends[0]..ends[length]]));
        }
    }
}

/// Longest runs of letters, and of digits.
fn runs(text: &str) -> Vec<&str> {
    let kind = |c: char| (c.is_alphabetic(), c.is_numeric());
    let mut runs = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        if let Some((from, open)) = start
            && open != kind(c)
        {
            runs.push(&text[from..at]);
            start = None;
        }
        if start.is_none() && kind(c) != (false, false) {
            start = Some((at, kind(c)));
        }
    }
    runs.extend(start.map(|(from, _)| &text[from..]));
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn letters_and_digits_part_and_marks_are_left_out() {
        assert_eq!(
            runs("(9Z)-octadec-9-enoic α-acid."),
            ["9", "Z", "octadec", "9", "enoic", "α", "acid"]
        );
        assert!(runs("…, ;").is_empty());
    }

    #[test]
    fn names_that_share_a_stem_share_features_and_case_counts_for_nothing() {
        let shared = |a: &str, b: &str| {
            let (a, b) = (text_features(a, 1 << 20), text_features(b, 1 << 20));
            a.rows.iter().filter(|row| b.rows.binary_search(row).is_ok()).count()
        };
        assert!(shared("octadecanoic", "octadecanoate") > 10);
        assert_eq!(shared("octadecanoic", "benzene"), 0);
        assert_eq!(text_features("Benzene", 99), text_features("benzene", 99));
    }

    #[test]
    fn a_number_belongs_to_the_name_that_follows() {
        let of = |text| text_features(text, 1 << 20).rows;
        assert_ne!(of("14-hydroxy-2-oxo"), of("2-hydroxy-14-oxo"));
    }

    proptest! {
        #[test]
        fn any_text_has_features_within_the_table(text in "\\PC{0,200}", rows in 1u32..5000) {
            let found = text_features(&text, rows);
            prop_assert!(found.rows.iter().all(|&row| row < rows));
            prop_assert!(found.rows.is_sorted_by(|a, b| a < b));
        }
    }
}
