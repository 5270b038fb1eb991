//! JUnit XML, which continuous integration shows.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::Value;

use super::BagReport;
use crate::replay::figures::{OF_THE_MACHINE, to_json};
use crate::replay::gate::{Condition, Failure, Gate};

/// One suite with a test case per condition on all bags, and one per bag with its figures and a test case per condition on it. Only conditions fail.
///
/// # Errors
/// When the text cannot be made.
pub fn junit(bags: &[BagReport], gate: &Gate) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("activation-monitor replay");
    let mut conditions = TestSuite::new("conditions");
    conditions.add_test_cases(gate.conditions().map(case));
    report.add_test_suite(conditions);
    report.add_test_suites(bags.iter().map(suite));
    report.to_string()
}

fn case((condition, failure): (&Condition, Option<&Failure>)) -> TestCase {
    let status = failure.map_or_else(TestCaseStatus::success, failed);
    TestCase::new(format!("not {condition}"), status)
}

fn failed(failure: &Failure) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(failure.to_string());
    status
}

fn suite(bag: &BagReport) -> TestSuite {
    let mut suite = TestSuite::new(bag.name.clone());
    let mut case = TestCase::new("replay", TestCaseStatus::success());
    let figures = to_json(&bag.tally);
    let stable = figures.as_object().into_iter().flatten().filter(|(name, _)| !OF_THE_MACHINE.contains(&name.as_str()));
    let text = |(name, value): (&String, &Value)| format!("{name}: {value}");
    case.set_system_out(stable.map(text).collect::<Vec<_>>().join("\n"));
    if !bag.notes.is_empty() {
        case.set_system_err(bag.notes.join("\n"));
    }
    suite.add_test_case(case);
    suite.add_test_cases(bag.gate.conditions().map(self::case));
    suite
}
