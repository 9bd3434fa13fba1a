//! The programs of the README and of the book in `docs`. Doctests compile and run them.
//!
//! `docs/plugins.md` is compiled by `examples/plugins/acme`, which it describes.

/// Makes the programs of each page doctests of a type.
macro_rules! pages {
    ($($page:ident $path:literal)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!($path)]
            struct $page;
        )*
    };
}

pages! {
    Readme "../../../README.md"
    Async "../../../docs/async.md"
    Failures "../../../docs/failures.md"
    Faq "../../../docs/faq.md"
    Functions "../../../docs/functions.md"
    Observability "../../../docs/observability.md"
    OsloCache "../../../docs/oslo-cache.md"
    Proxies "../../../docs/proxies.md"
    Python "../../../docs/python.md"
    Regions "../../../docs/regions.md"
    Tiers "../../../docs/tiers.md"
    Tutorial "../../../docs/tutorial.md"
}
