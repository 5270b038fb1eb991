use approx::assert_abs_diff_eq;
use ndarray::{Array1, Array4, ArrayView4, Axis, s};
use tempfile::TempDir;

use super::*;
use crate::activation::{LayerActivation, LayerKind};
use crate::model::network::Execution;
use crate::model::torchscript::{Parameter, ScriptModule};
use crate::model::{FORMAT_VERSION, HeadSpec, ManifestLayer};
use crate::pipeline::model_id;

const SIDE: usize = 8;
const CHANNELS: usize = 4;
const CONV: &str =
    "stage = torch.relu(torch.conv2d(images, self.conv_weight, self.conv_bias, [1, 1], [1, 1], [1, 1], 1))";
const EMBEDDING: &str = "embedding = torch.mean(stage, [2, 3])";
const LOGITS: &str = "logits = torch.linear(embedding, self.head_weight, self.head_bias)";
const RETURN: &str = "return (logits, stage, embedding)";

fn parameter(name: &str, shape: &[usize]) -> Parameter {
    let values = (0..shape.iter().product()).map(|index: usize| ((index * 7 + 3) % 11) as f32 / 8.0 - 0.5);
    Parameter { name: name.into(), shape: shape.into(), values: values.collect() }
}

fn manifest() -> Manifest {
    let layer = |name: &str, kind| ManifestLayer { name: name.into(), kind };
    Manifest {
        format_version: FORMAT_VERSION,
        name: "test".into(),
        classes: vec!["stop".into(), "yield".into()],
        input: InputSpec { width: SIDE, height: SIDE, region_margin: 0.0 },
        layers: vec![layer("stage", LayerKind::Map), layer("embedding", LayerKind::Vector)],
        penultimate: "embedding".into(),
        head: Some(HeadSpec { weight: "head_weight".into(), bias: "head_bias".into(), dropout: 0.2 }),
        decoy_class: None,
        provenance: String::new(),
        license: String::new(),
    }
}

/// A model folder with a network of these statements.
fn folder_with(forward: &[&str], outputs: usize, manifest: &Manifest) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let parameters = vec![
        parameter("conv_weight", &[CHANNELS, 3, 3, 3]),
        parameter("conv_bias", &[CHANNELS]),
        parameter("head_weight", &[2, CHANNELS]),
        parameter("head_bias", &[2]),
        parameter("wide_weight", &[2, CHANNELS + 1]),
    ];
    let forward = forward.iter().map(|&line| line.to_owned()).collect();
    let module = ScriptModule { class_name: "Test".into(), parameters, forward, outputs };
    module.save(&folder.path().join("model.pt")).unwrap();
    std::fs::write(folder.path().join("model.json"), serde_json::to_vec(manifest).unwrap()).unwrap();
    folder
}

fn load(forward: &[&str]) -> Result<Classifier, ModelError> {
    Classifier::load(folder_with(forward, 3, &manifest()).path(), &DeviceChoice::Cpu)
}

fn refused(forward: &[&str]) -> String {
    load(forward).unwrap_err().to_string()
}

fn images(count: usize) -> Array4<f32> {
    Array4::from_shape_fn((count, 3, SIDE, SIDE), |(image, channel, y, x)| {
        ((image * 5 + channel * 3 + y * 7 + x * 11) % 13) as f32 / 12.0
    })
}

fn assert_close(found: &Array1<f32>, expected: &Array1<f32>) {
    found.iter().zip(expected).for_each(|(found, expected)| assert_abs_diff_eq!(found, expected, epsilon = 1e-5));
}

fn largest_difference(found: &Activations, expected: &Activations) -> f32 {
    let largest = |a: &mut dyn Iterator<Item = (&f32, &f32)>| a.fold(0.0f32, |l, (a, b)| l.max((a - b).abs()));
    let layers = found.layers.iter().zip(&expected.layers).map(|(found, expected)| match (found, expected) {
        (LayerActivation::Vector(found), LayerActivation::Vector(expected)) => largest(&mut found.iter().zip(expected)),
        (LayerActivation::Map(found), LayerActivation::Map(expected)) => largest(&mut found.iter().zip(expected)),
        _ => f32::INFINITY,
    });
    layers.fold(largest(&mut found.logits.iter().zip(&expected.logits)), f32::max)
}

