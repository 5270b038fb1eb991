use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::model_id::tests::model;
use super::*;
use crate::activation::{FeatureBank, FeatureLayout, Features, Head, LayerFeatures, LayerKind, LayerSpec};
use crate::detector::testing::{synthetic_bank, synthetic_image};
use crate::detector::{DetectorKind, FitError};
use crate::storage::StorageError;

const CLASSES: usize = 3;

/// A head that differs from class to class.
fn head() -> Head {
    let weight = |(class, neuron): (usize, usize)| ((class * 7 + neuron * 3) % 5) as f32 - 2.0;
    let weight = ndarray::Array2::from_shape_fn((CLASSES, 10), weight);
    Head { weight, bias: ndarray::Array1::zeros(CLASSES), dropout: 0.2 }
}

fn fit(training: &FeatureBank, calibration: &FeatureBank) -> Result<Monitor, MonitorError> {
    Monitor::fit(training, calibration, Some(&head()), model(), &FitSettings::default())
}

fn fitted() -> Monitor {
    fit(&synthetic_bank(CLASSES, 60, 1), &synthetic_bank(CLASSES, 80, 2)).unwrap()
}

fn saved(monitor: &Monitor) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.monitor");
    monitor.save(&path).unwrap();
    (folder, path)
}

/// A little of everything: images like those of training, shifted ones and extreme ones.
fn probes() -> Vec<Features> {
    let mut random = ChaCha8Rng::seed_from_u64(99);
    let mut probes: Vec<Features> =
        (0..30).map(|index| synthetic_image(index % CLASSES, CLASSES, &mut random)).collect();
    for (index, features) in probes.iter_mut().enumerate().skip(10) {
        let scale = [1.5f32, -3.0, 0.0, 1e6, 3e37][index % 5];
        features.logits *= scale.min(1e3);
        features.layers.iter_mut().for_each(|layer| layer.mean *= scale);
    }
    probes
}

fn judge_all(monitor: &Monitor) -> Vec<Judgement> {
    probes().iter().map(|features| monitor.judge(features).unwrap()).collect()
}

#[test]
fn a_saved_monitor_judges_the_same() {
    let monitor = fitted();
    let (_folder, path) = saved(&monitor);
    let opened = Monitor::open(&path).unwrap();
    assert_eq!(opened.metadata(), monitor.metadata());
    assert_eq!(judge_all(&opened), judge_all(&monitor));
    let loaded = Monitor::load(&path).unwrap();
    assert_eq!((loaded.metadata(), judge_all(&loaded)), (monitor.metadata(), judge_all(&monitor)));
    assert!(matches!(MonitorFile::load(&path), Ok(MonitorFile::Monitor(_))));
    Monitor::verify(&path).unwrap();
    let again = path.with_extension("again");
    opened.save(&again).unwrap();
    assert_eq!(fs::read(path).unwrap(), fs::read(again).unwrap());
}

#[test]
fn a_monitor_has_the_id_of_its_file_before_it_is_saved_and_after() {
    let monitor = fitted();
    let before = monitor.sha256().to_owned();
    assert_eq!((before.len(), monitor.id()), (64, &before[..12]));
    let (_folder, path) = saved(&monitor);
    for read in [Monitor::open(&path).unwrap(), Monitor::load(&path).unwrap()] {
        assert_eq!(read.sha256(), before);
    }
    let other = fit(&synthetic_bank(CLASSES, 60, 1), &synthetic_bank(CLASSES, 80, 3)).unwrap();
    assert_ne!(other.id(), monitor.id());
}

/// With a mapped file this would be SIGBUS, or other verdicts.
#[test]
fn a_loaded_monitor_does_not_care_what_happens_to_its_file() {
    let (_folder, path) = saved(&fitted());
    let loaded = Monitor::load(&path).unwrap();
    let before = judge_all(&loaded);
    let length = fs::metadata(&path).unwrap().len();
    fs::write(&path, vec![0xff; length as usize]).unwrap();
    assert_eq!(judge_all(&loaded), before, "overwritten in place");
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert_eq!(judge_all(&loaded), before, "truncated in place");
    let text = |explanations: Vec<DetectorExplanation>| format!("{explanations:?}");
    let explained = |monitor: &Monitor| {
        let judged = probes().into_iter().zip(judge_all(monitor));
        judged.map(|(features, judgement)| text(monitor.explain(&features, &judgement))).collect::<Vec<_>>()
    };
    assert_eq!(explained(&loaded), explained(&fitted()));
}

