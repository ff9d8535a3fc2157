//! The model's own numbers against the reference's.

use std::collections::HashMap;

use candle_core::{Device, Var};
use moiety_encoder::t5::{Buckets, Dropout, LmLoss, T5, Targets};

use crate::golden::{Golden, floats, gap};

const FEATURES: f32 = 1e-4;
const BIASES: f32 = 1e-5;
const LOSSES: f32 = 2e-5;

#[test]
fn position_buckets_are_equal_for_every_distance() {
    let golden = Golden::read();
    let relative = golden.get("bucket.relative_position").to_vec1::<i64>().expect("positions");
    for (name, two_sided) in [("bucket.encoder", true), ("bucket.decoder", false)] {
        let buckets = Buckets { two_sided, count: 32, max_distance: 128 };
        let ours: Vec<i64> = relative.iter().map(|&r| i64::from(buckets.of(r))).collect();
        assert_eq!(ours, golden.get(name).to_vec1::<i64>().expect("buckets"), "{name}");
    }
}

#[test]
fn position_biases_are_equal() {
    let golden = Golden::read();
    let model = golden.model();
    let encoder = model.encoder_position_bias(24).expect("bias");
    assert!(gap(&encoder, golden.get("enc.position_bias")) < BIASES);
    // The golden bias of the decoder carries the causal mask; what it hides is compared no further.
    let decoder = model.decoder_position_bias(16).expect("bias");
    for (i, (a, b)) in
        floats(&decoder).iter().zip(floats(golden.get("dec.position_bias"))).enumerate()
    {
        let (query, key) = (i / 16 % 16, i % 16);
        assert!(key > query && b < -1e30 || (a - b).abs() < BIASES, "{query} {key}: {a} {b}");
    }
}

#[test]
fn hidden_states_of_every_encoder_layer_are_equal_at_pads_too() {
    let golden = Golden::read();
    let states = golden
        .model()
        .encode_layers(&golden.ids("in.input_ids"), golden.get("in.attention_mask"))
        .expect("encode");
    assert_eq!(states.len(), 3);
    for (i, state) in states.iter().enumerate() {
        let difference = gap(state, golden.get(&format!("enc.hidden.{i}")));
        assert!(difference < FEATURES, "layer {i}: {difference}");
    }
    assert!(gap(&states[2], golden.get("enc.last_hidden_state")) < FEATURES);
}

#[test]
fn a_row_without_padding_equals_the_padded_row() {
    let golden = Golden::read();
    let (model, ids) = (golden.model(), golden.ids("in.input_ids"));
    let padded = golden.encoded(&model);
    for (row, length) in [24, 15, 7].into_iter().enumerate() {
        let ids = ids.narrow(0, row, 1).and_then(|t| t.narrow(1, 0, length)).expect("row");
        let alone = model.encode(&ids, &ids.ones_like().expect("mask")).expect("encode");
        assert!(gap(&alone, golden.get(&format!("enc.unpadded.{row}"))) < FEATURES);
        let real = padded.narrow(0, row, 1).and_then(|t| t.narrow(1, 0, length)).expect("row");
        assert!(gap(&alone, &real) < BIASES);
    }
}

#[test]
fn logits_and_losses_are_equal() {
    let golden = Golden::read();
    let (model, mask) = (golden.model(), golden.get("in.attention_mask"));
    let hidden = golden.encoded(&model);
    let (ids, own_mask) = (golden.ids("in.decoder_input_ids"), golden.get("in.target_mask"));
    let decoded = model
        .decode_with(&ids, Some(own_mask), &hidden, mask, &mut Dropout::off())
        .expect("decode");
    let logits = model.logits(&decoded).expect("logits");
    let loss = LmLoss::of(&logits, golden.get("in.labels")).expect("loss");
    assert!(gap(&decoded, golden.get("dec.last_hidden_state")) < FEATURES);
    assert!(gap(&logits, golden.get("dec.logits")) < FEATURES);
    assert!(gap(&loss.token_nll, golden.get("loss.token_nll")) < FEATURES);
    assert!(gap(&loss.mean, golden.get("loss.lm")) < LOSSES);
}

#[test]
fn targets_become_the_decoder_input_and_the_labels() {
    let golden = Golden::read();
    let rows = golden.ids("in.target_ids").to_vec2::<u32>().expect("rows");
    let targets: Vec<&[u32]> = rows.iter().zip([16, 9, 12]).map(|(r, n)| &r[..n]).collect();
    let ours = Targets::new(&targets, &golden.config, &Device::Cpu).expect("targets");
    let labels = ours.labels.to_vec2::<i64>().expect("labels");
    assert_eq!(labels, golden.get("in.labels").to_vec2::<i64>().expect("labels"));
    let (ids, theirs) = (ours.decoder_ids, golden.ids("in.decoder_input_ids"));
    let (ids, theirs) = (ids.to_vec2::<u32>().expect("ids"), theirs.to_vec2::<u32>().expect("ids"));
    for ((a, b), n) in ids.iter().zip(&theirs).zip([16, 9, 12]) {
        assert_eq!(a[..n], b[..n]);
    }
}

#[test]
fn gradients_of_every_weight_are_equal() {
    let golden = Golden::read();
    let vars: HashMap<String, Var> = golden
        .weights()
        .into_iter()
        .map(|(name, tensor)| (name, Var::from_tensor(&tensor).expect("cpu")))
        .collect();
    let tensors = vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let model = T5::from_tensors(&golden.config, &tensors).expect("model");
    let hidden = golden.encoded(&model);
    let targets = Targets {
        decoder_ids: golden.ids("in.decoder_input_ids"),
        labels: golden.get("in.labels").clone(),
    };
    let mask = golden.get("in.attention_mask");
    let loss = model.lm_loss(&targets, &hidden, mask, &mut Dropout::off()).expect("loss").mean;
    let grads = loss.backward().expect("backward");
    let mut compared = 0;
    for (name, theirs) in &golden.tensors {
        let Some(name) = name.strip_prefix("grad.") else { continue };
        let ours = grads.get(&vars[name]).unwrap_or_else(|| panic!("no gradient for {name}"));
        assert_eq!(ours.dims(), theirs.dims());
        for (a, b) in floats(ours).iter().zip(floats(theirs)) {
            assert!((a - b).abs() < 1e-4 + 1e-3 * b.abs(), "{name}: {a} {b}");
        }
        compared += 1;
    }
    let names = vars.len() - 2; // The embedding stands there under three names.
    assert_eq!(compared, names);
}
