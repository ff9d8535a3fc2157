//! Fingerprints of a record's molecule after normalisation: what structure conditions ask before they read the molecule.

use moiety_chem::{FINGERPRINT_BITS, Fingerprint, Molecule, SCREEN_BITS, Screen};

use crate::StoredRecord;

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

    /// Of a record's molecule, as they were when it was written.
    pub(crate) fn of_record(record: &StoredRecord) -> Option<Self> {
        let smiles = &record.molecule.as_ref()?.facts.canonical_smiles;
        Molecule::from_smiles(smiles).ok().as_ref().map(Self::of)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [self.morgan.to_bytes(), self.screen.to_bytes()].concat()
    }

    /// `None` for another length.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (morgan, screen) = bytes.split_at_checked(MORGAN_BYTES)?;
        Some(Self { morgan: Fingerprint::from_bytes(morgan)?, screen: Screen::from_bytes(screen)? })
    }

    /// `None` for another length.
    pub(crate) fn from_words((morgan, screen): (&[u64], &[u64])) -> Option<Self> {
        let (morgan, screen) = (bytes(morgan), bytes(screen));
        Some(Self {
            morgan: Fingerprint::from_bytes(&morgan)?,
            screen: Screen::from_bytes(&screen)?,
        })
    }

    /// The fingerprint and the screen as words.
    pub(crate) fn to_words(&self) -> (Vec<u64>, Vec<u64>) {
        (words(&self.morgan.to_bytes()), words(&self.screen.to_bytes()))
    }
}

/// Eight bytes a word, the lowest first.
pub(crate) fn words(bytes: &[u8]) -> Vec<u64> {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