#[test]
fn the_fast_way_gives_what_the_plain_way_gives() {
    let folder = folder_with(&[CONV, EMBEDDING, LOGITS, RETURN], 3, &manifest());
    let plain = Classifier::load_plain(folder.path(), &DeviceChoice::Cpu).unwrap();
    let fast = Classifier::load(folder.path(), &DeviceChoice::Cpu).unwrap();
    assert_eq!(plain.network.execution(), Execution::default());
    assert!(fast.network.execution().channels_last && fast.network.execution().side_by_side.is_some());
    assert_eq!((fast.layout(), fast.head()), (plain.layout(), plain.head()));
    assert_eq!(model_id(&fast), model_id(&plain));
    for count in [1, 2, 3, 5, 64] {
        let images = images(count);
        let expected = plain.forward(images.view()).unwrap();
        assert_eq!(expected.len(), count);
        let found = fast.forward(images.view()).unwrap();
        assert!(largest_difference(&found, &expected) < 1e-5, "{count} images");
        for row in [0, count - 1] {
            let alone = fast.forward(images.slice(s![row..=row, .., .., ..])).unwrap();
            let (alone, among) = (alone.features(0), found.features(row));
            assert_close(&alone.logits, &among.logits);
            assert_close(&alone.layers[0].mean, &among.layers[0].mean);
        }
    }
    assert!(fast.forward(images(0).view()).is_err() || fast.forward(images(0).view()).unwrap().is_empty());
}

#[test]
fn images_may_lie_in_memory_in_any_order() {
    let classifier = load(&[CONV, EMBEDDING, LOGITS, RETURN]).unwrap();
    let images = images(2);
    let expected = classifier.forward(images.view()).unwrap();
    let pixels = images.view().permuted_axes([0, 2, 3, 1]).as_standard_layout().into_owned();
    let with_alpha = ndarray::concatenate![Axis(1), images, images];
    let orders: [ArrayView4<'_, f32>; 3] = [
        pixels.view().permuted_axes([0, 3, 1, 2]),
        with_alpha.slice(s![.., ..3, .., ..]),
        images.slice(s![..;-1, .., .., ..]),
    ];
    for (order, images) in orders.into_iter().enumerate() {
        let found = classifier.forward(images).unwrap();
        let reversed = order == 2;
        for row in 0..2 {
            let (found, expected) = (found.features(row), expected.features(if reversed { 1 - row } else { row }));
            assert_eq!(found, expected, "order {order}");
        }
    }
}

#[test]
fn a_network_that_throws_says_why_and_can_be_used_further() {
    let bright =
        ["if bool(torch.gt(torch.max(images), 1.5)):", "  ops.prim.RaiseException(\"the image is too bright\")"];
    let classifier = load(&[&bright[..], &[CONV, EMBEDDING, LOGITS, RETURN]].concat()).unwrap();
    let before = classifier.forward(images(3).view()).unwrap();
    for count in [1, 3] {
        let error = classifier.forward((images(count) * 2.0).view()).unwrap_err().to_string();
        assert!(error.ends_with("the image is too bright"), "{error}");
        assert!(!error.contains("interpreter") && !error.contains('\n'), "{error}");
    }
    assert_eq!(classifier.forward(images(3).view()).unwrap(), before);
}

#[test]
fn a_network_of_another_dtype_is_told_by_libtorchs_own_words() {
    let double = LOGITS.replace("self.head_weight", "torch.to(self.head_weight, 7)");
    let error = refused(&[CONV, EMBEDDING, &double, RETURN]);
    assert!(error.contains("dtype") && error.contains("ouble"), "{error}");
    let half = CONV.replace("self.conv_weight", "torch.to(self.conv_weight, 5)");
    let error = refused(&[&half, EMBEDDING, LOGITS, RETURN]);
    assert_eq!(error, "the model cannot run: expected scalar type Float but found Half");
}

#[test]
fn outputs_of_another_dtype_are_taken() {
    let expected = load(&[CONV, EMBEDDING, LOGITS, RETURN]).unwrap().forward(images(2).view()).unwrap();
    let to_double = "return (torch.to(logits, 7), torch.to(stage, 5), embedding)";
    let found = load(&[CONV, EMBEDDING, LOGITS, to_double]).unwrap().forward(images(2).view()).unwrap();
    assert!(largest_difference(&found, &expected) < 2e-3);
    assert_eq!(found.logits, expected.logits);
}

