use super::super::diagnostics::tests::value;
use super::super::recent::Totals;
use super::*;
use crate::counters::statistics::DropReason;

/// A camera that is well.
pub fn healthy() -> CameraHealth {
    CameraHealth {
        name: "camera".into(),
        state: State::Active,
        images: topic("/camera", &["/driver"]),
        regions: None,
        counts: Counts { received: 10, judged: 8, dropped: [(DropReason::Replaced, 2)].into(), ..Counts::default() },
        previous: Counts::default(),
        recent: lately(1.0, Totals { received: 10, judged: 8, ..Totals::default() }),
        newest_reason: String::new(),
        silence: Some(Duration::from_millis(40)),
        stale_after: Duration::from_secs(3),
        unanswered: Some(Duration::from_millis(40)),
        patience: Duration::from_secs(1),
        stamp_age_secs: Some(0.05),
        input: InputCounts::default(),
        notes: Vec::new(),
        repeated: 0,
        stream: StreamHealth::default(),
    }
}

fn lately(secs: f64, totals: Totals) -> Recent {
    let span = Span { secs, totals };
    Recent { latest: span, rates: span, shares: span }
}

fn topic(topic: &str, publishers: &[&str]) -> TopicHealth {
    let publishers = publishers.iter().map(|node| (*node).to_owned()).collect();
    TopicHealth { topic: topic.into(), publishers, ..TopicHealth::default() }
}

fn says(health: &CameraHealth, level: Level, words: &str) {
    let status = health.status();
    assert!(status.level == level && status.message.contains(words), "{level:?} {words}: {status:?}");
}

#[test]
fn a_healthy_camera_is_ok_and_its_counts_are_told() {
    let status = healthy().status();
    assert_eq!((status.level, status.message.as_str()), (Level::Ok, "images arrive on /camera"));
    assert_eq!((value(&status, "received"), value(&status, "dropped")), ("10", "2"));
    assert_eq!((value(&status, "last_image_age_secs"), value(&status, "received_hz")), ("0.040", "10.000"));
    assert_eq!((value(&status, "publisher_nodes"), value(&status, "regions_topic")), ("/driver", ""));
}

#[test]
fn a_mismatch_is_an_error_unless_images_come_all_the_same() {
    let mut health = healthy();
    health.images.mismatches = vec!["publishes best effort".into()];
    says(&health, Level::Warn, "publishes best effort");
    health.silence = Some(Duration::from_secs(100));
    says(&health, Level::Error, "publishes best effort");
    health.silence = None;
    says(&health, Level::Error, "publishes best effort");
}

#[test]
fn silence_is_stale_only_beyond_the_limit() {
    let mut health = healthy();
    health.silence = Some(Duration::from_secs(3));
    says(&health, Level::Ok, "");
    health.silence = Some(Duration::from_millis(3051));
    says(&health, Level::Stale, "no image on /camera for 3.1 s");
    health.images.publishers.clear();
    says(&health, Level::Stale, "nobody publishes any more");
}

#[test]
fn before_the_first_image_the_publishers_are_what_matters() {
    let mut health = healthy();
    (health.counts, health.recent) = (Counts::default(), Recent::default());
    (health.silence, health.unanswered, health.stamp_age_secs) = (None, None, None);
    says(&health, Level::Warn, "no image yet on /camera, which has 1 publisher");
    health.images.publishers.clear();
    says(&health, Level::Warn, "nobody publishes on /camera: check image_topic");
    health.images.hint = Some("/cam (sensor_msgs/msg/Image) exists".into());
    says(&health, Level::Warn, "nobody publishes on /camera: /cam (sensor_msgs/msg/Image) exists");
}

#[test]
fn images_that_nobody_answers_are_an_error() {
    let mut health = healthy();
    health.unanswered = Some(Duration::from_millis(1001));
    says(&health, Level::Error, "none has been answered for 1.0 s");
    health.patience = Duration::from_secs(2);
    says(&health, Level::Ok, "");
}

