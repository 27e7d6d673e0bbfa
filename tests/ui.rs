//! What the derive says of types that cannot be messages: each message, and where its caret is.

#[test]
fn errors_point_at_what_is_wrong() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
