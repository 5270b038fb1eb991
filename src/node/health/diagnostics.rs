//! What a status in `/diagnostics` is made of.

/// Level of a status, with the values of `diagnostic_msgs/DiagnosticStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Level {
    /// All is well.
    Ok = 0,
    /// Results come, but somebody should look.
    Warn = 1,
    /// Results do not come, or come too late to be used.
    Error = 2,
    /// There were results, but none lately, since nothing comes in.
    Stale = 3,
}

impl Level {
    /// The worse of two levels has more of it: a fault weighs more than silence, silence more than a warning.
    #[must_use]
    pub fn severity(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warn => 1,
            Self::Stale => 2,
            Self::Error => 3,
        }
    }
}

/// One `diagnostic_msgs/DiagnosticStatus`.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Level.
    pub level: Level,
    /// What is looked at, after the name of the node.
    pub name: String,
    /// One line for a person.
    pub message: String,
    /// Details, in a fixed order.
    pub values: Vec<(&'static str, String)>,
}

/// What was found wrong. The worst level makes the status; findings of that level are said together, as
/// `diagnostic_updater` merges summaries.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings(Vec<(Level, String)>);

impl Findings {
    /// Adds a finding where there is one.
    pub fn add(&mut self, level: Level, finding: Option<String>) {
        self.0.extend(finding.map(|text| (level, text)));
    }

    /// Adds several findings.
    pub fn add_all(&mut self, level: Level, findings: impl IntoIterator<Item = String>) {
        self.0.extend(findings.into_iter().map(|text| (level, text)));
    }

    /// Level and message of the status; `well` is said when nothing was found.
    #[must_use]
    pub fn summary(&self, well: impl FnOnce() -> String) -> (Level, String) {
        let worst = self.0.iter().map(|(level, _)| *level).max_by_key(|level| level.severity());
        let Some(worst) = worst else { return (Level::Ok, well()) };
        let of_worst = self.0.iter().filter(|(level, _)| *level == worst).map(|(_, text)| text.as_str());
        (worst, of_worst.collect::<Vec<_>>().join("; "))
    }
}

/// A number with three digits after the point; empty where there is none.
#[must_use]
pub fn optional(number: Option<f64>) -> String {
    number.map_or_else(String::new, |number| format!("{number:.3}"))
}

/// Entries as `name: count`, separated by semicolons.
#[must_use]
pub fn listed<N: std::fmt::Display>(counts: impl IntoIterator<Item = (N, u64)>) -> String {
    let entries: Vec<String> = counts.into_iter().map(|(name, count)| format!("{name}: {count}")).collect();
    entries.join("; ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A value of a status by its key.
    pub fn value<'a>(status: &'a Status, key: &str) -> &'a str {
        let found = status.values.iter().find(|(other, _)| *other == key);
        &found.unwrap_or_else(|| panic!("no key {key}")).1
    }

    #[test]
    fn the_worst_findings_make_the_status() {
        let mut findings = Findings::default();
        assert_eq!(findings.summary(|| "well".into()), (Level::Ok, "well".into()));
        findings.add(Level::Warn, Some("slow".into()));
        findings.add(Level::Warn, None);
        findings.add_all(Level::Warn, ["old".to_owned(), "odd".to_owned()]);
        assert_eq!(findings.summary(String::new), (Level::Warn, "slow; old; odd".into()));
        findings.add(Level::Error, Some("broken".into()));
        findings.add(Level::Stale, Some("silent".into()));
        assert_eq!(findings.summary(String::new), (Level::Error, "broken".into()));
    }

    #[test]
    fn levels_have_the_numbers_of_ros() {
        use r2r::diagnostic_msgs::msg::DiagnosticStatus as Ros;
        let ours = [Level::Ok, Level::Warn, Level::Error, Level::Stale].map(|level| level as u8);
        assert_eq!(ours, [Ros::OK as u8, Ros::WARN as u8, Ros::ERROR as u8, Ros::STALE as u8]);
    }
}
