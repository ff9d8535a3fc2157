//! Scores of generated captions.

use moiety_encoder::overlap::{Rouge, bleu, meteor, words};
use rayon::prelude::*;

/// How much of the original captions the generated ones repeat, each 0 to 1.
#[derive(Debug, PartialEq)]
pub(super) struct CaptionScores {
    bleu_2: f64,
    bleu_4: f64,
    rouge: Rouge,
    meteor: f64,
    exact: f64,
}

impl CaptionScores {
    /// Of pairs of a generated caption and the original.
    pub(super) fn of(pairs: &[(String, String)]) -> Self {
        let tokens: Vec<_> = pairs.par_iter().map(|(c, r)| (words(c), words(r))).collect();
        let count = pairs.len().max(1) as f64;
        let meteors: Vec<f64> = tokens.par_iter().map(|(c, r)| meteor(c, r)).collect();
        Self {
            bleu_2: bleu(&tokens, 2),
            bleu_4: bleu(&tokens, 4),
            rouge: Rouge::mean(pairs),
            meteor: meteors.iter().sum::<f64>() / count,
            exact: pairs.iter().filter(|(c, r)| c == r).count() as f64 / count,
        }
    }

    /// In Markdown, times 100.
    pub(super) fn table(&self) -> String {
        let scores = [
            self.bleu_2,
            self.bleu_4,
            self.rouge.rouge_1,
            self.rouge.rouge_2,
            self.rouge.rouge_l,
            self.meteor,
            self.exact,
        ];
        let cells: Vec<String> =
            scores.iter().map(|score| format!("{:.1}", 100.0 * score)).collect();
        format!(
            "| BLEU-2 | BLEU-4 | ROUGE-1 | ROUGE-2 | ROUGE-L | METEOR (exact, stem) | exact |\n\
             |---:|---:|---:|---:|---:|---:|---:|\n\
             | {} |",
            cells.join(" | ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_that_repeat_the_original_score_one_and_others_less() {
        let pair = |candidate: &str, reference: &str| (candidate.to_owned(), reference.to_owned());
        let same = "The molecule is a monocarboxylic acid and a human metabolite.";
        let all = CaptionScores::of(&[pair(same, same)]);
        assert_eq!((all.bleu_4, all.rouge.rouge_2, all.exact), (1.0, 1.0, 1.0));
        assert!(all.meteor > 0.99, "one chunk costs a little: {}", all.meteor);
        let near = CaptionScores::of(&[pair("The molecule is an acid.", same), pair(same, same)]);
        assert!(near.exact == 0.5 && near.bleu_2 < 1.0 && near.meteor < all.meteor);
        assert!(near.table().contains("| 50.0 |"), "{}", near.table());
        assert_eq!(CaptionScores::of(&[]).exact, 0.0);
    }
}
