//! Scores of generated molecules.

use moiety_chem::Molecule;
use moiety_encoder::overlap::{bleu, characters, edit_distance};
use rayon::prelude::*;

use super::canonical;

/// How near generated SMILES are to the canonical SMILES asked for.
///
/// Similarities are means over those that can be read, as in MolT5: a model that writes little that is valid can score high
/// in them.
#[derive(Debug, PartialEq)]
pub(super) struct MoleculeScores {
    /// Of characters, up to four together, 0 to 1.
    bleu: f64,
    /// Share that is the molecule asked for, stereo and all.
    exact: f64,
    /// Mean number of characters to change.
    levenshtein: f64,
    /// Mean Tanimoto similarities, 0 to 1.
    similarity: Similarity,
    /// Share that can be read.
    valid: f64,
}

/// Tanimoto similarities of two molecules.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Similarity {
    maccs: f64,
    paths: f64,
    morgan: f64,
}

/// How one generated SMILES compares.
struct Compared {
    exact: bool,
    edits: usize,
    valid: bool,
    /// None where it cannot be read, or a fingerprint is beyond its bound.
    similarity: Option<Similarity>,
}

impl MoleculeScores {
    /// Of pairs of a generated SMILES and the canonical one asked for.
    pub(super) fn of(pairs: &[(String, String)]) -> Self {
        let tokens: Vec<_> =
            pairs.par_iter().map(|(c, r)| (characters(c), characters(r))).collect();
        let compared: Vec<Compared> = pairs.par_iter().map(|(c, r)| compare(c, r)).collect();
        let count = pairs.len().max(1) as f64;
        let share = |of: fn(&Compared) -> bool| {
            compared.iter().filter(|one| of(one)).count() as f64 / count
        };
        Self {
            bleu: bleu(&tokens, 4),
            exact: share(|one| one.exact),
            levenshtein: compared.iter().map(|one| one.edits as f64).sum::<f64>() / count,
            similarity: Similarity::mean(compared.iter().filter_map(|one| one.similarity)),
            valid: share(|one| one.valid),
        }
    }

    /// In Markdown.
    pub(super) fn table(&self) -> String {
        let Similarity { maccs, paths, morgan } = self.similarity;
        format!(
            "| BLEU | exact | Levenshtein | MACCS | RDK | Morgan (counts, radius 2) | valid |\n\
             |---:|---:|---:|---:|---:|---:|---:|\n\
             | {:.3} | {:.3} | {:.2} | {maccs:.3} | {paths:.3} | {morgan:.3} | {:.3} |",
            self.bleu, self.exact, self.levenshtein, self.valid
        )
    }
}

impl Similarity {
    fn of(a: &Molecule, b: &Molecule) -> Option<Self> {
        Some(Self {
            maccs: a.maccs_keys().ok()?.tanimoto(&b.maccs_keys().ok()?).into(),
            paths: a.path_fingerprint().ok()?.tanimoto(&b.path_fingerprint().ok()?).into(),
            morgan: a.morgan_counts().tanimoto(&b.morgan_counts()).into(),
        })
    }

    fn mean(all: impl Iterator<Item = Self>) -> Self {
        let mut sum = Self::default();
        let mut count = 0usize;
        for one in all {
            sum.maccs += one.maccs;
            sum.paths += one.paths;
            sum.morgan += one.morgan;
            count += 1;
        }
        let n = count.max(1) as f64;
        Self { maccs: sum.maccs / n, paths: sum.paths / n, morgan: sum.morgan / n }
    }
}

fn compare(written: &str, reference: &str) -> Compared {
    let edits = edit_distance(written, reference);
    let molecule = Molecule::from_smiles(written).ok();
    let exact = molecule.as_ref().is_some_and(|molecule| canonical(molecule) == reference);
    let similarity = molecule.as_ref().and_then(|molecule| {
        let asked = Molecule::from_smiles(reference).ok()?;
        Similarity::of(molecule, &asked)
    });
    Compared { exact, edits, valid: molecule.is_some(), similarity }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> MoleculeScores {
        let owned: Vec<_> = pairs.iter().map(|(c, r)| ((*c).to_owned(), (*r).to_owned())).collect();
        MoleculeScores::of(&owned)
    }

    #[test]
    fn a_molecule_is_exact_however_it_is_written_and_its_characters_are_not() {
        let found = of(&[("OCC", "CCO")]);
        assert_eq!((found.exact, found.valid, found.levenshtein), (1.0, 1.0, 2.0));
        assert_eq!(found.similarity, Similarity { maccs: 1.0, paths: 1.0, morgan: 1.0 });
        assert_eq!(of(&[("C/C=C\\C", "C/C=C/C")]).exact, 0.0, "the other isomer");
    }

    #[test]
    fn what_cannot_be_read_counts_against_validity_and_not_in_similarities() {
        let found = of(&[("C1CC", "CCO"), ("CCO", "CCO")]);
        assert_eq!((found.exact, found.valid), (0.5, 0.5));
        assert_eq!(found.similarity.morgan, 1.0);
        let none = of(&[("C1CC", "CCO")]);
        assert_eq!((none.valid, none.similarity), (0.0, Similarity::default()));
        assert!(none.table().contains("RDK"));
    }
}
