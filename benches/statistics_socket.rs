//! What the statistics socket costs: a reading by its number of regions, and a hit while the process is read.
//!
//! `cargo bench -p dogpile-benches --bench statistics_socket` (`-- --quick`: a second, to see that it runs).

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{hint, io, thread};

use dogpile::{CacheRegion, Configuration, Regions};
use dogpile_benches::{Failure, Summary, is_quick};

/// The time between two readings of a busy `dogpile top`.
const INTERVAL: Duration = Duration::from_millis(100);

fn main() -> Result<(), Failure> {
    let (readings, rounds, hits) = if is_quick()? { (20, 2, 10_000) } else { (2_000, 60, 500_000) };
    println!("{:34}{:>12}{:>12}", "a reading: median", "µs", "KiB");
    for count in [1, 10, 100] {
        let folder = tempfile::tempdir()?;
        let _regions = regions(folder.path(), count)?;
        let mut client = Client::connect(&folder.path().join("s"))?;
        let mut length = 0;
        let mut read = || {
            let began = Instant::now();
            length = client.read()?;
            Ok(began.elapsed().as_secs_f64() * 1e6)
        };
        let times = (0..readings).map(|_| read()).collect::<Result<Vec<f64>, io::Error>>()?;
        let median = Summary::of(times).median;
        println!("{:34}{median:>12.0}{:>12.1}", format!("regions: {count}"), length as f64 / 1024.0);
    }
    while_read(rounds, hits)
}

/// Measures a hit of a hot key, in rounds in which the process is read or is not.
fn while_read(rounds: usize, hits: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let regions = regions(folder.path(), 10)?;
    let region = &regions["r0"];
    let (is_read, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (mut quiet, mut more) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let reading = scope.spawn(|| -> io::Result<()> {
            let mut client = Client::connect(&folder.path().join("s"))?;
            while !is_over.load(Relaxed) {
                if is_read.load(Relaxed) {
                    client.read()?;
                }
                thread::sleep(INTERVAL);
            }
            Ok(())
        });
        time(region, hits)?;
        for _ in 0..rounds {
            is_read.store(false, Relaxed);
            let without = time(region, hits)?;
            is_read.store(true, Relaxed);
            more.push(time(region, hits)? - without);
            quiet.push(without);
        }
        is_over.store(true, Relaxed);
        reading.join().map_err(|_| "the reading thread panicked")??;
        Ok::<(), Failure>(())
    })?;
    println!("\n{:34}{:>12}{:>12}", "a hit of a hot key, in ns", "a hit", "more");
    let (quiet, more) = (Summary::of(quiet).median, Summary::of(more).median);
    println!("{:34}{quiet:>12.1}", "the socket is open");
    println!("{:34}{:>12.1}{more:>12.1}", "regions: 10, read 10 times a second", quiet + more);
    Ok(())
}

/// Returns how many nanoseconds a hit takes.
fn time(region: &CacheRegion, hits: usize) -> Result<f64, Failure> {
    let began = Instant::now();
    for _ in 0..hits {
        hint::black_box(region.get_or_create("key", || 1_u64)?);
    }
    Ok(began.elapsed().as_secs_f64() * 1e9 / hits as f64)
}

/// Configures `count` regions, which have counted and timed something, with a socket in `folder`.
fn regions(folder: &Path, count: usize) -> Result<Regions, Failure> {
    let mut document = format!("[statistics]\nsocket = {:?}\n", folder.join("s"));
    for number in 0..count {
        writeln!(document, "[regions.r{number}]\nbackend = 'dogpile.cache.memory'")?;
    }
    let regions = Configuration::from_toml(&document)?.regions()?;
    for region in regions.iter() {
        for key in 0..20 {
            region.get_or_create(&format!("key:{key}"), || {
                (0..1 << key.min(16)).map(hint::black_box).sum::<u64>()
            })?;
        }
    }
    Ok(regions)
}

/// A connection to a socket.
struct Client(BufReader<UnixStream>, String);

impl Client {
    fn connect(path: &Path) -> io::Result<Self> {
        Ok(Client(BufReader::new(UnixStream::connect(path)?), String::new()))
    }

    /// Reads the statistics, and returns their length in bytes.
    fn read(&mut self) -> io::Result<usize> {
        self.1.clear();
        self.0.get_mut().write_all(b"statistics\n")?;
        self.0.read_line(&mut self.1)
    }
}
