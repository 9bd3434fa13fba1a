//! [`Link`]: an open connection, with the calls whose replies are due on it.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use dogpile_net::{AsyncStream, Connector, Lane, Queued};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::call::{Call, Delivery};
use super::due::{Due, What};
use super::failure::{broken, of_others};
use super::opened::{Opened, decode};
use crate::command::Repeat;
use crate::connection::{Deadlines, Failure, Login, Purpose};
use crate::pool::Limits;
use crate::resp::{self, Decoder, Invalid, Value};

/// The most bytes of requests that are gathered for one write. A larger request is written from where it lies.
const WRITE: usize = 64 << 10;
/// The most bytes of a request that its caller sends.
const SMALL: usize = 16 << 10;
/// The most calls whose replies are due.
const MAX_SENT: usize = 4096;
/// The most bytes of requests whose replies are due, unless there is only one.
const MAX_SENT_BYTES: usize = 4 << 20;

/// How often a link reads and writes before the deadlines are checked and other tasks have their turn. A server may flood
/// the connection.
const STEPS: usize = 16;

/// An open connection, with the calls whose replies are due on it.
///
/// Replies are matched to requests by their order. After a failure, nothing more is read: the next bytes may belong to
/// another request.
///
/// Replies do not say to which request they belong. If a proxy sent one twice, all later calls would receive the reply of
/// the one before. Therefore a *guard* follows all requests but a first one that is alone: an `ECHO` of a number that was
/// not sent before. Their calls end when its reply is at its place.
pub(super) struct Link {
    stream: AsyncStream,
    decoder: Decoder,
    buffer: Box<[u8]>,
    /// What has replies that are due, in order. A call that is over stays, so that its reply is not taken for another's.
    due: VecDeque<Due>,
    /// The calls whose replies were received, but not that of their guard.
    held: Vec<(Call, Vec<Value>)>,
    /// The outcomes to deliver when the link is not locked.
    deliveries: Vec<Delivery>,
    /// Why a caller could not send its request.
    failure: Option<Failure>,
    /// The number of bytes of the calls among `due`.
    sent_bytes: usize,
    /// The gathered requests, of which the first `at` bytes are written.
    ///
    /// It is empty while the last of `due` is written from where it lies.
    out: Vec<u8>,
    at: usize,
    /// The number of bytes of all requests so far, and how many of them are written.
    queued: u64,
    written: u64,
    received_at: Instant,
    /// No deadline of a call whose replies are due is earlier.
    earliest: Option<Instant>,
    /// Whether the server has replied to a command.
    is_proven: bool,
    /// Whether a guard must follow the last request.
    owes_guard: bool,
    next_guard: u64,
    /// Whether the server rejected a guard, so that no further one is sent.
    is_unguarded: Arc<AtomicBool>,
    limits: Limits,
}

impl Link {
    /// Connects and logs in.
    pub(super) async fn open(
        connector: Arc<Connector>,
        login: &Login,
        deadlines: Deadlines,
        limits: Limits,
        is_unguarded: Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let opened = Opened::open(connector, login, Purpose::Commands, deadlines, limits.value).await?;
        Ok(Link {
            stream: opened.stream,
            decoder: opened.decoder,
            buffer: opened.buffer,
            due: VecDeque::new(),
            held: Vec::new(),
            deliveries: Vec::new(),
            failure: None,
            sent_bytes: 0,
            out: Vec::new(),
            at: 0,
            queued: 0,
            written: 0,
            received_at: Instant::now(),
            earliest: None,
            is_proven: false,
            owes_guard: false,
            next_guard: RandomState::new().hash_one(0),
            is_unguarded,
            limits,
        })
    }

