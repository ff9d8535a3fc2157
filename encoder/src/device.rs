//! Where tensors live and are computed: the CPU or one NVIDIA GPU.

use std::str::FromStr;

use candle_core::Device;

use crate::error::{EncoderError, Result};

/// The device that a training run asks for; written `auto`, `cpu`, `cuda` or `cuda:1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU where this program was built with the feature `cuda` and finds one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this number.
    Cuda(usize),
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// A GPU was asked for by name and the program was built without `cuda`, or there is none of this number.
    pub(crate) fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto => Ok(Device::new_cuda(0).unwrap_or(Device::Cpu)),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(EncoderError::Config(
                "this program was built without the feature `cuda`; build it with scripts/cuda.sh"
                    .into(),
            )),
            Self::Cuda(ordinal) => Device::new_cuda(ordinal).map_err(|e| {
                EncoderError::Config(format!("cannot open the GPU cuda:{ordinal}: {e}"))
            }),
        }
    }
}

/// The device's name as [`DeviceChoice`] reads it.
pub(crate) fn name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        _ => "cpu".into(),
    }
}

impl FromStr for DeviceChoice {
    type Err = EncoderError;

    fn from_str(text: &str) -> Result<Self> {
        match (text, text.strip_prefix("cuda:").map(str::parse)) {
            ("auto", _) => Ok(Self::Auto),
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(0)),
            (_, Some(Ok(ordinal))) => Ok(Self::Cuda(ordinal)),
            _ => Err(EncoderError::Config(format!(
                "device `{text}` is not one of auto, cpu, cuda and cuda:0"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_nonsense_is_refused() {
        let read = |text: &str| text.parse::<DeviceChoice>();
        assert_eq!(read("auto").expect("auto"), DeviceChoice::Auto);
        assert_eq!(read("cpu").expect("cpu"), DeviceChoice::Cpu);
        assert_eq!(read("cuda").expect("cuda"), DeviceChoice::Cuda(0));
        assert_eq!(read("cuda:3").expect("cuda:3"), DeviceChoice::Cuda(3));
        for nonsense in ["", "gpu", "cuda:", "cuda:-1", "CPU "] {
            assert!(read(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn the_cpu_is_named_as_it_is_read() {
        assert_eq!(name(&DeviceChoice::Cpu.open().expect("cpu")), "cpu");
    }
}
