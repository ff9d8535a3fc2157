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
    climb(&Store::open_any_format(dir, options)?, &STEPS)
}

/// Takes the steps that are left, to the version after the last of them.
fn climb(store: &Store, steps: &[Step]) -> Result<Migrated> {
    let (from, to) = (store.format()?, steps.len() as u32 + 1);
    if from == 0 || from > to {
        return Err(EngineError::UnsupportedFormat { found: from, supported: to });
    }
    for (version, step) in (1..).zip(steps).skip(from as usize - 1) {
        step(store)?;
        store.put_format(version + 1)?;
    }
    Ok(Migrated { from, to })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Durability,
        store::{Batch, CollectionId},
    };

    const COLLECTION: CollectionId = CollectionId(1);

    fn write(store: &Store, id: &str, version: u64) -> Result<()> {
        let mut batch = Batch::new(store);
        batch.put_record(COLLECTION, id, version, b"")?;
        batch.write(Durability::Fsync)
    }

    fn version(store: &Store, id: &str) -> Option<u64> {
        store.view().version(COLLECTION, id).unwrap()
    }

    /// Counts how often it was taken.
    fn first(store: &Store) -> Result<()> {
        write(store, "first", version(store, "first").unwrap_or(0) + 1)
    }

    /// Is cut off in the middle the first time.
    fn second(store: &Store) -> Result<()> {
        if version(store, "begun").is_none() {
            write(store, "begun", 1)?;
            return Err(EngineError::Cancelled);
        }
        write(store, "second", 1)
    }

    #[test]
    fn a_migration_that_was_cut_off_goes_on_with_the_step_that_was_not_done() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_any_format(dir.path(), &EngineOptions::default()).unwrap();
        store.put_format(1).unwrap();
        let steps: [Step; 2] = [first, second];
        assert!(matches!(climb(&store, &steps), Err(EngineError::Cancelled)));
        assert_eq!((store.format().unwrap(), version(&store, "second")), (2, None));
        assert_eq!(climb(&store, &steps).unwrap(), Migrated { from: 2, to: 3 });
        assert_eq!(climb(&store, &steps).unwrap(), Migrated { from: 3, to: 3 });
        assert_eq!((version(&store, "first"), version(&store, "second")), (Some(1), Some(1)));
        // A store of a later release is refused.
        let refused = climb(&store, &steps[..1]).unwrap_err();
        assert!(matches!(refused, EngineError::UnsupportedFormat { found: 3, supported: 2 }));
    }
}
