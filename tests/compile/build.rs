//! Writes the pairs of types that `tests/fingerprints` compares: see `pairs/mod.rs`.

mod pairs;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=pairs");
    println!("cargo::rerun-if-env-changed=SPLINTER_TEST_SEED");
    let seed = std::env::var("SPLINTER_TEST_SEED").map_or(2026, |seed| seed.parse().expect("a number"));
    let folder = std::env::var_os("OUT_DIR").expect("cargo says where to");
    std::fs::write(std::path::Path::new(&folder).join("pairs.rs"), pairs::text(seed))
}
