//! [`Capabilities`]: the features and limits of a store.

use serde::{Deserialize, Serialize};

/// The features and limits of a store. Start from the default and change what differs.
///
/// A region reads them when it is configured. Some of them change what it does, as their fields state. The others are
/// promises that callers can read and that the conformance suite checks.
///
/// ```
/// use dogpile_sdk::{Capabilities, KeyBytes};
///
/// let capabilities =
///     Capabilities::default().with_key_limit(250).with_key_bytes(KeyBytes::NoWhitespace).with_native_expiry();
/// assert_eq!(capabilities.max_key_bytes, Some(250));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether the store keeps values. Default: true.
    ///
    /// If it does not, a region calls the creator of each caller at once, without gates or mutexes, and does not store
    /// what it created.
    pub stores: bool,
    /// The length of the longest key, in bytes of UTF-8. Default: no limit.
    ///
    /// A region replaces a key that the store does not admit by one of 80 bytes, or refuses it if the region's
    /// `mangle_invalid_keys` is false. With a limit below 80, it refuses the key.
    pub max_key_bytes: Option<usize>,
    /// The bytes that a key may contain. Default: any. A region replaces other keys, as those that are too long.
    pub key_bytes: KeyBytes,
    /// Key prefixes that the store uses itself, such as `_lock` for locks. Default: none.
    ///
    /// A region stores no value under a key that begins with one of them, and replaces the key.
    pub reserved_prefixes: Vec<String>,
    /// The size of the largest serialized value, in bytes. Default: no limit.
    ///
    /// A region does not check it. The backend returns [`ErrorKind::InvalidValue`](crate::ErrorKind::InvalidValue) for
    /// a larger value, or keeps nothing under its key. It never keeps a part of the value.
    pub max_value_bytes: Option<u64>,
    /// Whether the store drops a value by itself after its [`keep_for`](crate::StoreOptions::keep_for). Default: false.
    ///
    /// A region passes this time in any case, and judges the age of each value by itself.
    pub native_expiry: bool,
    /// Whether the `_multi` calls save round trips. Default: false. A region uses them for several keys in any case.
    pub native_batch: bool,
    /// The name of the serializer to use if the region names none.
    ///
    /// Default: none. Values are stored unserialized, as [`Payload::Object`](crate::Payload::Object). For a
    /// [`BytesBackend`](crate::BytesBackend), the default is `json`.
    pub serializer: Option<String>,
    /// A string that all backends over one store in this process share.
    ///
    /// Regions over one store then wait for each other's creators, and share the breaker and the threads for blocking
    /// calls. The string is readable, such as `redis://host:6379/0` or `file:/var/cache/pages.db`, and contains no
    /// password. Backends that do not find each other's values must not have one scope. A region asks the innermost
    /// backend, not its proxies. Default: none. Each backend instance is a store of its own.
    pub scope: Option<String>,
    /// Whether a held mutex can expire, so that two creators may overlap. Default: false.
    ///
    /// A mutex that can expire implements [`is_lost`](crate::CacheMutex::is_lost), which a region asks in any case.
    pub lock_timeout: bool,
    /// Whether `set` checks the [`fence`](crate::StoreOptions::fence) in the same step as it stores. Default: false.
    ///
    /// A region passes a fence whenever the mutex has [one](crate::CacheMutex::fence).
    pub fencing: bool,
    /// Whether no call ever blocks, so that an async caller needs no other thread. Default: false.
    ///
    /// Tasks then make the blocking calls themselves, those of mutexes included, and
    /// [`operations`](crate::CacheBackend::operations) are not used. It must be false if a call waits for I/O, for a
    /// lock that is held for long, or for another thread.
    pub immediate: bool,
    /// The given arguments that have no effect. A region logs one warning that lists them. Default: none.
    ///
    /// [`register_backend!`](crate::register_backend) sets it if the entry point accepts
    /// [foreign names](crate::ForeignArguments).
    pub ignored_arguments: Vec<String>,
}

/// The bytes that a key may contain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KeyBytes {
    /// Any bytes.
    #[default]
    Any,
    /// No whitespace and no control characters, as in memcached.
    NoWhitespace,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities {
            stores: true,
            max_key_bytes: None,
            key_bytes: KeyBytes::Any,
            reserved_prefixes: Vec::new(),
            max_value_bytes: None,
            native_expiry: false,
            native_batch: false,
            serializer: None,
            scope: None,
            lock_timeout: false,
            fencing: false,
            immediate: false,
            ignored_arguments: Vec::new(),
        }
    }
}

