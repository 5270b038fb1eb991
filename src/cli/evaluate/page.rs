//! The page of an evaluation.

use super::{Evaluate, Evaluated, Judge};
use crate::{
    evaluation::report_page::{Gallery, ReportPage},
    monitor::Metadata,
};

impl Evaluate {
    /// The page as HTML.
    pub(super) fn page(
        &self,
        judge: &Judge<'_>,
        evaluated: &Evaluated,
        galleries: Vec<Gallery>,
    ) -> anyhow::Result<String> {
        let metadata = judge.monitor.metadata();
        let page = ReportPage {
            model: &judge.extractor.classifier.manifest().name,
            facts: self.facts(metadata, evaluated),
            notes: &metadata.notes,
            command: command(std::env::args().skip(1)),
            report: &evaluated.report,
            known: &evaluated.known,
            ood: &evaluated.ood,
            galleries,
        };
        Ok(page.html()?)
    }

    fn facts(&self, metadata: &Metadata, evaluated: &Evaluated) -> Vec<(&'static str, String)> {
        let Metadata { tool_version, model, detectors, training, calibration, .. } = metadata;
        let names: Vec<&str> = detectors.iter().map(|detector| detector.name.name()).collect();
        let known = &evaluated.report.in_distribution;
        let mut facts = vec![
            ("model", format!("{} (SHA-256 {})", self.model.folder().display(), model.sha256)),
            ("classes", model.classes.len().to_string()),
            ("monitor", format!("{}, fitted by version {tool_version}", self.monitor.display())),
            ("detectors", format!("{}: {}", names.len(), names.join(", "))),
            ("training", training.in_words()),
            ("calibration", calibration.in_words()),
            (
                "known images",
                format!("{} of {} tracks in {}", known.images, known.tracks, self.in_distribution.display()),
            ),
        ];
        for set in &self.ood {
            let images = evaluated.report.ood.get(&set.name).map_or(0, |report| report.images);
            facts.push(("OOD images", format!("{}: {images} in {}", set.name, set.folder.display())));
        }
        facts
    }
}

/// The command line for a shell.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let quoted = arguments.map(|argument| quoted(&argument));
    ["activation-monitor".to_owned()].into_iter().chain(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(argument: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_./=:,+@%".contains(character);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let arguments = ["evaluate", "--ood", "a=b c/d", "it's", ""].map(str::to_owned);
        assert_eq!(command(arguments.into_iter()), r"activation-monitor evaluate --ood 'a=b c/d' 'it'\''s' ''");
    }
}
