//! Fit, inspect, classify, evaluate, merge.

use std::fs;

use serde_json::Value;

use super::world::World;

const MODEL: &str = "--model model --monitor signs.monitor --device cpu";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn from_images_to_figures() {
    let world = World::new();
    let fit = world.succeed("fit --model model --data data --output signs.monitor --device cpu");
    assert!(fit.stdout.is_empty(), "{}", fit.stdout);
    assert!(fit.stderr.contains("20 % of the tracks are held out for it (36 of 180 images)"), "{}", fit.stderr);

    let inspected = json(&world.succeed("inspect signs.monitor --json").stdout);
    assert_eq!(inspected["kind"], "monitor");
    assert_eq!(inspected["training"]["images"], 144);
    assert_eq!(inspected["training"]["correct"], 144);
    assert_eq!(inspected["calibration"]["images"], 36);
    assert_eq!(inspected["model"]["classes"][2], "blue");
    assert_eq!(inspected["model"]["input"]["region_margin"], 0.0);
    let smallest = inspected["smallest_p_value"].as_f64().unwrap();
    assert!((smallest - 1.0 / 37.0).abs() < 1e-6, "{inspected}");
    let (id, digest) = (inspected["id"].as_str().unwrap(), inspected["sha256"].as_str().unwrap());
    assert!(id.len() == 12 && digest.starts_with(id), "{inspected}");
    let words = world.succeed("inspect signs.monitor").stdout;
    for text in [
        &format!("\nid          {id}\n"),
        "never below 2.70e-2",
        "  input.width        8\n",
        "  decoy_class        none\n",
    ] {
        assert!(words.contains(text), "{text}: {words}");
    }

    let evaluation = world.succeed(&format!("evaluate {MODEL} --in-distribution test --ood grey=ood --json -"));
    let figures = json(&evaluation.stdout);
    assert_eq!(figures["in_distribution"]["images"], 18);
    assert_eq!(figures["in_distribution"]["accuracy"], 1.0);
    assert_eq!(figures["in_distribution"]["detectors"]["fused"]["misclassification_auroc"], Value::Null);
    assert_eq!(figures["ood"]["grey"]["images"], 9);
    for name in ["pattern_hamming", "gaussian_diag", "gaussian_kl", "mahalanobis", "msp", "fused"] {
        assert!(figures["ood"]["grey"]["detectors"][name]["fpr95"].is_number(), "{name}: {figures}");
    }
    let fused = &figures["ood"]["grey"]["detectors"]["fused"];
    assert_eq!((&fused["auroc"], &fused["auroc_ci"]), (&1.0.into(), &vec![1.0, 1.0].into()));
    assert_eq!(figures["in_distribution"]["classes"]["green"]["images"], 6);
    let rates = &figures["in_distribution"]["detectors"]["fused"];
    assert!(rates["alarm_rate"]["0.1"].is_number() && rates["alarm_rate_ci"]["0.001"].is_array(), "{rates}");
}

#[test]
fn evaluation_writes_a_table_and_a_file() {
    let world = World::new();
    world.fit();
    let run = world.succeed(&format!("evaluate {MODEL} --in-distribution test --ood a=ood b=ood --json figures.json"));
    assert!(run.stdout.starts_with("In distribution: 18 images of 18 tracks, accuracy 100.00\n"), "{}", run.stdout);
    assert!(run.stdout.contains("\nOOD b: 9 images\n"), "{}", run.stdout);
    let figures = json(&fs::read_to_string(world.path("figures.json")).unwrap());
    assert_eq!(figures["ood"]["a"], figures["ood"]["b"]);
}

#[test]
fn evaluation_makes_a_page() {
    let world = World::new();
    world.fit();
    let evaluate = format!("evaluate {MODEL} --in-distribution test --ood grey=ood --resamples 50");
    let run = world.succeed(&format!("{evaluate} --report page"));
    assert!(run.stderr.contains("wrote page/index.html"), "{}", run.stderr);
    assert!(run.stdout.starts_with("In distribution: "), "{}", run.stdout);
    let page = || fs::read_to_string(world.path("page/index.html")).unwrap();
    let first = page();
    for text in ["Evaluation of colours", "OOD grey", "Most suspicious known images", "--resamples 50 --report page"] {
        assert!(first.contains(text), "{text}");
    }
    // 18 known and 9 grey images, fewer than a gallery has room for.
    assert_eq!(first.matches("src=\"data:image/png;base64,").count(), 27);
    world.succeed(&format!("{evaluate} --report page"));
    assert!(first == page(), "the same evaluation gives the same page");
    let none = json(&world.succeed(&evaluate.replace("--resamples 50", "--resamples 0 --json -")).stdout);
    assert_eq!(none["ood"]["grey"]["detectors"]["msp"]["auroc_ci"], Value::Null);
}

