//! [`Opened`]: a connection that is logged in.

use std::io;
use std::sync::Arc;

use dogpile_net::{AsyncStream, Connector};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout_at;

use super::failure::broken;
use crate::connection::{Deadlines, Failure, Login, Purpose, Step, steps};
use crate::resp::{Decoder, Expected, Invalid, Value};

/// The most bytes that are read at a time.
const READ: usize = 64 << 10;

/// A connection that is logged in.
pub(super) struct Opened {
    pub(super) stream: AsyncStream,
    pub(super) decoder: Decoder,
    /// Space for received bytes.
    pub(super) buffer: Box<[u8]>,
}

impl Opened {
    /// Connects and logs in.
    pub(super) async fn open(
        connector: Arc<Connector>,
        login: &Login,
        purpose: Purpose,
        deadlines: Deadlines,
        value_limit: usize,
    ) -> Result<Self, Failure> {
        let stream = connector.connect_async(deadlines.connected).await?;
        let mut opened = Opened { stream, decoder: Decoder::default(), buffer: vec![0; READ].into() };
        let steps = steps(login, purpose);
        let handshake = timeout_at(deadlines.ready.into(), opened.shake_hands(&steps, value_limit)).await;
        handshake.unwrap_or(Err(Failure::TimedOut)).map(|()| opened)
    }

    /// Sends the commands of the handshake together, and checks their replies.
    async fn shake_hands(&mut self, steps: &[Step], value_limit: usize) -> Result<(), Failure> {
        if steps.is_empty() {
            return Ok(());
        }
        let packed: Vec<u8> = steps.iter().flat_map(|step| &step.packed).copied().collect();
        self.send(&packed).await?;
        let mut steps = steps.iter().peekable();
        while steps.peek().is_some() {
            let count = self.stream.read(&mut self.buffer).await.map_err(broken)?;
            let mut input = &self.buffer[..count];
            if input.is_empty() {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
            while !input.is_empty() {
                let step = steps.peek().ok_or(Invalid::Unread)?;
                match decode(&mut self.decoder, &mut input, step.expected, value_limit)? {
                    None => {}
                    Some(Value::Error(error)) => return Err((step.failure)(error)),
                    Some(_) => drop(steps.next()),
                }
            }
        }
        Ok(())
    }

    /// Sends packed commands.
    pub(super) async fn send(&mut self, packed: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(packed).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }
}

/// Parses the next reply, and checks its kind. Skips push messages.
pub(super) fn decode(
    decoder: &mut Decoder,
    input: &mut &[u8],
    expected: Expected,
    value_limit: usize,
) -> Result<Option<Value>, Invalid> {
    while !input.is_empty() {
        match decoder.decode(input, expected.limits(value_limit))? {
            Some(Value::Push(_)) => {}
            Some(reply) => return expected.check(&reply).map(|()| Some(reply)),
            None => break,
        }
    }
    Ok(None)
}
