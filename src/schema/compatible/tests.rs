//! What is said of random types, compared with what is read: types before and after random changes, in both
//! directions.

mod reader;

use std::collections::BTreeMap;

use super::super::random::{self, Random};
use super::super::table::{StructReader, VariantReader};
use super::*;
use reader::{names_of_variant, read_as};

/// A change that authors of types make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Change {
    FieldRemoved,
    FieldAdded,
    FieldWithDefaultAdded,
    OptionAdded,
    FieldsReordered,
    FieldRenamedWithAlias,
    FieldIsOption,
    FieldOfAnotherType,
    UnknownFieldsDenied,
    VariantRemoved,
    VariantAdded,
    VariantsReordered,
    VariantRenamedWithAlias,
    OtherAdded,
    VariantWithoutFields,
    IntegerWidened,
    AnotherNumber,
    AnotherContainer,
    TypeIsOption,
}

impl Change {
    const ALL: [Self; 19] = [
        Self::FieldRemoved,
        Self::FieldAdded,
        Self::FieldWithDefaultAdded,
        Self::OptionAdded,
        Self::FieldsReordered,
        Self::FieldRenamedWithAlias,
        Self::FieldIsOption,
        Self::FieldOfAnotherType,
        Self::UnknownFieldsDenied,
        Self::VariantRemoved,
        Self::VariantAdded,
        Self::VariantsReordered,
        Self::VariantRenamedWithAlias,
        Self::OtherAdded,
        Self::VariantWithoutFields,
        Self::IntegerWidened,
        Self::AnotherNumber,
        Self::AnotherContainer,
        Self::TypeIsOption,
    ];

    /// Whether a receiver with the change reads all that a sender without it writes.
    fn is_for_all_senders(self) -> bool {
        matches!(
            self,
            Self::FieldRemoved
                | Self::FieldWithDefaultAdded
                | Self::OptionAdded
                | Self::FieldsReordered
                | Self::FieldRenamedWithAlias
                | Self::FieldIsOption
                | Self::UnknownFieldsDenied
                | Self::VariantAdded
                | Self::VariantsReordered
                | Self::VariantRenamedWithAlias
                | Self::OtherAdded
                | Self::IntegerWidened
                | Self::TypeIsOption
        )
    }

    /// Whether a receiver without the change reads all that a sender with it writes.
    fn is_for_all_receivers(self) -> bool {
        matches!(
            self,
            Self::FieldAdded
                | Self::FieldWithDefaultAdded
                | Self::OptionAdded
                | Self::FieldsReordered
                | Self::UnknownFieldsDenied
                | Self::VariantRemoved
                | Self::VariantsReordered
        )
    }
}

/// Changes a type in the place `at`. Types that are added to the table go to its end.
fn change(random: &mut Random, nodes: &mut Vec<Node>, at: usize) -> Option<Change> {
    let (any, end) = (random.below(nodes.len() as u64) as Index, nodes.len() as Index);
    let choice = random.below(8);
    let item_of = |index: Index| nodes[index as usize].clone();
    let mut added = None;
    let change = match &nodes[at].clone() {
        Node::Struct(Struct { fields: Fields::Named(_), reader, .. }) if choice == 0 => {
            let Node::Struct(this) = &mut nodes[at] else { unreachable!() };
            if reader.is_some() {
                return None;
            }
            this.reader = Some(StructReader { denies_unknown_fields: true, docs: String::new() });
            Change::UnknownFieldsDenied
        }
        Node::Struct(Struct { fields: Fields::Named(_), .. }) => {
            let Node::Struct(Struct { fields: Fields::Named(fields), .. }) = &mut nodes[at] else { unreachable!() };
            change_fields(random, fields, any, end, &mut added)?
        }
        Node::Enum(_) => {
            let Node::Enum(this) = &mut nodes[at] else { unreachable!() };
            change_variants(random, &mut this.variants, any, end, &mut added)?
        }
        Node::Number(number) => {
            let wider = wider(*number);
            match choice {
                0..4 if !wider.is_empty() => {
                    nodes[at] = Node::Number(wider[random.below(wider.len() as u64) as usize]);
                    Change::IntegerWidened
                }
                _ => {
                    let other = [Number::U8, Number::I64, Number::U128, Number::F64][choice as usize % 4];
                    nodes[at] = Node::Number(other);
                    Change::AnotherNumber
                }
            }
        }
        Node::Option(item) | Node::Sequence(item) | Node::Array(item, _) | Node::Logical { wire: item, .. }
            if choice < 3 =>
        {
            nodes[at] = if choice == 0 { Node::Sequence(*item) } else { item_of(*item) };
            Change::AnotherContainer
        }
        Node::Tuple(items) if choice < 3 && !items.is_empty() => {
            nodes[at] = Node::Array(items[0], items.len() as u64);
            Change::AnotherContainer
        }
        // Recursion stays as it is.
        node if choice == 7 && at > 0 => {
            added = Some(node.clone());
            nodes[at] = Node::Option(end);
            Change::TypeIsOption
        }
        _ => return None,
    };
    nodes.extend(added);
    Some(change)
}

