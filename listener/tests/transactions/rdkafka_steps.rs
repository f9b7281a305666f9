//! The rdkafka crate as a program that takes steps: this test program, started again as one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext,
};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::programs::Kind;

const ADDRESS: &str = "PG_KAFKA_TAKES_STEPS";
/// All records are of this time.
const TIMESTAMP: i64 = 1_700_000_000_000;
const TIMEOUT: Duration = Duration::from_secs(30);

/// That test calls `take_steps` first of all.
pub(crate) fn kind(test: &'static str) -> Kind {
    Kind::new("rdkafka", move |address| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]);
        command.env(ADDRESS, address);
        command
    })
}

/// Never returns where this process was started to take steps.
pub(crate) fn take_steps() {
    let Ok(address) = std::env::var(ADDRESS) else {
        return;
    };
    let client = Steps {
        address,
        producers: RefCell::default(),
    };
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        if let Err(error) = client.take(&words) {
            say(&format!("| error {}", name(&error)));
        }
        say("|.");
    }
    std::process::exit(0);
}

/// At once, and not among what the test harness has begun to say on its line.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

fn name(error: &KafkaError) -> String {
    let KafkaError::Transaction(error) = error else {
        return format!("{error:?}");
    };
    let flags = [
        (error.is_fatal(), "fatal"),
        (error.is_retriable(), "retriable"),
        (error.txn_requires_abort(), "abort"),
    ];
    let flags = flags.into_iter().filter(|(set, _)| *set);
    let flags = flags.map(|(_, flag)| flag.to_owned());
    let words: Vec<_> = std::iter::once(error.name()).chain(flags).collect();
    words.join(" ")
}

/// Offsets of what was sent since it was last asked.
#[derive(Default)]
struct Delivered(Mutex<Vec<Result<i64, KafkaError>>>);

impl ClientContext for Delivered {}

impl ProducerContext<NoCustomPartitioner> for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let result = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().unwrap().push(result);
    }
}

type Sender = BaseProducer<Delivered>;

struct Steps {
    address: String,
    producers: RefCell<HashMap<String, Sender>>,
}

impl Steps {
    fn take(&self, words: &[&str]) -> KafkaResult<()> {
        let of = |name: &str, act: &dyn Fn(&Sender) -> KafkaResult<()>| {
            act(&self.producers.borrow()[name])
        };
        match words {
            ["producer", name, id, timeout] => {
                let producer = self.sender(&[
                    ("transactional.id", id),
                    ("transaction.timeout.ms", timeout),
                ]);
                let initialized = producer.init_transactions(TIMEOUT);
                let name = (*name).to_owned();
                self.producers.borrow_mut().insert(name, producer);
                initialized
            }
            ["begin", name] => of(name, &|producer| producer.begin_transaction()),
            ["send", name, topic, partition, values @ ..] => of(name, &|producer| {
                send(producer, topic, number(partition), values)
            }),
            ["commit", name] => of(name, &|producer| end(producer, true)),
            ["abort", name] => of(name, &|producer| end(producer, false)),
            ["close", name] => {
                self.producers.borrow_mut().remove(*name);
                Ok(())
            }
            ["plain", topic, partition, values @ ..] => {
                let mut producers = self.producers.borrow_mut();
                let producer = producers
                    .entry("plain".to_owned())
                    .or_insert_with(|| self.sender(&[("enable.idempotence", "true")]));
                send(producer, topic, number(partition), values)
            }
            ["many", name, count, topic] => of(name, &|producer| {
                for i in 0..number(count) {
                    producer.begin_transaction()?;
                    send(producer, topic, i % 3, &[&format!("many-{i}")])?;
                    end(producer, i % 7 != 3)?;
                }
                Ok(())
            }),
            ["transform", id, group, from, to, count, how] => {
                self.transform(id, group, [from, to], number(count), *how == "commit")
            }
            ["committed", group, topic] => self.committed(group, topic),
            ["read", isolation, topic, partitions] => {
                self.read(isolation, topic, number(partitions))
            }
            ["tail", isolation, topic] => self.tail(isolation, topic),
            _ => panic!("{words:?}"),
        }
    }

    fn sender(&self, settings: &[(&str, &str)]) -> Sender {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config.set("linger.ms", "0").set("retry.backoff.ms", "10");
        for (setting, value) in settings {
            config.set(*setting, *value);
        }
        config.create_with_context(Delivered::default()).unwrap()
    }

