//! Stores are created only on file systems whose files no other machine can change.

mod support;

use std::env;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;

use splinter_bus::store::{KeyOptions, OpenError, Store, StoreOptions};
use support::{Actor, Name};

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).key_options(KeyOptions::new().history(3).spare(3))
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    match role.as_str() {
        "use" => options().create(&*arguments[0]).unwrap().set("key", b"v").map(drop).unwrap(),
        "use FUSE" => use_fuse(Path::new(&arguments[0])),
        _ => panic!("no such role: {role}"),
    }
}

#[test]
fn stores_are_created_on_local_file_systems() {
    options().create(&Name::new()).unwrap();
    let directory = tempfile::tempdir_in(env::current_dir().unwrap()).unwrap();
    options().create(directory.path().join("store")).unwrap();
    // Most containers use an overlay file system.
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| {
        let path = directory.path().join(name);
        fs::create_dir(&path).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let mount = format!("-t overlay -o 'lowerdir={lower},upperdir={upper},workdir={work}' none '{merged}'");
    Actor::run_on_mount(&mount, "use", &[&format!("{merged}/store")]);
}

#[test]
fn fuse_file_systems_are_refused_if_they_are_remote_and_allowed_if_they_are_local() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    Actor::run_on_mount(&format!("-t tmpfs none '{path}'"), "use FUSE", &[path]);
}

fn use_fuse(directory: &Path) {
    for (kind, is_far) in [("fuse.sshfs", true), ("fuse.ntfs-3g", false)] {
        let mounted = directory.join(kind);
        fs::create_dir(&mounted).unwrap();
        if !fuse::serve(&mounted, kind) {
            eprintln!("not run: this machine does not allow FUSE");
            return;
        }
        let (old, new) = (mounted.join(fuse::FILE), mounted.join("new"));
        for result in [Store::open(&old), options().create(&new), options().open_or_create(&new)] {
            let error = result.unwrap_err();
            match &error {
                OpenError::NetworkFileSystem { file_system, .. } => assert!(is_far && file_system == kind, "{error}"),
                _ => assert!(!is_far, "{error}"),
            }
        }
        if !is_far {
            // The file is read, and refused because it is not a store.
            assert!(matches!(Store::open(&old), Err(OpenError::NotAStore { .. })));
        }
    }
}

/// Runs a file system in a thread of this process. It has one file of zeros and cannot create
/// others. See `linux/fuse.h`.
mod fuse {
    use super::*;

    pub(super) const FILE: &str = "file";
    const FILE_LEN: u64 = 8192;

    /// Mounts it as this type. Returns false where that is not allowed.
    pub(super) fn serve(directory: &Path, kind: &str) -> bool {
        let Ok(device) = File::options().read(true).write(true).open("/dev/fuse") else { return false };
        let [source, target, kind, data] = [
            "test".to_owned(),
            directory.to_str().unwrap().to_owned(),
            kind.to_owned(),
            format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd()),
        ]
        .map(|text| CString::new(text).unwrap());
        // SAFETY: all four are texts that end in NUL and outlive the call.
        let mounted = unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), libc::MS_NODEV, data.as_ptr().cast())
        };
        if mounted == 0 {
            thread::spawn(|| answer(device));
        }
        mounted == 0
    }

    fn answer(mut device: File) {
        let mut request = vec![0; 1 << 17];
        while let Ok(len) = device.read(&mut request) {
            let request = &request[..len];
            let half = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
            let node = u64::from_ne_bytes(request[16..24].try_into().unwrap());
            let body = match half(4) {
                // LOOKUP: node, generation, validity, attributes.
                1 if request[40..] == *[FILE.as_bytes(), &[0]].concat() => {
                    Ok([&words(&[2, 0, 0, 0, 0]), &attributes(2)[..]].concat())
                }
                1 => Err(libc::ENOENT),
                // FORGET, INTERRUPT, BATCH_FORGET have no answer.
                2 | 36 | 42 => continue,
                // GETATTR: validity, attributes.
                3 => Ok([&words(&[0, 0]), &attributes(node)[..]].concat()),
                // OPEN, RELEASE
                14 => Ok(words(&[0, 0])),
                18 => Ok(Vec::new()),
                // READ
                15 => Ok(vec![0; half(56) as usize]),
                // STATFS: blocks (three numbers), files (two), block size and name length, fragment
                // size, reserved.
                17 => Ok(words(&[1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 255 << 32 | 4096, 4096, 0, 0, 0])),
                // INIT: version 7.31, read-ahead, flags, background, longest write, the rest.
                26 => Ok(words(&[31 << 32 | 7, 0, 4096 << 32, 1, 0, 0, 0, 0])),
                _ => Err(libc::ENOSYS),
            };
            let (error, body) = match body {
                Ok(body) => (0, body),
                Err(errno) => (-errno, Vec::new()),
            };
            let len = 16 + body.len() as u32;
            let answer = [&len.to_ne_bytes(), &error.to_ne_bytes(), &request[8..16], &body[..]].concat();
            // The process that asked may have ended.
            let _ = device.write(&answer);
        }
    }

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// Number, size, blocks, three times, mode and links, owner, device and block size, flags.
    fn attributes(node: u64) -> Vec<u8> {
        let (mode, len) = if node == 1 { (libc::S_IFDIR | 0o777, 0) } else { (libc::S_IFREG | 0o666, FILE_LEN) };
        let mut bytes = words(&[node, len, len / 512, 0, 0, 0]);
        let halves = [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0];
        bytes.extend(halves.iter().flat_map(|half| half.to_ne_bytes()));
        bytes
    }
}
