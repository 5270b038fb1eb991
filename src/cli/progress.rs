//! Progress bars.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts images.
pub(super) fn of_images(length: u64, title: &str) -> ProgressBar {
    bar(length, "{prefix:<16} {wide_bar} {human_pos}/{human_len} {per_sec} {eta} left").with_prefix(title.to_owned())
}

/// A bar that looks as indicatif's `template` says. Draws on stderr, and only where that is a terminal.
pub(super) fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template(template);
    style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
}
