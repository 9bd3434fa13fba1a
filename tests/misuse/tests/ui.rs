//! Each misuse of the macros is one error at the right place, with a hint.

#[test]
fn misuse_of_the_macros_is_one_error_with_a_hint() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/settings.rs");
    cases.compile_fail("tests/ui/arguments.rs");
    cases.compile_fail("tests/ui/blocks.rs");
    cases.compile_fail("tests/ui/values.rs");
    cases.compile_fail("tests/ui/functions.rs");
    cases.compile_fail("tests/ui/methods.rs");
    cases.compile_fail("tests/ui/many.rs");
    cases.compile_fail("tests/ui/types.rs");
    cases.compile_fail("tests/ui/derive.rs");
    cases.compile_fail("tests/ui/keys.rs");
    cases.compile_fail("tests/ui/asynchronous.rs");
    cases.compile_fail("tests/ui/detached.rs");
    cases.compile_fail("tests/ui/recursion.rs");
    cases.compile_fail("tests/ui/fallible_creator.rs");
    cases.compile_fail("tests/ui/fallible_closure.rs");
}
