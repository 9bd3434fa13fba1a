//! The rules, each over the timeline of one key.

use super::super::operations::{Call, Moment, Operation, Outcome};
use super::timeline::{Made, Miss, Read, Timeline};
use super::{Rule, Violation};

/// Returns the violations that a timeline shows.
pub(super) fn violations(timeline: &Timeline<'_>) -> Vec<Violation> {
    let reads = timeline.reads.iter().filter_map(|read| wrong_read(timeline, read));
    reads.chain(lost(timeline)).chain(creators_at_once(timeline)).collect()
}

fn wrong_read(timeline: &Timeline<'_>, read: &Read<'_>) -> Option<Violation> {
    let Some(made) = timeline.origin(read) else { return Some(unknown(timeline, read)) };
    too_early(timeline, read, made)
        .or_else(|| not_cacheable(timeline, read, made))
        .or_else(|| superseded(timeline, read, made))
        .or_else(|| invalidated(timeline, read, made))
}

fn unknown(timeline: &Timeline<'_>, read: &Read<'_>) -> Violation {
    let what = format!("k{}: {} was returned, which was not made for this key", timeline.key, read.value);
    Violation::new(Rule::Origin, timeline, what, &[read.by])
}

fn too_early(timeline: &Timeline<'_>, read: &Read<'_>, made: &Made<'_>) -> Option<Violation> {
    (made.visible > read.end).then(|| {
        let what = format!("k{}: {} was returned before it was made", timeline.key, read.value);
        Violation::new(Rule::Origin, timeline, what, &[made.by, read.by])
    })
}

fn not_cacheable(timeline: &Timeline<'_>, read: &Read<'_>, made: &Made<'_>) -> Option<Violation> {
    // A detached creation goes on after its caller was dropped.
    let ended = made.by.end.filter(|_| made.by.outcome != Outcome::Dropped);
    let is_later = ended.is_some_and(|end| end < read.by.begin);
    (!made.is_cacheable() && (read.is_fresh_only() || is_later)).then(|| {
        let what = format!("k{}: {} was returned, which is not cacheable", timeline.key, read.value);
        Violation::new(Rule::Origin, timeline, what, &[made.by, read.by])
    })
}

fn superseded(timeline: &Timeline<'_>, read: &Read<'_>, made: &Made<'_>) -> Option<Violation> {
    let is_write = |call| matches!(call, Call::Set | Call::Delete);
    let write = ruling_out(timeline, read, made, is_write)?;
    let what = format!("k{}: {} was returned after it had been superseded", timeline.key, read.value);
    Some(Violation::new(Rule::Superseded, timeline, what, &[made.by, write, read.by]))
}

fn invalidated(timeline: &Timeline<'_>, read: &Read<'_>, made: &Made<'_>) -> Option<Violation> {
    let Some(hard) = ruling_out(timeline, read, made, |call| call == Call::Invalidate) else {
        let soft = ruling_out(timeline, read, made, |call| call == Call::InvalidateSoft)?;
        return read.is_fresh_only().then(|| {
            let what = format!("k{}: `get` returned {}, which is stale", timeline.key, read.value);
            Violation::new(Rule::Invalidated, timeline, what, &[made.by, soft, read.by])
        });
    };
    let what = format!("k{}: {} was returned after a hard invalidation", timeline.key, read.value);
    match weakening(timeline, read, hard) {
        Some(soft) => {
            let what = format!("{what} that a soft one may have replaced");
            Some(Violation::new(Rule::Weakened, timeline, what, &[made.by, hard, soft, read.by]))
        }
        None => Some(Violation::new(Rule::Invalidated, timeline, what, &[made.by, hard, read.by])),
    }
}

/// Returns the last write for which `wanted` holds and that ruled the value out before the read began.
fn ruling_out<'h>(
    timeline: &Timeline<'h>,
    read: &Read<'_>,
    made: &Made<'_>,
    wanted: impl Fn(Call) -> bool,
) -> Option<&'h Operation> {
    let writes = timeline.writes.iter().copied().filter(|write| wanted(write.call) && read.is_after(write));
    writes.filter(|write| made.is_ruled_out_by(write)).max_by_key(|write| write.begin)
}

/// Returns a soft invalidation that may have replaced `hard` before the read.
fn weakening<'h>(timeline: &Timeline<'h>, read: &Read<'_>, hard: &Operation) -> Option<&'h Operation> {
    let soft = timeline.writes.iter().copied().filter(|write| write.call == Call::InvalidateSoft);
    let mut later = soft.filter(|soft| soft.end.is_none_or(|end| end > hard.begin) && soft.begin < read.end);
    if read.is_fresh_only() { None } else { later.next() }
}

fn lost<'t>(timeline: &'t Timeline<'_>) -> impl Iterator<Item = Violation> + 't {
    let misses = timeline.misses.iter().filter(|_| !timeline.evicts);
    misses.filter_map(|miss| {
        let made = timeline.made.iter().find(|made| is_lost(timeline, made, miss))?;
        let what = format!("k{}: {} was stored, and is missing", timeline.key, made.value);
        Some(Violation::new(Rule::Lost, timeline, what, &[made.by, miss.by]))
    })
}

fn is_lost(timeline: &Timeline<'_>, made: &Made<'_>, miss: &Miss<'_>) -> bool {
    let stored = if made.by.outcome == Outcome::Succeeded { made.by.end } else { None };
    let is_stored = made.is_cacheable() && stored.is_some_and(|stored| stored < miss.by.begin);
    let is_disturbed = || timeline.writes.iter().any(|write| made.is_disturbed_by(write, miss.end));
    is_stored && !is_disturbed() && !timeline.is_replaced(made, miss.end)
}

fn creators_at_once<'t>(timeline: &'t Timeline<'_>) -> impl Iterator<Item = Violation> + 't {
    let creations = &timeline.creations;
    creations.iter().filter_map(|(by, creation)| {
        let during = |called: Moment| {
            called > creation.called && creation.returned.is_none_or(|returned| called < returned)
        };
        let (other, _) = creations.iter().find(|(_, other)| during(other.called))?;
        let what = format!("k{}: two creators ran at the same time", timeline.key);
        Some(Violation::new(Rule::Exclusion, timeline, what, &[by, other]))
    })
}
