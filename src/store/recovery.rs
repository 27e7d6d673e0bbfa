//! The report of a recovery.

/// What was found when a store in a file was opened after the machine had stopped, after its last
/// participants were killed, or as a copy.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::Store;
///
/// # let directory = tempfile::tempdir()?;
/// let original = directory.path().join("original");
/// let store = Store::create(&original)?;
/// store.set("k", b"v")?;
/// assert!(store.recovery().is_none());
///
/// let copy = directory.path().join("copy");
/// std::fs::copy(&original, &copy)?;
/// let copy = Store::open(&copy)?;
/// assert_eq!(copy.recovery().unwrap().keys, 1);
/// assert_eq!(copy.get("k")?.as_deref(), Some(&b"v"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// The number of keys in the store.
    pub keys: u32,
    /// Keys whose newest value was damaged, and that have an older value now, under a version of
    /// its own. Sorted. Work queues are not among them: an older value would be a job that may be
    /// done already.
    pub older: Vec<String>,
    /// Keys all of whose values were damaged: reading them is an error until they are set. Sorted.
    pub lost: Vec<String>,
    /// Work queues that may have lost jobs. Sorted by key. Jobs that are not counted here are
    /// there, with their attempts and acknowledgements as far as those were on the disk: a job that
    /// was finished since the last flush may come again.
    pub jobs: Vec<UnprovenJobs>,
}

/// How many jobs of a work queue a recovery could not prove. The two numbers count different jobs.
/// Their sum is the largest number of jobs that can have been lost, of all jobs of which the file
/// has a trace.
///
/// Both may count jobs that were done, but whose acknowledgement did not reach the disk. A queue
/// whose last jobs were [flushed](super::Store::flush) has no missing jobs.
///
/// # Examples
///
/// ```
/// use splinter_bus::Bus;
///
/// # let directory = tempfile::tempdir()?;
/// let (original, copy) = (directory.path().join("original"), directory.path().join("copy"));
/// let bus: Bus<Vec<u8>> = Bus::create(original.as_path())?;
/// let queue = bus.work_queue("jobs")?;
/// bus.publish("jobs", &b"a long letter".to_vec())?;
/// let mut image = std::fs::read(&original)?;
/// let at = image.windows(6).position(|bytes| bytes == b"letter").unwrap();
/// image[at] = b'b';
/// std::fs::write(&copy, &image)?;
///
/// let bus: Bus<Vec<u8>> = Bus::open(copy.as_path())?;
/// let jobs = &bus.store().recovery().unwrap().jobs;
/// assert_eq!((jobs[0].key.as_str(), jobs[0].damaged, jobs[0].missing), ("jobs", 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct UnprovenJobs {
    /// The key of the queue.
    pub key: String,
    /// Jobs whose cell is there, is not marked as done, and fails its checksum.
    pub damaged: u32,
    /// Jobs that were published after the last flush, and before others of which there is a trace,
    /// and are in no cell. At most this many of them can have been waiting.
    pub missing: u32,
}
