//! The recipe `property`: for each set of measurements a scaffold split, heads chosen on its validation part, baselines
//! on the same split, one row of a table, and a head directory where the config says that it ships.
//!
//! Each set leaves a result behind; a run that stopped goes on with the sets that have none.

mod baselines;
mod config;
mod data;
mod result;
mod ship;
mod trial;

use std::path::{Path, PathBuf};

use moiety_encoder::Encoder;

use crate::{
    error::{CliError, Result, at},
    model_dir::ModelArgs,
};
use config::{PropertyConfig, SetConfig};
use data::MeasuredSet;
use result::SetResult;

#[derive(clap::Args)]
pub(super) struct PropertyArgs {
    /// Take this set of the config only; repeat for several
    #[arg(long = "set", value_name = "NAME")]
    sets: Vec<String>,
    /// Take the sets only whose heads ship
    #[arg(long, conflicts_with = "sets")]
    shipped: bool,
    /// Tune the molecule tower too, for a row of its own
    #[arg(long)]
    fine_tune: bool,
    #[command(flatten)]
    model: ModelArgs,
}

pub(super) fn run(args: &PropertyArgs, json: &str, data: &Path, out: &Path) -> Result<()> {
    keep_operations_whole();
    let config = PropertyConfig::from_json(json)?;
    let sets = chosen(args, &config)?;
    let loaded = args.model.load()?;
    let model = &*loaded.encoder;
    let mut results = Vec::new();
    for set in sets {
        results.push(measure(args, (&config, set), model, data, out)?);
    }
    let table = result::table(&results, &model.info().fingerprint);
    let path = out.join("table.md");
    std::fs::write(&path, &table).map_err(at(&path))?;
    outln!("{table}");
    Ok(())
}

/// Tells candle not to share an operation among threads: fits run side by side, one a core, and its threads, which take one
/// operation at a time and spin while they wait, would more than double the time of all.
#[expect(unsafe_code, reason = "the environment alone tells candle, and it is read by all threads")]
fn keep_operations_whole() {
    const THREADS: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(THREADS).is_none() {
        // SAFETY: the command has begun no thread yet.
        unsafe { std::env::set_var(THREADS, "1") };
    }
}

fn chosen<'a>(args: &PropertyArgs, config: &'a PropertyConfig) -> Result<Vec<&'a SetConfig>> {
    let known = |name: &String| config.sets.iter().any(|set| set.name == *name);
    if let Some(name) = args.sets.iter().find(|name| !known(name)) {
        let names: Vec<&str> = config.sets.iter().map(|set| set.name.as_str()).collect();
        let names = names.join(", ");
        return Err(CliError::Usage(format!("no set {name:?} in the config; it has: {names}")));
    }
    let wanted = |set: &&SetConfig| match args.shipped {
        true => set.ship,
        false => args.sets.is_empty() || args.sets.contains(&set.name),
    };
    Ok(config.sets.iter().filter(wanted).collect())
}

/// The result of one set: that of an earlier run of the same kind, or a new one.
fn measure(
    args: &PropertyArgs,
    (config, set): (&PropertyConfig, &SetConfig),
    model: &dyn Encoder,
    data: &Path,
    out: &Path,
) -> Result<SetResult> {
    let dir = out.join(&set.name);
    std::fs::create_dir_all(&dir).map_err(at(&dir))?;
    let file = data.join(&set.file);
    let bytes = std::fs::read(&file).map_err(at(&file))?;
    let key =
        result::key(config, set, args.fine_tune, &[&bytes, model.info().fingerprint.as_bytes()])?;
    if let Some(earlier) = SetResult::load(&dir, &key)? {
        errln!("{}: done before", set.name);
        return Ok(earlier);
    }
    let measured = MeasuredSet::read(&file, set, model)?;
    let mut found = trial::run(config, &measured)?;
    if args.fine_tune {
        found.fine_tune(config, &measured, (&args.model.dir()?, &dir.join("tuned")))?;
    }
    if set.ship {
        let head = ship::head(set, &measured, &found, model.info())?;
        let place: PathBuf = out.join("heads").join(&set.name);
        head.save(&place)?;
        ship::write_card(head.spec(), &place)?;
    }
    let result = SetResult::new(key, set, &measured, &found);
    result.save(&dir)?;
    Ok(result)
}
