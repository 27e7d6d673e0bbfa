//! libsplinter, the C library that splinter-bus follows.
//!
//! A process can have only one open store, so both directions share it, with different keys.
//! `mop` selects whether a slot is zeroed before a value is written. A new store has 1; 0 is
//! faster.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_void};
use std::io::Error;
use std::rc::{Rc, Weak};

use anyhow::{Result, ensure};
use libsplinter_sys as c;

use crate::peer::{self, Channel, ChannelSpec, Pattern, Peer, Unsupported};

/// libsplinter with this value of `mop`.
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

/// The open store of this process. It is closed when the last `Rc` is dropped.
struct Open;

thread_local! {
    static OPEN: RefCell<Weak<Open>> = const { RefCell::new(Weak::new()) };
}

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: this is the last `Rc`, so nothing in this process uses the store any more.
        unsafe { c::splinter_close() };
    }
}

impl Open {
    /// Calls `open` unless the store is already open.
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
    /// The epoch of the last received message; `None` if only the newest value is read.
    seen: Option<u64>,
}

fn open(session: &str) -> Result<()> {
    let name = CString::new(session)?;
    // SAFETY: `name` is a valid C string that outlives the call.
    ensure!(unsafe { c::splinter_open(name.as_ptr()) } == 0, "splinter_open: {}", Error::last_os_error());
    Ok(())
}

/// Creates a store with this number of slots, for values of up to `size` bytes.
pub(crate) fn create(session: &str, slots: usize, size: usize) -> Result<Host> {
    let name = CString::new(session)?;
    let store = Open::with(|| {
        // SAFETY: `name` is a valid C string that outlives the call.
        let created = unsafe { c::splinter_create(name.as_ptr(), slots as _, size as _) };
        ensure!(created == 0, "splinter_create: {}", Error::last_os_error());
        Ok(())
    })?;
    Ok(Host { name, _store: store })
}

/// Copies the value of a key, and returns whether the store contains it.
pub(crate) fn get(_: &Host, key: &CStr, into: &mut [u8]) -> bool {
    let mut len = 0;
    // SAFETY: `key` is a valid C string that outlives the call. A `Host` keeps the store open. At
    // most `into.len()` bytes are written to `into`.
    unsafe { c::splinter_get(key.as_ptr(), into.as_mut_ptr().cast(), into.len() as _, &raw mut len) == 0 }
}

/// Sets the value of a key.
pub(crate) fn set(_: &Host, key: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: `key` is a valid C string and `value` is readable for its length; both outlive the
    // call. A `Host` keeps the store open.
    let set = unsafe { c::splinter_set(key.as_ptr(), value.as_ptr().cast(), value.len() as _) };
    ensure!(set == 0, "splinter_set: {}", Error::last_os_error());
    Ok(())
}

fn ends(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Ends> {
    if spec.pattern == Pattern::Lossless {
        return Err(Unsupported("keeps only the newest value of a key, so a receiver misses messages").into());
    }
    let store = Open::with(|| open(session))?;
    let keys = (0..spec.keys).map(|key| CString::new(format!("{} {key}", channel.name())));
    Ok(Ends { _store: store, keys: keys.collect::<Result<_, _>>()?, seen: None })
}

impl<const MOP: u32> Peer for Libsplinter<MOP> {
    type Host = Host;
    type Sender = Ends;
    type Receiver = Ends;

    fn host(session: &str, spec: ChannelSpec) -> Result<Host> {
        // Twice the necessary slots, because the index uses linear probing.
        let host = create(session, (4 * spec.keys).max(16), spec.size)?;
        // SAFETY: the store is open.
        ensure!(unsafe { c::splinter_set_mop(MOP) } == 0, "splinter_set_mop: {}", Error::last_os_error());
        Ok(host)
    }

    fn sender(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Ends> {
        let mut ends = ends(session, channel, spec)?;
        // A receiver cannot poll a key that does not exist.
        for key in 0..spec.keys {
            peer::Sender::send(&mut ends, key, &vec![0; spec.size])?;
        }
        Ok(ends)
    }

    fn receiver(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Ends> {
        let mut ends = ends(session, channel, spec)?;
        ends.seen = (spec.pattern != Pattern::Newest).then(|| ends.epoch());
        Ok(ends)
    }
}

impl Ends {
    /// Returns the epoch: even, and greater by two after each message; odd during a write.
    #[inline]
    fn epoch(&self) -> u64 {
        // SAFETY: the key is a valid C string that outlives the call, and the store is open.
        unsafe { c::splinter_get_epoch(self.keys[0].as_ptr()) }
    }

    #[inline]
    fn get(&self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        let mut len = 0;
        // SAFETY: the key is a valid C string and outlives the call; the store is open. At most
        // `into.len()` bytes are written to `into`, which is writable for this length.
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
        // The value is being written: the caller retries.
        ensure!(error.kind() == std::io::ErrorKind::WouldBlock, "splinter_get: {error}");
        Ok(false)
    }
}

impl peer::Sender for Ends {
    #[inline]
    fn send(&mut self, key: usize, message: &[u8]) -> Result<()> {
        loop {
            // SAFETY: the key is a valid C string and `message` is readable for its length; both
            // outlive the call. The store is open.
            let set = unsafe { c::splinter_set(self.keys[key].as_ptr(), message.as_ptr().cast(), message.len() as _) };
            if set == 0 {
                return Ok(());
            }
            let error = Error::last_os_error();
            // Another sender is writing. The documentation says to retry.
            ensure!(error.kind() == std::io::ErrorKind::WouldBlock, "splinter_set: {error}");
        }
    }
}

impl peer::Receiver for Ends {
    #[inline]
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        let Some(seen) = self.seen else { return self.get(key, into) };
        let now = self.epoch();
        // The epoch is 0 while the sender writes the key's name, which it does for every message.
        if now == seen || now == 0 || !now.is_multiple_of(2) || !self.get(key, into)? {
            return Ok(false);
        }
        self.seen = Some(now);
        Ok(true)
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        while !self.receive(0, into)? {
            // SAFETY: the key is a valid C string that outlives the call, and the store is open.
            unsafe { c::splinter_poll(self.keys[0].as_ptr(), 1000) };
        }
        Ok(())
    }
}
