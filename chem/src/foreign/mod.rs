//! The only place that names the chemistry library: cosmolkit, a port of RDKit 2026.09.
//!
//! Every call goes through [`guard`], so that a panic of the library becomes an error and its
//! recursion has stack enough, and everything it perceives is copied into a plain `Topology`.

mod describe;
mod edit;
mod pattern;
mod perceive;
mod read;
mod scaffold;
mod wording;

pub(crate) use describe::{Descriptors, Stereo, descriptors, identity, numbered_smiles, stereo};
pub(crate) use edit::{keep_part, set_charges};
pub(crate) use pattern::{ForeignPattern, certain, matches, read_pattern};
pub(crate) use perceive::{coordinates, topology};
pub(crate) use read::{from_inchi, from_mol_block, from_smiles};
pub(crate) use scaffold::scaffold;

use crate::error::ChemError;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Above this size (bytes of text or atoms) a call gets a thread with a deep stack of its own.
const INLINE_SIZE: usize = 300;

/// Stack of such a thread; only touched pages cost memory.
const DEEP_STACK_BYTES: usize = 512 * 1024 * 1024;

/// A molecule of the library.
#[derive(Clone)]
pub(crate) struct Foreign(cosmolkit::Molecule);

impl Foreign {
    pub(crate) fn size(&self) -> usize {
        self.0.num_atoms()
    }
}

/// Runs `work`, turning a panic of the library into an error. `size` is that of the input.
fn guard<T: Send>(
    during: &'static str,
    size: usize,
    work: impl FnOnce() -> Result<T, ChemError> + Send,
) -> Result<T, ChemError> {
    let caught = || {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(ChemError::Internal { during, reason: "the chemistry library panicked".into() })
        })
    };
    if size <= INLINE_SIZE {
        return caught();
    }
    let deep = std::thread::Builder::new().name("chem".into()).stack_size(DEEP_STACK_BYTES);
    std::thread::scope(|scope| match deep.spawn_scoped(scope, caught) {
        Ok(thread) => thread.join().unwrap_or_else(|_| {
            Err(ChemError::Internal { during, reason: "the chemistry library panicked".into() })
        }),
        Err(error) => Err(internal("starting a thread", &error)),
    })
}

fn internal(during: &'static str, error: &dyn std::fmt::Display) -> ChemError {
    ChemError::Internal { during, reason: error.to_string() }
}
