//! The groups as one self-contained HTML page, in the style of the page of an evaluation.

use image::ImageError;
use maud::{Markup, html};

use super::{Cause, Group, Object, Place};
use crate::evaluation::report_page::{data_uri, document, notes, p_value, tile};
use crate::utc::Utc;

const OWN_STYLE: &str = include_str!("style.css");
/// Crops per group.
const CROPS: usize = 8;
/// Groups on the page.
const MOST_GROUPS: usize = 200;
/// Predicted classes that are named.
const CLASSES: usize = 3;

/// Everything that is on the page.
#[derive(Debug, Clone)]
pub struct TriagePage<'a> {
    /// The groups in the order in which they are shown.
    pub groups: &'a [Group<'a>],
    /// Events that were read.
    pub events: usize,
    /// What could not be read, in sentences.
    pub notes: &'a [String],
}

impl TriagePage<'_> {
    /// The page as HTML.
    ///
    /// # Errors
    /// When a crop cannot be encoded.
    pub fn html(&self) -> Result<String, ImageError> {
        let shown = self.groups.iter().take(MOST_GROUPS).enumerate();
        let rows = shown.map(|(index, group)| row(index + 1, group)).collect::<Result<Vec<Markup>, ImageError>>()?;
        let title = "What the network did not know";
        let body = html! {
            header { h1 { (title) } (self.tiles()) (notes(self.notes)) }
            section id="groups" { h2 { "What to label next" } (self.table(&rows)) }
            section id="terms" { h2 { "Terms" } (terms()) }
        };
        Ok(document(title, OWN_STYLE, &body))
    }

    fn tiles(&self) -> Markup {
        let objects: usize = self.groups.iter().map(|group| group.objects.len()).sum();
        let regions: usize = self.groups.iter().map(Group::views).sum();
        html! {
            div.tiles {
                (tile("groups", self.groups.len(), "of the same cause and nearest class"))
                (tile("objects", objects, "once per group"))
                (tile("regions", regions, "one row each in triage.csv"))
                (tile("events", self.events, "read"))
            }
        }
    }

    fn table(&self, rows: &[Markup]) -> Markup {
        let more = self.groups.len() - rows.len();
        html! {
            @if rows.is_empty() {
                p { "No region was called out of distribution." }
            } @else {
                p { "Every row is one kind of thing that the network does not know. First comes what is least strange: it is
                    close to what the network knows, so a few labelled images of it help most." }
                div.scroll {
                    table.figures.triage {
                        thead {
                            tr {
                                th { "group" } th { "objects" } th { "median p" } th { "predicted as" } th { "seen" }
                                th { "strange because" }
                            }
                        }
                        @for row in rows { (row) }
                    }
                }
                @if more > 0 { p { (more) " more groups are in triage.csv." } }
            }
        }
    }
}

/// Two rows of the table: figures, and crops below them.
fn row(number: usize, group: &Group<'_>) -> Result<Markup, ImageError> {
    let crops = group.exhibits(CROPS).into_iter().map(crop).collect::<Result<Vec<Markup>, ImageError>>()?;
    let (first, last) = group.span_nanos();
    Ok(html! {
        tbody id={ "group-" (number) } {
            tr {
                th.name scope="row" { b { (number) ". " (cause(group.cause)) } br; (nearest(&group.cause.nearest)) }
                td { (group.objects.len()) span.ci { (plural(group.views(), "region")) } }
                td { (p_value(group.p_value())) }
                td.name { (predicted(group)) }
                td.name {
                    @for camera in group.cameras() { (camera) br; }
                    (Utc::from_nanos(first).readable())
                    @if first != last { " –" br; (Utc::from_nanos(last).readable()) }
                    span.ci { "in " (plural(group.events(), "event")) }
                }
                td.words { (group.median().best.explanation) }
            }
            tr.crops {
                td colspan="6" {
                    @if crops.is_empty() { p.caption { "The events have no images of these regions." } }
                    div.crops { @for crop in &crops { (crop) } }
                }
            }
        }
    })
}

fn crop(object: &Object<'_>) -> Result<Markup, ImageError> {
    let sighting = object.best;
    let Some(image) = &sighting.crop else { return Ok(html! {}) };
    let stamp = Utc::from_nanos(sighting.stamp_nanos).readable();
    let what = format!("{} {} {stamp} {}", sighting.event, sighting.camera, sighting.object);
    Ok(html! {
        figure {
            img src=(data_uri(image)?) alt=(sighting.predicted) title=(what);
            figcaption { (sighting.predicted) br; (p_value(sighting.p_value)) br; span.key { (sighting.object) } }
        }
    })
}

fn cause(Cause { detector, place, .. }: &Cause) -> String {
    let detector = if detector.is_empty() { "no detector named" } else { detector };
    match place {
        Place::Layer(layer) => format!("{detector}, layer {layer}"),
        Place::Class(class) => format!("{detector}, output for {class}"),
        Place::Unknown => detector.to_owned(),
    }
}

fn nearest(class: &str) -> String {
    if class.is_empty() { "nearest class not known".to_owned() } else { format!("nearest: {class}") }
}

/// The most frequent predicted classes.
fn predicted(group: &Group<'_>) -> Markup {
    let classes = group.predicted();
    let more = classes.len().saturating_sub(CLASSES);
    html! {
        @for (class, count) in classes.iter().take(CLASSES) { (class) " (" (count) ")" br; }
        @if more > 0 { "and " (more) " more" }
    }
}

fn plural(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

fn terms() -> Markup {
    html! {
        dl.terms {
            dt { "Group" }
            dd { "Regions that the same detector found most suspicious at the same layer or output, and that lie nearest to the
                same class of the training data." }
            dt { "Object" }
            dd { "All regions of one name in one event. It is shown by its strangest view, of equally strange ones by the
                largest. A region without a name is an object of its own." }
            dt { "p" }
            dd { "Share of images of known classes that are at least as strange: small is out of distribution." }
            dt { "Strange because" }
            dd { "What the most suspicious detector says about the object in the middle of the group." }
            dt { "Time" }
            dd { "Stamps of the images, in UTC." }
        }
    }
}
