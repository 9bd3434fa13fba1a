//! [`ChaosControl`]: the switch of chaos proxies, and what they share.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, WeakRegistry, bounds};
use parking_lot::{Condvar, Mutex};

use super::config::ChaosConfig;
use super::operation::ChaosOperation;
use super::script::{Cause, ChaosScript, Decision, Failure};
use super::steady::SteadyClock;
use crate::clock::Clock;
use crate::log_targets::PROXY;

/// The named controls whose proxies are in use.
static NAMED: WeakRegistry<String, Shared> = WeakRegistry::new();

/// The switch of one or more chaos proxies. It enables, disables, and scripts them at run time, from any thread.
///
/// A configuration gives its proxy a name, by which code finds the control:
///
/// ```
/// use dogpile::proxy::{ChaosControl, ChaosScript};
/// use dogpile::{CacheRegion, Configuration};
///
/// static PRICES: CacheRegion = CacheRegion::new("prices");
///
/// Configuration::from_toml(
///     r#"
///     [regions.prices]
///     backend = "dogpile.cache.memory"
///     wrap = [{ name = "dogpile.proxy.chaos", arguments = { name = "prices", seed = 1, errors = 1.0 } }]
///     "#,
/// )?
/// .configure(&PRICES)?;
/// assert!(PRICES.set("tea", 350).is_err());
///
/// let chaos = ChaosControl::named("prices").expect("the proxy is in use");
/// chaos.disable();
/// PRICES.set("tea", 350)?;
///
/// chaos.set_script(ChaosScript::new().timeouts(1.0))?;
/// chaos.enable();
/// assert!(PRICES.get::<i32>("tea").is_err());
/// assert_eq!(chaos.counts().timeouts, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In code, a control can also come first. [`Chaos::controlled`](super::Chaos::controlled) then creates the proxies.
#[derive(Clone)]
pub struct ChaosControl(Arc<Shared>);

/// The numbers of calls since the control was created. Calls that pass while it is disabled do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChaosCounts {
    /// The calls to which a script applied.
    pub calls: u64,
    /// Those that failed because of `errors`.
    pub errors: u64,
    /// Those that failed because of `timeouts`.
    pub timeouts: u64,
    /// Those that failed because the backend was down.
    pub outages: u64,
    /// Those that were delayed.
    pub delays: u64,
}

struct Shared {
    config: ChaosConfig,
    seed: u64,
    state: Mutex<State>,
    /// Signaled when the state changes, so that delays end.
    changed: Condvar,
}

struct State {
    is_enabled: bool,
    script: ChaosScript,
    clock: Arc<dyn Clock>,
    /// The clock's reading when the script took effect, in seconds.
    began: f64,
    counts: ChaosCounts,
    /// The number of changes. A delay ends when it grows.
    changes: u64,
}

impl ChaosControl {
    /// Creates a control from `config`, or returns the one in use that has its name.
    ///
    /// # Errors
    /// If an argument is out of bounds, or a control of this name is in use with other arguments.
    pub fn new(config: ChaosConfig) -> Result<Self, BackendError> {
        config.script().check()?;
        // Before any lock: the clock may be foreign code.
        let clock = config.clock.clone().unwrap_or_else(|| Arc::new(SteadyClock::start()));
        let began = clock.now().as_seconds();
        let Some(name) = config.name.clone() else {
            let shared = Shared::new(config, clock, began);
            shared.warn();
            return Ok(ChaosControl(Arc::new(shared)));
        };
        if name.is_empty() {
            return Err(bounds::invalid("name", "it is empty; set at least one character, or leave it out"));
        }
        let mut is_new = false;
        let shared = NAMED.get_or_create(name.clone(), || {
            is_new = true;
            Shared::new(config.clone(), clock, began)
        });
        if is_new {
            shared.warn();
        }
        if shared.config.agrees_with(&config) {
            return Ok(ChaosControl(shared));
        }
        let why = format!(
            "a chaos proxy named {name:?} is in use with other arguments; use another name, or equal arguments"
        );
        Err(bounds::invalid("name", why))
    }

    /// Returns the control of the proxies named `name`, or `None` if none is in use.
    pub fn named(name: &str) -> Option<Self> {
        NAMED.get(&name.to_owned()).map(ChaosControl)
    }

    /// Returns the seed, given or random.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Returns whether calls fail and are delayed.
    pub fn is_enabled(&self) -> bool {
        self.0.state.lock().is_enabled
    }

    /// Applies the script to all later calls.
    pub fn enable(&self) {
        self.0.change(|state| state.is_enabled = true);
    }

    /// Lets all later calls pass, and ends the delays in progress.
    pub fn disable(&self) {
        self.0.change(|state| state.is_enabled = false);
    }

