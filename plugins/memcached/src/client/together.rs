//! What is asked of several servers at once, one of which does not answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Address, Answer, Client, Distribution, Kind, Operation, Options, Patience, Tls};

/// Long enough for a server that answers, on a machine that is busy.
const LIMIT: Duration = Duration::from_millis(1500);

fn options() -> Options {
    Options {
        kind: Kind::Text,
        distribution: Distribution::Rendezvous,
        connect_timeout: LIMIT,
        timeout: LIMIT,
        patience: Patience { attempts: 0, retry_after: LIMIT * 20, dead_for: LIMIT * 20 },
        login: None,
        tls: None,
        keepalive: None,
        pool_size: 1,
        noreply: false,
    }
}

/// A server that does `serve` for each who calls.
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

/// Has `v` under each key.
fn sound(mut caller: TcpStream) {
    let asks = BufReader::new(caller.try_clone().unwrap()).lines().map_while(Result::ok);
    for ask in asks {
        let answer = match ask.split(' ').collect::<Vec<_>>()[..] {
            ["mg", key, ..] => format!("VA 1 f0 c1 k{key}\r\nv\r\n"),
            _ => "VERSION 1.6.18\r\n".to_owned(),
        };
        // Whoever has gone does not listen.
        let _ = caller.write_all(answer.as_bytes());
    }
}

/// Takes everything, and says nothing but its version.
fn silent(mut caller: TcpStream) {
    let _ = caller.write_all(b"VERSION 1.6.18\r\n");
    let _ = caller.read_to_end(&mut Vec::new());
}

/// How many of 60 keys are found.
fn found(client: &Client) -> usize {
    let keys: Vec<String> = (0..60).map(|number| format!("key:{number}")).collect();
    let gets: Vec<_> = keys.iter().map(|key| Operation::Get { key }).collect();
    let outcomes = client.run(&gets);
    outcomes.iter().filter(|outcome| matches!(outcome, Ok(Answer::Value { .. }))).count()
}

#[test]
fn servers_that_answer_are_heard_though_one_before_them_does_not() {
    let client = Client::new(vec![server(silent), server(sound), server(sound)], &options());
    let begun = Instant::now();
    let first = found(&client);
    assert!((20..60).contains(&first), "{first} of 60");
    assert!(begun.elapsed() < LIMIT * 10);
    // The silent one is out, its keys are the others', and these are in.
    assert_eq!(found(&client), 60);
}

#[test]
fn a_server_that_drips_into_an_encrypted_connection_is_given_up_by_the_deadline() {
    fn drip(mut caller: TcpStream) {
        // The head of a record that has 16 KiB, byte by byte.
        let record = [0x16, 0x03, 0x03, 0x40, 0x00];
        for byte in record.into_iter().chain(std::iter::repeat(0)) {
            if caller.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(LIMIT / 10);
        }
    }
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    let tls = Tls::new(Some(authority.as_bytes()), None, None).unwrap();
    let client = Client::new(vec![server(drip)], &Options { tls: Some(tls), ..options() });
    let begun = Instant::now();
    assert!(client.run(&[Operation::Get { key: "key" }]).pop().unwrap().is_err());
    assert!(begun.elapsed() < LIMIT * 10, "{:?}", begun.elapsed());
}
