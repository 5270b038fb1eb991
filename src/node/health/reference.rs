//! The table of what is in `/diagnostics`: tasks, keys, findings. `docs/diagnostics.md` is made of it.

use std::fmt::Write as _;

use crate::counters::latency::{STAGES, StageKeys};

/// One status of the message.
struct Task {
    name: &'static str,
    about: &'static str,
    keys: &'static [Key],
    findings: &'static [Finding],
}

/// A value of a status.
struct Key {
    name: &'static str,
    meaning: &'static str,
}

/// Something that is not well.
struct Finding {
    level: &'static str,
    /// A part of the message, as it stands in the code.
    says: &'static str,
    remedy: &'static str,
}

const fn key(name: &'static str, meaning: &'static str) -> Key {
    Key { name, meaning }
}

const fn finding(level: &'static str, says: &'static str, remedy: &'static str) -> Finding {
    Finding { level, says, remedy }
}

const TASKS: &[Task] = &[
    Task { name: "camera", about: CAMERA, keys: CAMERA_KEYS, findings: CAMERA_FINDINGS },
    Task { name: "inference", about: INFERENCE, keys: INFERENCE_KEYS, findings: INFERENCE_FINDINGS },
    Task { name: "viewer", about: VIEWER, keys: VIEWER_KEYS, findings: VIEWER_FINDINGS },
    Task { name: "black_box", about: BLACK_BOX, keys: BLACK_BOX_KEYS, findings: BLACK_BOX_FINDINGS },
    Task { name: "node", about: NODE, keys: NODE_KEYS, findings: NODE_FINDINGS },
];

const START: &str = "\
# Diagnostics of `monitor_node`

Made by `monitor_node --describe diagnostics`; compared with the code by a test.

The node publishes one `diagnostic_msgs/DiagnosticArray` on `/diagnostics` every `diagnostics_period_secs`, in every state
of its lifecycle, and at once when an image has been in work for longer than `deadline_secs`. Each status is called
`<full name of the node>: <task>` and has the full name of the node as `hardware_id`, for example
`/front/signs: inference`, so that `diagnostic_aggregator` can group them:

```yaml
/**:
  ros__parameters:
    path: vehicle
    signs:
      type: diagnostic_aggregator/GenericAnalyzer
      path: signs
      startswith: [\"/front/signs\"]
      timeout: 5.0
```

| level | means |
|---|---|
| OK (0) | all is well, or the node is not active and has nothing to do; the message says which |
| WARN (1) | results come, but somebody should look |
| ERROR (2) | results do not come, or come too late to be used |
| STALE (3) | images came, but none has come for `stale_after_secs` |

The worst level of a task counts; its findings of that level stand in the message, separated by semicolons. The log has a
line when the level of a task changes, and for another reason of the same level, but at most one per level and task in ten
seconds. Units are in the keys (`_secs`, `_ms`, `_hz`, `_mib`); a `_share` is in 0..1; counters are since the node was
configured; what is empty is not known yet.
";

const END: &str = "
## What is not counted

The middleware can tell that messages were lost (`MESSAGE_LOST`) and that policies do not fit
(`REQUESTED_INCOMPATIBLE_QOS`), but r2r, through which this node speaks ROS, has no events. So the policies are compared
with those of the publishers in the graph, which finds reliability, durability, deadline and liveliness. An image that was
lost before it came is counted nowhere for certain.
";

const CAMERA: &str = "\
One per camera, called `camera`, or `camera NAME` where the parameter `cameras` names them. Counters are of images, except
where they say otherwise; `received` = `judged` + `dropped` + those that wait.";

