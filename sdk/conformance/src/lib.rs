//! The behaviours that every dogpile backend owes, as a test suite.
