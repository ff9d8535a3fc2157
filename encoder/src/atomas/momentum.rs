//! The slow copy of the encoder and its queues of past vectors (MoCo, arXiv 1911.05722; ALBEF, arXiv 2107.07651).

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

use super::{alignment::Modality, config::AtomasConfig, network::GlobalEncoder};
use crate::{
    error::{EncoderError, Result},
    layers::unit_rows,
    params::{Init, ParamSpec, Params},
};

/// Name of the place [1] in the queues that is written next.
pub(super) const QUEUE_POINTER: &str = "queue_ptr";

/// What the slow copy and the queues need to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MomentumShape {
    /// Share of the copy that stays in a step.
    pub(crate) momentum: f64,
    /// Vectors in each queue.
    pub(crate) queue: usize,
}

/// The copy that follows the trained encoder, and the vectors that it made in earlier steps.
pub(crate) struct Momentum {
    config: AtomasConfig,
    shape: MomentumShape,
    /// The copy's weights.
    params: Params,
    pub(super) encoder: GlobalEncoder,
    queues: Queues,
}

impl Momentum {
    /// A copy of `params` as they are, and queues of seeded random vectors.
    pub(crate) fn begin(
        params: &Params,
        config: &AtomasConfig,
        shape: MomentumShape,
        seed: u64,
    ) -> Result<Self> {
        let mut copy = Params::default();
        for (online, slow) in names(config) {
            copy.insert(&slow, params.get(&online)?.detach().copy()?);
        }
        let encoder = GlobalEncoder::load(&copy, config, "_m")?;
        let queues = Queues::begin(shape.queue, config.t5.d_model, seed)?.on(params.device())?;
        Ok(Self { config: config.clone(), shape, params: copy, encoder, queues })
    }

    /// Moves the copy towards the trained weights.
    pub(crate) fn follow(&mut self, params: &Params) -> Result<()> {
        let (stays, comes) = (self.shape.momentum, 1.0 - self.shape.momentum);
        for (online, slow) in names(&self.config) {
            let moved = self.params.get(&slow)?.affine(stays, 0.0)?;
            let moved = (moved + params.get(&online)?.detach().affine(comes, 0.0)?)?;
            self.params.insert(&slow, moved);
        }
        self.encoder = GlobalEncoder::load(&self.params, &self.config, "_m")?;
        Ok(())
    }

    /// What a text or a molecule is compared with: the batch's own vectors of that modality ([b, d]), then its queue;
    /// [d, b + queue].
    pub(super) fn keys(&self, modality: Modality, batch: &Tensor) -> Result<Tensor> {
        Ok(Tensor::cat(&[&batch.t()?, &self.queues.columns[modality as usize]], 1)?)
    }

    /// Puts a batch's vectors, texts' and molecules', in the place of the oldest.
    pub(super) fn enqueue(&mut self, vectors: &[Tensor; 2]) -> Result<()> {
        self.queues.push(vectors)
    }

    /// Names and shapes of [`Self::tensors`] but for the [`QUEUE_POINTER`], which is an integer.
    pub(super) fn specs(config: &AtomasConfig, queue: usize) -> Vec<ParamSpec> {
        let mut specs = GlobalEncoder::specs(config, "_m");
        let shape = [config.t5.d_model, queue];
        specs.extend(Queues::names().map(|name| ParamSpec::new(name, &shape, Init::Zeros)));
        specs
    }

    /// Everything that a later run needs to go on, under the released names.
    pub(crate) fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors = self.queues.tensors()?;
        for (_, slow) in names(&self.config) {
            tensors.insert(slow.clone(), self.params.get(&slow)?);
        }
        Ok(tensors)
    }

    /// Takes [`Self::tensors`] of an earlier run.
    pub(crate) fn restore(&mut self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        for spec in GlobalEncoder::specs(&self.config, "_m") {
            let tensor = checked(tensors, &spec)?.to_device(self.queues.device())?;
            self.params.insert(&spec.name, tensor);
        }
        self.encoder = GlobalEncoder::load(&self.params, &self.config, "_m")?;
        let width = self.config.t5.d_model;
        let queues = Queues::restore(tensors, self.shape.queue, width)?;
        self.queues = queues.on(self.queues.device())?;
        Ok(())
    }
}