fn change_fields(
    random: &mut Random,
    fields: &mut Vec<Field>,
    any: Index,
    end: Index,
    added: &mut Option<Node>,
) -> Option<Change> {
    let name = format!("new{}", fields.len());
    let place = random.below(fields.len() as u64 + 1) as usize;
    if fields.iter().any(|field| reads(field.reader.as_ref(), &field.name, &name)) {
        return None;
    }
    Some(match random.below(9) {
        0 if place < fields.len() => {
            fields.remove(place);
            Change::FieldRemoved
        }
        1 => {
            fields.insert(place, Field { name, ty: any, reader: None });
            Change::FieldAdded
        }
        2 => {
            let reader = Some(FieldReader { has_default: true, ..FieldReader::default() });
            fields.insert(place, Field { name, ty: any, reader });
            Change::FieldWithDefaultAdded
        }
        3 => {
            *added = Some(Node::Option(any));
            fields.insert(place, Field { name, ty: end, reader: None });
            Change::OptionAdded
        }
        4 if fields.len() > 1 => {
            let by = 1 + place % (fields.len() - 1);
            fields.rotate_left(by);
            Change::FieldsReordered
        }
        5 if place < fields.len() && fields[place].reader.is_none() => {
            let names = vec![name.clone(), std::mem::replace(&mut fields[place].name, name)];
            fields[place].reader = Some(FieldReader { names, ..FieldReader::default() });
            Change::FieldRenamedWithAlias
        }
        6 | 7 if place < fields.len() => {
            *added = Some(Node::Option(fields[place].ty));
            fields[place].ty = end;
            Change::FieldIsOption
        }
        _ if place < fields.len() => {
            fields[place].ty = any;
            Change::FieldOfAnotherType
        }
        _ => return None,
    })
}

fn change_variants(
    random: &mut Random,
    variants: &mut Vec<Variant>,
    any: Index,
    end: Index,
    added: &mut Option<Node>,
) -> Option<Change> {
    let name = format!("New{}", variants.len());
    let place = random.below(variants.len() as u64) as usize;
    if variants.iter().any(|variant| names_of_variant(variant).contains(&name) || variant.name == name) {
        return None;
    }
    let variant = |fields, is_other: bool| Variant {
        name: name.clone(),
        discriminant: None,
        fields,
        reader: is_other.then(|| VariantReader { is_other, ..VariantReader::default() }),
    };
    let has_other = variants.iter().any(|variant| variant.reader.as_ref().is_some_and(|reader| reader.is_other));
    Some(match random.below(9) {
        0 if variants.len() > 1 => {
            variants.remove(place);
            Change::VariantRemoved
        }
        1 => {
            let fields = [Fields::Unit, Fields::Tuple(vec![any]), Fields::Tuple(vec![any, any])];
            variants.insert(place, variant(fields[random.below(3) as usize].clone(), false));
            Change::VariantAdded
        }
        2 if variants.len() > 1 => {
            let by = 1 + place % (variants.len() - 1);
            variants.rotate_left(by);
            Change::VariantsReordered
        }
        3 if !has_other => {
            variants.push(variant(Fields::Unit, true));
            Change::OtherAdded
        }
        4 if variants[place].reader.is_none() => {
            let names = vec![name.clone(), std::mem::replace(&mut variants[place].name, name)];
            variants[place].reader = Some(VariantReader { names, ..VariantReader::default() });
            Change::VariantRenamedWithAlias
        }
        5 if variants[place].fields != Fields::Unit => {
            variants[place].fields = Fields::Unit;
            Change::VariantWithoutFields
        }
        _ => match &mut variants[place].fields {
            Fields::Named(fields) => return change_fields(random, fields, any, end, added),
            _ => return None,
        },
    })
}

/// The integers that have all values of this one.
fn wider(number: Number) -> Vec<Number> {
    let Some((least, most)) = range(number) else { return Vec::new() };
    let all =
        [Number::U16, Number::U32, Number::U64, Number::U128, Number::I16, Number::I32, Number::I64, Number::I128];
    let has_all =
        |wide: &Number| range(*wide).is_some_and(|(wide_least, wide_most)| wide_least <= least && wide_most >= most);
    all.into_iter().filter(|wide| *wide != number && has_all(wide)).collect()
}

