use std::fs;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::super::file;
use super::super::in_child::{in_child, in_child_with_mounted_devices, in_child_with_mounts};
use super::super::mapping::{Mapping, Populated};
use super::super::seccomp::{Call, refuse};
use super::*;

const PAGE: u64 = 4096;

/// Empty files in shared memory, in a directory, and without a name.
fn files() -> Vec<File> {
    vec![
        tempfile::tempfile_in("/dev/shm").unwrap(),
        tempfile::tempfile_in(std::env::current_dir().unwrap()).unwrap(),
        file::anonymous("splinter-test").unwrap(),
    ]
}

fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![7; file::status(file).unwrap().len as usize + 1];
    let len = read_at(file, &mut bytes, 0).unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn reserving_grows_a_file_and_keeps_its_content() {
    for file in files() {
        file.write_all_at(b"abc", 5 * PAGE + 1).unwrap();
        for _ in 0..2 {
            reserve(&file, PAGE, 8 * PAGE + 1).unwrap();
            assert!(reserved(&file).unwrap() >= 8 * PAGE);
            assert_eq!(file::status(&file).unwrap().len, 8 * PAGE + 1);
        }
        // A shorter range, and an empty one.
        reserve(&file, 0, 10).unwrap();
        reserve(&file, 100 * PAGE, PAGE).unwrap();
        reserve_fresh(&file, PAGE, 3 * PAGE).unwrap();
        let bytes = content(&file);
        assert_eq!(bytes.len() as u64, 8 * PAGE + 1);
        assert_eq!(bytes.iter().position(|&byte| byte != 0), Some(5 * PAGE as usize + 1));
        assert_eq!(&bytes[5 * PAGE as usize + 1..][..4], b"abc\0");
    }
}

#[test]
fn punching_gives_whole_pages_back_and_leaves_the_rest() {
    for file in files() {
        write_zeros(&file, 0, 64 * PAGE).unwrap();
        file.write_all_at(&[7; 64 * PAGE as usize], 0).unwrap();
        file.sync_all().unwrap();
        let before = reserved(&file).unwrap();
        // Of the first and the last page, something must stay.
        assert_eq!(punch(&file, 10, 33 * PAGE + 1).unwrap(), Punched::All);
        assert_eq!(before - reserved(&file).unwrap(), 32 * PAGE);
        assert_eq!(punch(&file, 12, 20).unwrap(), Punched::All);
        assert_eq!(punch(&file, 20, 10).unwrap(), Punched::All);
        assert_eq!(punch(&file, 200 * PAGE, 300 * PAGE).unwrap(), Punched::All);
        let bytes = content(&file);
        assert_eq!(bytes.len() as u64, 64 * PAGE);
        for (page, bytes) in bytes.chunks(PAGE as usize).enumerate() {
            // Of the first and the last page, the part in the range is zero.
            let (from, to) = match page {
                0 => (10, PAGE as usize),
                1..33 => (0, PAGE as usize),
                33 => (0, 1),
                _ => (0, 0),
            };
            assert!(
                bytes.iter().enumerate().all(|(at, &byte)| byte == 7 * u8::from(!(from..to).contains(&at))),
                "page {page}"
            );
        }
    }
}

#[test]
fn space_that_was_never_written_is_no_data() {
    for file in files() {
        reserve(&file, 0, 64 * PAGE).unwrap();
        file.write_all_at(&[7; 2 * PAGE as usize], 8 * PAGE).unwrap();
        file.write_all_at(b"a", 32 * PAGE + 5).unwrap();
        file.sync_all().unwrap();
        assert_eq!(data_ranges(&file, 0, u64::MAX).unwrap(), [8 * PAGE..10 * PAGE, 32 * PAGE..33 * PAGE]);
    }
    assert_eq!(data_ranges(&files()[0], 0, u64::MAX).unwrap(), []);
}

#[test]
fn reading_stops_at_the_end_of_the_file() {
    for file in files() {
        file.write_all_at(b"0123456789", 0).unwrap();
        let mut buffer = [b'x'; 8];
        assert_eq!(read_at(&file, &mut buffer, 0).unwrap(), 8);
        assert_eq!(&buffer, b"01234567");
        assert_eq!(read_at(&file, &mut buffer, 7).unwrap(), 3);
        assert_eq!(&buffer[..4], b"7893");
        assert_eq!(read_at(&file, &mut buffer, 10).unwrap(), 0);
        assert_eq!(read_at(&file, &mut buffer, 1 << 40).unwrap(), 0);
    }
}

