//! What one camera has before it at one moment.

use super::FOGGY;
use super::dirt::Dirt;
use super::disturbance::{Disturbance, STRANGE_GLARE, STRANGE_RAIN, STRANGE_SNOW};
use super::glare::Sun;
use super::lens::Lens;
use super::troubles::Troubles;
use super::weather::{Air, Mud};
use crate::scenario::script::Moment;

/// Where a camera is at one moment, and what is between it and the scene.
pub(super) struct Sight {
    pub(super) lens: Lens,
    pub(super) air: Air,
    pub(super) moment: Moment,
    /// Metres along the road.
    pub(super) position: f32,
    pub(super) seconds: f32,
    pub(super) mud: Option<Mud>,
    pub(super) dirt: Option<Dirt>,
    pub(super) sun: Option<Sun>,
}

impl Sight {
    /// What lies over a sign strongly enough to make it strange: first faults of the camera, then weather.
    pub(super) fn disturbance(&self, troubles: &Troubles, distance: f32, bounds: [f32; 4]) -> Option<Disturbance> {
        let hidden = self.dirt.as_ref().map_or(0.0, |dirt| dirt.coverage(bounds));
        let glare = self.sun.as_ref().map_or(0.0, |sun| sun.over(bounds));
        let weather = [
            (Disturbance::Fog, self.air.hidden_by_weather(distance), FOGGY),
            (Disturbance::Rain, self.moment.rain, STRANGE_RAIN),
            (Disturbance::Snowfall, self.moment.snow, STRANGE_SNOW),
            (Disturbance::Glare, glare, STRANGE_GLARE),
        ];
        let strong = |(kind, amount, bound): &(Disturbance, f32, f32)| (amount > bound).then_some(*kind);
        troubles.strange(hidden).map(Disturbance::Camera).or_else(|| weather.iter().find_map(strong))
    }
}