/// Names of the trained weights that have a slow copy, with that copy's.
fn names(config: &AtomasConfig) -> impl Iterator<Item = (String, String)> {
    let specs = |copy| GlobalEncoder::specs(config, copy).into_iter().map(|spec| spec.name);
    specs("").zip(specs("_m"))
}

/// The tensor of a specification, if it is there in its shape.
fn checked(tensors: &HashMap<String, Tensor>, spec: &ParamSpec) -> Result<Tensor> {
    match tensors.get(&spec.name) {
        Some(tensor) if tensor.dims() == spec.shape => Ok(tensor.clone()),
        Some(tensor) => Err(EncoderError::Config(format!(
            "`{}` has shape {:?}, expected {:?}",
            spec.name,
            tensor.dims(),
            spec.shape
        ))),
        None => Err(EncoderError::Config(format!("the state has no `{}`", spec.name))),
    }
}

/// Vectors of earlier batches, texts' and molecules', as columns [d, queue]; `next` is the oldest.
struct Queues {
    columns: [Tensor; 2],
    next: usize,
}

impl Queues {
    fn names() -> [String; 2] {
        Modality::BOTH.map(|modality| format!("{}_queue", modality.name()))
    }

    fn begin(length: usize, width: usize, seed: u64) -> Result<Self> {
        let specs =
            Self::names().map(|name| ParamSpec::new(name, &[length, width], Init::Normal(1.0)));
        let params = Params::initialise(&specs, seed)?;
        let column = |i: usize| -> Result<Tensor> {
            Ok(unit_rows(&params.get(&specs[i].name)?)?.t()?.contiguous()?)
        };
        Ok(Self { columns: [column(0)?, column(1)?], next: 0 })
    }

    fn device(&self) -> &Device {
        self.columns[0].device()
    }

    /// The queues on another device.
    fn on(&self, device: &Device) -> Result<Self> {
        let [text, smiles] = &self.columns;
        Ok(Self { columns: [text.to_device(device)?, smiles.to_device(device)?], next: self.next })
    }

    fn push(&mut self, vectors: &[Tensor; 2]) -> Result<()> {
        let (width, length) = self.columns[0].dims2()?;
        let count = vectors[0].dim(0)?;
        if length % count != 0 {
            return Err(EncoderError::Config(format!(
                "the queue of {length} is not a multiple of the batch of {count}"
            )));
        }
        let place = [0..width, self.next..self.next + count];
        for (columns, vectors) in self.columns.iter_mut().zip(vectors) {
            *columns = columns.slice_assign(&place, &vectors.t()?.contiguous()?)?;
        }
        self.next = (self.next + count) % length;
        Ok(())
    }

    fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors: HashMap<String, Tensor> =
            Self::names().into_iter().zip(self.columns.iter().cloned()).collect();
        tensors.insert(QUEUE_POINTER.into(), Tensor::new(&[self.next as i64], &Device::Cpu)?);
        Ok(tensors)
    }

    fn restore(tensors: &HashMap<String, Tensor>, length: usize, width: usize) -> Result<Self> {
        let column = |name: String| {
            let spec = ParamSpec::new(name, &[width, length], Init::Zeros);
            Ok::<_, EncoderError>(checked(tensors, &spec)?.to_dtype(DType::F32)?)
        };
        let [text, smiles] = Self::names();
        let next = checked(tensors, &ParamSpec::new(QUEUE_POINTER, &[1], Init::Zeros))?;
        let next = next.to_dtype(DType::I64)?.to_vec1::<i64>()?[0];
        let within = usize::try_from(next).ok().filter(|&next| next < length);
        let next = within.ok_or_else(|| {
            EncoderError::Config(format!("{QUEUE_POINTER} is {next}, must be below {length}"))
        })?;
        Ok(Self { columns: [column(text)?, column(smiles)?], next })
    }
}
