//! Old handles: a process is stopped at each step of what it does by a handle on a key, while the key is
//! removed, and created again with another shape. When it goes on, it touches nothing of the new key.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use splinter_bus::kill_points::{Ending, Step};
use splinter_bus::store::{DirectoryError, GetError, KeyError, KeyOptions, Lookup, SetError, UpdateError};

use crate::scenes::{self, Act, CELLS, LONG, SLOTS, Scene, Stage, TAIL, THEIRS, scene};
use crate::{AT_ONCE, OURS, Run};

/// What a process does with its handle on the key `long`, which is removed and created again while the
/// process is stopped. The key that has this name then is another one, which it never touches.
pub(crate) const SCENES: &[Scene] = &[
    scene("set by an old handle", Stage::Memory, set_by_old_handle),
    scene("append by an old handle", Stage::Memory, append_by_old_handle),
    scene("lend by an old handle", Stage::Memory, lend_by_old_handle),
    scene("pin by an old handle", Stage::Memory, pin_by_old_handle),
];

fn set_by_old_handle(act: &Act) {
    let slot = act.open().slot("long").unwrap();
    act.begin();
    for len in [THEIRS.len(), LONG[0], LONG[1], LONG[2]].repeat(2) {
        done_or_removed(slot.set(&vec![b'c'; len]));
    }
}

fn append_by_old_handle(act: &Act) {
    let slot = act.open().slot("long").unwrap();
    act.begin();
    for len in [THEIRS.len(), LONG[0], LONG[1], LONG[2]] {
        done_or_removed(slot.set(&vec![b'c'; len]));
        match slot.append(&TAIL) {
            Ok(_) | Err(UpdateError::Key(KeyError::Removed)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn lend_by_old_handle(act: &Act) {
    let slot = act.open().slot("long").unwrap();
    act.begin();
    for len in [THEIRS.len(), LONG[0], LONG[1], LONG[2]] {
        done_or_removed(slot.loan(len).map(drop));
        done_or_removed(slot.loan_uninit(len).and_then(|loan| loan.write(&vec![b'c'; len]).send()));
    }
}

fn pin_by_old_handle(act: &Act) {
    let slot = act.open().slot("long").unwrap();
    let mut bytes = Vec::new();
    act.begin();
    for version in (0..CELLS.into()).map(|back| slot.version().saturating_sub(back)).collect::<Vec<_>>() {
        match slot.pin_version(version) {
            Ok(Some(pinned)) => assert!(pinned.iter().all(|byte| *byte == pinned[0])),
            Ok(None) | Err(GetError::Key(KeyError::Removed) | GetError::Overtaken | GetError::Claimed { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    match slot.get_into(&mut bytes) {
        Ok(_) | Err(GetError::Key(KeyError::Removed)) => {}
        Err(error) => panic!("{error:?}"),
    }
}

fn done_or_removed<T>(outcome: Result<T, SetError>) {
    match outcome {
        Ok(_) | Err(SetError::Key(KeyError::Removed)) => {}
        Err(error) => panic!("{error:?}"),
    }
}

impl Run<'_> {
    /// Removes the key of a process that stands at this step, creates it again with this shape, and
    /// has the process go on. `false` if the process did not reach the step.
    fn replace_the_key(&self, step: Step, before: usize, shape: &KeyOptions) -> bool {
        let store = scenes::options().create(&self.location[..]).unwrap();
        scenes::set_up(&store);
        // No other slot is free, but for one: a slot whose cells are in use gets no other shape.
        for number in 0..SLOTS as usize - store.keys().len() - 1 {
            store.set(&format!("more{number}"), &OURS).unwrap();
        }
        let actor = self.spawn(Some((step, before, Ending::Stopped)));
        if !actor.has_stopped() {
            return false;
        }
        assert!(store.unset("long").unwrap().is_some());
        let mut slots = vec![store.slot_with("long", shape).unwrap()];
        match store.slot_with("another", shape) {
            Ok(slot) => slots.push(slot),
            Err(DirectoryError::Held { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let set_all = |byte: u8| {
            for _ in 0..2 * slots[0].shape().cells() {
                for (slot, len) in
                    slots.iter().flat_map(|slot| [OURS.len(), LONG[0], LONG[1], LONG[2]].map(|len| (slot, len)))
                {
                    slot.set(&vec![byte; len]).unwrap();
                }
            }
        };
        set_all(b'1');
        let pinned: Vec<_> = slots.iter().map(|slot| slot.pin().unwrap().unwrap()).collect();
        // The versions of each key that can be read, with their lengths.
        let check = |byte: u8| {
            let mut kept = Vec::new();
            for slot in &slots {
                let (newest, mut bytes) = (slot.version(), Vec::new());
                let lens = (slot.first_version().max(newest.saturating_sub(20))..=newest).filter_map(|version| {
                    let found = slot.get_version_into(version, &mut bytes).unwrap() == Lookup::Found(());
                    assert!(
                        !found || bytes.iter().all(|it| *it == byte || *it == b'1'),
                        "another process wrote {bytes:?}"
                    );
                    found.then_some((version, bytes.len()))
                });
                let lens: Vec<_> = lens.collect();
                assert_eq!(lens.last().map(|&(_, len)| len), Some(LONG[2]));
                kept.push(lens);
            }
            kept
        };
        let kept = check(b'1');
        let versions = || slots.iter().map(|slot| slot.version()).collect::<Vec<_>>();
        let before = versions();
        actor.signal(Signal::CONT);
        actor.finish();
        assert_eq!(versions(), before, "another process has published");
        assert_eq!(check(b'1'), kept, "another process has taken older versions");
        set_all(b'2');
        check(b'2');
        for pinned in &pinned {
            assert_eq!(pinned[..], vec![b'1'; LONG[2]]);
        }
        drop(pinned);
        let cells = store.cells();
        assert_eq!((cells.pinned, cells.in_flight), (0, 0), "{cells:?}");
        // The slot of the removed key is free, for any shape.
        store.slot_with("another", shape).unwrap().set(&OURS).unwrap();
        drop(slots);
        for key in store.keys() {
            assert!(store.unset(&key).unwrap().is_some());
        }
        assert_eq!((store.keys().len(), store.cells().total()), (0, 0));
        self.has_given_back_all_space(&store);
        true
    }
}

#[test]
fn a_process_that_wakes_up_never_touches_the_key_that_has_replaced_its_own() {
    let shape = |history, spare| KeyOptions::new().history(history).spare(spare);
    let shapes = [shape(2, CELLS - 2), shape(1, 2), shape(6, 6)];
    let mut cases = Vec::new();
    for scene in SCENES {
        let passed = Run::new(scene).rehearse();
        for &step in Step::ALL.iter().filter(|&&step| passed[step as usize] > 0) {
            let befores: BTreeSet<_> = [0, passed[step as usize] / 2, passed[step as usize] - 1].into_iter().collect();
            for before in befores {
                cases.extend((0..shapes.len()).map(|shape| (scene, step, before, shape)));
            }
        }
    }
    let (next, stopped, failures) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(&(scene, step, before, shape)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match std::panic::catch_unwind(|| Run::new(scene).replace_the_key(step, before, &shapes[shape])) {
                        Ok(has_stopped) => _ = stopped.fetch_add(usize::from(has_stopped), Ordering::Relaxed),
                        Err(_) => {
                            let failure = format!("{}: {step:?}, {before} before, shape {shape}", scene.name);
                            failures.lock().unwrap().push(failure);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("stopped {} times in {} cases", stopped.load(Ordering::Relaxed), cases.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(stopped.into_inner() > 100);
}
