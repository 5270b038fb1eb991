//! Real signs that are not among the 43 classes.

use tiny_skia::Pixmap;

use super::mandatory::blue_disc;
use super::right_of_way::diamond;
use crate::scenario::canvas::{Canvas, Point, colour::*};
use crate::scenario::glyph::{Lettering, write};

/// A sign that no class of GTSRB covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignSign {
    /// Level crossing: a lying red and white cross.
    StAndrewsCross,
    /// Blue disc with a red ring and one red stroke.
    NoParking,
    /// Blue disc with a red ring and a red cross.
    NoStopping,
    /// Yellow diamond with a black T, as in North America.
    YellowDiamond,
    /// Upright white board with letters and a number, as in North America.
    SpeedLimitBoard,
    /// Blue square with a white P.
    Parking,
    /// Yellow disc with a green ring and a green H: a German bus stop.
    BusStop,
    /// Lying blue board with a white arrow.
    OneWay,
    /// Red and white stripes of a construction-site beacon.
    Beacon,
}

impl ForeignSign {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::StAndrewsCross,
        Self::NoParking,
        Self::NoStopping,
        Self::YellowDiamond,
        Self::SpeedLimitBoard,
        Self::Parking,
        Self::BusStop,
        Self::OneWay,
        Self::Beacon,
    ];

    /// Name for the ground truth.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StAndrewsCross => "St Andrew's cross",
            Self::NoParking => "no parking",
            Self::NoStopping => "no stopping",
            Self::YellowDiamond => "yellow diamond",
            Self::SpeedLimitBoard => "speed limit board",
            Self::Parking => "parking",
            Self::BusStop => "bus stop",
            Self::OneWay => "one-way street",
            Self::Beacon => "beacon",
        }
    }

    /// Draws the clean sign, `size_px` × `size_px` pixels.
    #[must_use]
    pub fn draw(self, size_px: u32) -> Pixmap {
        let mut canvas = Canvas::new(size_px);
        match self {
            Self::StAndrewsCross => st_andrews_cross(&mut canvas),
            Self::NoParking => no_parking(&mut canvas, &[1.0]),
            Self::NoStopping => no_parking(&mut canvas, &[1.0, -1.0]),
            Self::YellowDiamond => yellow_diamond(&mut canvas),
            Self::SpeedLimitBoard => speed_limit_board(&mut canvas),
            Self::Parking => parking(&mut canvas),
            Self::BusStop => bus_stop(&mut canvas),
            Self::OneWay => one_way(&mut canvas),
            Self::Beacon => beacon(&mut canvas),
        }
        canvas.finish()
    }
}

fn st_andrews_cross(canvas: &mut Canvas) {
    const TIP: Point = (0.86, 0.5);
    for side in [1.0, -1.0] {
        let at = |share: f32| (TIP.0 * share * side, TIP.1 * share);
        canvas.bar(&[at(-1.12), at(1.12)], 0.3, RED);
        canvas.bar(&[at(-1.08), at(1.08)], 0.24, WHITE);
        canvas.bar(&[at(-1.12), at(-0.6)], 0.3, RED);
        canvas.bar(&[at(0.6), at(1.12)], 0.3, RED);
    }
}

fn no_parking(canvas: &mut Canvas, strokes: &[f32]) {
    blue_disc(canvas);
    canvas.ring((0.0, 0.0), 0.88, 0.19, RED);
    for slope in strokes {
        canvas.bar(&[(-0.58, -0.58 * slope), (0.58, 0.58 * slope)], 0.19, RED);
    }
}

fn yellow_diamond(canvas: &mut Canvas) {
    canvas.rounded_polygon(&diamond(0.9), 0.08, BLACK);
    canvas.rounded_polygon(&diamond(0.86), 0.07, YELLOW);
    canvas.bar(&[(0.0, 0.5), (0.0, -0.2)], 0.2, BLACK);
    canvas.bar(&[(-0.46, -0.16), (0.46, -0.16)], 0.2, BLACK);
}

fn speed_limit_board(canvas: &mut Canvas) {
    canvas.rounded_polygon(&[(-0.74, -0.94), (0.74, -0.94), (0.74, 0.94), (-0.74, 0.94)], 0.06, BLACK);
    canvas.rounded_polygon(&[(-0.7, -0.9), (0.7, -0.9), (0.7, 0.9), (-0.7, 0.9)], 0.04, WHITE);
    let small = Lettering { width: 0.2, height: 0.28, stroke: 0.06, gap: 0.06 };
    write(canvas, "SPEED", (0.0, -0.66), small, BLACK);
    write(canvas, "LIMIT", (0.0, -0.28), small, BLACK);
    write(canvas, "45", (0.0, 0.4), Lettering { width: 0.48, height: 0.8, stroke: 0.15, gap: 0.1 }, BLACK);
}

fn parking(canvas: &mut Canvas) {
    canvas.rounded_polygon(&[(-0.92, -0.92), (0.92, -0.92), (0.92, 0.92), (-0.92, 0.92)], 0.08, WHITE);
    canvas.rounded_polygon(&[(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)], 0.06, BLUE);
    write(canvas, "P", (0.04, 0.0), Lettering { width: 0.72, height: 1.24, stroke: 0.24, gap: 0.0 }, WHITE);
}

fn bus_stop(canvas: &mut Canvas) {
    canvas.circle((0.0, 0.0), 1.0, YELLOW);
    canvas.ring((0.0, 0.0), 0.82, 0.2, GREEN);
    write(canvas, "H", (0.0, 0.0), Lettering { width: 0.66, height: 0.84, stroke: 0.18, gap: 0.0 }, GREEN);
}

fn one_way(canvas: &mut Canvas) {
    canvas.rectangle((-1.0, -0.46), (1.0, 0.46), WHITE);
    canvas.rectangle((-0.96, -0.42), (0.96, 0.42), BLUE);
    canvas.arrow(&[(0.84, 0.0), (-0.84, 0.0)], 0.3, 0.66, WHITE);
}

fn beacon(canvas: &mut Canvas) {
    canvas.rectangle((-0.34, -1.0), (0.34, 1.0), WHITE);
    for index in 0_u8..4 {
        let top = -1.0 + 0.56 * f32::from(index);
        let stripe = [(-0.34, top), (0.34, top - 0.4), (0.34, top - 0.12), (-0.34, top + 0.28)];
        canvas.polygon(&stripe.map(|(x, y)| (x, y.clamp(-1.0, 1.0))), RED);
    }
}
