//! [`Team`]: threads that use a cache together.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::subject::Subject;
use crate::workload::Workload;

/// A time limit that no batch reaches.
const PATIENCE: Duration = Duration::from_secs(300);

/// Threads that use a cache together, one for each order of a workload. Dropping the team ends them.
pub struct Team {
    members: Vec<Member>,
    times: Receiver<Duration>,
}

struct Member {
    /// `None` once the team is dismissed.
    batches: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

struct Batch {
    subject: Arc<Subject>,
    hits: usize,
}

impl Team {
    /// Starts the threads.
    pub fn new(workload: &Arc<Workload>) -> Self {
        let (report, times) = channel();
        let start = Arc::new(Barrier::new(workload.orders.len()));
        let member = |number| {
            let (batches, given) = channel();
            let (workload, start, report) = (Arc::clone(workload), Arc::clone(&start), report.clone());
            let thread = std::thread::spawn(move || work(&workload, number, &given, &start, &report));
            Member { batches: Some(batches), thread: Some(thread) }
        };
        let members = (0..workload.orders.len()).map(member).collect();
        Team { members, times }
    }

    /// Returns the average time in which each thread makes `hits` hits. All threads run at once.
    ///
    /// # Panics
    /// Panics if a thread panicked, because a key was not cached.
    pub fn time(&self, subject: &Arc<Subject>, hits: usize) -> Duration {
        for batches in self.members.iter().filter_map(|member| member.batches.as_ref()) {
            // A thread that panicked receives nothing. Its missing time is noticed below.
            let _ = batches.send(Batch { subject: Arc::clone(subject), hits });
        }
        let time = |_: &Member| self.times.recv_timeout(PATIENCE).expect("every thread reports its time");
        let total: Duration = self.members.iter().map(time).sum();
        total / u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        for member in &mut self.members {
            member.batches = None;
            if let Some(thread) = member.thread.take() {
                // The thread has nothing left to do. A panic has already printed its message.
                let _ = thread.join();
            }
        }
    }
}

/// Runs the batches of a member until the team is dropped.
fn work(
    workload: &Workload,
    number: usize,
    batches: &Receiver<Batch>,
    start: &Barrier,
    report: &Sender<Duration>,
) {
    let order = &workload.orders[number];
    let mut next = 0;
    for Batch { subject, hits } in batches {
        start.wait();
        let began = Instant::now();
        let mut left = hits;
        while left > 0 {
            let end = order.len().min(next + left);
            subject.hit(&workload.keys, &order[next..end]);
            left -= end - next;
            next = end % order.len();
        }
        if report.send(began.elapsed()).is_err() {
            return;
        }
    }
}
