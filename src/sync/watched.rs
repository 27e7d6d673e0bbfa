//! loom's atomics, such that it tries out every order in which threads come to one word.
//!
//! To find orders that are worth trying, loom compares an access with the last one to the same word only, and takes two loads for independent.
//! So a thread that loads and then stores hides from it what other threads loaded before, and whole schedules are never
//! tried. Here, where [`model`] says so, a store to a word of its own goes before each access: then every access depends on the last one,
//! and none is hidden. It takes many times as long.

use std::cell::Cell;
use std::fmt;
#[cfg(test)]
use std::sync::Arc;

use super::Ordering;

thread_local! {
    // Of core, not of loom: all threads of a model run on one.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Tries out every schedule of the scenario with up to two preemptions, and with three those that loom finds by itself.
#[cfg(test)]
pub(crate) fn model(scenario: impl Fn() + Send + Sync + 'static) {
    model_within(2, scenario);
}

/// As [`model`], with so many preemptions where every schedule is tried. `SPLINTER_TEST_PREEMPTIONS` overrides it, for long runs.
#[cfg(test)]
pub(crate) fn model_within(preemptions: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let chosen = std::env::var("SPLINTER_TEST_PREEMPTIONS").map(|text| text.parse().expect("a number of preemptions"));
    let scenario = Arc::new(scenario);
    // The quickest first: most mistakes show with one.
    for (every, preemptions) in [(true, 1), (false, 3), (true, chosen.unwrap_or(preemptions))] {
        WATCHED.set(every);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = 10_000;
        let scenario = Arc::clone(&scenario);
        builder.check(move || scenario());
    }
}

macro_rules! watched {
    ($($name:ident: $integer:ty,)*) => {$(
        #[derive(Default)]
        pub(crate) struct $name {
            word: loom::sync::atomic::$name,
            accesses: loom::sync::atomic::AtomicBool,
        }

        impl $name {
            pub(crate) fn new(value: $integer) -> Self {
                Self { word: loom::sync::atomic::$name::new(value), accesses: Default::default() }
            }

            fn accessed(&self) -> &loom::sync::atomic::$name {
                if WATCHED.get() {
                    self.accesses.store(true, Ordering::Relaxed);
                }
                &self.word
            }

            pub(crate) fn load(&self, order: Ordering) -> $integer {
                self.accessed().load(order)
            }

            pub(crate) fn store(&self, value: $integer, order: Ordering) {
                self.accessed().store(value, order);
            }

            pub(crate) fn swap(&self, value: $integer, order: Ordering) -> $integer {
                self.accessed().swap(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $integer,
                new: $integer,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$integer, $integer> {
                self.accessed().compare_exchange(current, new, success, failure)
            }

            pub(crate) fn fetch_add(&self, value: $integer, order: Ordering) -> $integer {
                self.accessed().fetch_add(value, order)
            }

            pub(crate) fn fetch_and(&self, value: $integer, order: Ordering) -> $integer {
                self.accessed().fetch_and(value, order)
            }

            pub(crate) fn fetch_or(&self, value: $integer, order: Ordering) -> $integer {
                self.accessed().fetch_or(value, order)
            }

            pub(crate) fn fetch_update(
                &self,
                set_order: Ordering,
                fetch_order: Ordering,
                change: impl FnMut($integer) -> Option<$integer>,
            ) -> Result<$integer, $integer> {
                self.accessed().fetch_update(set_order, fetch_order, change)
            }

            pub(crate) fn fetch_max(&self, value: $integer, order: Ordering) -> $integer {
                self.accessed().fetch_max(value, order)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.word.fmt(f)
            }
        }
    )*};
}

watched! {
    AtomicU32: u32,
    AtomicU64: u64,
}
