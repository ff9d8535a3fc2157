//! A table of hashed features: each has a vector, and a fixed weight that falls with its frequency.

use std::sync::Arc;

use candle_core::Tensor;

use super::FeatureCounts;
use crate::{
    config::FeatureConfig,
    error::Result,
    ops::{self, WeightedBags},
    params::{Init, ParamSpec, Params},
};

/// Deviation of the numbers that a table begins with. It matters that neither side begins at zero: from random directions each
/// learns at once where the other's features lie.
const FIRST_DEVIATION: f32 = 0.1;
/// A feature seen in fewer training examples than this is left out: what it would learn is one pair.
const LEAST_EXAMPLES: u32 = 2;

/// Vectors of features, and their weights.
#[derive(Clone, Debug)]
pub(crate) struct FeatureTable {
    /// [rows, width].
    vectors: Tensor,
    /// Inverse document frequency of each row; zero where the training data hardly had it.
    idf: Arc<Vec<f32>>,
}

impl FeatureTable {
    /// Vectors called `name`.
    pub(crate) fn spec(name: &str, rows: u32, width: usize) -> ParamSpec {
        ParamSpec::new(name, &[rows as usize, width], Init::Normal(FIRST_DEVIATION))
    }

    /// Weights called `name`, which training sets once from its data.
    pub(crate) fn idf_spec(name: &str, rows: u32) -> ParamSpec {
        ParamSpec::new(name, &[rows as usize], Init::Ones)
    }

    /// The table of these names, if the model has tables.
    pub(crate) fn load(
        params: &Params,
        config: &Option<FeatureConfig>,
        (vectors, idf): (&str, &str),
    ) -> Result<Option<Self>> {
        if config.is_none() {
            return Ok(None);
        }
        let idf = Arc::new(params.get(idf)?.to_vec1()?);
        Ok(Some(Self { vectors: params.get(vectors)?, idf }))
    }

    /// The weighted sums of each bag's vectors: [bags, width]. A feature weighs `(1 + ln count) * idf`, and the weights of a
    /// bag form a unit vector (tf-idf with cosine normalisation).
    pub(crate) fn forward<'a>(
        &self,
        bags: impl Iterator<Item = &'a FeatureCounts>,
    ) -> Result<Tensor> {
        let mut all = WeightedBags::default();
        for bag in bags {
            let weigh = |(&row, count): (&u32, f32)| self.idf[row as usize] * (1.0 + count.ln());
            let weights: Vec<f32> =
                bag.rows.iter().zip(bag.counts.iter().copied()).map(weigh).collect();
            let length = weights.iter().map(|w| w * w).sum::<f32>().sqrt();
            let known = bag.rows.iter().zip(weights).filter(|(_, weight)| *weight > 0.0);
            all.push(known.map(|(&row, weight)| (row, weight / length)));
        }
        Ok(ops::weighted_bag(&self.vectors, Arc::new(all))?)
    }
}

/// `ln((n + 1) / (df + 1))` of each row, over `n` training examples of which `df` have it.
pub(crate) fn inverse_frequencies<'a>(
    examples: impl Iterator<Item = &'a FeatureCounts>,
    rows: u32,
) -> Vec<f32> {
    let mut frequencies = vec![0u32; rows as usize];
    let mut count = 0u32;
    for example in examples {
        count += 1;
        example.rows.iter().for_each(|&row| frequencies[row as usize] += 1);
    }
    let weigh = |&df: &u32| match df {
        0..LEAST_EXAMPLES => 0.0,
        df => (f64::from(count + 1) / f64::from(df + 1)).ln() as f32,
    };
    frequencies.iter().map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bag(rows: &[u32]) -> FeatureCounts {
        FeatureCounts { rows: rows.to_vec(), counts: vec![1.0; rows.len()] }
    }

    #[test]
    fn rare_features_weigh_more_and_single_sightings_nothing() {
        let examples = [bag(&[0, 1]), bag(&[0, 1]), bag(&[0, 2]), bag(&[0])];
        let idf = inverse_frequencies(examples.iter(), 4);
        assert_eq!(idf, [0.0, (5f64 / 3.0).ln() as f32, 0.0, 0.0]);
    }

    #[test]
    fn a_bag_is_the_weighted_sum_of_its_vectors() {
        let vectors =
            Tensor::new(&[[1f32, 0.0], [0.0, 1.0], [9.0, 9.0]], &candle_core::Device::Cpu)
                .expect("vectors");
        let table = FeatureTable { vectors, idf: Arc::new(vec![3.0, 4.0, 0.0]) };
        let sums = table.forward([bag(&[0, 1, 2]), bag(&[2]), bag(&[])].iter()).expect("sums");
        let sums = sums.to_vec2::<f32>().expect("numbers");
        assert_eq!(sums, [[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]]);
    }
}
