//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use dogpile_conformance::Level;

/// What the short help of commands that open libraries says.
const RUNS_CODE: &str = "Opening a library runs its code in this process. Use trusted libraries only.";
/// What the short help of commands that open regions says.
const MAY_RUN_CODE: &str = "The code of plugin libraries that the region uses runs in this process.";

/// Work with regions, backends, and plugins of dogpile from the shell.
#[derive(Debug, Parser)]
#[command(name = "dogpile", version, max_term_width = 80)]
pub(crate) struct CommandLine {
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Work with plugins and the entry points that they provide
    #[command(subcommand)]
    Plugins(Plugins),
    /// Open every region of a configuration, and report all its problems
    ///
    /// The code of plugin libraries that the regions use runs in this process. Use trusted libraries only.
    #[command(after_help = MAY_RUN_CODE, after_long_help = "")]
    Check(Check),
    /// Read the value of a key
    ///
    /// The code of plugin libraries that the region uses runs in this process. Use trusted libraries only.
    #[command(after_help = MAY_RUN_CODE, after_long_help = "")]
    Get(Key),
    /// Store a value
    ///
    /// The code of plugin libraries that the region uses runs in this process. Use trusted libraries only.
    #[command(after_help = MAY_RUN_CODE, after_long_help = "")]
    Set(Set),
    /// Remove a key
    ///
    /// The code of plugin libraries that the region uses runs in this process. Use trusted libraries only.
    #[command(after_help = MAY_RUN_CODE, after_long_help = "")]
    Delete(Key),
    /// Show how a key is stored: mangled key, age, size, serializer, lock
    ///
    /// The code of plugin libraries that the region uses runs in this process. Use trusted libraries only.
    #[command(after_help = MAY_RUN_CODE, after_long_help = "")]
    Inspect(Key),
    /// Measure a region's reads and writes
    ///
    /// The code of plugin libraries that the region uses runs in this process. Use trusted libraries only.
    #[command(after_help = MAY_RUN_CODE, after_long_help = "")]
    Bench(Bench),
    /// Let many processes request one cold key, and draw which threads waited and created
    ///
    /// The code of plugin libraries that the region uses runs in this process. Use trusted libraries only.
    #[command(after_help = MAY_RUN_CODE, after_long_help = "")]
    Stampede(Stampede),
    /// Show live what regions and their servers do
    ///
    /// Shows processes whose configuration has a [statistics] socket, and asks the Redis, Valkey, and memcached servers of the
    /// configuration for their own statistics. The first numbers count from the opening of each socket. On a terminal, q
    /// ends the view.
    Top(Top),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
    /// One process of a stampede
    #[command(hide = true)]
    StampedeProcess(StampedeProcess),
    /// The holder of a mutex, which `plugins verify` kills
    #[command(hide = true)]
    HoldMutex(Hold),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugins {
    /// List every entry point, and open the libraries to see whether they can be used
    ///
    /// Opening a library runs its code in this process. Use trusted libraries only.
    #[command(after_help = RUNS_CODE, after_long_help = "")]
    List(Folders),
    /// Open a plugin library, and show its description of itself
    ///
    /// Opening a library runs its code in this process. Use trusted libraries only.
    #[command(after_help = RUNS_CODE, after_long_help = "")]
    Inspect {
        /// The library, its manifest, or an archive of both
        file: PathBuf,
    },
    /// Report why a plugin is not found, or is refused
    ///
    /// Opening a library runs its code in this process. Use trusted libraries only.
    #[command(after_help = RUNS_CODE, after_long_help = "")]
    Doctor {
        /// The missing entry point
        name: Option<String>,
        #[command(flatten)]
        folders: Folders,
    },
    /// Create a crate with a backend and two proxies to start from
    New(New),
    /// Make a folder or an archive of a library and its manifest
    ///
    /// In a folder, the plugin replaces its earlier version.
    ///
    /// The library is opened to read its entry points, which runs its code in this process. Use trusted libraries only.
    #[command(after_help = RUNS_CODE, after_long_help = "")]
    Pack(Pack),
    /// Run the conformance suite on a plugin library
    ///
    /// A backend is verified by itself, and a proxy around a store in memory that has every feature. This runs the code of
    /// the library in this process. Use trusted libraries only.
    #[command(after_help = RUNS_CODE, after_long_help = levels())]
    Verify(Verify),
}

/// The folders to search for plugins, in addition to those in `DOGPILE_PLUGIN_PATH`.
#[derive(Debug, Args)]
pub(crate) struct Folders {
    /// A folder to search for plugins; may be given more than once
    #[arg(long = "folder", value_name = "FOLDER")]
    pub(crate) folders: Vec<PathBuf>,
    /// A configuration, whose plugin folders are searched
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The crate's name, such as acme-shelf
    pub(crate) name: String,
    /// The folder to write it into [default: the crate's name]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) into: Option<PathBuf>,
    /// A checkout of dogpile to build against, instead of the published packages
    #[arg(long, value_name = "FOLDER")]
    pub(crate) checkout: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Pack {
    /// The library that cargo built
    pub(crate) library: PathBuf,
    /// The result: a folder, or an archive if the name ends in .tar.gz
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The plugin's manifest, for its name and version [default: those of the library]
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Keep the library's debug symbols
    #[arg(long)]
    pub(crate) keep_symbols: bool,
    /// Accept names that begin with `dogpile.`, which hosts accept only from libraries that they trust
    #[arg(long)]
    pub(crate) reserved: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The library, its manifest, or an archive of both
    pub(crate) file: PathBuf,
    /// A TOML file with a table of arguments for each entry point, such as ["acme.shelf"]
    #[arg(long, value_name = "FILE")]
    pub(crate) arguments: Option<PathBuf>,
    /// Verify this entry point only; may be given more than once
    #[arg(long = "only", value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// Time limit of one case, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) time_limit: u64,
    /// Claim that the proxies handle failures of their stores, and skip the cases that expect them to fail
    #[arg(long)]
    pub(crate) handles_failures: bool,
    /// Claim and verify that a mutex is free this many seconds after its holder was killed or stopped
    ///
    /// The suite allows two leases and two seconds, and starts processes that it kills and stops. It fails too if a stopped
    /// holder loses its mutex much earlier. A case of this level may take six leases longer than --time-limit.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) lease: Option<u64>,
}

/// Returns the levels of the conformance suite, one per line.
fn levels() -> String {
    let line = |level: Level| format!("\n  {level:<13} {}", level.requirement());
    let heading = "Levels, of which those that do not apply are skipped with the reason:";
    [heading.to_owned()].into_iter().chain(Level::ALL.map(line)).collect()
}

/// The holder of a mutex, which is killed while it holds it.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    pub(crate) library: PathBuf,
    pub(crate) name: String,
    pub(crate) key: String,
    #[arg(long, value_name = "FILE")]
    pub(crate) arguments: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration [default: that of --config]
    pub(crate) file: Option<PathBuf>,
    /// The configuration
    #[arg(long, value_name = "FILE", env = "DOGPILE_CONFIG", default_value = "regions.toml")]
    pub(crate) config: PathBuf,
    /// The regions have flat names that begin with this prefix, as in an ini file of Python
    ///
    /// With it, or if the name of the file ends in .ini or .conf, the file is read as an ini file. Give the prefix with its
    /// last dot, such as `cache.`. It may be empty.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,
    /// The section of the ini file [default: the one that has names with the prefix]
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Option<String>,
    /// Write the configuration of an ini file as TOML into this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["peek", "explain"])]
    pub(crate) write: Option<PathBuf>,
    /// Overwrite the file of --write
    #[arg(long, requires = "write")]
    pub(crate) force: bool,
    /// Look at the value of this key in each region, and report one that another serializer wrote
    ///
    /// Give the key as the application does. It can be given several times.
    #[arg(long, value_name = "KEY")]
    pub(crate) peek: Vec<String>,
    /// Explain what this region does with a value of each age and in each failure, instead of opening the regions
    #[arg(long, value_name = "REGION", conflicts_with = "peek")]
    pub(crate) explain: Option<String>,
    /// Time limit for the regions to open and reply, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) time_limit: u64,
}

impl Check {
    /// Returns the file of the configuration.
    pub(crate) fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(&self.config)
    }
}

