//! [`read`]: the text of a configuration file. It is read up to a limit, and from a pipe only for a time.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// The largest configuration, in bytes.
const LARGEST: usize = 16 << 20;

/// How long another process may take to write the configuration into a pipe.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the text of the file at `path`.
///
/// # Errors
/// If it cannot be read, is larger than 16 MiB, or is not UTF-8, or if it is a pipe that is not written within 30 seconds.
pub(super) fn read(path: &Path) -> io::Result<String> {
    text(open(path)?, PATIENCE)
}

fn text(mut file: File, limit: Duration) -> io::Result<String> {
    let deadline = Instant::now() + limit;
    let (is_regular, mut bytes, mut part) = (file.metadata()?.is_file(), Vec::new(), vec![0; 64 << 10]);
    loop {
        if !is_regular {
            wait(&file, deadline)?;
        }
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(length) if bytes.len() + length > LARGEST => {
                let problem = format!("larger than {} MiB; name a configuration", LARGEST >> 20);
                return Err(io::Error::new(ErrorKind::FileTooLarge, problem));
            }
            Ok(length) => bytes.extend_from_slice(&part[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8 text; name a configuration"))
}

/// Opens the file at `path`. Opening a pipe does not wait for its writer.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};

    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Waits until `file`, which is not a regular one, can be read.
#[cfg(unix)]
fn wait(file: &File, deadline: Instant) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) as _ };
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&timeout)) {
        Ok(0) => {
            let problem = "a pipe that was not written to its end in time; write a configuration into it, or name a file";
            Err(io::Error::new(ErrorKind::TimedOut, problem))
        }
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn wait(_file: &File, _deadline: Instant) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix, not(dogpile_loom)))]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::thread;

    use super::*;

    fn fifo() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).expect("a FIFO");
        (folder, path)
    }

    #[test]
    fn pipe_without_a_writer_is_given_up() {
        let (_folder, path) = fifo();
        let error = text(open(&path).unwrap(), Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().starts_with("a pipe that was not written to its end"), "{error}");
    }

    #[test]
    fn pipe_is_read_to_its_end() {
        let (_folder, path) = fifo();
        let written = "x = 1\n".repeat(100_000);
        let expected = written.clone();
        let to = path.clone();
        let writing = thread::spawn(move || fs::write(to, written));
        assert!(read(&path).unwrap() == expected);
        writing.join().unwrap().unwrap();
    }

    #[test]
    fn endless_file_is_refused() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "larger than 16 MiB; name a configuration");
    }

    #[test]
    fn folder_and_other_bytes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), ErrorKind::IsADirectory);
        let path = folder.path().join("bytes");
        fs::write(&path, b"a\xff").unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "not UTF-8 text; name a configuration");
        assert_eq!(read(&folder.path().join("absent")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