/// Where a type of a table is: in which kinds of other types.
fn places(table: &Table, at: usize) -> Vec<&'static str> {
    let mut places = Vec::new();
    for (index, node) in table.nodes.iter().enumerate() {
        let place = match node {
            Node::Struct(_) => "in a struct",
            Node::Enum(_) => "in an enum",
            Node::Sequence(_) => "in a list",
            Node::Map(..) => "in a map",
            Node::Option(_) => "in an option",
            _ => continue,
        };
        let mut inside = node.children();
        let mut met = HashSet::new();
        while let Some(child) = inside.pop() {
            if met.insert(child) {
                inside.extend(table.node(child).children());
            }
        }
        if index != at && met.contains(&(at as Index)) && !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// A place for a change: mostly a type with fields or variants.
fn random_place(random: &mut Random, nodes: &[Node]) -> usize {
    let has_parts = |node: &Node| matches!(node, Node::Enum(_) | Node::Struct(Struct { fields: Fields::Named(_), .. }));
    let with_parts: Vec<_> = (0..nodes.len()).filter(|&at| has_parts(&nodes[at])).collect();
    if with_parts.is_empty() || random.below(4) == 0 {
        return random.below(nodes.len() as u64) as usize;
    }
    with_parts[random.below(with_parts.len() as u64) as usize]
}

/// How often a change was made and where; and if it was the only one, whether all, some or no values can be
/// read, in both directions.
#[derive(Debug, Default)]
struct Tally {
    pairs: u64,
    places: BTreeMap<&'static str, u64>,
    verdicts: [[u64; 3]; 2],
}

/// Values of every kind of verdict: how many there were, and how many were read.
#[derive(Debug, Default)]
struct Values {
    tried: [u64; 3],
    read: [u64; 3],
}

impl Values {
    /// Compares what is said of two types with what happens. Returns what was said.
    fn compare(&mut self, random: &mut Random, writer: &Table, reader: &Table) -> usize {
        let verdict = compatible(writer, reader);
        let kind = match &verdict {
            Compatibility::Yes => 0,
            Compatibility::Partly(_) => 1,
            Compatibility::No(_) => 2,
        };
        for turn in 0..4 {
            let (payload, has_all) =
                if turn == 0 { random::full_payload(random, writer) } else { (random::payload(random, writer), false) };
            let outcome = read_as(writer, reader, &payload);
            let pair = || format!("{writer} as {reader}: {verdict:?}, but {outcome:?} for {payload:?}");
            assert!(outcome.is_ok() || kind > 0, "{}", pair());
            // Only a value that lacks a part, such as an empty list, may be read in spite of it.
            assert!(outcome.is_err() || kind < 2 || !has_all, "{}", pair());
            self.tried[kind] += 1;
            self.read[kind] += u64::from(outcome.is_ok());
        }
        kind
    }
}

#[test]
fn what_is_said_to_be_readable_is_read() {
    let cases = std::env::var("SPLINTER_TEST_CASES").map_or(100_000, |text| text.parse().expect("a number"));
    let mut random = Random::new(20);
    let mut values = Values::default();
    let mut tallies: BTreeMap<Change, Tally> = BTreeMap::new();
    while values.tried.iter().sum::<u64>() < cases {
        let original = random::table(&mut random, 14);
        // Also types that have changed before: with defaults, and with a variant for all others.
        let mut nodes = original.nodes.clone();
        let before = random.below(3);
        for _ in 0..before {
            let at = random_place(&mut random, &nodes);
            change(&mut random, &mut nodes, at);
        }
        let old = Table::normal(&nodes, 0);
        let mut nodes = old.nodes.clone();
        let at = random_place(&mut random, &nodes);
        let Some(made) = change(&mut random, &mut nodes, at) else { continue };
        let more = random.below(3);
        for _ in 0..more {
            let at = random_place(&mut random, &nodes);
            change(&mut random, &mut nodes, at);
        }
        let new = Table::normal(&nodes, 0);
        // Types without values that end cannot be written.
        if old.validate().is_err() || new.validate().is_err() {
            continue;
        }
        let verdicts = [(&old, &new), (&new, &old)].map(|(writer, reader)| values.compare(&mut random, writer, reader));
        let tally = tallies.entry(made).or_default();
        tally.pairs += 1;
        places(&old, at).into_iter().for_each(|place| *tally.places.entry(place).or_default() += 1);
        if before + more == 0 {
            for (counts, verdict) in tally.verdicts.iter_mut().zip(verdicts) {
                counts[verdict] += 1;
            }
            let pair = format!("{made:?}: {old} is {new}");
            // An option of an option inside of a logical type: the inner one has no logical type any more.
            let is_logical = old.nodes.iter().any(|node| matches!(node, Node::Logical { .. }));
            let is_doubtful = is_logical && matches!(made, Change::FieldIsOption | Change::TypeIsOption);
            assert!(verdicts[0] == 0 || is_doubtful || !made.is_for_all_senders(), "{pair}");
            assert!(verdicts[1] == 0 || !made.is_for_all_receivers(), "{pair}");
        }
    }
    for (change, Tally { pairs, places, verdicts }) in &tallies {
        println!("{change:?} {pairs} times, {places:?}; alone always, partly, never readable, and back: {verdicts:?}");
    }
    let Values { tried, read } = values;
    println!(
        "{} cases: of {tried:?} values that are always, partly and never readable, {read:?} were read",
        tried.iter().sum::<u64>()
    );
    assert!(read[0] == tried[0] && read[0] > 0 && (1..tried[1]).contains(&read[1]), "{tried:?}, {read:?}");
    assert!(read[2] < tried[2] / 2, "{tried:?}, {read:?}");
    if cases >= 100_000 {
        for change in Change::ALL {
            let found = tallies.get(&change).map_or(0, |tally| tally.places.len());
            assert_eq!(found, 5, "{change:?} was not made in each place: {:?}", tallies.get(&change));
        }
    }
}
