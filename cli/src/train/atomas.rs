//! The recipe `atomas`: one encoder-decoder for SMILES and texts, aligned at three levels.

use moiety_encoder::train::{
    AtomasBeginning, AtomasPaths, AtomasTrainConfig, GenerationScores, train_atomas,
};

use crate::{error::Result, progress};

pub(super) fn run(json: &str, args: &super::Args) -> Result<()> {
    let config = AtomasTrainConfig::from_json(json)?;
    let begin = match (&args.from, &args.text_init) {
        (Some(model), _) => AtomasBeginning::Model(model.clone()),
        (None, Some(dir)) => AtomasBeginning::Weights(dir.clone()),
        (None, None) => AtomasBeginning::Nothing,
    };
    let paths = AtomasPaths { pairs: args.data.clone(), begin, out: args.out.clone() };
    let bar = progress::bar(config.steps as u64, "reading data");
    train_atomas(&config, &paths, args.device, |event| super::show(&bar, event))?;
    Ok(())
}

/// One line about what a model wrote.
pub(super) fn written(scores: &GenerationScores) -> String {
    let mut line = format!("wrote from {} pairs:", scores.pairs);
    for (name, share) in [
        ("valid molecules", scores.valid_molecules),
        ("exact molecules", scores.exact_molecules),
        ("exact texts", scores.exact_texts),
    ] {
        if let Some(share) = share {
            line.push_str(&format!(" {name} {share:.3}"));
        }
    }
    line
}
