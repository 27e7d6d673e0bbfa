//! The measurements, each of one system in one set-up: what a worker process does, and its partner.

use std::hint;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::payload::{self, Payload};
use crate::peer::{Blank, Channel, Job, Peer, Receiver, Sender};
use crate::system::{Setup, Visitor};
use crate::typed;
use crate::workload::{Budget, Workload};

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

impl Figure {
    pub(crate) fn new(metric: &str, value: f64, unit: &str) -> Self {
        Self { metric: metric.to_owned(), value, unit: unit.to_owned() }
    }
}

/// What a worker or a partner is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Task {
    #[arg(long)]
    pub(crate) setup: Setup,
    #[arg(long)]
    pub(crate) workload: Workload,
    #[arg(long)]
    pub(crate) size: usize,
    /// Its name is in the names of all that it leaves anywhere.
    #[arg(long)]
    pub(crate) session: String,
    #[arg(long)]
    pub(crate) quick: bool,
    /// Which of two partners.
    #[arg(long, default_value_t = 0)]
    pub(crate) number: usize,
}

impl Task {
    fn job(&self) -> Job {
        self.workload.job(self.size)
    }

    pub(crate) fn budget(&self) -> Budget {
        if self.quick { Budget::QUICK } else { Budget::FULL }
    }
}

/// As many operations are timed together, where reading the clock would cost as much as one of them.
const BATCH: usize = 64;

/// Of times in picoseconds, to a thousandth.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 1 << 50, 3).expect("good bounds")
}

pub(crate) fn percentiles(times: &Histogram<u64>) -> Vec<Figure> {
    [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)]
        .map(|(name, quantile)| Figure::new(name, times.value_at_quantile(quantile) as f64 / 1000.0, "ns"))
        .into()
}

/// Does something in batches for as long as a lap, after a tenth of it that does not count.
pub(crate) fn batches(lap: Duration, mut operation: impl FnMut() -> Result<()>) -> Result<Histogram<u64>> {
    let mut times = histogram();
    let start = Instant::now();
    while start.elapsed() < lap + lap / 10 {
        let before = Instant::now();
        for _ in 0..BATCH {
            operation()?;
        }
        let took = before.elapsed();
        if start.elapsed() > lap / 10 {
            times.saturating_record((took.as_nanos() as u64 * 1000 / BATCH as u64).max(1));
        }
    }
    Ok(times)
}

/// Nanoseconds of a clock that all processes share.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Keys in an order that no prefetcher guesses: the step has no common divisor with 512 or 1,000.
fn scattered(count: usize) -> impl FnMut() -> usize {
    let mut at = 0;
    move || {
        at = (at + 387) % count;
        at
    }
}

fn pin_to(core: usize) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let mut set = rustix::thread::CpuSet::new();
    set.set(core % cores);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Receives, and spins until there is something, or the end.
fn spin(receiver: &mut impl Receiver, key: usize, into: &mut Vec<u8>, over: &AtomicBool) -> Result<bool> {
    while !receiver.receive(key, into)? {
        if over.load(Ordering::Relaxed) {
            return Ok(false);
        }
        hint::spin_loop();
    }
    Ok(true)
}

/// The other process of a measurement. It is told to begin and to end by its input, and says what it found in a line of its output.
pub(crate) struct Partner {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Partner {
    pub(crate) fn start(task: &Task, number: usize) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["partner", "--session", &task.session, "--size", &task.size.to_string()])
            .args(["--workload", &task.workload.name(), "--number", &number.to_string()])
            .args(["--setup", clap::ValueEnum::to_possible_value(&task.setup).expect("none is skipped").get_name()])
            .args(task.quick.then_some("--quick"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut partner = Self { process, input, output };
        ensure!(partner.line()? == "ready", "the partner did not get ready");
        Ok(partner)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the partner ended with an error");
        if let Some(reason) = line.trim_end().strip_prefix(Blank::LINE) {
            // Once in the life of this process.
            return Err(Blank(reason.to_owned().leak()).into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn begin(&mut self) -> Result<()> {
        let input = self.input.as_mut().expect("it has not ended yet");
        writeln!(input, "begin")?;
        Ok(input.flush()?)
    }

    /// As [`end`](Self::end), and goes on with something meanwhile: whoever waits for room does not end before there is some.
    fn end_meanwhile(&mut self, mut act: impl FnMut() -> Result<()>) -> Result<String> {
        self.input = None;
        while self.process.try_wait()?.is_none() {
            act()?;
        }
        self.end()
    }

    /// Has it end, and gives what it says then.
    pub(crate) fn end(&mut self) -> Result<String> {
        self.input = None;
        let line = self.line();
        ensure!(self.process.wait()?.success(), "the partner ended with an error");
        line
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Says that a partner is ready, waits until it is to begin, and gives what tells that it is to end.
fn ready() -> Result<Arc<AtomicBool>> {
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&over);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        flag.store(true, Ordering::Relaxed);
    });
    Ok(over)
}

/// Measures.
pub(crate) struct Worker<'a>(pub(crate) &'a Task);

impl Visitor for Worker<'_> {
    type Output = Vec<Figure>;

    fn visit<P: Peer>(self) -> Result<Vec<Figure>> {
        let task = self.0;
        match task.workload {
            Workload::Roundtrip | Workload::RoundtripManyKeys => roundtrip::<P>(task),
            Workload::Pingpong => pingpong::<P>(task),
            Workload::Wake => wake::<P>(task),
            Workload::Mrsw | Workload::MrswManyKeys => mrsw::<P>(task),
            Workload::Mpsc => mpsc::<P>(task),
            Workload::Typed => typed::by_bytes::<P>(task),
            Workload::Miss => crate::capacity::miss(task),
            Workload::Create | Workload::Open => crate::capacity::create_or_open::<P>(task),
            Workload::Footprint => crate::capacity::footprint::<P>(task),
        }
    }
}

/// Is the other process.
pub(crate) struct PartnerOf<'a>(pub(crate) &'a Task);

