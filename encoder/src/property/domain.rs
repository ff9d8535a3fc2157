//! Whether a molecule is like those that a head learned from, by its nearest neighbour among them.
//!
//! The measure is the Tanimoto similarity of ECFP4 fingerprints. A molecule is far when its nearest neighbour is less
//! similar than those of 95% of the training molecules are to them (each compared with all the others).

use std::path::Path;

use candle_core::{Device, Tensor};
use moiety_chem::{FINGERPRINT_BITS, Fingerprint};
use rayon::prelude::*;

use crate::error::{EncoderError, Result};

/// Share of the training molecules that would themselves be called far.
const FAR_SHARE: f64 = 0.05;
/// Training molecules that the bound is measured on; evenly spread where there are more.
const MOST_PROBES: usize = 2_000;
/// The only tensor of the file.
const TENSOR: &str = "training.fingerprints";

/// How near a molecule is to the training molecules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Domain {
    /// Tanimoto similarity of the nearest training molecule, 0 to 1.
    pub nearest: f32,
    /// Whether that is below the bound of the head.
    pub far: bool,
}

/// The fingerprints of the training molecules.
#[derive(Clone, Debug)]
pub struct Reference {
    fingerprints: Vec<Fingerprint>,
}

impl Reference {
    /// A reference of these fingerprints.
    pub fn new(fingerprints: Vec<Fingerprint>) -> Self {
        Self { fingerprints }
    }

    /// Similarity of the nearest one; 0 where there is none.
    pub fn nearest(&self, fingerprint: &Fingerprint) -> f32 {
        self.fingerprints.iter().map(|other| other.tanimoto(fingerprint)).fold(0.0, f32::max)
    }

    /// How near a molecule is, given the bound of the head.
    pub fn domain(&self, fingerprint: &Fingerprint, far_below: f32) -> Domain {
        let nearest = self.nearest(fingerprint);
        Domain { nearest, far: nearest < far_below }
    }

    /// The similarity below which a molecule is far: the twentieth part of the training molecules lies below it.
    pub fn far_below(&self) -> f32 {
        let count = self.fingerprints.len();
        let step = count.div_ceil(MOST_PROBES).max(1);
        let nearest_other = |probe: usize| {
            let others = self.fingerprints.iter().enumerate().filter(|(at, _)| *at != probe);
            others.map(|(_, other)| other.tanimoto(&self.fingerprints[probe])).fold(0.0, f32::max)
        };
        let probes: Vec<usize> = (0..count).step_by(step).collect();
        let mut nearest: Vec<f32> = probes.into_par_iter().map(nearest_other).collect();
        nearest.sort_by(f32::total_cmp);
        let at = (nearest.len() as f64 * FAR_SHARE) as usize;
        nearest.get(at).copied().unwrap_or(0.0)
    }

    /// Writes the fingerprints as one tensor of bytes.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let bytes: Vec<u8> = self.fingerprints.iter().flat_map(Fingerprint::to_bytes).collect();
        let shape = (self.fingerprints.len(), FINGERPRINT_BITS / 8);
        let tensor = Tensor::from_vec(bytes, shape, &Device::Cpu)?;
        Ok(tensor.save_safetensors(TENSOR, path)?)
    }

    /// Reads them back.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let fail = |reason: String| EncoderError::Model { path: path.to_path_buf(), reason };
        let bytes =
            std::fs::read(path).map_err(|source| EncoderError::Io { path: path.into(), source })?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| fail(format!("not a readable safetensors file: {e}")))?;
        let rows = tensors.get(TENSOR).and_then(|tensor| tensor.to_vec2::<u8>().ok());
        let rows = rows.ok_or_else(|| fail(format!("no tensor `{TENSOR}` of rows of bytes")))?;
        let fingerprints: Option<Vec<_>> =
            rows.iter().map(|row| Fingerprint::from_bytes(row)).collect();
        let width = || fail(format!("`{TENSOR}` must have {} columns", FINGERPRINT_BITS / 8));
        fingerprints.map(Self::new).ok_or_else(width)
    }
}

#[cfg(test)]
mod tests {
    use moiety_chem::Molecule;

    use super::*;

    fn fingerprints(smiles: &[&str]) -> Vec<Fingerprint> {
        smiles
            .iter()
            .map(|s| Molecule::from_smiles(s).expect("smiles").morgan_fingerprint())
            .collect()
    }

    #[test]
    fn a_training_molecule_is_near_and_another_world_far() {
        let reference = Reference::new(fingerprints(&["CCO", "CCCO", "CCCCO", "CCCCCO"]));
        let bound = reference.far_below();
        let near = reference.domain(&fingerprints(&["CCCO"])[0], bound);
        assert_eq!(near, Domain { nearest: 1.0, far: false });
        let far = reference.domain(&fingerprints(&["c1ccc2[nH]ccc2c1"])[0], bound);
        assert!(far.far && far.nearest < bound, "{far:?} below {bound}");
    }

    #[test]
    fn a_reference_survives_its_file_and_damage_is_refused() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("reference.safetensors");
        let reference = Reference::new(fingerprints(&["CCO", "c1ccccc1"]));
        reference.save(&file).expect("save");
        let back = Reference::load(&file).expect("load");
        assert_eq!(back.fingerprints, reference.fingerprints);
        std::fs::write(&file, [9; 40]).expect("write");
        assert!(Reference::load(&file).is_err());
    }
}
