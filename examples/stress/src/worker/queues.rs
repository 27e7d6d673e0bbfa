//! Jobs: publishing, handling, and acknowledging them.
//!
//! Each step is recorded in a journal, so that the supervisor can check every job, even if its
//! worker was killed.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::store::SetError;
use splinter_bus::{Bus, Job, PublishError, Publisher, RecvError, WorkQueue};

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::journal::{Event, Journal, Record};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::tally::Kind;
use crate::value::{self, Origin};
use crate::witness::Witness;

/// How many jobs are leased to a worker at the same time, over all queues.
const MAX_LEASED: usize = 4;
/// How long handling the remaining jobs may take.
const FINISH_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the queues are checked for remaining jobs.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

pub(super) struct Queues<'a> {
    arena: &'a Arena,
    bus: Bus<Vec<u8>>,
    me: u64,
    journal: Journal,
    queues: Vec<Queue>,
    jobs: Vec<(usize, Duration, Job<Vec<u8>>)>,
    value: Vec<u8>,
}

struct Queue {
    number: u32,
    witness: Witness,
    publisher: Publisher<Vec<u8>>,
    sequence: u64,
    queue: WorkQueue<Vec<u8>>,
}

impl<'a> Queues<'a> {
    pub(super) fn new(arena: &'a Arena, bus: &Bus<Vec<u8>>, me: u64) -> Result<Self, Box<dyn Error>> {
        let queues = (0..arena.keys).map(|key| -> Result<Queue, Box<dyn Error>> {
            let witness = Witness::new(arena, Sort::Queue, key)?;
            // Created before the first job is published. From then on, no job is overwritten.
            let queue = bus.work_queue(witness.name())?;
            let publisher = bus.publisher(witness.name())?;
            Ok(Queue { number: arena.number(Sort::Queue, key), witness, publisher, sequence: 0, queue })
        });
        let queues = queues.collect::<Result<_, _>>()?;
        let journal = Journal::new(arena, me)?;
        Ok(Self { arena, bus: bus.clone(), me, journal, queues, jobs: Vec::new(), value: Vec::new() })
    }

    pub(super) fn step(&mut self, random: &mut Random, recorder: &mut Recorder) {
        let queue = random.below(self.queues.len());
        let outcome = match random.below(16) {
            0..7 => self.publish(queue, random, recorder),
            7..11 => self.receive(queue).map(drop),
            _ => self.acknowledge_or_requeue(random, recorder),
        };
        recorder.note(outcome);
    }

    fn publish(&mut self, queue: usize, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        let Queue { number, sequence, .. } = self.queues[queue];
        self.value.resize(self.arena.length(random), 0);
        value::fill(&mut self.value, Origin { key: number, writer: self.me, sequence });
        let note = |event, version| Record { event, queue: number, publisher: self.me, sequence, version, attempt: 0 };
        write(&mut self.journal, note(Event::Intended, 0))?;
        let state = &mut self.queues[queue];
        match recorder.tallies.time(Kind::Enqueue, || state.publisher.publish(&self.value)) {
            Ok(sent) => {
                state.sequence += 1;
                write(&mut self.journal, note(Event::Published, sent.version))
            }
            Err(PublishError::Set(SetError::Backpressure(_))) => {
                recorder.tallies.refused(Kind::Enqueue);
                write(&mut self.journal, note(Event::Refused, 0))
            }
            Err(error) => Err(Defect::failed(state.witness.name(), "publish job", &error)),
        }
    }

    /// Receives a job. Returns whether there was one.
    fn receive(&mut self, queue: usize) -> Result<bool, Defect> {
        if self.jobs.len() == MAX_LEASED {
            return Ok(false);
        }
        let state = &mut self.queues[queue];
        let start = Instant::now();
        match state.queue.try_recv() {
            Ok(Some(job)) => {
                let took = start.elapsed();
                let proof = value::check(&job, state.number, state.witness.name(), job.version())?;
                state.witness.observe(job.version(), &proof)?;
                self.jobs.push((queue, took, job));
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(RecvError::Frame { version, source, .. }) => {
                Err(Defect::new(Fault::Torn, state.witness.name(), version, source))
            }
            Err(error) => Err(Defect::failed(state.witness.name(), "receive job", &error)),
        }
    }

    /// Acknowledges a leased job, or requeues it by dropping it.
    fn acknowledge_or_requeue(&mut self, random: &mut Random, recorder: &mut Recorder) -> Result<(), Defect> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let job = self.jobs.swap_remove(random.below(self.jobs.len()));
        if random.once_in(16) {
            return Ok(());
        }
        self.acknowledge(job, recorder)
    }

    fn acknowledge(
        &mut self,
        (queue, took, job): (usize, Duration, Job<Vec<u8>>),
        recorder: &mut Recorder,
    ) -> Result<(), Defect> {
        let state = &self.queues[queue];
        // The job is a copy, so it must be the same as when it was received.
        let (version, attempt) = (job.version(), job.attempt());
        let origin = value::check(&job, state.number, state.witness.name(), version)?.origin;
        let attempt = u8::try_from(attempt).unwrap_or(u8::MAX);
        let (publisher, sequence) = (origin.writer, origin.sequence);
        let note = |event| Record { event, queue: state.number, publisher, sequence, version, attempt };
        write(&mut self.journal, note(Event::Handled))?;
        let start = Instant::now();
        if let Err(error) = job.acknowledge() {
            let what = format!("handled, but the lease was lost although the worker was not killed: {error}");
            return Err(Defect::new(Fault::WrongJob, state.witness.name(), version, what));
        }
        recorder.tallies.done(Kind::Handle, took + start.elapsed());
        write(&mut self.journal, note(Event::Acknowledged))
    }

    /// Requeues all leased jobs.
    pub(super) fn requeue_all(&mut self) {
        self.jobs.clear();
    }

    /// Handles all jobs that are available now.
    pub(super) fn handle_all(&mut self, recorder: &mut Recorder) {
        for queue in 0..self.queues.len() {
            loop {
                let received = self.receive(queue);
                if recorder.note(received) != Some(true) {
                    break;
                }
                while let Some(job) = self.jobs.pop() {
                    let acknowledged = self.acknowledge(job, recorder);
                    recorder.note(acknowledged);
                }
            }
        }
    }

    /// Handles jobs until none is waiting or leased, after all workers have stopped publishing.
    pub(super) fn finish(&mut self, recorder: &mut Recorder) {
        let start = Instant::now();
        loop {
            self.handle_all(recorder);
            let left = self.queues.iter().map(|state| {
                let snapshot = self.bus.store().slot_snapshot(state.witness.name()).ok().flatten()?.queue?;
                Some(snapshot.waiting + snapshot.taken)
            });
            let left: Vec<_> = left.collect();
            if left.iter().all(|&left| left == Some(0)) {
                return;
            }
            if start.elapsed() > FINISH_TIMEOUT {
                let what = format!("remaining jobs of each queue: {left:?}");
                return recorder.defect(Defect::new(Fault::LostJob, "queue:*", 0, what));
            }
            recorder.report_if_due();
            thread::sleep(CHECK_INTERVAL);
        }
    }
}

fn write(journal: &mut Journal, record: Record) -> Result<(), Defect> {
    journal.write(record).map_err(|error| Defect::failed("", "journal", &error))
}
