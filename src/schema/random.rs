//! Random types and values of them, for tests of all that works by schemas.

use super::table::{Enum, Field, Fields, Index, Node, Number, Struct, Table, Variant};

/// A small generator of numbers that seem random (SplitMix64, Steele 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A number that is often at the end of some range.
    fn number(&mut self) -> u128 {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        match self.below(4) {
            0 => wide >> self.below(128),
            1 => (1 << self.below(128)) - 1,
            2 => u128::MAX - (wide >> (64 + self.below(64))),
            _ => u128::from(self.below(300)),
        }
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 8] = ['a', 'ß', '"', '\\', '\n', '\u{1F980}', '\0', '/'];
        (0..self.below(5)).map(|_| LETTERS[self.below(8) as usize]).collect()
    }
}

const NUMBERS: [Number; 12] = [
    Number::U8,
    Number::U16,
    Number::U32,
    Number::U64,
    Number::U128,
    Number::I8,
    Number::I16,
    Number::I32,
    Number::I64,
    Number::I128,
    Number::F32,
    Number::F64,
];

/// A random type of at most this many parts, each of which has values that end.
pub(crate) fn table(random: &mut Random, most: u64) -> Table {
    let count = 1 + random.below(most) as Index;
    // Types that come later are inside of those before, except where a value may end.
    let nodes: Vec<_> = (0..count).map(|at| node(random, at, count)).collect();
    Table::normal(&nodes, 0)
}

fn node(random: &mut Random, at: Index, count: Index) -> Node {
    let any = |random: &mut Random| random.below(count.into()) as Index;
    let later = |random: &mut Random| at + 1 + random.below(u64::from(count - at - 1)) as Index;
    if at + 1 == count {
        return leaf(random);
    }
    match random.below(12) {
        0 => Node::Option(later(random)),
        1 => Node::Sequence(later(random)),
        2 => Node::Map(later(random), later(random)),
        3 => Node::Array(later(random), random.below(4)),
        4 => Node::Tuple((0..random.below(4)).map(|_| later(random)).collect()),
        5 => Node::Logical { name: "kilograms".to_owned(), wire: later(random) },
        6 | 7 => {
            let name = format!("S{}", random.below(3));
            let fields = fields(random, &later);
            Node::Struct(Struct { name, fields, layout: None, reader: None })
        }
        8 | 9 => {
            let variants = (0..1 + random.below(4)).map(|number| {
                // The first one may not lead back.
                let fields = if number == 0 { fields(random, &later) } else { fields(random, &any) };
                Variant { name: format!("V{number}"), discriminant: None, fields, reader: None }
            });
            Node::Enum(Enum { name: format!("E{at}"), variants: variants.collect(), layout: None })
        }
        _ => leaf(random),
    }
}

fn fields(random: &mut Random, ty: &impl Fn(&mut Random) -> Index) -> Fields {
    match random.below(3) {
        0 => Fields::Unit,
        1 => Fields::Tuple((0..random.below(4)).map(|_| ty(random)).collect()),
        _ => {
            let field = |at| Field { name: format!("f{at}"), ty: ty(random), reader: None };
            Fields::Named((0..3).map(field).collect())
        }
    }
}

fn leaf(random: &mut Random) -> Node {
    match random.below(18) {
        at @ 0..12 => Node::Number(NUMBERS[at as usize]),
        12 => Node::Bool,
        13 => Node::Char,
        14 | 15 => Node::String,
        16 => Node::Bytes,
        _ => Node::Unit,
    }
}

/// A random value of the type, in postcard.
pub(crate) fn payload(random: &mut Random, table: &Table) -> Vec<u8> {
    Writer::new(random, table, false).payload().0
}

/// A random value that has all that the type can have: options have values, and lists have items. Returns also
/// whether it does: types that contain themselves end somewhere.
pub(crate) fn full_payload(random: &mut Random, table: &Table) -> (Vec<u8>, bool) {
    Writer::new(random, table, true).payload()
}

/// How deep values are that may end.
const DEPTH: u64 = 6;

struct Writer<'a> {
    random: &'a mut Random,
    table: &'a Table,
    is_full: bool,
    /// How deep the least value of each type is.
    heights: Vec<u64>,
    out: Vec<u8>,
    /// Something was left out.
    has_ended: bool,
}

impl<'a> Writer<'a> {
    fn new(random: &'a mut Random, table: &'a Table, is_full: bool) -> Self {
        Self { random, table, is_full, heights: heights(table), out: Vec::new(), has_ended: false }
    }

    fn payload(mut self) -> (Vec<u8>, bool) {
        self.write(0, 0);
        (self.out, self.is_full && !self.has_ended)
    }

    /// How many items a list has. Deep values end soon.
    fn count(&mut self, depth: u64) -> u64 {
        match (depth > DEPTH, self.is_full) {
            (true, _) => {
                self.has_ended = true;
                0
            }
            (false, true) => 1,
            (false, false) => self.random.below(4),
        }
    }

