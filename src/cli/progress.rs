//! Progress bars.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that looks as indicatif's `template` says. Draws on stderr, and only where that is a terminal.
pub(super) fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template(template);
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}
