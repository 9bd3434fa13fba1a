//! The model: what a call does, by the age of the value, the end of its creator, the state of the backend, and the policy.
//!
//! It follows `docs/failures.md` for a creator that borrows, and shares no code with the regions.

use std::fmt;
use std::time::Duration;

use dogpile::{FailSafe, OnStale, Preset, RegionConfig, Share};

/// The age past which all values are stale, in seconds.
pub(super) const LIMIT: u64 = 100;

/// The age of a value that was invalidated, in seconds.
const INVALIDATED_AGE: u64 = 2;

/// The ages of old values: fresh, due for an early refresh, and past each limit that a policy below has.
const AGES: [u64; 5] = [50, 85, 120, 500, 1001];

/// What is stored before the call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stored {
    Nothing,
    Aged(u64),
    SoftlyInvalidated,
    HardInvalidated,
}

pub(super) fn all_stored() -> impl Iterator<Item = Stored> {
    let others = [Stored::Nothing, Stored::SoftlyInvalidated, Stored::HardInvalidated];
    AGES.into_iter().map(Stored::Aged).chain(others)
}

/// How a creator ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Value,
    Outage,
    Answer,
    Panic,
}

pub(super) const ENDS: [End; 4] = [End::Value, End::Outage, End::Answer, End::Panic];

/// What the backend does during the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Works,
    RefusesWrites,
    RefusesLocks,
    Down,
}

pub(super) const STATES: [State; 4] = [State::Works, State::RefusesWrites, State::RefusesLocks, State::Down];

/// A policy, and the values that the model uses.
#[derive(Clone, Copy)]
pub(super) struct Policy {
    pub(super) name: &'static str,
    pub(super) configure: fn(RegionConfig) -> RegionConfig,
    pub(super) refreshes_early: bool,
    /// The age past which a value counts as missing.
    pub(super) missing_after: u64,
    /// The age up to which an old value is served if there is no new one.
    pub(super) saved_until: u64,
    /// Whether a caller with a stale value waits for the new one.
    pub(super) waits: bool,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const FOR_EVER: u64 = u64::MAX;

/// Values are refreshed from 80 seconds on, count as missing after 150, and are served up to 1000 without a new one.
fn staged(config: RegionConfig) -> RegionConfig {
    let fail_safe = FailSafe::new(Duration::from_secs(1000));
    config.early_refresh(Share::percent(80)).max_stale(50).fail_safe(fail_safe)
}

pub(super) const POLICIES: [Policy; 5] = [
    Policy {
        name: "dogpile",
        configure: |config| config,
        refreshes_early: false,
        missing_after: FOR_EVER,
        saved_until: 0,
        waits: false,
    },
    Policy {
        name: "staged",
        configure: staged,
        refreshes_early: true,
        missing_after: LIMIT + 50,
        saved_until: 1000,
        waits: false,
    },
    Policy {
        name: "staged, waiting",
        configure: |config| staged(config).stale(OnStale::Wait),
        refreshes_early: true,
        missing_after: LIMIT + 50,
        saved_until: 1000,
        waits: true,
    },
    Policy {
        name: "resilient",
        configure: |config| config.preset(Preset::Resilient),
        refreshes_early: true,
        missing_after: FOR_EVER,
        saved_until: 86_400,
        waits: false,
    },
    Policy {
        name: "strict",
        configure: |config| config.preset(Preset::Strict),
        refreshes_early: false,
        missing_after: LIMIT,
        saved_until: 0,
        waits: true,
    },
];

/// What a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    Old,
    New,
    Outage,
    Answer,
    Panic,
    BackendError,
    LockError,
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) got: Got,
    pub(super) calls_creator: bool,
    pub(super) stores: bool,
}

/// What a caller has before anything is created.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Fresh,
    Early,
    Stale,
    /// Only for a caller that gets no new value.
    Grace,
    Missing,
}

/// The model: one case of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) stored: Stored,
    pub(super) end: End,
    pub(super) state: State,
    pub(super) policy: Policy,
    pub(super) degrades: bool,
    /// Whether the backend has mutexes.
    pub(super) has_mutexes: bool,
}

impl Case {
    fn stage(&self) -> Stage {
        let Policy { refreshes_early, missing_after, saved_until, .. } = self.policy;
        match self.stored {
            // A backend that cannot be read has nothing.
            _ if self.state == State::Down => Stage::Missing,
            Stored::Nothing | Stored::HardInvalidated => Stage::Missing,
            Stored::SoftlyInvalidated => Stage::Stale,
            Stored::Aged(age) if age <= 80 || age <= LIMIT && !refreshes_early => Stage::Fresh,
            Stored::Aged(age) if age <= LIMIT => Stage::Early,
            Stored::Aged(age) if age <= missing_after => Stage::Stale,
            Stored::Aged(age) if age <= saved_until => Stage::Grace,
            Stored::Aged(_) => Stage::Missing,
        }
    }

    /// Whether the old value is served if no new one comes.
    fn is_saved(&self) -> bool {
        let age = if let Stored::Aged(age) = self.stored { age } else { INVALIDATED_AGE };
        matches!(self.stage(), Stage::Stale | Stage::Grace) && age <= self.policy.saved_until
    }

    pub(super) fn expected(&self) -> Effect {
        let uncalled = |got| Effect { got, calls_creator: false, stores: false };
        let (stage, has_lock) = (self.stage(), !self.has_mutexes || self.state != State::RefusesLocks);
        match stage {
            _ if self.state == State::Down && !self.degrades => return uncalled(Got::BackendError),
            Stage::Fresh => return uncalled(Got::Old),
            Stage::Early if !has_lock => return uncalled(Got::Old),
            _ if has_lock || self.degrades => {}
            Stage::Stale if !self.policy.waits => return uncalled(Got::Old),
            _ if self.is_saved() => return uncalled(Got::Old),
            _ => return uncalled(Got::LockError),
        }
        let got = match self.end {
            End::Value => Got::New,
            End::Panic => Got::Panic,
            End::Outage | End::Answer if stage == Stage::Early => Got::Old,
            End::Answer => Got::Answer,
            End::Outage if self.is_saved() => Got::Old,
            End::Outage => Got::Outage,
        };
        // A call that goes on without its mutex goes on without the backend.
        let stores = got == Got::New && matches!(self.state, State::Works | State::RefusesLocks) && has_lock;
        Effect { got, calls_creator: true, stores }
    }
}