/// A region of a configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct Region {
    /// The region's name
    pub(crate) region: String,
    /// The configuration
    #[arg(long, value_name = "FILE", env = "DOGPILE_CONFIG", default_value = "regions.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(flatten)]
    pub(crate) region: Region,
    /// The key, as the application gives it
    pub(crate) key: String,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    pub(crate) key: Key,
    /// The value: JSON, or else a string; `-` reads it from the standard input
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: String,
    /// Store the value as a string, even if it is valid JSON
    #[arg(long)]
    pub(crate) text: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) region: Region,
    /// Number of reads and writes of each thread
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) operations: u64,
    /// Number of threads
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) threads: u64,
    /// Number of keys
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) keys: u64,
    /// Size of a value, in bytes
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=1 << 30))]
    pub(crate) size: u64,
    /// Percentage of writes among the operations
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=100))]
    pub(crate) writes: u64,
    /// Draw the histogram into this file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Stampede {
    /// The region's name
    #[arg(required_unless_present = "outage")]
    pub(crate) region: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", env = "DOGPILE_CONFIG", default_value = "regions.toml")]
    pub(crate) config: PathBuf,
    /// Number of processes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) processes: u64,
    /// Number of threads of each process
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub(crate) threads: u64,
    /// Duration of a creation, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub(crate) takes: u64,
    /// Begin with a value that is stale
    #[arg(long)]
    pub(crate) stale: bool,
    /// Draw the timeline into this file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Simulate a service instead: its cache is down for a time, and its source of values for another
    ///
    /// Needs no region and no server. Regions with different settings get the same requests at the same time.
    #[arg(long, conflicts_with_all = ["region", "processes", "threads", "takes", "stale", "svg"])]
    pub(crate) outage: bool,
    #[command(flatten)]
    pub(crate) simulation: Simulation,
}

