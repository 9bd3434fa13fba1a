//! The in-process backends of dogpile: memory, memory_pickle and null.