    fn write(&mut self, index: Index, depth: u64) {
        let table = self.table;
        match table.node(index) {
            Node::Number(number) | Node::Ordered { number, .. } => write_number(self.random, *number, &mut self.out),
            Node::Bool => self.out.push(self.random.below(2) as u8),
            Node::Char => {
                let character = char::from_u32(self.random.below(0x11_0000) as u32).unwrap_or('x');
                write_bytes(character.to_string().as_bytes(), &mut self.out);
            }
            Node::String => write_bytes(self.random.text().as_bytes(), &mut self.out),
            Node::Bytes => {
                let len = self.random.below(6).max(u64::from(self.is_full));
                let bytes: Vec<u8> = (0..len).map(|_| self.random.next() as u8).collect();
                write_bytes(&bytes, &mut self.out);
            }
            Node::Unit => {}
            Node::Option(item) => {
                let has = self.count(depth) > 0;
                self.out.push(u8::from(has));
                if has {
                    self.write(*item, depth + 1);
                }
            }
            Node::Sequence(item) => {
                let count = self.count(depth);
                varint(count.into(), &mut self.out);
                (0..count).for_each(|_| self.write(*item, depth + 1));
            }
            Node::Map(key, value) => {
                let count = self.count(depth);
                varint(count.into(), &mut self.out);
                for _ in 0..count {
                    self.write(*key, depth + 1);
                    self.write(*value, depth + 1);
                }
            }
            Node::Array(item, count) => (0..*count).for_each(|_| self.write(*item, depth + 1)),
            Node::Tuple(items) => items.iter().for_each(|&item| self.write(item, depth + 1)),
            Node::Struct(this) => this.fields.types().for_each(|ty| self.write(ty, depth + 1)),
            Node::Enum(this) => {
                let at = if depth > DEPTH {
                    let least = (0..this.variants.len()).min_by_key(|&at| self.height(&this.variants[at].fields));
                    least.unwrap_or(0) as u64
                } else {
                    self.random.below(this.variants.len() as u64)
                };
                varint(at.into(), &mut self.out);
                this.variants[at as usize].fields.types().for_each(|ty| self.write(ty, depth + 1));
            }
            Node::Logical { wire, .. } => self.write(*wire, depth + 1),
        }
    }

    fn height(&self, fields: &Fields) -> u64 {
        fields.types().map(|ty| self.heights[ty as usize]).max().unwrap_or(0)
    }
}

/// How deep the least value of each type is: the least fixed point, from above. Options and lists may be empty.
fn heights(table: &Table) -> Vec<u64> {
    let mut heights = vec![u64::MAX; table.nodes.len()];
    loop {
        let mut changed = false;
        for (index, node) in table.nodes.iter().enumerate() {
            let of = |types: &mut dyn Iterator<Item = Index>| {
                types.map(|ty| heights[ty as usize]).max().unwrap_or(0).saturating_add(1)
            };
            let height = match node {
                Node::Array(item, count) if *count > 0 => of(&mut [*item].into_iter()),
                Node::Tuple(items) => of(&mut items.iter().copied()),
                Node::Struct(this) => of(&mut this.fields.types()),
                Node::Enum(this) => {
                    this.variants.iter().map(|variant| of(&mut variant.fields.types())).min().unwrap_or(1)
                }
                Node::Logical { wire, .. } => of(&mut [*wire].into_iter()),
                _ => 0,
            };
            changed |= height != heights[index];
            heights[index] = height;
        }
        if !changed {
            return heights;
        }
    }
}

fn write_number(random: &mut Random, number: Number, out: &mut Vec<u8>) {
    let value = random.number();
    match number {
        Number::U8 | Number::I8 => out.push(value as u8),
        Number::U16 | Number::I16 => varint((value as u16).into(), out),
        Number::U32 | Number::I32 => varint((value as u32).into(), out),
        Number::U64 | Number::I64 => varint((value as u64).into(), out),
        Number::U128 | Number::I128 => varint(value, out),
        Number::F32 => out.extend_from_slice(&(value as u32).to_le_bytes()),
        Number::F64 => out.extend_from_slice(&(value as u64).to_le_bytes()),
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len() as u128, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;
    use crate::schema::{from_json, read, to_json};

    /// How many random types and values are tried.
    fn cases() -> u64 {
        std::env::var("SPLINTER_TEST_CASES").map_or(5_000, |count| count.parse().expect("a number"))
    }

    #[test]
    fn every_value_goes_to_json_and_back_to_the_same_bytes() {
        for seed in 0..cases() {
            let mut random = Random::new(seed);
            let table = table(&mut random, 12);
            table.validate().unwrap();
            assert_eq!(Table::normal(&table.nodes, 0), table, "{seed}: the normal form is not");
            let payload = payload(&mut random, &table);
            let mut json = String::new();
            to_json(&table, &payload, &mut json).unwrap_or_else(|error| panic!("{seed}: {table}: {error}"));
            serde_json::from_str::<IgnoredAny>(&json).unwrap_or_else(|error| panic!("{seed}: {json}: {error}"));
            assert_eq!(
                from_json(&table, &json).unwrap_or_else(|error| panic!("{seed}: {table}: {json}: {error}")),
                payload,
                "{seed}: {table}: {json}"
            );
            read::<IgnoredAny>(&table, &payload).unwrap();
        }
    }

    #[test]
    fn bytes_that_are_no_value_are_an_error_or_another_value() {
        let (mut errors, mut others) = (0, 0);
        for seed in 0..cases() / 4 {
            let mut random = Random::new(seed);
            let table = table(&mut random, 12);
            let mut payload = payload(&mut random, &table);
            for _ in 0..4 {
                if payload.is_empty() {
                    break;
                }
                let at = random.below(payload.len() as u64) as usize;
                match random.below(3) {
                    0 => payload.truncate(at),
                    1 => payload[at] = random.next() as u8,
                    _ => payload.push(random.next() as u8),
                }
                let mut json = String::new();
                let outcome = read::<IgnoredAny>(&table, &payload);
                match to_json(&table, &payload, &mut json) {
                    Ok(()) => {
                        others += 1;
                        assert!(outcome.is_ok(), "{seed}: {table}");
                        // Numbers may have been longer than they need be.
                        let back = from_json(&table, &json).unwrap();
                        let mut again = String::new();
                        to_json(&table, &back, &mut again).unwrap();
                        assert_eq!(again, json, "{seed}: {table}");
                    }
                    Err(_) => errors += 1,
                }
            }
        }
        assert!(errors > 100 && others > 100, "{errors} {others}");
    }
}