impl Visitor for PartnerOf<'_> {
    type Output = ();

    fn visit<P: Peer>(self) -> Result<()> {
        let task = self.0;
        match task.workload {
            Workload::Pingpong => pingpong_partner::<P>(task),
            Workload::Wake => wake_partner::<P>(task),
            Workload::Mrsw | Workload::MrswManyKeys => mrsw_partner::<P>(task),
            Workload::Mpsc => mpsc_partner::<P>(task),
            Workload::Open => crate::capacity::open_partner::<P>(task),
            _ => bail!("has no partner"),
        }
    }
}

/// Both ends, in the order in which they must come.
pub(crate) fn ends<S, R>(
    receiver_first: bool,
    sender: impl FnOnce() -> Result<S>,
    receiver: impl FnOnce() -> Result<R>,
) -> Result<(S, R)> {
    if receiver_first {
        let receiver = receiver()?;
        Ok((sender()?, receiver))
    } else {
        Ok((sender()?, receiver()?))
    }
}

/// Both ends of a channel, in this process.
pub(crate) fn both_ends<P: Peer>(session: &str, job: Job) -> Result<(P::Sender, P::Receiver)> {
    let sender = || P::sender(session, Channel::There, job);
    ends(P::receiver_first(job.kind), sender, || P::receiver(session, Channel::There, job))
}

fn roundtrip<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let job = task.job();
    let _host = P::host(&task.session, job)?;
    let (mut sender, mut receiver) = both_ends::<P>(&task.session, job)?;
    let (mut payload, mut received) = (Payload::new(job.size), Vec::new());
    let (mut key, mut number) = (scattered(job.keys), 0);
    pin_to(0)?;
    let times = batches(task.budget().lap, || {
        let key = key();
        number += 1;
        sender.send(key, payload.numbered(number))?;
        while !receiver.receive(key, &mut received)? {}
        payload::check(&received, number)
    })?;
    Ok(percentiles(&times))
}

fn pingpong<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let job = task.job();
    let _host = P::host(&task.session, job)?;
    let mut sender = P::sender(&task.session, Channel::There, job)?;
    let mut partner = Partner::start(task, 0)?;
    let mut receiver = P::receiver(&task.session, Channel::Back, job)?;
    let (mut payload, mut received) = (Payload::new(job.size), Vec::new());
    let (mut times, never) = (histogram(), AtomicBool::new(false));
    pin_to(0)?;
    partner.begin()?;
    let lap = task.budget().lap;
    let start = Instant::now();
    for number in 1.. {
        let before = Instant::now();
        sender.send(0, payload.numbered(number))?;
        spin(&mut receiver, 0, &mut received, &never)?;
        let way = before.elapsed() / 2;
        payload::check(&received, number)?;
        let elapsed = start.elapsed();
        if elapsed > lap / 10 {
            times.saturating_record(way.as_nanos() as u64 * 1000);
        }
        if elapsed > lap + lap / 10 {
            break;
        }
    }
    partner.end()?;
    Ok(percentiles(&times))
}

fn pingpong_partner<P: Peer>(task: &Task) -> Result<()> {
    let job = task.job();
    let mut receiver = P::receiver(&task.session, Channel::There, job)?;
    let mut sender = P::sender(&task.session, Channel::Back, job)?;
    let (mut payload, mut received) = (Payload::new(job.size), Vec::new());
    pin_to(1)?;
    let over = ready()?;
    for number in 1.. {
        if !spin(&mut receiver, 0, &mut received, &over)? {
            break;
        }
        payload::check(&received, number)?;
        sender.send(0, payload.numbered(number))?;
    }
    println!("over");
    Ok(())
}

/// Says to a sleeper that this is the last message.
const LAST: u64 = u64::MAX;

