//! What passed, failed and was skipped, and the closing line.

use std::fmt;

/// Tests count as cargo reports them; a check or a step that fails counts as one failure.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Adds a line of a test program, if it is one with results.
    pub(super) fn read(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else { return };
        for part in result.split(['.', ';']) {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                Some((number, "ignored")) => self.skipped += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// Adds a step.
    pub(super) fn check(&mut self, went_well: bool) {
        self.failed += u64::from(!went_well);
    }

    /// Adds a group of tests that could not run.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed
    }

    pub(super) fn is_good(&self, allow_skipped: bool) -> bool {
        self.failed == 0 && (allow_skipped || self.skipped == 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_add_up() {
        let mut tally = Tally::default();
        tally.read("running 2 tests");
        tally.read("test result: ok. 11 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 19.63s");
        tally.read("test result: FAILED. 2 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        assert_eq!(tally.to_string(), "13 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_failed_step_and_a_skipped_test_are_not_good() {
        let mut tally = Tally::default();
        assert!(tally.is_good(false));
        tally.skip();
        assert!(!tally.is_good(false));
        assert!(tally.is_good(true));
        tally.check(false);
        assert!(!tally.is_good(true));
    }
}
