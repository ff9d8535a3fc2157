//! `moiety eval`: how well captions and molecules that belong together find each other, or (`--task`) are written from each
//! other ([`written`]).
//!
//! The queries are the validation captions of ChEBI-20; each is ranked against every molecule of ChEBI-20 (the published
//! protocol) and against the molecules of the validation captions alone. Molecules are ranked against the validation
//! captions. Beside the model stands a baseline without learning ([`baseline`]). Sets of one's own (`--queries`, `--targets`) are
//! ranked in the same way.

mod baseline;
mod data;
mod precision;
mod report;
mod stereo;
mod tune;
mod written;

use std::path::{Path, PathBuf};

use moiety_chem::Molecule;
use moiety_encoder::{
    Encoder, Encoding,
    retrieval::{RankingMetrics, dot, rank_among},
};
use moiety_engine::{LevelScores, LevelWeights};
use rayon::prelude::*;

use crate::{
    error::{CliError, Result},
    model_dir::ModelArgs,
    progress,
    writing::WritingArgs,
};
use data::{Asked, Benchmark};
use precision::Precision;
use report::{Report, Setting};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is measured
    #[arg(long, value_enum, default_value_t = Task::Retrieval)]
    task: Task,
    /// Directory with `pairs/pairs.jsonl.gz`, `chebi20/pool.tsv.gz` and `chebi20/validation.tsv.gz`
    #[arg(long, required_unless_present = "queries")]
    data: Option<PathBuf>,
    /// Texts of your own instead of the validation captions, JSON lines with `id` and `text`: the identifier is that of the
    /// molecule that the text asks for, and a molecule may have several texts
    #[arg(long, requires = "targets", conflicts_with_all = ["data", "stereo", "new_skeletons"])]
    queries: Option<PathBuf>,
    /// Molecules that they are ranked against, JSON lines with `id` and `smiles`
    #[arg(long, requires = "queries")]
    targets: Option<PathBuf>,
    /// Candidates that are ranked again by their parts; repeat for several
    #[arg(long, default_values_t = [100])]
    candidates: Vec<usize>,
    /// Rank with level vectors of so many bits a number, too (2 to 8, or 32 for floats); repeat for several
    #[arg(long)]
    level_bits: Vec<Precision>,
    /// Leave the baseline out
    #[arg(long)]
    no_baseline: bool,
    /// Seek the best level weights on the first third of the captions, and report on the others what each level adds
    #[arg(long)]
    tune: bool,
    /// Leave out the captions of molecules of which a training pair has the skeleton (the first block of the InChIKey): what is
    /// left are no stereoisomers of what the model has seen
    #[arg(long)]
    new_skeletons: bool,
    /// Ask instead whether a caption that names the stereoisomer ranks it before its twin
    #[arg(long)]
    stereo: bool,
    /// Take this many captions only
    #[arg(long)]
    limit: Option<usize>,
    /// Keep what was written beside what was asked for, a JSON object a line (tasks `caption` and `generate`)
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    writing: WritingArgs,
    #[command(flatten)]
    model: ModelArgs,
}

/// What is measured.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Captions and molecules find each other
    Retrieval,
    /// Captions are written for molecules: BLEU, ROUGE, METEOR (of `--data`, `chebi20/validation.tsv.gz` alone)
    Caption,
    /// Molecules are written for captions: exact match, validity, similarities (of `--data`, the same file)
    Generate,
}

