//! Jobs: each is written down before and after it is published, handled, and acknowledged, so that the parent can account for all of
//! them, whoever was killed.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::{Bus, Job, PublishError, Publisher, RecvError, WorkQueue};

use crate::arena::{Arena, Sort};
use crate::defect::{Defect, Fault};
use crate::journal::{Event, Journal, Record};
use crate::random::Random;
use crate::recorder::Recorder;
use crate::tally::Kind;
use crate::value::{self, Origin};
use crate::witness::Witness;

/// Jobs that a worker has in hand at a time, over all queues.
const HELD: usize = 4;
/// How long the last jobs take, at most.
const LONGEST_END: Duration = Duration::from_secs(30);
const LOOK_AROUND: Duration = Duration::from_millis(1);

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
            // Before anything is published: from then on nothing is overwritten.
            let queue = bus.work_queue(witness.name())?;
            let publisher = bus.publisher(witness.name())?;
            Ok(Queue { number: arena.number(Sort::Queue, key), witness, publisher, sequence: 0, queue })
        });
        let queues = queues.collect::<Result<_, _>>()?;
        let journal = Journal::new(arena, me)?;
        Ok(Self { arena, bus: bus.clone(), me, journal, queues, jobs: Vec::new(), value: Vec::new() })
    }

    pub(super) fn step(&mut self, random: &mut Random, record: &mut Recorder) {
        let queue = random.below(self.queues.len());
        let outcome = match random.below(16) {
            0..7 => self.publish(queue, random, record),
            7..11 => self.take(queue).map(drop),
            _ => self.acknowledge_some(random, record),
        };
        record.note(outcome);
    }

    fn publish(&mut self, queue: usize, random: &mut Random, record: &mut Recorder) -> Result<(), Defect> {
        let Queue { number, sequence, .. } = self.queues[queue];
        self.value.resize(self.arena.length(random), 0);
        value::fill(&mut self.value, Origin { key: number, writer: self.me, sequence });
        let note = |event, version| Record { event, queue: number, publisher: self.me, sequence, version, attempt: 0 };
        write(&mut self.journal, note(Event::Intended, 0))?;
        let state = &mut self.queues[queue];
        match record.tallies.time(Kind::Enqueue, || state.publisher.publish(&self.value)) {
            Ok(sent) => {
                state.sequence += 1;
                write(&mut self.journal, note(Event::Published, sent.version))
            }
            Err(PublishError::Backpressure(_)) => {
                record.tallies.refused(Kind::Enqueue);
                write(&mut self.journal, note(Event::Refused, 0))
            }
            Err(error) => Err(Defect::failed(state.witness.name(), "publish job", &error)),
        }
    }

    /// Takes a job, if there is one.
    fn take(&mut self, queue: usize) -> Result<bool, Defect> {
        if self.jobs.len() == HELD {
            return Ok(false);
        }
        let state = &mut self.queues[queue];
        let start = Instant::now();
        match state.queue.try_recv() {
            Ok(Some(job)) => {
                let took = start.elapsed();
                let proof = value::check(&job, state.number, state.witness.name(), job.version())?;
                state.witness.saw(job.version(), &proof)?;
                self.jobs.push((queue, took, job));
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(RecvError::Frame { version, source, .. }) => {
                Err(Defect::new(Fault::Torn, state.witness.name(), version, source))
            }
            Err(error) => Err(Defect::failed(state.witness.name(), "take job", &error)),
        }
    }

    /// Is done with one of those in hand, or gives it back.
    fn acknowledge_some(&mut self, random: &mut Random, record: &mut Recorder) -> Result<(), Defect> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let job = self.jobs.swap_remove(random.below(self.jobs.len()));
        if random.once_in(16) {
            return Ok(());
        }
        self.acknowledge(job, record)
    }

    fn acknowledge(
        &mut self,
        (queue, took, job): (usize, Duration, Job<Vec<u8>>),
        record: &mut Recorder,
    ) -> Result<(), Defect> {
        let state = &self.queues[queue];
        // Nothing has changed it since it was taken: it is our own copy.
        let (version, attempt) = (job.version(), job.attempt());
        let origin = value::check(&job, state.number, state.witness.name(), version)?.origin;
        let attempt = u8::try_from(attempt).unwrap_or(u8::MAX);
        let (publisher, sequence) = (origin.writer, origin.sequence);
        let note = |event| Record { event, queue: state.number, publisher, sequence, version, attempt };
        write(&mut self.journal, note(Event::Handled))?;
        let start = Instant::now();
        if let Err(error) = job.acknowledge() {
            let what = format!("handled by a living worker, and not its own any more: {error}");
            return Err(Defect::new(Fault::WrongJob, state.witness.name(), version, what));
        }
        record.tallies.done(Kind::Handle, took + start.elapsed());
        write(&mut self.journal, note(Event::Acknowledged))
    }

    /// Gives back what is in hand.
    pub(super) fn let_go(&mut self) {
        self.jobs.clear();
    }

    /// Handles what there is now.
    pub(super) fn handle_all(&mut self, record: &mut Recorder) {
        for queue in 0..self.queues.len() {
            loop {
                let taken = self.take(queue);
                if record.note(taken) != Some(true) {
                    break;
                }
                while let Some(job) = self.jobs.pop() {
                    let acknowledged = self.acknowledge(job, record);
                    record.note(acknowledged);
                }
            }
        }
    }

    /// Nobody publishes any more: goes on until nothing is left, neither to be taken nor in anybody's hands.
    pub(super) fn finish(&mut self, record: &mut Recorder) {
        let start = Instant::now();
        loop {
            self.handle_all(record);
            let left = self.queues.iter().map(|state| {
                let snapshot = self.bus.store().slot_snapshot(state.witness.name()).ok().flatten()?.queue?;
                Some(snapshot.waiting + snapshot.taken)
            });
            let left: Vec<_> = left.collect();
            if left.iter().all(|&left| left == Some(0)) {
                return;
            }
            if start.elapsed() > LONGEST_END {
                let what = format!("jobs that cannot be taken, of each queue: {left:?}");
                return record.defect(Defect::new(Fault::LostJob, "queue:*", 0, what));
            }
            record.report_in_time();
            thread::sleep(LOOK_AROUND);
        }
    }
}

fn write(journal: &mut Journal, record: Record) -> Result<(), Defect> {
    journal.write(record).map_err(|error| Defect::failed("", "journal", &error))
}
