//! [`Limits`]: drops the oldest values of a file that exceeds its limits.
//!
//! Storing a value gives its row a new and highest number. The lowest numbers are those of the oldest values.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension};

use crate::config::DbmConfig;

/// The share of a limit that is freed at a time, as a divisor. A write then rarely has to count and drop.
const PART: u64 = 16;

const PAGES: &str = "SELECT page_count, freelist_count, page_size \
                     FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
const LAST: &str = "SELECT max(rowid) FROM Dict";
const COUNT: &str = "SELECT count(*) FROM Dict";
const SIZES: &str = "SELECT rowid, length(key) + length(value) FROM Dict ORDER BY rowid";
const NTH: &str = "SELECT rowid FROM Dict ORDER BY rowid LIMIT 1 OFFSET ?1";
const DROP: &str = "DELETE FROM Dict WHERE rowid <= ?1";

/// The limits of a file.
#[derive(Debug)]
pub(crate) struct Limits {
    bytes: Option<u64>,
    entries: Option<u64>,
    counted: Mutex<Option<Counted>>,
}

/// The number of rows at some time, and the number of the last row.
///
/// Each row that was added since has a higher number. The numbers therefore bound the present number of rows.
#[derive(Clone, Copy, Debug)]
struct Counted {
    entries: u64,
    last: i64,
}

impl Counted {
    /// Returns an upper bound of the rows if the last one has the number `last`. `None` if `last` has decreased.
    fn bound(self, last: i64) -> Option<u64> {
        let added = u64::try_from(last.checked_sub(self.last)?).ok()?;
        Some(self.entries.saturating_add(added))
    }
}

impl Limits {
    /// Returns the limits of `config`, or `None` without limits.
    pub(crate) fn of(config: &DbmConfig) -> Option<Self> {
        let (bytes, entries) = (config.max_bytes, config.max_entries);
        let limited = bytes.is_some() || entries.is_some();
        limited.then(|| Limits { bytes, entries, counted: Mutex::default() })
    }

    /// Drops values until the limits hold. The caller is in a transaction that writes.
    pub(crate) fn keep(&self, sqlite: &Connection) -> rusqlite::Result<()> {
        if let Some(most) = self.entries {
            self.keep_entries(sqlite, most)?;
        }
        match self.bytes {
            Some(most) => keep_bytes(sqlite, most),
            None => Ok(()),
        }
    }

    /// Discards the count, because its transaction was not committed.
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
        let entries = sqlite.prepare_cached(COUNT)?.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs();
        // The bound counts replaced rows twice. Keep fewer rows than allowed, or each write would count when the file
        // is nearly full.
        let keep = if bound.is_some() { most - most / PART } else { most };
        let surplus = entries.saturating_sub(keep);
        if surplus > 0 {
            let last_surplus = sqlite
                .prepare_cached(NTH)?
                .query_row([i64::try_from(surplus - 1).unwrap_or(i64::MAX)], |row| row.get(0))?;
            drop_until(sqlite, last_surplus)?;
        }
        *counted = Some(Counted { entries: entries - surplus, last });
        Ok(())
    }

    /// Locks the count. No holder panics, so poison carries no meaning.
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

/// Returns the number of the row up to which the first rows have `size` bytes, or of the last row.
fn first_of_size(sqlite: &Connection, size: u64) -> rusqlite::Result<Option<i64>> {
    let mut statement = sqlite.prepare_cached(SIZES)?;
    let mut rows = statement.query([])?;
    let (mut sum, mut last) = (0, None);
    while sum < size
        && let Some(row) = rows.next()?
    {
        sum += row.get::<_, i64>(1)?.unsigned_abs();
        last = Some(row.get(0)?);
    }
    Ok(last)
}

fn drop_until(sqlite: &Connection, last: i64) -> rusqlite::Result<()> {
    sqlite.prepare_cached(DROP)?.execute([last]).map(drop)
}

/// The numbers of pages of a file, and their size.
struct Pages {
    all: u64,
    free: u64,
    size: u64,
}

impl Pages {
    fn of(sqlite: &Connection) -> rusqlite::Result<Self> {
        sqlite
            .prepare_cached(PAGES)?
            .query_row([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?].map(i64::unsigned_abs)))
            .map(|[all, free, size]| Pages { all, free, size })
    }

    fn used(&self) -> u64 {
        self.all.saturating_sub(self.free) * self.size
    }
}

/// Shrinks the file if at least a quarter of it is empty.
pub(crate) fn vacuum(sqlite: &Connection) -> rusqlite::Result<()> {
    let pages = Pages::of(sqlite)?;
    if pages.free < pages.all.div_ceil(4) {
        return Ok(());
    }
    sqlite.execute("VACUUM", [])?;
    // The pages stay in the log until a checkpoint. A reader may prevent the checkpoint, which is not an error.
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    sqlite.query_row(checkpoint, [], |row| row.get::<_, i64>(0)).optional().map(drop)
}
