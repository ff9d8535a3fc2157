//! Greedy and beam search against the reference's, and what all strategies promise.

use std::sync::LazyLock;

use candle_core::{DType, Tensor};
use moiety_encoder::{
    EncoderError,
    t5::{
        T5,
        generate::{
            Candidate, GenerateOptions, LengthCount, Sampling, Scoring, Sources, Strategy, generate,
        },
    },
};
use proptest::{prelude::*, strategy::Strategy as _};

use crate::golden::{Golden, gap};

static MODEL: LazyLock<T5> = LazyLock::new(|| Golden::read().model());

/// The start id counts towards the reference's maximal length of 20.
const MAX_TOKENS: usize = 19;

fn beam(beams: usize, length: LengthCount) -> GenerateOptions {
    GenerateOptions {
        strategy: Strategy::Beam { beams, candidates: beams },
        max_tokens: MAX_TOKENS,
        scoring: Scoring { length_penalty: 1.0, length },
        allowed: None,
    }
}

fn greedy() -> GenerateOptions {
    GenerateOptions { max_tokens: MAX_TOKENS, ..GenerateOptions::default() }
}

fn sampling(seed: u64) -> Sampling {
    Sampling { samples: 6, temperature: 1.0, top_k: None, top_p: 1.0, seed }
}

fn sample(sampling: Sampling) -> GenerateOptions {
    GenerateOptions { strategy: Strategy::Sample(sampling), ..greedy() }
}

fn run(
    model: &T5,
    hidden: &Tensor,
    mask: &Tensor,
    options: &GenerateOptions,
) -> Vec<Vec<Candidate>> {
    generate(model, Sources { hidden, mask }, options, &mut || true).expect("generate")
}

/// The golden rows that a tensor of ids holds: without start, end and what follows it.
fn rows(tensor: &Tensor) -> Vec<Vec<u32>> {
    let width = tensor.dims().last().copied().expect("ids");
    let flat = tensor.reshape(((), width)).and_then(|t| t.to_vec2::<i64>()).expect("ids");
    let row =
        |row: Vec<i64>| row[1..].iter().take_while(|&&id| id != 1).map(|&id| id as u32).collect();
    flat.into_iter().map(row).collect()
}

#[test]
fn greedy_ids_are_equal() {
    let golden = Golden::read();
    let model = golden.model();
    let found = run(&model, &golden.encoded(&model), golden.get("in.attention_mask"), &greedy());
    let ids: Vec<Vec<u32>> = found.into_iter().map(|mut c| c.remove(0).ids).collect();
    assert_eq!(ids, rows(golden.get("gen.greedy")));
}

#[test]
fn logits_of_every_cached_step_are_equal_to_the_reference_and_to_decoding_at_once() {
    let golden = Golden::read();
    let (model, mask) = (golden.model(), golden.get("in.attention_mask"));
    let hidden = golden.encoded(&model);
    let ids = golden.ids("gen.greedy").narrow(1, 0, MAX_TOKENS).expect("without the last");
    let at_once = model.decode(&ids, &hidden, mask).and_then(|d| model.logits(&d)).expect("logits");
    let theirs = golden.get("gen.greedy_step_logits");
    let mut cache = model.start(&hidden, mask).expect("cache");
    let columns = ids.t().and_then(|t| t.to_vec2::<u32>()).expect("columns");
    for (step, column) in columns.iter().enumerate() {
        let logits = model.step(column, &mut cache).expect("step");
        let at = |t: &Tensor| t.narrow(1, step, 1).and_then(|t| t.squeeze(1)).expect("step");
        assert!(gap(&logits, &at(theirs)) < 1e-4, "step {step}");
        // Relative to the largest logit.
        let (difference, largest) =
            (gap(&logits, &at(&at_once)), gap(&logits, &logits.zeros_like().expect("zeros")));
        assert!(difference < 1e-5 * largest.max(1.0), "step {step}: {difference} of {largest}");
    }
}

/// Five beams of every row are the golden ones, ids and scores.
fn assert_five_beams(length: LengthCount, golden_name: &str) {
    let golden = Golden::read();
    let model = golden.model();
    let options = beam(5, length);
    let found = run(&model, &golden.encoded(&model), golden.get("in.attention_mask"), &options);
    let ids = rows(golden.get(golden_name));
    let scores = golden.get(&format!("{golden_name}_scores")).to_vec2::<f32>().expect("scores");
    assert!(found.iter().all(|row| row.len() == 5) && found.len() == scores.len());
    let found: Vec<Candidate> = found.into_iter().flatten().collect();
    assert_eq!(found.iter().map(|one| one.ids.clone()).collect::<Vec<_>>(), ids);
    for (candidate, score) in found.iter().zip(scores.concat()) {
        assert!((candidate.score - score).abs() < 1e-5, "{} {score}", candidate.score);
    }
}

