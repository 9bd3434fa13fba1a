//! The memcached backends under a region, over real servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "memcached/python.rs"]
mod python;

use std::io::{Read, Write};
use std::net::TcpStream;

use dogpile_tests::memcached::MemcachedServer;

/// A server, unless none is installed, which is told.
fn server() -> Option<MemcachedServer> {
    MemcachedServer::start(&[]).inspect_err(|why| eprintln!("ignored: {why}")).ok()
}

/// Sends `commands`, a line each, as a stranger would; their answers in a row.
fn say(port: u16, commands: &str) -> String {
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger.write_all(format!("{commands}\r\nquit\r\n").as_bytes()).unwrap();
    let mut answers = Vec::new();
    stranger.read_to_end(&mut answers).unwrap();
    String::from_utf8_lossy(&answers).into_owned()
}

/// What the server's statistics say of `name`.
fn count(port: u16, name: &str) -> usize {
    let told = say(port, "stats");
    let line = format!("STAT {name} ");
    told.split_once(&line).unwrap().1.split("\r\n").next().unwrap().parse().unwrap()
}
