//! A head for shipping: the first seed's network of the best candidate, with its description and its card.

use std::{fmt::Write, path::Path};

use moiety_encoder::{
    ModelInfo,
    property::{
        Baseline, Example, Head, HeadData, HeadSpec, Network, Quality, Reference, TaskKind,
    },
};

use super::{
    baselines,
    config::SetConfig,
    data::MeasuredSet,
    trial::{Found, Way, words},
};
use crate::error::{CliError, Result, at};

/// Test molecules that a card shows.
const EXAMPLES: usize = 5;

/// Puts the head together.
pub(super) fn head(
    set: &SetConfig,
    measured: &MeasuredSet,
    found: &Found,
    encoder: &ModelInfo,
) -> Result<Head> {
    let missing = || CliError::Usage("no candidate was tried".into());
    let best = found.best().ok_or_else(missing)?;
    let (fit, judged) =
        (best.fits.first().ok_or_else(missing)?, found.of(Way::Head).ok_or_else(missing)?);
    let train = measured.split.train.iter();
    let reference =
        Reference::new(train.map(|&row| measured.features.fingerprint(row).clone()).collect());
    let far_below = reference.far_below();
    let summary = judged.summary();
    let (near, far): (Vec<usize>, Vec<usize>) =
        measured.split.test.iter().partition(|&&row| {
            !reference.domain(measured.features.fingerprint(row), far_below).far
        });
    let judge = |rows: &[usize]| {
        let predicted = fit.network.predict(&measured.features, rows);
        Some(baselines::judge(&measured.labels, rows, &predicted)).filter(|x| x.is_finite())
    };
    let quality = Quality {
        metric: set.kind.metric().into(),
        mean: summary.mean,
        deviation: summary.deviation,
        seeds: found.seeds.clone(),
        this: judged.test[0],
        near: judge(&near),
        far: judge(&far),
        far_share: far.len() as f64 / measured.split.test.len().max(1) as f64,
        baselines: others(found),
    };
    let spec = HeadSpec {
        format_version: 0,
        name: set.name.clone(),
        title: set.title.clone(),
        kind: set.kind,
        unit: set.unit.clone(),
        tasks: measured.labels.tasks().to_vec(),
        encoder: encoder.name.clone(),
        encoder_fingerprint: encoder.fingerprint.clone(),
        blocks: best.candidate.blocks.clone(),
        hidden: best.candidate.hidden,
        seed: found.seeds[0],
        far_below,
        limits: set.limits.clone(),
        data: data(set, measured),
        quality,
        examples: examples(measured, &fit.network, &reference),
        files: Default::default(),
    };
    Ok(Head::new(spec, fit.network.clone(), reference))
}

fn others(found: &Found) -> Vec<Baseline> {
    let others = found.judged.iter().filter(|judged| judged.way != Way::Head);
    let baseline = others.map(|judged| {
        let summary = judged.summary();
        Baseline {
            name: judged.way.name().into(),
            mean: summary.mean,
            deviation: summary.deviation,
        }
    });
    baseline.collect()
}

fn data(set: &SetConfig, measured: &MeasuredSet) -> HeadData {
    let split = &measured.split;
    HeadData {
        file: set.file.clone(),
        sha256: measured.digest.clone(),
        licence: set.licence.clone(),
        source: set.source.clone(),
        rows: measured.smiles.len(),
        unread: measured.unread,
        split: [split.train.len(), split.validation.len(), split.test.len()],
    }
}

/// Test molecules, evenly spread over the test part.
fn examples(measured: &MeasuredSet, network: &Network, reference: &Reference) -> Vec<Example> {
    let test = &measured.split.test;
    let rows =
        (0..EXAMPLES.min(test.len())).map(|k| test[k * test.len() / EXAMPLES.min(test.len())]);
    let example = |row: usize| Example {
        smiles: measured.smiles[row].clone(),
        measured: measured.labels.row(row).iter().map(|&x| (!x.is_nan()).then_some(x)).collect(),
        predicted: network.predict(&measured.features, &[row]),
        nearest: reference.nearest(measured.features.fingerprint(row)),
    };
    rows.map(example).collect()
}

/// Writes the card of a head, in Markdown, from its description.
pub(super) fn write_card(spec: &HeadSpec, dir: &Path) -> Result<()> {
    let path = dir.join("README.md");
    std::fs::write(&path, card(spec)).map_err(at(&path))
}

fn card(spec: &HeadSpec) -> String {
    let HeadSpec { name, title, data, quality, .. } = spec;
    let what = match spec.kind {
        TaskKind::Classification => "a probability for each task".to_owned(),
        TaskKind::Regression => format!("a value in {}", spec.unit),
    };
    let [train, validation, test] = data.split;
    let reads = words(&moiety_encoder::property::Candidate {
        blocks: spec.blocks.clone(),
        hidden: spec.hidden,
    });
    let mut text =
        format!("# {name}: {title}\n\nGives {what}. Tasks: {}.\n\n", spec.tasks.join(", "));
    let _ = write!(
        text,
        "Reads {reads}. Belongs to {} `{}`; seed {}. Written by `moiety train --recipe property`.\n\n",
        spec.encoder,
        &spec.encoder_fingerprint[..spec.encoder_fingerprint.len().min(16)],
        spec.seed
    );
    let _ = write!(
        text,
        "## Data\n\n{}, {}. `{}`, SHA-256 `{}`: {} molecules, {} more could not be read. Scaffold split 80/10/10: {train} to \
         learn from, {validation} to choose by, {test} to report on.\n\n",
        data.source, data.licence, data.file, data.sha256, data.rows, data.unread
    );
    let _ = write!(
        text,
        "## How it does\n\n{} on the test molecules, mean ± standard deviation over {} seeds; everything chosen on the \
         validation molecules.\n\n| | {} |\n|---|---:|\n| **this kind of head** | **{}** |\n",
        quality.metric,
        quality.seeds.len(),
        quality.metric,
        plus_minus(quality.mean, quality.deviation)
    );
    for other in &quality.baselines {
        let _ = writeln!(text, "| {} | {} |", other.name, plus_minus(other.mean, other.deviation));
    }
    text += &applicability(spec);
    text
}

fn applicability(spec: &HeadSpec) -> String {
    let quality = &spec.quality;
    let shown =
        |metric: Option<f64>| metric.map_or("cannot be judged".into(), |x| format!("{x:.3}"));
    let mut text = format!(
        "\nThe head that is here has {:.3}: {} on test molecules that are near, {} on those that are far.\n\n",
        quality.this,
        shown(quality.near),
        shown(quality.far)
    );
    let _ = write!(
        text,
        "## Limits\n\n{} A molecule is called far when no training molecule has a Tanimoto similarity (ECFP4) of {:.2} or \
         more to it; that is so for 5% of the training molecules among themselves and for {:.0}% of the test molecules.\n",
        spec.limits,
        spec.far_below,
        100.0 * quality.far_share
    );
    text
}

fn plus_minus(mean: f64, deviation: f64) -> String {
    super::result::number(&moiety_encoder::property::Summary { mean, deviation })
}
