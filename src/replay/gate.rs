//! Conditions under which a replay fails.

use std::fmt;
use std::str::FromStr;

use super::figures::{FIGURES, Figure};
use super::tally::Tally;

/// A figure that must not be beyond a limit: `false_alarms_per_hour>10`.
#[derive(Clone, Copy)]
pub struct Condition {
    figure: &'static Figure,
    comparison: Comparison,
    limit: f64,
}

/// How a figure is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Longer signs first: `>=` begins with `>`.
const COMPARISONS: [(&str, Comparison); 4] =
    [(">=", Comparison::AtLeast), ("<=", Comparison::AtMost), (">", Comparison::Greater), ("<", Comparison::Less)];

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Not of the form.
    #[error("`{0}` is no condition: write FIGURE>LIMIT, with one of > >= < <=, for example false_alarms_per_hour>10")]
    Form(String),
    /// No such figure.
    #[error("there is no figure `{name}`; there are {}", FIGURES.iter().map(|figure| figure.name).collect::<Vec<_>>().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
}

/// Conditions with those of them that hold.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    conditions: Vec<(Condition, Option<Failure>)>,
}

/// Why a replay fails.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The condition holds.
    Holds {
        /// The condition.
        condition: String,
        /// Value of its figure.
        value: f64,
    },
    /// Nothing can be said of the figure: a gate that cannot fail is none.
    NotKnown {
        /// The condition.
        condition: String,
    },
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let form = || ConditionError::Form(text.to_owned());
        let (sign, comparison) = COMPARISONS.iter().find(|(sign, _)| text.contains(sign)).ok_or_else(form)?;
        let (name, limit) = text.split_once(sign).ok_or_else(form)?;
        let limit = limit.trim().parse::<f64>().ok().filter(|limit| !limit.is_nan()).ok_or_else(form)?;
        let name = name.trim();
        let figure = Figure::find(name).ok_or_else(|| ConditionError::Unknown { name: name.to_owned() })?;
        Ok(Self { figure, comparison: *comparison, limit })
    }
}

impl Condition {
    /// Whether the replay fails by it.
    #[must_use]
    pub fn failure(&self, tally: &Tally) -> Option<Failure> {
        let condition = self.to_string();
        let Some(value) = (self.figure.of)(tally) else { return Some(Failure::NotKnown { condition }) };
        let holds = match self.comparison {
            Comparison::Less => value < self.limit,
            Comparison::AtMost => value <= self.limit,
            Comparison::Greater => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
        };
        holds.then_some(Failure::Holds { condition, value })
    }
}

impl Gate {
    /// Looks which conditions hold.
    #[must_use]
    pub fn new(conditions: &[Condition], tally: &Tally) -> Self {
        Self { conditions: conditions.iter().map(|condition| (*condition, condition.failure(tally))).collect() }
    }

    /// The conditions, with the failure where one holds.
    pub fn conditions(&self) -> impl Iterator<Item = (&Condition, Option<&Failure>)> {
        self.conditions.iter().map(|(condition, failure)| (condition, failure.as_ref()))
    }

    /// The conditions that hold.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.conditions.iter().filter_map(|(_, failure)| failure.as_ref())
    }

    /// Whether there are no conditions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign =
            COMPARISONS.iter().find(|(_, comparison)| *comparison == self.comparison).map_or("", |(sign, _)| sign);
        write!(formatter, "{}{sign}{}", self.figure.name, self.limit)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds { condition, value } => write!(formatter, "{condition}: it is {value}"),
            Self::NotKnown { condition } => {
                write!(
                    formatter,
                    "{condition}: nothing is known of it; it may need --ground-truth, or there was nothing to measure"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(images: u64, has_truth: bool) -> Tally {
        let mut tally = Tally::default();
        tally.has_truth = has_truth;
        tally.counted.images = images;
        tally.counted.watched_secs = 3600.0;
        tally
    }

    #[test]
    fn a_condition_is_a_figure_with_a_limit() {
        let fails =
            |text: &str, images: u64| text.parse::<Condition>().unwrap().failure(&tally(images, true)).is_some();
        assert!(fails("images>10", 11) && !fails("images > 10", 10));
        assert!(fails("images>=10", 10) && !fails("images>=10", 9));
        assert!(fails("images<10", 9) && fails(" images <= 10.0", 10) && !fails("images<10", 10));
        assert_eq!("images>=1e1".parse::<Condition>().unwrap().to_string(), "images>=10");
    }

    #[test]
    fn what_is_not_known_fails() {
        let condition: Condition = "false_alarms_per_hour>10".parse().unwrap();
        assert_eq!(condition.failure(&tally(1, true)), None);
        let failure = condition.failure(&tally(1, false)).unwrap();
        assert!(failure.to_string().contains("--ground-truth"), "{failure}");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "images", "images>", "images>many", "images=3", "images>NaN"] {
            assert!(matches!(text.parse::<Condition>(), Err(ConditionError::Form(_))), "{text}");
        }
        let error = "false_alarms>3>4".parse::<Condition>().unwrap_err();
        assert!(matches!(error, ConditionError::Form(_)));
        let error = "false_alarm_rate>10".parse::<Condition>().unwrap_err().to_string();
        assert!(error.contains("`false_alarm_rate`") && error.contains("false_alarms_per_hour"), "{error}");
    }
}
