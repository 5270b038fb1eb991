//! The report on nominal drives as one self-contained HTML page.

use image::ImageError;
use maud::{Markup, html};

use super::drive::Shown;
use crate::evaluation::report_page::{Gallery, document, notes, tile};
use crate::monitor::DriveSummary;

/// Everything that is on the page.
pub(super) struct CalibrationPage<'a> {
    pub(super) drives: &'a [DriveSummary],
    pub(super) shown: &'a [Shown],
    /// Why drives may not be nominal, in sentences.
    pub(super) strange: &'a [String],
    /// What the user should know about the monitor, in sentences.
    pub(super) notes: &'a [String],
}

impl CalibrationPage<'_> {
    /// The page as HTML.
    pub(super) fn html(&self) -> Result<String, ImageError> {
        let title = "Calibration on nominal drives";
        let galleries = self.shown.iter().map(gallery).collect::<Result<Vec<Markup>, ImageError>>()?;
        let said: Vec<String> = self.strange.iter().chain(self.notes).cloned().collect();
        let body = html! {
            header { h1 { (title) } (self.tiles()) (notes(&said)) }
            section id="drives" { h2 { "How the promise holds" } (self.table()) }
            section id="strangest" { h2 { "Strangest images" } @for gallery in galleries { (gallery) } }
        };
        Ok(document(title, "", &body))
    }

    fn tiles(&self) -> Markup {
        let sum = |count: fn(&DriveSummary) -> usize| self.drives.iter().map(count).sum::<usize>();
        html! {
            div.tiles {
                (tile("drives", self.drives.len(), "in which nothing is strange"))
                (tile("images", sum(|drive| drive.images.images), "judged"))
                (tile("tracks", sum(|drive| drive.images.tracks), "count as independent"))
                (tile("left out", self.shown.iter().map(|one| one.left_out).sum::<u64>(), "could not be judged"))
            }
        }
    }

    fn table(&self) -> Markup {
        html! {
            p { "Share of a drive's images that alarm at a nominal 10, 1 and 0.1 %: by the monitor as it was, and calibrated on all
                other drives, as a drive of next week would be met. The fewer tracks a drive has, the further it may be from
                the nominal rates." }
            div.scroll {
                table.figures {
                    thead { tr { th { "drive" } th { "images" } th { "tracks" } th { "before" } th { "calibrated on the others" } } }
                    tbody {
                        @for drive in self.drives {
                            tr {
                                th { (drive.name) }
                                td { (drive.images.images) }
                                td { (drive.images.tracks) }
                                td { (drive.before.in_words()) }
                                td { (drive.after_in_words()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn gallery(shown: &Shown) -> Result<Markup, ImageError> {
    let gallery = Gallery {
        title: shown.drive.clone(),
        caption: format!("The {} images with the smallest p-values by the monitor as it was.", shown.strangest.len()),
        exhibits: shown.strangest.clone(),
    };
    gallery.render()
}
