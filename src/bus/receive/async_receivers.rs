//! Receiving in asynchronous tasks, on any runtime.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;

use super::subscriber::Subscriber;
use super::work_queue::{Job, WorkQueue};
use crate::bus::error::RecvError;
use crate::bus::received::Received;
use crate::message::DecodeOwned;
use crate::store::participant::opener::Opener;
use crate::store::reactor::{Reactor, Waiting};

/// Declares the asynchronous form of a blocking receiver.
macro_rules! async_receivers {
    ($($(#[$meta:meta])* $name:ident over $inner:ident gives $item:ident;)*) => {$(
        $(#[$meta])*
        pub struct $name<T> {
            inner: Mutex<$inner<T>>,
            /// Checked before `inner` is locked: in a child of `fork`, a thread that does not exist
            /// there may hold the lock.
            opener: Opener,
            /// The registration of the stream's task.
            waiting: Option<Waiting>,
        }

        impl<T> $inner<T> {
            /// Turns this into a receiver for asynchronous tasks, on any runtime.
            ///
            /// One thread of this process, started by the first call, wakes all waiting tasks. Each
            /// further 127 keys that are waited for at the same time need another thread. If the
            /// waker of a task panics, that thread catches the panic.
            ///
            /// # Errors
            ///
            /// The operating system does not start a thread.
            pub fn into_async(self) -> io::Result<$name<T>>
            where
                T: DecodeOwned,
            {
                Reactor::start()?;
                Ok($name { inner: Mutex::new(self), opener: Opener::this_process(), waiting: None })
            }
        }

        impl<T: DecodeOwned> $name<T> {
            /// Receives the next message; waits for it without a limit. Any number of tasks may
            /// wait at the same time: each message goes to one of them.
            ///
            /// No message is lost if the future is dropped: a message is taken only when the future
            /// returns it.
            ///
            /// # Errors
            ///
            /// [`RecvError`]; the next call continues after the messages that the error reports.
            pub async fn recv(&self) -> Result<$item<T>, RecvError> {
                let mut waiting = None;
                poll_fn(|context| self.poll(&mut waiting, context)).await
            }

            /// Receives the next message; `None` if there is none. Never blocks.
            ///
            /// # Errors
            ///
            /// [`RecvError`]; the next call continues after the messages that the error reports.
            pub fn try_recv(&self) -> Result<Option<$item<T>>, RecvError> {
                self.opener.check()?;
                self.inner().try_recv()
            }

            /// Turns this back into the blocking receiver.
            #[must_use]
            pub fn into_inner(self) -> $inner<T> {
                self.inner.into_inner().unwrap_or_else(PoisonError::into_inner)
            }

            fn inner(&self) -> MutexGuard<'_, $inner<T>> {
                self.inner.lock().unwrap_or_else(PoisonError::into_inner)
            }

            fn poll(
                &self,
                waiting: &mut Option<Waiting>,
                context: &mut Context<'_>,
            ) -> Poll<Result<$item<T>, RecvError>> {
                self.opener.check()?;
                // Wakers are cloned and dropped outside of the lock, because they run code of the
                // runtime.
                let found = {
                    let mut inner = self.inner();
                    let seen = inner.slot().version();
                    match inner.try_recv().transpose() {
                        Some(received) => Ok(received),
                        None => Err((inner.slot().clone(), inner.wait_of_task(seen))),
                    }
                };
                match found {
                    Ok(received) => {
                        *waiting = None;
                        Poll::Ready(received)
                    }
                    Err((slot, (want, recheck_at))) => {
                        // The reactor checks the slot after this registration, so it misses nothing
                        // that happens from here on.
                        match Reactor::wait(slot, want, recheck_at, context.waker().clone()) {
                            Ok(waits) => *waiting = Some(waits),
                            // A child of `fork` may be unable to start a thread. Until it can, the
                            // task polls.
                            Err(_) => context.waker().wake_by_ref(),
                        }
                        Poll::Pending
                    }
                }
            }
        }

        /// The stream never ends.
        impl<T: DecodeOwned> Stream for $name<T> {
            type Item = Result<$item<T>, RecvError>;

            fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                let mut waiting = self.waiting.take();
                let polled = self.poll(&mut waiting, context);
                self.waiting = waiting;
                polled.map(Some)
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.inner).finish()
            }
        }
    )*};
}

async_receivers! {
    /// A [`Subscriber`] for asynchronous tasks: `recv().await`, or a stream. Made by
    /// [`Subscriber::into_async`].
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::{Bus, Message};
    ///
    /// #[derive(Message, serde::Serialize, serde::Deserialize)]
    /// struct Token { text: String }
    ///
    /// # let name = format!("splinter-doc-async-subscriber-{}", std::process::id());
    /// let bus: Bus<Token> = Bus::create(&name)?;
    /// let tokens = bus.subscribe("tokens")?.into_async()?;
    /// bus.publish("tokens", &Token { text: "The".into() })?;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let token = tokens.recv().await?;
    /// assert_eq!(token.text, "The");
    /// # Ok::<(), splinter_bus::RecvError>(()) })?;
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    AsyncSubscriber over Subscriber gives Received;

    /// A [`WorkQueue`] for asynchronous tasks: `recv().await`, or a stream. Made by
    /// [`WorkQueue::into_async`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::Bus;
    /// # let name = format!("splinter-doc-async-queue-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let queue = bus.work_queue("k")?.into_async()?;
    /// bus.publish("k", &b"work".to_vec())?;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let job = queue.recv().await?;
    /// assert_eq!(**job, *b"work");
    /// # job.acknowledge()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    AsyncWorkQueue over WorkQueue gives Job;
}