const CAMERA_KEYS: &[Key] = &[
    key("topic", "full name of the image topic, after remapping"),
    key("publishers", "publishers on it"),
    key("publisher_nodes", "their nodes"),
    key("regions_topic", "full name of the topic of regions; empty: whole images are judged"),
    key("regions_publishers", "publishers on it"),
    key("qos_mismatch", "publishers whose messages cannot arrive, and why"),
    key("received", "images that arrived"),
    key("received_hz", "images that arrived per second, over the last 10 s"),
    key("judged", "images that were answered, with whatever verdicts"),
    key("judged_hz", "images that were answered per second, over the last 10 s"),
    key("dropped", "images that were not answered"),
    key("dropped_reasons", "the same by reason"),
    key("unknown", "results (one per region, or per whole image) with verdict UNKNOWN"),
    key("unknown_reasons", "the same by kind of reason"),
    key("unknown_newest_reason", "whole reason of the newest of them"),
    key("image_notes", "what is to be known of the latest image: a bit depth that was found, colours that are lost"),
    key("region_arrays", "messages with regions that arrived"),
    key("regions_missing", "images that were answered UNKNOWN for want of regions"),
    key("time_jumps", "jumps of the stamps, back or ahead, as when a bag starts again"),
    key("last_image_age_secs", "time since the last image came, by the clock of the machine"),
    key("unanswered_secs", "time for which images have come without any being answered"),
    key("stamp_age_secs", "ROS time minus the stamp of the latest image; empty while `/clock` is awaited"),
    key("waiting", "images that wait for their regions now"),
    key("regions_unmatched", "messages with regions whose image never came: a sign of images lost on their way"),
    key("regions_late", "messages with regions that came after their image was given up"),
    key("regions_out_of_order", "messages with regions that came after those of a newer image"),
    key("regions_lateness_last_secs", "how long after `regions_timeout_secs` the latest late regions came"),
    key("regions_lateness_max_secs", "the longest of these times"),
    key("regions_over_limit", "regions beyond `max_regions`, which were not judged"),
    key("rectify_ignored", "regions with `do_rectify`, which were judged in the image as it is"),
    key("stale", "images that were answered UNKNOWN since they were older than `max_image_age_secs`"),
    key("future_stamps", "images with a stamp of more than a second in the future"),
    key("repeated_stamps", "images with the stamp of the image before"),
    key("repeated_images", "images whose bytes are those of the image before, with a newer stamp"),
    key(
        "unchanged_secs",
        "for how long the camera has shown the newest image, by the stamps; 0 up to 50 repeated images",
    ),
    key("gaps", "gaps in the row of stamps"),
    key("missing_images", "images that are probably missing in these gaps"),
    key("time_lines", "rows of rising stamps that take turns on the topic; 1 is as it should be"),
    key("clock_offset_secs", "how far these lie apart"),
    key("stamp_age_at_arrival_secs", "ROS time minus stamp when the latest image came"),
    key(
        "wait_p50_ms",
        "median time from the arrival of an image until its regions are there, over the latest 256 images",
    ),
    key("wait_p99_ms", "99th percentile of it"),
    key(
        "stream_state",
        "`NOMINAL`, `CHANGED`, or `UNKNOWN` without a monitor that is calibrated for streams; as in `~/stream_state`",
    ),
    key("stream_evidence", "evidence for a change so far"),
    key("stream_threshold", "evidence from which the state is CHANGED"),
    key("stream_alarms", "times that it became CHANGED since the node was configured or reset"),
    key("stream_hours", "time that images were watched for, in hours by their stamps, without pauses"),
    key("stream_hours_between_alarms", "that time over the number of alarms"),
    key("stream_jumps", "jumps of the stamps that made the evidence begin anew"),
    key("objects", "objects that are remembered now, by the id of their regions"),
    key("objects_reused_ids", "ids that came again after `object_timeout_secs` and were taken for another object"),
    key("objects_duplicate_ids", "regions whose id another region of the same image had; they have no object"),
    key("objects_crowded_out", "objects that were forgotten because there were more than 10,000"),
    key("overlays_published", "images published on `~/overlay/compressed`; only while somebody subscribes"),
    key("overlays_dropped", "images for it that gave way to newer ones, or could not be decoded"),
];

const SHARE_KEYS: &[Key] = &[
    key("recent_secs", "time that the shares below are of, at most 300"),
    key("recent_results", "results in that time"),
    key("recent_out_of_distribution_share", "share of them with verdict OUT_OF_DISTRIBUTION"),
    key("recent_suspect_share", "share of them with verdict SUSPECT"),
    key("recent_unknown_share", "share of them with verdict UNKNOWN"),
];

