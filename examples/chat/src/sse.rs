//! Parses a stream of server-sent events.
//!
//! It works on bytes: the network may split a character between two reads.

use std::io::{self, BufRead};

/// One event: the lines between two blank lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// The `event:` field; `message` if there is none.
    pub(crate) name: String,
    /// The `data:` lines, joined with line feeds.
    pub(crate) data: String,
}

/// Why no further event could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventError {
    #[error("event too long: more than {limit} bytes; does the server use the event-stream protocol?")]
    TooLong { limit: usize },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An iterator over the events of a stream. It ends at the end of the stream or after the first
/// error. An incomplete event at the end is ignored.
///
/// Older versions of llama.cpp report a failure in an `error:` field, which the format does not
/// define. It becomes an event with this name.
pub(crate) struct Events<R> {
    reader: R,
    limit: usize,
    line: Vec<u8>,
    started: bool,
    after_carriage_return: bool,
    finished: bool,
}

impl<R: BufRead> Events<R> {
    /// `limit` is the maximum length in bytes of a line and of the data of one event.
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self { reader, limit, line: Vec::new(), started: false, after_carriage_return: false, finished: false }
    }

    /// Reads the next line into `self.line`, without its line end. Returns `false` at the end of
    /// the stream, also if the last line is incomplete.
    fn read_line(&mut self) -> Result<bool, EventError> {
        self.line.clear();
        loop {
            let available = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if available.is_empty() {
                return Ok(false);
            }
            // A line may end with CR LF, and the LF may arrive late. So the line is complete at the
            // CR, and a following LF is skipped.
            if std::mem::take(&mut self.after_carriage_return) && available[0] == b'\n' {
                self.reader.consume(1);
                continue;
            }
            let end = available.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let length = end.unwrap_or(available.len());
            if self.line.len() + length > self.limit {
                return Err(EventError::TooLong { limit: self.limit });
            }
            self.line.extend_from_slice(&available[..length]);
            match end {
                Some(end) => {
                    self.after_carriage_return = available[end] == b'\r';
                    self.reader.consume(end + 1);
                    return Ok(true);
                }
                None => self.reader.consume(length),
            }
        }
    }

    fn read_event(&mut self) -> Result<Option<Event>, EventError> {
        let mut name = None;
        let mut data: Option<Vec<u8>> = None;
        while self.read_line()? {
            let mut line = &self.line[..];
            if !std::mem::replace(&mut self.started, true) {
                line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
            }
            if line.is_empty() {
                if let Some(data) = data.take() {
                    return Ok(Some(Event { name: name.unwrap_or_else(|| "message".to_owned()), data: text(&data) }));
                }
                name = None;
                continue;
            }
            let (field, value) = split_field(line);
            match field {
                b"data" | b"error" => {
                    let data = match &mut data {
                        Some(data) => {
                            data.push(b'\n');
                            data
                        }
                        None => data.insert(Vec::new()),
                    };
                    if data.len() + value.len() > self.limit {
                        return Err(EventError::TooLong { limit: self.limit });
                    }
                    data.extend_from_slice(value);
                    if field == b"error" {
                        name = Some("error".to_owned());
                    }
                }
                b"event" => name = Some(text(value)),
                _ => {}
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = Result<Event, EventError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let event = self.read_event().transpose();
        self.finished = !matches!(event, Some(Ok(_)));
        event
    }
}

/// Splits `field: value`; a comment line has an empty field.
fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|&byte| byte == b':') {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, b""),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Read};

    /// A reader that returns one byte at a time, the worst case of a network.
    struct ByteByByte<'a>(&'a [u8]);

    impl Read for ByteByByte<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn events(stream: impl AsRef<[u8]>) -> Vec<(String, String)> {
        let stream = stream.as_ref();
        let at_once: Vec<Event> = Events::new(stream, 100).map(Result::unwrap).collect();
        let byte_by_byte: Vec<Event> =
            Events::new(BufReader::new(ByteByByte(stream)), 100).map(Result::unwrap).collect();
        assert_eq!(at_once, byte_by_byte);
        at_once.into_iter().map(|event| (event.name, event.data)).collect()
    }

    fn data(stream: impl AsRef<[u8]>) -> Vec<String> {
        events(stream).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn the_space_after_the_colon_is_optional() {
        assert_eq!(data("data: one\n\ndata:two\n\ndata:  three\n\n"), ["one", "two", " three"]);
    }

    #[test]
    fn data_lines_of_one_event_are_joined() {
        assert_eq!(data("data: a\ndata\ndata: b\n\n"), ["a\n\nb"]);
    }

    #[test]
    fn all_line_ends_are_accepted() {
        assert_eq!(data("data: a\r\n\r\ndata: b\r\rdata: c\n\n"), ["a", "b", "c"]);
        assert_eq!(data("data: a\r\ndata: b\r\n\r\n"), ["a\nb"]);
    }

    #[test]
    fn comments_and_unknown_fields_are_skipped() {
        assert_eq!(data(": keepalive\n\nid: 7\nretry: 10\ndata: a\n: more\n\n:\n\n"), ["a"]);
    }

    #[test]
    fn the_event_field_sets_the_name() {
        assert_eq!(
            events("event: error\ndata: bad\n\ndata: good\n\nevent: lost\n\ndata: c\n\n"),
            [("error", "bad"), ("message", "good"), ("message", "c")]
                .map(|(name, data)| (name.to_owned(), data.to_owned()))
        );
    }

    #[test]
    fn an_error_field_is_an_error_event() {
        assert_eq!(events("error: {\"code\":500}\n\n"), [("error".to_owned(), "{\"code\":500}".to_owned())]);
    }

    #[test]
    fn a_character_split_between_reads_is_preserved() {
        assert_eq!(data("data: søt 🚲\n\n"), ["søt 🚲"]);
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        assert_eq!(data(b"data: a\xffb\n\n"), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_only_at_the_start() {
        assert_eq!(data("\u{feff}data: a\n\ndata: \u{feff}b\n\n"), ["a", "\u{feff}b"]);
    }

    #[test]
    fn an_incomplete_event_at_the_end_is_ignored() {
        assert_eq!(data("data: a\n\ndata: b\n"), ["a"]);
        assert_eq!(data("data: a\n\ndata: b"), ["a"]);
        assert_eq!(data(""), Vec::<String>::new());
    }

    #[test]
    fn an_endless_line_is_an_error() {
        let endless = BufReader::new(io::repeat(b'x'));
        let mut events = Events::new(endless, 1000);
        assert!(matches!(events.next(), Some(Err(EventError::TooLong { limit: 1000 }))));
        assert!(events.next().is_none());
    }

    #[test]
    fn an_endless_event_is_an_error() {
        let stream = "data: 0123456789\n".repeat(100);
        let mut events = Events::new(stream.as_bytes(), 1000);
        assert!(matches!(events.next(), Some(Err(EventError::TooLong { limit: 1000 }))));
    }
}
