//! Misuse of the macros is refused where it stands, with what to do; use of them is not even warned of.

#[test]
fn misuse_is_refused_with_a_hint() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/settings.rs");
    cases.compile_fail("tests/ui/functions.rs");
    cases.compile_fail("tests/ui/methods.rs");
    cases.compile_fail("tests/ui/many.rs");
    cases.compile_fail("tests/ui/types.rs");
    cases.compile_fail("tests/ui/fallible_creator.rs");
    cases.pass("tests/ui/quiet.rs");
}
