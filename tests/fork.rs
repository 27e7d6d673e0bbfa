//! Handles that a child of `fork` inherits: they do nothing in the child, and do not keep the
//! parent's participant alive.

mod support;

use std::fs;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, thread};

use splinter_bus::bus::{
    AcknowledgeError, PublishError, RecvError, SubscribeError, SubscribeOptions, WaitError, WaitSet,
};
use splinter_bus::store::{DirectoryError, Forked, GetError, KeyError, KeyOptions, SetError, Store, StoreOptions};
use splinter_bus::{Bus, Message};
use support::image::Image;
use support::{Actor, Name, open_soon, role, wait_until};

#[derive(Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout, Debug)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Numbers {
    values: [u64; 8],
}

/// A child of `fork` that was not waited for yet.
struct Child(libc::pid_t);

impl Child {
    /// Forks. Returns `None` in the child.
    fn fork() -> Option<Self> {
        // SAFETY: the child runs the code that follows in `end`, on its only thread. It uses no
        // lock of the test harness, and the C library keeps its allocator usable.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "no child: {}", std::io::Error::last_os_error());
        (pid > 0).then_some(Self(pid))
    }

    /// Waits until the child ends. The child must succeed.
    fn finish(self) {
        let mut status = 0;
        // SAFETY: `status` and the child belong to this process.
        let pid = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!((pid, status), (self.0, 0), "a child failed, or hung until its alarm ended it");
    }
}

/// Runs `body` in a child and ends the child, after a minute at the latest.
fn end(body: impl FnOnce()) -> ! {
    // SAFETY: sets a timer of this process, whose signal ends it.
    unsafe { libc::alarm(60) };
    let failed = catch_unwind(AssertUnwindSafe(body)).is_err();
    // SAFETY: it ends this process without running exit handlers that its parent has registered.
    unsafe { libc::_exit(failed.into()) }
}

/// Signals to another process that something has happened.
#[derive(Clone, Copy)]
struct Pipe([RawFd; 2]);

impl Pipe {
    fn new() -> Self {
        let mut ends = [0; 2];
        // SAFETY: `ends` has space for the two descriptors that the kernel writes there.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        Self(ends)
    }

    fn notify(self) {
        // SAFETY: the byte to write is readable.
        assert_eq!(unsafe { libc::write(self.0[1], c"x".as_ptr().cast(), 1) }, 1);
    }

    fn wait(self) {
        assert_eq!(read_byte(self.0[0]), 1);
    }
}

/// Reads a byte. Returns the number of bytes read: 0 at the end of the pipe.
fn read_byte(fd: RawFd) -> isize {
    let mut byte = [0u8];
    // SAFETY: `byte` has space for the one byte that is read.
    unsafe { libc::read(fd, byte.as_mut_ptr().cast(), 1) }
}

/// Runs a role in a process of its own, which may fork because all of its threads are known.
fn in_a_process(role: &str, arguments: &[&str]) {
    Actor::spawn(role, arguments).finish();
}

#[test]
fn actor() {
    let Some((role, arguments)) = role() else { return };
    let name = arguments[0].as_str();
    match role.as_str() {
        "drop" => drop_everything(name),
        "operate" => operate(name),
        "open again" => open_again(name),
        "daemon" => become_a_daemon(name),
        "die" => fork_and_wait_to_be_killed(name),
        "threads" => fork_among_threads(name),
        "descriptors" => count_descriptors(name),
        role => panic!("no role {role}"),
    }
}

fn small() -> StoreOptions {
    StoreOptions::new().slots(8).key_options(KeyOptions::new().history(2).spare(4))
}

/// Returns all bytes of the store.
fn image(name: &str) -> Image {
    Image::read(format!("/dev/shm/{name}"))
}

#[test]
fn drops_in_a_child_leave_the_parent_unaffected() {
    let name = Name::new();
    in_a_process("drop", &[&name]);
}

