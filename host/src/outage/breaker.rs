//! [`Breaker`]: decides whether a backend is called, from how its last calls ended.
//!
//! ```text
//!            enough failures in a row             open_for is over
//!   Closed ───────────────────────────> Open ───────────────────────> HalfOpen
//!     ^                                  ^                               │
//!     │                                  └──── the probe failed ─────────┤
//!     └───────────────────────────────────── the probe succeeded ────────┘
//! ```
//!
//! The breaker has no clock, so that tests can set the time.

use std::time::{Duration, Instant};

use super::config::BreakerConfig;

/// After which time another probe is made although the last one has not ended. Its thread may hang.
const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// How a call ended, as far as the breaker is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Succeeded,
    /// The backend could not be reached, or did not reply in time.
    Failed,
    /// It says nothing about the backend: the call was dropped, or failed for another reason.
    Unknown,
}

/// The right to call the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// A call while the breaker is closed, and how often it had changed before.
    Call(u64),
    /// The call that finds out whether the backend works again, by its number.
    Probe(u64),
}

/// A change of the breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    /// A probe failed.
    OpenedAgain,
    /// A probe succeeded.
    Closed,
}

/// The state of the breaker of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// All calls are made.
    Closed,
    /// All calls fail at once.
    Open,
    /// One call is made, to find out whether the backend works again. All others fail at once.
    HalfOpen,
}

/// The breaker of a backend. Without a configuration it never opens.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    pub(super) config: Option<BreakerConfig>,
    state: State,
    /// Failed calls in a row.
    failures: u32,
    /// How often the breaker opened or closed. The outcome of an earlier call says nothing about the present.
    epoch: u64,
    probes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        since: Instant,
        until: Instant,
    },
    HalfOpen {
        since: Instant,
        probe: u64,
        began: Instant,
    },
}

impl Breaker {
    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns whether the breaker is as it was at first: closed, and without a failure.
    pub(super) fn is_clear(&self) -> bool {
        self.failures == 0 && matches!(self.state, State::Closed)
    }

    /// Returns since when the breaker is not closed.
    pub(super) fn open_since(&self) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::Open { since, .. } | State::HalfOpen { since, .. } => Some(since),
        }
    }

    /// Returns when the next probe may begin: `None` if calls are made.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::Open { until, .. } => Some(until),
            State::HalfOpen { began, .. } => Some(later(began, PROBE_LIMIT)),
        }
    }

    /// Returns the right to a call, or `None` if it must fail at once. A call that may take long is not a probe.
    pub(super) fn admit(&mut self, now: Instant, may_probe: bool) -> Option<Admission> {
        let Some((since, next)) = self.open_since().zip(self.next_probe()) else {
            return Some(Admission::Call(self.epoch));
        };
        if now < next || !may_probe {
            return None;
        }
        self.probes += 1;
        self.state = State::HalfOpen { since, probe: self.probes, began: now };
        Some(Admission::Probe(self.probes))
    }

    /// Notes how a call ended.
    pub(super) fn end(&mut self, admission: Admission, ending: Ending, now: Instant) -> Option<Change> {
        match (self.state, admission) {
            (State::Closed, Admission::Call(epoch)) if epoch == self.epoch => self.called(ending, now),
            (State::HalfOpen { since, probe, .. }, Admission::Probe(number)) if number == probe => {
                self.probed(since, ending, now)
            }
            _ => None,
        }
    }

    fn called(&mut self, ending: Ending, now: Instant) -> Option<Change> {
        match ending {
            Ending::Succeeded => self.failures = 0,
            Ending::Unknown => {}
            Ending::Failed => {
                self.failures = self.failures.saturating_add(1);
                let config = self.config.filter(|config| self.failures >= config.failures)?;
                self.epoch += 1;
                self.state = State::Open { since: now, until: later(now, config.open_for) };
                return Some(Change::Opened);
            }
        }
        None
    }

    fn probed(&mut self, since: Instant, ending: Ending, now: Instant) -> Option<Change> {
        match ending {
            Ending::Succeeded => {
                self.epoch += 1;
                self.failures = 0;
                self.state = State::Closed;
                Some(Change::Closed)
            }
            // The next call probes.
            Ending::Unknown => {
                self.state = State::Open { since, until: now };
                None
            }
            Ending::Failed => {
                self.failures = self.failures.saturating_add(1);
                let open_for = self.config.unwrap_or_default().open_for;
                self.state = State::Open { since, until: later(now, open_for) };
                Some(Change::OpenedAgain)
            }
        }
    }
}

