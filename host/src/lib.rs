//! A plugin-extensible caching framework: regions, the dogpile lock, backends and proxies by name.
