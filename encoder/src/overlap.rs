//! How much of a reference a generated text repeats: BLEU, ROUGE, METEOR and the edit distance.
//!
//! These are the scores of text ↔ molecule translation since MolT5 (arXiv 2204.11817). They reward shared words, not truth:
//! a caption can score well and be wrong.

mod meteor;
mod stem;

use std::collections::HashMap;

use rayon::prelude::*;

pub use self::meteor::meteor;

/// Lower-cased words and single marks, as BLEU counts them: runs of ASCII letters and digits, and every other character that
/// is no space.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for c in text.to_lowercase().chars() {
        let letter = c.is_ascii_alphanumeric();
        match words.last_mut() {
            Some(word) if letter && open => word.push(c),
            _ if c.is_whitespace() => {}
            _ => words.push(c.into()),
        }
        open = letter;
    }
    words
}

/// The characters of a SMILES, as BLEU counts them.
pub fn characters(smiles: &str) -> Vec<String> {
    smiles.chars().map(String::from).collect()
}

/// Corpus BLEU up to n-grams of `order` with equal weights, 0 to 1 (Papineni et al. 2002), over pairs of candidate and
/// reference tokens. Without smoothing: 0 where some order has no match at all. A candidate shorter than an n-gram counts as
/// one miss, as in NLTK.
pub fn bleu(pairs: &[(Vec<String>, Vec<String>)], order: usize) -> f64 {
    let (mut matched, mut counted) = (vec![0; order], vec![0; order]);
    let (mut candidates, mut references) = (0, 0);
    for (candidate, reference) in pairs {
        candidates += candidate.len();
        references += reference.len();
        for n in 1..=order {
            let common = common(&n_grams(candidate, n), &n_grams(reference, n));
            matched[n - 1] += common;
            counted[n - 1] += (candidate.len() + 1).saturating_sub(n).max(1);
        }
    }
    if matched.contains(&0) {
        return 0.0;
    }
    let logs = matched.iter().zip(&counted).map(|(&m, &c)| (f64::from(m) / c as f64).ln());
    let brevity = match candidates < references {
        true => 1.0 - references as f64 / candidates as f64,
        false => 0.0,
    };
    (brevity + logs.sum::<f64>() / order as f64).exp()
}

/// F-measures of ROUGE for one pair (Lin 2004), 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Rouge {
    /// Shared words.
    pub rouge_1: f64,
    /// Shared pairs of words.
    pub rouge_2: f64,
    /// Longest common subsequence of words.
    pub rouge_l: f64,
}

impl Rouge {
    /// Compares a candidate with its reference, over lower-cased runs of ASCII letters and digits, unstemmed.
    pub fn of(candidate: &str, reference: &str) -> Self {
        let split = |text: &str| -> Vec<String> {
            let lower = text.to_lowercase();
            let runs = lower.split(|c: char| !c.is_ascii_alphanumeric());
            runs.filter(|run| !run.is_empty()).map(str::to_owned).collect()
        };
        let (a, b) = (split(candidate), split(reference));
        let n_gram = |n: usize| {
            let count = |tokens: &[String]| (tokens.len() + 1).saturating_sub(n);
            f_measure(common(&n_grams(&a, n), &n_grams(&b, n)) as usize, count(&a), count(&b))
        };
        let subsequence = longest_common_subsequence(&a, &b);
        Self {
            rouge_1: n_gram(1),
            rouge_2: n_gram(2),
            rouge_l: f_measure(subsequence, a.len(), b.len()),
        }
    }

    /// Mean over pairs of candidate and reference.
    pub fn mean(pairs: &[(String, String)]) -> Self {
        let all: Vec<Self> = pairs.par_iter().map(|(c, r)| Self::of(c, r)).collect();
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
        Self {
            rouge_1: mean(|r| r.rouge_1),
            rouge_2: mean(|r| r.rouge_2),
            rouge_l: mean(|r| r.rouge_l),
        }
    }
}

/// Least number of characters to insert, delete or replace to turn one text into the other (Levenshtein 1966).
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn n_grams(tokens: &[String], n: usize) -> HashMap<&[String], u32> {
    let mut counts = HashMap::new();
    tokens.windows(n).for_each(|gram| *counts.entry(gram).or_default() += 1);
    counts
}

fn common(a: &HashMap<&[String], u32>, b: &HashMap<&[String], u32>) -> u32 {
    a.iter().map(|(gram, &count)| count.min(b.get(gram).copied().unwrap_or(0))).sum()
}

fn f_measure(common: usize, candidate: usize, reference: usize) -> f64 {
    match candidate + reference {
        0 => 0.0,
        both => 2.0 * common as f64 / both as f64,
    }
}

fn longest_common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let longest = if x == y { diagonal + 1 } else { row[j + 1].max(row[j]) };
            diagonal = std::mem::replace(&mut row[j + 1], longest);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with NLTK 3.10.4 (`corpus_bleu`) and rouge-score 0.1.2.
    const GOLDEN: &str = include_str!("../tests/data/overlap.json");

    fn pairs(golden: &serde_json::Value, of: &str) -> Vec<(String, String)> {
        let text =
            |pair: &serde_json::Value, side: &str| pair[side].as_str().unwrap_or("").to_owned();
        let rows = golden[of].as_array().expect("pairs");
        rows.iter().map(|pair| (text(pair, "candidate"), text(pair, "reference"))).collect()
    }

    fn close(ours: f64, golden: &serde_json::Value) {
        let golden = golden.as_f64().expect("a number");
        assert!((ours - golden).abs() < 1e-9, "{ours} against {golden}");
    }

    #[test]
    fn scores_equal_those_of_nltk_and_rouge_score() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).expect("JSON");
        let texts = pairs(&golden, "pairs");
        let tokens: Vec<_> = texts.iter().map(|(c, r)| (words(c), words(r))).collect();
        for (ours, theirs) in tokens.iter().zip(golden["tokens"].as_array().expect("tokens")) {
            assert_eq!(&serde_json::to_value(&ours.0).expect("json"), theirs);
        }
        close(bleu(&tokens, 2), &golden["bleu2"]);
        close(bleu(&tokens, 4), &golden["bleu4"]);
        for ((candidate, reference), golden) in
            texts.iter().zip(golden["pairs"].as_array().expect("pairs"))
        {
            let ours = Rouge::of(candidate, reference);
            close(ours.rouge_1, &golden["rouge"][0]);
            close(ours.rouge_2, &golden["rouge"][1]);
            close(ours.rouge_l, &golden["rouge"][2]);
        }
        let smiles = pairs(&golden, "smiles");
        let tokens: Vec<_> = smiles.iter().map(|(c, r)| (characters(c), characters(r))).collect();
        close(bleu(&tokens, 4), &golden["smiles_bleu4"]);
        for ((candidate, reference), golden) in
            smiles.iter().zip(golden["smiles"].as_array().expect("smiles"))
        {
            assert_eq!(
                edit_distance(candidate, reference) as u64,
                golden["levenshtein"].as_u64().expect("count")
            );
        }
    }

    #[test]
    fn nothing_generated_is_no_overlap() {
        assert_eq!(bleu(&[(vec![], words("an acid"))], 2), 0.0);
        assert_eq!(bleu(&[], 2), 0.0);
        assert_eq!(Rouge::of("", ""), Rouge::default());
        assert_eq!(edit_distance("", "CCO"), 3);
    }
}