fn drop_everything(name: &str) {
    let store = small().create(name).unwrap();
    let other = Store::open_unshared(name).unwrap();
    let slot = store.slot("pinned").unwrap();
    slot.set(b"AAAAAAAA").unwrap();
    let pinned = slot.pin().unwrap().unwrap();
    let mut loan = store.slot("lent").unwrap().loan(8).unwrap();
    loan.copy_from_slice(b"lentlent");
    let uninit = store.slot("uninit").unwrap().loan_uninit(8).unwrap();
    let bus: Bus<Vec<u8>> = Bus::on(store.clone());
    let mut subscriber = bus.subscribe_with("all", &SubscribeOptions::new().lossless()).unwrap();
    let mut queue = bus.work_queue("jobs").unwrap();
    bus.publish("jobs", &b"job".to_vec()).unwrap();
    let job = queue.recv().unwrap();
    let numbers: Bus<Numbers> = Bus::on(store.clone());
    numbers.publish("numbers", &Numbers { values: [7; 8] }).unwrap();
    let sample = numbers.sample("numbers").unwrap().unwrap();
    let typed = numbers.publisher("typed").unwrap().loan_zeroed().unwrap();
    let watch = store.watch();
    let before = image(name);

    let Some(child) = Child::fork() else {
        end(move || {
            drop((pinned, loan, uninit, subscriber, job, queue, sample, typed, watch));
            drop((slot, bus, numbers, store, other));
        })
    };
    child.finish();
    assert!(image(name) == before, "a child that only drops has changed the store");

    for _ in 0..10 {
        other.set("pinned", b"BBBBBBBB").unwrap();
        other.set("lent", b"BBBBBBBB").unwrap();
        other.set("uninit", b"BBBBBBBB").unwrap();
        Bus::on(other.clone()).publish("numbers", &Numbers { values: [8; 8] }).unwrap();
    }
    assert_eq!(*pinned, *b"AAAAAAAA");
    assert_eq!(sample.values, [7; 8]);
    assert_eq!(*loan, *b"lentlent");
    let version = loan.send().unwrap();
    assert_eq!(other.get("lent").unwrap().as_deref(), Some(&b"lentlent"[..]));
    assert_eq!(other.slot("lent").unwrap().version(), version);
    uninit.write(b"written.").send().unwrap();
    typed.send().unwrap();

    let theirs: Bus<Vec<u8>> = Bus::on(other.clone());
    let mut sent = 0;
    while theirs.publish("all", &vec![sent as u8]).is_ok() {
        sent += 1;
        assert!(sent < 1000, "messages that the parent has not received yet are not retained");
    }
    assert!((0..sent).eq((0..sent).map(|_| usize::from(subscriber.recv().unwrap()[0]))));

    assert!(
        theirs.work_queue("jobs").unwrap().try_recv().unwrap().is_none(),
        "another worker gets a job that the parent has leased"
    );
    job.acknowledge().unwrap();
    assert!(other.is_alive(store.participant()).unwrap());
    drop((slot, pinned, sample, subscriber, queue, watch, bus, numbers));
    let cells = other.cells();
    assert_eq!((cells.pinned, cells.in_flight), (0, 0), "the parent cannot release its cells");
}

#[test]
fn operations_on_inherited_handles_are_errors_and_change_nothing() {
    let name = Name::new();
    in_a_process("operate", &[&name]);
}

