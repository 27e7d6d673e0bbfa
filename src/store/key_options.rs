//! The options of a key: its shape, chosen when it is created.

use super::error::ShapeError;
use crate::core::memory::records::HEADER_CURSORS;
use crate::core::place::Places;
use crate::core::ring::MIN_FILE_CELLS;
use crate::core::shape::{MAX_CURSORS, MAX_HISTORY, Shape};

/// The options of a key that is created.
///
/// Nothing has to be chosen. The process that creates the key decides; for a key that exists, an
/// option that asks for more than the key has is an error, and all else is ignored. The options of a
/// key end with it: a key that is removed and created again may have others.
///
/// Addresses are divided by the number of cells (`history + spare`). So more cells mean a smaller
/// maximum for one value: 42.6 MiB with the 24 cells of the default, 3.9 MiB with 256, 64 KiB with
/// 8,192. [`Slot::max_len`](super::Slot::max_len) says it for a key.
///
/// Space is taken as cells are used: a key that was set once takes some 4.5 KiB, whatever its options.
///
/// | history + spare | all cells used, with short values |
/// | --- | ---: |
/// | 1 + 1 | 4 KiB |
/// | 4 + 4 | 12 KiB |
/// | 16 + 8, the default | 28 KiB |
/// | 100 + 8 | 117 KiB |
/// | 240 + 16, the default of work queues | 272 KiB |
/// | 1,000 + 8 | 1,072 KiB |
/// | 4,096 + 8 | 4,364 KiB |
///
/// Long values take their lengths in addition: see `docs/memory.md` in the repository.
///
/// *Errors* are those of the call that is given the options, with a [`ShapeError`] in it: a number out of
/// range; more cells than rings of this store have room for (8,192 with up to 4,096 slots); so many cells
/// that the span has no room for their places; or a key that exists with less.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// use splinter_bus::store::KeyOptions;
///
/// # let name = format!("splinter-doc-key-options-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let log = store.slot_with("log", &KeyOptions::new().history(500).lossless(20))?;
/// assert!(log.max_len() > 1_000_000);
/// // A caller that asks for nothing takes what there is; one that asks for more is refused.
/// assert!(store.slot("log").is_ok());
/// assert!(store.slot_with("log", &KeyOptions::new().history(501)).is_err());
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct KeyOptions {
    history: Option<u32>,
    spare: Option<u32>,
    lossless: Option<u32>,
    is_queue: bool,
}

/// What a key has if its creator asks for nothing: history, spare, cursors.
const DEFAULT: [u32; 3] = [16, 8, HEADER_CURSORS as u32];
/// The same for a work queue, whose history is what waits.
const DEFAULT_OF_QUEUES: [u32; 3] = [240, 16, HEADER_CURSORS as u32];

impl KeyOptions {
    /// No option: 16 values of history, 8 spare cells, 8 lossless subscribers; for a work queue, 240
    /// and 16.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many of the newest values stay readable: 1 to 4,096; by default 16.
    ///
    /// Publishers overwrite the oldest value first. They overwrite history only when they find no
    /// other cell, or no space. Each cell takes 64 bytes and the store's inline size once it is used,
    /// and a value that is longer takes its length, too.
    ///
    /// If nothing is asked for, less history is kept of values that are longer than 256 KiB: about
    /// 4 MiB, and the newest value at least. What is asked for is kept of long values, too: 17 values of
    /// 10 MiB, with `history(16)`, take 170 MiB, and without it 20 MiB.
    ///
    /// *Change it* to more for subscribers that are slow or come late, and to less for keys of which only
    /// the newest value counts. A work queue needs as much as jobs may wait; by default 240.
    pub fn history(mut self, values: u32) -> Self {
        self.history = Some(values);
        self
    }

    /// How many cells there are beyond history, for publishers at work, pinned values and loans: 1 to
    /// 4,096; by default 8, and 16 for a work queue. A key in a file has four cells in all at least.
    ///
    /// *Change it* to more if there are more publishers at once, or if samples and loans are held for
    /// long. Each of them holds a cell; when all spare cells are held, publishers overwrite history, and
    /// then get [`SetError::Backpressure`](super::SetError::Backpressure).
    pub fn spare(mut self, cells: u32) -> Self {
        self.spare = Some(cells);
        self
    }

    /// How many lossless subscribers the key can have at the same time: 1 to 1,024; by default 8.
    /// More than 8 take 8 KiB, when the key is created.
    ///
    /// One more than there is room for gets
    /// `SubscribeError::TooManyLossless`.
    pub fn lossless(mut self, subscribers: u32) -> Self {
        self.lossless = Some(subscribers);
        self
    }

    /// The same options, for a key that is declared a work queue if it is created.
    pub(crate) fn of_queue(mut self) -> Self {
        self.is_queue = true;
        self
    }

    /// These options, and those of `defaults` where nothing was asked for.
    pub(crate) fn or(self, defaults: &Self) -> Self {
        Self {
            history: self.history.or(defaults.history),
            spare: self.spare.or(defaults.spare),
            lossless: self.lossless.or(defaults.lossless),
            is_queue: self.is_queue || defaults.is_queue,
        }
    }

    /// How many cells a key with these options has, in a store that has room for them.
    pub(crate) fn cells(&self) -> u32 {
        let [history, spare, _] = if self.is_queue { DEFAULT_OF_QUEUES } else { DEFAULT };
        self.history.unwrap_or(history).saturating_add(self.spare.unwrap_or(spare)).max(MIN_FILE_CELLS)
    }