#[test]
fn five_beams_and_their_scores_are_equal_to_transformers_4() {
    assert_five_beams(LengthCount::WithStart, "gen.beam5");
}

#[test]
fn counting_only_generated_ids_gives_the_beams_and_scores_of_transformers_5() {
    assert_five_beams(LengthCount::Generated, "gen_later.beam5");
}

#[test]
fn a_score_is_the_log_probability_of_the_ids_over_their_length() {
    let golden = Golden::read();
    let (model, mask) = (golden.model(), golden.get("in.attention_mask"));
    let hidden = golden.encoded(&model);
    for options in [beam(4, LengthCount::Generated), sample(sampling(3)), greedy()] {
        let found = run(&model, &hidden, mask, &options);
        for (row, candidates) in found.iter().enumerate() {
            let one = |t: &Tensor| t.narrow(0, row, 1).expect("row");
            for candidate in candidates {
                let end = candidate.ended.then_some(1);
                let target: Vec<u32> = candidate.ids.iter().copied().chain(end).collect();
                let config = model.config();
                let targets =
                    moiety_encoder::t5::Targets::new(&[&target], config, &candle_core::Device::Cpu)
                        .expect("targets");
                let mut off = moiety_encoder::t5::Dropout::off();
                let loss = model.lm_loss(&targets, &one(&hidden), &one(mask), &mut off);
                let mean = loss.and_then(|l| Ok(l.mean.to_scalar::<f32>()?)).expect("loss");
                assert!((candidate.score + mean).abs() < 1e-4, "{} {mean}", candidate.score);
            }
        }
    }
}

#[test]
fn a_length_penalty_of_zero_ranks_by_probability_and_a_large_one_prefers_length() {
    let golden = Golden::read();
    let (model, mask) = (golden.model(), golden.get("in.attention_mask"));
    let hidden = golden.encoded(&model);
    let mean_length = |penalty: f32| {
        let mut options = beam(5, LengthCount::Generated);
        options.scoring.length_penalty = penalty;
        let found = run(&model, &hidden, mask, &options);
        found.iter().map(|c| c[0].ids.len()).sum::<usize>()
    };
    let (plain, long) = (mean_length(0.0), mean_length(4.0));
    assert!(plain < long, "{plain} {long}");
}

#[test]
fn only_allowed_ids_and_the_end_are_generated() {
    let golden = Golden::read();
    let (model, mask) = (golden.model(), golden.get("in.attention_mask"));
    let hidden = golden.encoded(&model);
    for mut options in [beam(5, LengthCount::Generated), sample(sampling(3)), greedy()] {
        options.allowed = Some(40..60);
        for candidate in run(&model, &hidden, mask, &options).iter().flatten() {
            assert!(candidate.ids.iter().all(|id| (40..60).contains(id)), "{candidate:?}");
        }
    }
}

#[test]
fn a_nucleus_or_one_best_id_or_no_temperature_draws_what_greedy_takes() {
    let golden = Golden::read();
    let (model, mask) = (golden.model(), golden.get("in.attention_mask"));
    let hidden = golden.encoded(&model);
    let greedy = run(&model, &hidden, mask, &greedy());
    for narrow in [
        Sampling { top_k: Some(1), ..sampling(1) },
        Sampling { top_p: 1e-6, ..sampling(1) },
        Sampling { temperature: 1e-3, ..sampling(1) },
    ] {
        let found = run(&model, &hidden, mask, &sample(narrow));
        let ids = |all: &[Vec<Candidate>]| -> Vec<Vec<u32>> {
            all.iter().flatten().map(|c| c.ids.clone()).collect()
        };
        assert_eq!(ids(&found), ids(&greedy), "all draws are one candidate");
    }
}

