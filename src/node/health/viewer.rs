//! The status of the live view.

use super::diagnostics::{Level, Status};

/// State of the live view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerHealth {
    /// Where the view goes, in words.
    pub target: String,
    /// Frames that reached rerun.
    pub shown: u64,
    /// Frames dropped because rerun was slower than the camera.
    pub dropped: u64,
    /// Frames that were lost because nobody was there or nothing could be written.
    pub failed: u64,
    /// Why frames are not shown at present.
    pub failure: Option<String>,
}

/// The status of the view; `None` when it is off.
#[must_use]
pub fn status(viewer: Option<&ViewerHealth>) -> Status {
    let off = ViewerHealth { target: "off".into(), shown: 0, dropped: 0, failed: 0, failure: None };
    let ViewerHealth { target, shown, dropped, failed, failure } = viewer.unwrap_or(&off);
    let (level, message) = match failure {
        Some(failure) => (Level::Warn, format!("the live view fails: {failure}")),
        None => (Level::Ok, target.clone()),
    };
    let values = vec![
        ("viewer", target.clone()),
        ("viewer_shown", shown.to_string()),
        ("viewer_dropped", dropped.to_string()),
        ("viewer_failed", failed.to_string()),
        ("viewer_failure", failure.clone().unwrap_or_default()),
    ];
    Status { level, name: "viewer".to_owned(), message, values }
}

#[cfg(test)]
mod tests {
    use super::super::diagnostics::tests::value;
    use super::*;

    #[test]
    fn a_view_that_fails_warns() {
        let viewer = ViewerHealth { target: "file x".into(), shown: 3, dropped: 2, failed: 1, failure: None };
        let well = status(Some(&viewer));
        assert_eq!((well.level, well.message.as_str(), value(&well, "viewer_dropped")), (Level::Ok, "file x", "2"));
        let fails = status(Some(&ViewerHealth { failure: Some("the disk is full".into()), ..viewer }));
        assert_eq!((fails.level, fails.message.as_str()), (Level::Warn, "the live view fails: the disk is full"));
        assert_eq!((value(&fails, "viewer_failed"), value(&fails, "viewer_failure")), ("1", "the disk is full"));
    }

    #[test]
    fn no_view_is_well() {
        let off = status(None);
        assert_eq!((off.level, off.message.as_str(), value(&off, "viewer_shown")), (Level::Ok, "off", "0"));
    }
}
