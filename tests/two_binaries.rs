//! One struct, compiled into two programs that have nothing else in common: their messages match, and any difference
//! between the structs is an error that names both.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use splinter_bus::StoreOptions;
use support::Name;

const POINT: &str = "struct Point { x: u32, y: i32, name: [u8; 8] }";

/// A program that publishes one `Point`, and one that receives it and prints it or what is wrong.
fn source(attributes: &str, point: &str) -> String {
    format!(
        r#"
        #[derive(splinter_bus::Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable,
            zerocopy::KnownLayout, bytemuck::Pod, bytemuck::Zeroable, Clone, Copy)]
        #[message({attributes})]
        #[repr(C)]
        {point}

        fn main() {{
            let name = std::env::args().nth(2).unwrap();
            let bus = splinter_bus::Bus::<Point>::open(&name).unwrap();
            match std::env::args().nth(1).as_deref() {{
                Some("publish") => {{
                    bus.publish("point", &Point {{ x: 1, y: -2, name: *b"in place" }}).unwrap();
                }}
                _ => match bus.get("point") {{
                    Ok(point) => {{
                        let point = point.unwrap();
                        println!("{{}} {{}} {{}}", point.x, point.y, String::from_utf8_lossy(&point.name));
                    }}
                    Err(error) => println!("{{error}}"),
                }},
            }}
        }}
        "#
    )
}

/// Writes a package of its own for each program, and builds them all in one folder.
fn build(programs: &[(&str, String)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("two_binaries");
    let here = env!("CARGO_MANIFEST_DIR");
    let members: Vec<_> = programs.iter().map(|(name, _)| format!("{name:?}")).collect();
    for (name, source) in programs {
        fs::create_dir_all(folder.join(name).join("src")).unwrap();
        let manifest = format!(
            "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             splinter-bus = {{ path = {here:?} }}\nbytemuck = {{ version = \"1\", features = [\"derive\"] }}\n\
             zerocopy = {{ version = \"0.8\", features = [\"derive\"] }}\n"
        );
        fs::write(folder.join(name).join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join(name).join("src/main.rs"), source).unwrap();
    }
    let workspace = format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n", members.join(", "));
    fs::write(folder.join("Cargo.toml"), workspace).unwrap();
    // The versions that this package was tested with.
    fs::copy(Path::new(here).join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--offline", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    folder.join("target/debug")
}

#[test]
fn the_messages_of_one_struct_in_two_binaries_match_and_any_difference_is_named() {
    let zerocopy = "encoding = \"zerocopy\"";
    let programs = [
        ("original", source(zerocopy, POINT)),
        ("again", source(zerocopy, POINT)),
        ("swapped", source(zerocopy, "struct Point { y: i32, x: u32, name: [u8; 8] }")),
        ("recoded", source("encoding = \"bytemuck\"", POINT)),
        ("newer", source("encoding = \"zerocopy\", version = 2", POINT)),
    ];
    let folder = build(&programs);
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(4).max_value_size(512));
    let run = |program: &str, role: &str| -> Output {
        let output = Command::new(folder.join(program)).args([role, &*name]).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        output
    };
    let received_by = |program: &str| String::from_utf8(run(program, "receive").stdout).unwrap();

    run("original", "publish");
    assert_eq!(received_by("original").trim(), "1 -2 in place");
    assert_eq!(received_by("again").trim(), "1 -2 in place");
    let original = "Point v1 (zerocopy) Point{x:u32,y:i32,name:[u8;8]}";
    for (program, expected) in [
        ("swapped", "Point{y:i32,x:u32,name:[u8;8]}"),
        ("recoded", "Point v1 (bytemuck, "),
        ("newer", "Point v2 (zerocopy, "),
    ] {
        let error = received_by(program);
        assert!(error.contains(&format!("found:    {original}")), "{program}: {error}");
        let line = error.lines().find(|line| line.contains("expected:")).unwrap();
        assert!(line.contains(expected), "{program}: {error}");
        run(program, "publish");
        assert!(received_by("original").contains("is of another type than expected"), "{program}");
        run("original", "publish");
    }
    assert_eq!(store.diagnostics().parse_failures, 6);
}
