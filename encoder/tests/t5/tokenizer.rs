//! The two tokenizers: the released one's limits, and our own that loses nothing.

use std::{path::Path, sync::LazyLock};

use candle_core::Device;
use moiety_encoder::t5::{
    T5Config,
    tokenizer::{JointTokenizer, PaddedBatch, T5Tokenizer, Tokens, learn_text_pieces},
};
use proptest::prelude::*;

use crate::golden::Golden;

const TEXTS: [&str; 6] = [
    "The molecule is an acid. The molecule is a base.",
    "The molecule is an alcohol with the role of a solvent.",
    "The molecule is a steroid ester; it derives from an acid.",
    "It is an enantiomer of the (R)-acid.",
    "The alcohol is a metabolite of the molecule.",
    "The acid derives from the ester.",
];

static JOINT: LazyLock<JointTokenizer> = LazyLock::new(|| {
    let json = learn_text_pieces(TEXTS.iter(), 300).expect("learned");
    JointTokenizer::from_json(&json).expect("loses nothing")
});

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn unigram() -> T5Tokenizer {
    T5Tokenizer::load(&data("t5_tokenizer.json"), &Golden::read().config).expect("tokenizer")
}

/// SMILES, odd and broken ones among them; with RDKit's number of atoms for those of data sets that write no hydrogen.
fn smiles() -> Vec<(String, Option<usize>)> {
    let json = std::fs::read_to_string(data("smiles.json")).expect("smiles");
    serde_json::from_str(&json).expect("pairs")
}

fn pieces<'a>(input: &'a str, tokens: &Tokens) -> Vec<&'a str> {
    tokens.spans.iter().map(|span| &input[span.clone()]).collect()
}

#[test]
fn unigram_pieces_end_with_the_end_id_and_know_their_bytes() {
    let (tokenizer, text) = (unigram(), "The  molecule is\tan acid");
    let tokens = tokenizer.encode(text, 512).expect("encode");
    assert_eq!(tokens.ids.last(), Some(&1));
    assert_eq!(pieces(text, &tokens), ["The", "molecule", "is", "an", "acid", ""]);
    assert!(!tokens.truncated);
    assert_eq!(tokenizer.decode(&tokens.ids).expect("decode"), "The molecule is an acid");
    assert_eq!(tokenizer.decode(&[0, 4, 6, 1, 0]).expect("decode"), "The molecule");
}

#[test]
fn a_long_input_is_cut_and_still_ends() {
    for max_tokens in [1, 2, 4, 512] {
        let all = [
            unigram().encode("CC(=O)O", max_tokens).expect("encode"),
            JOINT.smiles("CC(=O)O", max_tokens).expect("encode"),
            JOINT.text("The acid of no name", max_tokens).expect("encode"),
        ];
        for tokens in all {
            assert!(tokens.ids.len() <= max_tokens && tokens.ids.last() == Some(&1), "{tokens:?}");
            assert_eq!(tokens.truncated, max_tokens < 512);
            assert_eq!(tokens.spans.len(), tokens.ids.len());
            assert_eq!(tokens.atoms.len(), tokens.ids.len());
        }
    }
}

#[test]
fn the_released_pieces_lose_the_stereo_that_ours_keep() {
    let (z, e) = ("C/C=C\\C", "C/C=C^C");
    let (tokenizer, unknown) = (unigram(), unigram().unknown().expect("unknown"));
    let ids = |s: &str| tokenizer.encode(s, 64).expect("encode").ids;
    assert_eq!(ids(z), ids(e));
    assert!(ids(z).contains(&unknown));
    assert_eq!(tokenizer.decode(&ids(z)).expect("decode"), "C/C=CC");
    let ours = |s: &str| JOINT.smiles(s, 64).expect("encode").ids;
    assert_ne!(ours(z), ours(e));
    assert_eq!(JOINT.decode(&ours(z)).expect("decode"), z);
}

