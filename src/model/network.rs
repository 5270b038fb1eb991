//! The TorchScript module on its device, and one pass through it.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use ndarray::{ArrayView4, Axis};
use rayon::prelude::*;
use tch::{CModule, Device, IValue, TchError, Tensor};

use super::ModelError;
use super::failure::guarded;

/// Most images of a part of a batch that runs on one thread. For every number of images libtorch chooses and prepares its
/// convolutions anew, so there are only so many, and all of them are met when a model is loaded.
pub(super) const LARGEST_PART: usize = 8;

/// How passes are run. The outputs are the same but for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Execution {
    /// Whether images and the weights of convolutions have their channels innermost in memory. libtorch's convolutions on the
    /// CPU are faster on those, and its own choice for a single small image is the slowest that it has.
    pub channels_last: bool,
    /// How many threads there are for the parts that a batch is cut into, each of which runs on one thread. `None`: the whole
    /// batch runs at once, on as many threads as libtorch likes.
    ///
    /// libtorch's threads wait for each other after every operation, which costs small networks a good part of their time,
    /// and far more when other programs use the cores: each wait then lasts until the last thread had its turn.
    pub side_by_side: Option<NonZeroUsize>,
}

/// A TorchScript module on its device.
#[derive(Debug)]
pub(super) struct Network {
    module: CModule,
    device: Device,
    execution: Execution,
}

/// What `forward` returned for one part of a batch.
pub(super) struct Outputs {
    /// Number of images.
    pub images: usize,
    /// The tensors of the tuple.
    pub tensors: Vec<Tensor>,
}

impl Network {
    /// Loads the bytes of a TorchScript file onto a device, in evaluation mode.
    pub fn load(mut bytes: &[u8], device: Device) -> Result<Self, TchError> {
        usual_threads();
        let mut module = CModule::load_data_on_device(&mut bytes, device)?;
        module.f_set_eval()?;
        Ok(Self { module, device, execution: Execution::default() })
    }

    /// Where it runs.
    pub fn device(&self) -> Device {
        self.device
    }

    /// All parameters by name.
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>, TchError> {
        self.module.named_parameters()
    }

    /// How it is run.
    pub fn execution(&self) -> Execution {
        self.execution
    }

    /// Changes how it is run.
    pub fn set_execution(&mut self, execution: Execution) -> Result<(), TchError> {
        if execution.channels_last != self.execution.channels_last {
            self.lay_out_weights(execution.channels_last)?;
        }
        self.execution = execution;
        Ok(())
    }

    /// Runs `N×C×H×W` images through the network, one output for every part of the batch.
    pub fn forward(&self, images: ArrayView4<'_, f32>) -> Result<Vec<Outputs>, ModelError> {
        let Some(threads) = self.execution.side_by_side else { return Ok(vec![self.pass(images)?]) };
        let size = images.len_of(Axis(0)).div_ceil(threads.get()).clamp(1, LARGEST_PART);
        match images.len_of(Axis(0)) {
            count if count <= size => Ok(vec![self.pass_on_one_thread(images)?]),
            _ => {
                let parts = images.axis_chunks_iter(Axis(0), size).into_par_iter();
                parts.map(|part| self.pass_on_one_thread(part)).collect()
            }
        }
    }

    fn pass_on_one_thread(&self, images: ArrayView4<'_, f32>) -> Result<Outputs, ModelError> {
        guarded(|| {
            let _one_thread = OneThread::enter();
            self.pass(images)
        })
    }

    fn pass(&self, images: ArrayView4<'_, f32>) -> Result<Outputs, ModelError> {
        let input = if self.execution.channels_last { channels_last(images)? } else { dense(images)? };
        let input = input.f_to_device(self.device)?;
        // The optimising executor recompiles for every new batch size, which costs seconds in the middle of a drive.
        // The switch holds for the calling thread only, so it is set here rather than once.
        tch::jit::f_set_graph_executor_optimize(false)?;
        let _no_grad = tch::no_grad_guard();
        let output = self.module.forward_is(&[IValue::Tensor(input)])?;
        Ok(Outputs { images: images.len_of(Axis(0)), tensors: tensors(output)? })
    }

    /// Gives all that may be the weights of convolutions another order in memory.
    fn lay_out_weights(&mut self, channels_last: bool) -> Result<(), TchError> {
        let _no_grad = tch::no_grad_guard();
        let weights = self.module.named_parameters()?.into_iter().filter(|(_, weight)| weight.dim() == 4);
        for (_, mut weight) in weights {
            let values = weight.f_detach()?;
            weight.f_set_data(&match channels_last {
                true => values.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?,
                false => values.f_contiguous()?,
            })?;
        }
        Ok(())
    }
}

/// While it lives, libtorch uses one thread for what the calling thread asks of it. Afterwards it uses `usual` ones.
struct OneThread {
    usual: i32,
}

impl OneThread {
    fn enter() -> Self {
        let usual = usual_threads();
        tch::set_num_threads(1);
        Self { usual }
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        tch::set_num_threads(self.usual);
    }
}

/// How many threads libtorch takes when nobody says otherwise. Asked once, before any pass on one thread: what one thread sets
/// becomes what new threads begin with.
pub(super) fn usual_threads() -> i32 {
    static THREADS: OnceLock<i32> = OnceLock::new();
    *THREADS.get_or_init(tch::get_num_threads)
}

/// The same values with the channels innermost in memory; images that are so already are only copied.
fn channels_last(images: ArrayView4<'_, f32>) -> Result<Tensor, ModelError> {
    Ok(dense(images.permuted_axes([0, 2, 3, 1]))?.f_permute([0, 3, 1, 2])?)
}

fn dense(values: ArrayView4<'_, f32>) -> Result<Tensor, ModelError> {
    let (a, b, c, d) = values.dim();
    let shape = [a, b, c, d].map(|length| length as i64);
    let values = values.as_standard_layout();
    let slice = values.as_slice().ok_or_else(|| ModelError::Forward("images are not contiguous".into()))?;
    Ok(Tensor::f_from_slice(slice)?.f_view(shape)?)
}

fn tensors(output: IValue) -> Result<Vec<Tensor>, ModelError> {
    let IValue::Tuple(values) = output else {
        return Err(ModelError::Output("forward returns no tuple (logits, layer_1, …)".into()));
    };
    let tensor = |value| match value {
        IValue::Tensor(tensor) => Ok(tensor),
        other => Err(ModelError::Output(format!("forward returns {other:?} among the tensors"))),
    };
    values.into_iter().map(tensor).collect()
}
