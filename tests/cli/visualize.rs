//! Pictures of layers: of an image, a folder, a bag.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use activation_monitor::dataset::{
    bag::BagWriter,
    cdr::{Header, Image, Region, RegionArray, RegionOfInterest, Time},
};
use image::RgbImage;

use super::world::{World, known_image, write_broken_model, write_model};

const VISUALIZE: &str = "visualize --model model --device cpu";
const WITH_MONITOR: &str = "visualize --model model --monitor signs.monitor --device cpu";
const START: u64 = 1_750_000_000_000_000_000;
const PERIOD: u64 = 100_000_000;

/// A recording of ten images of two signs; the second half of them has regions.
fn record(world: &World, name: &str) {
    let mut bag = BagWriter::create(&world.path(name)).unwrap();
    for number in 0..10 {
        let stamp = START + number * PERIOD;
        let header = Header { stamp: Time::from_nanos(stamp), frame_id: "camera".into() };
        let picture = known_image(1, number);
        let (width, height) = picture.dimensions();
        let image = Image {
            header: header.clone(),
            height,
            width,
            encoding: "rgb8".into(),
            is_bigendian: 0,
            step: 3 * width,
            data: picture.into_raw(),
        };
        bag.write("/camera/image", stamp, &image).unwrap();
        if number >= 5 {
            let region = |id: &str, side| Region {
                id: id.into(),
                roi: RegionOfInterest { x_offset: 1, y_offset: 1, height: side, width: side, do_rectify: false },
            };
            let regions = vec![region("small", 4), region("large", 8)];
            bag.write("/detector/regions", stamp, &RegionArray { header, regions }).unwrap();
        }
    }
    bag.finish().unwrap();
}

fn open(path: &Path) -> RgbImage {
    image::open(path).unwrap().into_rgb8()
}

/// Number of pictures of an APNG, all of which can be decoded.
fn pictures(path: &Path) -> u32 {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let count = reader.info().animation_control().unwrap().num_frames;
    for _ in 0..count {
        let mut picture = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut picture).unwrap();
    }
    count
}

#[test]
fn one_layer_and_all_layers_with_and_without_monitor() {
    let world = World::new();
    world.fit();
    for (name, arguments) in [
        ("plain.png", format!("{VISUALIZE} --layer differences")),
        ("known.png", format!("{WITH_MONITOR} --layer 1")),
        ("vector.png", format!("{WITH_MONITOR} --layer means")),
        ("all.png", format!("{WITH_MONITOR} --layer all")),
    ] {
        let run = world.succeed(&format!("{arguments} --output {name} test/red/0.png"));
        assert!(run.stderr.ends_with(&format!("wrote {name}\n")) && run.stdout.is_empty(), "{}", run.stderr);
    }
    let [plain, known, all] = ["plain.png", "known.png", "all.png"].map(|name| open(&world.path(name)));
    assert!(known.height() > plain.height() + 300, "training means, deviations and p-values need room");
    assert_eq!(all.width(), known.width());

    world.succeed(&format!("{WITH_MONITOR} --layer differences --output again.png test/red/0.png"));
    assert_eq!(open(&world.path("again.png")), known, "by name as by number, and the same every time");
}

#[test]
fn a_folder_and_a_bag_become_animations() {
    let world = World::new();
    world.fit();
    record(&world, "drive");
    let folder = world.succeed(&format!("{WITH_MONITOR} --every 4 --output folder.apng test"));
    assert!(folder.stderr.ends_with("wrote 5 pictures of 5 to folder.apng\n"), "{}", folder.stderr);
    assert_eq!(pictures(&world.path("folder.apng")), 5);

    let bag = world.succeed(&format!("{VISUALIZE} --layer 2 --output drive.apng drive"));
    let says = "note: 5 images without a region are left out; --whole-images shows them\nwrote 5 pictures of 5 to drive.apng\n";
    assert_eq!((bag.stderr.as_str(), pictures(&world.path("drive.apng"))), (says, 5));
    world.succeed(&format!("{VISUALIZE} --layer 2 --whole-images --output whole.apng drive"));
    assert_eq!(pictures(&world.path("whole.apng")), 10);
    world.succeed(&format!("{VISUALIZE} --layer 2 --object small --output small.apng drive"));
    assert_ne!(fs::read(world.path("small.apng")).unwrap(), fs::read(world.path("drive.apng")).unwrap());
    let error = world.fail(&format!("{VISUALIZE} --object nothing --output none.apng drive"));
    assert_eq!(error, "error: drive has no region with the id nothing: --whole-images shows whole images\n");
}

