//! [`Link`]: an open connection, with the calls whose replies are due on it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use dogpile_net::{AsyncStream, Lane, Queued};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::call::Call;
use super::due::Due;
use super::failure::{broken, of_another_call};
use super::handshake;
use crate::client::{Awaited, Codec, Deadlines, Error, Failure, Invalid, Response, TOTAL, Target};

/// The most bytes that are read at a time.
const READ: usize = 64 << 10;
/// The number of bytes of requests from which no further one is gathered for a write.
const WRITE: usize = 64 << 10;
/// The most calls whose replies are due.
const MAX_SENT: usize = 4096;
/// The most bytes of requests whose replies are due, unless there is only one call.
const MAX_SENT_BYTES: usize = 4 << 20;

/// How often a link reads and writes before the deadlines are checked and other tasks have their turn. A server may flood
/// the connection.
const STEPS: usize = 16;

/// An open connection, with the calls whose replies are due on it.
///
/// The replies are in the order of the requests. Each repeats the number of its request, except in the classic protocol,
/// where a value names its key. After a failure, nothing more is read: the next bytes may belong to another request.
pub(super) struct Link {
    target: Arc<Target>,
    stream: AsyncStream,
    codec: Codec,
    buffer: Box<[u8]>,
    /// The calls whose replies are due, in order. A call that is over stays, so that its reply is not taken for another's.
    due: VecDeque<Due>,
    /// The number of bytes of the calls among `due`.
    sent_bytes: usize,
    /// The gathered requests, of which the first `at` bytes are sent.
    out: Vec<u8>,
    at: usize,
    /// The number of bytes of all requests so far, and how many of them are sent.
    queued: u64,
    sent: u64,
    received_at: Instant,
    /// No deadline of a call whose replies are due is earlier.
    earliest: Option<Instant>,
    /// Whether the server has replied to an operation.
    is_proven: bool,
}

impl Link {
    /// Connects, detects the protocol, and logs in.
    pub(super) async fn open(target: Arc<Target>, deadlines: Deadlines) -> Result<Self, Failure> {
        let (stream, codec) = handshake::open(&target, deadlines).await?;
        Ok(Link {
            target,
            stream,
            codec,
            buffer: vec![0; READ].into(),
            due: VecDeque::new(),
            sent_bytes: 0,
            out: Vec::new(),
            at: 0,
            queued: 0,
            sent: 0,
            received_at: Instant::now(),
            earliest: None,
            is_proven: false,
        })
    }

