//! [`Queue`]: the tasks for one server, each due at some time. Of those that are due, the most urgent one comes first.

use std::collections::BTreeMap;
use std::time::Instant;

/// The tasks for one server. Adding and taking one takes logarithmic time.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// By the time at which each is due.
    waiting: BTreeMap<(Instant, u64), (Instant, T)>,
    /// Those that are due, by the time until which they must be done.
    due: BTreeMap<(Instant, u64), T>,
}

/// The place of a task in its queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Distinguishes tasks of one time.
    pub(super) number: u64,
    /// The time from which the task may be performed.
    pub(super) due: Instant,
    /// The time until which it must be performed. The earliest is the most urgent.
    pub(super) until: Instant,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { waiting: BTreeMap::new(), due: BTreeMap::new() }
    }
}

impl<T> Queue<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.due.is_empty()
    }

    pub(super) fn add(&mut self, place: Place, task: T) {
        self.waiting.insert((place.due, place.number), (place.until, task));
    }

    /// Removes the task at `place`, unless it was taken.
    pub(super) fn remove(&mut self, place: Place) {
        if self.waiting.remove(&(place.due, place.number)).is_none() {
            self.due.remove(&(place.until, place.number));
        }
    }

    /// Returns the time at which the next task is due. It has passed if tasks are due already.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let passed = self.due.first_key_value().map(|((until, _), _)| *until);
        let next = self.waiting.first_key_value().map(|((due, _), _)| *due);
        match (passed, next) {
            (Some(passed), Some(next)) => Some(passed.min(next)),
            (passed, next) => passed.or(next),
        }
    }

    /// Returns how urgent the most urgent of the tasks is that are due at `now`.
    pub(super) fn urgency(&mut self, now: Instant) -> Option<Instant> {
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now) {
            let ((_, number), (until, task)) = first.remove_entry();
            self.due.insert((until, number), task);
        }
        self.due.first_key_value().map(|((until, _), _)| *until)
    }

    /// Takes the most urgent of the tasks that [`urgency`](Self::urgency) found to be due.
    pub(super) fn take(&mut self) -> Option<T> {
        self.due.pop_first().map(|(_, task)| task)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A queue whose tasks are due and urgent after these numbers of seconds. Each task is its number.
    fn queue(start: Instant, tasks: &[(u64, u64)]) -> (Queue<usize>, Vec<Place>) {
        let (mut queue, mut places) = (Queue::default(), Vec::new());
        for (number, (due, until)) in tasks.iter().enumerate() {
            let place = Place { number: number as u64, due: later(start, *due), until: later(start, *until) };
            queue.add(place, number);
            places.push(place);
        }
        (queue, places)
    }

    fn later(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn taken(queue: &mut Queue<usize>, now: Instant) -> Vec<usize> {
        std::iter::from_fn(|| queue.urgency(now).and_then(|_| queue.take())).collect()
    }

    #[test]
    fn due_tasks_are_taken_by_urgency() {
        let start = Instant::now();
        let (mut queue, _) = queue(start, &[(1, 40), (3, 20), (2, 30), (9, 10)]);
        assert!(taken(&mut queue, start).is_empty());
        assert_eq!(taken(&mut queue, later(start, 5)), [1, 2, 0]);
        assert_eq!(queue.next_due(), Some(later(start, 9)));
        assert_eq!(taken(&mut queue, later(start, 9)), [3]);
        assert!(queue.is_empty() && queue.next_due().is_none());
    }

    #[test]
    fn tasks_of_one_time_are_taken_in_order() {
        let start = Instant::now();
        let (mut queue, _) = queue(start, &[(1, 2); 5]);
        assert_eq!(taken(&mut queue, later(start, 1)), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn task_is_removed_whether_it_is_due_or_not() {
        let start = Instant::now();
        let (mut queue, places) = queue(start, &[(1, 10), (1, 11), (5, 12), (5, 13)]);
        assert_eq!(queue.urgency(later(start, 1)), Some(later(start, 10)));
        queue.remove(places[0]);
        queue.remove(places[2]);
        assert_eq!(taken(&mut queue, later(start, 9)), [1, 3]);
        queue.remove(places[1]);
        assert!(queue.is_empty());
    }
}