    /// The shape of a key that is created.
    pub(crate) fn shape(&self, in_a_file: bool, max_cells: u32, span: u64) -> Result<Shape, ShapeError> {
        for (what, value, max) in [
            ("history", self.history, MAX_HISTORY),
            ("spare", self.spare, MAX_HISTORY),
            ("lossless", self.lossless, MAX_CURSORS),
        ] {
            if let Some(value) = value.filter(|value| !(1..=max).contains(value)) {
                return Err(ShapeError::OutOfRange { what, value, max });
            }
        }
        let [history, spare, cursors] = if self.is_queue { DEFAULT_OF_QUEUES } else { DEFAULT };
        let history = self.history.unwrap_or(history);
        let spare = self.spare.unwrap_or(spare).max(if in_a_file { MIN_FILE_CELLS.saturating_sub(history) } else { 1 });
        // A queue that nobody sized takes what there is room for.
        let history = if self.is_queue && self.history.is_none() {
            let room = Places::max_cells(span).min(max_cells);
            history.min(room.saturating_sub(spare)).max(1)
        } else {
            history
        };
        if history + spare > max_cells {
            return Err(ShapeError::TooManyCells { cells: history + spare, max: max_cells });
        }
        if Places::new(history + spare, span).max_len() == 0 {
            let cells = history + spare;
            return Err(ShapeError::SpanTooSmall { cells, needed: Places::min_span(cells), span });
        }
        let cursors = self.lossless.unwrap_or(cursors).max(HEADER_CURSORS as u32);
        Ok(Shape { history, spare, cursors, keeps_long_values: self.history.is_some() })
    }

    /// Whether a key of this shape has all that is asked for.
    pub(crate) fn check(&self, key: &str, shape: Shape) -> Result<(), ShapeError> {
        let has_less = |asked: Option<u32>, has: u32| asked.is_some_and(|asked| asked > has);
        if has_less(self.history, shape.history)
            || has_less(self.spare, shape.spare)
            || has_less(self.lossless, shape.cursors)
        {
            return Err(ShapeError::Smaller {
                key: key.to_owned(),
                asked: [self.history, self.spare, self.lossless],
                has: [shape.history, shape.spare, shape.cursors],
            });
        }
        Ok(())
    }
}

/// How many cells and lossless subscribers a key has.
///
/// # Examples
///
/// See [`Slot::shape`](super::Slot::shape).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KeyShape {
    /// How many of the newest values stay readable.
    pub history: u32,
    /// Cells beyond those.
    pub spare: u32,
    /// How many lossless subscribers the key can have at the same time.
    pub lossless: u32,
}

impl KeyShape {
    /// How many cells the key has.
    #[must_use]
    pub fn cells(&self) -> u32 {
        self.history + self.spare
    }
}

impl From<Shape> for KeyShape {
    fn from(shape: Shape) -> Self {
        Self { history: shape.history, spare: shape.spare, lossless: shape.cursors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn options_become_a_shape_or_an_error_with_the_numbers() {
        let shape = |options: KeyOptions| options.shape(false, 8192, GIB);
        let default = shape(KeyOptions::new()).unwrap();
        assert_eq!((default.history, default.spare, default.cursors, default.keeps_long_values), (16, 8, 8, false));
        assert_eq!(shape(KeyOptions::new().of_queue()).unwrap().cells(), 256);
        assert!(shape(KeyOptions::new().history(3)).unwrap().keeps_long_values);
        for (options, text) in [
            (KeyOptions::new().history(0), "history of 0"),
            (KeyOptions::new().spare(4097), "spare of 4097"),
            (KeyOptions::new().lossless(1025), "lossless of 1025"),
        ] {
            let error = shape(options).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
        assert!(matches!(
            KeyOptions::new().history(100).shape(false, 90, GIB),
            Err(ShapeError::TooManyCells { cells: 108, max: 90 })
        ));
        assert!(matches!(
            KeyOptions::new().history(100).shape(false, 8192, 2 << 20),
            Err(ShapeError::SpanTooSmall { .. })
        ));
        assert_eq!(KeyOptions::new().history(1).spare(1).shape(true, 90, GIB).unwrap().cells(), MIN_FILE_CELLS);
        assert_eq!(KeyOptions::new().of_queue().shape(false, 90, GIB).unwrap().cells(), 90);
    }

    #[test]
    fn a_queue_that_nobody_sized_takes_what_there_is_room_for_and_one_value_at_least() {
        // The smallest span has addresses for 30 cells.
        let shape = KeyOptions::new().of_queue().shape(false, 8192, 2 << 20).unwrap();
        assert_eq!((shape.history, shape.spare), (14, 16));
        for spare in [90, 91, 4096] {
            let shape = KeyOptions::new().spare(spare).of_queue().shape(false, 90, GIB);
            assert!(matches!(shape, Err(ShapeError::TooManyCells { max: 90, .. })), "{spare}: {shape:?}");
        }
        let shape = KeyOptions::new().spare(89).of_queue().shape(false, 90, GIB).unwrap();
        assert_eq!((shape.history, shape.spare), (1, 89));
    }

    #[test]
    fn a_key_that_exists_is_refused_only_to_those_who_ask_for_more() {
        let shape = KeyOptions::new().history(10).shape(false, 8192, GIB).unwrap();
        assert_eq!(KeyOptions::new().check("k", shape), Ok(()));
        assert_eq!(KeyOptions::new().history(10).spare(1).check("k", shape), Ok(()));
        let error = KeyOptions::new().history(11).check("k", shape).unwrap_err().to_string();
        assert!(error.contains("11") && error.contains("10"), "{error}");
    }
}
