//! The rdkafka crate as a member of a group: this test program, started again as one.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::member::{Kind, Leaves, times};

const ARGUMENTS: &str = "PG_KAFKA_GROUP_MEMBER";
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);

/// `test` calls `be_member` first of all.
pub(crate) fn kind(test: &'static str, assignor: &'static str) -> Kind {
    Kind {
        name: format!("rdkafka-{assignor}"),
        command: Box::new(move |address, topic, group| {
            let [session, heartbeat] = times();
            let arguments = [address, topic, group, assignor, &session, &heartbeat];
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", test, "--nocapture"]);
            command.env(ARGUMENTS, arguments.join(" "));
            command
        }),
        leaves: Leaves::WhenInputEnds,
    }
}

/// Never returns where this process was started as a member.
pub(crate) fn be_member() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let arguments: Vec<_> = arguments.split(' ').collect();
    member(arguments.try_into().unwrap());
    std::process::exit(0);
}

/// At once, and not among what the test harness has begun to say on its line.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// What was processed and not yet committed: the next offsets.
#[derive(Default)]
struct Processed {
    topic: String,
    next: Mutex<BTreeMap<i32, i64>>,
}

impl Processed {
    fn commit<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>) {
        let mut next = self.next.lock().unwrap();
        if next.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in &*next {
            let offset = Offset::Offset(*offset);
            list.add_partition_offset(&self.topic, *partition, offset)
                .unwrap();
        }
        if let Err(error) = consumer.commit(&list, CommitMode::Sync) {
            eprintln!("not committed: {error}");
            return;
        }
        for (partition, offset) in std::mem::take(&mut *next) {
            say(&format!("committed {partition} {offset}"));
        }
    }
}

impl ClientContext for Processed {}

impl ConsumerContext for Processed {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let (what, list) = match rebalance {
            Rebalance::Assign(list) => ("assigned", list),
            Rebalance::Revoke(list) => {
                self.commit(consumer);
                self.next.lock().unwrap().clear();
                ("revoked", list)
            }
            Rebalance::Error(error) => panic!("{error}"),
        };
        let partitions = list.elements();
        let partitions: Vec<_> = partitions
            .iter()
            .map(|e| e.partition().to_string())
            .collect();
        say(&format!("{what} {}", partitions.join(",")));
    }
}

fn member([address, topic, group, assignor, session, heartbeat]: [&str; 6]) {
    let leaving = Arc::new(AtomicBool::new(false));
    let leave = Arc::clone(&leaving);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        leave.store(true, Ordering::Relaxed);
    });
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest");
    if assignor == "consumer" {
        config.set("group.protocol", "consumer");
    } else {
        config
            .set("partition.assignment.strategy", assignor)
            .set("session.timeout.ms", session)
            .set("heartbeat.interval.ms", heartbeat);
    }
    let processed = Processed {
        topic: topic.to_owned(),
        ..Processed::default()
    };
    let consumer: BaseConsumer<Processed> = config.create_with_context(processed).unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let mut committed = Instant::now();
    while !leaving.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let (partition, offset) = (message.partition(), message.offset());
                say(&format!("record {partition} {offset}"));
                let mut next = consumer.context().next.lock().unwrap();
                next.insert(partition, offset + 1);
            }
            Some(Err(error)) => eprintln!("instead of a message: {error}"),
            None => {}
        }
        if committed.elapsed() > COMMIT_INTERVAL {
            consumer.context().commit(&consumer);
            committed = Instant::now();
        }
    }
    // Dropping it leaves the group, by way of the callback.
}