fn operate(name: &str) {
    let store = small().create(name).unwrap();
    store.set("k", b"v").unwrap();
    let slot = store.slot("k").unwrap();
    let integer = store.integer("n").unwrap();
    integer.set(1).unwrap();
    let loan = slot.loan(1).unwrap();
    let bus: Bus<Vec<u8>> = Bus::on(store.clone());
    let mut publisher = bus.publisher("p").unwrap();
    let message = b"message".to_vec();
    publisher.publish(&message).unwrap();
    let mut subscriber = bus.subscribe("p").unwrap();
    let mut behind = bus.subscribe_from("p", splinter_bus::Start::Oldest).unwrap();
    let mut lossless = bus.subscribe_with("p", &SubscribeOptions::new().lossless()).unwrap();
    let mut removed = bus.subscribe("removed").unwrap();
    store.unset("removed").unwrap();
    assert!(matches!(removed.try_recv(), Err(RecvError::Removed { .. })));
    let mut queue = bus.work_queue("q").unwrap();
    bus.publish("q", &message).unwrap();
    let job = queue.recv().unwrap();
    let lent = bus.publisher("l").unwrap().loan_bytes(3).unwrap();
    // Moves its cursor beyond the position that publishers have cached.
    bus.publish("p", &message).unwrap();
    assert!(lossless.try_recv().unwrap().is_some());
    let mut watch = store.watch();
    #[cfg(feature = "async")]
    let (task, worker) =
        (bus.subscribe("p").unwrap().into_async().unwrap(), bus.work_queue("q").unwrap().into_async().unwrap());
    let before = image(name);

    let Some(child) = Child::fork() else {
        end(move || {
            #[cfg(feature = "async")]
            {
                use std::pin::pin;
                use std::task::{Context, Poll, Waker};
                let context = &mut Context::from_waker(Waker::noop());
                assert!(matches!(pin!(task.recv()).poll(context), Poll::Ready(Err(RecvError::Forked(_)))));
                assert!(matches!(task.try_recv(), Err(RecvError::Forked(_))));
                assert!(matches!(pin!(worker.recv()).poll(context), Poll::Ready(Err(RecvError::Forked(_)))));
                assert!(matches!(task.into_inner().recv(), Err(RecvError::Forked(_))));
            }
            let long = Some(Duration::from_secs(3600));
            macro_rules! forked {
                ($($result:expr => $pattern:pat),* $(,)?) => {$(
                    let error = $result.map(drop).expect_err(stringify!($result));
                    assert!(error.to_string().contains("open the store again in this process"), "{}: {error}", stringify!($result));
                    assert!(matches!(error, $pattern), "{}: {error:?}", stringify!($result));
                )*};
            }
            forked! {
                store.set("k", b"w") => SetError::Key(KeyError::Forked(_)),
                store.set("new", b"w") => SetError::Key(KeyError::Forked(_)),
                store.append("k", b"w") => _,
                store.get("k") => GetError::Key(KeyError::Forked(_)),
                store.get("none") => GetError::Key(KeyError::Forked(_)),
                store.get_into("k", &mut Vec::new()) => GetError::Key(KeyError::Forked(_)),
                store.size("k") => GetError::Key(KeyError::Forked(_)),
                store.slot_snapshot("k") => GetError::Key(KeyError::Forked(_)),
                store.slot("k") => DirectoryError::Key(KeyError::Forked(_)),
                store.slot("new") => DirectoryError::Key(KeyError::Forked(_)),
                store.integer("n") => DirectoryError::Key(KeyError::Forked(_)),
                store.unset("k") => DirectoryError::Key(KeyError::Forked(_)),
                store.unset("none") => DirectoryError::Key(KeyError::Forked(_)),
                store.poll("k", long) => DirectoryError::Key(KeyError::Forked(_)),
                store.poll_after("k", 0, None) => DirectoryError::Key(KeyError::Forked(_)),
                store.purge() => _,
                store.flush() => _,
                store.prefault() => _,
                store.participants() => _,
                store.is_alive(store.participant()) => _,
                watch.poll(None) => Forked { .. },
                slot.set(b"w") => SetError::Key(KeyError::Forked(_)),
                slot.set_timeout(b"w", Duration::MAX) => SetError::Key(KeyError::Forked(_)),
                slot.append(b"w") => _,
                slot.loan(1) => _,
                slot.loan_uninit(1) => _,
                slot.get_into(&mut Vec::new()) => GetError::Key(KeyError::Forked(_)),
                slot.get_version_into(1, &mut Vec::new()) => GetError::Key(KeyError::Forked(_)),
                slot.size() => GetError::Key(KeyError::Forked(_)),
                slot.snapshot() => GetError::Key(KeyError::Forked(_)),
                slot.oldest_from(0) => GetError::Key(KeyError::Forked(_)),
                slot.poll(None) => GetError::Key(KeyError::Forked(_)),
                slot.poll_after(0, None) => GetError::Key(KeyError::Forked(_)),
                slot.pin() => GetError::Key(KeyError::Forked(_)),
                slot.pin_version(1) => GetError::Key(KeyError::Forked(_)),
                integer.get() => _,
                integer.set(2) => SetError::Key(KeyError::Forked(_)),
                integer.fetch_add(1) => _,
                integer.compare_exchange(1, 2) => _,
                loan.send() => SetError::Key(KeyError::Forked(_)),
                bus.publish("p", &message) => PublishError::Set(SetError::Key(KeyError::Forked(_))),
                bus.publish("p", &vec![0; 1500]) => PublishError::Set(SetError::Key(KeyError::Forked(_))),
                bus.publisher("p") => PublishError::Set(SetError::Key(KeyError::Forked(_))),
                bus.subscribe("p") => SubscribeError::Key(KeyError::Forked(_)),
                bus.work_queue("q") => SubscribeError::Key(KeyError::Forked(_)),
                bus.get("p") => RecvError::Forked(_),
                bus.sample("p") => RecvError::Forked(_),
                bus.sample_version("p", 1) => RecvError::Forked(_),
                publisher.publish(&message) => PublishError::Set(SetError::Key(KeyError::Forked(_))),
                publisher.publish(&vec![0; 1500]) => PublishError::Set(SetError::Key(KeyError::Forked(_))),
                publisher.publish_timeout(&message, Duration::MAX) => PublishError::Set(SetError::Key(KeyError::Forked(_))),
                publisher.loan_bytes(1) => PublishError::Set(SetError::Key(KeyError::Forked(_))),
                lent.send() => PublishError::Set(SetError::Key(KeyError::Forked(_))),
                subscriber.recv() => RecvError::Forked(_),
                subscriber.try_recv() => RecvError::Forked(_),
                subscriber.recv_timeout(Duration::MAX) => RecvError::Forked(_),
                subscriber.recv_sample() => RecvError::Forked(_),
                behind.recv() => RecvError::Forked(_),
                behind.recv_sample() => RecvError::Forked(_),
                lossless.recv() => RecvError::Forked(_),
                removed.recv() => RecvError::Forked(_),
                removed.try_recv() => RecvError::Forked(_),
                queue.recv() => RecvError::Forked(_),
                queue.try_recv() => RecvError::Forked(_),
                WaitSet::new().wait(&[&subscriber], None) => WaitError::Forked(_),
                WaitSet::new().wait(&[&behind, &queue], None) => WaitError::Forked(_),
                job.acknowledge() => AcknowledgeError::Key { source: KeyError::Forked(_), .. },
            }
            // Infallible reads continue to work. A bus can be created on the inherited store, and
            // its operations fail.
            assert_eq!((slot.version(), store.keys().len()), (1, 5));
            assert_eq!((store.snapshot().keys, store.cells().pinned), (5, 0));
            forked! { Bus::<Numbers>::on(store.clone()).get("p") => RecvError::Forked(_) }
        })
    };
    child.finish();
    assert!(image(name) == before, "an operation in a child has changed the store");
    assert_eq!(**behind.recv().unwrap(), *b"message");
}

