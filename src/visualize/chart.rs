//! One number per channel, as bars.

use std::fmt::Display;

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;
use plotters::prelude::*;

use super::piece::Piece;
use super::plot::{Plot, ink};
use super::style::{BAR, FAINT, HEADING, INK, NOT_FINITE, alarm_color, fitted, line_height, style};
use crate::canvas::Canvas;
use crate::monitor::{Levels, Short};

/// Room for the numbers at the axes.
const Y_LABELS: u32 = 60;
const X_LABELS: u32 = 20;
/// Half the width of a bar, in channels.
const HALF_BAR: f64 = 0.4;
/// Room for a number at the x axis, and at the y axis.
const X_TICK: u32 = 60;
const Y_TICK: u32 = 30;
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Smallest p-value that the axis tells from others: 10 to the power of minus this.
const P_DECADES: f64 = 6.0;

/// A chart could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw a chart: {0}")]
pub struct ChartError(String);

/// Text at a place of the x axis: the number of the channel that is there, where there is one.
fn channel(x: f64) -> String {
    let is_channel = (x - x.round()).abs() < 1e-6;
    if is_channel { (x.round() as i64).to_string() } else { String::new() }
}

/// The p-value that lies so many powers of ten below 1.
fn decade(decades: f64, _length: f64) -> String {
    match decades.round() {
        0.0 => "1".to_owned(),
        decades if decades <= 3.0 => format!("{}", 10f64.powf(-decades)),
        decades => format!("1e-{decades}"),
    }
}

/// The same for every second one.
fn second_decade(decades: f64, length: f64) -> String {
    if decades.round() % 2.0 == 0.0 { decade(decades, length) } else { String::new() }
}

fn failed(error: impl Display) -> ChartError {
    ChartError(error.to_string())
}

/// Bars over the numbers of channels.
pub(super) struct Chart {
    title: String,
    /// Width and height in pixels, the title included.
    size: Size,
    /// One per channel; what is no number gets a bar from end to end.
    bars: Vec<f64>,
    /// One per bar.
    colors: Vec<Rgb888>,
    /// One per channel, or none at all.
    marks: Vec<f64>,
    /// Ends of the y axis.
    ends: (f64, f64),
    /// Lines across.
    levels: Vec<(f64, Rgb888)>,
    y_ticks: usize,
    /// Text of a tick at a value, on an axis of that length.
    y_text: fn(f64, f64) -> String,
}

impl Chart {
    /// Numbers with marks of what is expected; unusual ones are coloured where p-values are known.
    pub(super) fn numbers(
        title: String,
        size: Size,
        (values, marks): (&[f32], &[f32]),
        p_values: &[f64],
        ends: (f64, f64),
    ) -> Self {
        let color = |channel: usize| p_values.get(channel).copied().and_then(alarm_color).unwrap_or(BAR);
        Self {
            title,
            size,
            bars: values.iter().map(|&value| value.into()).collect(),
            colors: (0..values.len()).map(color).collect(),
            marks: marks.iter().map(|&value| value.into()).collect(),
            ends,
            levels: vec![(0.0, INK)],
            y_ticks: (size.height / Y_TICK) as usize,
            // Ticks are sums of steps, so that 0 may be missed by rounding.
            y_text: |value, length| Short(if value.abs() < 1e-9 * length { 0.0 } else { value as f32 }).to_string(),
        }
    }

    /// p-values on a logarithmic axis that goes up to small ones, with lines at the usual levels.
    pub(super) fn p_values(title: String, size: Size, p_values: &[f64]) -> Self {
        let Levels { suspect, alarm } = Levels::default();
        let level = |p_value: f32| (-f64::from(p_value).log10(), alarm_color(p_value.into()).unwrap_or(INK));
        Self {
            title,
            size,
            // The logarithm of NaN stays NaN.
            bars: p_values.iter().map(|p_value| if *p_value <= 0.0 { P_DECADES } else { -p_value.log10() }).collect(),
            colors: p_values.iter().map(|&p_value| alarm_color(p_value).unwrap_or(BAR)).collect(),
            marks: Vec::new(),
            ends: (0.0, P_DECADES),
            levels: vec![level(suspect), level(alarm)],
            y_ticks: P_DECADES as usize + 1,
            y_text: if size.height > 150 { decade } else { second_decade },
        }
    }

