//! From the tensors that a network returns to [`Activations`].

use ndarray::{Array, Array2, Array4, Dimension, StrideShape};
use tch::{Device, Kind, TchError, Tensor};

use super::network::Outputs;
use super::{Manifest, ModelError};
use crate::activation::{Activations, LayerActivation, LayerKind};

/// The activations of a batch that went through the network in parts.
pub(super) fn activations(parts: &[Outputs], manifest: &Manifest) -> Result<Activations, ModelError> {
    let expected = 1 + manifest.layers.len();
    if let Some(part) = parts.iter().find(|part| part.tensors.len() != expected) {
        return Err(ModelError::Output(format!("forward returns {} tensors, not {expected}", part.tensors.len())));
    }
    let layers = manifest.layers.iter().enumerate().map(|(index, layer)| match layer.kind {
        LayerKind::Vector => Ok(LayerActivation::Vector(vectors(&layer.name, parts, index + 1)?)),
        LayerKind::Map => Ok(LayerActivation::Map(maps(&layer.name, parts, index + 1)?)),
    });
    Ok(Activations { logits: vectors("logits", parts, 0)?, layers: layers.collect::<Result<_, ModelError>>()? })
}

/// A parameter with `rows` rows.
pub(super) fn matrix(name: &str, tensor: &Tensor, rows: usize) -> Result<Array2<f32>, ModelError> {
    let [_, columns] = lengths(name, tensor, rows)?;
    array(name, (rows, columns), values(tensor)?)
}

/// The values of a tensor of any kind on any device, row by row.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
    let mut values = vec![0.0; tensor.numel()];
    copy(tensor, &mut values)?;
    Ok(values)
}

fn vectors(name: &str, parts: &[Outputs], index: usize) -> Result<Array2<f32>, ModelError> {
    let shape: [usize; 2] = shape(name, parts, index)?;
    array(name, shape, gathered(parts, shape.iter().product(), |part| Ok(part.tensors[index].shallow_clone()))?)
}

/// Maps stay in the order that the network leaves them in memory: turning them around takes longer than copying them.
fn maps(name: &str, parts: &[Outputs], index: usize) -> Result<Array4<f32>, ModelError> {
    let shape: [usize; 4] = shape(name, parts, index)?;
    let ([images, channels, height, width], length) = (shape, shape.iter().product());
    if parts.iter().all(|part| is_channels_last(&part.tensors[index])) {
        let values = gathered(parts, length, |part| part.tensors[index].f_permute([0, 2, 3, 1]))?;
        Ok(array(name, (images, height, width, channels), values)?.permuted_axes([0, 3, 1, 2]))
    } else {
        array(name, shape, gathered(parts, length, |part| Ok(part.tensors[index].shallow_clone()))?)
    }
}

/// The shape of output `index` of the whole batch.
fn shape<const D: usize>(name: &str, parts: &[Outputs], index: usize) -> Result<[usize; D], ModelError> {
    let shapes = parts.iter().map(|part| lengths::<D>(name, &part.tensors[index], part.images));
    let shapes: Vec<[usize; D]> = shapes.collect::<Result<_, _>>()?;
    let mut whole = shapes.first().copied().unwrap_or([0; D]);
    if let Some(other) = shapes.iter().find(|shape| shape[1..] != whole[1..]) {
        return Err(ModelError::Output(format!("{name} has shape {whole:?} for one image, {other:?} for another")));
    }
    whole[0] = shapes.iter().map(|shape| shape[0]).sum();
    Ok(whole)
}

/// The values of all parts, `length` of them.
fn gathered(
    parts: &[Outputs],
    length: usize,
    tensor: impl Fn(&Outputs) -> Result<Tensor, TchError>,
) -> Result<Vec<f32>, ModelError> {
    let mut values = vec![0.0; length];
    let mut rest = values.as_mut_slice();
    for part in parts {
        let tensor = tensor(part)?;
        let (own, others) = rest.split_at_mut(tensor.numel());
        copy(&tensor, own)?;
        rest = others;
    }
    Ok(values)
}

fn copy(tensor: &Tensor, values: &mut [f32]) -> Result<(), ModelError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
    Ok(tensor.f_copy_data(values, values.len())?)
}

/// Whether `N×C×H×W` values have their channels innermost in memory.
fn is_channels_last(tensor: &Tensor) -> bool {
    tensor.stride().get(1) == Some(&1) && tensor.size().get(1).is_some_and(|&channels| channels > 1)
}

fn lengths<const D: usize>(name: &str, tensor: &Tensor, first: usize) -> Result<[usize; D], ModelError> {
    let lengths: Vec<usize> = tensor.size().iter().map(|&length| length as usize).collect();
    let found = <[usize; D]>::try_from(lengths.as_slice()).ok().filter(|shape| shape[0] == first);
    found.ok_or_else(|| {
        ModelError::Output(format!("{name} has shape {lengths:?}, expected {D} dimensions, the first {first}"))
    })
}

fn array<S: Dimension>(
    name: &str,
    shape: impl Into<StrideShape<S>>,
    values: Vec<f32>,
) -> Result<Array<f32, S>, ModelError> {
    Array::from_shape_vec(shape, values).map_err(|error| ModelError::Output(format!("{name}: {error}")))
}
