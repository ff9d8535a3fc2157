//! Heads that ship: a directory each, with `head.json`, the network, and the fingerprints it has seen.

use std::{
    fs,
    path::{Path, PathBuf},
};

use moiety_chem::Molecule;

use super::{
    domain::{Domain, Reference},
    features::{Features, width},
    network::{Network, NetworkShape},
    spec::{FORMAT_VERSION, HeadSpec},
};
use crate::{
    Encoding, ModelInfo,
    error::{EncoderError, Result},
    fingerprint::digest,
};

const SPEC: &str = "head.json";
const NETWORK: &str = "network.safetensors";
const REFERENCE: &str = "reference.safetensors";

/// A head ready to predict.
#[derive(Clone, Debug)]
pub struct Head {
    spec: HeadSpec,
    network: Network,
    reference: Reference,
}

/// What a head says about one molecule.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadPrediction {
    /// One number per task: a probability, or a value in the unit of the head.
    pub values: Vec<f32>,
    /// How near the molecule is to those the head has seen.
    pub domain: Domain,
}

impl Head {
    /// Puts a fitted network and its training molecules under a description.
    pub fn new(spec: HeadSpec, network: Network, reference: Reference) -> Self {
        Self { spec, network, reference }
    }

    /// Its description.
    pub fn spec(&self) -> &HeadSpec {
        &self.spec
    }

    /// Predicts for molecules that `features` holds, row by row.
    pub fn predict(&self, features: &Features) -> Vec<HeadPrediction> {
        let rows: Vec<usize> = (0..features.rows()).collect();
        let values = self.network.predict(features, &rows);
        let values = values.chunks_exact(self.spec.tasks.len());
        let predict = |(row, values): (usize, &[f32])| HeadPrediction {
            values: values.to_vec(),
            domain: self.reference.domain(features.fingerprint(row), self.spec.far_below),
        };
        rows.into_iter().zip(values).map(predict).collect()
    }

    /// Writes the directory of this head.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let io = |path: PathBuf| move |source| EncoderError::Io { path, source };
        fs::create_dir_all(dir).map_err(io(dir.to_path_buf()))?;
        self.network.save(&dir.join(NETWORK))?;
        self.reference.save(&dir.join(REFERENCE))?;
        let mut spec = HeadSpec { format_version: FORMAT_VERSION, ..self.spec.clone() };
        for file in [NETWORK, REFERENCE] {
            spec.files.insert(file.into(), digest(&read(&dir.join(file))?));
        }
        let json =
            serde_json::to_string_pretty(&spec).map_err(|e| EncoderError::Config(e.to_string()))?;
        let path = dir.join(SPEC);
        fs::write(&path, json + "\n").map_err(io(path))
    }

    /// Reads the directory of a head that was fitted on this encoder.
    ///
    /// # Errors
    /// A file that is missing or damaged, and [`EncoderError::ForeignHead`] where the head belongs to another encoder.
    pub fn load(dir: &Path, encoder: &ModelInfo) -> Result<Self> {
        let path = dir.join(SPEC);
        let fail = |reason: String| EncoderError::Model { path: path.clone(), reason };
        let spec: HeadSpec =
            serde_json::from_slice(&read(&path)?).map_err(|e| fail(format!("not a head: {e}")))?;
        if spec.format_version != FORMAT_VERSION {
            let found = spec.format_version;
            return Err(fail(format!(
                "format_version is {found}, this program reads {FORMAT_VERSION}; rebuild the head"
            )));
        }
        if spec.encoder_fingerprint != encoder.fingerprint {
            return Err(EncoderError::ForeignHead {
                head: spec.name,
                fitted: spec.encoder_fingerprint,
                loaded: encoder.fingerprint.clone(),
            });
        }
        if spec.tasks.is_empty() || spec.blocks.is_empty() {
            return Err(fail("tasks and blocks must not be empty".into()));
        }
        for file in [NETWORK, REFERENCE] {
            check_digest(&dir.join(file), spec.files.get(file))?;
        }
        let shape = NetworkShape {
            inputs: spec.blocks.iter().map(|&block| width(block, encoder)).sum(),
            hidden: spec.hidden,
            tasks: spec.tasks.len(),
        };
        let network = Network::load(&dir.join(NETWORK), spec.kind, &spec.blocks, shape)?;
        let reference = Reference::load(&dir.join(REFERENCE))?;
        Ok(Self { spec, network, reference })
    }
}

/// All heads of an encoder, by name.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    heads: Vec<Head>,
}

impl Heads {
    /// Reads every directory below `dir`, in the order of their names.
    ///
    /// # Errors
    /// That of the first head that cannot be loaded; two heads of one name.
    pub fn load(dir: &Path, encoder: &ModelInfo) -> Result<Self> {
        let io = |source| EncoderError::Io { path: dir.to_path_buf(), source };
        let entries: std::io::Result<Vec<_>> = fs::read_dir(dir).map_err(io)?.collect();
        let mut dirs: Vec<PathBuf> = entries.map_err(io)?.iter().map(fs::DirEntry::path).collect();
        dirs.retain(|dir| dir.join(SPEC).is_file());
        dirs.sort();
        let heads: Result<Vec<Head>> = dirs.iter().map(|dir| Head::load(dir, encoder)).collect();
        let heads = heads?;
        let name = |head: &Head| head.spec.name.clone();
        match heads
            .iter()
            .enumerate()
            .find(|(i, head)| heads[..*i].iter().any(|h| name(h) == name(head)))
        {
            Some((i, head)) => {
                let reason = format!("a second head is named `{}`", head.spec.name);
                Err(EncoderError::Model { path: dirs[i].clone(), reason })
            }
            None => Ok(Self { heads }),
        }
    }

    /// Heads that are in memory already.
    pub fn of(heads: Vec<Head>) -> Self {
        Self { heads }
    }

    /// The heads in order.
    pub fn iter(&self) -> impl Iterator<Item = &Head> {
        self.heads.iter()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The head of this name.
    pub fn get(&self, name: &str) -> Option<&Head> {
        self.heads.iter().find(|head| head.spec.name == name)
    }

    /// What the chosen heads say about molecules with these encodings: one list per molecule, in the order of `chosen`.
    pub fn predict(
        chosen: &[&Head],
        molecules: &[&Molecule],
        encodings: &[Encoding],
    ) -> Vec<Vec<HeadPrediction>> {
        let features = Features::read(molecules, encodings);
        let mut by_molecule = vec![Vec::with_capacity(chosen.len()); molecules.len()];
        for head in chosen {
            for (all, prediction) in by_molecule.iter_mut().zip(head.predict(&features)) {
                all.push(prediction);
            }
        }
        by_molecule
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| EncoderError::Io { path: path.to_path_buf(), source })
}

fn check_digest(path: &Path, stated: Option<&String>) -> Result<()> {
    if stated == Some(&digest(&read(path)?)) {
        return Ok(());
    }
    let reason = format!("does not match {SPEC}; the file is damaged or of another head");
    Err(EncoderError::Model { path: path.to_path_buf(), reason })
}
