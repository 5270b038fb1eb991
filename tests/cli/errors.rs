//! What goes wrong is said with the next step.

use std::fs;

use super::world::{World, known_image, save, write_model};

const MODEL: &str = "--model model --monitor signs.monitor --device cpu";

#[test]
fn wrong_usage_exits_with_2() {
    let world = World::new();
    for arguments in ["", "fly", "fit --model model", "evaluate --model m --monitor f --in-distribution d --ood name"] {
        assert_eq!(world.run(arguments).code, Some(2), "{arguments}");
    }
    let fit = "fit --model model --data data --output signs.monitor";
    let unknown_detector = world.run(&format!("{fit} --detectors msp,telepathy"));
    assert_eq!(unknown_detector.code, Some(2));
    insta::assert_snapshot!("unknown_detector", unknown_detector.stderr);
    insta::assert_snapshot!("wrong_shard", world.run(&format!("{fit} --shard 4/3")).stderr);
    insta::assert_snapshot!("wrong_device", world.run(&format!("{fit} --device tpu")).stderr);
}

#[test]
fn unusable_data_is_named() {
    let world = World::new();
    let fit = "fit --model model --output signs.monitor --device cpu --data";
    fs::create_dir_all(world.path("empty")).unwrap();
    save(&world.path("typo/gren/0.png"), &known_image(1, 0));
    save(&world.path("single/red/0_0.png"), &known_image(0, 0));
    insta::assert_snapshot!("empty_folder", world.fail(&format!("{fit} empty")));
    insta::assert_snapshot!("missing_folder", world.fail(&format!("{fit} nowhere")));
    insta::assert_snapshot!("wrong_folder_name", world.fail(&format!("{fit} typo")));
    insta::assert_snapshot!("nothing_to_hold_out", world.fail(&format!("{fit} single")));
    insta::assert_snapshot!("calibration_on_training_data", world.fail(&format!("{fit} data --calibration ./data")));
    assert!(!world.path("signs.monitor").exists());
}

#[test]
fn unreadable_images_are_named_and_many_are_an_error() {
    let world = World::new();
    fs::write(world.path("data/red/00000_00000.png"), b"no image").unwrap();
    let run = world.succeed("fit --model model --data data --output signs.monitor --device cpu");
    insta::assert_snapshot!("one_unreadable_image", run.stderr);
    for number in 0..6 {
        fs::write(world.path(&format!("test/blue/{number}.png")), b"no image").unwrap();
    }
    insta::assert_snapshot!("unreadable_images", world.fail(&format!("evaluate {MODEL} --in-distribution test")));

    let run = world.run(&format!("classify {MODEL} test/red/0.png test/blue/0.png test/none.png"));
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.starts_with("test/red/0.png  IN_DISTRIBUTION  red ("), "{}", run.stdout);
    let failed: Vec<&str> = run.stdout.lines().skip(1).chain(run.stderr.lines()).collect();
    insta::assert_snapshot!("classify_unreadable", failed.join("\n"));
}

#[test]
fn a_missing_or_broken_model_is_named() {
    let world = World::new();
    let fit = "fit --data data --output signs.monitor --device cpu --model";
    insta::assert_snapshot!("missing_model", world.fail(&format!("{fit} nowhere")));
    fs::remove_file(world.path("model/model.pt")).unwrap();
    insta::assert_snapshot!("missing_weights", world.fail(&format!("{fit} model")));
    fs::write(world.path("model/model.pt"), b"no network").unwrap();
    insta::assert_snapshot!("broken_weights", world.fail(&format!("{fit} model")));
}

#[test]
fn a_wrong_or_damaged_monitor_is_refused() {
    let world = World::new();
    world.fit();
    write_model(&world.path("other"), 5.0);
    let other = world.fail("classify --model other --monitor signs.monitor --device cpu test/red/0.png");
    assert!(other.contains("was fitted for the model with SHA-256"), "{other}");

    let manifest = fs::read_to_string(world.path("model/model.json")).unwrap();
    fs::write(world.path("model/model.json"), manifest.replace("\"region_margin\":0.0", "\"region_margin\":0.25"))
        .unwrap();
    let changed = world.fail(&format!("classify {MODEL} test/red/0.png"));
    assert!(changed.contains("model.json says input.region_margin 0.25, the monitor was fitted with 0:"), "{changed}");
    assert_eq!(world.fail(&format!("evaluate {MODEL} --in-distribution test")), changed);
    fs::write(world.path("model/model.json"), manifest).unwrap();

    let mut bytes = fs::read(world.path("signs.monitor")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(world.path("flipped.monitor"), &bytes).unwrap();
    fs::write(world.path("cut.monitor"), &bytes[..last / 2]).unwrap();
    let flipped = world.fail("inspect flipped.monitor");
    assert!(flipped.starts_with("error: flipped.monitor is damaged"), "{flipped}");
    insta::assert_snapshot!("cut_monitor", world.fail("inspect cut.monitor"));
    insta::assert_snapshot!("no_monitor", world.fail("inspect test/red/0.png"));
    insta::assert_snapshot!(
        "missing_monitor",
        world.fail("classify --model model --monitor none.monitor test/red/0.png")
    );
    insta::assert_snapshot!("monitor_is_no_shard", world.fail("merge signs.monitor --output merged.monitor"));
}

#[test]
fn a_shard_cannot_be_given_twice() {
    let world = World::new();
    world.succeed("fit --model model --data data --device cpu --shard 1/2 --output 1.shard");
    insta::assert_snapshot!("shard_twice", world.fail("merge 1.shard 1.shard --output merged.monitor"));
    insta::assert_snapshot!("shard_as_monitor", world.fail("classify --model model --monitor 1.shard ood/grey/0.png"));
    assert!(!world.path("merged.monitor").exists());
}

#[test]
fn a_place_that_cannot_be_written_is_found_before_the_work() {
    let world = World::new();
    let fit = "fit --model nowhere --data nowhere --output";
    insta::assert_snapshot!("output_folder_missing", world.fail(&format!("{fit} no/such/signs.monitor")));
    insta::assert_snapshot!("output_is_a_folder", world.fail(&format!("{fit} data")));
    let evaluate = "evaluate --model nowhere --monitor nowhere --in-distribution nowhere --report";
    let missing = world.fail(&format!("{evaluate} no/such/page"));
    assert!(missing.contains("the folder no/such does not exist: make it first"), "{missing}");
    let file = world.fail(&format!("{evaluate} model/model.json"));
    assert!(file.contains("model/model.json is a file: name a folder for the output"), "{file}");
    assert!(!world.path("no").exists());
}