#[test]
fn an_open_monitor_outlives_a_new_file_in_its_place() {
    let (_folder, path) = saved(&fitted());
    let opened = Monitor::open(&path).unwrap();
    let before = judge_all(&opened);
    fit(&synthetic_bank(CLASSES, 20, 5), &synthetic_bank(CLASSES, 20, 6)).unwrap().save(&path).unwrap();
    assert_eq!(judge_all(&opened), before);
    assert_ne!(judge_all(&Monitor::open(&path).unwrap()), before);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn judgements_are_finite_and_in_range() {
    for judgement in judge_all(&fitted()) {
        assert_eq!(judgement.detectors.len(), DetectorKind::ALL.len());
        for result in judgement.results() {
            assert!(result.score.is_finite() && result.p_value > 0.0 && result.p_value <= 1.0, "{result:?}");
        }
        assert!(judgement.hamming_distance == Some(0) || judgement.detectors[0].score > 0.0);
    }
}

#[test]
fn known_images_pass_and_unknown_ones_do_not() {
    let monitor = fit(&synthetic_bank(CLASSES, 300, 1), &synthetic_bank(CLASSES, 300, 2)).unwrap();
    let levels = Levels::default();
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut alarms = [0; 2];
    for index in 0..600 {
        let mut features = synthetic_image(index % CLASSES, CLASSES, &mut random);
        for alarm in &mut alarms {
            let p_value = monitor.judge(&features).unwrap().fused.p_value;
            *alarm += u32::from(levels.verdict(p_value) == Verdict::OutOfDistribution);
            features.layers.iter_mut().for_each(|layer| layer.mean.invert_axis(ndarray::Axis(0)));
        }
    }
    // 1 % of 600 is 6; 18 is five standard deviations more.
    assert!(alarms[0] <= 18, "{} false alarms among 600 images", alarms[0]);
    assert!(alarms[1] >= 590, "{} alarms among 600 unknown images", alarms[1]);
}

#[test]
fn the_most_suspicious_detectors_explain_themselves() {
    let fit = |detectors: &[DetectorKind]| {
        let (training, calibration) = (synthetic_bank(CLASSES, 60, 1), synthetic_bank(CLASSES, 80, 2));
        Monitor::fit(&training, &calibration, None, model(), &FitSettings::only(detectors.to_vec())).unwrap()
    };
    let mut features = synthetic_image(0, CLASSES, &mut ChaCha8Rng::seed_from_u64(8));
    features.layers[1].mean[7] += 500.0;
    let kinds =
        [DetectorKind::Msp, DetectorKind::PatternHamming, DetectorKind::Mahalanobis, DetectorKind::GaussianDiag];
    let monitor = fit(&kinds);
    let judgement = monitor.judge(&features).unwrap();
    let explanations = monitor.explain(&features, &judgement);
    assert_eq!(explanations.len(), MAX_EXPLANATIONS);
    assert!(explanations.is_sorted_by_key(|explanation| explanation.p_value));
    let smallest = judgement.detectors.iter().map(|result| result.p_value).fold(1.0, f32::min);
    assert_eq!(explanations[0].p_value, smallest);
    // Two detectors have the smallest possible p-value: the one whose score is further out comes first.
    assert_eq!(explanations[0].detector, "gaussian_diag", "{explanations:?}");
    assert_eq!(explanations[1].p_value, smallest);
    let part = &explanations[0].parts[0];
    assert_eq!(part.place, NamedPlace::Unit { layer: "z".into(), kind: LayerKind::Vector, unit: 7 });
    assert_eq!(part.value, features.layers[1].mean[7]);

    let monitor = fit(&[DetectorKind::Msp]);
    let explanations = monitor.explain(&features, &monitor.judge(&features).unwrap());
    assert_eq!(explanations.len(), 1);
    let named = |part: &NamedPart| matches!(&part.place, NamedPlace::Class { class } if class.starts_with("class "));
    assert!(explanations[0].parts.iter().all(named), "{explanations:?}");
}

#[test]
fn layers_are_compared_with_what_detectors_keep() {
    let monitor = fitted();
    let features = probes().remove(0);
    for layer in 0..2 {
        let known = monitor.compare_layer(&features, layer).unwrap();
        let channels = features.layers[layer].mean.len();
        assert_eq!(known.expectation.map(|expectation| expectation.p_values.len()), Some(channels));
        assert!(known.pattern.is_some_and(|pattern| pattern.bits.iter().all(|bit| bit.unit < channels)));
    }
    let mut broken = features;
    broken.layers[0].mean[0] = f32::NAN;
    assert!(matches!(monitor.compare_layer(&broken, 0), Err(MonitorError::NonFinite { .. })));
}

#[test]
fn another_model_is_refused() {
    let monitor = fitted();
    let layout = &monitor.metadata().layout;
    monitor.check_model(&model(), layout).unwrap();
    let error = |model: &ModelId, layout: &FeatureLayout| monitor.check_model(model, layout).unwrap_err();
    let other = ModelId { sha256: "cd".into(), ..model() };
    assert!(matches!(error(&other, layout), MonitorError::Model { .. }));
    let other = ModelId { input: ModelInput { region_margin: 0.2, ..model().input }, ..model() };
    assert_eq!(
        error(&other, layout).to_string(),
        "model.json says input.region_margin 0.2, the monitor was fitted with 0.1: put 0.1 back into model.json, or fit the \
         monitor again for this model"
    );
    let mut other = layout.clone();
    other.layers[0].channels += 1;
    let error = error(&model(), &other).to_string();
    assert!(error.contains("conv (map of 6)") && error.contains("conv (map of 7)"), "{error}");
}

#[test]
fn what_model_json_said_is_still_known_from_a_file() {
    let (_folder, path) = saved(&fitted());
    let monitor = Monitor::load(&path).unwrap();
    let layout = &monitor.metadata().layout;
    monitor.check_model(&model(), layout).unwrap();
    let other = ModelId { head: None, ..model() };
    assert!(matches!(monitor.check_model(&other, layout), Err(MonitorError::Manifest { .. })));
}

#[test]
fn broken_features_are_refused() {
    let monitor = fitted();
    type Place = fn(&mut Features) -> &mut f32;
    let places: [Place; 4] = [
        |features| &mut features.logits[1],
        |features| &mut features.layers[0].mean[2],
        |features| &mut features.layers[0].variance.as_mut().unwrap()[3],
        |features| &mut features.layers[1].mean[9],
    ];
    for (place, value) in places.iter().flat_map(|place| [f32::NAN, f32::INFINITY, -f32::INFINITY].map(|x| (place, x)))
    {
        let mut features = probes().remove(0);
        monitor.judge(&features).unwrap();
        *place(&mut features) = value;
        let error = monitor.judge(&features).unwrap_err();
        assert!(matches!(error, MonitorError::NonFinite { .. }), "{value}: {error}");
    }
    let mut features = probes().remove(0);
    features.layers.pop();
    assert!(matches!(monitor.judge(&features), Err(MonitorError::Features { .. })));
}

#[test]
fn unusable_images_are_refused_with_the_reason() {
    let (training, calibration) = (synthetic_bank(CLASSES, 20, 1), synthetic_bank(CLASSES, 20, 2));
    let error = |training: &FeatureBank, calibration: &FeatureBank| fit(training, calibration).unwrap_err().to_string();

    let mut twice = training.clone();
    twice.merge(&training.select(&[7])).unwrap();
    assert!(error(&twice, &calibration).contains(&training.keys()[7]));

    let mut broken = calibration.select(&[0, 1, 2]);
    let mut features = calibration.features(3);
    features.logits[0] = f32::INFINITY;
    broken.push("the/broken_1.png", 0, &features).unwrap();
    assert!(error(&training, &broken).contains("the/broken_1.png"));

    assert!(error(&training.select(&[]), &calibration).contains("none of the 0 training images"));
    assert!(error(&training, &calibration.select(&[])).contains("0 images of 0"));
    assert!(error(&training, &calibration.select(&[0, 3])).contains("2 images of 1"));
    assert!(error(&training, &synthetic_bank(CLASSES + 1, 20, 2)).contains("another model"));
    assert!(error(&synthetic_bank(CLASSES + 1, 20, 2), &calibration).contains("3 class names"));
}

/// Images of a model without map layers.
fn without_maps(bank: &FeatureBank) -> FeatureBank {
    let layers = vec![LayerSpec { kind: LayerKind::Vector, ..bank.layout().layers[1].clone() }];
    let mut vectors = FeatureBank::new(FeatureLayout { layers, penultimate: 0, ..bank.layout().clone() });
    for row in 0..bank.len() {
        let features = bank.features(row);
        let layers = vec![LayerFeatures::vector(features.layers[1].mean.clone())];
        vectors.push(&bank.keys()[row], bank.labels()[row], &Features { layers, ..features }).unwrap();
    }
    vectors
}

#[test]
fn a_detector_without_its_layers_is_left_out_unless_it_is_required() {
    let training = without_maps(&synthetic_bank(CLASSES, 60, 1));
    let calibration = without_maps(&synthetic_bank(CLASSES, 80, 2));
    let monitor = fit(&training, &calibration).unwrap();
    assert_eq!(monitor.metadata().detectors.len(), DetectorKind::ALL.len() - 1);
    assert!(monitor.metadata().notes[0].starts_with("gaussian_kl was left out"), "{:?}", monitor.metadata().notes);

    let settings = FitSettings::only([DetectorKind::Msp, DetectorKind::GaussianKl]);
    let error = Monitor::fit(&training, &calibration, None, model(), &settings).unwrap_err();
    assert!(matches!(error, MonitorError::Fit(FitError::Unsupported { .. })));

    let settings = FitSettings::only([DetectorKind::Msp]);
    let monitor = Monitor::fit(&training, &calibration, None, model(), &settings).unwrap();
    let judgement = monitor.judge(&training.features(0)).unwrap();
    assert_eq!((judgement.detectors.len(), judgement.hamming_distance), (1, None));
    assert!(matches!(
        Monitor::fit(&training, &calibration, None, model(), &FitSettings::only([])),
        Err(MonitorError::NoDetector)
    ));
}

#[test]
fn few_calibration_images_are_noted() {
    let enough = fit(&synthetic_bank(CLASSES, 20, 1), &synthetic_bank(CLASSES, 80, 2)).unwrap();
    let [note] = &enough.metadata().notes[..] else { panic!("{:?}", enough.metadata().notes) };
    assert!(note.contains("no verdicts on objects"), "the images are no tracks: {note}");
    assert_eq!(enough.metadata().calibration.images, 240);
    let few = fit(&synthetic_bank(CLASSES, 20, 1), &synthetic_bank(CLASSES, 10, 2)).unwrap();
    assert!(few.metadata().notes[0].contains("only 30 images"), "{:?}", few.metadata().notes);
    assert_eq!(few.notes(), few.metadata().notes);
}

#[test]
fn objects_that_can_never_alarm_are_noted() {
    let images = synthetic_bank(CLASSES, 80, 2);
    let mut tracks = FeatureBank::new(images.layout().clone());
    for row in 0..images.len() {
        tracks.push(format!("{}_{:02}.png", row % 24, row / 24), images.labels()[row], &images.features(row)).unwrap();
    }
    let monitor = fit(&synthetic_bank(CLASSES, 20, 1), &tracks).unwrap();
    assert_eq!(monitor.over_time().objects.as_ref().unwrap().tracks(), 24);
    let notes = monitor.notes();
    assert!(
        notes.iter().any(|note| note.contains("only 24 tracks") && note.contains("at least 100 tracks")),
        "{notes:?}"
    );
}

#[test]
fn rare_and_missing_classes_are_judged() {
    let training = synthetic_bank(CLASSES, 60, 1);
    let rows: Vec<usize> = (0..training.len()).filter(|&row| training.labels()[row] == 0 || row == 1).collect();
    let monitor = fit(&training.select(&rows), &synthetic_bank(CLASSES, 40, 2)).unwrap();
    for judgement in judge_all(&monitor) {
        assert!(judgement.detectors.iter().all(|result| result.score.is_finite()));
    }
}

fn shards(training: &FeatureBank, calibration: &FeatureBank, parts: usize) -> Vec<Shard> {
    let part = |bank: &FeatureBank, part: usize| {
        bank.select(&(0..bank.len()).rev().filter(|row| row * 7 % parts == part).collect::<Vec<_>>())
    };
    let shard = |index| Shard {
        model: model(),
        settings: FitSettings::default(),
        head: Some(head()),
        training: part(training, index),
        calibration: part(calibration, index),
    };
    (0..parts).rev().map(shard).collect()
}

#[test]
fn merged_shards_give_the_monitor_of_the_whole() {
    let (training, calibration) = (synthetic_bank(CLASSES, 60, 1), synthetic_bank(CLASSES, 80, 2));
    let folder = tempfile::tempdir().unwrap();
    let shards = shards(&training, &calibration, 4).into_iter().enumerate().map(|(index, shard)| {
        let path = folder.path().join(format!("{index}.shard"));
        shard.save(&path).unwrap();
        let opened = Shard::open(&path).unwrap();
        assert_eq!(opened, shard);
        assert!(matches!(MonitorFile::load(&path), Ok(MonitorFile::Shard(_))));
        assert!(matches!(Monitor::open(&path), Err(MonitorError::Kind { .. })));
        opened
    });
    let merged = folder.path().join("merged");
    Monitor::merge(shards.collect::<Vec<_>>()).unwrap().save(&merged).unwrap();
    let (_folder, whole) = saved(&fit(&training, &calibration).unwrap());
    assert_eq!(fs::read(merged).unwrap(), fs::read(whole).unwrap());
}

#[test]
fn shards_that_do_not_belong_together_are_refused() {
    let (training, calibration) = (synthetic_bank(CLASSES, 20, 1), synthetic_bank(CLASSES, 20, 2));
    let error = |change: &dyn Fn(&mut Shard)| {
        let mut shards = shards(&training, &calibration, 2);
        change(&mut shards[1]);
        Monitor::merge(shards).unwrap_err().to_string()
    };
    assert!(error(&|shard| shard.model.sha256 = "cd".into()).contains("model"));
    assert!(error(&|shard| shard.settings.seed = 3).contains("settings"));
    let margin = error(&|shard| shard.model.input.region_margin = 0.5);
    assert!(margin.contains("differ in input.region_margin: 0.1 and 0.5"), "{margin}");
    assert!(error(&|shard| shard.training = training.clone()).contains("twice"));
    assert!(matches!(Monitor::merge([]), Err(MonitorError::NoShards)));
}

#[test]
fn another_format_is_said_to_be_another() {
    let (_folder, path) = saved(&fitted());
    for (format, advice) in [(FORMAT_VERSION - 1, "fit it again"), (FORMAT_VERSION + 1, "update activation_monitor")] {
        let advice = format!("format {FORMAT_VERSION}: {advice}");
        let text = format!(r#"{{"format_version": {format}, "kind": "oracle"}}"#);
        crate::storage::TensorFile::write(&path, &text, crate::storage::Tensors::default()).unwrap();
        let error = Monitor::open(&path).unwrap_err();
        assert!(matches!(error, MonitorError::Format { found, .. } if found == format), "{error}");
        assert!(error.to_string().contains(&advice), "{error}");
    }
}

#[test]
fn missing_and_foreign_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.monitor");
    let error = Monitor::open(&path).unwrap_err();
    assert!(matches!(error, MonitorError::Storage(StorageError::Io { action: "open", .. })), "{error}");
    for bytes in [b"".as_slice(), b"PK\x03\x04 something else altogether", &[0; 64]] {
        fs::write(&path, bytes).unwrap();
        for error in [Monitor::open(&path).unwrap_err(), Monitor::load(&path).unwrap_err()] {
            assert!(matches!(error, MonitorError::Storage(StorageError::Format { .. })), "{error}");
        }
    }
    assert!(fitted().save(&folder.path().join("no such folder/x")).is_err());
}

/// Bytes of one saved monitor, made once.
fn bytes() -> &'static [u8] {
    static BYTES: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        let (_folder, path) = saved(&fitted());
        fs::read(path).unwrap()
    });
    &BYTES
}

fn open_bytes(bytes: &[u8]) -> Result<Monitor, MonitorError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let loaded = Monitor::load(file.path());
    assert_eq!(loaded.is_ok(), Monitor::open(file.path()).is_ok());
    loaded
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_truncated_file_is_refused(share in 0.0f64..1.0) {
        let length = (bytes().len() as f64 * share) as usize;
        prop_assert!(open_bytes(&bytes()[..length]).is_err());
    }

    #[test]
    fn a_changed_byte_is_found(position: prop::sample::Index, in_header: bool, value: u8) {
        let header = u64::from_le_bytes(bytes()[..8].try_into().unwrap()) as usize + 8;
        let position = position.index(if in_header { header } else { bytes().len() });
        let mut changed = bytes().to_vec();
        changed[position] = value;
        match open_bytes(&changed) {
            Ok(monitor) => prop_assert_eq!(judge_all(&monitor), judge_all(&open_bytes(bytes()).unwrap())),
            Err(error) => prop_assert!(value != bytes()[position], "{}", error),
        }
    }
}