/// Returns `time` plus `wait`, or `time` if no clock will show that.
fn later(time: Instant, wait: Duration) -> Instant {
    time.checked_add(wait).unwrap_or(time)
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_millis(1000);

    fn breaker(failures: u32) -> Breaker {
        let config = BreakerConfig::default().failures(failures).open_for(OPEN_FOR);
        Breaker { config: Some(config), ..Breaker::default() }
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// What happens, at a time in milliseconds.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A call that ends in this way at once.
        Call(u64, Ending),
        /// A call that is refused.
        Refused(u64),
        /// A call that must not be a probe, and is refused.
        LongRefused(u64),
        /// A call that begins, and is not ended.
        Begin(u64),
        /// The end of the first call that has begun and not ended.
        End(u64, Ending),
    }

    use BreakerState::{Closed, HalfOpen, Open};
    use Ending::{Failed, Succeeded, Unknown};
    use Step::{Begin, Call, End, LongRefused, Refused};

    /// Takes the steps with a breaker that opens at the second failure for a second. Each is followed by the state after it.
    fn play(name: &str, steps: &[(Step, BreakerState)]) {
        let (mut breaker, start, mut begun) = (breaker(2), Instant::now(), Vec::new());
        for (number, (step, expected)) in steps.iter().enumerate() {
            let step_name = format!("{name}, step {number}: {step:?}");
            match *step {
                Call(time, ending) => {
                    let admission = breaker.admit(start + at(time), true).expect(&step_name);
                    breaker.end(admission, ending, start + at(time));
                }
                Refused(time) => assert_eq!(breaker.admit(start + at(time), true), None, "{step_name}"),
                LongRefused(time) => assert_eq!(breaker.admit(start + at(time), false), None, "{step_name}"),
                Begin(time) => begun.push(breaker.admit(start + at(time), true).expect(&step_name)),
                End(time, ending) => {
                    breaker.end(begun.remove(0), ending, start + at(time));
                }
            }
            assert_eq!(breaker.state(), *expected, "{step_name}");
        }
    }

    #[test]
    fn closed_breaker_opens_at_failures_in_a_row() {
        play(
            "success",
            &[(Call(0, Failed), Closed), (Call(1, Succeeded), Closed), (Call(2, Failed), Closed)],
        );
        play("unknown", &[(Call(0, Failed), Closed), (Call(1, Unknown), Closed), (Call(2, Failed), Open)]);
    }

    #[test]
    fn open_breaker_closes_with_a_probe_that_succeeds() {
        let table: &[(&str, &[(Step, BreakerState)])] = &[
            ("refuses", &[(Refused(0), Open), (Refused(999), Open), (LongRefused(1000), Open)]),
            ("closes", &[(Call(1000, Succeeded), Closed), (Call(1000, Failed), Closed)]),
            (
                "opens again",
                &[(Call(1000, Failed), Open), (Refused(1999), Open), (Call(2000, Succeeded), Closed)],
            ),
            (
                "one probe",
                &[(Begin(1000), HalfOpen), (Refused(2000), HalfOpen), (End(2000, Succeeded), Closed)],
            ),
            ("dropped probe", &[(Call(1000, Unknown), Open), (Call(1000, Succeeded), Closed)]),
            (
                "hanging probe",
                &[
                    (Begin(1000), HalfOpen),
                    (Refused(30_999), HalfOpen),
                    (Begin(31_000), HalfOpen),
                    (End(31_001, Failed), HalfOpen),
                    (End(31_002, Succeeded), Closed),
                ],
            ),
        ];
        for (name, steps) in table {
            let opened = [(Call(0, Failed), Closed), (Call(0, Failed), Open)];
            play(name, &[&opened, *steps].concat());
        }
    }

    /// Hundreds of calls may time out long after the breaker has opened and closed again.
    #[test]
    fn late_ends_of_calls_from_before_are_ignored() {
        play(
            "late ends",
            &[
                (Begin(0), Closed),
                (Begin(0), Closed),
                (Begin(0), Closed),
                (Call(1, Failed), Closed),
                (Call(2, Failed), Open),
                (End(3, Succeeded), Open),
                (Call(1002, Succeeded), Closed),
                (End(1003, Failed), Closed),
                (End(1004, Failed), Closed),
                (Call(1005, Failed), Closed),
                (Call(1006, Failed), Open),
            ],
        );
    }

    #[test]
    fn breaker_without_configuration_never_opens() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..1000 {
            let admission = breaker.admit(now, false).unwrap();
            assert_eq!(breaker.end(admission, Failed, now), None);
        }
        assert_eq!((breaker.state(), breaker.failures()), (Closed, 1000));
    }

    /// Random calls, of which many run at a time and end in any order.
    #[test]
    fn random_calls_keep_the_invariants() {
        for seed in 1..200_u64 {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut next = |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let (mut breaker, mut now, mut running) = (breaker(3), Instant::now(), Vec::new());
            let (began, mut probes) = (now, 0);
            for _ in 0..500 {
                now += at(next(400));
                if next(2) == 0 {
                    if let Some(admission) = breaker.admit(now, next(4) > 0) {
                        probes += u64::from(matches!(admission, Admission::Probe(_)));
                        running.push(admission);
                    }
                } else if !running.is_empty() {
                    let place = usize::try_from(next(running.len() as u64)).unwrap();
                    let ending = [Succeeded, Failed, Failed, Failed][usize::try_from(next(4)).unwrap()];
                    breaker.end(running.swap_remove(place), ending, now);
                }
                let is_open = breaker.state() != Closed;
                assert!(is_open || breaker.failures() < 3, "seed {seed}: closed in spite of its failures");
                assert_eq!(is_open, breaker.open_since().is_some(), "seed {seed}");
            }
            // Each probe follows a time of `OPEN_FOR` at least, as long as none is dropped.
            let most = now.duration_since(began).as_millis() / OPEN_FOR.as_millis() + 1;
            assert!(u128::from(probes) <= most, "seed {seed}: {probes} probes, at most {most} expected");
            // Whatever happened, the breaker closes as soon as the backend works.
            now += PROBE_LIMIT + OPEN_FOR;
            let admission = breaker.admit(now, true).unwrap_or_else(|| panic!("seed {seed}: stuck"));
            breaker.end(admission, Succeeded, now);
            assert!(breaker.is_clear(), "seed {seed}: {breaker:?}");
        }
    }
}
