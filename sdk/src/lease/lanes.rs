//! [`Lanes`]: one queue of tasks per server. One task of a queue is performed at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::queue::{Place, Queue};

/// The tasks for all servers. A server that hangs holds up its own lane only.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    by_server: HashMap<Arc<str>, Lane<T>>,
    next_number: u64,
}

#[derive(Debug)]
struct Lane<T> {
    queue: Queue<T>,
    /// Whether a task of this lane is being performed.
    is_busy: bool,
}

/// The place of a task among those of all servers.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    server: Arc<str>,
    place: Place,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Lanes { by_server: HashMap::new(), next_number: 0 }
    }
}

impl<T> Lanes<T> {
    /// Adds a task for `server` that is due at `due` and must be done by `until`.
    pub(super) fn add(&mut self, server: &str, due: Instant, until: Instant, task: T) -> Slot {
        self.next_number += 1;
        let place = Place { number: self.next_number, due, until };
        let server = match self.by_server.get_key_value(server) {
            Some((server, _)) => Arc::clone(server),
            None => server.into(),
        };
        let new = || Lane { queue: Queue::default(), is_busy: false };
        self.by_server.entry(Arc::clone(&server)).or_insert_with(new).queue.add(place, task);
        Slot { server, place }
    }

    /// Removes the task in `slot`, unless it was taken.
    pub(super) fn remove(&mut self, slot: &Slot) {
        if let Some(lane) = self.by_server.get_mut(&slot.server) {
            lane.queue.remove(slot.place);
        }
        self.prune(&slot.server);
    }

    /// Takes the most urgent task that is due at `now`. Its lane is busy until it is [`done`](Self::done).
    pub(super) fn take(&mut self, now: Instant) -> Option<(Arc<str>, T)> {
        let free = self.by_server.iter_mut().filter(|(_, lane)| !lane.is_busy);
        let urgent = free.filter_map(|(server, lane)| Some((lane.queue.urgency(now)?, server, lane)));
        let (_, server, lane) = urgent.min_by_key(|(until, ..)| *until)?;
        let task = lane.queue.take()?;
        lane.is_busy = true;
        Some((Arc::clone(server), task))
    }

    /// Ends a task of `server`, so that the next one can be taken.
    pub(super) fn done(&mut self, server: &Arc<str>) {
        if let Some(lane) = self.by_server.get_mut(server) {
            lane.is_busy = false;
        }
        self.prune(server);
    }

    /// Returns the time at which a task can be taken. Tasks of busy lanes do not count.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_server.values().filter(|lane| !lane.is_busy).filter_map(|lane| lane.queue.next_due()).min()
    }

    /// Removes the lane of `server` if it is of no use.
    fn prune(&mut self, server: &Arc<str>) {
        if self.by_server.get(server).is_some_and(|lane| !lane.is_busy && lane.queue.is_empty()) {
            self.by_server.remove(server);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn later(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn busy_lane_does_not_hold_up_others() {
        let (start, mut lanes) = (Instant::now(), Lanes::default());
        for number in 0..3 {
            lanes.add("hangs", start, later(start, number), ("hangs", number));
            lanes.add("works", start, later(start, 10 + number), ("works", number));
        }
        let now = later(start, 1);
        let (hangs, task) = lanes.take(now).expect("the most urgent task is due");
        assert_eq!(task, ("hangs", 0));
        for number in 0..3 {
            let (works, task) = lanes.take(now).expect("the other lane is free");
            assert_eq!(task, ("works", number));
            assert!(lanes.take(now).is_none(), "a lane performs one task at a time");
            lanes.done(&works);
        }
        assert!(lanes.take(now).is_none() && lanes.next_due().is_none());
        lanes.done(&hangs);
        assert_eq!(lanes.take(now).map(|(_, task)| task), Some(("hangs", 1)));
    }

    #[test]
    fn empty_lanes_leave_nothing_behind() {
        let (start, mut lanes) = (Instant::now(), Lanes::default());
        let slots: Vec<_> =
            (0..100).map(|number| lanes.add(&number.to_string(), start, start, number)).collect();
        let (server, number) = lanes.take(start).expect("all are due");
        for slot in &slots {
            lanes.remove(slot);
        }
        assert_eq!((lanes.by_server.len(), &*server), (1, &*number.to_string()));
        lanes.done(&server);
        assert!(lanes.by_server.is_empty());
    }
}
