//! A work queue with three worker processes. One crashes during its third job; another one retries
//! that job.
//!
//! `cargo run --release --example work_queue`

use std::process::{Child, Command};
use std::time::Duration;

use splinter_bus::{Bus, Message, Store};

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Page {
    url: String,
}

type Result<T> = std::result::Result<T, splinter_bus::Error>;

fn main() -> Result<()> {
    match std::env::args().collect::<Vec<_>>().as_slice() {
        [_, store, worker] => work(store, worker),
        _ => publish_work(),
    }
}

/// Starts the workers, publishes the jobs, and waits until all are done.
fn publish_work() -> Result<()> {
    let store = format!("work_queue_{}", std::process::id());
    let bus: Bus<Page> = Bus::create(store.as_str())?;
    bus.work_queue("crawl")?; // From now on, no message is overwritten before it is acknowledged.
    let program = std::env::current_exe()?;
    let spawn = |worker: &str| Command::new(&program).args([&store, worker]).spawn();
    let workers =
        ["worker-1", "worker-2", "crashing"].map(spawn).into_iter().collect::<std::io::Result<Vec<Child>>>()?;
    let mut pages = bus.publisher("crawl")?;
    for number in 1..=100 {
        // Blocks while the queue is full.
        pages.publish_timeout(&Page { url: format!("/page/{number}") }, Duration::from_secs(10))?;
    }
    for mut worker in workers {
        worker.wait()?;
    }
    let left = bus.store().slot_snapshot("crawl")?.and_then(|slot| slot.queue);
    println!("remaining: {left:?}");
    Ok(Store::remove(store.as_str()).map(drop)?)
}

/// Handles jobs until none has arrived for one second.
fn work(store: &str, worker: &str) -> Result<()> {
    let bus: Bus<Page> = Bus::open(store)?;
    let mut queue = bus.work_queue("crawl")?;
    for count in 1.. {
        let Some(job) = queue.recv_timeout(Duration::from_secs(1))? else { break };
        if worker == "crashing" && count == 3 {
            println!("{worker} crashes during {}", job.url);
            std::process::abort();
        }
        println!("{worker} handled {}, attempt {}", job.url, job.attempt());
        job.acknowledge()?;
    }
    Ok(())
}
