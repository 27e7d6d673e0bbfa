//! Sharing the work: three worker processes on one key. One of them dies over its third job, which another one gets.
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
        _ => share(),
    }
}

/// Publishes the work, and waits until it is done.
fn share() -> Result<()> {
    let store = format!("work_queue_{}", std::process::id());
    let bus: Bus<Page> = Bus::create(store.as_str())?;
    bus.work_queue("crawl")?; // From here on, no message is overwritten before it is acknowledged.
    let program = std::env::current_exe()?;
    let spawn = |worker: &str| Command::new(&program).args([&store, worker]).spawn();
    let workers = ["ann", "bob", "mortal"].map(spawn).into_iter().collect::<std::io::Result<Vec<Child>>>()?;
    let mut pages = bus.publisher("crawl")?;
    for number in 1..=100 {
        // If the workers are slow, this waits for them.
        pages.publish_timeout(&Page { url: format!("/page/{number}") }, Duration::from_secs(10))?;
    }
    for mut worker in workers {
        worker.wait()?;
    }
    let left = bus.store().slot_snapshot("crawl")?.and_then(|slot| slot.queue);
    println!("left to do: {left:?}");
    Ok(Store::remove(store.as_str()).map(drop)?)
}

/// Handles jobs until there have been none for a second.
fn work(store: &str, worker: &str) -> Result<()> {
    let bus: Bus<Page> = Bus::open(store)?;
    let mut queue = bus.work_queue("crawl")?;
    for count in 1.. {
        let Some(job) = queue.recv_timeout(Duration::from_secs(1))? else { break };
        if worker == "mortal" && count == 3 {
            println!("{worker} dies over {}", job.url);
            std::process::abort();
        }
        println!("{worker} did {}, attempt {}", job.url, job.attempt());
        job.acknowledge()?;
    }
    Ok(())
}
