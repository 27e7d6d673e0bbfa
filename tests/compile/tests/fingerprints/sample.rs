//! Values that show all that a type may write: each variant, `None` and `Some`, lists with items.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::{NonZero, Wrapping};
use std::time::Duration;

/// For each variant (a struct has one), how many samples each field has.
pub(crate) type Parts = &'static [&'static [fn(u32) -> usize]];

/// Types with samples, by number. Those with names are at most `depth` levels inside of each other.
pub(crate) trait Sample: Sized {
    const PARTS: Parts = &[];

    /// The sample `at` of a variant.
    fn make(_variant: usize, _at: usize, _depth: u32) -> Self {
        unreachable!("it has no parts")
    }

    fn count(depth: u32) -> usize {
        if depth == 0 { 0 } else { Self::PARTS.iter().map(|fields| count_of_fields(fields, depth - 1)).sum() }
    }

    /// Numbers from the count on are those from the start again.
    fn sample(at: usize, depth: u32) -> Self {
        let mut at = at % Self::count(depth);
        for (variant, fields) in Self::PARTS.iter().enumerate() {
            let count = count_of_fields(fields, depth - 1);
            if at < count {
                return Self::make(variant, at, depth - 1);
            }
            at -= count;
        }
        unreachable!("the variants have as many")
    }
}

fn count_of_fields(fields: &[fn(u32) -> usize], depth: u32) -> usize {
    let counts = fields.iter().map(|count| count(depth));
    if counts.clone().any(|count| count == 0) { 0 } else { counts.max().unwrap_or(1) }
}

macro_rules! samples {
    ($($(where $generics:ident,)? $type:ty: $depth:ident => $count:expr, $at:ident => $sample:expr;)*) => {$(
        impl$(<$generics: Sample>)? Sample for $type {
            fn count($depth: u32) -> usize {
                let _ = $depth;
                $count
            }

            fn sample($at: usize, $depth: u32) -> Self {
                let _ = ($at, $depth);
                $sample
            }
        }
    )*};
}

macro_rules! leaves {
    ($($type:ty: $sample:expr;)*) => {
        samples! {$( $type: depth => 1, at => $sample; )*}
    };
}

leaves! {
    bool: true;
    char: 'c';
    (): ();
    u8: 1;
    u16: 1;
    u32: 1;
    u64: 1;
    u128: 1;
    i8: 1;
    i16: 1;
    i32: 1;
    i64: 1;
    i128: 1;
    usize: 1;
    f32: 1.0;
    f64: 1.0;
    String: String::new();
    Box<str>: Box::default();
    Cow<'static, str>: Cow::default();
    NonZero<u32>: NonZero::<u32>::MIN;
    Wrapping<u32>: Wrapping(1);
    Duration: Duration::ZERO;
}

fn all<T: Sample>(depth: u32) -> impl Iterator<Item = T> {
    (0..T::count(depth)).map(move |at| T::sample(at, depth))
}

samples! {
    where T, Box<T>: depth => T::count(depth), at => Box::new(T::sample(at, depth));
    where T, Option<T>: depth => T::count(depth) + 1, at => match at % (T::count(depth) + 1) {
        0 => None,
        some => Some(T::sample(some - 1, depth)),
    };
    where T, Vec<T>: depth => 1, at => all(depth).collect();
    where T, VecDeque<T>: depth => 1, at => all(depth).collect();
    where T, BTreeMap<u16, T>: depth => 1, at => (0..).zip(all(depth)).collect();
    where T, BTreeMap<u32, T>: depth => 1, at => (0..).zip(all(depth)).collect();
    where T, BTreeMap<String, T>: depth => 1, at => (0..).map(|at: u8| format!("{at:03}")).zip(all(depth)).collect();
    where T, (T,): depth => T::count(depth), at => (T::sample(at, depth),);
}

impl<T: Sample + Ord> Sample for BTreeSet<T> {
    fn count(_: u32) -> usize {
        1
    }

    fn sample(_: usize, depth: u32) -> Self {
        all(depth).collect()
    }
}

impl<T: Sample, const N: usize> Sample for [T; N] {
    fn count(depth: u32) -> usize {
        T::count(depth)
    }

    fn sample(at: usize, depth: u32) -> Self {
        std::array::from_fn(|_| T::sample(at, depth))
    }
}

impl<A: Sample, B: Sample> Sample for (A, B) {
    fn count(depth: u32) -> usize {
        count_of_fields(&[A::count, B::count], depth)
    }

    fn sample(at: usize, depth: u32) -> Self {
        (A::sample(at, depth), B::sample(at, depth))
    }
}
