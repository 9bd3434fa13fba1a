//! What a region promises about creations, writes, and waits.
//!
//! The table of the engine's own scenarios lies in `host/src/engine/scenarios`. These tests show the same promises
//! through regions, for single and multi calls.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "engine/absent.rs"]
mod absent;
#[path = "engine/background.rs"]
mod background;
#[path = "engine/borrowing.rs"]
mod borrowing;
#[path = "engine/failures.rs"]
mod failures;
#[path = "engine/handoff.rs"]
mod handoff;
#[path = "engine/judged_again.rs"]
mod judged_again;
#[path = "engine/linked_panics.rs"]
mod linked_panics;
#[path = "engine/lost.rs"]
mod lost;
#[path = "engine/outage.rs"]
mod outage;
#[path = "engine/pausing.rs"]
mod pausing;
#[path = "engine/recovery.rs"]
mod recovery;
#[path = "engine/timeouts.rs"]
mod timeouts;
#[path = "engine/waiting.rs"]
mod waiting;
#[path = "engine/warnings.rs"]
mod warnings;
#[path = "engine/writers.rs"]
mod writers;
