//! Colours, fonts and numbers that all pieces share.

use std::borrow::Cow;

use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_7X13, FONT_7X13_BOLD, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::WebColors;

use crate::canvas::text_width;
use crate::monitor::{Levels, Verdict};

pub(super) const TITLE: &MonoFont<'static> = &FONT_10X20;
pub(super) const HEADING: &MonoFont<'static> = &FONT_7X13_BOLD;
pub(super) const TEXT: &MonoFont<'static> = &FONT_7X13;
pub(super) const SMALL: &MonoFont<'static> = &FONT_6X10;

pub(super) const INK: Rgb888 = Rgb888::new(34, 34, 34);
pub(super) const FAINT: Rgb888 = Rgb888::new(110, 110, 110);
/// Values that are NaN or infinite. Not a colour of viridis.
pub(super) const NOT_FINITE: Rgb888 = Rgb888::CSS_MAGENTA;
/// Bars that nothing is known to be wrong with.
pub(super) const BAR: Rgb888 = Rgb888::new(70, 110, 160);
/// Text on white that is to be seen.
pub(super) const WARNING: Rgb888 = Rgb888::new(190, 20, 20);

pub(super) fn style(font: &'static MonoFont<'static>, color: Rgb888) -> MonoTextStyle<'static, Rgb888> {
    MonoTextStyle::new(font, color)
}

pub(super) fn color([red, green, blue]: [u8; 3]) -> Rgb888 {
    Rgb888::new(red, green, blue)
}

/// Colour of a channel with this p-value where it is unusual at the usual levels; `None` where it is not.
pub(super) fn alarm_color(p_value: f64) -> Option<Rgb888> {
    match Levels::default().verdict(p_value as f32) {
        verdict @ (Verdict::Suspect | Verdict::OutOfDistribution) => Some(color(verdict.rgb())),
        Verdict::InDistribution | Verdict::Unknown => None,
    }
}

/// Height of a line of text in pixels, the space below it included.
pub(super) fn line_height(font: &MonoFont<'_>) -> u32 {
    font.character_size.height + 3
}

/// As much of a text as is `width` pixels wide; where something is cut off, it ends in dots.
pub(super) fn fitted<'a>(text: &'a str, font: &MonoFont<'_>, width: u32) -> Cow<'a, str> {
    if text_width(text, font) <= width {
        return Cow::Borrowed(text);
    }
    let room = width / text_width("x", font).max(1);
    let kept: String = text.chars().take((room as usize).saturating_sub(3)).collect();
    Cow::Owned(kept + "...")
}

/// A text in lines of at most `width` pixels, broken between words.
pub(super) fn wrapped(text: &str, font: &MonoFont<'_>, width: u32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), font) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_broken_where_there_is_no_more_room() {
        assert_eq!(fitted("stage1", TEXT, 42), "stage1");
        assert_eq!(fitted("a long name", TEXT, 49), "a lo...");
        assert_eq!(fitted("a long name", TEXT, 7), "...");
        assert_eq!(wrapped("one two three", TEXT, 7 * 8), ["one two", "three"]);
        assert_eq!(wrapped("incomprehensibilities", TEXT, 7), ["incomprehensibilities"]);
        assert!(wrapped(" ", TEXT, 100).is_empty());
    }

    #[test]
    fn only_unusual_channels_are_coloured() {
        assert_eq!(alarm_color(0.5), None);
        assert_eq!(alarm_color(f64::NAN), None);
        assert_eq!(alarm_color(0.04), Some(color(Verdict::Suspect.rgb())));
        assert_eq!(alarm_color(0.0), Some(color(Verdict::OutOfDistribution.rgb())));
    }
}
