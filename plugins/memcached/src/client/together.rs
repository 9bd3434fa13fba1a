//! Requests to several servers at once, one of which does not reply.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Address, Checks, Client, Distribution, Operation, Options, Patience, Reply, Tls};

/// Long enough for a server that replies on a busy machine.
const LIMIT: Duration = Duration::from_millis(1500);

fn options() -> Options {
    Options {
        distribution: Distribution::Rendezvous,
        connect_timeout: LIMIT,
        timeout: LIMIT,
        patience: Patience { attempts: 0, retry_after: LIMIT * 20, dead_for: LIMIT * 20 },
        pool_size: 1,
        ..Options::default()
    }
}

/// Starts a server that calls `serve` for each connection.
fn server(serve: fn(TcpStream)) -> Address {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(caller));
        }
    });
    address
}

/// Replies with `v` to each read.
fn sound(mut caller: TcpStream) {
    let lines = BufReader::new(caller.try_clone().unwrap()).lines().map_while(Result::ok);
    for line in lines {
        let reply = match line.split(' ').collect::<Vec<_>>()[..] {
            ["mg", key, .., opaque] => format!("VA 1 f0 c1 k{key} {opaque}\r\nv\r\n"),
            _ => "VERSION 1.6.18\r\n".to_owned(),
        };
        // The client may have closed the connection.
        let _ = caller.write_all(reply.as_bytes());
    }
}

/// Accepts everything and replies only with its version.
fn silent(mut caller: TcpStream) {
    let _ = caller.write_all(b"VERSION 1.6.18\r\n");
    let _ = caller.read_to_end(&mut Vec::new());
}

/// Returns how many of 60 keys are found.
fn found(client: &Client) -> usize {
    let keys: Vec<String> = (0..60).map(|number| format!("key:{number}")).collect();
    let gets: Vec<_> = keys.iter().map(|key| Operation::Get { key }).collect();
    let outcomes = client.run(&gets);
    outcomes.iter().filter(|outcome| matches!(outcome, Ok(Reply::Value { .. }))).count()
}

#[test]
fn silent_server_does_not_delay_the_others() {
    let client = Client::new(vec![server(silent), server(sound), server(sound)], &options());
    let begun = Instant::now();
    let first = found(&client);
    assert!((20..60).contains(&first), "{first} of 60");
    assert!(begun.elapsed() < LIMIT * 10);
    // The silent server is dead, and the others have its keys.
    assert_eq!(found(&client), 60);
}

#[test]
fn slow_tls_handshake_ends_at_the_deadline() {
    fn drip(mut caller: TcpStream) {
        // The header of a record of 16 KiB, byte by byte.
        let record = [0x16, 0x03, 0x03, 0x40, 0x00];
        for byte in record.into_iter().chain(std::iter::repeat(0)) {
            if caller.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(LIMIT / 10);
        }
    }
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    let tls = Tls::new(Some(authority.as_bytes()), None, Checks::Full).unwrap();
    let client = Client::new(vec![server(drip)], &Options { tls: Some(tls), ..options() });
    let begun = Instant::now();
    assert!(client.run(&[Operation::Get { key: "key" }]).pop().unwrap().is_err());
    assert!(begun.elapsed() < LIMIT * 10, "{:?}", begun.elapsed());
}