    fn consumer(&self, isolation: &str, group: &str) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.address)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", isolation);
        config.create().unwrap()
    }

    /// A member of the group takes records, sends each on, and its offsets with them.
    fn transform(
        &self,
        id: &str,
        group: &str,
        [from, to]: [&str; 2],
        count: i32,
        commit: bool,
    ) -> KafkaResult<()> {
        let producer = self.sender(&[("transactional.id", id)]);
        producer.init_transactions(TIMEOUT)?;
        let consumer = self.consumer("read_committed", group);
        consumer.subscribe(&[from])?;
        producer.begin_transaction()?;
        let mut offsets = TopicPartitionList::new();
        for _ in 0..count {
            let message = next(&consumer)?;
            let value = text(message.payload());
            say(&format!("| took {} {value}", message.offset()));
            send(&producer, to, 0, &[&format!("{value}-on")])?;
            offsets = TopicPartitionList::new();
            let offset = Offset::Offset(message.offset() + 1);
            offsets.add_partition_offset(from, message.partition(), offset)?;
        }
        let metadata = consumer.group_metadata().unwrap();
        producer.send_offsets_to_transaction(&offsets, &metadata, TIMEOUT)?;
        end(&producer, commit)
    }

    fn committed(&self, group: &str, topic: &str) -> KafkaResult<()> {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(topic, 0);
        let consumer = self.consumer("read_committed", group);
        let found = consumer.committed_offsets(wanted, TIMEOUT)?;
        let found = &found.elements_for_topic(topic)[0];
        match found.offset() {
            Offset::Offset(offset) => say(&format!("| offset {offset} '{}'", found.metadata())),
            _ => say("| none"),
        }
        Ok(())
    }

    /// Every record of these partitions up to the one that says it is the end.
    fn read(&self, isolation: &str, topic: &str, partitions: i32) -> KafkaResult<()> {
        let consumer = self.assigned(isolation, topic, partitions)?;
        let mut found = Vec::new();
        let mut ended = 0;
        while ended < partitions {
            let message = next(&consumer)?;
            ended += i32::from(message.payload() == Some(b"end"));
            found.push((message.partition(), show(&message)));
        }
        // In the order of arrival within each.
        found.sort_by_key(|(partition, _)| *partition);
        for (_, line) in found {
            say(&line);
        }
        Ok(())
    }

    /// The same of the first partition, each record as it comes.
    fn tail(&self, isolation: &str, topic: &str) -> KafkaResult<()> {
        let consumer = self.assigned(isolation, topic, 1)?;
        loop {
            let message = next(&consumer)?;
            say(&show(&message));
            if message.payload() == Some(b"end") {
                return Ok(());
            }
        }
    }

    fn assigned(&self, isolation: &str, topic: &str, partitions: i32) -> KafkaResult<BaseConsumer> {
        let consumer = self.consumer(isolation, "unused");
        let mut assigned = TopicPartitionList::new();
        for partition in 0..partitions {
            assigned.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&assigned)?;
        Ok(consumer)
    }
}

fn number(text: &str) -> i32 {
    text.parse().unwrap()
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// One after the other: no batch waits for more. The crate's own flush takes a tenth of a
/// second at least.
fn send(producer: &Sender, topic: &str, partition: i32, values: &[&str]) -> KafkaResult<()> {
    for value in values {
        let record = BaseRecord::to(topic)
            .partition(partition)
            .timestamp(TIMESTAMP)
            .key("key")
            .payload(*value);
        producer.send(record).map_err(|(error, _)| error)?;
        let until = Instant::now() + TIMEOUT;
        while producer.in_flight_count() > 0 {
            assert!(Instant::now() < until, "{value} is not delivered");
            producer.poll(Duration::from_millis(2));
        }
        for delivered in std::mem::take(&mut *producer.context().0.lock().unwrap()) {
            say(&format!("| offset {}", delivered?));
        }
    }
    Ok(())
}

fn end(producer: &Sender, commit: bool) -> KafkaResult<()> {
    if commit {
        producer.commit_transaction(TIMEOUT)
    } else {
        producer.abort_transaction(TIMEOUT)
    }
}

fn next(consumer: &BaseConsumer) -> KafkaResult<BorrowedMessage<'_>> {
    let until = Instant::now() + TIMEOUT;
    loop {
        // It returns early where it has done something else.
        if let Some(message) = consumer.poll(TIMEOUT) {
            return message;
        }
        assert!(Instant::now() < until, "no message");
    }
}

fn show(message: &BorrowedMessage<'_>) -> String {
    format!(
        "| {} {} {} {} {}",
        message.partition(),
        message.offset(),
        message.timestamp().to_millis().unwrap_or_default(),
        text(message.key()),
        text(message.payload()),
    )
}
