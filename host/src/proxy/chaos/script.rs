//! [`ChaosScript`]: which calls fail and which are delayed.

use std::fmt;
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind, bounds};

use super::delay::ChaosDelay;
use super::dice::{Purpose, draw};
use super::operation::ChaosOperation;
use super::window::ChaosWindow;

/// Which calls of a backend fail, and which are delayed. The default lets all calls pass.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::proxy::{ChaosOperation, ChaosScript};
///
/// let seconds = Duration::from_secs;
/// let script = ChaosScript::new()
///     .errors(0.1)
///     .delay(Duration::from_millis(1)..=Duration::from_millis(20))
///     .down(seconds(5)..seconds(10))
///     .operations([ChaosOperation::Get, ChaosOperation::GetMulti]);
/// assert_eq!(script, script.clone());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a script does nothing until it is passed to a control"]
pub struct ChaosScript {
    pub(super) errors: f64,
    pub(super) timeouts: f64,
    pub(super) delay: ChaosDelay,
    pub(super) down: Vec<ChaosWindow>,
    pub(super) operations: Vec<ChaosOperation>,
}

/// What happens to a call.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    /// How long the call is delayed.
    pub(super) delay: Duration,
    /// The failure, if the call does not pass.
    pub(super) failure: Option<Failure>,
}

/// A failure on purpose.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) cause: Cause,
    /// Whether the call still reaches the backend, and only its reply is lost.
    pub(super) reaches: bool,
}

/// The setting that made a call fail.
#[derive(Debug, PartialEq)]
pub(super) enum Cause {
    Errors(f64),
    Timeouts(f64),
    Down(ChaosWindow),
}

impl ChaosScript {
    /// Creates a script that lets all calls pass.
    pub fn new() -> Self {
        ChaosScript {
            errors: 0.0,
            timeouts: 0.0,
            delay: ChaosDelay::default(),
            down: Vec::new(),
            operations: ChaosOperation::ALL.to_vec(),
        }
    }

    /// Sets the share of calls, from 0 to 1, that fail with [`ErrorKind::Unavailable`]. Default: 0.
    pub fn errors(mut self, share: f64) -> Self {
        self.errors = share;
        self
    }

    /// Sets the share of calls, from 0 to 1, that fail with [`ErrorKind::Timeout`]. Default: 0.
    ///
    /// Half of the writes among them still reach the backend, because a caller of a real server cannot know.
    pub fn timeouts(mut self, share: f64) -> Self {
        self.timeouts = share;
        self
    }

    /// Sets the delay of each call, at most a minute. It is a duration, or a range from which each call gets its own.
    /// Default: zero.
    pub fn delay(mut self, delay: impl Into<ChaosDelay>) -> Self {
        self.delay = delay.into();
        self
    }

    /// Adds a time during which all calls fail at once with [`ErrorKind::Unavailable`]. Default: none.
    ///
    /// It counts from the moment at which the script takes effect.
    pub fn down(mut self, window: impl Into<ChaosWindow>) -> Self {
        self.down.push(window.into());
        self
    }

    /// Sets the operations that the script applies to. All others pass. Default: all operations.
    pub fn operations(mut self, operations: impl IntoIterator<Item = ChaosOperation>) -> Self {
        self.operations = operations.into_iter().collect();
        self
    }

    /// Returns whether the script delays calls.
    pub(super) fn delays(&self) -> bool {
        !self.delay.is_zero()
    }

    /// Returns an error that names the argument which is out of bounds.
    pub(super) fn check(&self) -> Result<(), BackendError> {
        share("errors", self.errors)?;
        share("timeouts", self.timeouts)?;
        if self.errors + self.timeouts > 1.0 {
            let sum = self.errors + self.timeouts;
            let why = format!("{} and \"errors\" add up to {sum}; use at most 1 for both", self.timeouts);
            return Err(bounds::invalid("timeouts", why));
        }
        self.delay.check()?;
        self.down.iter().try_for_each(|window| window.check())?;
        if self.operations.is_empty() {
            return Err(bounds::invalid(
                "operations",
                "the list is empty; name an operation, or leave it out",
            ));
        }
        Ok(())
    }

    /// Returns what happens to a call of `operation`, or `None` if the script does not apply to it.
    ///
    /// `elapsed` is the time since the script took effect. `seed` and `call` determine what is drawn.
    pub(super) fn decide(
        &self,
        operation: ChaosOperation,
        elapsed: Duration,
        seed: u64,
        call: u64,
    ) -> Option<Decision> {
        if !self.operations.contains(&operation) {
            return None;
        }
        // A server that is down refuses connections at once.
        if let Some(window) = self.down.iter().find(|window| window.contains(elapsed)) {
            let kind = ErrorKind::Unavailable;
            let failure = Failure { kind, cause: Cause::Down(*window), reaches: operation.always_reaches() };
            return Some(Decision { delay: Duration::ZERO, failure: Some(failure) });
        }
        let delay = self.delay.at(draw(seed, call, Purpose::Delay));
        Some(Decision { delay, failure: self.failure(operation, seed, call) })
    }

    fn failure(&self, operation: ChaosOperation, seed: u64, call: u64) -> Option<Failure> {
        let drawn = draw(seed, call, Purpose::Failure);
        let reaches = operation.always_reaches();
        if drawn < self.errors {
            return Some(Failure {
                kind: ErrorKind::Unavailable,
                cause: Cause::Errors(self.errors),
                reaches,
            });
        }
        if drawn < self.errors + self.timeouts {
            let reaches = reaches || operation.is_write() && draw(seed, call, Purpose::Reach) < 0.5;
            return Some(Failure {
                kind: ErrorKind::Timeout,
                cause: Cause::Timeouts(self.timeouts),
                reaches,
            });
        }
        None
    }
}

