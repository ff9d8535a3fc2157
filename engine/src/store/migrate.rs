//! From the format of an older release to this program's, one version at a time.

use std::path::Path;

use super::{Store, key::FORMAT_VERSION};
use crate::{
    EngineOptions,
    error::{EngineError, Result},
};

/// Turns a store of one version into one of the next. It may be stopped at any moment and begun again.
type Step = fn(&Store) -> Result<()>;

/// `STEPS[v - 1]` leads from version `v` to `v + 1`; the golden data of each version is in `engine/tests/data`.
const STEPS: [Step; FORMAT_VERSION as usize - 1] = [];

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Version before.
    pub from: u32,
    /// Version now.
    pub to: u32,
}

/// Brings the store to this program's format. What was done stays done if it is stopped in the middle.
pub(crate) fn migrate(dir: &Path, options: &EngineOptions) -> Result<Migrated> {
    let store = Store::open_any_format(dir, options)?;
    let from = store.format()?;
    if from == 0 || from > FORMAT_VERSION {
        return Err(EngineError::UnsupportedFormat { found: from, supported: FORMAT_VERSION });
    }
    for version in from..FORMAT_VERSION {
        STEPS[version as usize - 1](&store)?;
        store.put_format(version + 1)?;
    }
    Ok(Migrated { from, to: FORMAT_VERSION })
}
