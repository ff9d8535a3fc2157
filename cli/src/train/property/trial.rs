//! Everything that is tried on one set, each way judged on the same split.

use std::path::Path;

use moiety_chem::Molecule;
use moiety_encoder::property::{Block, Candidate, Choice, Summary, Trial, choose, fine_tune};
use serde::{Deserialize, Serialize};

use super::{
    baselines::{self, judge_on_test},
    config::PropertyConfig,
    data::MeasuredSet,
    result::number,
};
use crate::error::Result;

/// A way to predict; a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// The best of all candidates.
    Head,
    /// The best candidate that reads the encoding.
    WithEncoder,
    /// The best candidate that reads the encoding and nothing else.
    EncoderAlone,
    /// The molecule tower tuned with a head.
    Tuned,
    /// A head that reads everything but the encoding.
    WithoutEncoder,
    /// ECFP4 bits in a linear model.
    Linear,
    /// ECFP4 bits in boosted trees.
    Boosted,
    /// ECFP4 bits and descriptors in boosted trees.
    BoostedDescriptors,
}

impl Way {
    pub(super) const ALL: [Self; 8] = [
        Self::Head,
        Self::WithEncoder,
        Self::EncoderAlone,
        Self::Tuned,
        Self::WithoutEncoder,
        Self::Linear,
        Self::Boosted,
        Self::BoostedDescriptors,
    ];

    /// Whether a candidate is of this kind of head.
    pub(super) fn takes(self, candidate: &Candidate) -> bool {
        let reads_encoding = candidate.blocks.contains(&Block::Encoder);
        match self {
            Self::Head => true,
            Self::WithEncoder => reads_encoding,
            Self::EncoderAlone => candidate.blocks == [Block::Encoder],
            Self::WithoutEncoder => !reads_encoding,
            Self::Tuned | Self::Linear | Self::Boosted | Self::BoostedDescriptors => false,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::WithEncoder => "head with the encoder",
            Self::EncoderAlone => "encoder alone",
            Self::Tuned => "encoder, tuned",
            Self::WithoutEncoder => "head without the encoder",
            Self::Linear => "ECFP4, linear",
            Self::Boosted => "ECFP4, boosting",
            Self::BoostedDescriptors => "ECFP4 and descriptors, boosting",
        }
    }
}

/// A way, judged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Judged {
    pub(super) way: Way,
    /// What was chosen on the validation rows, in words.
    pub(super) chosen: String,
    /// Metric on the validation rows, a mean over seeds.
    pub(super) validation: f64,
    /// Metric on the test rows, one a seed; a single one where no chance is in it.
    pub(super) test: Vec<f64>,
}

impl Judged {
    pub(super) fn summary(&self) -> Summary {
        Summary::of(&self.test)
    }
}

/// What a set showed.
pub(super) struct Found {
    /// Every candidate with its fits.
    pub(super) choice: Choice,
    pub(super) judged: Vec<Judged>,
    pub(super) seeds: Vec<u64>,
}

/// Tries heads and baselines, and tells of each as soon as it is judged: a large set takes half an hour.
pub(super) fn run(config: &PropertyConfig, set: &MeasuredSet) -> Result<Found> {
    let seeds = config.seeds.as_slice();
    let bar = set.bar(config.candidates.len() * seeds.len(), "heads");
    let (how, fitted) = ((&config.fit, seeds), || bar.inc(1));
    let choice = choose(&set.features, &set.labels, &set.split, &config.candidates, how, fitted)?;
    bar.finish_and_clear();
    let mut judged = Vec::new();
    let mut keep = |one: Judged| {
        tell(set, &one);
        judged.push(one);
    };
    for way in [Way::Head, Way::WithEncoder, Way::EncoderAlone, Way::WithoutEncoder] {
        if let Some(best) = choice.best(|candidate| way.takes(candidate)) {
            keep(judge(set, way, best));
        }
    }
    keep(baselines::linear(set));
    keep(baselines::boosted(set, Way::Boosted, seeds));
    keep(baselines::boosted(set, Way::BoostedDescriptors, seeds));
    Ok(Found { choice, judged, seeds: config.seeds.clone() })
}

fn tell(set: &MeasuredSet, judged: &Judged) {
    let (metric, test) = (set.labels.kind().metric(), number(&judged.summary()));
    let (way, validation) = (judged.way.name(), judged.validation);
    errln!("{}, {way}: {metric} {test}, {validation:.3} on validation", set.name);
}

fn judge(set: &MeasuredSet, way: Way, best: &Trial) -> Judged {
    let test = best.fits.iter().map(|fit| judge_on_test(set, &fit.network)).collect();
    Judged { way, chosen: words(&best.candidate), validation: best.validation.mean, test }
}

/// A candidate in words: `encoder, descriptors; 128 hidden`.
pub(super) fn words(candidate: &Candidate) -> String {
    let name = |block: &Block| match block {
        Block::Encoder => "encoder",
        Block::Descriptors => "descriptors",
        Block::Fingerprint => "ECFP4",
    };
    let blocks: Vec<&str> = candidate.blocks.iter().map(name).collect();
    match candidate.hidden {
        0 => format!("{}; linear", blocks.join(", ")),
        units => format!("{}; {units} hidden", blocks.join(", ")),
    }
}

impl Found {
    /// Tunes the tower of the model in `base` with each seed; the model of the last is left in `out`.
    pub(super) fn fine_tune(
        &mut self,
        config: &PropertyConfig,
        set: &MeasuredSet,
        (base, out): (&Path, &Path),
    ) -> Result<()> {
        let molecules = set.molecules()?;
        let molecules: Vec<&Molecule> = molecules.iter().collect();
        let (mut validation, mut test) = (Vec::new(), Vec::new());
        for &seed in &config.seeds {
            let how = (&config.fine_tune, seed);
            let tuned = fine_tune((base, out), &molecules, &set.labels, &set.split, how)?;
            validation.push(tuned.fit.validation);
            let predicted = tuned.fit.network.predict(&tuned.features, &set.split.test);
            test.push(baselines::judge(&set.labels, &set.split.test, &predicted));
        }
        let validation = Summary::of(&validation).mean;
        let judged = Judged { way: Way::Tuned, chosen: String::new(), validation, test };
        tell(set, &judged);
        self.judged.push(judged);
        Ok(())
    }

    /// The trial of the head that ships.
    pub(super) fn best(&self) -> Option<&Trial> {
        self.choice.best(|candidate| Way::Head.takes(candidate))
    }

    pub(super) fn of(&self, way: Way) -> Option<&Judged> {
        self.judged.iter().find(|judged| judged.way == way)
    }
}