fn wake<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let job = task.job();
    let _host = P::host(&task.session, job)?;
    let sender = || P::sender(&task.session, Channel::There, job);
    let (mut sender, mut partner) = ends(P::receiver_first(job.kind), sender, || Partner::start(task, 0))?;
    let mut payload = Payload::new(job.size);
    pin_to(0)?;
    partner.begin()?;
    for _ in 0..task.budget().wakes {
        std::thread::sleep(Budget::PAUSE);
        // It sleeps for longer in between than anybody else waits.
        #[cfg(feature = "libsplinter")]
        if matches!(task.setup, Setup::LibsplinterMop0 | Setup::LibsplinterMop1) {
            std::thread::sleep(Duration::from_millis(11));
        }
        sender.send(0, payload.numbered(now()))?;
    }
    std::thread::sleep(Duration::from_millis(30));
    sender.send(0, payload.numbered(LAST))?;
    Ok(serde_json::from_str(&partner.end()?)?)
}

fn wake_partner<P: Peer>(task: &Task) -> Result<()> {
    let mut receiver = P::receiver(&task.session, Channel::There, task.job())?;
    let (mut times, mut received) = (histogram(), Vec::new());
    pin_to(1)?;
    ready()?;
    loop {
        receiver.wait(&mut received)?;
        let arrived = now();
        let sent = payload::number(&received);
        if sent == LAST {
            break;
        }
        payload::check(&received, sent)?;
        times.saturating_record(arrived.saturating_sub(sent) * 1000);
    }
    ensure!(times.len() * 10 >= task.budget().wakes as u64 * 9, "only {} of the messages arrived", times.len());
    println!("{}", serde_json::to_string(&percentiles(&times))?);
    Ok(())
}

fn mrsw<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let job = task.job();
    let _host = P::host(&task.session, job)?;
    let receiver = || P::receiver(&task.session, Channel::There, job);
    let (mut partner, mut receiver) = ends(P::receiver_first(job.kind), || Partner::start(task, 0), receiver)?;
    let (mut received, mut newest) = (Vec::new(), vec![0; job.keys]);
    let (mut reads, mut torn, mut key) = (0u64, 0u64, scattered(job.keys));
    pin_to(0)?;
    partner.begin()?;
    let start = Instant::now();
    while start.elapsed() < task.budget().lap {
        for _ in 0..BATCH {
            let key = key();
            if !receiver.receive(key, &mut received)? {
                continue;
            }
            match payload::whole(&received) {
                Some(number) => {
                    ensure!(number >= newest[key], "value {number} after {}", newest[key]);
                    newest[key] = number;
                    reads += 1;
                }
                None => torn += 1,
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let writes: f64 = partner.end_meanwhile(|| receiver.receive(0, &mut received).map(drop))?.parse()?;
    ensure!(torn == 0, "{torn} torn reads");
    ensure!(reads > 0, "nothing was read");
    Ok(vec![Figure::new("reads", reads as f64 / seconds, "/s"), Figure::new("writes", writes, "/s")])
}

fn mrsw_partner<P: Peer>(task: &Task) -> Result<()> {
    let job = task.job();
    let mut sender = P::sender(&task.session, Channel::There, job)?;
    let (mut payload, mut key) = (Payload::new(job.size), scattered(job.keys));
    for key in 0..job.keys {
        sender.send(key, payload.filled(0))?;
    }
    pin_to(1)?;
    let over = ready()?;
    let start = Instant::now();
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        sender.send(key(), payload.filled(number))?;
    }
    println!("{}", number as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

/// A message says which sender it is from, and which of its messages it is.
const SENDER: u32 = 48;

fn mpsc<P: Peer>(task: &Task) -> Result<Vec<Figure>> {
    let job = task.job();
    let _host = P::host(&task.session, job)?;
    let receiver = || P::receiver(&task.session, Channel::There, job);
    let senders = || Ok([Partner::start(task, 0)?, Partner::start(task, 1)?]);
    let (mut partners, mut receiver) = ends(P::receiver_first(job.kind), senders, receiver)?;
    let (mut received, mut next) = (Vec::new(), [1u64; 2]);
    // Some notice only now that there are senders, and lose what these send before.
    ensure!(!receiver.receive(0, &mut received)?, "a message came before any was sent");
    partners.iter_mut().try_for_each(Partner::begin)?;
    let start = Instant::now();
    while start.elapsed() < task.budget().lap {
        for _ in 0..BATCH {
            if !receiver.receive(0, &mut received)? {
                hint::spin_loop();
                continue;
            }
            let number = payload::number(&received);
            payload::check(&received, number)?;
            let (sender, number) = ((number >> SENDER) as usize, number & ((1 << SENDER) - 1));
            ensure!(number == next[sender], "message {number} of sender {sender} came instead of {}", next[sender]);
            next[sender] += 1;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let all = next.iter().map(|next| next - 1).sum::<u64>() as f64;
    // They wait for room that nobody makes any more.
    drop(partners);
    ensure!(all > 0.0, "nothing was received");
    Ok(vec![Figure::new("reads", all / seconds, "/s")])
}

fn mpsc_partner<P: Peer>(task: &Task) -> Result<()> {
    let job = task.job();
    let channel = [Channel::There, Channel::Back][task.number];
    let mut sender = P::sender(&task.session, channel, job)?;
    let mut payload = Payload::new(job.size);
    let over = ready()?;
    for number in 1.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        sender.send(0, payload.numbered((task.number as u64) << SENDER | number))?;
    }
    println!("over");
    Ok(())
}