#[test]
fn file_systems_say_what_is_free() {
    for file in files() {
        // The tmpfs of anonymous files reports no size at all.
        let available = available(&file).unwrap();
        assert!(available > 1 << 20 && available < 1 << 60, "{available}");
    }
    assert!(available_in(Path::new("/dev/shm")).unwrap() > 1 << 20);
}

#[test]
fn missing_calls_are_no_errors_of_the_disk() {
    let all = files();
    for errno in [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL, libc::EPERM] {
        // Of several filters, the one that was set last decides.
        refuse(&[Call::any(libc::SYS_fallocate), Call::any(libc::SYS_lseek)], errno);
        for file in &all {
            file.write_all_at(b"abc", 3 * PAGE).unwrap();
            assert!(matches!(reserve(file, 0, PAGE), Err(ReserveError::Unsupported)));
            assert!(matches!(reserve_fresh(file, 0, PAGE), Err(ReserveError::Unsupported)));
            assert_eq!(punch(file, 0, PAGE).unwrap(), Punched::Unsupported);
            let all = 0..file::status(file).unwrap().len;
            assert_eq!(data_ranges(file, 0, u64::MAX).unwrap(), vec![all]);
        }
    }
    refuse(&[Call::any(libc::SYS_fallocate)], libc::EIO);
    assert!(matches!(reserve(&all[0], 0, PAGE), Err(ReserveError::Io(_))));
    for errno in [libc::ENOSPC, libc::EDQUOT, libc::ENOMEM] {
        refuse(&[Call::any(libc::SYS_fallocate)], errno);
        let Err(ReserveError::NoSpace(error)) = reserve(&all[0], 0, PAGE) else { panic!("{errno}") };
        assert_eq!(error.raw_os_error(), Some(errno));
    }
}

#[test]
fn signals_make_reserving_take_shorter_steps() {
    let file = tempfile::tempfile_in("/dev/shm").unwrap();
    // Calls of these lengths are always interrupted.
    let of_length = |len| Call::with(libc::SYS_fallocate, 3, len);
    refuse(&[of_length(1 << 20), of_length(1 << 19), of_length(1 << 18)], libc::EINTR);
    reserve(&file, 0, 1 << 20).unwrap();
    assert_eq!(reserved(&file).unwrap(), 1 << 20);
}

#[test]
fn the_file_size_limit_is_an_error_and_ends_no_process() {
    if !in_child("os::space::tests::the_file_size_limit_is_an_error_and_ends_no_process") {
        return;
    }
    const LIMIT: u64 = 1 << 20;
    let all = files();
    let longer = tempfile::tempfile_in("/dev/shm").unwrap();
    longer.set_len(2 * LIMIT).unwrap();
    setrlimit(Resource::Fsize, Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) }).unwrap();
    for file in &all {
        for result in [reserve(file, 0, LIMIT + 1), reserve_fresh(file, LIMIT, LIMIT + PAGE)] {
            assert!(matches!(result, Err(ReserveError::FileSizeLimit { limit: LIMIT })));
        }
        let error = write_zeros(file, 0, LIMIT + 1).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::FBIG));
        assert_eq!((reserved(file).unwrap(), file::status(file).unwrap().len), (0, 0));
        reserve(file, 0, LIMIT).unwrap();
    }
    // What is there already can be reserved, but not be written to.
    reserve(&longer, LIMIT, 2 * LIMIT).unwrap();
    assert!(matches!(reserve(&longer, 0, 2 * LIMIT + 1), Err(ReserveError::FileSizeLimit { .. })));
    assert!(write_zeros(&longer, 0, 2 * LIMIT).is_err());
}

/// The directory of a test that runs in a child: both processes know it.
fn directory(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("splinter-space-{name}"))
}

