//! Stores without a name, which processes open by a descriptor that they were given.

mod support;

use std::env;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use splinter_bus::Bus;
use splinter_bus::store::{Location, OpenError, Store, StoreOptions};
use support::{Actor, Name};

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let descriptor = match role.as_str() {
        "child" => std::io::stdin().as_fd().try_clone_to_owned().unwrap(),
        "receiver" => receive(&UnixStream::connect(&arguments[0]).unwrap()),
        _ => panic!("no such role: {role}"),
    };
    let store = Store::from_fd(descriptor).unwrap();
    assert_eq!(store.get("question").unwrap().unwrap(), vec![7; 1 << 20]);
    store.set("answer", role.as_bytes()).unwrap();
    store.poll_after("end", 0, Some(support::DEADLINE)).unwrap();
}

/// Sends a descriptor over a socket.
fn send(socket: &UnixStream, descriptor: impl AsFd) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let (mut control, descriptors) = (SendAncillaryBuffer::new(&mut space), [descriptor.as_fd()]);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let sent = sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::empty());
    assert_eq!(sent.unwrap(), 1);
}

fn receive(socket: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket, &mut [IoSliceMut::new(&mut [0])], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let descriptors = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptors.expect("a descriptor")
}

/// A store with a question, for an actor to answer.
fn asked() -> Store {
    let store = Store::anonymous().unwrap();
    store.set("question", &vec![7; 1 << 20]).unwrap();
    store
}

fn check_answer(store: &Store, role: &str, actor: Actor) {
    assert!(store.poll_after("answer", 0, Some(support::DEADLINE)).unwrap().is_some());
    assert_eq!(store.get("answer").unwrap().unwrap(), role.as_bytes());
    assert_eq!(store.participants().unwrap().len(), 2);
    store.set("end", b"").unwrap();
    actor.finish();
}

#[test]
fn a_child_that_inherits_the_descriptor_uses_the_store() {
    let store = asked();
    let mut command = Command::new(env::current_exe().unwrap());
    command.stdin(Stdio::from(store.as_fd().try_clone_to_owned().unwrap()));
    let child = Actor::spawn_by(command, "child", &[]);
    check_answer(&store, "child", child);
}

#[test]
fn a_process_that_receives_the_descriptor_over_a_socket_uses_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let receiver = Actor::spawn("receiver", &[path.to_str().unwrap()]);
    let store = asked();
    send(&listener.accept().unwrap().0, &store);
    check_answer(&store, "receiver", receiver);
}

#[test]
fn a_process_that_was_killed_is_no_participant_any_more() {
    let store = asked();
    let mut command = Command::new(env::current_exe().unwrap());
    command.stdin(Stdio::from(store.as_fd().try_clone_to_owned().unwrap()));
    let mut child = Actor::spawn_by(command, "child", &[]);
    assert!(store.poll_after("answer", 0, Some(support::DEADLINE)).unwrap().is_some());
    assert_eq!(store.participants().unwrap().len(), 2);
    child.kill();
    assert_eq!(store.participants().unwrap().len(), 1);
}

#[test]
fn an_anonymous_store_has_no_name_and_ends_with_its_handles() {
    let store = StoreOptions::new().slots(7).anonymous().unwrap();
    assert_eq!((store.location(), store.dimensions().slots), (&Location::Anonymous, 7));
    assert_eq!(store.location().to_string(), "anonymous store");
    for refused in [
        Store::create(store.location()).map(drop),
        Store::open(store.location()).map(drop),
        Store::remove(store.location()),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, OpenError::Name { .. }) && error.to_string().contains("Store::from_fd"), "{error}");
    }
    let memory = store.memory().unwrap();
    assert!(memory.reserved > 0 && store.trim().is_ok());
    let bus = Bus::<Vec<u8>>::on(store);
    let mut subscriber = bus.subscribe("k").unwrap();
    bus.publish("k", &b"v".to_vec()).unwrap();
    assert_eq!(**subscriber.recv().unwrap(), *b"v");
}

#[test]
fn a_store_with_a_name_is_opened_by_its_descriptor_too() {
    let name = Name::new();
    let directory = tempfile::tempdir().unwrap();
    for location in [Location::from(&name), directory.path().join("a.store").into()] {
        let store = Store::create(&location).unwrap();
        store.set("k", b"v").unwrap();
        let other = Store::from_fd(store.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(other.get("k").unwrap().unwrap(), b"v");
        other.set("k", b"w").unwrap();
        assert_eq!(store.get("k").unwrap().unwrap(), b"w");
        assert!(other.recovery().is_none());
    }
}

#[test]
fn a_descriptor_that_is_not_of_a_store_is_refused() {
    let file = tempfile::tempfile().unwrap();
    assert!(matches!(Store::from_fd(file.into()), Err(OpenError::NotAStore { .. })));
    let (socket, _other) = UnixStream::pair().unwrap();
    assert!(matches!(Store::from_fd(socket.into()), Err(OpenError::NotAStore { .. })));
    let name = Name::new();
    let _store = name.create(&StoreOptions::new());
    let for_reading = std::fs::File::open(name.path()).unwrap();
    let error = Store::from_fd(for_reading.into()).unwrap_err();
    assert!(
        matches!(&error, OpenError::PermissionDenied { source, .. } if source.kind() == ErrorKind::PermissionDenied),
        "{error}"
    );
}

#[test]
fn an_anonymous_store_is_copied_into_a_file_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy");
    let store = asked();
    store.copy_to(&path).unwrap();
    assert_eq!(Store::open(&path).unwrap().get("question").unwrap(), store.get("question").unwrap());
}

#[test]
fn nobody_can_cut_an_anonymous_store_or_keep_it_from_growing() {
    let store = Store::anonymous().unwrap();
    store.set("key", b"value").unwrap();
    let file = std::fs::File::from(store.as_fd().try_clone_to_owned().unwrap());
    let len = file.metadata().unwrap().len();
    assert!(file.set_len(len / 2).is_err());
    assert!(rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::GROW).is_err());
    store.set("key", &[7; 200_000]).unwrap();
    assert!(file.metadata().unwrap().len() > len);
    assert_eq!(store.get("key").unwrap(), Some(vec![7; 200_000]));
    // Space is given back all the same.
    store.unset("key").unwrap();
    assert_eq!(store.memory().unwrap().history, 0);
}
