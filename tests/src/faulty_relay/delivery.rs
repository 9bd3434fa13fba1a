//! [`Delivery`]: delivers the replies of one connection, and applies faults to them.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::state::{State, victims};
use crate::dialect::Layout;
use crate::fault::Fault;

/// The pause between the bytes of [`Fault::Drip`].
const DRIP: Duration = Duration::from_millis(20);

/// The pause before the second delivery of [`Fault::DuplicateLater`]. A client often sends its next request meanwhile.
const MOMENT: Duration = Duration::from_micros(50);

/// The pause after a wrong reply.
const ALONE: Duration = Duration::from_millis(3);

/// The replies of one connection on their way to the client.
pub(super) struct Delivery<'s> {
    state: &'s State,
    client: TcpStream,
    /// A reply that waits for the next one.
    held: Option<Vec<u8>>,
    /// Whether nothing is delivered any more, although the connection stays open.
    is_silent: bool,
    /// Selects the bytes that change.
    turn: usize,
}

/// What a connection does after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Open,
    Closed,
}

impl<'s> Delivery<'s> {
    pub(super) fn new(state: &'s State, client: TcpStream) -> Self {
        Delivery { state, client, held: None, is_silent: false, turn: 0 }
    }

    /// Delivers `reply`, after `fault` was applied to it.
    pub(super) fn deliver(&mut self, reply: Vec<u8>, fault: Option<Fault>) -> io::Result<Next> {
        if self.is_silent {
            return Ok(Next::Open);
        }
        if let Some(held) = self.held.take() {
            let is_swapped = !self.state.dialect.are_alike(&held, &reply);
            let (first, second) = if is_swapped { (reply, held) } else { (held, reply) };
            self.client.write_all(&[first, second].concat())?;
            return Ok(Next::Open);
        }
        match fault {
            None => self.client.write_all(&reply)?,
            Some(fault) => return self.spoil(&reply, fault),
        }
        Ok(Next::Open)
    }

    fn spoil(&mut self, reply: &[u8], fault: Fault) -> io::Result<Next> {
        let (dialect, timeout) = (self.state.dialect, self.state.spoiling.timeout);
        let half = &reply[..reply.len() / 2];
        match fault {
            Fault::Delay => self.later(reply, timeout / 4)?,
            Fault::Late => self.later(reply, timeout * 2)?,
            Fault::Freeze => self.when_healed(reply)?,
            Fault::FreezeInside => {
                self.client.write_all(half)?;
                self.when_healed(&reply[half.len()..])?;
            }
            Fault::Drip => self.one_by_one(reply, DRIP)?,
            Fault::SingleBytes => self.one_by_one(reply, Duration::ZERO)?,
            Fault::Truncate => self.client.write_all(&reply[..reply.len().saturating_sub(3)])?,
            Fault::Drop | Fault::Unrequested => {}
            Fault::Swap => self.held = Some(reply.to_vec()),
            Fault::HalfClose => {
                self.is_silent = true;
                self.client.shutdown(Shutdown::Write)?;
            }
            Fault::Close => return Ok(Next::Closed),
            Fault::CloseInside => return self.last(half),
            Fault::CloseAfter => return self.last(reply),
            Fault::Reset => return self.reset(),
            Fault::ResetInside => {
                self.client.write_all(half)?;
                return self.reset();
            }
            Fault::DuplicateLater => {
                self.client.write_all(reply)?;
                thread::sleep(MOMENT);
                self.client.write_all(reply)?;
            }
            Fault::EndlessLine => return self.forever(dialect.endless_line(reply)),
            Fault::EndlessList => return self.forever(dialect.endless_list(reply)),
            _ => {
                let changed = self.changed(reply, fault);
                self.client.write_all(&changed)?;
                // Let the client read it before anything else arrives.
                thread::sleep(ALONE);
            }
        }
        Ok(Next::Open)
    }

    /// Returns what is sent at once instead of `reply`.
    fn changed(&mut self, reply: &[u8], fault: Fault) -> Vec<u8> {
        let dialect = self.state.dialect;
        match fault {
            Fault::Duplicate => reply.repeat(2),
            Fault::OtherType => dialect.other_type(reply),
            Fault::Error => dialect.error(reply),
            Fault::InsertAfter => [reply, &dialect.garbage()].concat(),
            Fault::InsertBefore => [&dialect.garbage()[..], reply].concat(),
            Fault::WrongLength => dialect.wrong_length(reply),
            Fault::HugeLength => dialect.huge_length(reply),
            Fault::CorruptHead => {
                let head = dialect.layout(reply).as_ref().map(Layout::head).unwrap_or_default();
                self.with_changed_bit(reply, &head)
            }
            Fault::CorruptPayload => self.with_changed_bit(reply, &victims(dialect, reply)),
            _ => reply.to_vec(),
        }
    }

    /// Changes a bit of one of the bytes at `places`, another one each time.
    fn with_changed_bit(&mut self, reply: &[u8], places: &[usize]) -> Vec<u8> {
        self.turn += 1;
        // Connections are short while faults last. Begin at different places on each.
        let turn = self.turn + self.state.faults.load(SeqCst);
        let mut reply = reply.to_vec();
        if let Some(at) = places.get(turn % places.len().max(1)) {
            reply[*at] ^= 1 << (turn % 7);
        }
        reply
    }

    fn later(&mut self, reply: &[u8], pause: Duration) -> io::Result<()> {
        thread::sleep(pause);
        self.client.write_all(reply)
    }

    fn when_healed(&mut self, reply: &[u8]) -> io::Result<()> {
        self.state.wait_until_healed();
        self.client.write_all(reply)
    }

    fn one_by_one(&mut self, reply: &[u8], pause: Duration) -> io::Result<()> {
        for (at, byte) in reply.iter().enumerate() {
            if self.state.is_over() {
                return self.client.write_all(&reply[at..]);
            }
            self.client.write_all(&[*byte])?;
            thread::sleep(pause);
        }
        Ok(())
    }

    fn forever(&mut self, (beginning, rest): (Vec<u8>, Vec<u8>)) -> io::Result<Next> {
        self.client.write_all(&beginning)?;
        while !self.state.is_over() {
            self.client.write_all(&rest)?;
        }
        Ok(Next::Closed)
    }

    fn last(&mut self, reply: &[u8]) -> io::Result<Next> {
        self.client.write_all(reply)?;
        Ok(Next::Closed)
    }

    /// Makes the kernel reset the connection when its last handle is dropped.
    fn reset(&mut self) -> io::Result<Next> {
        set_socket_linger(&self.client, Some(Duration::ZERO))?;
        // This also ends the thread that reads from the connection.
        self.client.shutdown(Shutdown::Read)?;
        self.is_silent = true;
        Ok(Next::Closed)
    }

    /// Ends the connection, unless it is to be reset.
    pub(super) fn end(&mut self) {
        if !self.is_silent {
            let _ = self.client.shutdown(Shutdown::Both);
        }
    }
}
