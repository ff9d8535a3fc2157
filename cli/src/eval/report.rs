//! The table that an evaluation prints, in Markdown.

use std::fmt::Write;

use moiety_encoder::{Encoder, retrieval::RankingMetrics};

use super::data::Benchmark;

/// What is ranked against what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Captions against every molecule of ChEBI-20.
    TextToPool,
    /// Captions against the molecules of the validation captions.
    TextToValidation,
    /// Those molecules against the captions.
    MoleculeToValidation,
}

impl Setting {
    pub(crate) const ALL: [Self; 3] =
        [Self::TextToPool, Self::TextToValidation, Self::MoleculeToValidation];

    fn name(self) -> &'static str {
        match self {
            Self::TextToPool | Self::TextToValidation => "text → molecule",
            Self::MoleculeToValidation => "molecule → text",
        }
    }
}

/// Rows by setting.
pub(super) struct Report {
    rows: Vec<(Setting, String, RankingMetrics)>,
    header: String,
}

impl Report {
    pub(super) fn new(benchmark: &Benchmark) -> Self {
        let header = format!(
            "{} captions ({} left out), {} molecules ({} could not be read)",
            benchmark.captions.len(),
            benchmark.left_out,
            benchmark.pool.len(),
            benchmark.unread
        );
        Self { rows: Vec::new(), header }
    }

    pub(super) fn add(&mut self, setting: Setting, ranking: &str, metrics: RankingMetrics) {
        self.rows.push((setting, ranking.to_owned(), metrics));
    }

    /// All rows, settings together.
    pub(super) fn table(&self, model: &dyn Encoder) -> String {
        let info = model.info();
        let mut text =
            format!("{}\nmodel {} {}\n\n", self.header, info.name, &info.fingerprint[..16]);
        text += "| query → target | targets | ranking | R@1 | R@5 | R@10 | MRR | median rank |\n";
        text += "|---|---:|---|---:|---:|---:|---:|---:|\n";
        for setting in Setting::ALL {
            for (_, ranking, m) in self.rows.iter().filter(|(of, ..)| *of == setting) {
                let percent = |share: f64| format!("{:.1}", 100.0 * share);
                let _ = writeln!(
                    text,
                    "| {} | {} | {ranking} | {} | {} | {} | {:.3} | {} |",
                    setting.name(),
                    m.targets,
                    percent(m.recall_at_1),
                    percent(m.recall_at_5),
                    percent(m.recall_at_10),
                    m.mrr,
                    m.median_rank
                );
            }
        }
        text
    }
}
