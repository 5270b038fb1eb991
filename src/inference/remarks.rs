//! What users should know of their images, said once.

use std::collections::HashSet;

use crate::frame::Note;

/// Different notes of one camera that are said at most.
const MAX_NOTES: usize = 16;

/// Notes of one camera that were said already.
#[derive(Debug, Default)]
pub struct Remarks(HashSet<Note>);

impl Remarks {
    /// Logs the notes that are new. `camera` is its name.
    pub fn say(&mut self, camera: &impl std::fmt::Display, notes: &[Note]) {
        for note in notes {
            if self.is_new(note) {
                tracing::warn!("{camera}: {}", in_words(note));
            }
        }
    }

    fn is_new(&mut self, note: &Note) -> bool {
        self.0.len() < MAX_NOTES && self.0.insert(note.clone())
    }
}

/// The note, with the parameter that it is about.
#[must_use]
pub fn in_words(note: &Note) -> String {
    match note {
        Note::BitDepth { .. } => format!("{note} (parameter bit_depth)"),
        Note::ColourLost { .. } => note.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_note_is_new_once() {
        let (mut remarks, lost) = (Remarks::default(), Note::ColourLost { original: "bgr8" });
        assert!(remarks.is_new(&lost) && !remarks.is_new(&lost));
        assert!((0..99).filter(|bits| remarks.is_new(&Note::BitDepth { bits: *bits })).count() < MAX_NOTES);
        assert!(in_words(&Note::BitDepth { bits: 12 }).ends_with("(parameter bit_depth)"));
    }
}