#[test]
fn a_tokenizer_that_does_not_fit_the_model_is_named() {
    let config = |from: &str, to: &str| -> T5Config {
        let json = std::fs::read_to_string(data("t5_tiny.json")).expect("config");
        T5Config::from_json(&json.replace(from, to)).expect("config")
    };
    for (config, word) in [
        (config(r#""vocab_size": 128"#, r#""vocab_size": 64"#), "the model has 64 rows"),
        (config(r#""eos_token_id": 1"#, r#""eos_token_id": 2"#), "</s>"),
    ] {
        let error = T5Tokenizer::load(&data("t5_tokenizer.json"), &config).map(|_| ());
        let error = error.expect_err(word).to_string();
        assert!(error.contains(word), "{error}");
    }
    let lossy = std::fs::read_to_string(data("t5_tokenizer.json")).expect("file");
    let error = JointTokenizer::from_json(&lossy).map(|_| ()).expect_err("lossy").to_string();
    assert!(error.contains("byte level"), "{error}");
    assert!(JointTokenizer::from_json("{}").is_err());
}

#[test]
fn every_smiles_comes_back_and_its_atoms_are_counted() {
    let smiles = smiles();
    assert!(smiles.len() > 400 && smiles.iter().filter(|(s, _)| s.contains('\\')).count() > 50);
    for (smiles, atoms) in smiles {
        let tokens = JOINT.smiles(&smiles, usize::MAX).expect("encode");
        assert_eq!(JOINT.decode(&tokens.ids).expect("decode"), smiles);
        if let Some(atoms) = atoms {
            let last = tokens.atoms.iter().flatten().max();
            assert_eq!(last.map_or(0, |last| *last as usize + 1), atoms, "{smiles}");
            let allowed = JOINT.smiles_ids();
            let end = JOINT.end();
            assert!(tokens.ids.iter().all(|id| *id == end || allowed.contains(id)), "{smiles}");
        }
    }
}

#[test]
fn learning_is_a_function_of_the_texts_and_learns_their_words() {
    let again = learn_text_pieces(TEXTS.iter(), 300).expect("learned");
    let json = learn_text_pieces(TEXTS.iter(), 300).expect("learned");
    assert_eq!(json, again);
    let text = "The molecule";
    let tokens = JOINT.text(text, 64).expect("encode");
    assert_eq!(pieces(text, &tokens), ["The", " molecule", ""]);
    assert!(JOINT.vocabulary() <= 1024 + 300);
    assert!(learn_text_pieces(TEXTS.iter(), 255).is_err());
}

#[test]
fn smiles_and_text_share_no_id() {
    let smiles = JOINT.smiles("C[13CH3]é", 64).expect("encode");
    let text = JOINT.text("C[13CH3]é", 64).expect("encode");
    let last = |t: &Tokens| t.ids.len() - 1;
    assert!(smiles.ids[..last(&smiles)].iter().all(|id| !JOINT.text_ids().contains(id)));
    assert!(text.ids[..last(&text)].iter().all(|id| JOINT.text_ids().contains(id)));
    let both: Vec<u32> = text.ids.iter().chain(&smiles.ids).copied().collect();
    assert_eq!(JOINT.decode(&both).expect("decode"), "C[13CH3]éC[13CH3]é");
}

#[test]
fn a_batch_is_padded_to_its_longest_row_or_to_a_length() {
    let rows = [vec![5, 6, 1], vec![7, 1]];
    let batch = PaddedBatch::new(&rows, None, 0, &Device::Cpu).expect("batch");
    assert_eq!(batch.ids.to_vec2::<u32>().expect("ids"), [[5, 6, 1], [7, 1, 0]]);
    assert_eq!(batch.mask.to_vec2::<u8>().expect("mask"), [[1, 1, 1], [1, 1, 0]]);
    let wide = PaddedBatch::new(&rows, Some(4), 0, &Device::Cpu).expect("batch");
    assert_eq!(wide.ids.dims(), [2, 4]);
    assert!(PaddedBatch::new(&rows, Some(2), 0, &Device::Cpu).is_err());
    assert!(PaddedBatch::new::<Vec<u32>>(&[], None, 0, &Device::Cpu).is_err());
}

proptest! {
    #[test]
    fn any_string_comes_back_from_smiles_and_from_text(input in "\\PC*|[-\\\\/CNOclnos()\\[\\]@H+0-9=#%.]{0,40}|(?s).{0,20}") {
        for tokens in [JOINT.smiles(&input, usize::MAX), JOINT.text(&input, usize::MAX)] {
            let tokens = tokens.expect("encode");
            prop_assert_eq!(JOINT.decode(&tokens.ids).expect("decode"), input.clone());
            for span in &tokens.spans {
                prop_assert!(input.get(span.clone()).is_some(), "{:?} cuts a character", span);
            }
        }
    }

    #[test]
    fn no_ids_are_an_error(ids in prop::collection::vec(any::<u32>(), 0..20), small in prop::collection::vec(0u32..1400, 0..40)) {
        prop_assert!(JOINT.decode(&ids).is_ok() && JOINT.decode(&small).is_ok());
    }
}
