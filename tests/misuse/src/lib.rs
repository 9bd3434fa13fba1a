//! Nothing. This package exists for its test: programs in `tests/ui` that the compiler must reject.
