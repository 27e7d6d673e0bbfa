//! iceoryx2: publish-subscribe between processes, and an event for a receiver that sleeps.

use std::time::Duration;

use anyhow::{Result, anyhow};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;

use crate::peer::{self, Channel, Job, Kind, Peer};

pub(crate) struct Iceoryx2;

/// The messages that a receiver has room for, if it must see all.
const BACKLOG: usize = 64;

type Ipc = ipc::Service;

pub(crate) struct Sender {
    publishers: Vec<Publisher<Ipc, [u8], ()>>,
    notifier: Option<Notifier<Ipc>>,
}

pub(crate) struct Receiver {
    subscribers: Vec<Subscriber<Ipc, [u8], ()>>,
    listener: Option<Listener<Ipc>>,
}

/// A node that leaves everything it leaves under the name of the session.
fn node(session: &str) -> Result<Node<Ipc>> {
    set_log_level(LogLevel::Fatal);
    let mut config = Config::default();
    config.global.prefix = failed("prefix", FileName::new(format!("{session}-").as_bytes()))?;
    let root = std::env::temp_dir().join(session);
    config.global.set_root_path(&failed("root", Path::new(root.as_os_str().as_encoded_bytes()))?);
    failed("node", NodeBuilder::new().config(&config).create::<Ipc>())
}

/// Its errors say neither what was done nor why, only their own names.
fn failed<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> Result<T> {
    result.map_err(|error| anyhow!("{what}: {error:?}"))
}

fn service(node: &Node<Ipc>, session: &str, channel: &str, key: usize, job: Job) -> Result<PortFactory<Ipc, [u8], ()>> {
    let name = failed("name", ServiceName::new(&format!("{session}/{channel}/{key}")))?;
    let builder =
        node.service_builder(&name).publish_subscribe::<[u8]>().max_nodes(4).max_publishers(2).max_subscribers(1);
    let builder = match job.kind {
        Kind::Newest => builder.subscriber_max_buffer_size(1).enable_safe_overflow(true),
        Kind::All => builder.subscriber_max_buffer_size(BACKLOG).enable_safe_overflow(false),
        Kind::Spinning | Kind::Asleep => builder,
    };
    failed("service", builder.open_or_create())
}

/// Two senders of one job share a service.
fn channel_name(channel: Channel, job: Job) -> &'static str {
    if job.kind == Kind::All { "all" } else { channel.name() }
}

fn event(
    node: &Node<Ipc>,
    session: &str,
    channel: &str,
) -> Result<iceoryx2::service::port_factory::event::PortFactory<Ipc>> {
    let name = failed("name", ServiceName::new(&format!("{session}/{channel}/event")))?;
    failed("event", node.service_builder(&name).event().open_or_create())
}

impl Peer for Iceoryx2 {
    type Host = ();
    type Sender = Sender;
    type Receiver = Receiver;

    fn receiver_first(kind: Kind) -> bool {
        kind == Kind::All
    }

    fn host(_: &str, _: Job) -> Result<()> {
        Ok(())
    }

    fn sender(session: &str, channel: Channel, job: Job) -> Result<Sender> {
        let (node, channel) = (node(session)?, channel_name(channel, job));
        let publisher = |key| {
            let service = service(&node, session, channel, key, job)?;
            let builder = service.publisher_builder().initial_max_slice_len(job.size).max_loaned_samples(1);
            let builder = builder.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
            failed("publisher", builder.create())
        };
        let publishers = (0..job.keys).map(publisher).collect::<Result<_>>()?;
        let notifier = match job.kind {
            Kind::Asleep => {
                let event = event(&node, session, channel)?;
                Some(failed("notifier", event.notifier_builder().create())?)
            }
            _ => None,
        };
        Ok(Sender { publishers, notifier })
    }

    fn receiver(session: &str, channel: Channel, job: Job) -> Result<Receiver> {
        let (node, channel) = (node(session)?, channel_name(channel, job));
        let subscriber = |key| {
            let service = service(&node, session, channel, key, job)?;
            failed("subscriber", service.subscriber_builder().create())
        };
        let subscribers = (0..job.keys).map(subscriber).collect::<Result<_>>()?;
        let listener = match job.kind {
            Kind::Asleep => {
                let event = event(&node, session, channel)?;
                Some(failed("listener", event.listener_builder().create())?)
            }
            _ => None,
        };
        Ok(Receiver { subscribers, listener })
    }
}

impl peer::Sender for Sender {
    #[inline]
    fn send(&mut self, key: usize, message: &[u8]) -> Result<()> {
        let sample = failed("loan", self.publishers[key].loan_slice_uninit(message.len()))?;
        failed("send", sample.write_from_slice(message).send())?;
        if let Some(notifier) = &self.notifier {
            failed("notify", notifier.notify())?;
        }
        Ok(())
    }
}

impl peer::Receiver for Receiver {
    #[inline]
    fn receive(&mut self, key: usize, into: &mut Vec<u8>) -> Result<bool> {
        let sample = failed("receive", self.subscribers[key].receive())?;
        sample.as_ref().inspect(|message| peer::copy(message.payload(), into));
        Ok(sample.is_some())
    }

    fn wait(&mut self, into: &mut Vec<u8>) -> Result<()> {
        while !self.receive(0, into)? {
            let listener = self.listener.as_ref().expect("who sleeps has one");
            failed("wait", listener.timed_wait(|_| {}, Duration::from_secs(1)))?;
        }
        Ok(())
    }
}