impl Args {
    /// The directory of the published benchmark.
    fn data(&self) -> Result<&Path> {
        let missing = || CliError::Usage("this is measured on the benchmark; give --data".into());
        self.data.as_deref().ok_or_else(missing)
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match args.task {
        Task::Retrieval => retrieval(args),
        Task::Caption => written::captions(args),
        Task::Generate => written::molecules(args),
    }
}

fn retrieval(args: &Args) -> Result<()> {
    let loaded = args.model.load()?;
    let model = &*loaded.encoder;
    let readable = |molecule: &Molecule| model.check_molecule(molecule).is_ok();
    let asked =
        Asked { limit: args.limit.unwrap_or(usize::MAX), new_skeletons: args.new_skeletons };
    let benchmark = match (&args.queries, &args.targets) {
        (Some(queries), Some(targets)) => Benchmark::own(queries, targets, asked.limit, readable)?,
        _ => Benchmark::read(args.data()?, asked, readable)?,
    };
    let weights = loaded.level_weights;
    let weights =
        LevelWeights { global: weights.global, fragment: weights.fragment, token: weights.token };
    if args.stereo {
        outln!("{}", stereo::table(model, &benchmark, &weights)?);
        return Ok(());
    }
    let mut report = Report::new(&benchmark);
    if !args.no_baseline && !benchmark.training.is_empty() {
        baseline::rank(&benchmark, &mut report);
    }
    let vectors = Vectors::encode(model, &benchmark)?;
    if args.tune {
        outln!("{}", tune::tune(&vectors, &args.candidates));
        return Ok(());
    }
    for setting in Setting::ALL {
        report.add(setting, "global vector", vectors.rank(setting, None));
        for &candidates in &args.candidates {
            for precision in [Precision::Stored].iter().chain(&args.level_bits) {
                let rerank = Rerank { candidates, weights, precision: *precision };
                let name = format!("{precision}, {candidates} candidates");
                report.add(setting, &name, vectors.rank(setting, Some(rerank)));
            }
        }
    }
    outln!("{}", report.table(model));
    Ok(())
}

/// The benchmark as the model sees it.
pub(crate) struct Vectors {
    captions: Vec<Encoding>,
    /// Molecules of the whole pool.
    pool: Vec<Encoding>,
    /// Place in the pool of each caption's molecule.
    truth: Vec<usize>,
}

/// How candidates are ranked again.
#[derive(Clone, Copy)]
struct Rerank {
    candidates: usize,
    weights: LevelWeights,
    precision: Precision,
}

/// The scores of one query's candidates, the truth among them or not.
pub(crate) struct Candidates {
    pub(crate) scores: Vec<LevelScores>,
    /// Place of the truth among the candidates.
    pub(crate) truth: Option<usize>,
    /// Rank of the truth by the global vector, from 1.
    pub(crate) global_rank: usize,
}

impl Candidates {
    /// Rank of the truth when the candidates are ranked again.
    pub(crate) fn rank(&self, weights: &LevelWeights) -> usize {
        let Some(truth) = self.truth else { return self.global_rank };
        let total = |scores: &LevelScores| weights.total(scores);
        rank_among(self.scores.iter().map(total), total(&self.scores[truth]))
    }
}

impl Vectors {
    fn encode(model: &dyn Encoder, benchmark: &Benchmark) -> Result<Self> {
        let captions: Vec<&str> = benchmark.captions.iter().map(|c| c.text.as_str()).collect();
        let molecules: Vec<&Molecule> = benchmark.pool.iter().collect();
        Ok(Self {
            captions: in_chunks(&captions, "captions", |chunk| Ok(model.encode_texts(chunk)?))?,
            pool: in_chunks(&molecules, "molecules", |chunk| Ok(model.encode_molecules(chunk)?))?,
            truth: benchmark.captions.iter().map(|c| c.molecule).collect(),
        })
    }

    /// Number of queries.
    pub(crate) fn queries(&self) -> usize {
        self.truth.len()
    }

    fn rank(&self, setting: Setting, rerank: Option<Rerank>) -> RankingMetrics {
        let ranks = (0..self.queries()).into_par_iter().map(|query| match rerank {
            Some(Rerank { candidates, weights, precision }) => {
                self.candidates(setting, query, candidates, precision).rank(&weights)
            }
            None => self.candidates(setting, query, 0, Precision::Stored).global_rank,
        });
        RankingMetrics::from_ranks(ranks.collect(), self.targets(setting).len())
    }

    /// The targets of a setting, each caption's own at `target_of`.
    fn targets(&self, setting: Setting) -> Vec<&Encoding> {
        match setting {
            Setting::TextToPool => self.pool.iter().collect(),
            Setting::TextToValidation => {
                self.truth.iter().map(|&place| &self.pool[place]).collect()
            }
            Setting::MoleculeToValidation => self.captions.iter().collect(),
        }
    }

    /// The best `count` targets of a query by the global vector, with their scores at all levels.
    pub(crate) fn candidates(
        &self,
        setting: Setting,
        query: usize,
        count: usize,
        precision: Precision,
    ) -> Candidates {
        let targets = self.targets(setting);
        let (from, own) = match setting {
            Setting::TextToPool => (&self.captions[query], self.truth[query]),
            Setting::TextToValidation => (&self.captions[query], query),
            Setting::MoleculeToValidation => (&self.pool[self.truth[query]], query),
        };
        let cosine = |to: &&Encoding| dot(&from.global, &to.global);
        let cosines: Vec<f32> = targets.iter().map(cosine).collect();
        let global_rank = rank_among(cosines.iter().copied(), cosines[own]);
        let mut order: Vec<usize> = (0..targets.len()).collect();
        let count = count.min(order.len());
        if count > 0 && count < order.len() {
            order.select_nth_unstable_by(count - 1, |&a, &b| cosines[b].total_cmp(&cosines[a]));
        }
        order.truncate(count);
        let scores = order.iter().map(|&at| precision.scores(from, targets[at])).collect();
        Candidates { scores, truth: order.iter().position(|&at| at == own), global_rank }
    }
}

/// Encodes in chunks, with a bar.
fn in_chunks<T: Copy>(
    items: &[T],
    what: &str,
    encode: impl Fn(&[T]) -> Result<Vec<Encoding>>,
) -> Result<Vec<Encoding>> {
    let bar = progress::bar(items.len() as u64, what);
    let mut encoded = Vec::with_capacity(items.len());
    for chunk in items.chunks(512) {
        encoded.extend(encode(chunk)?);
        bar.inc(chunk.len() as u64);
    }
    bar.finish_and_clear();
    Ok(encoded)
}