    /// Replaces the script, and ends the delays in progress. The windows of the new one count from now.
    ///
    /// Whether the control is enabled stays as it is.
    ///
    /// # Errors
    /// If a value of the script is out of bounds. Also if it delays calls although the proxies promised never to block:
    /// those without a name whose configuration has no delay. The script in force stays then.
    pub fn set_script(&self, script: ChaosScript) -> Result<(), BackendError> {
        script.check()?;
        if script.delays() && !self.may_delay() {
            let why = "the proxy has promised never to block, because its configuration has neither a name nor a \
                       delay; give it a name";
            return Err(bounds::invalid("delay", why));
        }
        let (clock, now) = self.0.time();
        self.0.change(|state| {
            state.script = script;
            // The windows count from the moment at which a clock was set, if that happened meanwhile.
            if Arc::ptr_eq(&state.clock, &clock) {
                state.began = now;
            }
        });
        Ok(())
    }

    /// Returns the script in force.
    pub fn script(&self) -> ChaosScript {
        self.0.state.lock().script.clone()
    }

    /// Measures the windows by `clock`, which counts from now. A test passes a [`ManualClock`](crate::ManualClock).
    pub fn set_clock(&self, clock: Arc<dyn Clock>) {
        let now = clock.now().as_seconds();
        let replaced = self.0.change(|state| {
            state.began = now;
            std::mem::replace(&mut state.clock, clock)
        });
        drop(replaced);
    }

    /// Returns the numbers of calls so far.
    pub fn counts(&self) -> ChaosCounts {
        self.0.state.lock().counts
    }

    /// Returns whether calls may ever be delayed.
    pub(super) fn may_delay(&self) -> bool {
        self.0.config.name.is_some() || !self.0.config.delay.is_zero()
    }

    /// Delays a call of `operation`, at most until `deadline`, and returns its failure if it does not pass.
    pub(super) fn judge(&self, operation: ChaosOperation, deadline: Option<Instant>) -> Option<Failure> {
        let (clock, now) = self.0.time();
        let mut state = self.0.state.lock();
        // A clock that was set meanwhile has just begun to count.
        let elapsed = if Arc::ptr_eq(&state.clock, &clock) { now - state.began } else { 0.0 };
        let Decision { delay, failure } = state.decide(operation, elapsed, self.0.seed)?;
        if !delay.is_zero() {
            let end = Instant::now() + delay;
            let end = deadline.map_or(end, |deadline| deadline.min(end));
            let changes = state.changes;
            while state.changes == changes && !self.0.changed.wait_until(&mut state, end).timed_out() {}
        }
        failure
    }

    /// Returns the message of a call that failed because of `cause`.
    pub(super) fn message(&self, cause: &Cause) -> String {
        match &self.0.config.name {
            Some(name) => format!("{cause} (dogpile.proxy.chaos {name:?})"),
            None => format!("{cause} (dogpile.proxy.chaos)"),
        }
    }
}

impl Shared {
    fn new(config: ChaosConfig, clock: Arc<dyn Clock>, began: f64) -> Self {
        // Half of the bits, so that the seed is easy to copy and is a whole number in TOML.
        let seed = config.seed.unwrap_or_else(|| RandomState::new().hash_one(()) >> 32);
        let state = State {
            is_enabled: config.enabled,
            script: config.script(),
            began,
            clock,
            counts: ChaosCounts::default(),
            changes: 0,
        };
        Shared { config, seed, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn warn(&self) {
        let (name, seed) = (self.config.name.as_deref(), self.seed);
        tracing::warn!(
            target: PROXY,
            name,
            seed,
            "calls of a backend fail on purpose; set seed = {seed} to repeat this run"
        );
    }

    /// Returns the clock and its reading, in seconds. The clock is foreign code, and is read without the lock.
    fn time(&self) -> (Arc<dyn Clock>, f64) {
        let clock = Arc::clone(&self.state.lock().clock);
        let now = clock.now().as_seconds();
        (clock, now)
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let changed = change(&mut state);
        state.changes += 1;
        self.changed.notify_all();
        changed
    }
}

impl State {
    /// Returns what happens to a call of `operation`, so many seconds after the script began, and counts it. `None` means
    /// that it passes.
    fn decide(&mut self, operation: ChaosOperation, elapsed: f64, seed: u64) -> Option<Decision> {
        if !self.is_enabled {
            return None;
        }
        // A clock may have been set back.
        let elapsed = Duration::try_from_secs_f64(elapsed).unwrap_or_default();
        let decision = self.script.decide(operation, elapsed, seed, self.counts.calls)?;
        let counts = &mut self.counts;
        counts.calls += 1;
        counts.delays += u64::from(!decision.delay.is_zero());
        match decision.failure.as_ref().map(|failure| &failure.cause) {
            Some(Cause::Errors(_)) => counts.errors += 1,
            Some(Cause::Timeouts(_)) => counts.timeouts += 1,
            Some(Cause::Down(_)) => counts.outages += 1,
            None => {}
        }
        Some(decision)
    }
}

impl fmt::Debug for ChaosControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, seed) = (&self.0.config.name, self.0.seed);
        f.debug_struct("ChaosControl").field("name", name).field("seed", &seed).finish_non_exhaustive()
    }
}
