//! The benchmark's captions, pool and training captions, from the files of the data directory.

use std::{
    collections::{HashMap, HashSet},
    io::BufRead,
    path::{Path, PathBuf},
};

use moiety_chem::Molecule;
use rayon::prelude::*;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    error::{CliError, Result, at},
    reader,
};

/// A caption with the place of its molecule in the pool.
pub(super) struct Caption {
    pub(super) text: String,
    pub(super) molecule: usize,
}

/// What is ranked, and what a baseline may learn from.
pub(super) struct Benchmark {
    /// Validation captions.
    pub(super) captions: Vec<Caption>,
    /// Molecules that every caption is ranked against.
    pub(super) pool: Vec<Molecule>,
    /// Training captions with their molecules, none of them in the validation set.
    pub(super) training: Vec<(String, Molecule)>,
    /// Molecules of the pool that could not be read, and are not ranked.
    pub(super) unread: usize,
    /// Captions whose molecule could not be read, and which are left out.
    pub(super) left_out: usize,
}

#[derive(Deserialize)]
struct Pair {
    kind: String,
    split: String,
    #[serde(rename = "use")]
    usage: String,
    smiles: String,
    inchikey: String,
    text: String,
}

impl Pair {
    /// The first block of the InChIKey: which atoms are bound to which.
    fn skeleton(&self) -> &str {
        self.inchikey.split('-').next().unwrap_or_default()
    }

    /// Whether weights may have been trained on it.
    fn is_open_training(&self) -> bool {
        self.split == "train" && self.usage == "open"
    }
}

/// Which captions are asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// Most captions.
    pub(super) limit: usize,
    /// Only those of molecules whose skeleton no training pair has.
    pub(super) new_skeletons: bool,
}

impl Benchmark {
    /// Reads the files below `dir`; molecules that `readable` refuses are left out of the pool.
    pub(super) fn read(
        dir: &Path,
        asked: Asked,
        readable: impl Fn(&Molecule) -> bool + Sync,
    ) -> Result<Self> {
        let pairs = pairs(&dir.join("pairs/pairs.jsonl.gz"))?;
        let cids = validation_cids(&dir.join("chebi20/validation.tsv.gz"))?;
        let (pool, place, unread) = pool(&dir.join("chebi20/pool.tsv.gz"), readable)?;
        let mut captions = Vec::new();
        let mut left_out = 0;
        let seen: HashSet<&str> = match asked.new_skeletons {
            true => pairs.iter().filter(|p| p.is_open_training()).map(Pair::skeleton).collect(),
            false => HashSet::new(),
        };
        let validation = pairs
            .iter()
            .filter(|pair| pair.split == "validation" && !seen.contains(pair.skeleton()))
            .take(asked.limit);
        for pair in validation {
            match molecule_of(pair, &cids, &place, &pool) {
                Some(molecule) => captions.push(Caption { text: pair.text.clone(), molecule }),
                None => left_out += 1,
            }
        }
        let training: Vec<(String, Molecule)> = pairs
            .into_par_iter()
            .filter(|pair| pair.is_open_training() && pair.kind == "caption")
            .filter_map(|pair| Some((pair.text, Molecule::from_smiles(&pair.smiles).ok()?)))
            .collect();
        Ok(Self { captions, pool, training, unread, left_out })
    }

    /// Reads queries and targets of one's own; there is nothing that a baseline may learn from.
    pub(super) fn own(
        queries: &Path,
        targets: &Path,
        limit: usize,
        readable: impl Fn(&Molecule) -> bool + Sync,
    ) -> Result<Self> {
        let listed: Vec<OwnTarget> = objects(targets, "a molecule with `id` and `smiles`")?;
        let read =
            |target: &OwnTarget| Molecule::from_smiles(&target.smiles).ok().filter(&readable);
        let molecules: Vec<Option<Molecule>> = listed.par_iter().map(read).collect();
        let (mut pool, mut place) = (Vec::new(), HashMap::new());
        for (target, molecule) in listed.iter().zip(molecules) {
            let Some(molecule) = molecule else { continue };
            if place.insert(target.id.as_str(), pool.len()).is_some() {
                let reason = format!("{}: `{}` is there twice", targets.display(), target.id);
                return Err(CliError::Usage(reason));
            }
            pool.push(molecule);
        }
        let asked: Vec<OwnQuery> = objects(queries, "a query with `id` and `text`")?;
        let asked = &asked[..limit.min(asked.len())];
        let caption = |query: &OwnQuery| {
            let molecule = *place.get(query.id.as_str())?;
            Some(Caption { text: query.text.clone(), molecule })
        };
        let captions: Vec<Caption> = asked.iter().filter_map(caption).collect();
        if captions.is_empty() {
            let reason = format!(
                "no query of {} is of a molecule of {}",
                queries.display(),
                targets.display()
            );
            return Err(CliError::Usage(reason));
        }
        let (unread, left_out) = (listed.len() - pool.len(), asked.len() - captions.len());
        Ok(Self { captions, pool, training: Vec::new(), unread, left_out })
    }
}

fn pairs(path: &Path) -> Result<Vec<Pair>> {
    objects(path, "a pair")
}

/// The objects of JSON lines.
fn objects<T: DeserializeOwned + Send>(path: &Path, what: &str) -> Result<Vec<T>> {
    let broken = |e| CliError::Usage(format!("{}: not {what}: {e}", path.display()));
    lines(path)?.par_iter().map(|line| serde_json::from_str(line).map_err(broken)).collect()
}

