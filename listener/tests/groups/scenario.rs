//! Members come, leave and are killed while records keep coming.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::judge::{Event, Sample, Story, What, consumed, judge, tenures};
use crate::member::{Kind, Leaves, Log, Member};
use crate::server::{Observer, Server};

pub(crate) const PARTITIONS: i32 = 6;
/// Longer than any step takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
const PRODUCE_INTERVAL: Duration = Duration::from_millis(8);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(200);

/// Not more of these at once than a small machine can bear.
struct Slots {
    free: Mutex<u32>,
    released: Condvar,
}

static SLOTS: Slots = Slots {
    free: Mutex::new(6),
    released: Condvar::new(),
};

pub(crate) struct Slot;

impl Slot {
    pub(crate) fn take() -> Self {
        let free = SLOTS.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = SLOTS.released.wait_while(free, |free| *free == 0).unwrap();
        *free -= 1;
        Slot
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *SLOTS.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        SLOTS.released.notify_one();
    }
}

/// One group for each kind, side by side.
pub(crate) fn members_come_and_go(kinds: &[Kind]) {
    let server = Server::shared();
    std::thread::scope(|scope| {
        for kind in kinds {
            let server = &server;
            let scenario = move || {
                let _slot = Slot::take();
                come_and_go(server, kind);
            };
            let thread = std::thread::Builder::new().name(kind.name.clone());
            thread.spawn_scoped(scope, scenario).unwrap();
        }
    });
}

fn come_and_go(server: &Server, kind: &Kind) {
    let mut group = Group::new(server, kind);
    let a = group.start_member();
    group.settles(&[a]);
    let b = group.start_member();
    group.settles(&[a, b]);
    let c = group.start_member();
    group.settles(&[a, b, c]);
    group.leaves(&[b]);
    group.settles(&[a, c]);
    let b = group.start_member();
    group.settles(&[a, b, c]);
    group.members.remove(&c).unwrap().kill();
    let d = group.start_member();
    group.settles(&[a, b, d]);
    group.ends(&[a, b, d]);
}

struct Group<'a> {
    server: &'a Server,
    kind: &'a Kind,
    topic: String,
    name: String,
    log: Arc<Log>,
    members: BTreeMap<usize, Member>,
    started: usize,
    records: Load,
    observer: Observer,
    sampler: Sampler,
}

impl<'a> Group<'a> {
    fn new(server: &'a Server, kind: &'a Kind) -> Self {
        let topic = format!("{}-topic", kind.name);
        let name = format!("{}-group", kind.name);
        server.create_topic(&topic, PARTITIONS);
        let log = Arc::new(Log::new());
        let sampler = Sampler::start(server.observer(&topic, &name), Arc::clone(&log));
        Group {
            records: Load::start(server.address(), &topic),
            observer: server.observer(&topic, &name),
            members: BTreeMap::new(),
            started: 0,
            server,
            kind,
            topic,
            name,
            log,
            sampler,
        }
    }

    fn start_member(&mut self) -> usize {
        let number = self.started;
        self.started += 1;
        let mut command = (self.kind.command)(self.server.address(), &self.topic, &self.name);
        let member = Member::start(&self.log, number, self.kind.leaves, &mut command);
        self.members.insert(number, member);
        number
    }

    /// Waits until each partition has one owner, each of these members has partitions, and
    /// each then reads on.
    fn settles(&mut self, members: &[usize]) {
        let all: Vec<i32> = (0..PARTITIONS).collect();
        self.wait(&format!("{members:?} share all partitions"), |group| {
            let tenures = tenures(&group.log.events());
            let owned: Vec<_> = tenures.iter().filter(|t| t.to.is_none()).collect();
            let mut partitions: Vec<_> = owned.iter().map(|t| t.partition).collect();
            partitions.sort_unstable();
            let owners: BTreeSet<_> = owned.iter().map(|t| t.member).collect();
            partitions == all && owners == members.iter().copied().collect()
        });
        let since = self.log.now();
        self.wait(&format!("{members:?} read on"), |group| {
            let events = group.log.events();
            let new = events.iter().rev().take_while(|event| event.at > since);
            let records = new.filter(|event| matches!(event.what, What::Record { .. }));
            let readers: BTreeSet<_> = records.map(|event| event.member).collect();
            readers == members.iter().copied().collect()
        });
    }

    fn leaves(&mut self, members: &[usize]) {
        for number in members {
            self.members.get_mut(number).unwrap().leave();
            let mut status = None;
            self.wait_for_end(*number, &mut status);
            let mut member = self.members.remove(number).unwrap();
            member.is_gone();
            let status = status.unwrap();
            assert!(status.success(), "{number}: {status}\n{}", member.said());
        }
    }

