//! Rejects files and folders that other users can change. A user who can replace a library runs code in this process.
//!
//! A path is followed here, component by component, instead of by the system. Each folder on the way and each symbolic
//! link must belong to root or to the user of this process. Others must not be able to write to the folders. A folder
//! with the sticky bit, such as `/tmp`, is an exception: in it, others can neither rename nor delete what is not theirs.

use std::io;

/// Why a file or a folder is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// Users other than root and the user of this process can change it. The text includes what to do.
    #[error("{0}")]
    Unsafe(String),
    #[error("the path is not a file")]
    NotAFile,
    #[error("the file is larger than the limit of {0} bytes")]
    TooLarge(u64),
}

#[cfg(not(unix))]
pub(super) use self::elsewhere::{check_folder, open, resolve};
#[cfg(unix)]
pub(super) use self::unix::{check_folder, open, resolve};

#[cfg(unix)]
mod unix {
    use std::collections::VecDeque;
    use std::ffi::OsString;
    use std::fs::{self, File, Metadata};
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Component, Path, PathBuf};

    use rustix::fs::{Mode, OFlags};

    use super::Refusal;
    use crate::shell_word::shell_word;

    const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
    const STICKY: u32 = 0o1000;

    /// How many symbolic links a path may lead through, as on Linux.
    const MAX_LINKS: usize = 40;

    /// Returns the canonical form of `path`.
    ///
    /// # Errors
    /// If there is no such file or folder, or others can make the path lead elsewhere.
    pub(in super::super) fn resolve(path: &Path) -> Result<PathBuf, Refusal> {
        let mut rest = VecDeque::from(names_of(&std::path::absolute(path)?));
        let mut resolved = PathBuf::from("/");
        let mut links = 0;
        check_on_the_way(&resolved, &fs::symlink_metadata(&resolved)?)?;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                resolved.pop();
                continue;
            }
            let next = resolved.join(name);
            let metadata = fs::symlink_metadata(&next)?;
            check_owner(&next, &metadata)?;
            if metadata.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::other("too many symbolic links").into());
                }
                let target = fs::read_link(&next)?;
                if target.is_absolute() {
                    resolved = PathBuf::from("/");
                }
                names_of(&target).into_iter().rev().for_each(|name| rest.push_front(name));
                continue;
            }
            if !rest.is_empty() {
                check_on_the_way(&next, &metadata)?;
            }
            resolved = next;
        }
        Ok(resolved)
    }

    /// Returns an error unless only root or the user of this process can change what is in `folder`.
    ///
    /// Here the sticky bit does not help: others could add files, which the plugins of the folder might open.
    pub(in super::super) fn check_folder(folder: &Path) -> Result<(), Refusal> {
        check(folder, &fs::metadata(folder)?)
    }

    /// Opens the regular file at the canonical `path`, which only root or the user of this process can change.
    pub(in super::super) fn open(path: &Path) -> Result<File, Refusal> {
        // Check the type first, because opening a device may have effects.
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(Refusal::NotAFile);
        }
        // The file may be another one by now. Opening a FIFO without `NONBLOCK` would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Refusal::NotAFile);
        }
        check(path, &metadata)?;
        Ok(file)
    }

    fn names_of(path: &Path) -> Vec<OsString> {
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        });
        names.collect()
    }

    fn check(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
        check_owner(path, metadata)?;
        if metadata.mode() & GROUP_OR_OTHERS_WRITE == 0 { Ok(()) } else { Err(writable(path, metadata, "")) }
    }

    /// Checks a folder that `path` leads through.
    fn check_on_the_way(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
        check_owner(path, metadata)?;
        if metadata.mode() & GROUP_OR_OTHERS_WRITE == 0 || metadata.mode() & STICKY != 0 {
            return Ok(());
        }
        Err(writable(path, metadata, " and thereby replace what is in it"))
    }

    fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
        let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
        if owner == 0 || owner == user {
            return Ok(());
        }
        // Without the option, the target of a link gets another owner.
        let option = if metadata.is_symlink() { "-h " } else { "" };
        Err(Refusal::Unsafe(format!(
            "{} belongs to user {owner}, which is neither root nor the user {user} of this process; if you trust it, run \
             \"chown {option}{user} {}\" as root",
            path.display(),
            shell_word(path)
        )))
    }

    fn writable(path: &Path, metadata: &Metadata, consequence: &str) -> Refusal {
        let (shown, mode, word) = (path.display(), metadata.mode() & 0o7777, shell_word(path));
        Refusal::Unsafe(format!(
            "users other than its owner can write to {shown} (mode {mode:03o}){consequence}; run \"chmod go-w {word}\""
        ))
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::fs::{PermissionsExt, chown, symlink};

        use super::*;

        /// A tree `top/middle/bottom` with a file in it.
        struct Tree(tempfile::TempDir);

        impl Tree {
            fn new() -> Self {
                let tree = Tree(tempfile::tempdir().unwrap());
                fs::create_dir_all(tree.at("top/middle/bottom")).unwrap();
                fs::write(tree.at("top/middle/bottom/file"), "").unwrap();
                // Whatever the umask is.
                for folder in ["top", "top/middle", "top/middle/bottom"] {
                    tree.set_mode(folder, 0o755);
                }
                tree
            }

            /// Returns the canonical path of `name` in the tree.
            fn at(&self, name: &str) -> PathBuf {
                self.0.path().canonicalize().unwrap().join(name)
            }

            fn set_mode(&self, name: &str, mode: u32) {
                fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
            }

            fn refusal(&self, name: &str) -> String {
                resolve(&self.at(name)).unwrap_err().to_string()
            }
        }

        const FILE: &str = "top/middle/bottom/file";

        #[test]
        fn every_ancestor_is_checked() {
            for ancestor in ["top", "top/middle", "top/middle/bottom"] {
                for mode in [0o775, 0o757, 0o777] {
                    let tree = Tree::new();
                    tree.set_mode(ancestor, mode);
                    let path = tree.at(ancestor);
                    let (path, refusal) = (path.display(), tree.refusal(FILE));
                    assert!(refusal.contains(&format!("can write to {path} (mode {mode:o})")), "{refusal}");
                    assert!(refusal.ends_with(&format!("run \"chmod go-w {path}\"")), "{refusal}");
                }
            }
        }

        #[test]
        fn path_in_a_command_is_quoted() {
            let tree = Tree::new();
            fs::create_dir(tree.at("my plugins")).unwrap();
            tree.set_mode("my plugins", 0o777);
            let refusal = check_folder(&tree.at("my plugins")).unwrap_err().to_string();
            let advice = format!("run \"chmod go-w '{}'\"", tree.at("my plugins").display());
            assert!(refusal.ends_with(&advice), "{refusal}");
        }

        #[test]
        fn sticky_ancestor_is_accepted_but_no_sticky_folder() {
            let tree = Tree::new();
            tree.set_mode("top/middle", 0o1777);
            assert_eq!(resolve(&tree.at(FILE)).unwrap(), tree.at(FILE));
            let refusal = check_folder(&tree.at("top/middle")).unwrap_err().to_string();
            assert!(refusal.contains("(mode 1777)"), "{refusal}");
        }

        #[test]
        fn ancestor_or_link_of_another_user_is_refused() {
            let tree = Tree::new();
            // Only root can give files to another user. Other users cannot test this.
            if chown(tree.at("top/middle"), Some(12345), None).is_err() {
                return;
            }
            let (refusal, path) = (tree.refusal(FILE), tree.at("top/middle"));
            assert!(refusal.contains("top/middle belongs to user 12345"), "{refusal}");
            let advice = format!("if you trust it, run \"chown 0 {}\" as root", path.display());
            assert!(refusal.ends_with(&advice), "{refusal}");
            chown(tree.at("top/middle"), Some(0), None).unwrap();
            tree.set_mode("top", 0o1777);
            symlink("middle/bottom", tree.at("top/link")).unwrap();
            assert_eq!(resolve(&tree.at("top/link/file")).unwrap(), tree.at(FILE));
            std::os::unix::fs::lchown(tree.at("top/link"), Some(12345), None).unwrap();
            let (refusal, link) = (tree.refusal("top/link/file"), tree.at("top/link"));
            assert!(refusal.contains("top/link belongs to user 12345"), "{refusal}");
            assert!(
                refusal.ends_with(&format!("run \"chown -h 0 {}\" as root", link.display())),
                "{refusal}"
            );
        }

        #[test]
        fn folder_that_contains_a_link_is_checked() {
            let tree = Tree::new();
            fs::create_dir(tree.at("links")).unwrap();
            symlink(tree.at("top/middle"), tree.at("links/absolute")).unwrap();
            symlink("../top/middle", tree.at("links/relative")).unwrap();
            for link in ["links/absolute", "links/relative"] {
                let through = format!("{link}/bottom/file");
                tree.set_mode("links", 0o755);
                assert_eq!(resolve(&tree.at(&through)).unwrap(), tree.at(FILE));
                tree.set_mode("links", 0o777);
                assert!(tree.refusal(&through).contains("links (mode 777)"), "{}", tree.refusal(&through));
                // Also as the last component.
                assert!(tree.refusal(link).contains("links (mode 777)"), "{}", tree.refusal(link));
            }
            tree.set_mode("links", 0o755);
            tree.set_mode("top", 0o777);
            assert!(tree.refusal("links/absolute/bottom").contains("top (mode 777)"));
        }

        #[test]
        fn resolved_path_is_that_of_the_system() {
            let tree = Tree::new();
            symlink("bottom/../bottom/./file", tree.at("top/middle/odd")).unwrap();
            for name in ["top/middle/odd", "top/./middle/../middle/bottom", "top/..", ""] {
                assert_eq!(resolve(&tree.at(name)).unwrap(), tree.at(name).canonicalize().unwrap(), "{name}");
            }
            assert_eq!(resolve(Path::new(".")).unwrap(), Path::new(".").canonicalize().unwrap());
            assert_eq!(resolve(Path::new("/")).unwrap(), Path::new("/"));
        }

        #[test]
        fn loop_of_links_ends() {
            let tree = Tree::new();
            symlink("other", tree.at("one")).unwrap();
            symlink("one", tree.at("other")).unwrap();
            assert_eq!(tree.refusal("one"), "too many symbolic links");
        }

        #[test]
        fn fifo_is_refused_at_once() {
            let tree = Tree::new();
            let fifo = tree.at("fifo");
            rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
            assert!(matches!(open(&fifo), Err(Refusal::NotAFile)));
        }
    }
}

/// Systems without such permissions. Every path is accepted, see SECURITY.md.
#[cfg(not(unix))]
mod elsewhere {
    use std::fs::File;
    use std::path::{Path, PathBuf};

    use super::Refusal;

    pub(in super::super) fn resolve(path: &Path) -> Result<PathBuf, Refusal> {
        Ok(path.canonicalize()?)
    }

    pub(in super::super) fn check_folder(_folder: &Path) -> Result<(), Refusal> {
        Ok(())
    }

    pub(in super::super) fn open(path: &Path) -> Result<File, Refusal> {
        if !path.is_file() {
            return Err(Refusal::NotAFile);
        }
        Ok(File::open(path)?)
    }
}