    /// Receives what has arrived, sends what is waiting in `lane`, and returns the failure that ends the connection.
    pub(super) fn poll(&mut self, lane: &Lane<Call>, context: &mut Context<'_>) -> Poll<Failure> {
        let mut steps = STEPS;
        while steps > 0 {
            // Read first. Bytes that arrived before a request was sent are not its reply.
            if let Poll::Ready(failure) = self.poll_read(&mut steps, context) {
                return Poll::Ready(failure);
            }
            if steps == 0 {
                break;
            }
            let before = self.sent;
            self.gather(lane, context.waker());
            match self.poll_write(context) {
                Poll::Ready(Err(failure)) => return Poll::Ready(failure),
                // There was room for further requests again.
                Poll::Ready(Ok(())) if self.sent > before => steps -= 1,
                Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_read(&mut self, steps: &mut usize, context: &mut Context<'_>) -> Poll<Failure> {
        while *steps > 0 {
            *steps -= 1;
            let mut buffer = ReadBuf::new(&mut self.buffer);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            let count = buffer.filled().len();
            let received = match read {
                Ok(()) if count > 0 => self.receive(count),
                Ok(()) => Err(broken(io::ErrorKind::UnexpectedEof.into())),
                Err(error) => Err(broken(error)),
            };
            if let Err(failure) = received {
                return Poll::Ready(failure);
            }
        }
        Poll::Pending
    }

    /// Completes the calls whose replies are among the first `count` bytes of the buffer.
    fn receive(&mut self, count: usize) -> Result<(), Failure> {
        self.received_at = Instant::now();
        let mut input = &self.buffer[..count];
        while !input.is_empty() {
            let first = self.due.front_mut().ok_or(Invalid::Unread)?;
            let (operation, opaque) = first.awaited(self.sent).ok_or(Invalid::Unread)?;
            let limit = self.target.options().max_value_bytes.min(first.left);
            let awaited = Awaited { operation: &operation, opaque };
            let outcome = match self.codec.read(&mut input, awaited, limit)? {
                None => continue,
                Some(Response::Reply(reply)) => {
                    first.left -= reply.length();
                    Ok(reply)
                }
                Some(Response::Refused(why)) => {
                    Err(Arc::new(Error::Refused { server: self.target.name(), why }))
                }
                Some(Response::LoggedOut) => return Err(Failure::Login),
            };
            self.is_proven = true;
            if first.call.add(outcome)
                && let Some(Due { call, .. }) = self.due.pop_front()
            {
                self.sent_bytes -= call.size();
                if !call.is_over() {
                    self.target.succeeded();
                }
                call.end();
            }
        }
        Ok(())
    }

    /// Writes requests to `out`, as long as there is room, and takes further calls from `lane`.
    fn gather(&mut self, lane: &Lane<Call>, waker: &Waker) {
        if self.at == self.out.len() {
            self.at = 0;
            self.out.clear();
            self.out.shrink_to(WRITE * 2);
        }
        while self.has_room() {
            if let Some(last) = self.due.back_mut().filter(|last| !last.is_written()) {
                self.queued += last.write(&mut self.codec, &mut self.out, self.queued);
                continue;
            }
            let Some(call) = lane.take(self.room(), waker) else { return };
            self.sent_bytes += call.size();
            self.earliest = Some(self.earliest.map_or(call.deadline, |earliest| earliest.min(call.deadline)));
            let total = TOTAL.max(self.target.options().max_value_bytes);
            self.due.push_back(Due::new(call, Instant::now(), total));
        }
    }

    /// Returns whether another request may be gathered for the next write.
    fn has_room(&self) -> bool {
        // Over TLS, memcached may lose what follows a value in the same record.
        let is_encrypted = self.target.options().tls.is_some();
        if is_encrypted { self.out.is_empty() } else { self.out.len() < WRITE }
    }

    /// Returns how many bytes the next call may have.
    fn room(&self) -> usize {
        match self.due.len() {
            0 => usize::MAX,
            MAX_SENT.. => 0,
            _ => MAX_SENT_BYTES.saturating_sub(self.sent_bytes),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while self.at < self.out.len() {
            let unsent = &self.out[self.at..];
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, unsent)).map_err(broken)?;
            if count == 0 {
                return Poll::Ready(Err(broken(io::ErrorKind::WriteZero.into())));
            }
            self.at += count;
            self.sent += count as u64;
        }
        Pin::new(&mut self.stream).poll_flush(context).map_err(broken)
    }

    /// Ends the waits of calls whose deadline has passed.
    ///
    /// Their replies are still due, and are dropped when they arrive.
    ///
    /// # Errors
    /// If the connection must be closed, because the server has been silent for long, or the reply is long overdue.
    pub(super) fn expire(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(first) = self.due.front() else {
            self.earliest = None;
            return Ok(());
        };
        let timeout = self.target.options().timeout;
        let (overdue, was_sent) = (first.since + timeout * 2, now.saturating_duration_since(first.since));
        let is_any_expired = self.due.iter().any(|due| due.call.is_expired(now));
        let silence = was_sent.min(now.saturating_duration_since(self.received_at));
        if now >= overdue || (is_any_expired && silence >= timeout / 2) {
            return Err(Failure::TimedOut);
        }
        if is_any_expired {
            // The server has had the first request for long, and has not replied to it in time.
            let is_slow = first.call.deadline <= now && was_sent >= timeout / 2;
            let failure = Failure::TimedOut;
            // Record it before any caller goes on, so that its next call does not wait for the server once more.
            let error = if is_slow { self.target.failed(&failure) } else { self.target.error(&failure) };
            let error = Arc::new(error);
            let expired = self.due.iter_mut().filter(|due| due.call.is_expired(now));
            expired.for_each(|due| due.call.fail(&error));
        }
        let waiting = self.due.iter().filter(|due| !due.call.is_over()).map(|due| due.call.deadline);
        self.earliest = waiting.chain([overdue]).min();
        Ok(())
    }

    /// Returns a time before which [`expire`](Self::expire) changes nothing, or `None` if it never does.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Returns whether bytes have arrived after `moment`.
    pub(super) fn has_received_since(&self, moment: Instant) -> bool {
        self.received_at > moment
    }

    /// Returns whether no reply is due.
    pub(super) fn is_idle(&self) -> bool {
        self.due.is_empty()
    }

    /// Closes the connection. Returns the calls that may be sent again. The others fail, and so does the server.
    pub(super) fn close(self, failure: &Failure) -> Vec<Call> {
        let now = Instant::now();
        let is_too_large = matches!(failure, Failure::Invalid(Invalid::LongValue { .. }));
        let may_repeat = match failure {
            // A connection on which the server has never replied would probably break again.
            Failure::Broken(_) => self.is_proven,
            Failure::TimedOut => true,
            _ => is_too_large,
        };
        let (mut again, mut failed) = (Vec::new(), Vec::new());
        for (number, Due { mut call, .. }) in self.due.into_iter().enumerate() {
            let is_to_blame = is_too_large && number == 0;
            if may_repeat && !is_to_blame && call.may_be_repeated(now) {
                call.is_retry = true;
                again.push(call);
            } else {
                failed.push(call);
            }
        }
        if !failed.is_empty() {
            let error = Arc::new(self.target.failed(failure));
            let of_others = Arc::new(self.target.error(&of_another_call()));
            for (number, mut call) in failed.into_iter().enumerate() {
                let is_innocent = match failure {
                    Failure::TimedOut => call.deadline > now,
                    _ => is_too_large && number > 0,
                };
                call.fail(if is_innocent { &of_others } else { &error });
            }
        }
        again
    }
}
