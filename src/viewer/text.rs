//! The verdicts of one image in words.

use std::fmt::Write as _;

use super::frame::{ViewFrame, ViewRegion};
use crate::calibration::p_text;

/// Unusual channels that are named.
const MOST_CHANNELS: usize = 4;

/// Markdown: the verdict that matters most as a heading, then a table of all regions.
#[must_use]
pub fn verdict_text(frame: &ViewFrame) -> String {
    let Some(focus) = frame.focus() else {
        return "# nothing to judge in this image".to_owned();
    };
    let mut text = format!("# {}\n\n{}\n\n", focus.verdict.as_str(), explanation(focus));
    text.push_str("| region | class | score | p-value | verdict |\n|---|---|---|---|---|\n");
    for region in &frame.regions {
        let _ = writeln!(text, "{}", row(region));
    }
    text
}

/// One paragraph of Markdown on a layer: its most unusual channels (with p-values, the smallest first) and the bits of its
/// pattern that differ from the nearest one seen in training, with all bits.
#[must_use]
pub fn deviation_text(layer: &str, channels: &[(usize, f64)], unusual: f64, bits: Option<(usize, usize)>) -> String {
    let count = channels.iter().filter(|(_, p_value)| *p_value <= unusual).count();
    let mut parts = Vec::new();
    if !channels.is_empty() {
        let first = channels.iter().take(MOST_CHANNELS.min(count));
        let named: Vec<String> = first.map(|(channel, p_value)| format!("{channel} (p {p_value:.1e})")).collect();
        let named = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
        parts.push(format!("{count} of {} channels unusual{named}", channels.len()));
    }
    parts.extend(bits.map(|(differing, all)| format!("{differing} of {all} bits differ from the nearest pattern")));
    if parts.is_empty() { String::new() } else { format!("\n**{layer}**: {}\n", parts.join("; ")) }
}

fn explanation(focus: &ViewRegion) -> String {
    let strangest = focus.detectors.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    match (focus.p_value, strangest) {
        (Some(p_value), Some((name, least))) => {
            format!(
                "**{}** looks like the training data with p = {}; least to `{name}` (p = {})",
                name_of(focus),
                p_text(p_value),
                p_text(*least)
            )
        }
        (Some(p_value), None) => {
            format!("**{}** looks like the training data with p = {}", name_of(focus), p_text(p_value))
        }
        (None, _) => focus.reason.clone(),
    }
}

fn row(region: &ViewRegion) -> String {
    let p_value = region.p_value.map_or_else(|| "–".to_owned(), p_text);
    let ViewRegion { class_name, score, verdict, .. } = region;
    format!("| {} | {class_name} | {score:.2} | {p_value} | {} |", name_of(region), verdict.as_str())
}

fn name_of(region: &ViewRegion) -> String {
    let rectangle = region.region;
    match region.id.as_str() {
        "" if rectangle.is_whole() => "whole image".to_owned(),
        "" => format!("{}×{} at {}, {}", rectangle.width, rectangle.height, rectangle.x, rectangle.y),
        id => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::{frame, region};
    use super::*;
    use crate::frame::Region;
    use crate::monitor::Verdict;

    #[test]
    fn the_strangest_region_is_the_heading_and_all_are_listed() {
        let mut strange = region("", Some(0.004));
        strange.verdict = Verdict::OutOfDistribution;
        let text = verdict_text(&frame(vec![region("sign_1", Some(0.4)), strange]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "# OUT_OF_DISTRIBUTION");
        assert!(lines[2].contains("**2×1 at 1, 0**") && lines[2].contains("`mahalanobis` (p = 0.020)"), "{}", lines[2]);
        assert_eq!(lines[6], "| sign_1 | stop | 0.98 | 0.400 | IN_DISTRIBUTION |");
        assert_eq!(lines[7], "| 2×1 at 1, 0 | stop | 0.98 | 0.004 | OUT_OF_DISTRIBUTION |");
    }

    #[test]
    fn a_layer_in_words() {
        let channels = [(7, 1e-5), (3, 0.004), (0, 0.5)];
        let text = deviation_text("stage2", &channels, 0.01, Some((12, 192)));
        assert_eq!(
            text,
            "\n**stage2**: 2 of 3 channels unusual: 7 (p 1.0e-5), 3 (p 4.0e-3); 12 of 192 bits differ from the nearest pattern\n"
        );
        assert_eq!(deviation_text("a", &channels[2..], 0.01, None), "\n**a**: 0 of 1 channels unusual\n");
        assert_eq!(deviation_text("a", &[], 0.01, None), "");
    }

    #[test]
    fn no_region_and_no_p_value() {
        assert_eq!(verdict_text(&frame(vec![])), "# nothing to judge in this image");
        let mut whole = region("", None);
        whole.region = Region::WHOLE;
        whole.reason = "no monitor loaded".into();
        let text = verdict_text(&frame(vec![whole]));
        assert!(text.contains("no monitor loaded") && text.contains("| whole image | stop | 0.98 | – |"), "{text}");
    }
}
