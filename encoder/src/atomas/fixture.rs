//! Tensors of the released code on random weights, for the tests of this room.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};

/// One file of tensors by name.
pub(crate) struct Fixture(HashMap<String, Tensor>);

impl Fixture {
    pub(crate) fn load(name: &str) -> Self {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let file = data.join(format!("{name}.safetensors"));
        Self(candle_core::safetensors::load(file, &Device::Cpu).expect("a fixture"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn tensor(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("the fixture has `{name}`"))
    }

    /// Tensors whose name begins with `prefix`, without it.
    pub(crate) fn below(&self, prefix: &str) -> HashMap<String, Tensor> {
        let strip = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
        };
        self.0.iter().filter_map(strip).collect()
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        flat(self.tensor(name))
    }

    pub(crate) fn indices(&self, name: &str) -> Vec<usize> {
        let flat = self.tensor(name).flatten_all().expect("flat");
        flat.to_vec1::<i64>().expect("integers").into_iter().map(|i| i as usize).collect()
    }

    /// Asserts that `found` is the tensor of this name, number by number.
    pub(crate) fn assert_close(&self, name: &str, found: &Tensor, tolerance: f32) {
        let wanted = self.tensor(name);
        assert_eq!(wanted.elem_count(), found.elem_count(), "`{name}`");
        let gap = largest_gap(&flat(found), &flat(wanted));
        assert!(gap <= tolerance, "`{name}` differs by {gap}");
    }
}

/// The numbers of a tensor, row after row.
pub(crate) fn flat(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.detach().flatten_all().and_then(|t| t.to_dtype(DType::F32)).expect("flat");
    flat.to_vec1().expect("floats")
}

/// Largest difference between two lists of numbers; equal infinities do not differ.
pub(crate) fn largest_gap(a: &[f32], b: &[f32]) -> f32 {
    let gap = |(a, b): (&f32, &f32)| if a == b { 0.0 } else { (a - b).abs() };
    let gaps = a.iter().zip(b).map(gap);
    gaps.fold(0.0, |most, gap| if gap.is_nan() { f32::INFINITY } else { most.max(gap) })
}
