//! The level vectors of a comparison, as the store keeps them or with more or fewer bits.

use std::{fmt, str::FromStr};

use moiety_encoder::{Encoding, Level};
use moiety_engine::{LevelScores, full_level_scores, level_scores};

/// How many bits a number has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// As the store keeps them: eight bits, products in integers.
    Stored,
    /// 32-bit floats, as the encoder gives them.
    Full,
    /// Rounded to so many bits, 2 to 8, with one scale a vector.
    Bits(u8),
}

impl Precision {
    /// Scores of two encodings.
    pub(super) fn scores(self, query: &Encoding, target: &Encoding) -> LevelScores {
        match self {
            Self::Stored => level_scores(query, target),
            Self::Full => full_level_scores(query, target),
            Self::Bits(bits) => full_level_scores(&rounded(query, bits), &rounded(target, bits)),
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(32) => Ok(Self::Full),
            Ok(bits @ 2..=8) => Ok(Self::Bits(bits)),
            _ => Err("a number has 2 to 8 bits, or 32".into()),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored => f.write_str("three levels"),
            Self::Full => f.write_str("three levels in floats"),
            Self::Bits(bits) => write!(f, "three levels in {bits} bits"),
        }
    }
}

fn rounded(encoding: &Encoding, bits: u8) -> Encoding {
    let mut encoding = encoding.clone();
    for level in [&mut encoding.fragments, &mut encoding.tokens] {
        round(level, bits);
    }
    encoding
}

fn round(level: &mut Level, bits: u8) {
    let top = f32::from((1u8 << (bits - 1)) - 1);
    for vector in level.vectors.chunks_exact_mut(level.dim.max(1)) {
        let largest = vector.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        if largest > 0.0 {
            let scale = largest / top;
            vector.iter_mut().for_each(|x| *x = (*x / scale).round() * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use moiety_encoder::{Encoder, HashingEncoder};

    use super::*;

    #[test]
    fn fewer_bits_are_farther_from_the_truth() {
        let texts = ["a yellow dye, of wool and silk", "an acid that dyes wool"];
        let encodings = HashingEncoder::new(48).encode_texts(&texts).unwrap();
        let token = |precision: &str| {
            let precision: Precision = precision.parse().unwrap();
            precision.scores(&encodings[0], &encodings[1]).token.unwrap()
        };
        let off = |precision| (token(precision) - token("32")).abs();
        assert!(off("8") < 0.002 && off("2") > off("8"), "{} {}", off("8"), off("2"));
        let stored = Precision::Stored.scores(&encodings[0], &encodings[1]).token.unwrap();
        assert!((stored - token("8")).abs() < 1e-5);
        assert!("9".parse::<Precision>().is_err() && "x".parse::<Precision>().is_err());
    }
}