const CAMERA_FINDINGS: &[Finding] = &[
    finding("ERROR", "none has been answered for", "look at the status of inference; restart the node if it stays"),
    finding(
        "ERROR",
        "this node expects",
        "a publisher sends another type of message: set `image_transport`, or another topic; WARN when images come all the \
         same",
    ),
    finding(
        "ERROR",
        "this node asks for",
        "the policies of a publisher do not fit: set `image_qos` or `qos_overrides`; WARN when images come all the same",
    ),
    finding("STALE", "no image on", "see whether the camera runs and the network carries it"),
    finding("WARN", "nobody publishes on", "start the camera; or set the topic to one that the message names"),
    finding(
        "WARN",
        "no image yet on",
        "the publisher has sent nothing, or its images get lost: see the status of the node",
    ),
    finding(
        "WARN",
        "every image was dropped",
        "by reason: inference too slow for the rate, regions that do not come, `~/enable` switched off",
    ),
    finding("WARN", "results were UNKNOWN since the last status", "the message ends with the newest reason"),
    finding(
        "WARN",
        "seem to be lost on their way",
        "see the transport below; raise the publisher's depth, or lower its rate",
    ),
    finding(
        "WARN",
        "the newest stamp was",
        "synchronise the clocks; a bag wants `use_sim_time` and `--clock`; see `max_image_age_secs`",
    ),
    finding("WARN", "in the future", "synchronise the clocks; a bag wants `use_sim_time` and `--clock`"),
    finding("WARN", "had the stamp of the image before", "the driver sends old images again, or does not stamp them"),
    finding(
        "WARN",
        "the same image, byte for byte",
        "for `stale_after_secs` and 50 images or more the camera has sent one image with new stamps: start it again; a simulation without noise does so while nothing moves",
    ),
    finding("WARN", "time lines take turns", "two publishers with different clocks: leave one"),
    finding(
        "WARN",
        "colour is lost",
        "compress the images after they were converted to bgr8, or take the raw ones: the model was trained with colours",
    ),
    finding(
        "WARN",
        "what the camera shows is not like the training data",
        "look at the images: dirt on the lens, weather, another place? WARN until ten blocks in a row are as usual again",
    ),
    finding(
        "WARN",
        "far more than alarm_level",
        "the input drifts away from the training data: look at the images, calibrate with recent ones, or train again",
    ),
    finding("WARN", "publishers on", "leave one, or give each camera a topic of its own (parameter `cameras`)"),
];

const INFERENCE: &str = "\
Network and monitor, all cameras together. Times are of the images that were answered in the last 30 s: median, 95th and
99th percentile.";

const INFERENCE_KEYS: &[Key] = &[
    key("state", "state of the lifecycle"),
    key("device", "device the model runs on"),
    key("model", "folder of the model"),
    key("model_id", "first digits of its SHA-256, as in the answers"),
    key("model_sha256", "its SHA-256"),
    key("monitor", "monitor file; empty: classify only"),
    key("monitor_id", "first digits of its SHA-256, as in the answers"),
    key("alarm_level", "parameter of that name"),
    key("smallest_p_value", "smallest fused p-value that the monitor can reach"),
    key("reachable_alarm_level", "smallest alarm_level at which images of every class can be OUT_OF_DISTRIBUTION"),
    key("rate_hz", "images that were answered per second, over the last 10 s"),
    key("age_of_work_secs", "how long the images in work have been with the network; empty: it waits for some"),
    key("waiting_secs", "how long the oldest image has waited for the network; empty: none waits"),
    key("deadline_secs", "parameter of that name"),
];

