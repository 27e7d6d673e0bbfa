//! A generator of pairs of types: a random type, and the same type after a random change. Some changes change
//! nothing on the wire.
//!
//! `types.rs` has the model of a type, and random types; `changes.rs` changes them; `text.rs` writes them in
//! Rust; `plain.rs` has types whose values are their own bytes.

mod changes;
mod plain;
mod random;
mod text;
mod types;

use std::fmt::Write;

use random::Random;

const PAIRS: usize = 500;
/// One pair of this many is plain.
const PLAIN: usize = 6;

/// All pairs as Rust.
pub(crate) fn text(seed: u64) -> String {
    let mut random = Random::new(seed);
    let (mut modules, mut list) = (String::new(), String::new());
    for number in 0..PAIRS {
        let names = ["a", "b"].map(|version| format!("p{number}{version}"));
        let pair = if number % PLAIN == 0 { plain::pair(&mut random) } else { pair(&mut random, &names[0]) };
        for (name, (_, code)) in names.iter().zip(&pair.types) {
            writeln!(modules, "mod {name} {{ use crate::used::*; {code} }}").unwrap();
        }
        let ([(a, _), (b, _)], [name_a, name_b]) = (&pair.types, &names);
        let (change, seen) = (pair.change, pair.seen);
        writeln!(
            list,
            "Pair {{ change: {change:?}, sources: [{a:?}, {b:?}], \
             seen: [|| {seen}::<{name_a}::Root>({name_a}::meaning()), || {seen}::<{name_b}::Root>({name_b}::meaning())] }},"
        )
        .unwrap();
    }
    format!("pub(crate) const SEED: u64 = {seed}; {modules} pub(crate) const PAIRS: [Pair; {PAIRS}] = [{list}];")
}

/// Two types.
struct Pair {
    change: &'static str,
    /// Their declarations, to be shown, and all code of the modules that they are in.
    types: [(String, String); 2],
    /// The function that looks at a type.
    seen: &'static str,
}

fn pair(random: &mut Random, name_of_before: &str) -> Pair {
    loop {
        let before = types::module(random);
        let mut after = before.clone();
        if let Some(change) = changes::change(random, &mut after) {
            let types = text::modules(&before, &after, name_of_before);
            if types[0].0 != types[1].0 {
                return Pair { change, types, seen: "seen" };
            }
        }
    }
}
