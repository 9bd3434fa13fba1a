//! The dimensions' values that a row covers, and the test that all pairs are covered.

use std::collections::BTreeSet;

use super::Row;

/// A value of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tag {
    // What a caller reads first.
    Missing,
    Stale,
    Fresh,
    // What a caller does. A caller that gets the old value because another one creates counts as a waiter.
    Leader,
    Waiter,
    // How a creation ends.
    Success,
    Fails,
    Panics,
    Cancellation,
    // What happens to the key while its creator runs.
    Undisturbed,
    Set,
    Delete,
    HardInvalidation,
    SoftInvalidation,
    // Which limit is reached.
    InTime,
    WaitLimit,
    GivesUp,
    // What fails besides the creator.
    Healthy,
    MutexFails,
    ReadFails,
    StoreFails,
    // What becomes of a creation in the background.
    Foreground,
    RunsQueued,
    TakenOver,
    Dropped,
    // How many keys a caller requests.
    One,
    Several,
}

use Tag::*;

/// The dimensions. The first value of each is the one that a row covers if it names none.
const DIMENSIONS: [&[Tag]; 8] = [
    &[Missing, Stale, Fresh],
    &[Leader, Waiter],
    &[Success, Fails, Panics, Cancellation],
    &[Undisturbed, Set, Delete, HardInvalidation, SoftInvalidation],
    &[InTime, WaitLimit, GivesUp],
    &[Healthy, MutexFails, ReadFails, StoreFails],
    &[Foreground, RunsQueued, TakenOver, Dropped],
    &[One, Several],
];

/// Pairs that cannot occur in one scenario, and why.
const IMPOSSIBLE: [(Tag, Tag, &str); 0] = [];

/// Returns the values that `row` covers of each dimension.
fn values(row: &Row) -> [Vec<Tag>; 8] {
    DIMENSIONS.map(|dimension| {
        let named: Vec<Tag> = dimension.iter().copied().filter(|tag| row.covers.contains(tag)).collect();
        if named.is_empty() { vec![dimension[0]] } else { named }
    })
}

/// Returns the values that only happen if a script makes them happen.
pub(super) fn declared(row: &Row) -> impl Iterator<Item = Tag> {
    let is_absence = |tag: &Tag| matches!(tag, Undisturbed | InTime | Healthy | Foreground);
    values(row).into_iter().flatten().filter(move |tag| !is_absence(tag))
}

fn pairs(values: &[Vec<Tag>; 8]) -> impl Iterator<Item = (Tag, Tag)> {
    let dimensions = (0..8).flat_map(|first| (first + 1..8).map(move |second| (first, second)));
    dimensions.flat_map(move |(first, second)| {
        values[first].iter().flat_map(move |one| values[second].iter().map(move |other| (*one, *other)))
    })
}

/// Fails with the pairs that no row covers.
pub(super) fn assert_complete(rows: &[&Row]) {
    let covered: BTreeSet<(Tag, Tag)> =
        rows.iter().flat_map(|row| pairs(&values(row)).collect::<Vec<_>>()).collect();
    let is_possible = |pair: &(Tag, Tag)| !IMPOSSIBLE.iter().any(|(one, other, _)| *pair == (*one, *other));
    let all: BTreeSet<(Tag, Tag)> = pairs(&DIMENSIONS.map(<[Tag]>::to_vec)).filter(is_possible).collect();
    let missing: Vec<_> = all.difference(&covered).collect();
    assert!(missing.is_empty(), "{} of {} pairs are missing: {missing:?}", missing.len(), all.len());
}
