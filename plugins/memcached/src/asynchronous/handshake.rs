//! Opens a connection, detects its protocol, and logs in.

use dogpile_net::AsyncStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout_at;

use super::failure::broken;
use crate::client::{Codec, Deadlines, Dialect, Failure, GREETING, Invalid, Kind, Options, Target, dialect};

/// The most bytes that are read at a time. The replies are short.
const READ: usize = 1 << 10;

/// Opens a connection to `target`, detects its protocol, and logs in.
pub(super) async fn open(target: &Target, deadlines: Deadlines) -> Result<(AsyncStream, Codec), Failure> {
    let mut stream = target.connector().connect_async(deadlines.connected).await?;
    let greeted = timeout_at(deadlines.ready.into(), greet(&mut stream, target.options())).await;
    let codec = greeted.unwrap_or(Err(Failure::TimedOut))?;
    Ok((stream, codec))
}

async fn greet(stream: &mut AsyncStream, options: &Options) -> Result<Codec, Failure> {
    match options.kind {
        Kind::Text => {
            send(stream, GREETING).await?;
            let line = receive(stream, &mut Codec::new(Dialect::Classic), Codec::read_line).await?;
            Ok(Codec::new(dialect(&line)?))
        }
        Kind::Binary => {
            let mut codec = Codec::new(Dialect::Binary);
            if let Some(login) = &options.login {
                let mut out = Vec::new();
                let number = codec.write_login(login, &mut out);
                send(stream, &out).await?;
                if !receive(stream, &mut codec, |codec, input| codec.read_login(input, number)).await? {
                    return Err(Failure::Login);
                }
            }
            Ok(codec)
        }
    }
}

async fn send(stream: &mut AsyncStream, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

/// Reads until `decode` returns something, after which no byte may be left.
async fn receive<T>(
    stream: &mut AsyncStream,
    codec: &mut Codec,
    mut decode: impl FnMut(&mut Codec, &mut &[u8]) -> Result<Option<T>, Invalid>,
) -> Result<T, Failure> {
    let mut buffer = [0; READ];
    loop {
        let count = stream.read(&mut buffer).await.map_err(broken)?;
        if count == 0 {
            return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let mut input = &buffer[..count];
        if let Some(decoded) = decode(codec, &mut input)? {
            return if input.is_empty() { Ok(decoded) } else { Err(Invalid::Unread.into()) };
        }
    }
}