    /// Receives what has arrived, sends what is waiting in `lane`, and returns the failure that ends the connection.
    pub(super) fn poll(&mut self, lane: &Lane<Call>, context: &mut Context<'_>) -> Poll<Failure> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(failure);
        }
        let mut steps = STEPS;
        while steps > 0 {
            // Read first. Bytes that arrived before a request was sent are not its reply.
            if let Poll::Ready(failure) = self.poll_read(&mut steps, context) {
                return Poll::Ready(failure);
            }
            if steps == 0 {
                break;
            }
            let before = self.written;
            self.gather(lane, context.waker());
            match self.poll_write(context) {
                Poll::Ready(Err(failure)) => return Poll::Ready(failure),
                // There was room for further requests again.
                Poll::Ready(Ok(())) if self.written > before => steps -= 1,
                Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Returns whether a caller may send `call`: nothing is due, nothing has arrived, and the request is small.
    pub(super) fn is_idle_for(&self, call: &Call, context: &mut Context<'_>) -> bool {
        let is_idle = self.due.is_empty() && self.written == self.queued && self.failure.is_none();
        // Bytes that arrived before a request was sent are not its reply.
        is_idle && call.size() <= SMALL && self.stream.poll_read_ready(context).is_pending()
    }

    /// Sends `call` on an idle link, and returns whether it was written. Otherwise, the driver goes on.
    pub(super) fn send_now(&mut self, call: Call, context: &mut Context<'_>) -> bool {
        self.clear_written();
        self.send(call);
        self.guard(0);
        match self.poll_write(context) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(failure)) => {
                self.failure = Some(failure);
                false
            }
            Poll::Pending => false,
        }
    }

    /// Takes the outcomes that are to be delivered when the link is not locked.
    pub(super) fn deliveries(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries)
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

    /// Ends the calls whose replies are among the first `count` bytes of the buffer.
    fn receive(&mut self, count: usize) -> Result<(), Failure> {
        self.received_at = Instant::now();
        let mut input = &self.buffer[..count];
        while !input.is_empty() {
            // A command that was not fully sent has no reply.
            let first = self.due.front_mut().filter(|first| first.may_be_replied(self.written));
            let first = first.ok_or(Invalid::Unread)?;
            let expected = first.expected().ok_or(Invalid::Unread)?;
            let Some(reply) = decode(&mut self.decoder, &mut input, expected, self.limits.value)? else {
                continue;
            };
            if matches!((&first.what, &reply), (What::Guard(_), Value::Error(_))) {
                // The rejection is at its place. Do not fill the server's log with further ones.
                self.is_unguarded.store(true, Ordering::Relaxed);
            }
            if !first.add(reply) {
                continue;
            }
            self.is_proven = true;
            match self.due.pop_front().map(|first| first.what) {
                Some(What::Call { call, replies, is_guarded }) => {
                    self.sent_bytes -= call.size();
                    if is_guarded {
                        self.held.push((call, replies));
                    } else {
                        self.deliveries.extend(call.end(replies));
                    }
                }
                Some(What::Guard(_)) | None => {
                    let held = self.held.drain(..);
                    self.deliveries.extend(held.filter_map(|(call, replies)| call.end(replies)));
                }
            }
        }
        Ok(())
    }

    /// Moves calls from `lane` to those that are sent.
    fn gather(&mut self, lane: &Lane<Call>, waker: &Waker) {
        self.clear_written();
        let before = self.due.len();
        while let Some(call) = lane.take(self.room(), waker) {
            self.send(call);
        }
        self.guard(before);
    }

    /// Makes room for requests if all gathered ones are written.
    fn clear_written(&mut self) {
        if self.at == self.out.len() && self.written == self.queued {
            self.at = 0;
            self.out.clear();
        }
    }

    /// Adds a guard after the requests from the number `before` on, if their replies could be taken for others.
    fn guard(&mut self, before: usize) {
        let replies = |due: &Due| due.call().map_or(1, |call| call.request.expected.len());
        // After the first reply of the connection, any later bytes may be that reply once more.
        let has_several = self.due.len() > 1 || self.due.front().is_some_and(|first| replies(first) > 1);
        let is_confusable = has_several || self.is_proven;
        if self.due.len() > before && is_confusable && !self.is_unguarded.load(Ordering::Relaxed) {
            self.owes_guard = true;
            for due in self.due.iter_mut().skip(before) {
                if let What::Call { is_guarded, .. } = &mut due.what {
                    *is_guarded = true;
                }
            }
        }
        if self.owes_guard && !self.is_writing_large() {
            self.send_guard();
        }
    }

    fn send(&mut self, call: Call) {
        let (packed, now) = (call.request.packed(false), Instant::now());
        if packed.len() <= WRITE {
            self.out.extend_from_slice(packed);
        }
        self.queued += packed.len() as u64;
        self.sent_bytes += packed.len();
        self.earliest = Some(self.earliest.map_or(call.deadline, |earliest| earliest.min(call.deadline)));
        let replies = Vec::with_capacity(call.request.expected.len());
        let what = What::Call { call, replies, is_guarded: false };
        self.due.push_back(Due { what, since: now, end: self.queued });
    }

