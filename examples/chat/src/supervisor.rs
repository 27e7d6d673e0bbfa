//! Both sides at once: a worker process and a client process, this program re-executed.

use std::error::Error;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use splinter_bus::store::{OpenError, Store};

use crate::messages::WORKERS;
use crate::store;

/// How often the children are looked after.
const LOOK_AROUND: Duration = Duration::from_millis(10);
/// How long a worker has to end by itself when its client has ended.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) fn run(name: Option<&str>) -> Result<ExitCode, Box<dyn Error>> {
    let own_name = format!("splinter-chat-{}", std::process::id());
    let store = store::open_or_create(name.unwrap_or(&own_name))?;
    // A store of our own goes by itself: without a name, it ends with the last process that has it open.
    let mut unnamed = name.map_or_else(|| Unnamed::Later(&store), |_| Unnamed::Never);

    // Its standard input ends when we do, however that happens, and the worker with it.
    let mut worker = Process::spawn(&store, "worker", Stdio::piped())?;
    while !store.keys().iter().any(|key| key.starts_with(WORKERS)) {
        if let Some(status) = worker.child.try_wait()? {
            return Err(format!("the worker ended before it took a prompt ({status})").into());
        }
        thread::sleep(LOOK_AROUND);
    }
    let mut client = Process::spawn(&store, "client", Stdio::inherit())?;
    let status = loop {
        unnamed.if_all_are_there()?;
        match client.child.try_wait()? {
            Some(status) => break status,
            None => thread::sleep(LOOK_AROUND),
        }
    };
    if let Some(status) = worker.child.try_wait()? {
        eprintln!("chat: the worker ended before the client did ({status})");
    }
    worker.end()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A store that loses its name once everyone who needs it has it open.
enum Unnamed<'a> {
    Later(&'a Store),
    Never,
}

impl Unnamed<'_> {
    fn if_all_are_there(&mut self) -> Result<(), Box<dyn Error>> {
        if let Self::Later(store) = *self
            && store.participants()?.len() > 2
        {
            Self::remove(store)?;
            *self = Self::Never;
        }
        Ok(())
    }

    fn remove(store: &Store) -> Result<(), OpenError> {
        Store::remove(store.location())
    }
}

impl Drop for Unnamed<'_> {
    fn drop(&mut self) {
        if let Self::Later(store) = *self {
            let _ = Self::remove(store);
        }
    }
}

/// A child that does not outlive us.
struct Process {
    child: Child,
}

impl Process {
    fn spawn(store: &Store, role: &str, stdin: Stdio) -> Result<Self, Box<dyn Error>> {
        let program = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let mut command = Command::new(program);
        // What we were told, and then what we add.
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
            if since.elapsed() > GRACE {
                self.child.kill()?;
            }
            thread::sleep(LOOK_AROUND);
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
