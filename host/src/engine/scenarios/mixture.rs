//! [`play_mixed`]: the script of the rows in [`mixed`](super::mixed).

use super::coverage::Tag::{self, *};
use super::play::Play;
use super::port::Call;
use super::world::{Mutexes, Point};

/// Plays a creation of `k` that ends as `end` says, during which `during` happens to `k`, another caller reaches
/// `limit`, and `failure` strikes a third one. The creation was queued before, and `handoff` became of it.
pub(super) fn play_mixed(play: &mut Play, [end, during, limit, failure, handoff]: [Tag; 5]) {
    play.fresh("f", 1);
    play.stale("k", 2);
    play.mutexes(Mutexes::Working);
    play.call(Call::of("a", &["f", "k"]).background());
    play.at("a", Point::Done);
    let leader = lead(play, handoff);
    fail_another(play, failure);
    time_out(play, limit);
    play.disturb("k", during, 5);
    play.call(Call::of("latecomer", &["k"]));
    // It waits if it finds no value.
    let finds_none =
        matches!(during, Delete | HardInvalidation) || during == SoftInvalidation && handoff == TakenOver;
    play.at("latecomer", if finds_none { Point::Waiting } else { Point::Done });
    play.end(leader, end, 7);
    if finds_none {
        play.at("latecomer", Point::Creating);
        play.succeed("latecomer", 6);
    }
}

/// Begins the creation, and returns who creates.
fn lead(play: &mut Play, handoff: Tag) -> &'static str {
    match handoff {
        RunsQueued => {
            play.run_queue(Call::of("leader", &[]));
            play.at("leader", Point::Creating);
        }
        TakenOver => {
            play.invalidate(true);
            play.fresh("f", 1);
            play.creating(Call::of("leader", &["k"]));
            play.run_queue(Call::of("runner", &[]));
            play.at("runner", Point::Done);
        }
        _ => {
            play.drop_queue();
            play.creating(Call::of("leader", &["k"]));
        }
    }
    "leader"
}

fn fail_another(play: &mut Play, failure: Tag) {
    match failure {
        MutexFails => play.mutexes(Mutexes::Failing),
        ReadFails => play.rereads_fail(true),
        _ => play.stores_fail(true),
    }
    play.call(Call::of("unlucky", &["l"]));
    if failure == StoreFails {
        play.succeed("unlucky", 9);
    }
    play.at("unlucky", Point::Done);
    play.mutexes(Mutexes::Working);
    play.rereads_fail(false);
    play.stores_fail(false);
}

fn time_out(play: &mut Play, limit: Tag) {
    if limit == GivesUp {
        play.mutex_limit(3);
        play.hold_elsewhere("t");
        play.call(Call::of("late", &["t"]));
        play.at("late", Point::Locking);
        play.advance(3.0);
    } else {
        play.creating(Call::of("slow", &["t"]));
        play.waiting(Call::of("late", &["t"]).waits(3));
        play.advance(3.0);
        play.at("late", Point::Done);
        play.succeed("slow", 8);
    }
    play.at("late", Point::Done);
}
