//! The drive that is drawn without a scenario file, as a scenario.

use super::{RandomSigns, Road, Script, Signs};
use crate::scenario::drive::DriveSettings;

/// Metres between two signs.
const SPACING: f32 = 11.0;

impl Script {
    /// A drive in clear weather past normal signs and, between them, all that a drive has by itself.
    #[must_use]
    pub fn standard(settings: &DriveSettings) -> Self {
        let road = Road::default();
        let random = RandomSigns {
            every_secs: SPACING / road.speed_mps,
            alternate: settings.lasting.is_none(),
            lasting: settings.lasting,
            ..RandomSigns::default()
        };
        Self {
            version: super::check::VERSION,
            name: "drive".into(),
            description: String::new(),
            seed: settings.seed,
            duration_secs: settings.seconds,
            rate_hz: super::default_rate(),
            width: settings.width,
            height: settings.height,
            road,
            cameras: Vec::new(),
            weather: Vec::new(),
            light: Vec::new(),
            signs: Signs { random: Some(random), ..Signs::default() },
            faults: Vec::new(),
            expect: Vec::new(),
        }
    }
}
