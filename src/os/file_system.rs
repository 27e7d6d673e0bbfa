//! Which file systems hold stores, and which cannot.
//!
//! A store needs a single kernel that has all pages of the file and all locks on it. If other
//! machines can change the files of a file system, each machine maps its own copy of a page, and
//! locks may not be shared. Such file systems are refused, even if only one machine uses the file
//! today: nothing would report that a second one begins to.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Dev, StatFs, fstat, fstatfs, major, minor, stat, statfs};

/// `f_type` of tmpfs, from `linux/magic.h`.
pub(super) const TMPFS_MAGIC: u32 = 0x0102_1994;
/// `f_type` of everything that a process serves through FUSE, and of virtiofs.
const FUSE_SUPER_MAGIC: u32 = 0x6573_5546;

/// File systems whose files other machines can change, by `f_type`: from `linux/magic.h`,
/// statfs(2), and the sources of those that are not part of the kernel.
const SHARED_WITH_OTHER_MACHINES: &[(u32, &str)] = &[
    // Network file systems.
    (0x0000_6969, "NFS"),
    (0x0000_517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x00C3_6400, "Ceph"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0000_564C, "NCP"),
    // Cluster file systems: several machines on one disk, or one file on several machines.
    (0x0BD0_0BD0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636F, "OCFS2"),
    (0x2003_0528, "OrangeFS"),
    (0x1983_0326, "BeeGFS"),
    (0x4750_4653, "GPFS"),
    (0xAAD7_AAEA, "PanFS"),
    (0xBEEF_DEAD, "StorNext"),
    (0x6163_6673, "ACFS"),
    (0x0131_11A8, "IBRIX"),
    (0x1803_1977, "WekaFS"),
    // Folders of the host, as its virtual machines see them.
    (0x0102_1997, "9p"),
    (0x786F_4256, "vboxsf"),
    (0xBACB_ACBC, "vmhgfs"),
    (0x7C7C_6673, "prl_fs"),
];

/// What FUSE serves for other machines, by the type in the table of mounts. The rest of FUSE
/// (ntfs-3g, fuse-overlayfs, gocryptfs) is local: this kernel has the only copy of each page.
const SHARED_BY_FUSE: &[&str] = &[
    "virtiofs",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.ceph-fuse",
    "fuse.cephfs",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.juicefs",
    "fuse.davfs",
    "fuse.curlftpfs",
    "fuse.gcsfuse",
    "fuse.goofys",
    "fuse.mount-s3",
    "fuse.moosefs",
    "fuse.mfs",
    "fuse.seaweedfs",
    "fuse.smbnetfs",
    "fuse.vmhgfs-fuse",
    "fuse.grpcfuse",
];

/// The name of the file system that this file is on, if other machines can change its files.
///
/// `None` also if the kernel does not say: a sandbox may refuse `statfs`, and nearly all file
/// systems are local.
pub(crate) fn shared_with_other_machines(file: &File) -> Option<String> {
    name_if_shared(kind(&fstatfs(file).ok()?), || type_of_mount(fstat(file).ok()?.st_dev))
}

/// As [`shared_with_other_machines`], for files that are created in this directory.
pub(crate) fn directory_is_shared_with_other_machines(directory: &Path) -> Option<String> {
    name_if_shared(kind(&statfs(directory).ok()?), || type_of_mount(stat(directory).ok()?.st_dev))
}

/// Whether the file is on a tmpfs.
pub(super) fn is_tmpfs(file: &File) -> bool {
    fstatfs(file).is_ok_and(|found| kind(&found) == TMPFS_MAGIC)
}

/// The lower 32 bits of `f_type`, a field whose width and sign depend on the machine.
fn kind(found: &StatFs) -> u32 {
    found.f_type as u32
}

/// The type of the file system with this device number, as the table of mounts has it.
fn type_of_mount(device: Dev) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounted_type(&mounts, (major(device), minor(device))).map(str::to_owned)
}

fn name_if_shared(kind: u32, mounted_type: impl FnOnce() -> Option<String>) -> Option<String> {
    if kind == FUSE_SUPER_MAGIC {
        return mounted_type().filter(|name| SHARED_BY_FUSE.contains(&name.as_str()));
    }
    SHARED_WITH_OTHER_MACHINES.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| (*name).to_owned())
}

/// Finds the type of the file system with this device number in the text of `/proc/self/mountinfo`:
/// see proc_pid_mountinfo(5).
fn mounted_type(mounts: &str, (major, minor): (u32, u32)) -> Option<&str> {
    let device = format!("{major}:{minor}");
    mounts.lines().find_map(|line| {
        // "36 35 98:0 /root /mount rw,noatime shared:1 - ext3 /dev/sda rw": any number of tags
        // stand before the dash.
        let (before, after) = line.split_once(" - ")?;
        (before.split(' ').nth(2)? == device).then(|| after.split(' ').next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `statfs` gives them for file systems that are local, from `linux/magic.h`.
    const LOCAL: &[(u32, &str)] = &[
        (TMPFS_MAGIC, "tmpfs"),
        (0xEF53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683E, "btrfs"),
        (0x2FC1_2FC1, "zfs"),
        (0x794C_7630, "overlayfs"),
        (0x8584_58F6, "ramfs"),
        (0x4D44, "vfat"),
        (0xF2F5_2010, "f2fs"),
        (0xCA45_1A4E, "bcachefs"),
    ];

    #[test]
    fn a_file_system_is_refused_if_other_machines_can_change_its_files() {
        for &(kind, name) in SHARED_WITH_OTHER_MACHINES {
            assert_eq!(name_if_shared(kind, || unreachable!()).as_deref(), Some(name));
        }
        for &(kind, name) in LOCAL {
            assert_eq!(name_if_shared(kind, || unreachable!()), None, "{name}");
        }
    }

    #[test]
    fn of_fuse_the_table_of_mounts_says_what_it_serves() {
        const MOUNTS: &str = "\
            27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            41 27 0:45 / /mnt/far rw,nosuid shared:7 master:2 - fuse.sshfs somebody@far:/ rw,user_id=1000\n\
            42 27 0:46 / /mnt/host\\040files rw - virtiofs share rw\n\
            43 27 0:47 /part /mnt/disk rw,noatime shared:9 - fuseblk /dev/sdb1 rw\n\
            44 27 0:48 / /var/lib/c - \n";
        let found = |device| name_if_shared(FUSE_SUPER_MAGIC, || mounted_type(MOUNTS, device).map(str::to_owned));
        assert_eq!(found((0, 45)).as_deref(), Some("fuse.sshfs"));
        assert_eq!(found((0, 46)).as_deref(), Some("virtiofs"));
        assert_eq!(found((0, 47)), None, "a local disk");
        assert_eq!(found((0, 48)), None, "a line that makes no sense");
        assert_eq!(found((0, 4)), None, "a device that is not there");
        assert_eq!(mounted_type(MOUNTS, (254, 0)), Some("ext4"));
    }

    #[test]
    fn the_file_systems_of_this_machine_are_known() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        assert!(is_tmpfs(&file));
        assert_eq!(shared_with_other_machines(&file), None);
        let file = File::open("/proc/self/mountinfo").unwrap();
        assert!(!is_tmpfs(&file));
        // What the kernel says of a file is found in its own table.
        assert_eq!(type_of_mount(fstat(&file).unwrap().st_dev).as_deref(), Some("proc"));
    }
}
