//! The runners of the test suites.
