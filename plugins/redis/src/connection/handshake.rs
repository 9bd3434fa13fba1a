//! The commands that begin a connection.

use super::failure::Failure;
use super::server::Login;
use crate::resp::{self, ErrorReply, Expected};

/// Whether a connection sends commands, or receives published messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Commands,
    Messages,
}

/// A command of the handshake.
pub(crate) struct Step {
    pub(crate) packed: Vec<u8>,
    pub(crate) expected: Expected,
    /// Makes the failure from an error reply.
    pub(crate) failure: fn(ErrorReply) -> Failure,
}

/// Returns the handshake of a connection.
pub(crate) fn steps(login: &Login, purpose: Purpose) -> Vec<Step> {
    match purpose {
        // Channels do not belong to a database.
        Purpose::Messages => vec![hello(login)],
        Purpose::Commands => auth(login).into_iter().chain(select(login)).collect(),
    }
}

fn auth(login: &Login) -> Option<Step> {
    let credentials = login.credentials();
    (!credentials.is_empty()).then(|| {
        let packed = packed(&[&[&b"AUTH"[..]], &credentials[..]].concat());
        Step { packed, expected: Expected::Done, failure: |_| Failure::Login }
    })
}

fn select(login: &Login) -> Option<Step> {
    (login.db != 0).then(|| {
        let packed = packed(&[b"SELECT", login.db.to_string().as_bytes()]);
        Step { packed, expected: Expected::Done, failure: Failure::Database }
    })
}

/// Switches to RESP3, which alone distinguishes messages from replies, and logs in.
fn hello(login: &Login) -> Step {
    let mut words = vec![&b"HELLO"[..], b"3"];
    let failure: fn(ErrorReply) -> Failure = match login.credentials()[..] {
        [] => Failure::Rejected,
        [.., password] => {
            words.extend([b"AUTH", login.name(), password]);
            |_| Failure::Login
        }
    };
    Step { packed: packed(&words), expected: Expected::List, failure }
}

fn packed(words: &[&[u8]]) -> Vec<u8> {
    let mut packed = Vec::new();
    resp::command(words.len(), &mut packed);
    words.iter().for_each(|word| resp::bulk(word, &mut packed));
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(username: Option<&str>, password: Option<&str>, db: u32, purpose: Purpose) -> String {
        let [username, password] = [username, password].map(|text| text.map(str::to_owned));
        let steps = steps(&Login { username, password, db }, purpose);
        let packed =
            String::from_utf8_lossy(&steps.iter().flat_map(|step| step.packed.clone()).collect::<Vec<_>>())
                .into_owned();
        let is_word = |line: &&str| !line.starts_with(['*', '$']);
        packed.split("\r\n").filter(is_word).collect::<Vec<_>>().join(" ").trim().to_owned()
    }

    #[test]
    fn handshake_has_login_and_database() {
        let (commands, messages) = (Purpose::Commands, Purpose::Messages);
        assert_eq!(words(None, None, 0, commands), "");
        assert_eq!(words(None, Some("p"), 0, commands), "AUTH p");
        assert_eq!(words(Some("u"), Some("p"), 2, commands), "AUTH u p SELECT 2");
        assert_eq!(words(Some("u"), None, 0, commands), "AUTH u");
        assert_eq!(words(None, None, 2, messages), "HELLO 3");
        assert_eq!(words(None, Some("p"), 2, messages), "HELLO 3 AUTH default p");
        assert_eq!(words(Some("u"), Some("p"), 0, messages), "HELLO 3 AUTH u p");
    }
}