    fn send_guard(&mut self) {
        let (before, number) = (self.out.len(), self.next_guard);
        resp::command(2, &mut self.out);
        resp::bulk(b"ECHO", &mut self.out);
        resp::number(number, &mut self.out);
        self.queued += (self.out.len() - before) as u64;
        self.due.push_back(Due { what: What::Guard(number), since: Instant::now(), end: self.queued });
        self.next_guard = number.wrapping_add(1);
        self.owes_guard = false;
    }

    /// Returns whether the last request is being written from where it lies. Nothing may follow it meanwhile.
    fn is_writing_large(&self) -> bool {
        self.out.is_empty() && self.written < self.queued
    }

    /// Returns how many bytes the next request may have.
    fn room(&self) -> usize {
        let is_full = self.out.len() >= WRITE || self.due.len() >= MAX_SENT;
        if is_full || self.owes_guard || self.is_writing_large() {
            return 0;
        }
        match (self.due.is_empty(), self.out.is_empty()) {
            (true, true) => usize::MAX,
            (_, true) => MAX_SENT_BYTES.saturating_sub(self.sent_bytes),
            // A large request is written alone.
            _ => MAX_SENT_BYTES.saturating_sub(self.sent_bytes).min(WRITE),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while self.written < self.queued {
            let unwritten = (self.queued - self.written) as usize;
            let large = self.due.back().and_then(Due::call).filter(|_| self.out.is_empty());
            let bytes = match large.map(|call| call.request.packed(false)) {
                Some(packed) => &packed[packed.len().saturating_sub(unwritten)..],
                None => &self.out[self.at..],
            };
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes)).map_err(broken)?;
            if written == 0 {
                return Poll::Ready(Err(broken(io::ErrorKind::WriteZero.into())));
            }
            self.written += written as u64;
            self.at += if self.out.is_empty() { 0 } else { written };
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
        let due = self.due.iter_mut().filter_map(|due| match &mut due.what {
            What::Call { call, .. } => Some(call),
            What::Guard(_) => None,
        });
        let mut is_any_expired = false;
        for call in due.chain(self.held.iter_mut().map(|(call, _)| call)) {
            if call.is_expired(now) {
                is_any_expired = true;
                self.deliveries.extend(call.deliver(Err(Failure::TimedOut)));
            }
        }
        let Some(first) = self.due.front() else {
            self.earliest = None;
            return Ok(());
        };
        let overdue = first.since + self.limits.timeout * 2;
        let waiting = self.due.iter().filter_map(Due::call).chain(self.held.iter().map(|(call, _)| call));
        let deadlines = waiting.filter(|call| !call.is_over()).map(|call| call.deadline);
        self.earliest = deadlines.chain([overdue]).min();
        let silence = now.saturating_duration_since(first.since.max(self.received_at));
        let is_silent = is_any_expired && silence >= self.limits.timeout / 2;
        if is_silent || now >= overdue { Err(Failure::TimedOut) } else { Ok(()) }
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

    /// Closes the connection. Returns the calls that may be sent again, and completes the others with `failure`.
    pub(super) fn close(self, failure: &Failure) -> Vec<Call> {
        let now = Instant::now();
        self.deliveries.into_iter().for_each(Delivery::run);
        // A connection on which the server has never replied would probably break again.
        let may_retry = match failure {
            Failure::Broken(_) => self.is_proven && self.limits.retry,
            Failure::TimedOut => self.limits.retry,
            _ => false,
        };
        let held = self.held.into_iter().map(|(call, _)| call);
        let due = self.due.into_iter().filter_map(|due| match due.what {
            What::Call { call, .. } => Some(call),
            What::Guard(_) => None,
        });
        let mut again = Vec::new();
        for mut call in held.chain(due) {
            let is_harmless = call.repeat == Repeat::Harmless && !call.is_retry;
            if may_retry && is_harmless && !call.is_over() && call.deadline > now {
                call.is_retry = true;
                again.push(call);
            } else {
                call.complete(Err(of_others(failure, &call, now)));
            }
        }
        again
    }
}
