//! Global vectors of the pairs that earlier steps saw, as further negatives (cross-batch memory, arXiv 1912.06798).
//!
//! A batch alone teaches a vector to stand out among as many as the batch has; a search ranks tens of thousands. The
//! vectors are those that the towers gave when they saw the pair: they carry no gradient and lag behind a little.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};

use crate::error::Result;

/// Number of a pair and its two global vectors.
struct Seen {
    pair: usize,
    text: Vec<f32>,
    molecule: Vec<f32>,
}

/// The last pairs of one kind of text; the oldest gives way.
#[derive(Default)]
struct Ring {
    size: usize,
    seen: Vec<Seen>,
    /// Place that is written next.
    next: usize,
}

/// What earlier steps saw, by kind of text.
pub(super) struct Past(BTreeMap<String, Ring>);

/// The pairs of earlier steps beside one batch.
pub(super) struct PastPairs {
    /// Which pairs they are.
    pub(super) pairs: Vec<usize>,
    /// Unit vectors [pairs, global_dim].
    pub(super) texts: Tensor,
    /// Unit vectors [pairs, global_dim].
    pub(super) molecules: Tensor,
}

impl Past {
    /// Room for so many pairs of each kind; other kinds are not kept.
    pub(super) fn new(sizes: &BTreeMap<String, usize>) -> Self {
        let ring =
            |(kind, &size): (&String, &usize)| (kind.clone(), Ring { size, ..Ring::default() });
        Self(sizes.iter().filter(|(_, size)| **size > 0).map(ring).collect())
    }

    /// The earlier pairs of a kind; none where none are kept or none were seen.
    pub(super) fn pairs(&self, kind: &str, device: &Device) -> Result<Option<PastPairs>> {
        let Some(ring) = self.0.get(kind).filter(|ring| !ring.seen.is_empty()) else {
            return Ok(None);
        };
        let matrix = |side: fn(&Seen) -> &[f32]| -> Result<Tensor> {
            let dim = side(&ring.seen[0]).len();
            let flat = ring.seen.iter().flat_map(side).copied().collect();
            Ok(Tensor::from_vec(flat, (ring.seen.len(), dim), device)?)
        };
        Ok(Some(PastPairs {
            pairs: ring.seen.iter().map(|seen| seen.pair).collect(),
            texts: matrix(|seen| &seen.text)?,
            molecules: matrix(|seen| &seen.molecule)?,
        }))
    }

    /// Takes in the pairs of a batch with their vectors [pairs, global_dim]. An earlier sight of a pair is replaced.
    pub(super) fn push(
        &mut self,
        kind: &str,
        pairs: impl Iterator<Item = usize>,
        texts: &Tensor,
        molecules: &Tensor,
    ) -> Result<()> {
        let Some(ring) = self.0.get_mut(kind) else { return Ok(()) };
        let rows = |vectors: &Tensor| vectors.detach().to_vec2::<f32>();
        let vectors = rows(texts)?.into_iter().zip(rows(molecules)?);
        for (pair, (text, molecule)) in pairs.zip(vectors) {
            ring.push(Seen { pair, text, molecule });
        }
        Ok(())
    }

    /// Everything as tensors, for the state of a run.
    pub(super) fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let device = Device::Cpu;
        let mut tensors = HashMap::new();
        for (kind, ring) in &self.0 {
            let Some(past) = self.pairs(kind, &device)? else { continue };
            let [pairs, texts, molecules, next] = names(kind);
            let numbers: Vec<u32> = past.pairs.iter().map(|&pair| pair as u32).collect();
            tensors.insert(pairs, Tensor::new(numbers, &device)?);
            tensors.insert(texts, past.texts);
            tensors.insert(molecules, past.molecules);
            tensors.insert(next, Tensor::new(ring.next as u32, &device)?);
        }
        Ok(tensors)
    }

    /// Takes back what [`Self::tensors`] gave.
    pub(super) fn restore(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        for (kind, ring) in &mut self.0 {
            let [pairs, texts, molecules, next] = names(kind).map(|name| state.get(&name));
            let (Some(pairs), Some(texts), Some(molecules), Some(next)) =
                (pairs, texts, molecules, next)
            else {
                continue;
            };
            let vectors = texts.to_vec2()?.into_iter().zip(molecules.to_vec2()?);
            let seen = pairs.to_vec1::<u32>()?.into_iter().zip(vectors);
            ring.seen = seen
                .map(|(pair, (text, molecule))| Seen { pair: pair as usize, text, molecule })
                .collect();
            ring.next = next.to_scalar::<u32>()? as usize;
        }
        Ok(())
    }
}

impl Ring {
    fn push(&mut self, seen: Seen) {
        let known = self.seen.iter().position(|earlier| earlier.pair == seen.pair);
        match known {
            Some(at) => self.seen[at] = seen,
            None if self.seen.len() < self.size => self.seen.push(seen),
            None => {
                self.seen[self.next] = seen;
                self.next = (self.next + 1) % self.size;
            }
        }
    }
}

/// Names in the state of a run.
fn names(kind: &str) -> [String; 4] {
    ["pairs", "texts", "molecules", "next"].map(|part| format!("past.{kind}.{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(of: &[f32]) -> Tensor {
        let flat = of.iter().flat_map(|&x| [x, -x]).collect();
        Tensor::from_vec(flat, (of.len(), 2), &Device::Cpu).expect("a matrix")
    }

    fn push(past: &mut Past, pairs: &[usize], at: &[f32]) {
        past.push("caption", pairs.iter().copied(), &vectors(at), &vectors(at)).expect("kept");
    }

    fn kept(past: &Past) -> (Vec<usize>, Vec<Vec<f32>>) {
        let past = past.pairs("caption", &Device::Cpu).expect("tensors").expect("something");
        (past.pairs, past.molecules.to_vec2().expect("rows"))
    }

    #[test]
    fn the_oldest_pair_gives_way_and_a_pair_seen_again_is_there_once() {
        let mut past = Past::new(&BTreeMap::from([("caption".to_owned(), 3)]));
        assert!(past.pairs("caption", &Device::Cpu).expect("tensors").is_none());
        push(&mut past, &[7, 8], &[0.1, 0.2]);
        push(&mut past, &[8, 9], &[0.3, 0.4]);
        assert_eq!(kept(&past).0, [7, 8, 9]);
        assert_eq!(kept(&past).1[1], [0.3, -0.3]);
        push(&mut past, &[1], &[0.5]);
        assert_eq!(kept(&past).0, [1, 8, 9]);
        push(&mut past, &[2], &[0.6]);
        assert_eq!(kept(&past).0, [1, 2, 9]);
        past.push("names", [1].into_iter(), &vectors(&[1.0]), &vectors(&[1.0])).expect("ignored");
        assert!(past.pairs("names", &Device::Cpu).expect("tensors").is_none());
    }

    #[test]
    fn what_goes_into_a_state_comes_back() {
        let sizes = BTreeMap::from([("caption".to_owned(), 2), ("names".to_owned(), 2)]);
        let mut past = Past::new(&sizes);
        push(&mut past, &[4, 5, 6], &[0.1, 0.2, 0.3]);
        let mut again = Past::new(&sizes);
        again.restore(&past.tensors().expect("tensors")).expect("restored");
        assert_eq!(kept(&again), kept(&past));
        push(&mut past, &[7], &[0.4]);
        push(&mut again, &[7], &[0.4]);
        assert_eq!(kept(&again), kept(&past));
    }
}
