//! Replies that servers should not send, replies of old servers, and unrequested commands in keys and values.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use dogpile::sdk::ErrorKind;
use dogpile_tests::threads::{bounded, together};

use super::faults::{in_use, with_each};
use super::{count, impatient, region, say, server};

/// A server that greets correctly, and then sends `answer` for every request. It closes the connection if `closes`.
fn server_that_answers(answer: Vec<u8>, closes: bool) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut caller in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut asked = [0; 1 << 16];
                while let Ok(length @ 1..) = caller.read(&mut asked) {
                    let greets = &asked[..length] == b"mn\r\n";
                    if caller.write_all(if greets { b"MN\r\n" } else { &answer }).is_err()
                        || (closes && !greets)
                    {
                        break;
                    }
                }
            });
        }
    });
    port
}

/// Replies that a server should not send for `key`: text, and binary.
fn garbage() -> Vec<Vec<u8>> {
    let envelope = br#"{"ct": 1700000000.0, "v": 2}|"wrong""#;
    let text = |head: &str, end: &str| [head.as_bytes(), envelope, end.as_bytes()].concat();
    let length = envelope.len();
    let binary = |code: u8, number: u8, key: &str, body: u32| {
        let mut header = vec![0x81, code, 0, key.len() as u8, 4, 0, 0, 0];
        header.extend_from_slice(&body.to_be_bytes());
        header.extend_from_slice(&[0, 0, 0, number, 0, 0, 0, 0, 0, 0, 0, 1]);
        [&header[..], &[0; 4], key.as_bytes(), envelope].concat()
    };
    vec![
        text(&format!("VA {length} f0 c1 kother\r\n"), "\r\n"),
        text(&format!("VA {length} f0 c1\r\n"), "\r\n"),
        text(&format!("VA {} f0 c1 kkey\r\n", length - 1), "\r\n"),
        text(&format!("VA {} f0 c1 kkey\r\n", length + 1), "\r\n"),
        text("VA 99999999999999999999 f0 c1 kkey\r\n", "\r\n"),
        text("VA 1000000000 f0 c1 kkey\r\n", "\r\n"),
        text(&format!("VALUE other 0 {length} 1\r\n"), "\r\nEND\r\n"),
        b"\r\n".to_vec(),
        b"HD\r\nHD\r\nHD\r\n".to_vec(),
        b"SERVER_ERROR out of memory\r\nSERVER_ERROR out of memory\r\n".to_vec(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![b'x'; 10_000],
        vec![0xff; 1000],
        vec![0x81; 1000],
        binary(0, 9, "", 4 + length as u32),
        binary(1, 0, "", 4 + length as u32),
        binary(0, 0, "other", u32::MAX),
        binary(0, 0, "other", 1),
        binary(0, 0, "other", 9 + length as u32),
        Vec::new(),
    ]
}

#[test]
fn garbage_and_replies_for_another_key_are_misses() {
    bounded(|| {
        let cases: Vec<_> =
            garbage().into_iter().flat_map(|answer| [(answer.clone(), false), (answer, true)]).collect();
        together(cases.len(), |number| {
            let (answer, closes) = &cases[number];
            let port = server_that_answers(answer.clone(), *closes);
            for backend in impatient() {
                let region = region(&backend, &[port]);
                let shown = String::from_utf8_lossy(&answer[..answer.len().min(50)]).into_owned();
                assert_eq!(region.get::<String>("key").unwrap(), None, "{} after {shown:?}", backend.0);
                let made = region.get_or_create("key", || "right".to_owned()).unwrap();
                assert_eq!(made, "right", "{} after {shown:?}", backend.0);
                let found = region.get_multi::<String>(&["key", "another"]).unwrap();
                assert_eq!(found, [None, None], "{} after {shown:?}", backend.0);
            }
        });
    });
}

/// Behavior: `memcached-key-mangler-for-spaces`
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn commands_in_keys_and_values_have_no_effect() {
    with_each(|backend, server| {
        let region = region(backend, &[server.port()]);
        say(server.port(), "set kept 0 0 4\r\nkept");
        let injected = [
            "a\r\nflush_all",
            "a\r\nset kept 0 0 1\r\nx",
            "a 0 0 1\r\nx\r\ndelete kept\r\n",
            "kept noreply",
            "a b",
            "a\0b",
            "a\x7f",
            "\u{a0}\u{2028}",
            &"k".repeat(300),
        ];
        let on_server = region.backend().unwrap();
        for text in injected {
            let value = format!("{text}\r\nflush_all\r\ndelete kept\r\nEND\r\nVALUE kept 0 1 1\r\n");
            region.set(text, value.clone()).unwrap();
            assert_eq!(region.get(text).unwrap(), Some(value.clone()), "{text:?}");
            assert_eq!(region.get_multi(&[text, "other"]).unwrap(), [Some(value), None]);
            region.delete(text).unwrap();
            assert_eq!(region.get_or_create(text, || "made".to_owned()).unwrap(), "made");
            if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) || text.len() > 250 {
                // The region mangled it. Unmangled, it is not sent.
                let refused = on_server.get(text).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::InvalidKey, "{text:?}");
            }
        }
        assert_eq!(say(server.port(), "get kept"), "VALUE kept 0 4\r\nkept\r\nEND\r\n");
    });
}

/// A relay before a server that is older than the meta commands.
fn old_server(server: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut caller in listener.incoming().flatten() {
            let mut greeting = [0; 9];
            caller.read_exact(&mut greeting).unwrap();
            assert_eq!(&greeting, b"version\r\n");
            caller.write_all(b"VERSION 1.4.15\r\n").unwrap();
            let served = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let pass = |mut from: TcpStream, mut to: TcpStream| {
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            };
            pass(caller.try_clone().unwrap(), served.try_clone().unwrap());
            pass(served, caller);
        }
    });
    port
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn server_without_meta_commands_gets_classic_commands() {
    bounded(|| {
        let server = server();
        let region = region(&impatient()[0], &[old_server(server.port())]);
        in_use(&region, |few_rounds| few_rounds());
        region.delete("key").unwrap();
        let made = together(8, |number| region.get_or_create("key", || number).unwrap());
        assert!(made.iter().all(|value| *value == made[0]), "{made:?}");
        assert!(!region.key_is_locked("key").unwrap());
        assert!(count(server.port(), "cmd_set") > 0);
    });
}
