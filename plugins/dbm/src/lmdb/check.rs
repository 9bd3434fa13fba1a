//! Checks a file before LMDB maps it into memory. LMDB trusts what it maps, and a damaged page would end the process.
//!
//! The check reads the pages of both trees of the latest state: the free pages, and the values. All offsets and page
//! numbers must lead to where they may, and no page may be used twice. The contents of values are not read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use heed::{Error, MdbError};

use super::page::{FREE, Item, META, Page, long, short};

/// The most pages that are checked. Opening a larger file does not take longer.
const MOST_PAGES: usize = 1 << 16;

/// The deepest tree that LMDB can walk.
const DEEPEST: u16 = 32;

const MAGIC: u32 = 0xbeef_c0de;
const VERSION: u32 = 1;
const META_LENGTH: usize = 152;
const NO_PAGE: u64 = u64::MAX;

/// A flag of LMDB for files that must be mapped at one address.
const FIXED_MAP: u16 = 1;

/// Returns an error if LMDB would not survive this file. An empty file is valid.
pub(super) fn check(file: &File) -> heed::Result<()> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(());
    }
    let first = Meta::read(file, 0)?;
    let second = Meta::read(file, u64::from(first.page_size))?;
    let size = u64::from(first.page_size);
    if second.page_size != first.page_size || length < 2 * size {
        return Err(damaged());
    }
    let latest = if second.transaction > first.transaction { second } else { first };
    Walk::new(file, length, &latest).trees(&latest)
}

fn damaged() -> Error {
    Error::Mdb(MdbError::Corrupted)
}

/// The end of a file that was cut off is damage, and not a failure of the disk.
fn read(file: &File, bytes: &mut [u8], at: u64) -> heed::Result<()> {
    file.read_exact_at(bytes, at).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => Error::Io(error),
    })
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from(short(bytes, at)) | u32::from(short(bytes, at + 2)) << 16
}

/// The contents of one of the two pages at the start of a file.
struct Meta {
    page_size: u32,
    last_page: u64,
    transaction: u64,
    free: Tree,
    values: Tree,
}

#[derive(Clone, Copy)]
struct Tree {
    flags: u16,
    depth: u16,
    root: u64,
}

impl Meta {
    fn read(file: &File, at: u64) -> heed::Result<Self> {
        let mut bytes = [0; META_LENGTH];
        if file.read_at(&mut bytes, at)? < META_LENGTH {
            return Err(Error::Mdb(if at == 0 { MdbError::Invalid } else { MdbError::Corrupted }));
        }
        if short(&bytes, 10) & META == 0 || number(&bytes, 16) != MAGIC || number(&bytes, 20) != VERSION {
            return Err(Error::Mdb(MdbError::Invalid));
        }
        let (page_size, address, map_size) = (number(&bytes, 40), long(&bytes, 24), long(&bytes, 32));
        let [free, values] = [40, 88].map(|at| Tree::read(&bytes[at..]));
        let meta =
            Meta { page_size, last_page: long(&bytes, 136), transaction: long(&bytes, 144), free, values };
        if !meta.is_valid(map_size, address) {
            return Err(damaged());
        }
        // Tables of tables, or of several values per key, have flags.
        if meta.values.flags == 0 { Ok(meta) } else { Err(Error::Mdb(MdbError::Incompatible)) }
    }

    fn is_valid(&self, map_size: u64, address: u64) -> bool {
        let size = self.page_size;
        let sizes = size.is_power_of_two() && (512..=0x8000).contains(&size);
        let fits = self.last_page >= 1 && self.last_page < map_size.max(1 << 20) / u64::from(size.max(1));
        sizes && fits && address == 0 && self.free.flags & FIXED_MAP == 0
    }
}

impl Tree {
    fn read(bytes: &[u8]) -> Self {
        Tree { flags: short(bytes, 4), depth: short(bytes, 6), root: long(bytes, 40) }
    }
}

/// The pages that the walk has seen.
struct Walk<'a> {
    file: &'a File,
    page_size: usize,
    last_page: u64,
    /// One bit per page of the file.
    seen: Vec<u64>,
    pages: u64,
    /// The number of pages that may still be read.
    left: usize,
}

impl<'a> Walk<'a> {
    fn new(file: &'a File, length: u64, meta: &Meta) -> Self {
        let pages = length / u64::from(meta.page_size);
        let seen = vec![0; usize::try_from(pages / 64 + 1).unwrap_or(0)];
        let (page_size, last_page) = (meta.page_size as usize, meta.last_page);
        Walk { file, page_size, last_page, seen, pages, left: MOST_PAGES }
    }

