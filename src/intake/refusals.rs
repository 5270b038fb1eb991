//! Why an image is answered UNKNOWN before anyone has looked at it, in words that say what to do.

use std::time::Duration;

use super::arrays::Near;
use super::pairing::Why;
use super::request::{Header, Refusal};
use super::stamp::secs;
use crate::parameters::typed::CameraSettings;

/// Regions further away than this belong to other images; they are no hint.
const NEAR: Duration = Duration::from_secs(1);

/// An image that was `age_nanos` old when it arrived and may be `limit` old; `None` when it is not too old, or when there
/// is no clock or no limit.
#[must_use]
pub fn too_old(age_nanos: Option<i64>, limit: Option<Duration>) -> Option<Refusal> {
    let (age, limit) = (secs(age_nanos?), limit?.as_secs_f64());
    let reason = format!("image {age:.1} s old when it arrived: max_image_age_secs is {limit}");
    (age > limit).then_some(Refusal { kind: "image too old", reason })
}

/// An image that was given up. `late` tells how long after their image other regions came that were too late.
#[must_use]
pub fn without_regions(why: &Why, image: &Header, settings: &CameraSettings, late: Option<Duration>) -> Refusal {
    match why {
        Why::TimedOut(near) => {
            let timeout = settings.regions_timeout.as_secs_f64();
            let hint = late.map(hint_of_late).or_else(|| near.as_ref().and_then(|near| hint_of(near, image, settings)));
            let reason =
                format!("no regions with the stamp of the image within {timeout:.2} s{}", hint.unwrap_or_default());
            Refusal { kind: "no regions in time", reason }
        }
        Why::Overtaken => Refusal {
            kind: "no regions: overtaken",
            reason: "no regions: a newer image had its regions first".to_owned(),
        },
        Why::NoRoom(full) => {
            let (images, mebibytes) = (full.images, full.bytes >> 20);
            let reason =
                format!("no room: {images} images ({mebibytes} MiB) waited for regions; lower regions_timeout_secs");
            Refusal { kind: "no room", reason }
        }
    }
}

fn hint_of_late(delay: Duration) -> String {
    let delay = delay.as_secs_f64();
    format!("; regions came {delay:.2} s after their image: raise regions_timeout_secs above that")
}

fn hint_of(near: &Near, image: &Header, settings: &CameraSettings) -> Option<String> {
    match near {
        Near::OtherFrame(theirs) => {
            let ours = &image.frame_id;
            Some(format!("; regions with that stamp have frame_id `{theirs}`, the image has `{ours}`"))
        }
        Near::OtherStamp(away) => {
            let hint = format!("; the nearest are {:.4} s away: see regions_tolerance_secs", away.as_secs_f64());
            (*away > settings.regions_tolerance && *away < NEAR).then_some(hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::waiting::Fullness;
    use crate::parameters::names::CameraName;
    use crate::parameters::settings::Settings;

    #[test]
    fn only_what_is_older_than_the_limit_is_too_old() {
        let limit = Some(Duration::from_secs(2));
        let refusal = too_old(Some(4_900_000_000), limit).unwrap();
        assert_eq!(refusal.reason, "image 4.9 s old when it arrived: max_image_age_secs is 2");
        assert_eq!(too_old(Some(2_000_000_000), limit), None);
        assert_eq!(too_old(Some(-9_000_000_000), limit), None, "of the future");
        assert_eq!((too_old(None, limit), too_old(Some(i64::MAX), None)), (None, None));
    }

    fn reason(why: &Why, late: Option<Duration>) -> String {
        let settings = Settings::default().camera(&CameraName::default());
        let image = Header { frame_id: "left".into(), ..Header::default() };
        without_regions(why, &image, &settings, late).reason
    }

    #[test]
    fn the_reason_says_what_to_do() {
        let ms = Duration::from_millis;
        assert_eq!(reason(&Why::TimedOut(None), None), "no regions with the stamp of the image within 0.50 s");
        let near = |near| reason(&Why::TimedOut(Some(near)), None);
        assert!(
            near(Near::OtherStamp(ms(12))).ends_with("; the nearest are 0.0120 s away: see regions_tolerance_secs")
        );
        assert!(near(Near::OtherStamp(ms(1000))).ends_with("within 0.50 s"), "of another image");
        let frame = near(Near::OtherFrame("right".into()));
        assert!(frame.ends_with("; regions with that stamp have frame_id `right`, the image has `left`"), "{frame}");
        let late = reason(&Why::TimedOut(Some(Near::OtherStamp(ms(12)))), Some(ms(730)));
        assert!(
            late.ends_with("; regions came 0.73 s after their image: raise regions_timeout_secs above that"),
            "{late}"
        );
        let full = Fullness { images: 41, bytes: 256 << 20 };
        let full = reason(&Why::NoRoom(full), None);
        assert_eq!(full, "no room: 41 images (256 MiB) waited for regions; lower regions_timeout_secs");
        assert_eq!(reason(&Why::Overtaken, None), "no regions: a newer image had its regions first");
    }
}