#[test]
fn single_images_are_classified_and_judged() {
    let world = World::new();
    world.fit();
    let run = world.succeed(&format!("classify {MODEL} --json test/green ood/grey/0.png"));
    let answers = json(&run.stdout);
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 7);
    let [known, .., unknown] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(known["image"], "test/green/0.png");
    assert_eq!((&known["class"], &known["class_index"]), (&"green".into(), &1.into()));
    assert_eq!(known["verdict"], "IN_DISTRIBUTION");
    // The model has neither dropout nor a decoy class.
    let names: Vec<&str> =
        known["detectors"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.len() == 15 && !names.contains(&"mc_dropout") && !names.contains(&"decoy"), "{names:?}");
    // 36 images calibrate the fused score: no p-value is below 1/37.
    assert!(unknown["p_value"].as_f64().unwrap() < 0.028, "{unknown}");
    assert!(unknown["p_value"].as_f64() < known["p_value"].as_f64());
    let explanations = unknown["explanation"].as_array().unwrap();
    assert_eq!(explanations.len(), 3);
    let p_values = |list: &Value| list.as_array().unwrap().iter().filter_map(|one| one["p_value"].as_f64()).collect();
    let detectors: Vec<f64> = p_values(&unknown["detectors"]);
    let smallest = detectors.iter().copied().fold(1.0, f64::min);
    assert_eq!(explanations[0]["p_value"], smallest);
    let layers = ["differences", "means"].map(Value::from);
    let parts = explanations.iter().flat_map(|explanation| explanation["parts"].as_array().unwrap());
    assert!(parts.clone().any(|part| layers.contains(&part["layer"])), "{unknown}");

    let lines = world.succeed(&format!("classify {MODEL} test/blue/3.png test/red/0.png")).stdout;
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.starts_with("test/blue/3.png  IN_DISTRIBUTION  blue ("), "{lines}");
    let lines = world.succeed(&format!("classify {MODEL} ood/grey/0.png")).stdout;
    let (verdict, explanation) = lines.split_once("\n  ").unwrap();
    assert!(!verdict.contains("IN_DISTRIBUTION") && explanation.contains(" (p = "), "{lines}");
    assert_eq!(lines.lines().count(), 2);
}

#[test]
fn merged_shards_equal_a_single_fit() {
    let world = World::new();
    let fit = "fit --model model --data data --device cpu --seed 5 --detectors mahalanobis,msp";
    world.succeed(&format!("{fit} --output whole.monitor"));
    for shard in 1..=3 {
        world.succeed(&format!("{fit} --shard {shard}/3 --batch-size 7 --output {shard}.shard"));
    }
    let inspected = json(&world.succeed("inspect 2.shard --json").stdout);
    assert_eq!((&inspected["kind"], &inspected["training_images"]), (&"shard".into(), &48.into()));
    world.succeed("merge 3.shard 1.shard 2.shard --output merged.monitor");
    let read = |name: &str| fs::read(world.path(name)).unwrap();
    assert!(read("whole.monitor") == read("merged.monitor"), "the files differ");
}

#[test]
fn calibration_images_can_be_given_and_folders_numbered() {
    let world = World::new();
    for (index, class) in super::world::CLASSES.iter().enumerate() {
        fs::rename(world.path("data").join(class), world.path("data").join(format!("{index:05}"))).unwrap();
    }
    world.succeed("fit --model model --data data --calibration test --output signs.monitor --device cpu");
    let inspected = json(&world.succeed("inspect signs.monitor --json").stdout);
    assert_eq!(inspected["training"]["images"], 180);
    assert_eq!(inspected["calibration"]["images"], 18);
}

#[test]
fn a_monitor_calibrated_by_track_has_as_many_p_values_as_tracks() {
    let world = World::new();
    let fit = "fit --model model --data data --device cpu --conditioning track --output signs.monitor";
    let note = world.succeed(fit).stderr;
    assert!(note.contains("the tracks of 36 images calibrate the fused score"), "{note}");
    assert!(note.contains("or fit with --conditioning pooled"), "{note}");
    assert_eq!(json(&world.succeed("inspect signs.monitor --json").stdout)["settings"]["conditioning"], "track");
    let images =
        json(&world.succeed("classify --model model --monitor signs.monitor --json --device cpu ood/grey").stdout);
    let tracks = f64::from(36 / super::world::FRAMES as u32);
    for image in images.as_array().unwrap() {
        let p = image["p_value"].as_f64().unwrap();
        assert!((p - 1.0 / (tracks + 1.0)).abs() < 1e-6, "{p}");
    }
}

#[test]
fn a_drive_is_drawn_but_never_over_another_one() {
    let world = World::new();
    let options = "--duration-secs 2 --rate-hz 2 --width 320 --height 180";
    let run = world.succeed(&format!("synthesize --output drive {options}"));
    assert!(run.stderr.starts_with("wrote drive: 4 frames with "), "{}", run.stderr);
    let metadata = fs::read_to_string(world.path("drive/metadata.yaml")).unwrap();
    for topic in ["/camera/image_raw/compressed", "/camera/regions", "/ground_truth", "/clock"] {
        assert!(metadata.contains(&format!("name: {topic}\n")), "{topic} is not in\n{metadata}");
    }
    assert!(world.fail(&format!("synthesize --output drive {options}")).contains("exists already"));
    assert!(world.fail("synthesize --output other --rate-hz 0").contains("--rate-hz is 0, expected 1 to 60"));
    assert!(!world.path("other").exists() && !world.path("other.partial").exists());
}

#[test]
fn inspection_is_readable() {
    let world = World::new();
    world.fit();
    let text = world.succeed("inspect signs.monitor").stdout;
    for line in [
        "classes     3: red, green, blue",
        "  differences        6 feature maps",
        "  means              6 neurons (penultimate)",
        "training    144 images of 48 tracks, 144 classified correctly",
    ] {
        assert!(text.lines().any(|found| found == line), "`{line}` is not in\n{text}");
    }
}