#[test]
fn options_out_of_bounds_are_named() {
    let golden = Golden::read();
    let (model, mask) = (golden.model(), golden.get("in.attention_mask"));
    let hidden = golden.encoded(&model);
    let wide = |beams, candidates| GenerateOptions {
        strategy: Strategy::Beam { beams, candidates },
        ..greedy()
    };
    for (options, word) in [
        (wide(0, 0), "0 beams"),
        (wide(65, 1), "1..=64"),
        (wide(4, 5), "5 candidates"),
        (GenerateOptions { allowed: Some(0..9), ..wide(5, 5) }, "9 allowed"),
        (GenerateOptions { max_tokens: 0, ..greedy() }, "max_tokens is 0"),
        (GenerateOptions { max_tokens: 1 << 20, ..greedy() }, "1..=4096"),
        (GenerateOptions { allowed: Some(0..129), ..greedy() }, "0..129"),
        (sample(Sampling { temperature: 0.0, ..sampling(1) }), "temperature is 0"),
        (sample(Sampling { temperature: f32::NAN, ..sampling(1) }), "temperature is NaN"),
        (sample(Sampling { top_k: Some(0), ..sampling(1) }), "top_k is 0"),
        (sample(Sampling { top_p: 1.5, ..sampling(1) }), "top_p is 1.5"),
        (sample(Sampling { samples: 100, ..sampling(1) }), "100 beams or samples"),
    ] {
        let error = generate(&model, Sources { hidden: &hidden, mask }, &options, &mut || true)
            .expect_err(word);
        assert!(
            matches!(error, EncoderError::Request(_)) && error.to_string().contains(word),
            "{error}"
        );
    }
}

#[test]
fn generation_stops_when_told_to() {
    let golden = Golden::read();
    let (model, mask) = (golden.model(), golden.get("in.attention_mask"));
    let hidden = golden.encoded(&model);
    let mut left = 3;
    let error = generate(&model, Sources { hidden: &hidden, mask }, &greedy(), &mut || {
        left -= 1;
        left >= 0
    });
    assert!(matches!(error, Err(EncoderError::Stopped { steps: 3 })), "{error:?}");
}

/// Source ids of 1 to 8 rows, padded to the longest, and their mask.
fn sources() -> impl proptest::strategy::Strategy<Value = (Tensor, Tensor)> {
    let row = prop::collection::vec(2u32..128, 1..20);
    prop::collection::vec(row, 1..5).prop_map(|rows| {
        let n = rows.iter().map(Vec::len).max().unwrap_or(1);
        let padded = |value: &dyn Fn(u32) -> u32| {
            let flat = rows.iter().flat_map(|row| {
                row.iter().map(|&id| value(id)).chain(std::iter::repeat_n(0, n - row.len()))
            });
            let flat: Vec<u32> = flat.collect();
            Tensor::from_vec(flat, (rows.len(), n), &candle_core::Device::Cpu).expect("shape")
        };
        (padded(&|id| id), padded(&|_| 1).to_dtype(DType::U8).expect("mask"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn one_beam_is_greedy((ids, mask) in sources()) {
        let model = &*MODEL;
        let hidden = model.encode(&ids, &mask).expect("encode");
        prop_assert_eq!(
            run(model, &hidden, &mask, &beam(1, LengthCount::Generated)),
            run(model, &hidden, &mask, &greedy())
        );
    }

    #[test]
    fn a_batch_generates_what_its_sources_generate_alone((ids, mask) in sources(), seed: u64) {
        let model = &*MODEL;
        let hidden = model.encode(&ids, &mask).expect("encode");
        for options in [beam(3, LengthCount::Generated), sample(sampling(seed)), greedy()] {
            let together = run(model, &hidden, &mask, &options);
            for (row, together) in together.iter().enumerate() {
                let one = |t: &Tensor| t.narrow(0, row, 1).expect("row");
                let alone = run(model, &one(&hidden), &one(&mask), &options);
                prop_assert_eq!(together.len(), alone[0].len());
                for (a, b) in together.iter().zip(&alone[0]) {
                    prop_assert_eq!(&a.ids, &b.ids);
                    prop_assert!((a.score - b.score).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn a_seed_draws_the_same_distinct_candidates_again((ids, mask) in sources(), seed: u64) {
        let model = &*MODEL;
        let hidden = model.encode(&ids, &mask).expect("encode");
        let options = sample(Sampling { top_k: Some(20), top_p: 0.9, temperature: 1.3, ..sampling(seed) });
        let first = run(model, &hidden, &mask, &options);
        prop_assert_eq!(&first, &run(model, &hidden, &mask, &options));
        for candidates in first {
            for pair in candidates.windows(2) {
                prop_assert!(pair[0].score >= pair[1].score);
                prop_assert!(pair[0].ids != pair[1].ids || pair[0].ended != pair[1].ended);
            }
        }
    }
}
