//! Line charts as SVG.

use std::fmt::Display;

use maud::{Markup, PreEscaped, html};
use plotters::coord::{Shift, types::RangedCoordf64};
use plotters::prelude::*;

use super::palette::Pen;

/// Size of a large chart in units of its drawing. Coordinates are whole units, so a drawing is made larger than it is
/// shown.
pub(crate) const LARGE: (u32, u32) = (1100, 800);
/// Size of a small chart.
pub(crate) const SMALL: (u32, u32) = (720, 440);

const FONT: &str = "sans-serif";
const FONT_SIZE: u32 = 32;
/// Smaller letters cannot be read.
const SMALLEST_FONT_PX: u32 = 12;
/// Room for the text of a tick.
const TICK_WIDTH: u32 = 150;
const TICK_HEIGHT: u32 = 90;
const GRID: RGBColor = RGBColor(225, 225, 225);
const INK: RGBColor = RGBColor(34, 34, 34);
/// Points that are less than this share of an axis apart are drawn as one.
const RESOLUTION: f64 = 1e-3;
/// Half the width of the ends of an error bar, as a share of the axis.
const CAP: f64 = 0.012;

/// A chart could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw a chart: {0}")]
pub struct ChartError(String);

fn failed(error: impl Display) -> ChartError {
    ChartError(error.to_string())
}

/// One axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    /// Values at both ends; positive on a logarithmic axis.
    pub(crate) ends: (f64, f64),
    pub(crate) logarithmic: bool,
    /// Text of a tick.
    pub(crate) tick: fn(f64) -> String,
}

impl Axis {
    /// Shares from 0 to `end`.
    pub(crate) fn percent(label: &'static str, end: f64) -> Self {
        Self { label, ends: (0.0, end), logarithmic: false, tick: percent }
    }

    /// Numbers as they are.
    pub(crate) fn plain(label: &'static str, ends: (f64, f64)) -> Self {
        Self { label, ends, logarithmic: false, tick: number }
    }

    /// Positive numbers on a logarithmic axis.
    pub(crate) fn log_plain(label: &'static str, ends: (f64, f64)) -> Self {
        Self { logarithmic: true, ..Self::plain(label, ends) }
    }

    /// Shares from `start` to 1 on a logarithmic axis.
    pub(crate) fn log_percent(label: &'static str, start: f64) -> Self {
        Self { label, ends: (start, 1.0), logarithmic: true, tick: percent }
    }

    /// Place of a value: the value itself or its logarithm, moved onto the axis when it lies beyond.
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.ends.0, self.ends.1);
        if self.logarithmic { value.log10() } else { value }
    }

    fn places(&self) -> (f64, f64) {
        (self.place(self.ends.0), self.place(self.ends.1))
    }

    fn tick(&self, place: f64) -> String {
        (self.tick)(if self.logarithmic { 10f64.powf(place) } else { place })
    }

    /// Most ticks on an axis: one per decade where that is possible, otherwise as many as have room.
    fn ticks(&self, room: u32) -> usize {
        let (start, end) = self.places();
        if self.logarithmic { (end - start).round() as usize + 1 } else { room as usize }
    }
}

/// A share in percent with as many decimals as it needs.
fn percent(share: f64) -> String {
    let rounded = (share * 1e6).round() / 1e4;
    format!("{rounded} %")
}

/// A number with as many decimals as it needs.
fn number(value: f64) -> String {
    let rounded = (value * 1e3).round() / 1e3;
    if rounded.abs() >= 1e6 { format!("{rounded:.0e}") } else { format!("{rounded}") }
}

/// What is drawn.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// A line through points.
    Line(Vec<(f64, f64)>, Pen),
    /// The area between a line and the x axis.
    Area(Vec<(f64, f64)>, Pen),
    /// A point with its confidence interval, upright: x, y, low, high.
    Estimate([f64; 4], Pen),
}