/// A text and the molecule that it asks for.
#[derive(Deserialize)]
struct OwnQuery {
    id: String,
    text: String,
}

/// A molecule that is ranked.
#[derive(Deserialize)]
struct OwnTarget {
    id: String,
    smiles: String,
}

/// The place in the pool of a validation pair's molecule. Of molecules that share a description the InChIKey tells which.
fn molecule_of(
    pair: &Pair,
    cids: &HashMap<String, Vec<String>>,
    place: &HashMap<String, usize>,
    pool: &[Molecule],
) -> Option<usize> {
    let places: Vec<usize> =
        cids.get(&pair.text)?.iter().filter_map(|cid| place.get(cid)).copied().collect();
    let is_its = |&&at: &&usize| {
        let identity = pool[at].identity().ok();
        identity.and_then(|identity| identity.inchikey).as_deref() == Some(&pair.inchikey)
    };
    match places.as_slice() {
        [only] => Some(*only),
        several => several.iter().find(is_its).copied(),
    }
}

/// CIDs of each validation description: some describe several molecules.
fn validation_cids(path: &Path) -> Result<HashMap<String, Vec<String>>> {
    let rows = lines(path)?;
    let split = |row: &String| {
        let mut cells = row.split('\t');
        let (cid, _, text) = (cells.next()?, cells.next()?, cells.next()?);
        Some((text.to_owned(), cid.to_owned()))
    };
    let mut cids: HashMap<String, Vec<String>> = HashMap::new();
    for (text, cid) in rows.iter().skip(1).filter_map(split) {
        cids.entry(text).or_default().push(cid);
    }
    Ok(cids)
}

/// A validation caption of ChEBI-20 and the molecule that it describes.
pub(super) struct Described {
    pub(super) molecule: Molecule,
    pub(super) text: String,
}

/// The first `limit` validation captions, and how many of them have a molecule that cannot be read.
pub(super) fn validation_captions(dir: &Path, limit: usize) -> Result<(Vec<Described>, usize)> {
    let rows = lines(&dir.join("chebi20/validation.tsv.gz"))?;
    let rows = &rows[1.min(rows.len())..];
    let rows = &rows[..limit.min(rows.len())];
    let read = |row: &String| {
        let mut cells = row.splitn(3, '\t').skip(1);
        let molecule = Molecule::from_smiles(&single_backslashes(cells.next()?)).ok()?;
        Some(Described { molecule, text: cells.next()?.to_owned() })
    };
    let described: Vec<Described> = rows.par_iter().filter_map(read).collect();
    let unread = rows.len() - described.len();
    Ok((described, unread))
}

/// ChEBI-20's own files double their backslashes.
fn single_backslashes(smiles: &str) -> String {
    smiles.replace("\\\\", "\\")
}

/// The molecules that can be read, the place of each CID among them, and how many cannot be read.
fn pool(
    path: &Path,
    readable: impl Fn(&Molecule) -> bool + Sync,
) -> Result<(Vec<Molecule>, HashMap<String, usize>, usize)> {
    let rows = lines(path)?;
    let read = |row: &String| {
        let (cid, rest) = row.split_once('\t')?;
        let smiles = single_backslashes(rest.split('\t').next()?);
        Some((cid.to_owned(), Molecule::from_smiles(&smiles).ok().filter(&readable)?))
    };
    let parsed: Vec<_> = rows[1..].par_iter().map(read).collect();
    let unread = parsed.iter().filter(|row| row.is_none()).count();
    let (cids, pool): (Vec<_>, Vec<_>) = parsed.into_iter().flatten().unzip();
    let place = cids.into_iter().enumerate().map(|(at, cid)| (cid, at)).collect();
    Ok((pool, place, unread))
}

fn lines(path: &Path) -> Result<Vec<String>> {
    let path: PathBuf = path.into();
    reader::reader(&path)?.lines().collect::<std::io::Result<_>>().map_err(at(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(queries: &str, targets: &str) -> Result<Benchmark> {
        let dir = tempfile::tempdir().expect("directory");
        let (asked, ranked) = (dir.path().join("queries.jsonl"), dir.path().join("targets.jsonl"));
        std::fs::write(&asked, queries).expect("file");
        std::fs::write(&ranked, targets).expect("file");
        Benchmark::own(&asked, &ranked, usize::MAX, |_| true)
    }

    #[test]
    fn queries_are_of_the_molecule_with_their_identifier_even_where_their_texts_are_the_same() {
        let targets = "{\"id\": \"a\", \"smiles\": \"CO\"}\n{\"id\": \"x\", \"smiles\": \"C(\"}\n{\"id\": \"b\", \"smiles\": \"CCO\"}\n";
        let query = |id: &str| format!("{{\"id\": \"{id}\", \"text\": \"an alcohol\"}}\n");
        let queries = [query("b"), query("a"), query("nowhere")].concat();
        let benchmark = own(&queries, targets).expect("files");
        let of: Vec<usize> = benchmark.captions.iter().map(|caption| caption.molecule).collect();
        assert_eq!((of, benchmark.unread, benchmark.left_out), (vec![1, 0], 1, 1));
        let twice = own(
            &queries,
            "{\"id\": \"a\", \"smiles\": \"C\"}\n{\"id\": \"a\", \"smiles\": \"C\"}\n",
        );
        assert!(twice.is_err_and(|error| error.to_string().contains("twice")));
    }
}
