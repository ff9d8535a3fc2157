//! Tensors that Hugging Face transformers 4.34.0 computed on a small model with seeded weights.
//!
//! `data/t5_tiny.safetensors` holds the weights (`model.*`), the inputs (`in.*`) and every result.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};
use moiety_encoder::t5::{T5, T5Config};

/// The small model, its inputs and its results.
pub(crate) struct Golden {
    pub(crate) config: T5Config,
    pub(crate) tensors: HashMap<String, Tensor>,
}

impl Golden {
    pub(crate) fn read() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let json = std::fs::read_to_string(dir.join("t5_tiny.json")).expect("config");
        let config = T5Config::from_json(&json).expect("valid config");
        let tensors = candle_core::safetensors::load(dir.join("t5_tiny.safetensors"), &Device::Cpu)
            .expect("tensors");
        Self { config, tensors }
    }

    pub(crate) fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("no golden tensor `{name}`"))
    }

    pub(crate) fn ids(&self, name: &str) -> Tensor {
        self.get(name).to_dtype(DType::U32).expect("ids")
    }

    pub(crate) fn weights(&self) -> HashMap<String, Tensor> {
        let model = self.tensors.iter();
        model.filter_map(|(k, t)| Some((k.strip_prefix("model.")?.to_owned(), t.clone()))).collect()
    }

    pub(crate) fn model(&self) -> T5 {
        T5::from_tensors(&self.config, &self.weights()).expect("model")
    }

    pub(crate) fn encoded(&self, model: &T5) -> Tensor {
        model.encode(&self.ids("in.input_ids"), self.get("in.attention_mask")).expect("encode")
    }
}

/// Largest absolute difference.
pub(crate) fn gap(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).and_then(|d| d.abs()?.max_all()?.to_scalar::<f32>()).expect("gap")
}

/// All numbers in order.
pub(crate) fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|t| t.to_vec1()).expect("floats")
}