/// A chart of several shapes, the last one on top.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// What it shows, for those who cannot see it.
    pub(crate) description: String,
    pub(crate) size: (u32, u32),
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) shapes: Vec<Shape>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Chart {
    /// The chart as an `svg` element that is as wide as what contains it.
    pub(crate) fn draw(&self) -> Result<Markup, ChartError> {
        let mut text = String::new();
        self.draw_on(&SVGBackend::with_string(&mut text, self.size).into_drawing_area())?;
        // Inside of an HTML page the element needs neither a size nor a name space.
        let inside = text.find("<svg").and_then(|start| Some(start + text[start..].find('>')? + 1));
        let (start, end) = inside.zip(text.rfind("</svg>")).ok_or_else(|| failed("there is no svg element"))?;
        let view_box = format!("0 0 {} {}", self.size.0, self.size.1);
        Ok(html! {
            svg style={ "min-width:" (self.least_width_px()) "px" } viewBox=(view_box) role="img" aria-label=(self.description) { (PreEscaped(&text[start..end])) }
        })
    }

    /// Width in CSS pixels below which nobody could read its labels.
    fn least_width_px(&self) -> u32 {
        self.size.0 * SMALLEST_FONT_PX / FONT_SIZE
    }

    fn draw_on(&self, area: &Area<'_>) -> Result<(), ChartError> {
        area.fill(&WHITE).map_err(failed)?;
        let ((left, right), (bottom, top)) = (self.x.places(), self.y.places());
        let mut context = ChartBuilder::on(area)
            .margin(12)
            .margin_top(20)
            .margin_right(40)
            .x_label_area_size(84)
            .y_label_area_size(140)
            .build_cartesian_2d(left..right, bottom..top)
            .map_err(failed)?;
        self.draw_mesh(&mut context)?;
        self.shapes.iter().try_for_each(|shape| self.draw_shape(&mut context, shape))?;
        area.present().map_err(failed)
    }

    fn draw_mesh(&self, context: &mut Context<'_, '_>) -> Result<(), ChartError> {
        let font = (FONT, FONT_SIZE).into_font().color(&INK);
        context
            .configure_mesh()
            .x_desc(self.x.label)
            .y_desc(self.y.label)
            .x_labels(self.x.ticks(self.size.0 / TICK_WIDTH))
            .y_labels(self.y.ticks(self.size.1 / TICK_HEIGHT))
            .x_label_formatter(&|&place| self.x.tick(place))
            .y_label_formatter(&|&place| self.y.tick(place))
            .label_style(font.clone())
            .axis_desc_style(font)
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(failed)
    }

    fn draw_shape(&self, context: &mut Context<'_, '_>, shape: &Shape) -> Result<(), ChartError> {
        match shape {
            Shape::Line(points, pen) => draw_line(context, self.placed(points), *pen),
            Shape::Area(points, pen) => {
                let ends = points.first().zip(points.last()).map(|(first, last)| [(last.0, 0.0), (first.0, 0.0)]);
                let outline: Vec<_> = points.iter().copied().chain(ends.into_iter().flatten()).collect();
                let area = Polygon::new(self.place_all(&outline), pen.colour.mix(0.25).filled());
                context.draw_series([area]).map(drop).map_err(failed)
            }
            Shape::Estimate([x, y, low, high], pen) => self.draw_estimate(context, (*x, *y), (*low, *high), *pen),
        }
    }

    fn draw_estimate(
        &self,
        context: &mut Context<'_, '_>,
        (x, y): (f64, f64),
        (low, high): (f64, f64),
        pen: Pen,
    ) -> Result<(), ChartError> {
        let (x, low, high) = (self.x.place(x), self.y.place(low), self.y.place(high));
        let (start, end) = self.x.places();
        let cap = CAP * (end - start);
        draw_line(context, vec![(x, low), (x, high)], pen)?;
        for y in [low, high] {
            draw_line(context, vec![(x - cap, y), (x + cap, y)], pen)?;
        }
        let point = Circle::new((x, self.y.place(y)), 2 * pen.width, pen.colour.filled());
        context.draw_series([point]).map(drop).map_err(failed)
    }

    fn place_all(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        points.iter().map(|&(x, y)| (self.x.place(x), self.y.place(y))).collect()
    }

    /// Places of the points without those that could not be seen.
    fn placed(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let ((left, right), (bottom, top)) = (self.x.places(), self.y.places());
        let near = |a: (f64, f64), b: (f64, f64)| {
            (a.0 - b.0).abs() < RESOLUTION * (right - left) && (a.1 - b.1).abs() < RESOLUTION * (top - bottom)
        };
        let all = self.place_all(points);
        let mut kept: Vec<(f64, f64)> = Vec::new();
        for &point in &all {
            if kept.last().is_none_or(|&last| !near(last, point)) {
                kept.push(point);
            }
        }
        kept.extend(all.last().filter(|last| kept.last() != Some(last)));
        kept
    }
}

