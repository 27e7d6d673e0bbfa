//! Wrappers of loom's atomics that make loom try every order of the accesses to one word.
//!
//! To find schedules that are worth trying, loom compares an access with the last one to the same
//! word only, and takes two loads for independent. So a thread that loads and then stores hides the
//! loads of other threads before it, and some schedules are never tried. Where [`model`] asks for
//! it, each access here is preceded by a store to another word. Then every access depends on the
//! one before it, and none is hidden. That takes many times as long.

use std::cell::Cell;
use std::fmt;
#[cfg(test)]
use std::sync::Arc;

use super::Ordering;

thread_local! {
    // The standard library's: all threads of a loom model run on one thread.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Runs the scenario in every schedule with up to two preemptions, and in those with three that
/// loom finds by itself.
#[cfg(test)]
pub(crate) fn model(scenario: impl Fn() + Send + Sync + 'static) {
    model_within(2, scenario);
}

/// As [`model`], but in every schedule with this many preemptions. `SPLINTER_TEST_PREEMPTIONS`
/// overrides it, for long runs.
#[cfg(test)]
pub(crate) fn model_within(preemptions: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let chosen = std::env::var("SPLINTER_TEST_PREEMPTIONS").map(|text| text.parse().expect("a number of preemptions"));
    let scenario = Arc::new(scenario);
    let preemptions = chosen.unwrap_or(preemptions);
    // The quickest first: most bugs show with one preemption.
    check(true, 1, &scenario);
    check(false, 3, &scenario);
    if preemptions > 1 {
        check(true, preemptions, &scenario);
    }
}

/// Runs the scenario in every schedule with one preemption: for scenarios with many steps.
/// `SPLINTER_TEST_PREEMPTIONS` overrides it, for long runs.
#[cfg(test)]
pub(crate) fn model_of_many_steps(scenario: impl Fn() + Send + Sync + 'static) {
    let chosen = std::env::var("SPLINTER_TEST_PREEMPTIONS").map(|text| text.parse().expect("a number of preemptions"));
    check(true, chosen.unwrap_or(1), &Arc::new(scenario));
}

#[cfg(test)]
fn check(every: bool, preemptions: usize, scenario: &Arc<impl Fn() + Send + Sync + 'static>) {
    WATCHED.set(every);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    let scenario = Arc::clone(scenario);
    builder.check(move || scenario());
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
