//! Runs both sides: starts this program again as a worker and as a client.

use std::error::Error;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use splinter_bus::store::Store;

use crate::messages::WORKERS;
use crate::store;

/// How often the child processes are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// How long the worker may take to end after the client. Then it is killed.
const GRACE_PERIOD: Duration = Duration::from_secs(2);

pub(crate) fn run(name: Option<&str>) -> Result<ExitCode, Box<dyn Error>> {
    let own_name = format!("splinter-chat-{}", std::process::id());
    let store = store::open_or_create(name.unwrap_or(&own_name))?;
    // The name of a temporary store is removed as soon as both sides have opened it. The kernel
    // frees the memory when the last process ends.
    let mut temporary = TemporaryName { store: name.is_none().then_some(&store) };

    // The pipe is closed when this process ends for any reason. That ends the worker.
    let mut worker = Process::spawn(&store, "worker", Stdio::piped())?;
    while !store.keys().iter().any(|key| key.starts_with(WORKERS)) {
        if let Some(status) = worker.child.try_wait()? {
            return Err(format!("the worker ended before it was ready ({status})").into());
        }
        thread::sleep(CHECK_INTERVAL);
    }
    let mut client = Process::spawn(&store, "client", Stdio::inherit())?;
    let status = loop {
        temporary.remove_if_opened_by_all()?;
        match client.child.try_wait()? {
            Some(status) => break status,
            None => thread::sleep(CHECK_INTERVAL),
        }
    };
    if let Some(status) = worker.child.try_wait()? {
        eprintln!("chat: the worker ended before the client did ({status})");
    }
    worker.end()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The name of a temporary store, as long as it has to be removed.
struct TemporaryName<'a> {
    store: Option<&'a Store>,
}

impl TemporaryName<'_> {
    /// Removes the name if client and worker, besides this process, have opened the store.
    fn remove_if_opened_by_all(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(store) = self.store
            && store.participants()?.len() > 2
        {
            Store::remove(store.location())?;
            self.store = None;
        }
        Ok(())
    }
}

impl Drop for TemporaryName<'_> {
    fn drop(&mut self) {
        if let Some(store) = self.store {
            let _ = Store::remove(store.location());
        }
    }
}

/// A child process, which is killed on drop.
struct Process {
    child: Child,
}

impl Process {
    fn spawn(store: &Store, role: &str, stdin: Stdio) -> Result<Self, Box<dyn Error>> {
        let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut command = Command::new(program);
        // Our own arguments, followed by the additional ones, which override them.
        command.args(env::args_os().skip(1)).args(["--role", role, "--store", &store.location().to_string()]);
        if role == "worker" {
            command.arg("--end-with-stdin");
        }
        let child = command.stdin(stdin).spawn().map_err(|error| format!("cannot start the {role}: {error}"))?;
        Ok(Self { child })
    }

    fn end(&mut self) -> Result<(), Box<dyn Error>> {
        drop(self.child.stdin.take());
        let since = Instant::now();
        while self.child.try_wait()?.is_none() {
            if since.elapsed() > GRACE_PERIOD {
                self.child.kill()?;
            }
            thread::sleep(CHECK_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
