//! Three training steps against those of the authors' released code, gradients and all.

use std::collections::HashMap;

use candle_core::Tensor;

use crate::{
    atomas::{
        Learner, MomentumShape,
        fixture::{Fixture, flat, largest_gap},
        parity::{WEIGHTS, config, pairs, params},
    },
    t5::Dropout,
    train::adamw::{AdamW, Optimiser, StepSize},
};

/// Weights whose gradient is zero but for rounding: Adam moves them by its whole step, either way.
fn is_arbitrary(name: &str) -> bool {
    name.ends_with("2.bias") && name.contains("weight_fc")
        || name.ends_with(".score.bias")
        || name.ends_with("attn.kv.bias")
}

fn assert_gradients(fixture: &Fixture, found: &HashMap<String, Vec<f32>>) {
    let wanted = fixture.below("grad.");
    assert!(wanted.len() > 100);
    for (name, wanted) in wanted {
        let found = found.get(&name).unwrap_or_else(|| panic!("no gradient of `{name}`"));
        let wanted = flat(&wanted);
        assert_eq!(found.len(), wanted.len(), "`{name}`");
        for (found, wanted) in found.iter().zip(wanted) {
            let gap = (found - wanted).abs();
            assert!(gap < 1e-4 + 1e-3 * wanted.abs(), "`{name}`: {found} for {wanted}");
        }
    }
}

/// Compares the state after a step. `gradients` tells where Adam's first step is a matter of more than rounding.
fn assert_state(
    wanted: &HashMap<String, Tensor>,
    learner: &Learner,
    gradients: Option<&HashMap<String, Vec<f32>>>,
) {
    let slow = learner.slow_tensors().expect("the slow copy");
    for (name, wanted) in wanted {
        if name.contains("embed_tokens") {
            continue;
        }
        let (found, wanted) = match slow.get(name) {
            Some(found) => (flat(found), flat(wanted)),
            None => (flat(&learner.params.get(name).expect("a weight")), flat(wanted)),
        };
        if slow.contains_key(name) {
            assert!(largest_gap(&found, &wanted) < 1e-5, "`{name}`");
        } else if let (Some(gradients), false) = (gradients, is_arbitrary(name)) {
            for (i, g) in gradients[name].iter().enumerate().filter(|(_, g)| g.abs() > 1e-3) {
                let gap = (found[i] - wanted[i]).abs();
                assert!(gap < 2e-6, "`{name}`[{i}] with gradient {g}: {gap}");
            }
        }
        assert!(largest_gap(&found, &wanted) < 7e-4, "`{name}`");
    }
}

#[test]
fn three_steps_are_those_of_the_released_code() {
    let fixture = Fixture::load("atomas_tiny");
    let shape = MomentumShape { momentum: 0.995, queue: 16 };
    let slow = fixture.below("state.");
    let first = params(&fixture);
    let mut learner = Learner::begin(first, &config(), (shape, WEIGHTS), 1, Some(&slow));
    let learner = learner.as_mut().expect("a learner");
    let (batch, mut adam) = (pairs(&fixture, ""), AdamW::default());
    let optimiser = Optimiser { beta2: 0.999, weight_decay: 0.0, clip_norm: 1.0 };
    for step in 1..=3 {
        let losses = learner.losses(&batch, &mut Dropout::off()).expect("losses");
        let close = |part: &str, found: &Tensor, tolerance: f32| {
            fixture.assert_close(&format!("step{step}.{part}"), found, tolerance);
        };
        close("loss.tsc", &losses.contrast, 2e-5);
        close("loss.lm", losses.molecule_generation.as_ref().expect("asked for"), 2e-5);
        for (level, loss) in losses.alignment.iter().enumerate() {
            close(&format!("loss.wti_{level}"), loss, 2e-5);
        }
        for (clusters, side) in losses.clusters.iter().zip(["text", "smiles"]) {
            for (level, clusters) in (1..).zip(clusters) {
                let wanted = fixture.indices(&format!("step{step}.idx_cluster.lvl{level}.{side}"));
                let found = clusters.iter().flat_map(|clusters| clusters.of_token.iter().copied());
                // Where the release puts pads of the first level is of no consequence.
                let mask = fixture.indices(&format!("in.{side}_mask"));
                let real = |i: usize| level > 1 || mask[i] == 1;
                assert!(found.zip(wanted).enumerate().all(|(i, (f, w))| f == w || !real(i)));
            }
        }
        let total = learner.total(&losses).expect("the sum");
        close("loss.total", &total, 1e-3);
        let grads = total.backward().expect("gradients");
        let flat_grads: HashMap<String, Vec<f32>> = learner
            .params
            .vars()
            .filter_map(|(name, var)| Some((name.clone(), flat(grads.get(var)?))))
            .collect();
        if step == 1 {
            assert_gradients(&fixture, &flat_grads);
        }
        let size = StepSize { rate: &|_| 1e-4, optimiser, step };
        let norm = adam.step(&learner.params, &grads, &size).expect("a step");
        let wanted = fixture.floats(&format!("step{step}.grad_norm"))[0];
        assert!((norm as f32 - wanted).abs() < 1e-3 * wanted, "{norm} for {wanted}");
        let state = fixture.below(&format!("step{step}.state."));
        assert!(!state.is_empty());
        assert_state(&state, learner, (step == 1).then_some(&flat_grads));
    }
}
