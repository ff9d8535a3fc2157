//! How a model is asked to write, and what it wrote.

use moiety_engine::{
    GenerateOptions, GenerateStrategy, GeneratedMolecule, GeneratedText, LengthCount, Sampling,
    Scoring,
};
use moiety_proto::v1::{self as wire, generate_options::Strategy, generated_molecule::Reading};

use super::{ConvertError, check_limit};
use crate::limits::{DEFAULT_BEAMS, DEFAULT_WRITTEN_TOKENS, MAX_BEAMS, MAX_WRITTEN_TOKENS};

/// Options as the engine takes them, every number within its bounds.
pub fn generate_options_from_wire(
    options: Option<wire::GenerateOptions>,
    field: &str,
) -> Result<GenerateOptions, ConvertError> {
    let options = options.unwrap_or_default();
    let strategy = match options.strategy {
        None | Some(Strategy::Greedy(_)) => GenerateStrategy::Greedy,
        Some(Strategy::Beam(beam)) => beam_search(&beam, &format!("{field}.beam"))?,
        Some(Strategy::Sampling(draws)) => sampling(&draws, &format!("{field}.sampling"))?,
    };
    let max_tokens = check_limit(
        options.max_tokens,
        DEFAULT_WRITTEN_TOKENS,
        MAX_WRITTEN_TOKENS,
        &format!("{field}.max_tokens"),
    )?;
    let length_penalty =
        bounded(options.length_penalty, (-10.0, 10.0), &format!("{field}.length_penalty"))?;
    let scoring = Scoring { length_penalty, length: LengthCount::Generated };
    Ok(GenerateOptions { strategy, max_tokens, scoring, allowed: None })
}

fn beam_search(beam: &wire::BeamSearch, field: &str) -> Result<GenerateStrategy, ConvertError> {
    let beams = check_limit(beam.width, DEFAULT_BEAMS, MAX_BEAMS, &format!("{field}.width"))?;
    let candidates = check_limit(beam.candidates, 1, beams as u32, &format!("{field}.candidates"))?;
    Ok(GenerateStrategy::Beam { beams, candidates })
}

fn sampling(draws: &wire::Sampling, field: &str) -> Result<GenerateStrategy, ConvertError> {
    if draws.top_k == Some(0) {
        return Err(out_of_range(&format!("{field}.top_k"), "0", "at least 1, or absent"));
    }
    let top_p = f32::MIN_POSITIVE;
    Ok(GenerateStrategy::Sample(Sampling {
        samples: check_limit(draws.samples, 1, MAX_BEAMS, &format!("{field}.samples"))?,
        temperature: bounded(draws.temperature, (1e-3, 100.0), &format!("{field}.temperature"))?,
        top_k: draws.top_k.map(|k| k as usize),
        top_p: bounded(draws.top_p, (top_p, 1.0), &format!("{field}.top_p"))?,
        seed: draws.seed,
    }))
}

/// A number within its bounds; 1 when absent.
fn bounded(
    found: Option<f32>,
    (least, most): (f32, f32),
    field: &str,
) -> Result<f32, ConvertError> {
    match found.unwrap_or(1.0) {
        number if (least..=most).contains(&number) => Ok(number),
        number => Err(out_of_range(field, &number.to_string(), &format!("from {least} to {most}"))),
    }
}

fn out_of_range(field: &str, found: &str, bounds: &str) -> ConvertError {
    ConvertError::OutOfRange { field: field.into(), found: found.into(), bounds: bounds.into() }
}

/// A text, marked as generated.
pub fn generated_text_to_wire(written: GeneratedText) -> wire::GeneratedText {
    let ending = match written.complete {
        true => wire::TextEnding::Complete,
        false => wire::TextEnding::Cut,
    };
    wire::GeneratedText {
        text: written.text,
        origin: wire::TextOrigin::Generated.into(),
        score: written.score,
        log_probability: written.log_probability,
        ending: ending.into(),
    }
}

/// A proposed molecule, or a SMILES that is none.
pub fn generated_molecule_to_wire(proposed: GeneratedMolecule) -> wire::GeneratedMolecule {
    let reading = match proposed.molecule {
        Ok(named) => Reading::Molecule(wire::ReadMolecule {
            canonical_smiles: named.canonical_smiles,
            inchikey: named.inchikey,
        }),
        Err(reason) => Reading::Invalid(reason),
    };
    wire::GeneratedMolecule {
        written: Some(generated_text_to_wire(proposed.written)),
        reading: Some(reading),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: wire::GenerateOptions) -> Result<GenerateOptions, ConvertError> {
        generate_options_from_wire(Some(options), "options")
    }

    fn of(strategy: Strategy) -> wire::GenerateOptions {
        wire::GenerateOptions { strategy: Some(strategy), ..Default::default() }
    }

    #[test]
    fn what_is_not_said_has_the_documented_default() {
        let plain = generate_options_from_wire(None, "options").unwrap();
        assert_eq!((plain.strategy, plain.max_tokens), (GenerateStrategy::Greedy, 256));
        assert_eq!(plain.scoring.length_penalty, 1.0);
        let beam = read(of(Strategy::Beam(wire::BeamSearch::default()))).unwrap().strategy;
        assert_eq!(beam, GenerateStrategy::Beam { beams: 5, candidates: 1 });
        let draws = read(of(Strategy::Sampling(wire::Sampling::default()))).unwrap().strategy;
        let one = Sampling { samples: 1, temperature: 1.0, top_k: None, top_p: 1.0, seed: 0 };
        assert_eq!(draws, GenerateStrategy::Sample(one));
    }

    #[test]
    fn every_number_beyond_its_bounds_is_named() {
        let beam = |width, candidates| of(Strategy::Beam(wire::BeamSearch { width, candidates }));
        let draws = |draws: wire::Sampling| of(Strategy::Sampling(draws));
        let plain = wire::Sampling::default;
        let cases = [
            (wire::GenerateOptions { max_tokens: 1025, ..Default::default() }, "max_tokens"),
            (
                wire::GenerateOptions { length_penalty: Some(f32::NAN), ..Default::default() },
                "length_penalty",
            ),
            (beam(65, 1), "beam.width"),
            (beam(4, 5), "beam.candidates"),
            (draws(wire::Sampling { samples: 65, ..plain() }), "sampling.samples"),
            (draws(wire::Sampling { temperature: Some(0.0), ..plain() }), "sampling.temperature"),
            (
                draws(wire::Sampling { temperature: Some(f32::NAN), ..plain() }),
                "sampling.temperature",
            ),
            (draws(wire::Sampling { top_k: Some(0), ..plain() }), "sampling.top_k"),
            (draws(wire::Sampling { top_p: Some(0.0), ..plain() }), "sampling.top_p"),
            (draws(wire::Sampling { top_p: Some(1.5), ..plain() }), "sampling.top_p"),
        ];
        for (options, field) in cases {
            let error = read(options).unwrap_err();
            assert_eq!(error.field(), format!("options.{field}"), "{error}");
        }
    }
}
