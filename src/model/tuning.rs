//! How a network is run on the CPU: in the fastest way that gives its outputs, which is found out when it is loaded.

use std::num::NonZeroUsize;
use std::time::Duration;

use ndarray::{ArrayView4, ArrayViewD, s};
use nix::time::{ClockId, clock_gettime};
use tch::Device;

use super::network::{Execution, Network, usual_threads};
use super::outputs::activations;
use super::{Manifest, ModelError};
use crate::activation::{Activations, LayerActivation};

/// Largest difference between the outputs of two ways to run a network that rounding explains, relative to the largest of
/// the outputs.
const TOLERANCE: f32 = 1e-5;

/// What takes one thread less than this is not shared among several: their waiting for each other costs about as much as the
/// sharing gains.
const SMALL: Duration = Duration::from_millis(5);

const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// Passes of which the fastest counts.
const TIMED_PASSES: usize = 5;

/// Chooses how to run a network, given two images. Every way is tried on one and on both of them, and taken only if its
/// outputs are those of the plain way, [`Execution::default`].
pub(super) fn tune<'a>(
    network: &mut Network,
    manifest: &'a Manifest,
    pair: ArrayView4<'a, f32>,
) -> Result<(), ModelError> {
    if network.device() != Device::Cpu {
        return Ok(());
    }
    let trial = match Trial::new(network, manifest, pair) {
        Ok(trial) => trial,
        Err(error) => {
            tracing::info!("the network is run as libtorch likes, since it does not take two images at once: {error}");
            return Ok(());
        }
    };
    for channels_last in [true, false] {
        match trial.adopt(network, channels_last) {
            Ok(()) => return Ok(()),
            Err(error) => {
                tracing::info!("a faster way to run the network (channels last: {channels_last}) fails: {error}");
            }
        }
    }
    tracing::info!("the network is run as libtorch likes");
    Ok(network.set_execution(Execution::default())?)
}

/// Images with the outputs that they have to give.
struct Trial<'a> {
    manifest: &'a Manifest,
    single: ArrayView4<'a, f32>,
    expected: [(ArrayView4<'a, f32>, Activations); 2],
}

impl<'a> Trial<'a> {
    fn new(network: &Network, manifest: &'a Manifest, pair: ArrayView4<'a, f32>) -> Result<Self, ModelError> {
        let single = pair.slice_move(s![..1, .., .., ..]);
        let run = |images| activations(&network.forward(images)?, manifest);
        Ok(Self { manifest, single, expected: [(single, run(single)?), (pair, run(pair)?)] })
    }

    /// Runs the network with this layout of memory, and on as many threads as are good for it.
    fn adopt(&self, network: &mut Network, channels_last: bool) -> Result<(), ModelError> {
        let on_one_thread = Execution { channels_last, side_by_side: Some(NonZeroUsize::MIN) };
        network.set_execution(on_one_thread)?;
        let small = self.fastest_pass(network)? < SMALL;
        let threads = NonZeroUsize::new(usual_threads().max(1) as usize).filter(|_| small);
        // Tried with the images apart even where there is one thread: larger batches are cut into parts there, too.
        let apart = threads.map(|threads| threads.max(TWO));
        network.set_execution(Execution { side_by_side: apart, ..on_one_thread })?;
        self.expected.iter().try_for_each(|(images, expected)| {
            compare(&activations(&network.forward(*images)?, self.manifest)?, expected, self.manifest)
        })?;
        Ok(network.set_execution(Execution { side_by_side: threads, ..on_one_thread })?)
    }

    /// What a pass takes of the calling thread's time: unlike the time of day, it does not depend on what else the machine
    /// does while the model is loaded.
    fn fastest_pass(&self, network: &Network) -> Result<Duration, ModelError> {
        let timed = || -> Result<Duration, ModelError> {
            let start = thread_time()?;
            network.forward(self.single)?;
            Ok(thread_time()?.saturating_sub(start))
        };
        (0..TIMED_PASSES).try_fold(Duration::MAX, |fastest, _| Ok(fastest.min(timed()?)))
    }
}

fn thread_time() -> Result<Duration, ModelError> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map(Duration::from).map_err(|error| ModelError::Forward(format!("the clock cannot be read: {error}")))
}

/// An error unless both are the same but for rounding.
fn compare(found: &Activations, expected: &Activations, manifest: &Manifest) -> Result<(), ModelError> {
    let names = ["logits"].into_iter().chain(manifest.layers.iter().map(|layer| layer.name.as_str()));
    let differences = arrays(found).zip(arrays(expected)).map(|(found, expected)| difference(&found, &expected));
    match names.zip(differences).find(|(_, difference)| *difference > TOLERANCE) {
        None => Ok(()),
        Some((name, difference)) => {
            Err(ModelError::Output(format!("`{name}` differs by {difference:.1e} of its largest value")))
        }
    }
}

fn arrays(activations: &Activations) -> impl Iterator<Item = ArrayViewD<'_, f32>> {
    let layers = activations.layers.iter().map(|layer| match layer {
        LayerActivation::Vector(values) => values.view().into_dyn(),
        LayerActivation::Map(values) => values.view().into_dyn(),
    });
    [activations.logits.view().into_dyn()].into_iter().chain(layers)
}

/// The largest difference of two values, as a share of the largest value; infinite where only one is a number.
fn difference(found: &ArrayViewD<'_, f32>, expected: &ArrayViewD<'_, f32>) -> f32 {
    if found.shape() != expected.shape() {
        return f32::INFINITY;
    }
    let scale =
        expected.iter().filter(|value| value.is_finite()).fold(f32::MIN_POSITIVE, |scale, v| scale.max(v.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| match (a - b).abs() {
        _ if a == b || (a.is_nan() && b.is_nan()) => 0.0,
        difference if difference.is_nan() => f32::INFINITY,
        difference => difference / scale,
    });
    differences.fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, arr1};

    use super::*;

    #[test]
    fn differences_by_hand() {
        let array = |values: &[f32]| -> ArrayD<f32> { arr1(values).into_dyn() };
        let found = |a: &[f32], b: &[f32]| difference(&array(a).view(), &array(b).view());
        assert_eq!(found(&[1.0, -3.5], &[1.5, -4.0]), 0.125);
        assert_eq!(found(&[f32::NAN, f32::INFINITY, 2.0], &[f32::NAN, f32::INFINITY, 2.0]), 0.0);
        assert_eq!(found(&[f32::NAN, 1.0], &[0.0, 1.0]), f32::INFINITY);
        assert_eq!(found(&[f32::INFINITY], &[f32::NEG_INFINITY]), f32::INFINITY);
        assert_eq!(found(&[0.0], &[0.0]), 0.0);
        assert_eq!(found(&[0.0, 0.0], &[0.0]), f32::INFINITY);
    }
}