#[test]
fn one_moment_of_a_bag_is_a_picture() {
    let world = World::new();
    world.fit();
    record(&world, "drive");
    for (secs, name) in [("0", "first.png"), ("0.6", "later.png"), ("0.61", "last.png")] {
        world.succeed(&format!("{VISUALIZE} --layer 2 --at-secs {secs} --output {name} drive"));
    }
    let [first, later, last] = ["first.png", "later.png", "last.png"].map(|name| fs::read(world.path(name)).unwrap());
    assert!(first != later && later != last, "other images");
    let beyond = world.fail(&format!("{VISUALIZE} --at-secs 99 --output none.png drive"));
    assert!(beyond.contains("nothing is shown in drive from second 99 on"), "{beyond}");
    for wrong in ["--output none.apng drive", "--output none.png test", "--output none.png test/red/0.png"] {
        let error = world.fail(&format!("{VISUALIZE} --at-secs 0 {wrong}"));
        assert!(error.contains("--at-secs"), "{error}");
    }
    assert!(world.fail(&format!("{VISUALIZE} --output none.png drive")).contains("--at-secs chooses one"));
    assert!(!world.path("none.png").exists());
}

#[test]
fn activations_that_are_no_numbers_are_shown_and_told() {
    let world = World::new();
    write_broken_model(&world.path("broken"));
    let run = world.succeed("visualize --model broken --device cpu --layer 1 --output broken.png test/red/0.png");
    assert!(run.stderr.starts_with("note: 384 activations of differences are NaN or infinite\n"), "{}", run.stderr);
    let magenta = open(&world.path("broken.png")).pixels().filter(|pixel| pixel.0 == [255, 0, 255]).count();
    assert!(magenta > 10_000, "{magenta}");
}

#[test]
fn what_cannot_be_shown_is_said_with_the_next_step() {
    let world = World::new();
    world.fit();
    write_model(&world.path("other"), 5.0);
    fs::write(world.path("text.png"), "no image").unwrap();
    let whole = fs::read(world.path("test/red/0.png")).unwrap();
    fs::write(world.path("cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::create_dir(world.path("empty")).unwrap();
    let mut bag = BagWriter::create(&world.path("mute")).unwrap();
    let header = Header { stamp: Time::from_nanos(START), frame_id: String::new() };
    bag.write("/regions", START, &RegionArray { header, regions: vec![] }).unwrap();
    bag.finish().unwrap();
    let image = "test/red/0.png";
    for (arguments, expected) in [
        (
            format!("{VISUALIZE} --layer stage9 --output a.png {image}"),
            "the model has no layer `stage9`; it has 1 differences, 2 means:",
        ),
        (format!("{VISUALIZE} --layer 3 --output a.png {image}"), "the model has no layer `3`"),
        (format!("{VISUALIZE} --output a.gif {image}"), "a.gif does not end in .png, .apng or .rrd"),
        (format!("{VISUALIZE} --output no/such/a.png {image}"), "the folder no/such does not exist: make it first"),
        (format!("{VISUALIZE} --output a.png test"), "name an animation, .apng or .rrd"),
        (format!("{VISUALIZE} --output a.png missing.png"), "missing.png: "),
        (format!("{VISUALIZE} --output a.png text.png"), "text.png: "),
        (format!("{VISUALIZE} --output a.png cut.png"), "cut.png: "),
        (format!("{VISUALIZE} --output a.apng empty"), "no image below empty"),
        (format!("{VISUALIZE} --output a.apng mute"), "no topic with images: found /regions"),
        (
            "visualize --model other --monitor signs.monitor --device cpu --output a.png test/red/0.png".to_owned(),
            "was fitted for the model with SHA-256",
        ),
    ] {
        let error = world.fail(&arguments);
        assert!(error.starts_with("error: ") && error.contains(expected), "{arguments}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    fs::write(world.path("test/red/1.png"), "no image").unwrap();
    let run = world.succeed(&format!("{VISUALIZE} --output a.apng test/red"));
    assert!(
        run.stderr.contains("warning: 1 images are unreadable and left out:\n  test/red/1.png: "),
        "{}",
        run.stderr
    );
    let left = fs::read_dir(world.path(""))
        .unwrap()
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".partial")));
    assert_eq!(left.count(), 0);
}