#[test]
fn a_full_tmpfs_is_an_error_and_what_was_there_stays() {
    let directory = directory("full");
    fs::create_dir_all(&directory).unwrap();
    let mount = format!("mount -t tmpfs -o size=1m none '{}'", directory.display());
    if !in_child_with_mounts("os::space::tests::a_full_tmpfs_is_an_error_and_what_was_there_stays", &mount) {
        let _ = fs::remove_dir(&directory);
        return;
    }
    let [file, other] = ["file", "other"].map(|name| file::create(&directory.join(name), 0).unwrap());
    reserve(&other, 0, 512 << 10).unwrap();
    reserve(&file, 0, 64 << 10).unwrap();
    file.write_all_at(b"abc", 0).unwrap();
    let free = available(&file).unwrap();
    assert_eq!(free, (512 - 64) << 10);
    // Begins in pages that are reserved and that were never written.
    for from in [0, 4 * PAGE, 15 * PAGE] {
        assert!(matches!(reserve(&file, from, 600 << 10), Err(ReserveError::NoSpace(_))));
        assert_eq!(reserved(&file).unwrap(), 64 << 10);
    }
    assert!(matches!(reserve_fresh(&file, 64 << 10, 600 << 10), Err(ReserveError::NoSpace(_))));
    assert_eq!(available(&file).unwrap(), free);
    reserve(&file, 64 << 10, 512 << 10).unwrap();
    assert_eq!(available(&file).unwrap(), 0);
    // Nothing is left, but what is reserved can be written, also through a mapping. A hole
    // cannot: an access would be SIGBUS.
    file.write_all_at(&[7; 256 << 10], 0).unwrap();
    file.set_len(1 << 20).unwrap();
    let window = Mapping::window(&file, 0, 1 << 30).unwrap();
    assert_eq!(window.populate_range(0, 512 << 10).unwrap(), Populated::All);
    for at in [512 << 10, 1 << 20] {
        let error = window.populate_range(at, 1).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::FAULT));
    }
    assert_eq!(read_at(&file, &mut [0; 4096], 512 << 10).unwrap(), 4096);
    assert_eq!(reserved(&file).unwrap(), 512 << 10);
    let error = other.write_all_at(b"a", 512 << 10).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    // Of a private range nothing stays, also if a part of it was reserved before.
    assert!(matches!(reserve_fresh(&file, 256 << 10, 600 << 10), Err(ReserveError::NoSpace(_))));
    assert_eq!(available(&file).unwrap(), 256 << 10);
    assert_eq!(content(&file)[..256 << 10], [7; 256 << 10]);
}

/// The figures are those of ext4: a failed call keeps what it has reserved so far.
#[test]
#[ignore = "mounts a loop device, which needs the real root"]
fn what_ext4_keeps_of_a_failed_reservation_is_given_back() {
    let directory = directory("ext4");
    fs::create_dir_all(&directory).unwrap();
    let directory = directory.display().to_string();
    let mount = format!(
        "truncate -s 32m '{directory}.img' && mkfs.ext4 -q -m 0 '{directory}.img' && \
         mount -o loop '{directory}.img' '{directory}'"
    );
    const NAME: &str = "os::space::tests::what_ext4_keeps_of_a_failed_reservation_is_given_back";
    if !in_child_with_mounted_devices(NAME, &mount) {
        fs::remove_dir(&directory).unwrap();
        fs::remove_file(format!("{directory}.img")).unwrap();
        return;
    }
    let file = file::create(&Path::new(&directory).join("file"), 0).unwrap();
    reserve(&file, 0, 64 << 10).unwrap();
    file.write_all_at(&[7; 64 << 10], 0).unwrap();
    file.sync_all().unwrap();
    let (before, free) = (reserved(&file).unwrap(), available(&file).unwrap());
    assert!(matches!(reserve(&file, 1 << 20, 64 << 20), Err(ReserveError::NoSpace(_))));
    let kept = reserved(&file).unwrap() - before;
    println!("free {free}, kept {kept}, then free {}", available(&file).unwrap());
    assert!(kept > free / 2);
    assert!(matches!(reserve_fresh(&file, 1 << 20, 64 << 20), Err(ReserveError::NoSpace(_))));
    println!("given back: {} in use, {before} before", reserved(&file).unwrap());
    assert!(reserved(&file).unwrap() - before <= 2 * PAGE);
    assert!(available(&file).unwrap() + (1 << 20) > free);
    assert_eq!(content(&file)[..64 << 10], [7; 64 << 10]);
}
