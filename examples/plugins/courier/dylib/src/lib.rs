//! `courier-dogpile` as a plugin library.

dogpile_sdk::export_plugin!(courier_dogpile);
