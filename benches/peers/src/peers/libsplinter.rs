//! libsplinter, the C original. A process can have one store open, so each measurement has its own, with a key for each direction.
//!
//! Its `mop` says whether a value's room is zeroed before it is written: 1 is what a store is created with, 0 is faster.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_void};
use std::io::Error;
use std::ptr;
use std::rc::{Rc, Weak};

use anyhow::{Result, ensure};
use libsplinter_sys as c;

use crate::peer::{self, Blank, Channel, Job, Kind, Peer};

/// With this `mop`.
pub(crate) struct Libsplinter<const MOP: u32>;

pub(crate) struct Host {
    name: CString,
    _store: Rc<Open>,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(format!("/dev/shm/{}", self.name.to_string_lossy()));
    }
}

/// The one store that is open, for as long as anybody here uses it.
struct Open;

thread_local! {
    static OPEN: RefCell<Weak<Open>> = const { RefCell::new(Weak::new()) };
}

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: this was the last user.
        unsafe { c::splinter_close() };
    }
}

impl Open {
    /// Opens the store, unless it is open already.
    fn with(open: impl FnOnce() -> Result<()>) -> Result<Rc<Self>> {
        OPEN.with_borrow_mut(|opened| match opened.upgrade() {
            Some(opened) => Ok(opened),
            None => {
                open()?;
                let new = Rc::new(Self);
                *opened = Rc::downgrade(&new);
                Ok(new)
            }
        })
    }
}

pub(crate) struct Ends {
    _store: Rc<Open>,
    keys: Vec<CString>,
    /// What a receiver of the next message has received; who wants the newest has nothing of the kind.
    seen: Option<u64>,
}

fn open(session: &str) -> Result<()> {
    let name = CString::new(session)?;
    // SAFETY: the name is a string for the call.
    ensure!(unsafe { c::splinter_open(name.as_ptr()) } == 0, "splinter_open: {}", Error::last_os_error());
    Ok(())
}

/// Creates a store of so many slots.
pub(crate) fn create(session: &str, slots: usize, size: usize) -> Result<Host> {
    let name = CString::new(session)?;
    let store = Open::with(|| {
        // SAFETY: the name is a string for the call.
        let created = unsafe { c::splinter_create(name.as_ptr(), slots as _, size as _) };
        ensure!(created == 0, "splinter_create: {}", Error::last_os_error());
        Ok(())
    })?;
    Ok(Host { name, _store: store })
}

/// Looks for a key.
pub(crate) fn is_there(_: &Host, key: &CStr) -> bool {
    let mut len = 0;
    // SAFETY: the key is a string for the call, and whoever has a host has its store open.
    unsafe { c::splinter_get(key.as_ptr(), ptr::null_mut(), 0, &raw mut len) == 0 }
}

/// Sets a key.
pub(crate) fn set(_: &Host, key: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: key and value are readable for the call, and whoever has a host has its store open.
    let set = unsafe { c::splinter_set(key.as_ptr(), value.as_ptr().cast(), value.len() as _) };
    ensure!(set == 0, "splinter_set: {}", Error::last_os_error());
    Ok(())
}

fn ends(session: &str, channel: Channel, job: Job) -> Result<Ends> {
    if job.kind == Kind::All {
        return Err(Blank("has only the newest value of a key: a receiver cannot see all").into());
    }
    let store = Open::with(|| open(session))?;
    let keys = (0..job.keys).map(|key| CString::new(format!("{} {key}", channel.name())));
    Ok(Ends { _store: store, keys: keys.collect::<Result<_, _>>()?, seen: None })
}

impl<const MOP: u32> Peer for Libsplinter<MOP> {
    type Host = Host;
    type Sender = Ends;
    type Receiver = Ends;

    fn host(session: &str, job: Job) -> Result<Host> {
        // Twice the room: it looks for keys by linear probing.
        let host = create(session, (4 * job.keys).max(16), job.size)?;
        // SAFETY: the store is open.
        ensure!(unsafe { c::splinter_set_mop(MOP) } == 0, "splinter_set_mop: {}", Error::last_os_error());
        Ok(host)
    }

    fn sender(session: &str, channel: Channel, job: Job) -> Result<Ends> {
        let mut ends = ends(session, channel, job)?;
        // Polling a key that is not there is an error.
        for key in 0..job.keys {
            peer::Sender::send(&mut ends, key, &vec![0; job.size])?;
        }
        Ok(ends)
    }

    fn receiver(session: &str, channel: Channel, job: Job) -> Result<Ends> {
        let mut ends = ends(session, channel, job)?;
        ends.seen = (job.kind != Kind::Newest).then(|| ends.epoch());
        Ok(ends)
    }
}

impl Ends {
    /// Grows with each message, by two; odd while one is written.
    #[inline]
    fn epoch(&self) -> u64 {
        // SAFETY: the key is a string for the call, and the store is open.
        unsafe { c::splinter_get_epoch(self.keys[0].as_ptr()) }
    }

    #[inline]
    fn get(&self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        let mut len = 0;
        // SAFETY: the key is a string and `into` is writable for the call; it writes no more than the room it is told of.
        let got = unsafe {
            c::splinter_get(self.keys[key].as_ptr(), into.as_mut_ptr().cast::<c_void>(), into.len() as _, &raw mut len)
        };
        if got == 0 {
            into.truncate(len);
            return Ok(true);
        }
        let error = Error::last_os_error();
        if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) {
            into.resize(len, 0);
            return self.get(key, into);
        }
        // Somebody was writing: try again.
        ensure!(error.kind() == std::io::ErrorKind::WouldBlock, "splinter_get: {error}");
        Ok(false)
    }
}

impl peer::Sender for Ends {
    #[inline]
    fn send(&mut self, key: usize, message: &[u8]) -> Result<()> {
        loop {
            // SAFETY: key and message are readable for the call, and the store is open.
            let set = unsafe { c::splinter_set(self.keys[key].as_ptr(), message.as_ptr().cast(), message.len() as _) };
            if set == 0 {
                return Ok(());
            }
            let error = Error::last_os_error();
            // Somebody else was writing: its documents say to try again.
            ensure!(error.kind() == std::io::ErrorKind::WouldBlock, "splinter_set: {error}");
        }
    }
}

impl peer::Receiver for Ends {
    #[inline]
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        let Some(seen) = self.seen else { return self.get(key, into) };
        let now = self.epoch();
        // 0 is what it says while the sender writes the key's name, which it does each time.
        if now == seen || now == 0 || !now.is_multiple_of(2) || !self.get(key, into)? {
            return Ok(false);
        }
        self.seen = Some(now);
        Ok(true)
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        while !self.receive(0, into)? {
            // SAFETY: the key is a string for the call, and the store is open.
            unsafe { c::splinter_poll(self.keys[0].as_ptr(), 1000) };
        }
        Ok(())
    }
}
