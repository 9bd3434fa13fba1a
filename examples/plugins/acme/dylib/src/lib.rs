//! `acme-dogpile` as a plugin library.

dogpile_sdk::export_plugin!(acme_dogpile);
