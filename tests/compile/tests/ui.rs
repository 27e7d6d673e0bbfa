//! Programs that must not compile: each test compares the error message and the place that it
//! points at.

#[test]
fn compile_errors_name_the_cause_and_point_at_it() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
