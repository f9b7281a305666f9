//! Kafka clients that load a server: librdkafka's, the same for each.
//!
//! Settings are librdkafka's own but for acks (all, its default too), batches, linger and
//! codec of the case, idempotence (off: with it librdkafka keeps one request for a partition
//! in flight), the memory of a producer (8 MiB, which is 30 of the large batches, and soon written when
//! time is up) and the pause of a consumer whose queue is full (a second by default, and then
//! that is what one measures).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::servers::Done;
use crate::support::{Random, Result};

pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// How records are produced.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) size: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) linger_ms: u32,
    /// Each to a partition of its own.
    pub(crate) producers: usize,
    pub(crate) codec: &'static str,
    pub(crate) idempotent: bool,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        let size = match self.size {
            1024 => "1 KiB".to_owned(),
            size => format!("{size} B"),
        };
        let idempotent = if self.idempotent { ", idempotent" } else { "" };
        format!(
            "{size}, {} KB / {} ms, {} to {}, {}{idempotent}",
            self.batch_bytes / 1024,
            self.linger_ms,
            self.producers,
            self.producers,
            self.codec
        )
    }

    pub(crate) fn config(&self, address: &str) -> ClientConfig {
        let mut config = client(address);
        config
            .set("enable.idempotence", self.idempotent.to_string())
            .set("batch.size", self.batch_bytes.to_string())
            .set("linger.ms", self.linger_ms.to_string())
            .set("compression.type", self.codec)
            .set("queue.buffering.max.kbytes", "8192")
            .set("queue.buffering.max.messages", "1000000");
        config
    }
}

/// Ends a load, whichever is reached first.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

/// What the producers' threads came to.
pub(crate) fn joined<T>(producers: Vec<ScopedJoinHandle<'_, Result<T>>>) -> Result<Vec<T>> {
    let end = |producer: ScopedJoinHandle<'_, Result<T>>| {
        producer.join().map_err(|_| "a producer panicked")?
    };
    producers.into_iter().map(end).collect()
}

pub(crate) fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("socket.nagle.disable", "true");
    config
}

/// A thousand different values of lowercase letters.
pub(crate) fn values(size: usize) -> Vec<Bytes> {
    let mut random = Random::new(1);
    (0..1000)
        .map(|_| (0..size).map(|_| b'a' + random.below(26) as u8).collect())
        .collect()
}

#[derive(Default)]
pub(crate) struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
}

pub(crate) struct Counting(Arc<Counts>);

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() {
            &self.0.delivered
        } else {
            &self.0.failed
        };
        count.fetch_add(1, Relaxed);
    }
}

/// A producer of which it is known how much it has delivered.
pub(crate) struct Sending {
    producer: ThreadedProducer<Counting>,
    counts: Arc<Counts>,
    sent: u64,
}

impl Sending {
    /// Connected: a first record is delivered.
    pub(crate) fn start(config: &ClientConfig, topic: &str, partition: i32) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let mut sending = Sending {
            producer: config.create_with_context(Counting(Arc::clone(&counts)))?,
            counts,
            sent: 0,
        };
        sending.send(topic, partition, b"first")?;
        sending.finish()?;
        Ok(sending)
    }

    /// Waits where the producer's memory is full.
    pub(crate) fn send(&mut self, topic: &str, partition: i32, value: &[u8]) -> Result<()> {
        let mut record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(topic).partition(partition).payload(value);
        while let Err((error, again)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(1));
            record = again;
        }
        self.sent += 1;
        Ok(())
    }

    /// Until everything is delivered. The crate's own flush waits in steps of 100 ms.
    pub(crate) fn finish(&self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.counts.delivered.load(Relaxed) < self.sent {
            let failed = self.counts.failed.load(Relaxed);
            if failed > 0 || Instant::now() > until {
                let left = self.producer.in_flight_count();
                return Err(format!("{failed} records failed, {left} are under way").into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

/// MB/s of values, until the last record is acknowledged.
pub(crate) fn produce(address: &str, topic: &str, case: Case, limit: Limit) -> Result<Done> {
    let values = values(case.size);
    let most = limit.bytes / case.size / case.producers;
    let ready = Barrier::new(case.producers);
    let times = std::thread::scope(|scope| {
        let producers: Vec<_> = (0..case.producers)
            .map(|number| {
                let (values, ready) = (&values, &ready);
                scope.spawn(move || -> Result<(Instant, Instant, u64)> {
                    let partition = i32::try_from(number)?;
                    let sending = Sending::start(&case.config(address), topic, partition);
                    ready.wait();
                    let mut sending = sending?;
                    let started = Instant::now();
                    for value in values.iter().cycle().take(most) {
                        sending.send(topic, partition, value)?;
                        if sending.sent % 256 == 0 && started.elapsed() > limit.time {
                            break;
                        }
                    }
                    sending.finish()?;
                    Ok((started, Instant::now(), sending.sent - 1))
                })
            })
            .collect();
        joined(producers)
    })?;
    let first = times.iter().map(|time| time.0).min();
    let last = times.iter().map(|time| time.1).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Err("no producers".into());
    };
    let operations = times.iter().map(|time| time.2).sum::<u64>() as f64;
    Ok(throughput(operations, case.size, last - first))
}

/// In MB/s.
pub(crate) fn throughput(operations: f64, size: usize, took: Duration) -> Done {
    let bytes = operations * size as f64;
    Done {
        value: bytes / 1e6 / took.as_secs_f64(),
        bytes,
        operations,
    }
}

/// A consumer of all partitions of a topic.
pub(crate) fn consumer(
    address: &str,
    topic: &str,
    partitions: usize,
    offset: Offset,
) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = client(address)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "1")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, i32::try_from(partition)?, offset)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

/// MB/s of values, from the start of a topic that holds so many records.
pub(crate) fn consume(
    address: &str,
    topic: &str,
    partitions: usize,
    size: usize,
    records: f64,
) -> Result<Done> {
    let started = Instant::now();
    let consumer = consumer(address, topic, partitions, Offset::Beginning)?;
    let (mut read, mut bytes) = (0_u64, 0);
    while (read as f64) < records {
        let message = consumer.poll(PATIENCE).ok_or("records are missing")??;
        bytes += message.payload_len();
        read += 1;
    }
    let done = throughput(records, size, started.elapsed());
    if (bytes as f64) < 0.9 * done.bytes {
        return Err("values are missing".into());
    }
    Ok(done)
}
