//! crossbar: topics with rings of blocks, or the one block that "pinned" mode uses again and again, which is its fastest; of typed values,
//! and losslessly, a `PodBus`.
//!
//! Pinned mode refuses to publish while somebody reads, so its sender tries again.

use std::hint;

use anyhow::{Context, Result};
use crossbar::error::Error;
use crossbar::{BusSubscriber, Config, PodBus, Publisher, Stream, Subscriber, Topic, WaitStrategy};

use crate::peer::{self, Blank, Channel, Job, Kind, Peer};

/// By blocks that are used in turn, or by one that is pinned to its topic.
pub(crate) struct Crossbar<const PINNED: bool>;

/// The messages that a lossless bus has room for.
const BACKLOG: usize = 64;

/// Of values of some size.
type Publish = Box<dyn FnMut(&[u8])>;
type Receive = Box<dyn FnMut(&mut Vec<u8>) -> bool>;

pub(crate) enum Sender<const PINNED: bool> {
    Topics(Box<Publisher>, Vec<Topic>),
    Lossless(Publish),
}

pub(crate) enum Receiver<const PINNED: bool> {
    Topics { streams: Vec<Stream>, _region: Subscriber },
    Lossless { sources: Vec<Receive>, turn: usize },
}

fn region(session: &str, channel: Channel) -> String {
    format!("{session}-{}", channel.name())
}

fn config(job: Job) -> Config {
    let topics = job.keys as u32;
    let ring_depth = if job.kind == Kind::Newest { 2 } else { 8 };
    Config {
        max_topics: topics,
        ring_depth,
        block_count: topics * ring_depth + 8,
        block_size: (job.size as u32 + 8).next_multiple_of(64),
        ..Config::default()
    }
}

fn lossless_sender<const WORDS: usize>(name: &str) -> Result<Publish> {
    let mut bus = PodBus::<[u64; WORDS]>::create_bounded(name, BACKLOG, 1)?;
    Ok(Box::new(move |message| {
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(message.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        bus.publish(words);
    }))
}

fn lossless_receiver<const WORDS: usize>(name: &str) -> Result<Receive> {
    let mut bus = BusSubscriber::<[u64; WORDS]>::connect(name)?;
    Ok(Box::new(move |into| {
        let Some(words) = bus.try_recv() else { return false };
        into.resize(8 * WORDS, 0);
        for (word, bytes) in words.iter().zip(into.as_chunks_mut().0) {
            *bytes = word.to_ne_bytes();
        }
        true
    }))
}

const TOO_LARGE: Blank = Blank("copies values through the stack, which is no way for such large ones");

impl<const PINNED: bool> Peer for Crossbar<PINNED> {
    type Host = ();
    type Sender = Sender<PINNED>;
    type Receiver = Receiver<PINNED>;

    fn host(_: &str, job: Job) -> Result<()> {
        if PINNED && job.kind != Kind::Newest {
            return Err(Blank("in pinned mode, has no next message, but only the newest").into());
        }
        Ok(())
    }

    fn sender(session: &str, channel: Channel, job: Job) -> Result<Sender<PINNED>> {
        let name = region(session, channel);
        if job.kind == Kind::All {
            return Ok(Sender::Lossless(match job.size {
                64 => lossless_sender::<8>(&name)?,
                1024 => lossless_sender::<128>(&name)?,
                4096 => lossless_sender::<512>(&name)?,
                _ => return Err(TOO_LARGE.into()),
            }));
        }
        let mut publisher = Publisher::create(&name, config(job))?;
        let topics = (0..job.keys).map(|key| publisher.register(&format!("/{key}")));
        let topics = topics.collect::<Result<_, _>>()?;
        Ok(Sender::Topics(Box::new(publisher), topics))
    }

    fn receiver(session: &str, channel: Channel, job: Job) -> Result<Receiver<PINNED>> {
        if job.kind == Kind::All {
            // It has one sender a bus.
            let source = |channel| {
                let name = region(session, channel);
                match job.size {
                    64 => lossless_receiver::<8>(&name),
                    1024 => lossless_receiver::<128>(&name),
                    4096 => lossless_receiver::<512>(&name),
                    _ => Err(TOO_LARGE.into()),
                }
            };
            return Ok(Receiver::Lossless { sources: vec![source(Channel::There)?, source(Channel::Back)?], turn: 0 });
        }
        let subscriber = Subscriber::connect(&region(session, channel))?;
        let streams = (0..job.keys).map(|key| subscriber.subscribe(&format!("/{key}")));
        let streams = streams.collect::<Result<_, _>>()?;
        Ok(Receiver::Topics { streams, _region: subscriber })
    }
}

impl<const PINNED: bool> peer::Sender for Sender<PINNED> {
    #[inline]
    fn send(&mut self, key: usize, message: &[u8]) -> Result<()> {
        match self {
            Self::Topics(publisher, topics) if PINNED => {
                let mut loan = loop {
                    match publisher.loan_pinned(&topics[key]) {
                        // Somebody reads: later.
                        Err(Error::PinnedReadersActive { .. }) => hint::spin_loop(),
                        loan => break loan?,
                    }
                };
                loan.set_data(message)?;
                loan.publish();
            }
            Self::Topics(publisher, topics) => {
                let mut loan = publisher.loan(&topics[key])?;
                loan.set_data(message)?;
                loan.publish();
            }
            Self::Lossless(publish) => publish(message),
        }
        Ok(())
    }
}

impl<const PINNED: bool> peer::Receiver for Receiver<PINNED> {
    #[inline]
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        match self {
            Self::Topics { streams, .. } if PINNED => {
                let guard = streams[key].try_recv_pinned();
                guard.as_ref().inspect(|message| peer::copy(message, into));
                Ok(guard.is_some())
            }
            Self::Topics { streams, .. } => {
                let sample = streams[key].try_recv();
                sample.as_ref().inspect(|message| peer::copy(message, into));
                Ok(sample.is_some())
            }
            Self::Lossless { sources, turn } => {
                *turn += 1;
                let count = sources.len();
                Ok(sources[*turn % count](into))
            }
        }
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let Self::Topics { streams, .. } = self else { unreachable!("only the receiver of a topic waits") };
        let asleep = WaitStrategy::Adaptive { spin_iters: 0, yield_iters: 0 };
        let sample = streams[0].recv_with(asleep).context("recv")?;
        peer::copy(&sample, into);
        Ok(())
    }
}
