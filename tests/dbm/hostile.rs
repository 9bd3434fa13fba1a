//! Files under hostile conditions: forks, started programs, few descriptors, small limits, stopped writers, and damage.
//!
//! Each condition needs a process of its own, the program `files`.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::threads::bounded;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{DBM, LMDB, Place, configuration};

/// Returns the path of the program `files`.
fn program() -> PathBuf {
    let test = env::current_exe().unwrap();
    // Cargo keeps tests one folder below the programs of their package.
    test.parent().and_then(Path::parent).unwrap().join("files")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs the command `what` of the program on the file of `place`, behind the shell commands `limits`.
fn run(limits: &str, what: &str, place: &Place, more: &[&str]) -> Output {
    let script = format!("{limits}\nexec \"$@\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, "sh"])
        .arg(program())
        .args([what, place.backend])
        .arg(place.file())
        .args(more);
    command.output().unwrap()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}: {}", output.status, text(output));
}

#[test]
fn forked_child_and_parent_share_the_file() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let place = Place::new(backend);
            succeeds(&run("", "fork", &place, &[]));
            super::processes::check_integrity(&place);
        }
    });
}

#[test]
fn started_program_can_open_the_file_of_its_parent() {
    for backend in [DBM, LMDB] {
        let output = run("", "spawn", &Place::new(backend), &[]);
        succeeds(&output);
        assert!(text(&output).starts_with("found 1, 0 errors"), "{}", text(&output));
    }
}

#[test]
fn four_hundred_threads_fit_into_256_descriptors() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            succeeds(&run("ulimit -n 256", "flood", &Place::new(backend), &["400"]));
        }
    });
}

/// The shell ignores the signal that would end the process at the limit.
#[test]
fn file_at_its_size_limit_fails_writes_and_is_still_read() {
    for backend in [DBM, LMDB] {
        let output = run("trap '' XFSZ; ulimit -f 2000", "fill", &Place::new(backend), &[]);
        succeeds(&output);
        let message = text(&output);
        assert_eq!(message.matches("cannot use cache file").count(), 1, "{message}");
        assert!(!message.contains("xxx"), "the error contains the value: {message}");
    }
}

#[test]
fn write_behind_a_stopped_writer_ends_at_its_deadline() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let place = Place::new(backend);
            let region = CacheRegion::new("beside a stopped writer");
            let arguments =
                configuration(backend, &place.file(), json!({ "busy_timeout": 0.05 }))["arguments"].take();
            region.configure(RegionConfig::new(backend).arguments(arguments)).unwrap();
            region.set("ours", 1).unwrap();
            let writer = Writer::start(&place);
            for _ in 0..40 {
                writer.signal(Signal::STOP);
                assert_eq!(region.get("ours").unwrap(), Some(1));
                if let Err(error) = region.set("ours", 1) {
                    assert!(told(&error).contains("\"busy_timeout\""), "{}", told(&error));
                }
                writer.signal(Signal::CONT);
            }
        }
    });
}

/// A process that writes until it is dropped.
struct Writer(Child);

impl Writer {
    fn start(place: &Place) -> Self {
        let mut command = Command::new(program());
        command.args(["write", place.backend]).arg(place.file()).stdout(Stdio::null());
        Writer(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

static LATE: Mutex<Option<CacheRegion>> = Mutex::new(None);

/// Stores a value when its thread ends.
struct Late;

impl Drop for Late {
    fn drop(&mut self) {
        let region = LATE.lock();
        let region = region.as_ref().unwrap();
        region.set("late", 7).unwrap();
        region.get_or_create("created late", || 8).unwrap();
    }
}

thread_local! {
    static LAST: RefCell<Option<Late>> = const { RefCell::new(None) };
}

#[test]
fn call_in_a_destructor_of_a_thread_is_served() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let place = Place::new(backend);
            *LATE.lock() = Some(place.region());
            thread::spawn(|| LAST.with_borrow_mut(|last| *last = Some(Late))).join().unwrap();
            let region = LATE.lock().take().unwrap();
            assert_eq!(region.get_multi(&["late", "created late"]).unwrap(), [Some(7), Some(8)]);
        }
    });
}

/// In each copy of a file, some bytes are changed, or its end is cut off.
#[test]
fn damaged_file_never_ends_the_process() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let place = Place::new(backend);
            succeeds(&run("", "use", &place, &[]));
            let whole = fs::read(place.file()).unwrap();
            let copies: Vec<_> = (0..60)
                .map(|seed| {
                    let path = place.folder.path().join(format!("damaged {seed}"));
                    fs::write(&path, damaged(&whole, seed)).unwrap();
                    path
                })
                .collect();
            let output = Command::new(program()).args(["use", backend]).args(&copies).output().unwrap();
            succeeds(&output);
            assert_eq!(text(&output).lines().filter(|line| is_outcome(line)).count(), copies.len());
        }
    });
}

fn is_outcome(line: &str) -> bool {
    line.starts_with("found ") || line.starts_with("refused: ")
}

/// Changes up to 64 places of `whole`, near the head of a page or anywhere.
fn damaged(whole: &[u8], seed: u64) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let mut random = Random(seed + 1);
    if random.below(10) == 0 {
        bytes.truncate(4096 + random.below(bytes.len() - 4096));
    }
    for _ in 0..[1, 1, 2, 4, 16, 64][random.below(6)] {
        let page = random.below(bytes.len() / 4096) * 4096;
        let at = if random.below(2) == 0 { page + random.below(64) } else { random.below(bytes.len()) };
        let end = bytes.len().min(at + [1, 2, 4, 8, 100][random.below(5)]);
        let fill = [0, 255, 127, random.below(256) as u8][random.below(4)];
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => {
                let other = random.below(bytes.len() / 4096) * 4096;
                bytes.copy_within(other..other + 4096, page);
            }
            _ => bytes[at..end].fill(fill),
        }
    }
    bytes
}

/// A generator of reproducible numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }
}
