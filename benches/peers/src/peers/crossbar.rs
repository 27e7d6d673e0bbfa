//! crossbar: topics, and a bounded `PodBus` for lossless messages.
//!
//! A topic has a ring of blocks. In "pinned" mode, its fastest, it has a single block that is
//! overwritten in place. Publishing fails in this mode while the block is read, so the sender
//! retries.

use std::hint;

use anyhow::{Context, Result};
use crossbar::error::Error;
use crossbar::{BusSubscriber, Config, PodBus, Publisher, Stream, Subscriber, Topic, WaitStrategy};

use crate::peer::{self, Channel, ChannelSpec, Pattern, Peer, Unsupported};

/// Topics with a ring of blocks, or with one pinned block.
pub(crate) struct Crossbar<const PINNED: bool>;

/// The capacity of a lossless bus, in messages.
const BACKLOG: usize = 64;

/// Sends a message over a bus, whose value type depends on the message size.
type Publish = Box<dyn FnMut(&[u8])>;
/// Receives a message from a bus; `false` if there is none.
type Receive = Box<dyn FnMut(&mut Vec<u8>) -> bool>;

pub(crate) enum Sender<const PINNED: bool> {
    Topics(Box<Publisher>, Vec<Topic>),
    Lossless(Publish),
}

pub(crate) enum Receiver<const PINNED: bool> {
    Topics { streams: Vec<Stream>, _region: Subscriber },
    Lossless { buses: Vec<Receive>, turn: usize },
}

fn region(session: &str, channel: Channel) -> String {
    format!("{session}-{}", channel.name())
}

fn config(spec: ChannelSpec) -> Config {
    let topics = spec.keys as u32;
    let ring_depth = if spec.pattern == Pattern::Newest { 2 } else { 8 };
    Config {
        max_topics: topics,
        ring_depth,
        block_count: topics * ring_depth + 8,
        block_size: (spec.size as u32 + 8).next_multiple_of(64),
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

const TOO_LARGE: Unsupported = Unsupported("copies values through the stack, which is unsuitable for this size");

impl<const PINNED: bool> Peer for Crossbar<PINNED> {
    type Host = ();
    type Sender = Sender<PINNED>;
    type Receiver = Receiver<PINNED>;

    fn host(_: &str, spec: ChannelSpec) -> Result<()> {
        if PINNED && spec.pattern != Pattern::Newest {
            return Err(Unsupported("has only the newest message in pinned mode").into());
        }
        Ok(())
    }

    fn sender(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Sender<PINNED>> {
        let name = region(session, channel);
        if spec.pattern == Pattern::Lossless {
            return Ok(Sender::Lossless(match spec.size {
                64 => lossless_sender::<8>(&name)?,
                1024 => lossless_sender::<128>(&name)?,
                4096 => lossless_sender::<512>(&name)?,
                _ => return Err(TOO_LARGE.into()),
            }));
        }
        let mut publisher = Publisher::create(&name, config(spec))?;
        let topics = (0..spec.keys).map(|key| publisher.register(&format!("/{key}")));
        let topics = topics.collect::<Result<_, _>>()?;
        Ok(Sender::Topics(Box::new(publisher), topics))
    }

    fn receiver(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Receiver<PINNED>> {
        if spec.pattern == Pattern::Lossless {
            // A bus has one sender, so there is one for each.
            let bus = |channel| {
                let name = region(session, channel);
                match spec.size {
                    64 => lossless_receiver::<8>(&name),
                    1024 => lossless_receiver::<128>(&name),
                    4096 => lossless_receiver::<512>(&name),
                    _ => Err(TOO_LARGE.into()),
                }
            };
            return Ok(Receiver::Lossless { buses: vec![bus(Channel::Forward)?, bus(Channel::Backward)?], turn: 0 });
        }
        let subscriber = Subscriber::connect(&region(session, channel))?;
        let streams = (0..spec.keys).map(|key| subscriber.subscribe(&format!("/{key}")));
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
                        // The block is being read: retry.
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
            Self::Lossless { buses, turn } => {
                *turn += 1;
                let count = buses.len();
                Ok(buses[*turn % count](into))
            }
        }
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let Self::Topics { streams, .. } = self else { unreachable!("only receivers of topics sleep") };
        let sleep = WaitStrategy::Adaptive { spin_iters: 0, yield_iters: 0 };
        let sample = streams[0].recv_with(sleep).context("recv")?;
        peer::copy(&sample, into);
        Ok(())
    }
}