#[test]
fn a_child_can_open_the_store_again_beside_its_parent() {
    let name = Name::new();
    in_a_process("open again", &[&name]);
}

fn open_again(name: &str) {
    let bus: Bus<Vec<u8>> = small().create(name).map(Bus::on).unwrap();
    let mut from_child = bus.subscribe("to parent").unwrap();
    bus.publish("to child", &b"hello".to_vec()).unwrap();
    let parent = bus.store().participant();

    let Some(child) = Child::fork() else {
        end(move || {
            let mine: Bus<Vec<u8>> = Bus::open(name).unwrap();
            assert_ne!(mine.store().participant(), parent);
            assert_eq!(mine.store().participants().unwrap(), [parent, mine.store().participant()]);
            assert_eq!(Store::open(name).unwrap().participant(), mine.store().participant());
            assert!(mine.store().is_alive(parent).unwrap());
            let id = mine.get("to child").unwrap().unwrap().envelope().id();
            let mut jobs = mine.work_queue("jobs").unwrap();
            mine.publish("jobs", &b"job".to_vec()).unwrap();
            jobs.recv().unwrap().acknowledge().unwrap();
            let sent = mine.publish("to parent", &b"hello, too".to_vec()).unwrap();
            assert_ne!(sent.id, id);
            // The inherited handles may be dropped before or after.
            drop((bus, from_child));
            mine.publish("to parent", &b"goodbye".to_vec()).unwrap();
        })
    };
    let (hello, of_parent) = (from_child.recv().unwrap(), bus.get("to child").unwrap().unwrap());
    assert_eq!(**hello, *b"hello, too");
    assert_ne!(hello.envelope().from(), of_parent.envelope().from(), "unnamed senders have names of their own");
    assert_eq!(**from_child.recv().unwrap(), *b"goodbye");
    child.finish();
    assert_eq!(bus.store().participants().unwrap(), [parent], "a child that ended is still a participant");
    assert_eq!(Store::open(name).unwrap().participant(), parent);
    assert_eq!(bus.store().cells().retained, 0);
}

