//! Whether the answer of a long search is still wanted.

use crate::error::{IndexError, Result};

/// Asked within long work, every few thousand comparisons and from any thread; after a no the work ends with
/// [`IndexError::Stopped`](crate::IndexError::Stopped).
///
/// Whoever has said no must go on saying it: a scan that was cut short is known by asking once more at its end.
#[derive(Clone, Copy, Default)]
pub struct GoOn<'a>(Option<&'a (dyn Fn() -> bool + Sync)>);

impl<'a> GoOn<'a> {
    /// To the end.
    pub const ALWAYS: Self = Self(None);

    /// As long as this says so.
    pub fn while_true(ask: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self(Some(ask))
    }

    #[inline]
    pub(crate) fn is_wanted(self) -> bool {
        self.0.is_none_or(|ask| ask())
    }

    /// What was found, unless the search may have been cut short.
    pub(crate) fn finished<T>(self, found: T) -> Result<T> {
        if self.is_wanted() { Ok(found) } else { Err(IndexError::Stopped) }
    }
}
