//! Code that the tests share: names of stores, processes that can be killed, waiting for
//! conditions.

#![allow(unreachable_pub, reason = "a module of several test binaries")]
#![allow(dead_code, unused_imports, reason = "every test binary uses its own part of this")]

mod asleep;
pub mod everything;
pub mod image;
pub mod locations;
mod name;
pub mod offsets;
pub mod seccomp;
mod wait;

use std::env;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;
use splinter_bus::store::{Location, OpenError, Slot, Store, StoreOptions};

pub use asleep::{this_thread, wait_until_asleep};
pub use name::Name;
pub use wait::{DEADLINE, wait_until};

const ROLE: &str = "SPLINTER_TEST_ROLE";
const ARGUMENTS: &str = "SPLINTER_TEST_ARGUMENTS";

/// A process that runs this test binary: only the test `actor`, which plays `role`.
pub struct Actor(pub Child);

impl Actor {
    pub fn spawn(role: &str, arguments: &[&str]) -> Self {
        Self::spawn_by(Command::new(env::current_exe().expect("a test binary")), role, arguments)
    }

    /// Spawns the actor by a command that runs the test binary.
    pub fn spawn_by(mut command: Command, role: &str, arguments: &[&str]) -> Self {
        command.args(["--exact", "actor", "--nocapture", "--quiet"]).stdout(Stdio::null());
        Self(command.env(ROLE, role).env(ARGUMENTS, arguments.join("\n")).spawn().expect("an actor"))
    }

    /// Runs the actor with a private mount, created with these options of `mount`. Returns false
    /// where that is not allowed.
    pub fn run_on_mount(mount: &str, role: &str, arguments: &[&str]) -> bool {
        let mut allowed = Command::new("unshare");
        allowed.args(["-r", "-m", "true"]).stderr(Stdio::null());
        if !allowed.status().is_ok_and(|status| status.success()) {
            println!("not run: this machine does not allow private mounts");
            return false;
        }
        let mut command = Command::new("unshare");
        command.args(["-r", "-m", "sh", "-c", &format!("mount {mount} && exec \"$0\" \"$@\"")]);
        command.arg(env::current_exe().expect("a test binary"));
        Self::spawn_by(command, role, arguments).finish();
        true
    }

    /// Sends a signal to the process, which is a child that was not waited for.
    pub fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).expect("a child of this process");
    }

    /// Stops the process, and waits until it has stopped.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        assert!(self.has_stopped());
    }

    /// Waits until the process stops or ends. Returns whether it has stopped.
    pub fn has_stopped(&self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.0);
        let stopped = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::UNTRACED);
        stopped.expect("a child of this process").is_some_and(|(_, status)| status.stopped())
    }

    pub fn kill(&mut self) {
        self.0.kill().expect("a child of this process");
        self.0.wait().expect("a child of this process");
    }

    /// Waits until the process ends by itself. It must succeed.
    pub fn finish(mut self) {
        assert!(self.0.wait().expect("a child of this process").success(), "an actor failed");
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the role and arguments of this process if it is an actor.
pub fn role() -> Option<(String, Vec<String>)> {
    let role = env::var(ROLE).ok()?;
    let arguments = env::var(ARGUMENTS).unwrap_or_default();
    Some((role, arguments.split('\n').map(str::to_owned).collect()))
}

/// Opens a store that another process may be about to create.
pub fn open_soon(location: impl Into<Location>) -> Store {
    open_soon_with(&StoreOptions::new(), location)
}

/// The same, with the options of its creator: keys that this process creates have the same shape as
/// those that the creator creates.
pub fn open_soon_with(options: &StoreOptions, location: impl Into<Location>) -> Store {
    let (location, start) = (location.into(), Instant::now());
    loop {
        match options.open(&location) {
            Err(OpenError::NotFound { .. }) if start.elapsed() < DEADLINE => std::thread::yield_now(),
            store => return store.expect("a store that opens"),
        }
    }
}

/// A lock on bytes of a store's file, as another program or a stopped participant may hold it.
pub struct ForeignLock {
    _file: File,
}

impl ForeignLock {
    /// `len` of 0 means all bytes from `start` on.
    pub fn new(path: &str, start: i64, len: i64) -> Self {
        let file = File::options().read(true).write(true).open(path).expect("a store");
        let mut request = libc::flock { l_type: libc::F_WRLCK as _, l_whence: 0, l_start: start, l_len: len, l_pid: 0 };
        // SAFETY: the file is open, and `request` is a lock that the kernel reads and does not
        // keep.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut request) };
        assert_eq!(result, 0, "the bytes are locked already");
        Self { _file: file }
    }
}

/// Sets all slots in turn, without end. Each value contains the number of its slot and the version
/// that it gets.
pub fn write_versions(slots: &[Slot]) -> ! {
    let mut value = Vec::new();
    loop {
        for (number, slot) in (0..).zip(slots) {
            let next = slot.version() + 1;
            proof::write(&mut value, number, next);
            assert_eq!(slot.set(&value).unwrap(), next);
        }
    }
}

/// A small pseudo-random number generator. Its users print the seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Values that can be checked: the number of the writer, a sequence number, then bytes that follow
/// from both.
pub mod proof {
    /// Lengths vary, so that the rest of an older, longer value is detected after a shorter one.
    pub fn write(value: &mut Vec<u8>, writer: u32, number: u64) {
        value.clear();
        value.extend(writer.to_le_bytes());
        value.extend(number.to_le_bytes());
        let len = 12 + (number.wrapping_mul(31).wrapping_add(u64::from(writer)) % 244) as usize;
        while value.len() < len {
            value.push(byte(writer, number, value.len()));
        }
    }

    /// Returns the writer and the sequence number. Panics unless every byte is as it was written.
    pub fn read(value: &[u8]) -> (u32, u64) {
        assert!(value.len() >= 12, "a value of {} bytes was never written", value.len());
        let writer = u32::from_le_bytes(value[..4].try_into().unwrap());
        let number = u64::from_le_bytes(value[4..12].try_into().unwrap());
        let mut expected = Vec::new();
        write(&mut expected, writer, number);
        assert!(value == expected, "a torn value: writer {writer}, number {number}, {value:?}");
        (writer, number)
    }

    fn byte(writer: u32, number: u64, at: usize) -> u8 {
        (number.wrapping_mul(0x9e37_79b9) >> 7) as u8 ^ writer as u8 ^ at as u8
    }
}