    fn draw_bars(&self, canvas: &mut Canvas, area: Rectangle) -> Result<(), ChartError> {
        let plot = Plot { canvas, area }.into_drawing_area();
        let mut context = ChartBuilder::on(&plot)
            .margin_top(6)
            .margin_right(12)
            .x_label_area_size(X_LABELS)
            .y_label_area_size(Y_LABELS)
            .build_cartesian_2d(-0.5..self.bars.len() as f64 - 0.5, self.ends.0..self.ends.1)
            .map_err(failed)?;
        context
            .configure_mesh()
            .x_labels((self.size.width / X_TICK) as usize)
            .y_labels(self.y_ticks)
            .x_label_formatter(&|&x| channel(x))
            .y_label_formatter(&|y| (self.y_text)(*y, self.ends.1 - self.ends.0))
            .axis_style(ink(FAINT))
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(failed)?;
        let level = |&(y, color): &(f64, Rgb888)| {
            PathElement::new(vec![(-0.5, y), (self.bars.len() as f64 - 0.5, y)], ink(color))
        };
        context.draw_series(self.levels.iter().map(level)).map_err(failed)?;
        context.draw_series((0..self.bars.len()).map(|channel| self.bar(channel))).map_err(failed)?;
        let mark = |(channel, &y): (usize, &f64)| {
            let x = channel as f64;
            PathElement::new(vec![(x - HALF_BAR, y), (x + HALF_BAR, y)], ink(INK).stroke_width(2))
        };
        context.draw_series(self.marks.iter().enumerate().filter(|(_, y)| y.is_finite()).map(mark)).map_err(failed)?;
        Ok(())
    }

    /// From 0 to the value, or from end to end where that is no number.
    fn bar(&self, channel: usize) -> plotters::element::Rectangle<(f64, f64)> {
        let ((low, high), x) = (self.ends, channel as f64);
        let (bottom, top, color) = match self.bars[channel] {
            value if value.is_finite() => (0.0, value.clamp(low, high), self.colors[channel]),
            _ => (low, high, NOT_FINITE),
        };
        plotters::element::Rectangle::new([(x - HALF_BAR, bottom), (x + HALF_BAR, top)], ink(color).filled())
    }
}

impl Piece for Chart {
    fn height(&self) -> u32 {
        self.size.height
    }

    fn draw(&self, canvas: &mut Canvas, at: Point) -> Result<(), ChartError> {
        canvas.text(at, &fitted(&self.title, HEADING, self.size.width), style(HEADING, INK));
        if self.bars.is_empty() {
            return Ok(());
        }
        let title = line_height(HEADING);
        let size = Size::new(self.size.width, self.size.height.saturating_sub(title));
        self.draw_bars(canvas, Rectangle::new(at + Point::new(0, title as i32), size))
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::monitor::Verdict;

    const SIZE: Size = Size::new(400, 120);

    fn drawn(chart: &Chart) -> RgbImage {
        let mut canvas = Canvas(RgbImage::from_pixel(SIZE.width, SIZE.height, image::Rgb([255; 3])));
        chart.draw(&mut canvas, Point::zero()).unwrap();
        canvas.0
    }

    fn count(picture: &RgbImage, color: [u8; 3]) -> usize {
        picture.pixels().filter(|pixel| pixel.0 == color).count()
    }

    fn rgb(color: Rgb888) -> [u8; 3] {
        use embedded_graphics::prelude::RgbColor;
        [color.r(), color.g(), color.b()]
    }

    #[test]
    fn bars_are_as_high_as_their_numbers() {
        let of = |value: f32| Chart::numbers(String::new(), SIZE, (&[value], &[]), &[], (0.0, 4.0));
        let [one, two] = [1.0, 2.0].map(|value| count(&drawn(&of(value)), rgb(BAR)) as f64);
        assert!((two / one - 2.0).abs() < 0.15, "{one} {two}");
        assert_eq!(drawn(&of(-1.0)), drawn(&of(0.0)), "bars do not leave the axis");
    }

    #[test]
    fn what_is_no_number_or_unusual_is_seen() {
        let values = [f32::NAN, 1.0, f32::INFINITY, -1.0];
        let chart = Chart::numbers("title".into(), SIZE, (&values, &[0.0; 4]), &[1.0, 0.001, 1.0, 0.02], (-2.0, 2.0));
        let picture = drawn(&chart);
        assert!(count(&picture, rgb(NOT_FINITE)) > 1000);
        for verdict in [Verdict::OutOfDistribution, Verdict::Suspect] {
            assert!(count(&picture, verdict.rgb()) > 500, "{verdict}");
        }
    }

    #[test]
    fn small_p_values_are_high_bars_and_zero_is_the_highest() {
        let [usual, small, zero] = [0.5, 1e-3, 0.0].map(|p_value| {
            let chart = Chart::p_values(String::new(), SIZE, &[p_value]);
            count(&drawn(&chart), rgb(chart.colors[0]))
        });
        assert!(usual < small && small < zero, "{usual} {small} {zero}");
        drawn(&Chart::p_values(String::new(), SIZE, &[f64::NAN, 1.0]));
    }

    #[test]
    fn channels_are_whole_numbers() {
        assert_eq!([channel(-1e-9), channel(0.4), channel(17.0)], ["0", "", "17"]);
        assert_eq!(
            [decade(0.0, 6.0), decade(2.0, 6.0), decade(5.0, 6.0), second_decade(3.0, 6.0)],
            ["1", "0.01", "1e-5", ""]
        );
    }

    #[test]
    fn one_channel_many_channels_and_none_can_be_drawn() {
        for channels in [0, 1, 2, 5000] {
            let values = vec![1.0; channels];
            drawn(&Chart::numbers(String::new(), SIZE, (&values, &values), &[], (0.0, 1.0)));
        }
    }
}
