//! `dogpile-dbm` as a plugin library.

dogpile_sdk::export_plugin!(dogpile_dbm);
