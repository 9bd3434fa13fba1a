//! Creates the file of a socket, for its owner only.
//!
//! It replaces one that a dead process left.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_abi::peer_of;
use dogpile_sdk::process_id;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::shell_word::shell_word;

/// How many connections wait until they are accepted.
const BACKLOG: i32 = 16;

/// How long a process waits until another one has opened its socket in the same folder, or has removed its file.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a process looks again meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

/// A socket that listens at a path.
pub(super) struct Bound {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// The device and number of the file.
    file: (u64, u64),
}

/// Removes the file, unless another one has its path by now.
impl Drop for Bound {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.file) {
            // It stays if the folder has become unwritable. The next process replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns `path` with the real path of its folder.
pub(super) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name =
        path.file_name().ok_or_else(|| problem(io::ErrorKind::InvalidInput, "the path has no name"))?;
    let real = fs::canonicalize(folder).map_err(|error| {
        let text = format!("its folder cannot be opened: {error}; create the folder");
        io::Error::new(error.kind(), text)
    })?;
    Ok(real.join(name))
}

/// Creates the socket at `path`, which is absolute. Its mode is 0600.
pub(super) fn bind(path: &Path) -> io::Result<Bound> {
    let address = SocketAddrUnix::new(path).map_err(|_| {
        let length = path.as_os_str().len();
        problem(
            io::ErrorKind::InvalidInput,
            format!("its path has {length} bytes, which is too long for a unix socket; use a path of at most 100 bytes"),
        )
    })?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let locked = lock(folder)?;
    make_room(path)?;
    let socket = socket()?;
    bind_for_owner(&socket, &address, path)?;
    let listening = fs::symlink_metadata(path)
        .and_then(|file| rustix::net::listen(&socket, BACKLOG).map(|()| file).map_err(Into::into));
    let file = listening.inspect_err(|_| drop(fs::remove_file(path)))?;
    drop(locked);
    let bound = Bound { listener: socket.into(), path: path.to_owned(), file: (file.dev(), file.ino()) };
    bound.listener.set_nonblocking(true)?;
    Ok(bound)
}

/// Creates the file of `socket` at `path`, with the mode 0600.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_for_owner(socket: &OwnedFd, address: &SocketAddrUnix, _path: &Path) -> io::Result<()> {
    // The file gets the mode of the socket. Its path is not used, because another file may have it by then.
    rustix::fs::fchmod(socket, rustix::fs::Mode::from_raw_mode(0o600))?;
    Ok(rustix::net::bind(socket, address)?)
}

/// Creates the file of `socket` at `path`, with the mode 0600.
///
/// No process can connect before `listen`, so that none finds the socket with the mode of the umask.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_for_owner(socket: &OwnedFd, address: &SocketAddrUnix, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    rustix::net::bind(socket, address)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).inspect_err(|_| drop(fs::remove_file(path)))
}

/// A folder that this process has locked.
struct LockedFolder(File);

/// Unlocks the folder. Closing it is not enough, because another thread may have forked meanwhile, and the child has the
/// folder open as well until it starts a program or ends.
impl Drop for LockedFolder {
    fn drop(&mut self) {
        // The folder is closed in any case.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Locks `folder`, so that one process at a time replaces a file of a dead one.
fn lock(folder: &Path) -> io::Result<LockedFolder> {
    let opened = File::open(folder)?;
    let metadata = opened.metadata()?;
    let (mode, owner, user) = (metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != 0 && owner != user {
        let text = format!(
            "its folder belongs to user {owner}, which is neither root nor the user {user} of this process; use another folder, \
             or run \"chown {user} {}\" as root",
            shell_word(folder)
        );
        return Err(problem(io::ErrorKind::PermissionDenied, text));
    }
    // In a folder with the sticky bit, such as /tmp, users replace only their own files.
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        return Err(problem(
            io::ErrorKind::PermissionDenied,
            format!(
                "other users can replace files in its folder (mode {:o}); run \"chmod go-w {}\", or use another folder",
                mode & 0o7777,
                shell_word(folder)
            ),
        ));
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(LockedFolder(opened)),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => {
                return Err(problem(
                    io::ErrorKind::TimedOut,
                    "another process keeps its folder locked (flock); use a folder of the application",
                ));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes the socket that a dead process left at `path`.
fn make_room(path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
            Ok(found) if !is_socket(&found) => {
                return Err(problem(
                    io::ErrorKind::AlreadyExists,
                    "another kind of file has its path; remove that file, or use another path",
                ));
            }
            Ok(_) => match holder(path)? {
                Holder::None => return fs::remove_file(path),
                // A socket of this process that was just dropped: its thread removes the file.
                Holder::Process(process) if process == process_id() && Instant::now() < deadline => {
                    thread::sleep(PAUSE);
                }
                Holder::Process(process) => return Err(in_use(&format!("process {process}"))),
                Holder::Unknown => return Err(in_use("another process")),
            },
        }
    }
}

fn in_use(process: &str) -> io::Error {
    let text = format!(
        "{process} has it open; put {{pid}} into the path, so that each process has a socket of its own, or end that process"
    );
    problem(io::ErrorKind::AddrInUse, text)
}

fn is_socket(file: &Metadata) -> bool {
    file.file_type().is_socket()
}

/// The process that has a socket open.
enum Holder {
    None,
    Process(u32),
    Unknown,
}

/// Returns which process has the socket at `path` open.
fn holder(path: &Path) -> io::Result<Holder> {
    let socket = socket()?;
    // A process that is stopped, and accepts no connection, must not block this one.
    rustix::io::ioctl_fionbio(&socket, true)?;
    match rustix::net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) => Ok(listening_process(&socket)),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(Holder::None),
        // The queue of its connections is full.
        Err(Errno::AGAIN | Errno::INPROGRESS) => Ok(Holder::Unknown),
        Err(error) => Err(error.into()),
    }
}

/// Returns the process that listens at the other end of `socket`.
///
/// A forked child inherits the descriptor of its parent, and keeps the socket open when the parent is dead. Its process ID is
/// still that of the parent, which called `listen`.
fn listening_process(socket: &OwnedFd) -> Holder {
    // A process in another container has no ID here.
    let process = peer_of(socket.as_fd()).ok().flatten().and_then(|peer| peer.process);
    let Some(process) = process else { return Holder::Unknown };
    let pid = i32::try_from(process.get()).ok().and_then(rustix::process::Pid::from_raw);
    match pid.map(rustix::process::test_kill_process) {
        Some(Err(Errno::SRCH)) => Holder::None,
        _ => Holder::Process(process.get()),
    }
}

/// Creates a socket that started programs do not inherit.
fn socket() -> io::Result<OwnedFd> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        Ok(socket)
    }
}

fn problem(kind: io::ErrorKind, text: impl Into<String>) -> io::Error {
    io::Error::new(kind, text.into())
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn folder_that_stays_open_in_a_child_is_unlocked() {
        let folder = tempfile::tempdir().unwrap();
        let locked = lock(folder.path()).unwrap();
        // A forked child shares the open file, as this copy does.
        let _of_child = locked.0.try_clone().unwrap();
        drop(locked);
        lock(folder.path()).unwrap();
    }
}
