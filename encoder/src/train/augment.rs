//! What a step leaves out of its inputs: words of texts, environments of atoms.

use rand::{Rng, rngs::StdRng};

use super::config::TrainConfig;
use crate::{
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
}

/// What a step reads of a text: some phrases of it, or a window with words dropped.
pub(super) fn excerpt(text: &TextInput, config: &TrainConfig, rng: &mut StdRng) -> Window {
    match config.phrase_windows > 0.0 && rng.random_bool(config.phrase_windows) {
        true => phrases(text, config, rng),
        false => window(text, config, rng),
    }
}

/// One to three phrases in a row, with the words between them.
fn phrases(text: &TextInput, config: &TrainConfig, rng: &mut StdRng) -> Window {
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
        true => keep_pieces(text, &keep),
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
        return Window { pieces: (0..text.ids.len()).collect(), input: text.clone() };
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
    Window { pieces, input }
}

/// Table rows of a molecule with some environments masked.
pub(super) fn masked_rows(
    molecule: &MoleculeInput,
    config: &TrainConfig,
    rng: &mut StdRng,
) -> Vec<u32> {
    let neutral = neutral_row(&config.model.molecule);
    let mask = |(i, row): (usize, &u32)| {
        let environment = i % ROWS_PER_ATOM < ENVIRONMENT_COLUMNS;
        if environment && rng.random_bool(config.environment_dropout) { neutral } else { *row }
    };
    molecule.rows.iter().enumerate().map(mask).collect()
}