#[test]
fn a_daemon_that_forks_after_opening_gets_an_error_that_says_so() {
    let name = Name::new();
    in_a_process("daemon", &[&name]);
}

fn become_a_daemon(name: &str) {
    let store = small().create(name).unwrap();
    store.set("k", b"first").unwrap();
    let (before, after) = (Pipe::new(), Pipe::new());

    let Some(daemon) = Child::fork() else {
        end(move || {
            before.notify();
            // The parent has closed the store.
            after.wait();
            let error = store.slot("k").unwrap_err();
            assert!(matches!(error, DirectoryError::Key(KeyError::Forked(_))), "{error}");
            let participant = store.participant();
            let again = Store::open(name).unwrap();
            // The participant index of the inherited handle belongs to another participant, and
            // still does after the handle is dropped.
            assert_eq!(again.participant().id, participant.id);
            drop(store);
            assert_eq!(again.participants().unwrap(), [again.participant()]);
            let mut loan = again.slot("k").unwrap().loan(6).unwrap();
            Store::open(name).unwrap().set("k", b"others").unwrap();
            loan.copy_from_slice(b"daemon");
            loan.send().unwrap();
            assert_eq!(again.get("k").unwrap().as_deref(), Some(&b"daemon"[..]));
        })
    };
    before.wait();
    drop(store);
    after.notify();
    daemon.finish();
}

#[test]
fn resources_of_a_killed_parent_are_released_while_its_children_live() {
    let name = Name::new();
    let store = name.create(&small());
    store.set("k", b"v").unwrap();
    // The children end when this process closes the pipe, which also happens if it fails.
    let mut command = Command::new(env::current_exe().unwrap());
    command.stdin(Stdio::piped());
    let mut parent = Actor::spawn_by(command, "die", &[&name]);
    let pipe = parent.0.stdin.take();
    wait_until("the parent has its children", || store.get("children").unwrap().is_some());
    let everyone = store.participants().unwrap();
    assert!(everyone.len() > 1);
    assert!(store.cells().pinned > 0);

    parent.kill();
    for participant in everyone.into_iter().filter(|&participant| participant != store.participant()) {
        assert!(!store.is_alive(participant).unwrap(), "a child keeps the lock of its crashed parent");
    }
    let newcomer = Store::open_unshared(&name).unwrap();
    assert_eq!(newcomer.participants().unwrap(), [store.participant(), newcomer.participant()]);
    assert_eq!(store.cells().pinned, 0, "pins of the crashed parent remain");
    let children = String::from_utf8(store.get("children").unwrap().unwrap()).unwrap();
    for child in children.split(' ') {
        // SAFETY: signal 0 sends nothing. The kernel only reports whether the process exists.
        assert_eq!(unsafe { libc::kill(child.parse().unwrap(), 0) }, 0, "the child {child} has ended too early");
    }
    drop(pipe);
}

fn fork_and_wait_to_be_killed(name: &str) {
    let store = open_soon(name);
    let _pinned = store.slot("k").unwrap().pin().unwrap().unwrap();
    // Loans map the store once more.
    let _loan = store.slot("k").unwrap().loan(1).unwrap();
    let (done, there) = (AtomicBool::new(false), Pipe::new());
    let children: Vec<_> = thread::scope(|scope| {
        // A fork can happen at any step of opening a store.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::mem::forget(Store::open_unshared(name));
                // Sets the pace: at least as many forks as opened stores.
                thread::sleep(Duration::from_micros(100));
            }
        });
        let children = (0..20).map(|_| {
            let Some(child) = Child::fork() else {
                end(|| {
                    there.notify();
                    assert_eq!(read_byte(0), 0);
                })
            };
            there.wait();
            child.0.to_string()
        });
        let children = children.collect();
        done.store(true, Ordering::Relaxed);
        children
    });
    store.set("children", children.join(" ").as_bytes()).unwrap();
    loop {
        thread::park();
    }
}

