//! Connections to servers that are slow, silent, or hostile.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::net::UnixListener;
use std::thread;

use socket2::Socket;

use super::*;
use crate::tls::Checks;

/// Long enough that a busy machine does not end it early.
const LIMIT: Duration = Duration::from_millis(300);

/// Much longer than any call takes, so that only a call that hangs exceeds it.
const HANGING: Duration = Duration::from_secs(10);

fn soon() -> Instant {
    Instant::now() + LIMIT
}

/// Starts a server that calls `serve` for each connection.
fn server(serve: fn(TcpStream)) -> Endpoint {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(caller));
        }
    });
    Endpoint::Tcp { host: "127.0.0.1".to_owned(), port }
}

/// Sends a byte every few milliseconds.
fn drip(mut caller: TcpStream) {
    while caller.write_all(b"x").is_ok() {
        thread::sleep(LIMIT / 50);
    }
}

/// Sends as many bytes as it can.
fn flood(mut caller: TcpStream) {
    while caller.write_all(&[b'x'; 4096]).is_ok() {}
}

fn silent(mut caller: TcpStream) {
    // It ends when the client closes the connection.
    let _ = caller.read(&mut [0]);
    thread::sleep(HANGING);
}

/// Reads until a call fails, and returns the failure.
fn read_on(stream: &mut Stream) -> Failure {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < HANGING);
        stream.consume(stream.unread().len());
        if let Err(failure) = stream.fill(1) {
            return failure;
        }
    }
}

#[test]
fn reads_end_at_the_deadline_however_bytes_arrive() {
    for serve in [drip, flood, silent] {
        let connector = Connector::new(server(serve));
        let begun = Instant::now();
        let mut stream = connector.connect(soon()).unwrap();
        assert!(matches!(read_on(&mut stream), Failure::TimedOut));
        assert!((LIMIT..HANGING).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        // A later deadline applies to later calls.
        let begun = Instant::now();
        stream.set_deadline(soon());
        assert!(matches!(read_on(&mut stream), Failure::TimedOut));
        assert!((LIMIT..HANGING).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

#[test]
fn send_to_a_server_that_reads_nothing_ends_at_the_deadline() {
    let connector = Connector::new(server(silent));
    let mut stream = connector.connect(soon()).unwrap();
    let begun = Instant::now();
    let failure = stream.send(&vec![0; 64 << 20]).unwrap_err();
    assert!(matches!(failure, Failure::TimedOut), "{failure:?}");
    assert!(begun.elapsed() < HANGING);
}

#[test]
fn tls_handshake_ends_at_the_deadline() {
    fn drip_record(mut caller: TcpStream) {
        // The header of a record of 16 KiB, byte by byte.
        for byte in [0x16, 0x03, 0x03, 0x40, 0x00].into_iter().chain(std::iter::repeat(0)) {
            if caller.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(LIMIT / 50);
        }
    }
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    let tls = Tls::new(Some(authority.as_bytes()), None, Checks::Full).unwrap();
    let connector = Connector::new(server(drip_record)).with_tls(Some(tls));
    let begun = Instant::now();
    let failure = connector.connect(soon()).unwrap_err();
    assert!(matches!(failure, Failure::TimedOut), "{failure:?}");
    assert!(begun.elapsed() < HANGING);
}

/// A Unix socket whose queue is full makes `connect` block.
#[test]
fn connecting_to_a_full_unix_socket_ends_at_the_deadline() {
    let path = std::env::temp_dir().join(format!("dogpile-net-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let connector = Connector::new(Endpoint::Unix(path.clone()));
    let begun = Instant::now();
    let mut open = Vec::new();
    // The length of the queue depends on the system, and is a few thousand at most.
    let failure = loop {
        match connector.connect(soon()) {
            Ok(stream) if open.len() < 10_000 => open.push(stream),
            Ok(_) => break None,
            Err(failure) => break Some(failure),
        }
    };
    std::fs::remove_file(&path).unwrap();
    drop(listener);
    assert!(matches!(failure, Some(Failure::TimedOut)) && begun.elapsed() < HANGING, "{failure:?}");
}

#[test]
fn unread_bytes_are_noticed_without_waiting() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let connector = Connector::new(Endpoint::Tcp { host: "127.0.0.1".to_owned(), port });
    let mut stream = connector.connect(Instant::now() + HANGING).unwrap();
    let (mut caller, _) = listener.accept().unwrap();
    assert!(!stream.has_unread().unwrap());
    caller.write_all(b"ab").unwrap();
    // The bytes may take a moment to arrive.
    let begun = Instant::now();
    while !stream.has_unread().unwrap() {
        assert!(begun.elapsed() < HANGING);
        thread::yield_now();
    }
    stream.fill(2).unwrap();
    stream.consume(1);
    assert!(stream.has_unread().unwrap());
    assert_eq!(stream.unread(), b"b");
    stream.consume(1);
    drop(caller);
    assert!(!stream.has_unread().unwrap());
    assert!(matches!(stream.fill(1), Err(Failure::Broken(_))));
}

#[test]
fn unreachable_server_is_a_broken_connection() {
    // No other program gets the port of a socket that is bound, and a socket that does not listen refuses connections.
    let reserved = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    reserved.bind(&SockAddr::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))).unwrap();
    let port = reserved.local_addr().unwrap().as_socket_ipv4().unwrap().port();
    let connector = Connector::new(Endpoint::Tcp { host: "127.0.0.1".to_owned(), port });
    let Failure::Broken(cause) = connector.connect(soon()).unwrap_err() else { panic!("it is refused") };
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
}
