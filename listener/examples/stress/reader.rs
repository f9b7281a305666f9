//! Readers of the whole topic: SQL on the primary and on the standby, and Kafka consumers.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Error};

use crate::judge::{PARTITIONS, Run, Seen};
use crate::support::Cluster;

/// How long a reader may take to reach the end once the last record is in.
const DRAIN: Duration = Duration::from_mins(1);

pub(crate) fn start(
    run: &Arc<Run>,
    primary: &Arc<Cluster>,
    standby: &Arc<Cluster>,
    address: &str,
) -> JoinSet<Seen> {
    let mut readers = JoinSet::new();
    for isolation in ["read_committed", "read_uncommitted"] {
        readers.spawn(sql(run.clone(), primary.clone(), "primary", isolation));
        readers.spawn(sql(run.clone(), standby.clone(), "standby", isolation));
        let (run, address) = (run.clone(), address.to_owned());
        readers.spawn_blocking(move || wire(&run, &address, isolation));
    }
    readers
}

/// Ends a reader: at the end, or when it takes too long to get there.
struct Deadline(Option<Instant>);

impl Deadline {
    fn over(&mut self, run: &Run, seen: &Seen) -> bool {
        if run.end.get().is_none() {
            return false;
        }
        seen.complete(run) || self.0.get_or_insert_with(Instant::now).elapsed() > DRAIN
    }
}

async fn sql(run: Arc<Run>, cluster: Arc<Cluster>, place: &str, isolation: &'static str) -> Seen {
    let mut seen = Seen::new(format!("SQL {place} {isolation}"));
    let mut deadline = Deadline(None);
    while !deadline.over(&run, &seen) {
        let outcome = match cluster.connect("stress-reader").await {
            Ok(client) => read(&run, &client, isolation, &mut seen, &mut deadline).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            // A standby may cancel a query that stands in the way of what it replays.
            let cancelled =
                place == "standby" && error.code().is_some_and(|code| code.code() == "40001");
            if !cancelled {
                run.broke(&seen.name, &error);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    seen
}

async fn read(
    run: &Run,
    client: &Client,
    isolation: &str,
    seen: &mut Seen,
    deadline: &mut Deadline,
) -> Result<(), Error> {
    while !deadline.over(run, seen) {
        for partition in 0..PARTITIONS {
            let sql = format!(
                "select \"offset\", value from kafka.fetch('stress', {partition}, {}, max_records => 2000,
                 max_wait_ms => 20, isolation => '{isolation}')",
                seen.next[partition]
            );
            for row in client.query(&sql, &[]).await? {
                seen.record(run, partition, row.get(0), row.get(1));
            }
        }
        for (partition, watermark) in watermarks(client).await?.into_iter().enumerate() {
            seen.watermark(run, partition, watermark);
        }
    }
    Ok(())
}

pub(crate) async fn watermarks(client: &Client) -> Result<[i64; PARTITIONS], Error> {
    let sql =
        "select high_watermark from kafka.partitions where topic = 'stress' order by partition";
    let mut marks = [0; PARTITIONS];
    for (mark, row) in marks.iter_mut().zip(client.query(sql, &[]).await?) {
        *mark = row.get(0);
    }
    Ok(marks)
}

fn wire(run: &Run, address: &str, isolation: &str) -> Seen {
    let mut seen = Seen::new(format!("wire {isolation}"));
    let consumer: BaseConsumer = match consumer(address, isolation) {
        Ok(consumer) => consumer,
        Err(error) => {
            run.violation(format!("{}: {error}", seen.name));
            return seen;
        }
    };
    let mut deadline = Deadline(None);
    let mut asked = Instant::now();
    while !deadline.over(run, &seen) {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => {
                let partition = usize::try_from(message.partition()).unwrap_or(0);
                seen.record(
                    run,
                    partition,
                    message.offset(),
                    message.payload().unwrap_or_default(),
                );
            }
            Some(Err(error)) => {
                let known = run.faults.load(Relaxed) && retriable(&error);
                run.check(known, || format!("{}: {error}", seen.name));
            }
        }
        if asked.elapsed() > Duration::from_millis(300) {
            for partition in 0..PARTITIONS {
                let number = i32::try_from(partition).unwrap_or(0);
                match consumer.fetch_watermarks("stress", number, Duration::from_secs(5)) {
                    Ok((_, watermark)) => seen.watermark(run, partition, watermark),
                    Err(error) => {
                        run.check(run.faults.load(Relaxed), || {
                            format!("{}: watermark: {error}", seen.name)
                        });
                    }
                }
            }
            // Each answer waits behind a fetch that waits for records: asked again at once,
            // what has been fetched would be taken one record a second.
            asked = Instant::now();
        }
    }
    seen
}

fn consumer(address: &str, isolation: &str) -> Result<BaseConsumer, KafkaError> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "stress")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", isolation)
        .set("reconnect.backoff.max.ms", "500")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(
            "stress",
            i32::try_from(partition).unwrap_or(0),
            Offset::Offset(0),
        )?;
    }
    consumer.assign(&partitions)?;
    Ok(consumer)
}

/// What a client reports while the server is away, and goes on from by itself.
fn retriable(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, CoordinatorLoadInProgress, CoordinatorNotAvailable,
        LeaderNotAvailable, NotLeaderForPartition, OperationTimedOut, RequestTimedOut,
    };
    let code = error.rdkafka_error_code();
    let codes = [
        AllBrokersDown,
        BrokerTransportFailure,
        CoordinatorLoadInProgress,
        CoordinatorNotAvailable,
        LeaderNotAvailable,
        NotLeaderForPartition,
        OperationTimedOut,
        RequestTimedOut,
    ];
    code.is_some_and(|code| codes.contains(&code))
}
