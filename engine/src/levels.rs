//! The two levels of parts, as they are compared.

use moiety_encoder::{Encoding, Level};

/// Fragment and token vectors of one side of a record, or of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Levels {
    pub(crate) fragments: Level,
    pub(crate) tokens: Level,
}

impl Levels {
    pub(crate) fn is_empty(&self) -> bool {
        self.fragments.is_empty() && self.tokens.is_empty()
    }
}

/// Says what is wrong with what an encoder gave, if anything is: it must be storable and comparable.
pub(crate) fn check(encoding: &Encoding, part_dim: usize) -> Result<(), String> {
    for (name, level) in [("fragment", &encoding.fragments), ("token", &encoding.tokens)] {
        let n = level.len();
        let whole = level.extents.len() == n && level.vectors.len() == n * level.dim;
        if n > 0 && level.dim != part_dim || !whole {
            return Err(format!("the encoder gave a malformed {name} level"));
        }
        if !level.vectors.iter().chain(&level.weights).all(|x| x.is_finite()) {
            return Err(format!("the encoder gave a {name} level that is not finite"));
        }
    }
    Ok(())
}