    fn trees(&mut self, meta: &Meta) -> heed::Result<()> {
        self.tree(meta.free, true)?;
        self.tree(meta.values, false)
    }

    fn tree(&mut self, tree: Tree, free: bool) -> heed::Result<()> {
        match (tree.root, tree.depth) {
            (NO_PAGE, 0) => Ok(()),
            (_, depth @ 1..=DEEPEST) => self.page(tree.root, depth, free),
            _ => Err(damaged()),
        }
    }

    /// Checks a page that is `depth` pages above the end of the branches, and everything below it.
    fn page(&mut self, number: u64, depth: u16, free: bool) -> heed::Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        self.mark(number, 1)?;
        let bytes = self.bytes(number, self.page_size)?;
        let page = Page::new(&bytes, number, depth == 1).ok_or_else(damaged)?;
        // Only the tree of free pages may have a branch with a single page below it.
        if depth > 1 && !free && page.len() < 2 {
            return Err(damaged());
        }
        page.items(free).ok_or_else(damaged)?.into_iter().try_for_each(|item| self.item(&item, depth, free))
    }

    fn item(&mut self, item: &Item<'_>, depth: u16, free: bool) -> heed::Result<()> {
        match *item {
            Item::Below(number) => self.page(number, depth - 1, free),
            Item::Value(bytes) if free => self.free_pages(bytes),
            Item::Value(_) => Ok(()),
            Item::Foreign => Err(Error::Mdb(MdbError::Incompatible)),
            Item::Large { page, length } => self.large(page, length, free),
        }
    }

    /// Checks a value on pages of its own.
    fn large(&mut self, number: u64, length: usize, free: bool) -> heed::Result<()> {
        let head = self.bytes(number, Page::HEAD)?;
        let pages = Page::large(&head, number).ok_or_else(damaged)?;
        let needed = (Page::HEAD + length).div_ceil(self.page_size) as u64;
        if pages < needed {
            return Err(damaged());
        }
        self.mark(number, pages)?;
        if !free {
            return Ok(());
        }
        let all = self.bytes(number, Page::HEAD + length)?;
        self.free_pages(&all[Page::HEAD..])
    }

    /// Checks a list of free pages: their number, and the pages in descending order.
    fn free_pages(&mut self, list: &[u8]) -> heed::Result<()> {
        let numbers = list.chunks_exact(FREE).map(|number| long(number, 0));
        let count =
            numbers.clone().next().and_then(|count| usize::try_from(count).ok()).ok_or_else(damaged)?;
        if count >= list.len() / FREE {
            return Err(damaged());
        }
        let mut before = self.last_page + 1;
        for number in numbers.skip(1).take(count) {
            if number >= before {
                return Err(damaged());
            }
            before = number;
            self.mark_free(number)?;
        }
        Ok(())
    }

    /// Returns the first `length` bytes from the start of a page.
    fn bytes(&self, number: u64, length: usize) -> heed::Result<Vec<u8>> {
        let at = number.checked_mul(self.page_size as u64).ok_or_else(damaged)?;
        let end = at.checked_add(length as u64).ok_or_else(damaged)?;
        if end > self.pages * self.page_size as u64 {
            return Err(damaged());
        }
        let mut bytes = vec![0; length];
        read(self.file, &mut bytes, at)?;
        Ok(bytes)
    }

    /// Notes that `count` pages from `first` are in use. They must exist, and must not be in use already.
    fn mark(&mut self, first: u64, count: u64) -> heed::Result<()> {
        let end = first.checked_add(count).ok_or_else(damaged)?;
        if first < 2 || end > self.pages || end > self.last_page + 1 {
            return Err(damaged());
        }
        (first..end).try_for_each(|number| self.mark_one(number))
    }

    /// Notes that a page is free. The last pages of a file need not exist as long as they are free.
    fn mark_free(&mut self, number: u64) -> heed::Result<()> {
        match number {
            0 | 1 => Err(damaged()),
            _ if number < self.pages => self.mark_one(number),
            _ => Ok(()),
        }
    }

    fn mark_one(&mut self, number: u64) -> heed::Result<()> {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.seen.get_mut(word));
        let (word, bit) = (word.ok_or_else(damaged)?, 1 << (number % 64));
        if *word & bit != 0 {
            return Err(damaged());
        }
        *word |= bit;
        Ok(())
    }
}
