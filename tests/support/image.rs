//! Images of sparse files: their pages that are not zero.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::SeekFrom;

use super::Random;

pub const PAGE: usize = 4096;

/// The content of a file. It may be many gigabytes long, with few pages that are not zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    pub len: u64,
    /// The pages that are not zero, by their numbers.
    pub pages: BTreeMap<u64, Arc<[u8; PAGE]>>,
}

impl Image {
    pub fn read(path: impl AsRef<Path>) -> Self {
        let file = File::open(path).expect("a file");
        let mut image = Self { len: file.metadata().expect("a status").len(), pages: BTreeMap::new() };
        let mut at = 0;
        while let Ok(from) = rustix::fs::seek(&file, SeekFrom::Data(at)) {
            let to = rustix::fs::seek(&file, SeekFrom::Hole(from)).unwrap_or(image.len).min(image.len);
            for number in from / PAGE as u64..to.div_ceil(PAGE as u64) {
                let mut page = [0; PAGE];
                let end = (image.len - number * PAGE as u64).min(PAGE as u64) as usize;
                file.read_exact_at(&mut page[..end], number * PAGE as u64).expect("a page");
                image.put(number, Arc::new(page));
            }
            at = to.max(from + 1);
        }
        image
    }

    /// Writes a sparse file.
    pub fn write(&self, path: impl AsRef<Path>) {
        let file = File::create(path).expect("a new file");
        file.set_len(self.len).expect("a long file");
        for (number, page) in &self.pages {
            let at = number * PAGE as u64;
            if at < self.len {
                file.write_all_at(&page[..(self.len - at).min(PAGE as u64) as usize], at).expect("space");
            }
        }
    }

    fn put(&mut self, number: u64, page: Arc<[u8; PAGE]>) {
        if page.iter().all(|&byte| byte == 0) {
            self.pages.remove(&number);
        } else {
            self.pages.insert(number, page);
        }
    }

    /// An image in which each page, and the length, is from one of these moments.
    pub fn mix(moments: &[&Self], random: &mut Random) -> Self {
        let mut choose = || moments[random.below(moments.len() as u64) as usize];
        let mut image = Self { len: choose().len, pages: BTreeMap::new() };
        let numbers: BTreeSet<u64> = moments.iter().flat_map(|moment| moment.pages.keys().copied()).collect();
        for number in numbers {
            image.copy_page(number, choose());
        }
        image.pages.retain(|&number, _| number * (PAGE as u64) < image.len);
        image
    }

    /// The page of this number as in another image.
    pub fn copy_page(&mut self, number: u64, from: &Self) {
        match from.pages.get(&number) {
            Some(page) => self.put(number, page.clone()),
            None => {
                self.pages.remove(&number);
            }
        }
    }

    pub fn bytes(&self, range: Range<u64>) -> Vec<u8> {
        let byte = |at: u64| self.pages.get(&(at / PAGE as u64)).map_or(0, |page| page[at as usize % PAGE]);
        range.map(byte).collect()
    }

    pub fn set_bytes(&mut self, at: u64, bytes: &[u8]) {
        for (at, &byte) in (at..).zip(bytes) {
            let page = self.pages.entry(at / PAGE as u64).or_insert_with(|| Arc::new([0; PAGE]));
            Arc::make_mut(page)[at as usize % PAGE] = byte;
        }
    }

    pub fn word(&self, at: u64) -> u64 {
        u64::from_ne_bytes(self.bytes(at..at + 8).try_into().expect("8 bytes"))
    }

    /// Where these bytes occur. They are not all zero, and may be in two neighbouring pages.
    pub fn find(&self, bytes: &[u8]) -> Vec<u64> {
        let mut found = Vec::new();
        for &number in self.pages.keys() {
            let start = number * PAGE as u64;
            // The first page of a run of neighbours finds what begins in it. What begins in a page of
            // zeros before it does not matter: no value begins with so many zeros.
            let window = self.bytes(start..start + (PAGE + bytes.len() - 1) as u64);
            let hits = (0..PAGE).filter(|&at| window[at..].starts_with(bytes));
            found.extend(hits.map(|at| start + at as u64));
        }
        found
    }

    /// Whether these bytes occur anywhere.
    pub fn contains(&self, bytes: &[u8]) -> bool {
        !self.find(bytes).is_empty()
    }
}

/// How many bytes of space a file takes.
pub fn space_of(path: impl AsRef<Path>) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).expect("a file").blocks() * 512
}