const INFERENCE_FINDINGS: &[Finding] = &[
    finding(
        "ERROR",
        "does the model hang?",
        "an image has been in work for longer than `deadline_secs`; if it stays, restart the node",
    ),
    finding(
        "ERROR",
        "deadline_secs is",
        "the machine is too slow or too busy for the model: lower the rate, or raise `deadline_secs`",
    ),
    finding("ERROR", "nothing is being judged", "restart the node, and report it"),
    finding("ERROR", "the inference thread has ended", "clean up and configure the node again, and report it"),
    finding("ERROR", "unconfigured: <reason>", "the last transition failed: the message says why"),
    finding("WARN", "no monitor loaded", "set the parameter `monitor`"),
    finding(
        "WARN",
        "no verdict can be OUT_OF_DISTRIBUTION",
        "raise `alarm_level`, or fit the monitor with more calibration images",
    ),
    finding(
        "WARN",
        "images of some classes cannot be OUT_OF_DISTRIBUTION",
        "raise `alarm_level`, or fit the monitor with more calibration images of these classes, or `--conditioning pooled`",
    ),
];

const VIEWER: &str = "The live view in rerun.";

const VIEWER_KEYS: &[Key] = &[
    key("viewer", "where the view goes, or `off`"),
    key("viewer_shown", "frames that reached rerun"),
    key("viewer_dropped", "frames dropped because rerun was slower than the camera"),
    key("viewer_failed", "frames lost because nobody was there or nothing could be written"),
    key("viewer_failure", "why frames are not shown at present"),
];

const VIEWER_FINDINGS: &[Finding] =
    &[finding("WARN", "the live view fails", "the message says why: disk full, nobody at the address")];

const BLACK_BOX: &str =
    "The recorder of the seconds around alarms (parameter `record`). Counters are since the node was configured.";

const BLACK_BOX_KEYS: &[Key] = &[
    key("record_events", "events that were recorded"),
    key("record_prolonged", "alarms that made an event longer instead of beginning one"),
    key("record_suppressed", "alarms without an event since there were `record_max_per_hour` within the hour"),
    key("record_deleted", "events that were deleted to keep to `record_quota_mib`"),
    key(
        "record_refused",
        "events that were not begun or ended early for want of space (`record_free_mib`, `record_quota_mib`)",
    ),
    key("record_failed", "events that could not be written"),
    key("record_cut_off", "events that an earlier run did not complete, found at the start; they are kept"),
    key("record_messages", "messages in events"),
    key("record_dropped_memory", "messages that had to go early since `record_memory_mib` was used up"),
    key("record_dropped_disk", "messages of an event that the disk did not take"),
    key("record_dropped_jump", "messages from before a jump of the clock"),
    key("record_memory_mib", "memory of the messages that are kept"),
    key("record_newest_error", "the newest thing that went wrong"),
    key("record_newest_error_age_secs", "how long ago that was"),
];

const BLACK_BOX_FINDINGS: &[Finding] = &[finding(
    "WARN",
    "not everything is recorded",
    "the message says why and what to do: disk full, folder gone, memory too small; said for a minute",
)];

const NODE: &str = "The process: its name, its clock, and the transport of Fast DDS.";

const NODE_KEYS: &[Key] = &[
    key("node", "full name of the node"),
    key("namesakes", "other nodes of that name"),
    key("uptime_secs", "time since the start"),
    key("use_sim_time", "parameter of that name"),
    key("ros_time_secs", "ROS time; 0 while `/clock` is awaited"),
    key("clock_publishers", "publishers on `/clock`, with `use_sim_time`"),
    key("transport_profile", "profile of Fast DDS in force; empty: none"),
    key("segment_mib", "shared memory that the profile wants for every process"),
    key("shm_size_mib", "size of `/dev/shm`"),
    key("shm_free_mib", "what is free of it"),
    key("shared_memory", "`used`, `not used`, or `unknown` without a profile or with another middleware"),
];

