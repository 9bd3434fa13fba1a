//! The service under load: real processes, and a real Redis server that is killed, frozen, and restarted.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

#[path = "service/http.rs"]
mod http;
#[path = "service/instance.rs"]
mod instance;
#[path = "service/outages.rs"]
mod outages;
#[path = "service/queries.rs"]
mod queries;
#[path = "service/shutdown.rs"]
mod shutdown;

use std::process::ExitCode;
use std::time::Duration;

use dogpile_tests::redis::RedisServer;
use dogpile_tests::threads::bounded;
use libtest_mimic::{Arguments, Completion, Trial, run};

/// The `socket_timeout` of the region in Redis.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(3);

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    // Few at a time: many of them have deadlines. Each has its own server and processes, and mostly waits.
    let arguments = Arguments { test_threads: Some(3), ..Arguments::from_args() };
    let trials = queries::trials().into_iter().chain(outages::trials()).chain(shutdown::trials());
    run(&arguments, trials.collect()).exit_code()
}

/// Returns a test that needs a Redis server. Without one, it is shown as ignored.
fn with_redis(name: &str, test: fn(&mut RedisServer)) -> Trial {
    Trial::ignorable_test(name, move || match RedisServer::start(&[]) {
        Ok(mut server) => {
            bounded(move || test(&mut server));
            Ok(Completion::Completed)
        }
        Err(why) => Ok(Completion::ignored_with(why)),
    })
}

/// Returns a test that needs no server.
fn alone(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        bounded(test);
        Ok(())
    })
}
