//! Seeded vectors with the shape of embeddings: clusters in few dimensions, seen through many.
//!
//! Uniform vectors would be unfair to every graph: real embeddings lie near a surface of far fewer dimensions than they have
//! numbers, and in groups.

/// Dimensions that the vectors really vary in.
const LATENT_DIM: usize = 32;
/// How far members lie from the middle of their cluster, beside the distance of the middles.
const SPREAD: f32 = 1.0;
/// Noise in every dimension.
const NOISE: f32 = 0.3;

/// A source of vectors that is the same for the same seed.
pub struct Clusters {
    random: Random,
    middles: Vec<Vec<f32>>,
    /// One row of `dim` numbers for each latent dimension.
    view: Vec<Vec<f32>>,
}

impl Clusters {
    /// `clusters` middles for vectors of `dim` numbers.
    pub fn new(seed: u64, dim: usize, clusters: usize) -> Self {
        let mut random = Random(seed);
        let middles = (0..clusters).map(|_| random.vector(LATENT_DIM)).collect();
        let view = (0..LATENT_DIM).map(|_| random.vector(dim)).collect();
        Self { random, middles, view }
    }

    /// The next vector, of unit length.
    pub fn vector(&mut self) -> Vec<f32> {
        let cluster = (self.random.next() % self.middles.len() as u64) as usize;
        let mut vector = self.random.vector(self.view[0].len());
        vector.iter_mut().for_each(|x| *x *= NOISE * (LATENT_DIM as f32).sqrt());
        for (middle, row) in self.middles[cluster].iter().zip(&self.view) {
            let latent = middle + SPREAD * self.random.normal();
            vector.iter_mut().zip(row).for_each(|(x, r)| *x += latent * r);
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        vector
    }

    /// The next `n` vectors.
    pub fn vectors(&mut self, n: usize) -> Vec<Vec<f32>> {
        (0..n).map(|_| self.vector()).collect()
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Nearly normal, of variance one: the sum of three uniform numbers of variance one third.
    fn normal(&mut self) -> f32 {
        (0..3).map(|_| (self.next() >> 40) as f32 / (1u32 << 23) as f32 - 1.0).sum()
    }

    fn vector(&mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| self.normal()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_the_same_for_the_same_seed_and_have_unit_length() {
        let (mut one, mut other) = (Clusters::new(7, 16, 4), Clusters::new(7, 16, 4));
        for _ in 0..10 {
            let vector = one.vector();
            assert_eq!(vector, other.vector());
            assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn members_of_a_cluster_are_nearer_than_strangers() {
        let mut source = Clusters::new(3, 64, 2);
        let vectors = source.vectors(40);
        let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let mut cosines: Vec<f32> =
            vectors[1..].iter().map(|vector| cosine(&vectors[0], vector)).collect();
        cosines.sort_by(f32::total_cmp);
        assert!(cosines[38] - cosines[0] > 0.4, "{cosines:?}");
    }
}
