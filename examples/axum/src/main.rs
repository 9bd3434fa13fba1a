//! Starts the service: `axum-example [REGIONS_FILE]`.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `LISTEN` | `127.0.0.1:3000` | address of the service |
//! | `QUERY_MS` | 200 | time of a query, in milliseconds |

use std::env;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum_example::{Database, Shop, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/regions.toml");
    let file = env::args_os().nth(1).map_or_else(|| shipped.into(), PathBuf::from);
    let address = variable("LISTEN", "127.0.0.1:3000");
    let query_time = variable("QUERY_MS", "200");
    let query_time =
        query_time.parse().map_err(|error| format!("invalid QUERY_MS {query_time:?}: {error}"))?;
    // Opening the regions may block, so it comes before the runtime.
    let shop = Arc::new(Shop::open(&file, Database::new(Duration::from_millis(query_time)))?);
    let runtime = Runtime::new()?;
    let served: Result<(), Box<dyn Error>> = runtime.block_on(async {
        let listener = TcpListener::bind(&address).await;
        let listener = listener.map_err(|error| format!("cannot listen on {address:?}: {error}"))?;
        println!("listening on http://{}", listener.local_addr()?);
        Ok(serve(listener, shop, stop_signal()?).await?)
    });
    // What is still in progress is dropped, and its last reference to the shop closes the regions.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

fn variable(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// Returns a future that ends with ctrl-c or SIGTERM.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
