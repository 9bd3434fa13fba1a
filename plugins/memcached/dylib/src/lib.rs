//! `dogpile-memcached` as a plugin library.

dogpile_sdk::export_plugin!(dogpile_memcached);
