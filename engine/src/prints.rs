//! Fingerprints of a record's molecule after normalisation: what structure conditions ask before they read the molecule.

use moiety_chem::{FINGERPRINT_BITS, Fingerprint, Molecule, SCREEN_BITS, Screen};

const MORGAN_BYTES: usize = FINGERPRINT_BITS / 8;

/// Bytes of both.
pub(crate) const PRINT_BYTES: usize = MORGAN_BYTES + SCREEN_BITS / 8;

/// The Morgan fingerprint that similarity compares and the screen in front of substructure search.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prints {
    pub(crate) morgan: Fingerprint,
    pub(crate) screen: Screen,
}

impl Prints {
    /// Of a molecule that is normalised.
    pub(crate) fn of(molecule: &Molecule) -> Self {
        Self { morgan: molecule.morgan_fingerprint(), screen: molecule.screen() }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [self.morgan.to_bytes(), self.screen.to_bytes()].concat()
    }

    /// `None` for another length.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (morgan, screen) = bytes.split_at_checked(MORGAN_BYTES)?;
        Some(Self { morgan: Fingerprint::from_bytes(morgan)?, screen: Screen::from_bytes(screen)? })
    }
}
