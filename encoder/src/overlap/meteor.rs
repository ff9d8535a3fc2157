//! METEOR in its first two stages: words that are equal, and words with equal stems. The third stage needs WordNet's synonyms
//! and is not here, so scores are at most those with it; tables say "METEOR (exact, stem)".

use std::collections::HashMap;

use super::stem::stem;

/// Weight of precision in the mean (Banerjee and Lavie 2005: recall counts nine times as much).
const ALPHA: f64 = 0.9;
/// Shape of the penalty for scattered matches.
const BETA: i32 = 3;
/// Largest penalty.
const GAMMA: f64 = 0.5;

/// METEOR of one pair of lower-case tokens, 0 to 1: the weighted harmonic mean of precision and recall of matched words, less
/// a penalty of `0.5 (chunks / matches)³` for matches that do not stand together. Equal to NLTK's `single_meteor_score`
/// where no two words are synonyms.
pub fn meteor(candidate: &[String], reference: &[String]) -> f64 {
    let matches = aligned(candidate, reference);
    if matches.is_empty() {
        return 0.0;
    }
    let count = matches.len() as f64;
    let (precision, recall) = (count / candidate.len() as f64, count / reference.len() as f64);
    let mean = precision * recall / (ALPHA * precision + (1.0 - ALPHA) * recall);
    let apart = matches.windows(2).filter(|pair| {
        let [(c, r), next] = [pair[0], pair[1]];
        next != (c + 1, r + 1)
    });
    let fragmentation = (1 + apart.count()) as f64 / count;
    (1.0 - GAMMA * fragmentation.powi(BETA)) * mean
}

/// Matched places of candidate and reference, in the order of the candidate: equal words first, then equal stems of those
/// that are left.
fn aligned(candidate: &[String], reference: &[String]) -> Vec<(usize, usize)> {
    let (mut c, mut r): (Vec<usize>, Vec<usize>) =
        ((0..candidate.len()).collect(), (0..reference.len()).collect());
    let mut matches = matched(&mut c, &mut r, candidate, reference);
    let stems = |words: &[String]| -> Vec<String> { words.iter().map(|word| stem(word)).collect() };
    matches.extend(matched(&mut c, &mut r, &stems(candidate), &stems(reference)));
    matches.sort_unstable();
    matches
}

/// Matches equal words among the places that are left, and takes these places out. From the last word to the first, each
/// takes the last place of the reference that is free.
fn matched(
    candidate_left: &mut Vec<usize>,
    reference_left: &mut Vec<usize>,
    candidate: &[String],
    reference: &[String],
) -> Vec<(usize, usize)> {
    let mut free: HashMap<&str, Vec<usize>> = HashMap::new();
    for &place in reference_left.iter() {
        free.entry(&reference[place]).or_default().push(place);
    }
    let mut matches = Vec::new();
    for &place in candidate_left.iter().rev() {
        if let Some(found) = free.get_mut(candidate[place].as_str()).and_then(Vec::pop) {
            matches.push((place, found));
        }
    }
    candidate_left.retain(|place| !matches.iter().any(|(c, _)| c == place));
    reference_left.retain(|place| !matches.iter().any(|(_, r)| r == place));
    matches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlap::words;

    /// Made with NLTK 3.10.4 and a WordNet without words; see `meteor.py` beside it.
    const GOLDEN: &str = include_str!("../../tests/data/meteor.json");

    fn golden() -> serde_json::Value {
        serde_json::from_str(GOLDEN).expect("JSON")
    }

    #[test]
    fn stems_equal_those_of_nltk() {
        let golden = golden();
        let stems = golden["stems"].as_object().expect("stems");
        assert!(stems.len() > 1000);
        for (word, theirs) in stems {
            assert_eq!(&stem(word), theirs, "{word}");
        }
    }

    #[test]
    fn scores_equal_those_of_nltk_without_synonyms() {
        let golden = golden();
        let mut scored = 0;
        for pair in golden["pairs"].as_array().expect("pairs") {
            let side = |name: &str| words(pair[name].as_str().expect("text"));
            let ours = meteor(&side("candidate"), &side("reference"));
            let theirs = pair["meteor"].as_f64().expect("a number");
            assert!((ours - theirs).abs() < 1e-12, "{ours} against {theirs}: {pair}");
            scored += usize::from(theirs > 0.0);
        }
        assert!(scored > 30);
    }

    #[test]
    fn any_word_has_a_stem_that_is_no_longer() {
        for word in [
            "",
            "y",
            "yyy",
            "ed",
            "ing",
            "eed",
            "s",
            "ss",
            "ll",
            "alli",
            "logi",
            "ion",
            "é",
            "naïveté",
        ] {
            assert!(stem(word).len() <= word.len(), "{word}");
        }
    }
}