#[test]
fn shapes_that_do_not_fit_are_told() {
    let wide = LOGITS.replace("head_weight", "wide_weight");
    let error = refused(&[CONV, EMBEDDING, &wide, RETURN]);
    assert!(error.contains("mat1 and mat2 shapes cannot be multiplied (1x4 and 5x2)"), "{error}");
    let error = refused(&[CONV, EMBEDDING, LOGITS, "return (logits, embedding, embedding)"]);
    assert!(error.contains("stage has shape [1, 4], expected 4 dimensions, the first 1"), "{error}");
    let error = refused(&[CONV, EMBEDDING, LOGITS, "return (torch.slice(logits, 0, 1), stage, embedding)"]);
    assert!(error.contains("logits has shape [0, 2], expected 2 dimensions, the first 1"), "{error}");
    let error = refused(&[CONV, EMBEDDING, LOGITS, "return (torch.cat([logits, logits], 1), stage, embedding)"]);
    assert!(error.contains("4 logits, but 2 class names"), "{error}");
}

#[test]
fn what_is_no_tuple_of_the_right_length_is_told() {
    let lone = folder_with(&[CONV, EMBEDDING, LOGITS, "return logits"], 0, &manifest());
    let error = Classifier::load(lone.path(), &DeviceChoice::Cpu).unwrap_err().to_string();
    assert!(error.contains("forward returns no tuple"), "{error}");
    let short = folder_with(&[CONV, EMBEDDING, LOGITS, "return (logits, stage)"], 2, &manifest());
    let error = Classifier::load(short.path(), &DeviceChoice::Cpu).unwrap_err().to_string();
    assert!(error.contains("forward returns 2 tensors, not 3"), "{error}");
}

#[test]
fn a_network_that_returns_no_numbers_is_loaded_and_its_features_are_known_to_be_useless() {
    let not_a_number = "embedding = torch.log(torch.neg(torch.add(torch.mean(stage, [2, 3]), 1)))";
    let classifier = load(&[CONV, not_a_number, LOGITS, RETURN]).unwrap();
    let features = classifier.forward(images(2).view()).unwrap().features(1);
    assert!(features.logits.iter().all(|logit| logit.is_nan()) && !features.is_finite());
    assert!(classifier.network.execution().channels_last, "NaN is equal to NaN");
}

#[test]
fn a_network_that_looks_at_memory_keeps_the_usual_order() {
    // `view` refuses what lies in memory in another order.
    let pooled = "flat = torch.mul(torch.mean(torch.view(images, [-1, 192]), [1], True), 0.)";
    let classifier = load(&[
        CONV,
        EMBEDDING,
        pooled,
        "logits = torch.add(torch.linear(embedding, self.head_weight, self.head_bias), flat)",
        RETURN,
    ])
    .unwrap();
    assert!(!classifier.network.execution().channels_last && classifier.network.execution().side_by_side.is_some());
    let expected = load(&[CONV, EMBEDDING, LOGITS, RETURN]).unwrap().forward(images(5).view()).unwrap();
    assert!(largest_difference(&classifier.forward(images(5).view()).unwrap(), &expected) < 1e-5);
}

#[test]
fn a_network_whose_images_influence_each_other_gets_whole_batches() {
    let centred = "embedding = torch.sub(torch.mean(stage, [2, 3]), torch.mean(stage, [0, 2, 3]))";
    let classifier = load(&[CONV, centred, LOGITS, RETURN]).unwrap();
    assert_eq!(classifier.network.execution(), Execution::default());
    assert_eq!(classifier.forward(images(4).view()).unwrap().len(), 4);
}

#[test]
fn a_network_for_one_image_is_run_with_one() {
    let classifier = load(&[CONV, "embedding = torch.mean(torch.reshape(stage, [1, 4, 64]), [2])", LOGITS, RETURN]);
    let classifier = classifier.unwrap();
    assert_eq!(classifier.network.execution(), Execution::default());
    classifier.forward(images(1).view()).unwrap();
    let error = classifier.forward(images(2).view()).unwrap_err().to_string();
    assert!(error.contains("shape '[1, 4, 64]' is invalid for input of size 512"), "{error}");
}

#[test]
fn what_is_no_torchscript_file_is_told() {
    let folder = folder_with(&[CONV, EMBEDDING, LOGITS, RETURN], 3, &manifest());
    std::fs::write(folder.path().join("model.pt"), "none").unwrap();
    let error = Classifier::load(folder.path(), &DeviceChoice::Cpu).unwrap_err().to_string();
    assert!(error.contains("model.pt is not a TorchScript file that libtorch can load: "), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