impl Capabilities {
    /// The prefix of the keys by which regions replace others. It is reserved in every store.
    pub const REPLACED_KEY_PREFIX: &'static str = "_dogpile:";

    /// Sets that the store keeps nothing.
    #[must_use]
    pub fn without_storage(mut self) -> Self {
        self.stores = false;
        self
    }

    /// Sets the length of the longest key, in bytes.
    #[must_use]
    pub fn with_key_limit(mut self, bytes: usize) -> Self {
        self.max_key_bytes = Some(bytes);
        self
    }

    /// Sets the bytes that a key may contain.
    #[must_use]
    pub fn with_key_bytes(mut self, key_bytes: KeyBytes) -> Self {
        self.key_bytes = key_bytes;
        self
    }

    /// Adds a prefix of keys that the store uses itself. An empty one is ignored.
    #[must_use]
    pub fn with_reserved_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.reserved_prefixes.extend(Some(prefix.into()).filter(|prefix| !prefix.is_empty()));
        self
    }

    /// Returns the capabilities of this store behind a proxy that adds `prefix` to every key.
    ///
    /// The prefix counts towards the length of a key. A reserved prefix that begins with `prefix` loses this part, and
    /// those that no key can have any more are removed. A proxy must not add a prefix that this store
    /// [reserves](Self::reserves_key).
    ///
    /// ```
    /// use dogpile_sdk::Capabilities;
    ///
    /// let store = Capabilities::default().with_key_limit(250).with_reserved_prefix("_lock");
    /// let behind = store.behind_prefix("_l");
    /// assert_eq!(behind.max_key_bytes, Some(248));
    /// assert_eq!((behind.reserves_key("ock:tea"), behind.reserves_key("_lock:tea")), (true, false));
    /// ```
    #[must_use]
    pub fn behind_prefix(mut self, prefix: &str) -> Self {
        self.max_key_bytes = self.max_key_bytes.map(|limit| limit.saturating_sub(prefix.len()));
        let left =
            |reserved: &str| reserved.strip_prefix(prefix).filter(|left| !left.is_empty()).map(str::to_owned);
        self.reserved_prefixes = self.all_reserved().filter_map(left).collect();
        self
    }

    /// Sets the size of the largest serialized value, in bytes.
    #[must_use]
    pub fn with_value_limit(mut self, bytes: u64) -> Self {
        self.max_value_bytes = Some(bytes);
        self
    }

    /// Sets that the store drops values by itself after a time.
    #[must_use]
    pub fn with_native_expiry(mut self) -> Self {
        self.native_expiry = true;
        self
    }

    /// Sets that the `_multi` calls save round trips.
    #[must_use]
    pub fn with_native_batch(mut self) -> Self {
        self.native_batch = true;
        self
    }

    /// Sets the serializer to use if the region names none.
    #[must_use]
    pub fn with_serializer(mut self, name: impl Into<String>) -> Self {
        self.serializer = Some(name.into());
        self
    }

    /// Sets the string that all backends over this store share.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Sets whether a held mutex can expire.
    #[must_use]
    pub fn with_lock_timeout(mut self, expires: bool) -> Self {
        self.lock_timeout = expires;
        self
    }

    /// Sets that `set` checks the fence in the same step as it stores.
    #[must_use]
    pub fn with_fencing(mut self) -> Self {
        self.fencing = true;
        self
    }

    /// Sets whether no call ever blocks.
    #[must_use]
    pub fn with_immediate(mut self, immediate: bool) -> Self {
        self.immediate = immediate;
        self
    }

    /// Returns whether `key` begins with a reserved prefix and so cannot have a value.
    pub fn reserves_key(&self, key: &str) -> bool {
        self.all_reserved().any(|prefix| key.starts_with(prefix))
    }

    fn all_reserved(&self) -> impl Iterator<Item = &str> {
        self.reserved_prefixes.iter().map(String::as_str).chain([Self::REPLACED_KEY_PREFIX])
    }

    /// Returns whether the store accepts the length and the bytes of `key`. Reserved prefixes are not considered.
    pub fn admits_key(&self, key: &str) -> bool {
        let fits = self.max_key_bytes.is_none_or(|limit| key.len() <= limit);
        let clean = match self.key_bytes {
            KeyBytes::Any => true,
            KeyBytes::NoWhitespace => !key.chars().any(|c| c.is_whitespace() || c.is_control()),
        };
        fits && clean
    }
}
