//! What all pages of this program are made of.

use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

/// Style of all pages.
pub(super) const STYLE: &str = include_str!("style.css");

/// A page that needs nothing else; `own_style` follows the style of all pages.
pub(crate) fn document(title: &str, own_style: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(own_style)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// A figure to see first.
pub(crate) fn tile(label: &str, value: impl Render, detail: impl Render) -> Markup {
    html! { div.tile { span.label { (label) } span.value { (value) } span.detail { (detail) } } }
}

/// Sentences to read before the rest; nothing without any.
pub(crate) fn notes(notes: &[String]) -> Markup {
    html! { @if !notes.is_empty() { div.notes { @for note in notes { p { (note) } } } } }
}
