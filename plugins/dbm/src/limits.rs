//! [`Limits`]: what is dropped when the file has too much.
//!
//! Storing a value gives its row a new number, the highest, so that the lowest are those of what was stored first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension};

use crate::config::DbmConfig;

/// Room is made for this part of a limit at a time, so that it need not be made, and counted, at each write.
const PART: u64 = 16;

const PAGES: &str = "SELECT page_count, freelist_count, page_size \
                     FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
const LAST: &str = "SELECT max(rowid) FROM Dict";
const COUNT: &str = "SELECT count(*) FROM Dict";
const SIZES: &str = "SELECT rowid, length(key) + length(value) FROM Dict ORDER BY rowid";
const NTH: &str = "SELECT rowid FROM Dict ORDER BY rowid LIMIT 1 OFFSET ?1";
const DROP: &str = "DELETE FROM Dict WHERE rowid <= ?1";

/// How much the file may have.
#[derive(Debug)]
pub(crate) struct Limits {
    bytes: Option<u64>,
    entries: Option<u64>,
    counted: Mutex<Option<Counted>>,
}

/// How many rows there were, and the number of the last. Each row that anybody has added since has a higher one, so
/// that the numbers tell how many there are at most now.
#[derive(Clone, Copy, Debug)]
struct Counted {
    entries: u64,
    last: i64,
}

impl Counted {
    /// The most that there can be if the last has the number `last`; unknown if it is lower than it was.
    fn bound(self, last: i64) -> Option<u64> {
        let added = u64::try_from(last.checked_sub(self.last)?).ok()?;
        Some(self.entries.saturating_add(added))
    }
}

impl Limits {
    /// Those of `config`, if it has any.
    pub(crate) fn of(config: &DbmConfig) -> Option<Self> {
        let (bytes, entries) = (config.max_bytes, config.max_entries);
        let limited = bytes.is_some() || entries.is_some();
        limited.then(|| Limits { bytes, entries, counted: Mutex::default() })
    }

    /// Drops what is too much. Belongs to the transaction of a write.
    pub(crate) fn keep(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        if let Some(most) = self.entries {
            self.keep_entries(sqlite, most)?;
        }
        match self.bytes {
            Some(most) => keep_bytes(sqlite, most),
            None => Ok(()),
        }
    }

    /// The transaction was not committed: what was counted in it is not so.
    pub(crate) fn forget(&self) {
        *self.counted() = None;
    }

    fn keep_entries(&self, sqlite: &Connection, most: u64) -> rusqlite::Result<()> {
        let last = sqlite.prepare_cached(LAST)?.query_row([], |row| row.get::<_, Option<i64>>(0))?;
        let last = last.unwrap_or_default();
        let mut counted = self.counted();
        let bound = counted.and_then(|counted| counted.bound(last));
        if bound.is_some_and(|bound| bound <= most) {
            return Ok(());
        }
        let entries = sqlite.prepare_cached(COUNT)?.query_row([], |row| row.get::<_, u64>(0))?;
        // Rows that were replaced count twice in the bound. Somewhat fewer than allowed are kept, or each write would
        // count when the file is nearly full.
        let keep = if bound.is_some() { most - most / PART } else { most };
        let surplus = entries.saturating_sub(keep);
        if surplus > 0 {
            let last_surplus = sqlite.prepare_cached(NTH)?.query_row([surplus - 1], |row| row.get(0))?;
            drop_until(sqlite, last_surplus)?;
        }
        *counted = Some(Counted { entries: entries - surplus, last });
        Ok(())
    }

    /// Nothing panics while it is locked.
    fn counted(&self) -> MutexGuard<'_, Option<Counted>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep_bytes(sqlite: &Connection, most: u64) -> rusqlite::Result<()> {
    loop {
        let used = Pages::of(sqlite)?.used();
        if used <= most {
            return Ok(());
        }
        let Some(last) = first_of_size(sqlite, used - (most - most / PART))? else { return Ok(()) };
        drop_until(sqlite, last)?;
    }
}

/// The number of the row up to which the first ones have `size` bytes together, or of the last; none if there is none.
fn first_of_size(sqlite: &Connection, size: u64) -> rusqlite::Result<Option<i64>> {
    let mut statement = sqlite.prepare_cached(SIZES)?;
    let mut rows = statement.query([])?;
    let (mut sum, mut last) = (0, None);
    while sum < size
        && let Some(row) = rows.next()?
    {
        sum += row.get::<_, u64>(1)?;
        last = Some(row.get(0)?);
    }
    Ok(last)
}

fn drop_until(sqlite: &Connection, last: i64) -> rusqlite::Result<()> {
    sqlite.prepare_cached(DROP)?.execute([last]).map(drop)
}

/// The pages of a file.
struct Pages {
    all: u64,
    free: u64,
    size: u64,
}

impl Pages {
    fn of(sqlite: &Connection) -> rusqlite::Result<Self> {
        sqlite
            .prepare_cached(PAGES)?
            .query_row([], |row| Ok(Pages { all: row.get(0)?, free: row.get(1)?, size: row.get(2)? }))
    }

    fn used(&self) -> u64 {
        self.all.saturating_sub(self.free) * self.size
    }
}

/// Makes the file smaller if a quarter or more of it is empty.
pub(crate) fn vacuum(sqlite: &Connection) -> rusqlite::Result<()> {
    let pages = Pages::of(sqlite)?;
    if pages.free < pages.all.div_ceil(4) {
        return Ok(());
    }
    sqlite.execute("VACUUM", [])?;
    // What was written lies in the log until then. Somebody who reads may be in the way, which is no failure.
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    sqlite.query_row(checkpoint, [], |row| row.get::<_, i64>(0)).optional().map(drop)
}
