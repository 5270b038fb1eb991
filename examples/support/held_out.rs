//! GTSRB without ten classes, which then are out of distribution.

use activation_monitor::model::InputSpec;
use activation_monitor::scenario::{CLASS_NAMES, TURN_INTO_A_SIGN};
use activation_monitor::training::{Architecture, DecoyTarget, Decoys, Recipe};

use super::samples::Sample;
use super::train::Plan;

/// The classes that no network sees.
pub const HELD_OUT_CLASSES: [usize; 10] = [6, 12, 15, 19, 22, 25, 29, 34, 39, 41];
/// What the networks see.
pub const INPUT: InputSpec = InputSpec { width: 40, height: 40, region_margin: 0.1 };
const DROPOUT: f64 = 0.3;

/// The sample with its class counted among the known ones; `None` for a held-out class.
pub fn of_known_class(sample: Sample) -> Option<Sample> {
    let class = known_classes().position(|known| known == sample.class)?;
    Some(Sample { class, ..sample })
}

fn known_classes() -> impl Iterator<Item = usize> {
    (0..CLASS_NAMES.len()).filter(|class| !HELD_OUT_CLASSES.contains(class))
}

/// Names of the known classes.
pub fn class_names() -> Vec<String> {
    known_classes().map(|class| CLASS_NAMES[class].to_owned()).collect()
}

/// A network for the known classes; `decoys` says what it learns about decoys, without it there are none. `program` made it.
pub fn plan(program: &str, steps: usize, seed: u64, decoys: Option<DecoyTarget>) -> Plan {
    let turns = known_classes().map(|class| !TURN_INTO_A_SIGN.contains(&class)).collect();
    Plan {
        name: "gtsrb_without_ten_classes".into(),
        classes: class_names(),
        decoy_class: matches!(decoys, Some(DecoyTarget::Class(_))),
        architecture: Architecture::default(),
        dropout: DROPOUT,
        input: INPUT,
        recipe: Recipe {
            steps,
            seed,
            decoys: decoys.map(|target| Decoys { target, turns, ..Decoys::default() }),
            ..Recipe::default()
        },
        provenance: format!("examples/{program} --steps {steps} --seeds {seed}"),
        license: "Apache-2.0 (weights)".into(),
    }
}
