//! ringfire: a blackboard for newest values, and a ring for messages that are received in order.
//!
//! Lossless messages use a ring with backpressure. Long messages use a ring of blobs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use ringfire::{
    BlackboardConsumer, BlackboardProducer, BlobConsumer, BlobProducer, FlowControl, FutexWait, RingConsumer,
    RingProducer, RingProducerBuilder,
};

use crate::peer::{self, Channel, ChannelSpec, Pattern, Peer, Unsupported};

/// ringfire with messages of this size in bytes as its value type, or with blobs if `SIZE` is
/// [`BLOBS`].
pub(crate) struct Ringfire<const SIZE: usize>;

/// The `SIZE` that stands for all longer messages.
pub(crate) const BLOBS: usize = LONGEST + 1;

type Message<const SIZE: usize> = [u8; SIZE];

/// The longest typed value: they are copied through the stack. Longer messages are blobs.
const LONGEST: usize = 4096;

pub(crate) enum Sender<const SIZE: usize> {
    Blackboard(BlackboardProducer<Message<SIZE>>),
    Ring(RingProducer<Message<SIZE>>),
    Blobs(BlobProducer<()>),
}

pub(crate) enum Receiver<const SIZE: usize> {
    Blackboard(BlackboardConsumer<Message<SIZE>>, Box<Message<SIZE>>),
    Rings { rings: Vec<RingConsumer<Message<SIZE>>>, turn: usize },
    Blobs(BlobConsumer<()>, usize),
}

fn path(session: &str, channel: Channel) -> PathBuf {
    Path::new("/dev/shm").join(format!("{session}-{}", channel.name()))
}

impl<const SIZE: usize> Peer for Ringfire<SIZE> {
    type Host = ();
    type Sender = Sender<SIZE>;
    type Receiver = Receiver<SIZE>;

    fn host(_: &str, _: ChannelSpec) -> Result<()> {
        Ok(())
    }

    fn sender(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Sender<SIZE>> {
        let path = path(session, channel);
        Ok(match spec.pattern {
            Pattern::Newest if SIZE <= LONGEST => Sender::Blackboard(BlackboardProducer::create(path, spec.keys)?),
            Pattern::Newest => Sender::Blobs(BlobProducer::create(path, 64, 8 * spec.size)?),
            Pattern::Spinning | Pattern::Sleeping if SIZE <= LONGEST => Sender::Ring(RingProducer::create(path, 64)?),
            Pattern::Spinning | Pattern::Sleeping => Sender::Blobs(BlobProducer::create(path, 64, 8 * spec.size)?),
            Pattern::Lossless if SIZE <= LONGEST => {
                let builder = RingProducerBuilder::new(64).flow_control(FlowControl::LosslessBackpressure);
                Sender::Ring(builder.build(path)?)
            }
            Pattern::Lossless => return Err(Unsupported("loses blobs if the receiver is slow").into()),
        })
    }

    fn receiver(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Receiver<SIZE>> {
        let ring = |channel| RingConsumer::attach(path(session, channel));
        Ok(match spec.pattern {
            Pattern::Newest if SIZE <= LONGEST => {
                let board = BlackboardConsumer::attach(path(session, channel))?;
                Receiver::Blackboard(board, Box::new([0; SIZE]))
            }
            Pattern::Spinning | Pattern::Sleeping if SIZE <= LONGEST => {
                Receiver::Rings { rings: vec![ring(channel)?], turn: 0 }
            }
            Pattern::Newest | Pattern::Spinning | Pattern::Sleeping => {
                Receiver::Blobs(BlobConsumer::attach(path(session, channel))?, spec.size)
            }
            // A ring has one sender, so there is one for each.
            Pattern::Lossless => {
                Receiver::Rings { rings: vec![ring(Channel::Forward)?, ring(Channel::Backward)?], turn: 0 }
            }
        })
    }
}

impl<const SIZE: usize> peer::Sender for Sender<SIZE> {
    #[inline]
    fn send(&mut self, key: usize, message: &[u8]) -> Result<()> {
        match self {
            Self::Blackboard(board) => board.write(key, message.try_into()?)?,
            Self::Ring(ring) => ring.push(message.try_into()?),
            Self::Blobs(blobs) => _ = blobs.push_payload(message)?,
        }
        Ok(())
    }
}

impl<const SIZE: usize> peer::Receiver for Receiver<SIZE> {
    #[inline]
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        match self {
            Self::Blackboard(board, _) if into.len() == SIZE => {
                let into = into.as_mut_slice().try_into()?;
                Ok(board.read_copy(key, into)?)
            }
            Self::Blackboard(board, message) => {
                let found = board.read_copy(key, message)?;
                peer::copy(&**message, into);
                Ok(found)
            }
            Self::Rings { rings, turn } => {
                *turn += 1;
                let count = rings.len();
                let message = rings[*turn % count].try_recv();
                message.as_ref().inspect(|message| peer::copy(*message, into));
                Ok(message.is_some())
            }
            Self::Blobs(blobs, size) => {
                if into.len() != *size {
                    into.resize(*size, 0);
                }
                Ok(blobs.recv_payload(into)?.is_some())
            }
        }
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let Self::Rings { rings, .. } = self else {
            return Err(Unsupported("has no blocking receive of blobs").into());
        };
        // Sleeps at once, without spinning first.
        let mut sleep = FutexWait::new(0, Some(Duration::from_secs(1)));
        peer::copy(&rings[0].recv_blocking(&mut sleep), into);
        Ok(())
    }
}
