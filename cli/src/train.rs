//! `moiety train`: a run from a config, resumable, with a bar.

mod atomas;
mod property;

use std::path::PathBuf;

use clap::ValueEnum;
use indicatif::ProgressBar;
use moiety_encoder::{
    DeviceChoice,
    train::{Beginning, TrainConfig, TrainEvent, TrainPaths, train},
};

use crate::{
    error::{CliError, Result, at},
    progress,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is trained
    #[arg(long, value_enum, default_value_t = Recipe::Retrieval)]
    recipe: Recipe,
    /// Config of the run, JSON [default: that of the recipe in configs/]
    #[arg(long)]
    config: Option<PathBuf>,
    /// Pairs of molecule and text, JSON lines, gzipped or not; for `property` the directory of the sets
    #[arg(long)]
    data: PathBuf,
    /// Directory with `tokenizer.json` and `model.safetensors` of all-MiniLM-L6-v2, where the text tower begins (the
    /// tokenizer alone when the config says `"text_start": "random"`); for `atomas` those that its config's `start` names, or
    /// nothing, to learn a tokenizer from the texts
    #[arg(long, conflicts_with = "from")]
    text_init: Option<PathBuf>,
    /// Model directory of ours whose weights the run begins with, instead of `--text-init`
    #[arg(long)]
    from: Option<PathBuf>,
    /// Directory of the run: state, log and model. A run that stopped there goes on
    #[arg(long)]
    out: PathBuf,
    /// Where to compute: auto (a GPU if this program was built for one and finds it), cpu, cuda, or cuda:1 and so on
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    #[command(flatten)]
    property: property::PropertyArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Recipe {
    /// The two towers, on pairs of molecule and text
    Retrieval,
    /// One encoder-decoder for SMILES and texts, aligned at three levels
    Atomas,
    /// Property heads on the molecule encoder, with baselines and a table
    Property,
}

impl Recipe {
    fn default_config(self) -> &'static str {
        match self {
            Self::Retrieval => "configs/moiety-mini.json",
            Self::Atomas => "configs/atomas-small.json",
            Self::Property => "configs/property.json",
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let config = args.config.clone().unwrap_or_else(|| args.recipe.default_config().into());
    let json = std::fs::read_to_string(&config).map_err(at(&config))?;
    match args.recipe {
        Recipe::Retrieval => retrieval(args, &json),
        Recipe::Property => property::run(&args.property, &json, &args.data, &args.out),
        Recipe::Atomas => atomas::run(&json, args),
    }
}

fn retrieval(args: &Args, json: &str) -> Result<()> {
    let config = TrainConfig::from_json(json)?;
    let paths =
        TrainPaths { pairs: args.data.clone(), begin: beginning(args)?, out: args.out.clone() };
    let bar = progress::bar(config.steps as u64, "reading data");
    train(&config, &paths, args.device, |event| show(&bar, event))?;
    Ok(())
}

fn beginning(args: &Args) -> Result<Beginning> {
    match (&args.from, &args.text_init) {
        (Some(model), _) => Ok(Beginning::Model(model.clone())),
        (None, Some(text)) => Ok(Beginning::TextModel(text.clone())),
        (None, None) => {
            Err(CliError::Usage("give --text-init, or --from for a model of ours".into()))
        }
    }
}

fn show(bar: &ProgressBar, event: &TrainEvent) {
    match event {
        TrainEvent::Ready { pairs, skipped, validation, trainable, resumed_at, device, .. } => {
            bar.println(format!(
                "{pairs} pairs ({skipped} not readable), {validation} for validation, {trainable} weights to train on {device}"
            ));
            bar.set_position(*resumed_at as u64);
            bar.reset_eta();
            bar.set_message("training");
        }
        TrainEvent::Step { step, losses, .. } => {
            let parts: Vec<String> =
                losses.iter().map(|(name, loss)| format!("{name} {loss:.2}")).collect();
            bar.set_position(*step as u64);
            bar.set_message(parts.join(" "));
        }
        TrainEvent::Validation {
            step,
            text_to_molecule: there,
            molecule_to_text: back,
            generation,
        } => {
            bar.println(format!(
                "step {step}: among {} pairs text→molecule R@1 {:.3} R@10 {:.3} MRR {:.3}, molecule→text R@1 {:.3} R@10 {:.3} MRR {:.3}",
                there.targets, there.recall_at_1, there.recall_at_10, there.mrr, back.recall_at_1, back.recall_at_10, back.mrr
            ));
            if let Some(scores) = generation {
                bar.println(atomas::written(scores));
            }
        }
        TrainEvent::Saved { model } => {
            bar.finish_and_clear();
            outln!("model written to {}", model.display());
        }
    }
}
