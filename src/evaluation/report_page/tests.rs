use image::{Rgb, RgbImage};

use super::parts::STYLE;
use super::*;
use crate::evaluation::{Bootstrap, ScoredImage};

const DETECTORS: [&str; 4] = ["msp", "mahalanobis", "<knn>", FUSED];

/// Known images, or unknown ones, whose scores are somewhat higher.
fn set(images: u16, unknown: bool) -> ScoredSet {
    let mut set = ScoredSet::default();
    for number in 0..images {
        let class = usize::from(number % 3);
        let image = ScoredImage {
            key: format!("{class}/{}_{}.png", number / 6, number % 6),
            class: (!unknown).then_some(class),
            predicted: if number % 20 == 7 { 0 } else { class },
        };
        let score = f32::from(number * 83 % 1009) / 1009.0 + 0.6 * f32::from(u8::from(unknown));
        set.push(
            image,
            DETECTORS
                .iter()
                .zip([1.0, -2.0, 1e6, 5.0])
                .map(|(name, scale)| (*name, scale * score, (1.0 - score).max(0.001))),
        );
    }
    set
}

fn classes() -> Vec<String> {
    ["stop", "<b>yield</b>", "no \"entry\" & more"].map(str::to_owned).to_vec()
}

fn gallery(title: &str) -> Gallery {
    let exhibit = |number: u8| Exhibit {
        key: format!("{number}/<i>.png"),
        image: RgbImage::from_pixel(4, 4, Rgb([number; 3])),
        predicted: classes()[1].clone(),
        truth: Some(classes()[2].clone()),
        p_value: 0.0125,
        findings: vec![
            Finding { detector: "msp".into(), p_value: 0.01, text: "stage2 channel 17: 0.83, expected 0.12".into() },
            Finding { detector: "<knn>".into(), p_value: 0.02, text: "nearest: `<b>yield</b>`".into() },
        ],
    };
    Gallery { title: title.into(), caption: "chosen <somehow>".into(), exhibits: (0..3).map(exhibit).collect() }
}

fn page(known: &ScoredSet, ood: &BTreeMap<String, ScoredSet>) -> String {
    let report = EvaluationReport::new(&classes(), known, ood, None, Bootstrap { resamples: 50, seed: 1 });
    ReportPage {
        model: "signs <1>",
        facts: vec![("monitor", "a & b".to_owned())],
        notes: &["a note <x>".to_owned()],
        command: "activation-monitor evaluate --ood 'a<b'".to_owned(),
        report: &report,
        known,
        ood,
        galleries: vec![gallery("Most suspicious"), gallery("Least suspicious")],
    }
    .html()
    .unwrap()
}

fn full_page() -> String {
    let ood = BTreeMap::from([("noise".to_owned(), set(90, true)), ("<s>cats</s>".to_owned(), set(40, true))]);
    page(&set(300, false), &ood)
}

#[test]
fn every_section_is_there_and_linked() {
    let html = full_page();
    for id in ["known", "alarms", "classes", "ood-0", "ood-1", "scores", "images", "terms"] {
        assert!(html.contains(&format!("<section id=\"{id}\">")), "{id}");
        assert!(html.contains(&format!("href=\"#{id}\"")), "{id}");
    }
    // Risk and coverage, alarm rates, two ROC plots per set, one histogram per detector.
    assert_eq!(html.matches("<figure class=\"chart\">").count(), 2 + 2 * 2 + DETECTORS.len());
    assert_eq!(html.matches("data:image/png;base64,").count(), 6);
    for text in
        ["Risk and coverage", "stage2 channel 17: 0.83, expected 0.12", "p = 0.013", "activation-monitor evaluate"]
    {
        assert!(html.contains(text), "{text}");
    }
}

#[test]
fn nothing_comes_from_elsewhere() {
    let html = full_page();
    for forbidden in ["http:", "https:", "<script", "<link", "<iframe", "@import", "url(", "src=\"/", "file:"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    let sources = html.matches(" src=\"").count();
    assert_eq!(sources, html.matches(" src=\"data:").count());
}

#[test]
fn names_are_escaped() {
    let html = full_page();
    for name in ["<b>yield", "<s>cats", "<knn>", "signs <1>", "a note <x>", "a<b", "<i>.png", "<somehow>"] {
        assert!(!html.contains(name), "{name}");
    }
    for name in ["&lt;b&gt;yield&lt;/b&gt;", "&lt;s&gt;cats", "no &quot;entry&quot; &amp; more", "a &amp; b"] {
        assert!(html.contains(name), "{name}");
    }
}

/// Elements of HTML that have no end.
const VOID: [&str; 4] = ["br", "img", "meta", "!DOCTYPE"];

/// Checks that every element is closed in the right order, and gives their names.
fn elements(html: &str) -> Vec<String> {
    let (mut open, mut names) = (Vec::new(), Vec::new());
    let markup = html.replace(STYLE, "");
    for part in markup.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap();
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap().to_owned();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "<{tag}>");
        } else if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name);
        } else {
            names.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    names
}

#[test]
fn the_markup_is_well_formed() {
    let html = full_page();
    let names = elements(&html);
    assert!(names.iter().any(|name| name == "polyline") && names.iter().any(|name| name == "img"));
    assert!(!html.contains("NaN"));
}

#[test]
fn the_same_evaluation_gives_the_same_bytes() {
    assert!(full_page() == full_page());
}

#[test]
fn little_data_makes_a_page_too() {
    let nothing = page(&ScoredSet::default(), &BTreeMap::new());
    elements(&nothing);
    let little = page(&set(1, false), &BTreeMap::from([("one".to_owned(), set(1, true))]));
    elements(&little);
    assert!(little.contains("No image is misclassified") && little.contains("<td>–</td>"), "{little}");
}
