//! `depot-dogpile` as a plugin library.

dogpile_sdk::export_plugin!(depot_dogpile);
