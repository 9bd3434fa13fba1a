//! `postgres-dogpile` as a plugin library.

dogpile_sdk::export_plugin!(postgres_dogpile);
