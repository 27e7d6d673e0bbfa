//! ringfire: its blackboard for the newest value of a key, a ring for what is received in order (a ring of blobs where messages are long),
//! with a reader that holds up its writer where nothing may be lost.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use ringfire::{
    BlackboardConsumer, BlackboardProducer, BlobConsumer, BlobProducer, FlowControl, FutexWait, RingConsumer,
    RingProducer, RingProducerBuilder,
};

use crate::peer::{self, Blank, Channel, Job, Kind, Peer};

/// With messages of this size, in bytes: it carries values of a type. With blobs if it is `BLOBS`.
pub(crate) struct Ringfire<const SIZE: usize>;

/// As the size of a type, stands for all that are longer.
pub(crate) const BLOBS: usize = LONGEST + 1;

type Message<const SIZE: usize> = [u8; SIZE];

/// Longer messages are blobs: it copies values of a type through the stack.
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

    fn host(_: &str, _: Job) -> Result<()> {
        Ok(())
    }

    fn sender(session: &str, channel: Channel, job: Job) -> Result<Sender<SIZE>> {
        let path = path(session, channel);
        Ok(match job.kind {
            Kind::Newest if SIZE <= LONGEST => Sender::Blackboard(BlackboardProducer::create(path, job.keys)?),
            Kind::Newest => Sender::Blobs(BlobProducer::create(path, 64, 8 * job.size)?),
            Kind::Spinning | Kind::Asleep if SIZE <= LONGEST => Sender::Ring(RingProducer::create(path, 64)?),
            Kind::Spinning | Kind::Asleep => Sender::Blobs(BlobProducer::create(path, 64, 8 * job.size)?),
            Kind::All if SIZE <= LONGEST => {
                let builder = RingProducerBuilder::new(64).flow_control(FlowControl::LosslessBackpressure);
                Sender::Ring(builder.build(path)?)
            }
            Kind::All => return Err(Blank("loses blobs when the reader is slow").into()),
        })
    }

    fn receiver(session: &str, channel: Channel, job: Job) -> Result<Receiver<SIZE>> {
        let ring = |channel| RingConsumer::attach(path(session, channel));
        Ok(match job.kind {
            Kind::Newest if SIZE <= LONGEST => {
                let board = BlackboardConsumer::attach(path(session, channel))?;
                Receiver::Blackboard(board, Box::new([0; SIZE]))
            }
            Kind::Spinning | Kind::Asleep if SIZE <= LONGEST => {
                Receiver::Rings { rings: vec![ring(channel)?], turn: 0 }
            }
            Kind::Newest | Kind::Spinning | Kind::Asleep => {
                Receiver::Blobs(BlobConsumer::attach(path(session, channel))?, job.size)
            }
            // It has one sender a ring.
            Kind::All => Receiver::Rings { rings: vec![ring(Channel::There)?, ring(Channel::Back)?], turn: 0 },
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
            return Err(Blank("has no way to sleep until there is a blob").into());
        };
        // Without spinning first.
        let mut asleep = FutexWait::new(0, Some(Duration::from_secs(1)));
        peer::copy(&rings[0].recv_blocking(&mut asleep), into);
        Ok(())
    }
}