#[test]
fn a_camera_whose_every_image_is_dropped_is_not_ok() {
    let mut health = healthy();
    let dropped = |replaced, no_room, judged| {
        let counts = Counts {
            judged,
            dropped: [(DropReason::Replaced, replaced), (DropReason::NoRoom, no_room)].into(),
            ..Counts::default()
        };
        lately(1.5, Totals::of(&counts, 0))
    };
    health.recent = dropped(2, 0, 0);
    says(&health, Level::Warn, "every image was dropped (2 in 1.5 s): replaced by a newer image");
    health.recent = dropped(1, 7, 0);
    says(&health, Level::Warn, "every image was dropped (8 in 1.5 s): no room to wait for regions (7)");
    health.recent = dropped(1, 7, 1);
    says(&health, Level::Ok, "");
    health.recent = dropped(0, 0, 0);
    says(&health, Level::Ok, "");
}

#[test]
fn new_unknown_results_warn_with_the_newest_reason() {
    let mut health = healthy();
    health.counts.unknown = [("unsupported encoding".to_owned(), 42)].into();
    health.counts.suspect = 1;
    health.newest_reason = "unsupported encoding `foo`".into();
    says(&health, Level::Warn, "42 of 43 results were UNKNOWN since the last status: unsupported encoding `foo`");
    health.previous = health.counts.clone();
    let status = health.status();
    assert_eq!(status.level, Level::Ok);
    assert_eq!(value(&status, "unknown_reasons"), "unsupported encoding: 42");
    assert_eq!(value(&status, "unknown_newest_reason"), "unsupported encoding `foo`");
}

#[test]
fn the_age_of_stamps_is_counted_without_the_silence_since() {
    let mut health = healthy();
    (health.silence, health.stamp_age_secs) = (Some(Duration::from_secs(2)), Some(4.9));
    says(&health, Level::Ok, "");
    health.stamp_age_secs = Some(5.1);
    says(&health, Level::Warn, "the newest stamp was 3.1 s old");
    health.stamp_age_secs = Some(-1.0);
    says(&health, Level::Ok, "");
    health.stamp_age_secs = Some(-3600.0);
    says(&health, Level::Warn, "the newest stamp is 3600.0 s in the future");
}

#[test]
fn repeated_stamps_time_lines_and_lost_images_warn() {
    let mut health = healthy();
    health.repeated = 30;
    health.input.interleaved = Some(Interleaved { lines: 2, offset: Duration::from_secs(10) });
    says(&health, Level::Warn, "30 images had the stamp of the image before; 2 time lines take turns, 10.0 s apart");
    (health.repeated, health.input) = (0, InputCounts::default());
    let missing = |missing| lately(10.0, Totals { received: 95, judged: 95, missing, ..Totals::default() });
    health.recent = missing(5);
    says(&health, Level::Ok, "");
    health.recent = missing(6);
    says(&health, Level::Warn, "about 6 of 101 images in 10 s seem to be lost on their way");
}

#[test]
fn an_image_that_stays_the_same_warns() {
    let mut health = healthy();
    health.input.unchanged = health.stale_after / 2;
    says(&health, Level::Ok, "");
    health.input.unchanged = health.stale_after;
    says(&health, Level::Warn, "the same image, byte for byte");
}

#[test]
fn colours_that_are_lost_warn_and_every_note_is_told() {
    let mut health = healthy();
    health.notes = vec![Note::BitDepth { bits: 12 }];
    says(&health, Level::Ok, "");
    assert!(value(&health.status(), "image_notes").contains("12-bit"));
    health.notes.push(Note::ColourLost { original: "bgr8" });
    says(&health, Level::Warn, "colour is lost: the camera delivers bgr8");
}

#[test]
fn two_publishers_are_named() {
    let mut health = healthy();
    health.images = topic("/camera", &["/left", "/right"]);
    says(&health, Level::Warn, "2 publishers on /camera: /left, /right");
}

#[test]
fn regions_that_nobody_sends_or_that_cannot_come_are_said() {
    let mut health = healthy();
    health.regions = Some(topic("/regions", &[]));
    says(&health, Level::Warn, "nobody publishes on /regions: check regions_topic");
    health.regions = Some(TopicHealth { mismatches: vec!["other type".into()], ..topic("/regions", &["/detector"]) });
    says(&health, Level::Error, "other type");
    let status = health.status();
    assert_eq!((value(&status, "regions_publishers"), value(&status, "qos_mismatch")), ("1", "other type"));
}

#[test]
fn a_node_that_is_not_active_says_its_state_and_is_well() {
    let mut health = healthy();
    (health.state, health.silence) = (State::Inactive, Some(Duration::from_secs(99)));
    says(&health, Level::Ok, "inactive: not subscribed to /camera");
}
