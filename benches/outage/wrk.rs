//! The service over HTTP, under `wrk`, while its server is killed and frozen.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dogpile_benches::Failure;
use dogpile_benches::rivals::verdict;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::servers::installed;

use super::{KEYS, LATEST, Phases, Service, Settings, THREADS, play};

/// How long a thread of `wrk` pauses before a request, as the threads of this program do.
const PAUSE: Duration = super::PAUSE;

/// What `wrk` reports.
struct Report {
    text: String,
    /// Replies other than 200, and broken connections.
    errors: f64,
    /// In milliseconds.
    p99: f64,
}

/// Runs `wrk` against a region with `settings` while `server` is killed and frozen, and prints what it reports.
pub(super) fn measure(settings: &Settings, phases: Phases, mut server: RedisServer) -> Result<(), Failure> {
    let wrk = match installed("wrk") {
        Ok(wrk) => wrk,
        Err(why) => {
            println!("\nignored: {why}");
            return Ok(());
        }
    };
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("requests.lua");
    std::fs::write(&script, requests())?;
    let service = Service::open(settings, server.port())?;
    let (listener, is_over) = (TcpListener::bind(("127.0.0.1", 0))?, AtomicBool::new(false));
    let address = listener.local_addr()?;
    let (report, states) = thread::scope(|scope| -> Result<_, Failure> {
        let (service, is_over) = (&service, &is_over);
        scope.spawn(move || serve(scope, service, &listener, is_over));
        let states = scope.spawn(|| play(&mut server, phases, service.began));
        let mut command = Command::new(wrk);
        command.args([
            "-t",
            "2",
            "-c",
            &THREADS.to_string(),
            "-d",
            &format!("{}s", phases.total().as_secs()),
        ]);
        let output =
            command.arg("--latency").arg("-s").arg(&script).arg(format!("http://{address}/")).output();
        let states = states.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(address));
        Ok((Report::of(&output?.stdout)?, states))
    })?;
    print(settings, &service, &report, &states);
    Ok(())
}

/// Returns the script of `wrk`: random keys, and a pause before each request.
fn requests() -> String {
    let (last, pause) = (KEYS - 1, PAUSE.as_millis());
    format!(
        "request = function() return wrk.format('GET', '/' .. math.random(0, {last})) end\n\
         delay = function() return {pause} end\n"
    )
}

/// Accepts connections, each with a thread of its own, until the bench is over.
fn serve<'s>(
    scope: &'s thread::Scope<'s, '_>,
    service: &'s Service,
    listener: &TcpListener,
    is_over: &'s AtomicBool,
) {
    while let Ok((connection, _)) = listener.accept() {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        scope.spawn(move || {
            // The client ends the connection.
            let _ = talk(service, &connection);
        });
    }
}

/// Replies to the requests of a connection, until the client ends it.
fn talk(service: &Service, connection: &TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut lines = BufReader::new(connection).lines();
    while let Some(first) = lines.next().transpose()? {
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let path = first.split(' ').nth(1).unwrap_or_default();
        let key = path.trim_start_matches('/').parse().unwrap_or(0);
        let (status, body) = match service.request(key) {
            Ok(value) => ("200 OK", value.to_string()),
            Err(error) => ("500 Internal Server Error", error),
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        (&mut &*connection).write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())?;
    }
    Ok(())
}

impl Report {
    fn of(output: &[u8]) -> Result<Self, Failure> {
        let text = String::from_utf8_lossy(output).into_owned();
        let after =
            |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
        let p99 =
            after("99%").and_then(milliseconds).ok_or_else(|| format!("wrk reported no latency:\n{text}"))?;
        let replies = after("Non-2xx or 3xx responses:").and_then(|count| count.parse::<f64>().ok());
        let broken: f64 = after("Socket errors:")
            .map_or(0.0, |errors| errors.split([' ', ',']).filter_map(|word| word.parse::<f64>().ok()).sum());
        Ok(Report { errors: replies.unwrap_or(0.0) + broken, p99, text })
    }
}

/// Returns a time such as `1.50ms` in milliseconds.
fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4)];
    units.into_iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

fn print(settings: &Settings, service: &Service, report: &Report, states: &super::States) {
    println!("\n{} under wrk:", settings.name);
    print!("{}", report.text);
    let shown: Vec<String> =
        states.iter().map(|(since, state)| format!("{state} from {:.1} s", since.as_secs_f64())).collect();
    println!("the server: {}", shown.join(", "));
    println!("errors {}{}", report.errors, verdict(report.errors, 0.0));
    println!("p99 {:.1} ms{}", report.p99, verdict(report.p99, LATEST));
    service.print_most();
}
