//! A group of SQL and Java: one member polls in a SQL session, two are Java consumers behind
//! a listener that is killed while they rebalance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::common::{Env, Listener, Sql, eventually};
use crate::judge::{Sample, Story, What, consumed, judge_samples, unread_records};
use crate::member::{Kind, Log, Member};
use crate::run::Client;
use crate::scenario::{Load, PARTITIONS, Sampler, Slot};
use crate::server::{Observer, SETTINGS};

const TOPIC: &str = "mixed-topic";
const GROUP: &str = "mixed-group";
const SQL_MEMBER: usize = 0;

/// Calls `kafka.poll` again and again.
struct Poller {
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Poller {
    fn start(sql: Sql, log: Arc<Log>) -> Self {
        let [stop, pause] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let (stopped, paused) = (Arc::clone(&stop), Arc::clone(&pause));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if paused.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                } else {
                    poll(&sql, &log);
                }
            }
        });
        Poller {
            stop,
            pause,
            thread: Some(thread),
        }
    }

    fn pause(&self, pause: bool) {
        self.pause.store(pause, Ordering::Relaxed);
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One transaction: what it returns is committed when it has returned.
fn poll(sql: &Sql, log: &Log) {
    let rows = sql.rows(&format!(
        "SELECT partition, \"offset\" FROM kafka.poll('{GROUP}', ARRAY['{TOPIC}'],
             max_wait_ms => 100, session_timeout_ms => 30000)"
    ));
    let mut next = BTreeMap::new();
    for row in rows {
        let [partition, offset] = [0, 1].map(|column| row.get(column).unwrap());
        let (partition, offset) = (partition.parse().unwrap(), offset.parse().unwrap());
        log.add(SQL_MEMBER, What::Record { partition, offset });
        next.insert(partition, offset + 1);
    }
    for (partition, offset) in next {
        log.add(SQL_MEMBER, What::Committed { partition, offset });
    }
}

/// How many partitions each member has, where the group is stable and all are given out.
fn shares(sample: &Sample) -> Option<Vec<usize>> {
    let partitions: BTreeSet<_> = sample.assigned.iter().map(|(_, p)| *p).collect();
    let all = sample.state == "Stable" && partitions == (0..PARTITIONS).collect();
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    for (member, _) in &sample.assigned {
        *shares.entry(member).or_default() += 1;
    }
    all.then(|| shares.into_values().collect())
}

pub(crate) fn sql_and_java_outlive_the_listener(client: &Client) {
    let _slot = Slot::take();
    let mut env = Env::own(SETTINGS, &[]);
    env.create_topic(TOPIC, PARTITIONS);
    let log = Arc::new(Log::new());
    let observer = Observer::new(env.sql(), TOPIC, GROUP);
    let sampler = Observer::new(env.sql(), TOPIC, GROUP);
    let mut sampler = Sampler::start(sampler, Arc::clone(&log));
    let mut records = Load::start(&env.listener.address, TOPIC);
    let share = |expected: &[usize]| {
        eventually(&format!("members share {expected:?}"), || {
            shares(&observer.sample(Duration::ZERO)).as_deref() == Some(expected)
        });
    };
    let kind = Kind::program(client, "range");
    let start = |address: &str, number| {
        let mut command = (kind.command)(address, TOPIC, GROUP);
        Member::start(&log, number, kind.leaves, &mut command)
    };

    let mut poller = Poller::start(env.sql(), Arc::clone(&log));
    share(&[6]);
    let mut first = start(&env.listener.address, 1);
    share(&[3, 3]);
    all_read(&log, &[SQL_MEMBER, 1]);

    // The rebalance goes on until the SQL member, too, joins again.
    poller.pause(true);
    let mut second = start(&env.listener.address, 2);
    eventually("the Java members wait for the SQL member", || {
        let state = observer.sample(Duration::ZERO).state;
        let revoked = |event: &crate::judge::Event| {
            event.member == 1 && matches!(event.what, What::Revoked(_))
        };
        state == "PreparingRebalance" && log.events().iter().any(revoked)
    });
    let address = env.listener.address.clone();
    env.listener.kill();
    env.listener = Listener::spawn(&env.cluster.conninfo(), &address, &[]);
    poller.pause(false);
    share(&[2, 2, 2]);
    all_read(&log, &[SQL_MEMBER, 1, 2]);

    let produced = records.stop();
    let high_watermarks = observer.high_watermarks();
    eventually("all is read and committed", || {
        let committed = observer.sample(Duration::ZERO).committed;
        committed == high_watermarks && consumed(&log.events()).is_superset(&produced)
    });
    let closing = log.now();
    for member in [&mut first, &mut second] {
        member.leave();
        let mut status = None;
        eventually("a Java member leaves", || {
            status = member.ended();
            status.is_some()
        });
        assert!(status.unwrap().success(), "{}", member.said());
    }
    share(&[6]);
    poller.stop();
    let story = Story {
        samples: sampler.stop(),
        events: log.events().clone(),
        produced,
        high_watermarks,
        closing,
        may_drop: 0,
    };
    let found = [judge_samples(&story), unread_records(&story)].concat();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Each of them reads on.
fn all_read(log: &Log, members: &[usize]) {
    let since = log.now();
    eventually(&format!("{members:?} read on"), || {
        let events = log.events();
        let new = events.iter().filter(|event| event.at > since);
        let records = new.filter(|event| matches!(event.what, What::Record { .. }));
        let readers: BTreeSet<_> = records.map(|event| event.member).collect();
        members.iter().all(|member| readers.contains(member))
    });
}
