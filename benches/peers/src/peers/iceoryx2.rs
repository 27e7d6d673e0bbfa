//! iceoryx2: publish-subscribe services, and an event service for receivers that sleep.

use std::time::Duration;

use anyhow::{Result, anyhow};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;

use crate::peer::{self, Channel, ChannelSpec, Pattern, Peer};

pub(crate) struct Iceoryx2;

/// The buffer size of a lossless receiver, in messages.
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

/// Creates a node whose files all have the name of the session in their path.
fn node(session: &str) -> Result<Node<Ipc>> {
    set_log_level(LogLevel::Fatal);
    let mut config = Config::default();
    config.global.prefix = failed("prefix", FileName::new(format!("{session}-").as_bytes()))?;
    let root = std::env::temp_dir().join(session);
    config.global.set_root_path(&failed("root", Path::new(root.as_os_str().as_encoded_bytes()))?);
    failed("node", NodeBuilder::new().config(&config).create::<Ipc>())
}

/// Adds the failed operation to an error. Errors of iceoryx2 contain only their variant's name.
fn failed<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> Result<T> {
    result.map_err(|error| anyhow!("{what}: {error:?}"))
}

fn service(
    node: &Node<Ipc>,
    session: &str,
    channel: &str,
    key: usize,
    spec: ChannelSpec,
) -> Result<PortFactory<Ipc, [u8], ()>> {
    let name = failed("name", ServiceName::new(&format!("{session}/{channel}/{key}")))?;
    let builder =
        node.service_builder(&name).publish_subscribe::<[u8]>().max_nodes(4).max_publishers(2).max_subscribers(1);
    let builder = match spec.pattern {
        Pattern::Newest => builder.subscriber_max_buffer_size(1).enable_safe_overflow(true),
        Pattern::Lossless => builder.subscriber_max_buffer_size(BACKLOG).enable_safe_overflow(false),
        Pattern::Spinning | Pattern::Sleeping => builder,
    };
    failed("service", builder.open_or_create())
}

/// Returns the name of the service. Two senders to one receiver share a service.
fn channel_name(channel: Channel, spec: ChannelSpec) -> &'static str {
    if spec.pattern == Pattern::Lossless { "all" } else { channel.name() }
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

    fn receiver_first(pattern: Pattern) -> bool {
        pattern == Pattern::Lossless
    }

    fn host(_: &str, _: ChannelSpec) -> Result<()> {
        Ok(())
    }

    fn sender(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Sender> {
        let (node, channel) = (node(session)?, channel_name(channel, spec));
        let publisher = |key| {
            let service = service(&node, session, channel, key, spec)?;
            let builder = service.publisher_builder().initial_max_slice_len(spec.size).max_loaned_samples(1);
            let builder = builder.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
            failed("publisher", builder.create())
        };
        let publishers = (0..spec.keys).map(publisher).collect::<Result<_>>()?;
        let notifier = match spec.pattern {
            Pattern::Sleeping => {
                let event = event(&node, session, channel)?;
                Some(failed("notifier", event.notifier_builder().create())?)
            }
            _ => None,
        };
        Ok(Sender { publishers, notifier })
    }

    fn receiver(session: &str, channel: Channel, spec: ChannelSpec) -> Result<Receiver> {
        let (node, channel) = (node(session)?, channel_name(channel, spec));
        let subscriber = |key| {
            let service = service(&node, session, channel, key, spec)?;
            failed("subscriber", service.subscriber_builder().create())
        };
        let subscribers = (0..spec.keys).map(subscriber).collect::<Result<_>>()?;
        let listener = match spec.pattern {
            Pattern::Sleeping => {
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
            let listener = self.listener.as_ref().expect("a sleeping receiver has a listener");
            failed("wait", listener.timed_wait(|_| {}, Duration::from_secs(1)))?;
        }
        Ok(())
    }
}