#[test]
fn a_child_forked_from_a_process_with_busy_threads_does_not_hang() {
    let name = Name::new();
    in_a_process("threads", &[&name]);
}

fn fork_among_threads(name: &str) {
    let store = small().create(name).unwrap();
    store.set("k", b"v").unwrap();
    let slot = store.slot("k").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Each thread holds one of the mutexes of the handle most of the time.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                drop(slot.pin().unwrap());
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.slot("comes and goes").unwrap();
                store.unset("comes and goes").unwrap();
            }
        });
        // Two threads that look for the session of the store, one of which makes and closes sessions.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                drop(Store::open(name).unwrap());
            }
        });
        scope.spawn(|| {
            let another = format!("{name}-another");
            while !done.load(Ordering::Relaxed) {
                drop(small().create(&another).unwrap());
                drop(Store::open(&another).unwrap());
                Store::remove(&another).unwrap();
            }
        });
        for _ in 0..60 {
            let pinned = slot.pin().unwrap().unwrap();
            let Some(child) = Child::fork() else {
                end(|| {
                    drop(pinned);
                    assert_eq!(
                        slot.pin().map(drop),
                        Err(GetError::Key(KeyError::Forked(Forked { opened_by: store.participant().pid })))
                    );
                    assert!(store.slot("another").is_err() && store.unset("k").is_err() && store.purge().is_err());
                    let mine = Store::open(name).unwrap();
                    mine.set("k", b"w").unwrap();
                    drop(mine.slot("k").unwrap().pin().unwrap().unwrap());
                })
            };
            child.finish();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(store.participants().unwrap(), [store.participant()]);
    assert_eq!(store.cells().pinned, 0);
}

#[test]
fn forks_leak_no_descriptors_and_children_hold_no_locks() {
    let name = Name::new();
    in_a_process("descriptors", &[&name]);
}

/// Lists the open descriptors of this process.
fn descriptors() -> Vec<RawFd> {
    let names = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name());
    let mut descriptors: Vec<RawFd> = names.map(|name| name.to_str().unwrap().parse().unwrap()).collect();
    descriptors.sort_unstable();
    // The last one belonged to the directory that is read.
    descriptors.retain(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok());
    descriptors
}

/// Counts the locks of open file descriptions that this process holds.
fn locks() -> usize {
    let of = |fd| fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    descriptors().into_iter().map(|fd| of(fd).matches("OFDLCK").count()).sum()
}

fn count_descriptors(name: &str) {
    let at_first = descriptors();
    let store = small().create(name).unwrap();
    store.set("k", b"v").unwrap();
    drop(store.slot("k").unwrap().loan(1).unwrap());
    let open = descriptors();
    for fd in open.iter().filter(|fd| !at_first.contains(fd)) {
        // SAFETY: it reads the flags of a descriptor of this process.
        let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC, "a program that is executed gets the descriptor {fd}");
    }
    assert_eq!(locks(), 1, "only the participant's lock");
    for _ in 0..10 {
        let Some(child) = Child::fork() else {
            end(|| {
                assert_eq!(locks(), 0, "a child holds a lock");
                generation(name, store, &at_first, open.len(), 4);
            })
        };
        child.finish();
    }
    assert_eq!((descriptors(), locks()), (open, 1));
    drop(store);
    assert_eq!(descriptors(), at_first);
}

/// Runs in a child: opens the store, drops the inherited handles, and forks a child itself.
fn generation(name: &str, inherited: Store, at_first: &[RawFd], open: usize, more: u32) {
    let mine = Store::open(name).unwrap();
    mine.set("k", b"v").unwrap();
    drop(mine.slot("k").unwrap().loan(1).unwrap());
    drop(inherited);
    assert_eq!((descriptors().len(), locks()), (open, 1));
    if more > 0 {
        let Some(child) = Child::fork() else {
            end(|| generation(name, mine, at_first, open, more - 1));
        };
        child.finish();
    }
    assert!(mine.is_alive(mine.participant()).unwrap());
    drop(mine);
    assert_eq!(descriptors(), at_first);
}
