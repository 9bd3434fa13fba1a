//! [`LmdbOperations`]: the calls of tasks. They read without a thread, and write on one.

use std::fmt;
use std::sync::Arc;

use dogpile_sdk::{
    BackendError, CachedValue, Completion, Entry, Operations, Running, StoreOptions, envelope,
};

use super::environment::Environment;
use crate::lane::Lane;

/// The calls of tasks.
///
/// A read takes less than a microsecond if its pages are in memory, and passing it to another thread takes many. Writes
/// wait for other writers and for the disk. LMDB has one writer at a time, so one thread is enough.
pub(super) struct LmdbOperations {
    environment: Arc<Environment>,
    /// For reads that could not be made at once.
    reads: Lane,
    writes: Lane,
}

impl LmdbOperations {
    pub(super) fn new(environment: Arc<Environment>) -> Self {
        let (reads, writes) = (Lane::new("dogpile-lmdb-reads"), Lane::new("dogpile-lmdb-writes"));
        LmdbOperations { environment, reads, writes }
    }

    /// Reads on a thread. A read whose time is over before its turn comes fails, so that reads that have to wait do not
    /// add up.
    fn read<T: Send + 'static>(
        &self,
        completion: Completion<T>,
        call: impl FnOnce(&Environment) -> Result<T, BackendError> + Send + 'static,
    ) -> Running {
        let (environment, deadline) = (Arc::clone(&self.environment), self.environment.deadline());
        self.reads.run(move || {
            let is_over = deadline.is_over();
            completion.complete(if is_over { Err(environment.timed_out()) } else { call(&environment) });
        });
        Running::done()
    }

    /// Writes on a thread. The time in which the write waits for the thread counts towards its deadline.
    fn write(
        &self,
        completion: Completion<()>,
        call: impl FnOnce(&Environment) -> Result<(), BackendError> + Send + 'static,
    ) -> Running {
        let environment = Arc::clone(&self.environment);
        self.writes.run(move || completion.complete(call(&environment)));
        Running::done()
    }
}

fn opened(found: Option<Vec<u8>>) -> Option<CachedValue> {
    found.and_then(envelope::open)
}

fn all_opened(found: Vec<Option<Vec<u8>>>) -> Vec<Option<CachedValue>> {
    found.into_iter().map(opened).collect()
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn borrowed(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

impl Operations for LmdbOperations {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        if let Some(found) = self.environment.get_now(key) {
            completion.complete(Ok(opened(found)));
            return Running::done();
        }
        let key = key.to_owned();
        self.read(completion, move |environment| environment.get(&key).map(opened))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        if let Some(found) = self.environment.get_multi_now(keys) {
            completion.complete(Ok(all_opened(found)));
            return Running::done();
        }
        let keys = owned(keys);
        self.read(completion, move |environment| environment.get_multi(&borrowed(&keys)).map(all_opened))
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        _options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        let (key, deadline) = (key.to_owned(), self.environment.deadline());
        self.write(completion, move |environment| {
            environment.set(&key, &envelope::seal(&key, &value)?, deadline)
        })
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        let deadline = self.environment.deadline();
        self.write(completion, move |environment| {
            let seal = |entry: &Entry| envelope::seal(&entry.key, &entry.value);
            let sealed = entries.iter().map(seal).collect::<Result<Vec<_>, BackendError>>()?;
            let entries =
                entries.iter().zip(&sealed).map(|(entry, value)| (entry.key.as_str(), value.as_slice()));
            environment.set_multi(&entries, deadline)
        })
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        let (key, deadline) = (key.to_owned(), self.environment.deadline());
        self.write(completion, move |environment| environment.delete(&key, deadline))
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        let (keys, deadline) = (owned(keys), self.environment.deadline());
        self.write(completion, move |environment| environment.delete_multi(&borrowed(&keys), deadline))
    }
}

impl fmt::Debug for LmdbOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LmdbOperations").field("path", &self.environment.path()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use dogpile_sdk::ErrorKind;

    use super::*;
    use crate::config::LmdbConfig;

    const LIMIT: Duration = Duration::from_secs(30);

    /// A call has a second at least, whatever its `busy_timeout` is.
    #[test]
    fn read_whose_turn_comes_too_late_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = LmdbConfig::new(folder.path().join("cache"));
        config.busy_timeout = Duration::ZERO;
        let operations = LmdbOperations::new(Environment::of(&config).unwrap());
        let ((open, gate), (ended, outcomes)) = (channel::<()>(), channel());
        operations.reads.run(move || gate.recv_timeout(LIMIT).unwrap());
        let begin = || {
            let ended = ended.clone();
            let completion = Completion::new(move |outcome: Result<Vec<_>, _>| ended.send(outcome).unwrap());
            // Too many keys to be read at once.
            let _running = operations.begin_get_multi(&["key"; 100], completion);
        };
        begin();
        thread::sleep(Duration::from_millis(1100));
        begin();
        open.send(()).unwrap();
        let late = outcomes.recv_timeout(LIMIT).unwrap().unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Timeout, "{late}");
        assert_eq!(outcomes.recv_timeout(LIMIT).unwrap().unwrap(), vec![None; 100]);
    }
}
