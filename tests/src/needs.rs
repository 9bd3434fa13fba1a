//! Tests that need servers, for packages without a build script of their own.
//!
//! A test inside one of these macros shows as ignored where its server is missing. The build script of this package
//! finds that out, because a published package must not look for servers when users build it.

/// Marks tests as ignored where redis-server is not installed.
#[cfg(not(missing_redis))]
#[macro_export]
macro_rules! needs_redis {
    ($($test:item)*) => { $($test)* };
}

/// Marks tests as ignored where redis-server is not installed.
#[cfg(missing_redis)]
#[macro_export]
macro_rules! needs_redis {
    ($($test:item)*) => { $(#[ignore = "needs redis-server"] $test)* };
}

/// Marks tests as ignored where memcached is not installed.
#[cfg(not(missing_memcached))]
#[macro_export]
macro_rules! needs_memcached {
    ($($test:item)*) => { $($test)* };
}

/// Marks tests as ignored where memcached is not installed.
#[cfg(missing_memcached)]
#[macro_export]
macro_rules! needs_memcached {
    ($($test:item)*) => { $(#[ignore = "needs memcached"] $test)* };
}

/// Marks tests as ignored where redis-server or memcached is not installed.
#[cfg(not(any(missing_redis, missing_memcached)))]
#[macro_export]
macro_rules! needs_redis_and_memcached {
    ($($test:item)*) => { $($test)* };
}

/// Marks tests as ignored where redis-server or memcached is not installed.
#[cfg(any(missing_redis, missing_memcached))]
#[macro_export]
macro_rules! needs_redis_and_memcached {
    ($($test:item)*) => { $(#[ignore = "needs redis-server and memcached"] $test)* };
}

/// Marks tests as ignored where redis-server or the Python packages are not installed.
#[cfg(not(any(missing_redis, missing_python)))]
#[macro_export]
macro_rules! needs_redis_and_python {
    ($($test:item)*) => { $($test)* };
}

/// Marks tests as ignored where redis-server or the Python packages are not installed.
#[cfg(any(missing_redis, missing_python))]
#[macro_export]
macro_rules! needs_redis_and_python {
    ($($test:item)*) => { $(#[ignore = "needs redis-server and tests/setup/python"] $test)* };
}