impl Stampede {
    /// Returns the region to request, or `None` if a service is simulated.
    pub(crate) fn region(&self) -> Option<Region> {
        let region = self.region.clone()?;
        Some(Region { region, config: self.config.clone() })
    }
}

/// The settings of the simulation.
#[derive(Debug, Args)]
pub(crate) struct Simulation {
    /// With --outage: duration of the simulation, in seconds
    #[arg(long, default_value_t = 5)]
    #[arg(requires = "outage", conflicts_with = "region", value_parser = clap::value_parser!(u64).range(2..=60))]
    pub(crate) seconds: u64,
    /// With --outage: number of threads that make requests of each region
    #[arg(long, default_value_t = 16)]
    #[arg(requires = "outage", conflicts_with = "region", value_parser = clap::value_parser!(u64).range(1..=256))]
    pub(crate) workers: u64,
    /// With --outage: number of keys that they request
    #[arg(long, default_value_t = 4)]
    #[arg(requires = "outage", conflicts_with = "region", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) keys: u64,
    /// With --outage: the seed of the requests; the same seed makes the same requests
    #[arg(long, default_value_t = 1, requires = "outage", conflicts_with = "region")]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The configuration, whose processes and servers are shown
    #[arg(long, value_name = "FILE", env = "DOGPILE_CONFIG", default_value = "regions.toml")]
    pub(crate) config: PathBuf,
    /// Show the processes with these sockets instead; a folder stands for all sockets in it
    #[arg(long, value_name = "SOCKET", num_args = 1..)]
    pub(crate) connect: Vec<PathBuf>,
    /// Time between two readings, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    pub(crate) interval: Duration,
    /// End after this many readings
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after one reading
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,
}

/// Reads a number of seconds from 0.1 to 3600.
fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "expected seconds from 0.1 to 3600".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct StampedeProcess {
    #[command(flatten)]
    pub(crate) key: Key,
    /// Number of this process
    #[arg(long)]
    pub(crate) number: u64,
    /// Number of threads that request the key
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub(crate) threads: u64,
    /// Duration of a creation, in milliseconds
    #[arg(long)]
    pub(crate) takes: u64,
}
