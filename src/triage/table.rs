//! All regions as a table for other programs (CSV, RFC 4180).

use std::collections::HashMap;
use std::fmt::Write;

use super::{Cause, Group, Sighting};

const HEAD: &str = "event,camera,stamp,object,predicted_class,score,p_value,verdict,nearest_class,group,explanation,\
                    x,y,width,height\n";

/// One row per region, in the order of `sightings`. `stamp` is in seconds since the epoch, `group` the number of the group on
/// the page.
#[must_use]
pub fn csv(sightings: &[Sighting], groups: &[Group<'_>]) -> String {
    let numbers: HashMap<&Cause, usize> =
        groups.iter().enumerate().map(|(index, group)| (group.cause, index + 1)).collect();
    let mut text = HEAD.to_owned();
    for sighting in sightings {
        text.push_str(&row(sighting, numbers.get(&sighting.cause).copied().unwrap_or(0)));
    }
    text
}

fn row(sighting: &Sighting, group: usize) -> String {
    let Sighting { event, camera, stamp_nanos, object, predicted, score, p_value, verdict, cause, .. } = sighting;
    let stamp = format!("{}.{:09}", stamp_nanos / 1_000_000_000, stamp_nanos % 1_000_000_000);
    let [event, camera, object, predicted, nearest, explanation] =
        [event, camera, object, predicted, &cause.nearest, &sighting.explanation].map(|text| quoted(text));
    let region = sighting.region;
    let mut row = format!("{event},{camera},{stamp},{object},{predicted},{score},{p_value},{verdict},{nearest},");
    let _ = writeln!(row, "{group},{explanation},{},{},{},{}", region.x, region.y, region.width, region.height);
    row
}

/// A field, quoted where it has to be.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        assert_eq!(quoted("plain text"), "plain text");
        assert_eq!(quoted("a, \"b\"\n"), "\"a, \"\"b\"\"\n\"");
    }
}
