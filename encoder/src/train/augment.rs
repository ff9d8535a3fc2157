//! What a step leaves out of its inputs: words of texts, environments of atoms, features of both.

use rand::{Rng, rngs::StdRng};

use super::{config::TrainConfig, data::Example};
use crate::{
    features::{FeatureCounts, text_features},
    molecule::{MoleculeInput, ROWS_PER_ATOM, neutral_row},
    tokenize::TextInput,
};

/// First columns of an atom's table rows that hold environments (the rest are features).
const ENVIRONMENT_COLUMNS: usize = 6;

/// A text with some of its pieces left out.
pub(super) struct Window {
    /// The remaining pieces, as positions in the whole text's ids.
    pub(super) pieces: Vec<usize>,
    /// The text as if it had only those pieces.
    pub(super) input: TextInput,
    /// True where the frozen layers too shall see no more than those pieces, as they will of a question.
    pub(super) alone: bool,
}

/// What a step reads of a text: some phrases of it, or a window with words dropped.
pub(super) fn excerpt(example: &Example, config: &TrainConfig, rng: &mut StdRng) -> Window {
    let text = &example.text;
    let mut window = match config.phrase_windows > 0.0 && rng.random_bool(config.phrase_windows) {
        true => phrases(example, config, rng),
        false => window(text, config, rng),
    };
    thin(&mut window.input.features, config, rng);
    window
}

/// Leaves some features out.
fn thin(features: &mut FeatureCounts, config: &TrainConfig, rng: &mut StdRng) {
    if config.feature_dropout == 0.0 {
        return;
    }
    let left = features.rows.iter().copied().zip(features.counts.iter().copied());
    let (rows, counts) = left.filter(|_| !rng.random_bool(config.feature_dropout)).unzip();
    *features = FeatureCounts { rows, counts };
}

/// One to three phrases in a row, with the words between them.
fn phrases(example: &Example, config: &TrainConfig, rng: &mut StdRng) -> Window {
    let text = &example.text;
    let first = rng.random_range(0..text.phrases.len());
    let last = (first + rng.random_range(0..3usize)).min(text.phrases.len() - 1);
    let start = text.words[text.phrases[first].start].pieces.start;
    let end = text.words[text.phrases[last].end - 1].pieces.end;
    let mut keep = vec![false; text.ids.len()];
    keep[0] = true;
    keep[text.ids.len() - 1] = true;
    keep[start..end.min(start + config.text_window - 2)].fill(true);
    for word in &text.words {
        if word.pieces.clone().any(|piece| !keep[piece]) {
            keep[word.pieces.clone()].fill(false);
        }
    }
    match text.words.iter().any(|word| keep[word.pieces.start]) {
        true => {
            let mut window = keep_pieces(text, &keep);
            if let Some(rows) = config.model.features.map(|features| features.text_rows) {
                let words = &window.input.words;
                let asked = words[0].bytes.start..words[words.len() - 1].bytes.end;
                window.input.features = text_features(&example.words[asked], rows);
            }
            window.alone = true;
            window
        }
        false => window(text, config, rng),
    }
}

/// Cuts a window of at most `text_window` pieces out of a text at a random place, and drops words inside it.
fn window(text: &TextInput, config: &TrainConfig, rng: &mut StdRng) -> Window {
    let (inner, room) = (text.ids.len() - 2, config.text_window - 2);
    let start = 1 + if inner > room { rng.random_range(0..=inner - room) } else { 0 };
    let end = start + inner.min(room);
    let mut keep = vec![false; text.ids.len()];
    keep[0] = true;
    keep[text.ids.len() - 1] = true;
    keep[start..end].fill(true);
    let mut words_left = 0;
    for word in &text.words {
        let whole = word.pieces.start >= start && word.pieces.end <= end;
        let dropped = words_left > 1 && rng.random_bool(config.word_dropout);
        if whole && !dropped {
            words_left += 1;
        } else {
            keep[word.pieces.clone()].fill(false);
        }
    }
    if words_left == 0 {
        let pieces = (0..text.ids.len()).collect();
        return Window { pieces, input: text.clone(), alone: false };
    }
    keep_pieces(text, &keep)
}

fn keep_pieces(text: &TextInput, keep: &[bool]) -> Window {
    let pieces: Vec<usize> = (0..keep.len()).filter(|&i| keep[i]).collect();
    let mut place = vec![0; keep.len()];
    for (new, &old) in pieces.iter().enumerate() {
        place[old] = new;
    }
    let mut input = TextInput {
        ids: pieces.iter().map(|&i| text.ids[i]).collect(),
        words: vec![],
        phrases: vec![],
        // What a window leaves out, its features keep: they cost next to nothing, and a text is read whole later.
        features: text.features.clone(),
    };
    let mut new_index = vec![None; text.words.len()];
    for (i, word) in text.words.iter().enumerate().filter(|(_, word)| keep[word.pieces.start]) {
        let mut word = word.clone();
        let start = place[word.pieces.start];
        word.pieces = start..start + word.pieces.len();
        new_index[i] = Some(input.words.len());
        input.words.push(word);
    }
    for phrase in &text.phrases {
        let kept: Vec<usize> = phrase.clone().filter_map(|i| new_index[i]).collect();
        if let (Some(&first), Some(&last)) = (kept.first(), kept.last()) {
            input.phrases.push(first..last + 1);
        }
    }
    if input.phrases.is_empty() {
        input.phrases.push(0..input.words.len());
    }
    Window { pieces, input, alone: false }
}

/// A molecule with some environments masked and some features left out.
pub(super) fn masked(
    molecule: &MoleculeInput,
    config: &TrainConfig,
    rng: &mut StdRng,
) -> MoleculeInput {
    let mut masked = molecule.clone();
    let neutral = neutral_row(&config.model.molecule);
    let mask = |(i, row): (usize, &u32)| {
        let environment = i % ROWS_PER_ATOM < ENVIRONMENT_COLUMNS;
        if environment && rng.random_bool(config.environment_dropout) { neutral } else { *row }
    };
    masked.rows = molecule.rows.iter().enumerate().map(mask).collect();
    thin(&mut masked.features, config, rng);
    masked
}
