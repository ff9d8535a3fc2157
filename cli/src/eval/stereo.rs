//! Does a caption that names the stereoisomer rank it before its twin?
//!
//! The twin of a validation molecule is its mirror image or, where it has none, the isomer with another double-bond geometry.
//! Only captions that say which isomer they mean are asked: a descriptor such as `(2R,3S)`, `(Z)`, `D-`, `L-` or `cis-` outside
//! the sentence that names the enantiomer. A tie counts as a miss; chance is 50%.

use std::fmt::Write;

use moiety_chem::{ChemError, Molecule};
use moiety_encoder::{Encoder, Encoding};
use moiety_engine::{LevelWeights, level_scores};
use rayon::prelude::*;

use super::{data::Benchmark, in_chunks};
use crate::error::Result;

/// How a twin differs from the molecule of the caption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twin {
    MirrorImage,
    OtherGeometry,
}

/// A caption, its molecule, and the isomer it does not mean.
struct Case<'a> {
    text: &'a str,
    right: &'a Molecule,
    wrong: Molecule,
    twin: Twin,
}

/// Rates of right answers by kind of twin, for the global vector and for all levels.
pub(super) fn table(
    model: &dyn Encoder,
    benchmark: &Benchmark,
    weights: &LevelWeights,
) -> Result<String> {
    let cases: Vec<Case> = benchmark
        .captions
        .par_iter()
        .filter_map(|caption| case(&caption.text, &benchmark.pool[caption.molecule]))
        .filter(|case| model.check_molecule(&case.wrong).is_ok())
        .collect();
    let encode = |molecules: Vec<&Molecule>| {
        in_chunks(&molecules, "isomers", |chunk| Ok(model.encode_molecules(chunk)?))
    };
    let texts: Vec<&str> = cases.iter().map(|case| case.text).collect();
    let texts = in_chunks(&texts, "captions", |chunk| Ok(model.encode_texts(chunk)?))?;
    let right = encode(cases.iter().map(|case| case.right).collect())?;
    let wrong = encode(cases.iter().map(|case| &case.wrong).collect())?;
    let mut out =
        String::from("| twin | captions | global vector | three levels |\n|---|---:|---:|---:|\n");
    for twin in [Twin::MirrorImage, Twin::OtherGeometry] {
        let of: Vec<usize> = (0..cases.len()).filter(|&i| cases[i].twin == twin).collect();
        let rate = |weights: &LevelWeights| {
            let score =
                |i: usize, molecule: &Encoding| weights.total(&level_scores(&texts[i], molecule));
            let right = of.iter().filter(|&&i| score(i, &right[i]) > score(i, &wrong[i])).count();
            100.0 * right as f64 / of.len().max(1) as f64
        };
        let name = match twin {
            Twin::MirrorImage => "mirror image",
            Twin::OtherGeometry => "other double-bond geometry",
        };
        let (global, levels) = (rate(&LevelWeights::GLOBAL_ONLY), rate(weights));
        let _ = writeln!(out, "| {name} | {} | {global:.1}% | {levels:.1}% |", of.len());
    }
    Ok(out)
}

fn case<'a>(text: &'a str, right: &'a Molecule) -> Option<Case<'a>> {
    let twin = |isomer: std::result::Result<Option<Molecule>, ChemError>| isomer.ok().flatten();
    let said = said(text);
    let mirrored = || Some((twin(right.mirror_image())?, Twin::MirrorImage));
    let turned = || Some((twin(right.other_geometry())?, Twin::OtherGeometry));
    let (wrong, twin) = said
        .handedness
        .then(mirrored)
        .flatten()
        .or_else(|| said.geometry.then(turned).flatten())?;
    Some(Case { text, right, wrong, twin })
}

/// Which kinds of stereo a text speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    handedness: bool,
    geometry: bool,
}

fn said(text: &str) -> Said {
    let mut said = Said::default();
    for sentence in text.split(". ").filter(|sentence| !sentence.contains("an enantiomer of")) {
        for word in sentence.split(|c: char| !c.is_ascii_alphanumeric()) {
            let start = word.as_ptr() as usize - sentence.as_ptr() as usize;
            let before = sentence[..start].chars().next_back();
            let after = sentence.get(start + word.len()..).unwrap_or_default();
            let listed = matches!(before, Some('(' | ',')) && after.starts_with([')', ',']);
            let letter = word.trim_start_matches(|c: char| c.is_ascii_digit() || "abc".contains(c));
            said.handedness |= match letter {
                "R" | "S" => listed || after.starts_with("-config") || after.starts_with("-enant"),
                "D" | "L" => word.len() == 1 && after.starts_with('-'),
                _ => false,
            };
            said.geometry |= match letter {
                "E" | "Z" => listed,
                _ if matches!(word, "cis" | "trans") => after.starts_with('-'),
                _ => false,
            };
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_told_from_letters_and_from_the_name_of_the_enantiomer() {
        let hand = Said { handedness: true, geometry: false };
        for text in
            ["an acid that has (2R,3aS)-centres", "the L-enantiomer", "It has S-configuration"]
        {
            assert_eq!(said(text), hand, "{text}");
        }
        for text in [
            "It is an enantiomer of a L-alanine",
            "S-adenosylmethionine at 210℃",
            "vitamin E, (E) not",
            "an acid",
        ] {
            assert!(!said(text).handedness, "{text}");
        }
        assert!(
            said("a trans-cinnamic acid").geometry && said("the (2E,4Z)-dienoic acid").geometry
        );
        assert!(!said("vitamin E and cisplatin").geometry);
    }

    #[test]
    fn a_caption_is_asked_about_the_isomer_it_names() {
        let alanine = Molecule::from_smiles("C[C@H](N)C(=O)O").expect("valid");
        assert_eq!(
            case("the L-enantiomer of alanine", &alanine).map(|c| c.twin),
            Some(Twin::MirrorImage)
        );
        assert!(case("an amino acid", &alanine).is_none());
        let fumaric = Molecule::from_smiles("OC(=O)/C=C/C(=O)O").expect("valid");
        let case = case("(2E)-butenedioic acid", &fumaric).expect("a case");
        assert_eq!(case.twin, Twin::OtherGeometry);
    }
}