fn draw_line(context: &mut Context<'_, '_>, points: Vec<(f64, f64)>, pen: Pen) -> Result<(), ChartError> {
    let style = pen.colour.stroke_width(pen.width);
    match pen.dashes {
        None => context.draw_series(LineSeries::new(points, style)).map(drop),
        Some((dash, gap)) => context.draw_series(DashedLineSeries::new(points, dash, gap, style)).map(drop),
    }
    .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(shapes: Vec<Shape>) -> Chart {
        Chart {
            description: "a \"quoted\" <description>".into(),
            size: LARGE,
            x: Axis::log_percent("false alarms", 0.001),
            y: Axis::percent("caught", 1.0),
            shapes,
        }
    }

    #[test]
    fn a_chart_is_an_element_with_labels_and_shapes() {
        let points = vec![(0.0, 0.2), (0.01, 0.5), (1.0, 1.0)];
        let svg = chart(vec![
            Shape::Area(points.clone(), Pen::KNOWN),
            Shape::Line(points.clone(), Pen::FUSED),
            Shape::Line(points, Pen::number(7)),
            Shape::Estimate([0.1, 0.5, 0.4, 0.6], Pen::FUSED),
        ]);
        let text = svg.draw().unwrap().into_string();
        assert!(
            text.starts_with("<svg style=\"min-width:412px\" viewBox=\"0 0 1100 800\"") && text.ends_with("</svg>"),
            "{text}"
        );
        assert!(text.contains("aria-label=\"a &quot;quoted&quot; &lt;description&gt;\""), "{text}");
        assert_eq!((text.matches("<svg").count(), text.contains("xmlns")), (1, false));
        for label in ["false alarms", "caught", "0.1 %", "1 %", "10 %", "100 %", "40 %"] {
            assert!(text.contains(label), "{label} is not in {text}");
        }
        assert!(text.contains("<polygon") && text.contains("<circle"));
        assert!(text.matches("<polyline").count() > 10, "a dashed line has many pieces");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn lines_lose_no_corner_and_no_end() {
        let chart = Chart { x: Axis::percent("", 1.0), ..chart(Vec::new()) };
        let many: Vec<(f64, f64)> = (0..=100_000).map(|step| (f64::from(step) / 1e5, 0.5)).collect();
        let placed = chart.placed(&many);
        assert!((900..=1100).contains(&placed.len()), "{}", placed.len());
        assert_eq!((placed[0], placed[placed.len() - 1]), ((0.0, 0.5), (1.0, 0.5)));
        let corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (7.0, 1.0)];
        assert_eq!(chart.placed(&corners), corners[..3]);
        assert_eq!(chart.placed(&[]), []);
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!(
            [1.0, 0.1, 0.001, 0.25, 0.30000000000000004].map(percent),
            ["100 %", "10 %", "0.1 %", "25 %", "30 %"]
        );
    }
}