const NODE_FINDINGS: &[Finding] = &[
    finding(
        "WARN",
        "too, so that their topics and services mix",
        "give each node a name or namespace of its own; a node that was killed counts for up to 20 s",
    ),
    finding(
        "WARN",
        "use_sim_time is true, but no time has come on /clock",
        "play the bag with `--clock`, or set `use_sim_time` to false",
    ),
    finding(
        "WARN",
        "images cannot come over shared memory",
        "`/dev/shm` is too small for the profile: `--shm-size=512m` or `--ipc=host` for containers; or \
         `params/fastdds_small.xml` for this node and the cameras",
    ),
    finding("WARN", "the transport profile", "the variable names a file that is not there"),
    finding("WARN", "/dev/shm has only", "works, but with little room: as above"),
    finding(
        "WARN",
        "no room for images on their way",
        "as above; `/dev/shm` may be full of what killed processes left there",
    ),
];

/// `docs/diagnostics.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = START.to_owned();
    for task in TASKS {
        line(&mut text, format_args!("\n## `{}`\n\n{}\n\n| key | |\n|---|---|", task.name, task.about));
        for (name, meaning) in task.rows() {
            line(&mut text, format_args!("| {name} | {meaning} |"));
        }
        line(&mut text, format_args!("\n| level | the message says | what to do |\n|---|---|---|"));
        for Finding { level, says, remedy } in task.findings {
            line(&mut text, format_args!("| {level} | … {} … | {remedy} |", says.replace('<', "\\<")));
        }
    }
    text + END
}

impl Task {
    /// Keys and their meanings; the three quantiles of a stage stand in one row.
    fn rows(&self) -> Vec<(String, &'static str)> {
        let plain = |keys: &'static [Key]| keys.iter().map(|key| (format!("`{}`", key.name), key.meaning));
        let stage = |stage: &StageKeys| (stage.keys.map(|key| format!("`{key}`")).join(", "), stage.meaning);
        let stages = STAGES.iter().filter(|_| self.name == "inference").map(stage);
        plain(self.keys).chain(stages).chain(plain(self.shares())).collect()
    }

    fn shares(&self) -> &'static [Key] {
        if ["camera", "inference"].contains(&self.name) { SHARE_KEYS } else { &[] }
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    let written = writeln!(text, "{content}");
    debug_assert!(written.is_ok(), "writing to a string succeeds");
}

#[cfg(test)]
mod tests {
    use super::super::diagnostics::Status;
    use super::*;

    /// The keys of a task in the order of its values.
    fn keys(name: &str) -> Vec<&'static str> {
        let task = TASKS.iter().find(|task| task.name == name).unwrap();
        let stages = STAGES.iter().filter(|_| name == "inference").flat_map(|stage| stage.keys);
        let plain = |keys: &'static [Key]| keys.iter().map(|key| key.name);
        plain(task.keys).chain(stages).chain(plain(task.shares())).collect()
    }

    #[test]
    fn every_value_of_every_status_is_described() {
        let statuses: [Status; 5] = [
            super::super::camera::tests::healthy().status(),
            super::super::inference::tests::healthy().status(),
            super::super::viewer::status(None),
            super::super::black_box::status(None),
            super::super::process::tests::healthy().status(),
        ];
        for (status, task) in statuses.iter().zip(TASKS) {
            assert_eq!(status.name, task.name);
            let found: Vec<&str> = status.values.iter().map(|(key, _)| *key).collect();
            assert_eq!(found, keys(task.name), "{}", task.name);
        }
    }

    #[test]
    fn what_messages_are_said_to_say_stands_in_the_code() {
        let code = [
            include_str!("camera.rs"),
            include_str!("inference.rs"),
            include_str!("viewer.rs"),
            include_str!("black_box.rs"),
            include_str!("process.rs"),
            include_str!("transport.rs"),
            include_str!("../input/endpoints.rs"),
            include_str!("../../frame/source.rs"),
        ];
        for Finding { says, .. } in TASKS.iter().flat_map(|task| task.findings).filter(|one| !one.says.contains('<')) {
            assert!(code.iter().any(|code| code.contains(says)), "{says}");
        }
    }

    #[test]
    fn the_file_is_up_to_date() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md");
        let written = std::fs::read_to_string(file).unwrap_or_default();
        assert!(written == markdown(), "run `monitor_node --describe diagnostics > docs/diagnostics.md`");
    }
}
