//! The main job: regions from a file, one on a linked backend and one on a loaded plugin library, each under a
//! stack of proxies. 64 threads ask for a key that nobody has made yet, then for one that has expired, and then
//! a few of them for as many hits as they can get.
//!
//! `cargo run --release --example quickstart`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::registry::Manifest;
use dogpile::{CacheRegion, Configuration, ManualClock, RegionError};

const THREADS: usize = 64;
const CREATION: Duration = Duration::from_millis(50);

static PRICES: CacheRegion = CacheRegion::new("prices");
static PAGES: CacheRegion = CacheRegion::new("pages");

fn main() -> Result<(), Box<dyn Error>> {
    // What the plugin logs arrives here too.
    tracing_subscriber::fmt().without_time().init();

    let examples = Path::new(env!("CARGO_MANIFEST_DIR"));
    install_plugin(&examples.join("../target/plugins"))?;

    let configuration = Configuration::from_file(examples.join("regions.toml"))?;
    // A clock of our own, so that nobody has to wait an hour to see a value expire.
    let clock = Arc::new(ManualClock::at(1_700_000_000.0));
    for region in [&PRICES, &PAGES] {
        region.configure(configuration.region_config(region.name())?.clock(Arc::clone(&clock) as _))?;
    }

    println!("\n                              creators   waited   waited   served the    hits per");
    println!("                                   run      p50      p99    old value      second");
    for (region, backend) in [(&PRICES, "linked"), (&PAGES, "loaded")] {
        println!("region {:?}, its backend {backend}", region.name());
        region.set("tea", 300)?;
        region.delete("tea")?;
        ask_at_once(region, 350)?.print("64 threads, a cold key");
        clock.advance(Duration::from_secs(2 * 60 * 60));
        ask_at_once(region, 375)?.print("64 threads, it has expired");
        println!("  {:28} {:>49.1} M", "hits", hits_per_second(region)? / 1e6);
    }
    Ok(())
}

/// Puts the example plugin's library, and a manifest of it, where `regions.toml` says that plugins are.
fn install_plugin(folder: &Path) -> Result<(), Box<dyn Error>> {
    let built = built_library()?;
    std::fs::create_dir_all(folder)?;
    only_the_owner_may_write(folder)?;
    let manifest = Manifest::describe(&built)?;
    let installed = folder.join(&manifest.library);
    // A new file in place of the old one, which another process may have open.
    let _ = std::fs::remove_file(&installed);
    std::fs::copy(&built, &installed)?;
    std::fs::write(folder.join(format!("{}.dogpile.toml", manifest.name)), manifest.to_toml())?;
    Ok(())
}

/// Cargo builds libraries into `deps`, beside the folder of this program.
fn built_library() -> Result<PathBuf, Box<dyn Error>> {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(Path::parent).ok_or("the program lies in no folder")?;
    Ok(folder.join("deps").join(format!("{DLL_PREFIX}acme_dogpile_dylib{DLL_SUFFIX}")))
}

#[cfg(unix)]
fn only_the_owner_may_write(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn only_the_owner_may_write(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

/// What came of many threads that asked for one key at once.
struct Asked {
    creators: usize,
    served_old: usize,
    /// How long each thread waited, the shortest first.
    waits: Vec<Duration>,
}

/// 64 threads ask `region` for one key; whoever has to make its value takes 50 ms, and makes `price`.
fn ask_at_once(region: &CacheRegion, price: u32) -> Result<Asked, RegionError> {
    let (creators, start) = (AtomicUsize::new(0), Barrier::new(THREADS));
    let ask = || {
        start.wait();
        let asked = Instant::now();
        let found = region.get_or_create("tea", || {
            creators.fetch_add(1, Relaxed);
            thread::sleep(CREATION);
            price
        })?;
        Ok((found, asked.elapsed()))
    };
    let answers = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        let answers = threads.into_iter().map(|thread| thread.join().expect("no thread panics"));
        answers.collect::<Result<Vec<_>, RegionError>>()
    })?;
    let served_old = answers.iter().filter(|(found, _)| *found != price).count();
    let mut waits: Vec<Duration> = answers.into_iter().map(|(_, waited)| waited).collect();
    waits.sort();
    Ok(Asked { creators: creators.into_inner(), served_old, waits })
}

impl Asked {
    fn waited(&self, percent: usize) -> String {
        let waited = self.waits[(self.waits.len() - 1) * percent / 100];
        match waited.as_micros() {
            micros @ ..1000 => format!("{micros} µs"),
            micros => format!("{:.1} ms", micros as f64 / 1e3),
        }
    }

    fn print(&self, what: &str) {
        let Asked { creators, served_old, .. } = self;
        let (p50, p99) = (self.waited(50), self.waited(99));
        println!("  {what:28} {creators:>6} {p50:>8} {p99:>8} {served_old:>12}");
    }
}

/// How many hits all processors get of one key in a second.
fn hits_per_second(region: &CacheRegion) -> Result<f64, RegionError> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let (start, stop) = (Instant::now(), AtomicBool::new(false));
    let hit = || {
        let mut hits = 0_u64;
        while !stop.load(Relaxed) {
            region.get_or_create("tea", || 0)?;
            hits += 1;
        }
        Ok(hits)
    };
    let hits: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(hit)).collect();
        thread::sleep(Duration::from_secs(1));
        stop.store(true, Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).sum::<Result<_, _>>()
    })?;
    Ok(hits as f64 / start.elapsed().as_secs_f64())
}