    fn wait_for_end(&mut self, number: usize, status: &mut Option<std::process::ExitStatus>) {
        let until = Instant::now() + LIMIT;
        while status.is_none() {
            *status = self.members.get_mut(&number).unwrap().ended();
            assert!(
                Instant::now() < until,
                "{}",
                self.report("it does not leave")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + LIMIT;
        while !is_so(self) {
            let ended = self.members.values_mut().any(|m| m.ended().is_some());
            let late = Instant::now() > until;
            assert!(!ended && !late, "{}", self.report(what));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// No more records; all are read and committed before the last members leave.
    fn ends(mut self, members: &[usize]) {
        let produced = self.records.stop();
        let high_watermarks = self.observer.high_watermarks();
        // One member has left before.
        let may_drop = usize::from(self.kind.leaves == Leaves::WhenTerminated);
        self.wait("all is read and committed", |group| {
            let unread = &produced - &consumed(&group.log.events());
            let committed = group.observer.sample(Duration::ZERO).committed;
            unread.len() <= may_drop && committed == high_watermarks
        });
        let closing = self.log.now();
        self.leaves(members);
        let story = Story {
            samples: self.sampler.stop(),
            events: self.log.events().clone(),
            produced,
            high_watermarks,
            closing,
            may_drop,
        };
        let found = judge(&story);
        assert!(found.is_empty(), "{}", self.report(&found.join("\n")));
    }

    /// Writes down what happened, for the reader of a failure.
    fn report(&self, what: &str) -> String {
        let mut report = String::new();
        for event in self.log.events().iter() {
            writeln!(report, "{}", line(event)).unwrap();
        }
        // Where these are far apart, the server or the machine was slow, not the group.
        for sample in self.sampler.samples() {
            let at = sample.at.as_secs_f64();
            writeln!(report, "Sample {{ {at:.3} {} }}", sample.state).unwrap();
        }
        for member in self.members.values() {
            writeln!(report, "member {} said:\n{}", member.number, member.said()).unwrap();
        }
        let file = format!("{}.events", self.name);
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        std::fs::write(&file, &report).unwrap();
        let without_records: Vec<_> = report
            .lines()
            .filter(|line| {
                !["Record {", "Committed {", "Sample {"]
                    .iter()
                    .any(|w| line.contains(w))
            })
            .collect();
        format!(
            "{}: {what}\n{}\nall events and samples: {}",
            self.name,
            without_records.join("\n"),
            file.display()
        )
    }
}

fn line(event: &Event) -> String {
    let Event { at, member, what } = event;
    format!("{:>8.3} {member} {what:?}", at.as_secs_f64())
}

/// Looks at the group again and again.
pub(crate) struct Sampler {
    stop: Arc<AtomicBool>,
    samples: Arc<Mutex<Vec<Sample>>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    pub(crate) fn start(observer: Observer, log: Arc<Log>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (stopped, taken) = (Arc::clone(&stop), Arc::clone(&samples));
        let thread = std::thread::spawn(move || {
            loop {
                // The last one is taken after all else.
                let last = stopped.load(Ordering::Relaxed);
                let sample = observer.sample(log.now());
                taken.lock().unwrap().push(sample);
                if last {
                    return;
                }
                std::thread::sleep(SAMPLE_INTERVAL);
            }
        });
        Sampler {
            stop,
            samples,
            thread: Some(thread),
        }
    }

    pub(crate) fn stop(&mut self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.samples()
    }

    fn samples(&self) -> Vec<Sample> {
        let samples = self.samples.lock();
        samples.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Where records were stored.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<BTreeSet<(i32, i64)>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Ok(message) = result else { return };
        let mut places = self.0.lock().unwrap();
        places.insert((message.partition(), message.offset()));
    }
}

/// A producer that sends one record after another, to each partition in turn.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<BTreeSet<(i32, i64)>>>,
}

impl Load {
    pub(crate) fn start(address: &str, topic: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let deliveries = Deliveries::default();
        let producer: ThreadedProducer<Deliveries> = ClientConfig::new()
            .set("bootstrap.servers", address)
            .set("enable.idempotence", "true")
            .create_with_context(deliveries.clone())
            .unwrap();
        let (stopped, topic) = (Arc::clone(&stop), topic.to_owned());
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !stopped.load(Ordering::Relaxed) {
                let value = format!("value {count}");
                let record = BaseRecord::<str, str>::to(&topic).payload(&value);
                let partition = count % PARTITIONS;
                producer.send(record.partition(partition)).unwrap();
                count += 1;
                std::thread::sleep(PRODUCE_INTERVAL);
            }
            producer.flush(LIMIT).unwrap();
            let places = deliveries.0.lock().unwrap().clone();
            assert_eq!(places.len(), count as usize, "records acknowledged");
            places
        });
        Load {
            stop,
            thread: Some(thread),
        }
    }

    /// Partition and offset of each record.
    pub(crate) fn stop(&mut self) -> BTreeSet<(i32, i64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
