//! What is on the page below its header.

use maud::{Markup, html};

use super::palette::Pen;
use super::{PageError, ReportPage, charts, tables};
use crate::evaluation::{CONFIDENCE, FUSED, OodReport, ScoredSet};

/// A part of the page that the navigation leads to.
pub(super) struct Section {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) content: Markup,
}

impl Section {
    fn new(id: impl Into<String>, title: impl Into<String>, content: Markup) -> Self {
        Self { id: id.into(), title: title.into(), content }
    }
}

/// How the OOD sets are drawn where several are in one chart.
fn set_pens<'a>(page: &'a ReportPage<'_>) -> Vec<(&'a str, Pen)> {
    page.ood.keys().enumerate().map(|(index, name)| (name.as_str(), Pen::number(index))).collect()
}

fn chart(caption: &str, svg: &Markup) -> Markup {
    html! { figure.chart { figcaption { (caption) } (svg) } }
}

impl ReportPage<'_> {
    pub(super) fn sections(&self) -> Result<Vec<Section>, PageError> {
        let pens = charts::pens(self.known.detectors().keys());
        let mut sections = vec![
            Section::new("known", "Known images", self.known_section(&pens)?),
            Section::new("alarms", "Realised false alarms", self.alarm_section(&pens)?),
            Section::new("classes", "False alarms by class", self.class_section()),
        ];
        if let Some(table) = tables::objects(self.report) {
            sections.push(Section::new("objects", "Objects", object_section(&table)));
        }
        for (index, (name, set)) in self.report.ood.iter().enumerate() {
            if let Some(scored) = self.ood.get(name) {
                let content = self.ood_section(set, scored)?;
                sections.push(Section::new(format!("ood-{index}"), format!("OOD {name}"), content));
            }
        }
        sections.push(Section::new("scores", "Scores", self.score_section(&pens)?));
        sections.push(Section::new("images", "Images", self.image_section()?));
        sections.push(Section::new("terms", "Terms", terms()));
        Ok(sections)
    }

    fn known_section(&self, pens: &[(&str, Pen)]) -> Result<Markup, PageError> {
        let report = &self.report.in_distribution;
        let risk = report.accuracy.map(|accuracy| 1.0 - accuracy).filter(|risk| *risk > 0.0);
        let curves = risk.map(|risk| charts::risk_coverage(self.known, pens, risk)).transpose()?;
        Ok(html! {
            p { "Images of classes that the network knows. How well does a score tell misclassified images, and how
                often is a known image alarmed? All figures in %, with 95 % confidence intervals." }
            div.scroll { (tables::known(report, pens)) }
            @if let Some(curves) = curves {
                h3 { "Risk and coverage" }
                (tables::legend(pens))
                div.one { (chart("share of errors when only the least suspicious images are trusted", &curves)) }
            } @else {
                p { "No image is misclassified, so there is no risk to show." }
            }
        })
    }

    fn alarm_section(&self, pens: &[(&str, Pen)]) -> Result<Markup, PageError> {
        let report = &self.report.in_distribution;
        let curves = charts::alarm_rates(self.known, pens, report.detectors.get(FUSED))?;
        Ok(html! {
            p { "A calibrated p-value is at or below 1 % for at most one in a hundred images that are like those of the
                calibration. A curve above the dashed line means more false alarms than nominal: these images are not
                quite like those. The bars are binomial " (100.0 * CONFIDENCE) "\u{a0}% confidence intervals of the
                fused p-value; they take images for independent and are too narrow where several show the same object
                (by their file names these " (report.images) " images are of " (report.tracks) " tracks)." }
            (tables::legend(pens))
            div.one { (chart("realised over nominal false-alarm rate", &curves)) }
        })
    }

    fn class_section(&self) -> Markup {
        html! {
            p { "Fused p-value, the class with the highest rate at 1 % first. Bars: realised rate with its interval; the
                thin upright line marks the nominal 1 %. With fewer tracks than images, the interval is too narrow." }
            div.scroll { (tables::classes(&self.report.in_distribution)) }
        }
    }

    fn ood_section(&self, report: &OodReport, scored: &ScoredSet) -> Result<Markup, PageError> {
        let pens = charts::pens(scored.detectors().keys());
        let linear = charts::roc(self.known, scored, &pens, false)?;
        let logarithmic = charts::roc(self.known, scored, &pens, true)?;
        Ok(html! {
            p { (report.images) " images of unknown things against " (self.report.in_distribution.images) " known ones.
                All figures in %, with 95 % confidence intervals." }
            div.scroll { (tables::unknown(report, &pens)) }
            h3 { "ROC curves" }
            (tables::legend(&pens))
            div.pair {
                (chart("linear", &linear))
                (chart("false alarms on a logarithmic axis", &logarithmic))
            }
        })
    }

    fn score_section(&self, pens: &[(&str, Pen)]) -> Result<Markup, PageError> {
        let sets = set_pens(self);
        let histogram = |name: &str, large: bool| charts::histogram(name, self.known, self.ood, &sets, large);
        let fused = pens.iter().any(|(name, _)| *name == FUSED).then(|| histogram(FUSED, true)).transpose()?;
        let single = pens.iter().filter(|(name, _)| *name != FUSED);
        let single =
            single.map(|(name, _)| Ok((*name, histogram(name, false)?))).collect::<Result<Vec<_>, PageError>>()?;
        Ok(html! {
            p { "Higher is less like the training data. Scores beyond an axis count in the outermost bins." }
            p.legend {
                span { (Pen::KNOWN.swatch()) " known images (filled)" }
                @for (name, pen) in &sets { span { (pen.swatch()) " " (name) } }
            }
            @if let Some(fused) = fused {
                div.one { (chart("fused: weighted mean of −ln p over the families of detectors", &fused)) }
            }
            div.small { @for (name, svg) in &single { (chart(name, svg)) } }
        })
    }

    fn image_section(&self) -> Result<Markup, PageError> {
        let galleries = self.galleries.iter().map(|gallery| gallery.render()).collect::<Result<Vec<_>, _>>()?;
        Ok(html! {
            p { "As the network sees them: cut out and resized to its input. In bold the predicted class, below it the
                fused p-value and what deviates most according to the most suspicious detectors." }
            @for gallery in galleries { (gallery) }
        })
    }
}

fn object_section(table: &Markup) -> Markup {
    html! {
        p { "All views of a track together, as " code { "OodConfidence.object" } " says it. A known object may be looked at
            after every view: it is promised that the share of those that are ever alarmed is at most nominal. Tracks of fewer
            than eight views are left out. AUROC and FPR95 are of the evidence after the last view." }
        div.scroll { (table) }
    }
}

fn terms() -> Markup {
    html! {
        dl.terms {
            dt { "AUROC" }
            dd { "Probability that an OOD image (or a misclassified one) scores higher than a known image (or a
                correctly classified one); ties count one half." }
            dt { "AUPR" }
            dd { "Average precision, with OOD (out) or known images (in) as the positive class." }
            dt { "FPR95" }
            dd { "Share of known images alarmed at the threshold that catches 95 % of OOD." }
            dt { "Detection accuracy" }
            dd { "1 − min ½ (FNR + FPR) over all thresholds: the best accuracy when OOD is as frequent as known images
                (Liang et al., ICLR 2018)." }
            dt { "AURC" }
            dd { "Area under the risk-coverage curve: mean share of errors among the images trusted most, over all
                coverages (Geifman et al., ICLR 2019); lower is better." }
            dt { "Alarmed at a nominal rate" }
            dd { "Share of images whose conformal p-value is at or below that rate. No threshold depends on OOD data." }
            dt { "Confidence intervals" }
            dd { "95 %. Alarm rates: binomial (Clopper and Pearson 1934). All others: percentile bootstrap (Efron and
                Tibshirani 1993, §13), in which the tracks of known images are drawn whole and OOD images one by one." }
            dt { "Track" }
            dd { "All images that show one object: those whose file names are the same up to the last underscore." }
        }
    }
}