impl Default for ChaosScript {
    fn default() -> Self {
        ChaosScript::new()
    }
}

fn share(argument: &str, share: f64) -> Result<(), BackendError> {
    if share.is_nan() {
        return Err(bounds::invalid(argument, "it is not a number; use a share from 0 to 1"));
    }
    bounds::number(argument, share, 0.0, 1.0).map(drop)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Errors(share) => write!(f, "simulated failure: a share of {share} of the calls fails"),
            Cause::Timeouts(share) => {
                write!(f, "simulated timeout: a share of {share} of the calls times out")
            }
            Cause::Down(window) => write!(f, "simulated outage: the backend is down {window}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: ChaosOperation = ChaosOperation::Get;
    const SET: ChaosOperation = ChaosOperation::Set;

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn kinds(
        script: &ChaosScript,
        operation: ChaosOperation,
        seed: u64,
        calls: u64,
    ) -> Vec<Option<ErrorKind>> {
        let decided = |call| script.decide(operation, Duration::ZERO, seed, call);
        (0..calls).map(|call| decided(call)?.failure.map(|failure| failure.kind)).collect()
    }

    #[test]
    fn same_seed_makes_the_same_decisions() {
        let script = ChaosScript::new().errors(0.3).timeouts(0.3).delay(milliseconds(1)..=milliseconds(9));
        let decided =
            |seed| (0..200).map(|call| script.decide(SET, Duration::ZERO, seed, call)).collect::<Vec<_>>();
        assert_eq!(decided(7), decided(7));
        assert_ne!(decided(7), decided(8));
    }

    /// Of 10,000 calls, 3σ of a share of 0.2 are 120.
    #[test]
    fn shares_of_failures_are_those_of_the_script() {
        let script = ChaosScript::new().errors(0.2).timeouts(0.1);
        for seed in 0..5 {
            let kinds = kinds(&script, GET, seed, 10_000);
            let count = |kind| kinds.iter().filter(|found| **found == kind).count() as i64;
            assert!((count(Some(ErrorKind::Unavailable)) - 2000).abs() < 150, "seed {seed}");
            assert!((count(Some(ErrorKind::Timeout)) - 1000).abs() < 120, "seed {seed}");
        }
        let all = kinds(&ChaosScript::new().errors(1.0), GET, 1, 1000);
        assert!(all.iter().all(|kind| *kind == Some(ErrorKind::Unavailable)));
        assert!(kinds(&ChaosScript::new(), GET, 1, 1000).iter().all(Option::is_none));
    }

    #[test]
    fn half_of_the_writes_that_time_out_reach_the_backend() {
        let script = ChaosScript::new().timeouts(1.0);
        let reached = |operation| {
            let failure = |call| script.decide(operation, Duration::ZERO, 1, call)?.failure;
            (0..1000).filter_map(failure).filter(|failure| failure.reaches).count()
        };
        assert!((400..600).contains(&reached(SET)), "{}", reached(SET));
        assert_eq!((reached(GET), reached(ChaosOperation::Acquire)), (0, 0));
        assert_eq!(reached(ChaosOperation::Release), 1000);
    }

    #[test]
    fn outage_fails_every_call_at_once() {
        let script = ChaosScript::new().delay(milliseconds(50)).down(milliseconds(10)..milliseconds(20));
        let decided = |elapsed| script.decide(GET, milliseconds(elapsed), 1, 0).unwrap();
        assert_eq!(decided(9), Decision { delay: milliseconds(50), failure: None });
        let Decision { delay, failure } = decided(10);
        let failure = failure.unwrap();
        assert_eq!((delay, failure.kind), (Duration::ZERO, ErrorKind::Unavailable));
        let text = failure.cause.to_string();
        assert_eq!(text, "simulated outage: the backend is down from 10ms to 20ms");
        assert_eq!(decided(20).failure, None);
    }

    #[test]
    fn operations_that_are_not_named_pass() {
        let script = ChaosScript::new().errors(1.0).operations([SET]);
        assert_eq!(script.decide(GET, Duration::ZERO, 1, 0), None);
        assert!(script.decide(SET, Duration::ZERO, 1, 0).unwrap().failure.is_some());
    }

    #[test]
    fn argument_out_of_bounds_is_refused() {
        let second = Duration::from_secs;
        let script = ChaosScript::new;
        for (script, expected) in [
            (script().errors(1.5), "invalid argument \"errors\": 1.5 is too high; use at most 1"),
            (script().errors(-0.5), "invalid argument \"errors\": -0.5 is too low; use at least 0"),
            (
                script().timeouts(f64::NAN),
                "invalid argument \"timeouts\": it is not a number; use a share from 0 to 1",
            ),
            (
                script().errors(0.75).timeouts(0.5),
                "invalid argument \"timeouts\": 0.5 and \"errors\" add up to 1.25; use at most 1 for both",
            ),
            (script().delay(second(61)), "invalid argument \"delay\": 1m 1s is too long; use at most 1m"),
            (
                script().delay(second(2)..=second(1)),
                "invalid argument \"delay\": \"min\" is 2s, but \"max\" is only 1s; swap them",
            ),
            (
                script().down(second(5)..second(5)),
                "invalid argument \"down\": the window from 5s to 5s is empty; let \"to\" be later than \"from\"",
            ),
            (
                script().operations([]),
                "invalid argument \"operations\": the list is empty; name an operation, or leave it out",
            ),
        ] {
            assert_eq!(script.check().unwrap_err().to_string(), expected);
        }
        let most = script().errors(0.5).timeouts(0.5).delay(second(60)).down(second(0)..);
        most.check().unwrap();
    }
}
