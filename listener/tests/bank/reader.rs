//! Readers of the whole topic, over the wire and by SQL, which note what they see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio_postgres::{Client, Error};

use crate::common::Cluster;
use crate::judge::{Event, Leg, PARTITIONS, Place, Reading};

/// A record that is nobody's money.
const PROBE: &[u8] = b"probe";
/// How often the ends of the partitions are looked for.
const LOOK: Duration = Duration::from_millis(100);
const SNAPSHOTS: Duration = Duration::from_secs(3);
/// So long after the last record was committed reading ends also without it.
const DRAIN: Duration = Duration::from_mins(1);

/// Knows when all is read: the last transaction has a record in each partition.
#[derive(Clone)]
pub(crate) struct Progress {
    closing: u16,
    /// When that teller has committed its transaction.
    at: Arc<OnceLock<Instant>>,
    closed: BTreeSet<i32>,
}

impl Progress {
    pub(crate) fn until(closing: u16) -> Self {
        Progress {
            closing,
            at: Arc::default(),
            closed: BTreeSet::new(),
        }
    }

    pub(crate) fn is_closed(&self) {
        self.at.get_or_init(Instant::now);
    }

    fn over(&self) -> bool {
        let late = self.at.get().is_some_and(|at| at.elapsed() > DRAIN);
        late || self.closed.len() == PARTITIONS as usize
    }

    fn note(&mut self, reading: &mut Reading, place: Place, value: &[u8]) {
        if value == PROBE {
            return;
        }
        let Some(leg) = Leg::parse(value) else {
            let text = String::from_utf8_lossy(value);
            reading.errors.push(format!("\"{text}\" at {place:?}"));
            return;
        };
        if leg.id.0 == self.closing {
            self.closed.insert(place.0);
        }
        reading.events.push(Event::Read(place, leg));
    }
}

fn consumer(address: &str, isolation: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "bank")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", isolation)
        .set("fetch.wait.max.ms", "50")
        .set("reconnect.backoff.max.ms", "200")
        .create()
        .unwrap()
}

pub(crate) fn over_the_wire(
    address: &str,
    topic: &str,
    isolation: &str,
    mut progress: Progress,
) -> Reading {
    let committed = isolation == "read_committed";
    let mut reading = Reading::new(&format!("wire {isolation}"), committed);
    let reader = consumer(address, isolation);
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Offset(0))
            .unwrap();
    }
    reader.assign(&list).unwrap();
    let mut probes = Probes::new(address, topic);
    let mut looked = Instant::now();
    while !progress.over() {
        match reader.poll(Duration::from_millis(50)) {
            None => {}
            Some(Ok(message)) => {
                let place = (message.partition(), message.offset());
                progress.note(&mut reading, place, message.payload().unwrap_or_default());
            }
            Some(Err(error)) if passing(&error) => {}
            Some(Err(error)) => reading.errors.push(error.to_string()),
        }
        if committed && looked.elapsed() > LOOK {
            probes.look(&mut reading);
            looked = Instant::now();
        }
    }
    let unknown = |event: &Event| matches!(event, Event::Ends(ends) if ends.is_empty());
    reading.events.retain(|event| !unknown(event));
    reading
}

/// Sends a record to each partition, to see where its log ends. Watermarks do not tell:
/// what was acknowledged is above them while something before it is not committed.
struct Probes {
    topic: String,
    producer: ThreadedProducer<Deliveries>,
    /// Before which event.
    sent: Option<usize>,
}

/// Where they were stored, by partition.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<BTreeMap<i32, i64>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Ok(message) = result {
            let mut places = self.0.lock().unwrap();
            places.insert(message.partition(), message.offset());
        }
    }
}

impl Probes {
    fn new(address: &str, topic: &str) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", address)
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("reconnect.backoff.max.ms", "200")
            .create_with_context(Deliveries::default());
        Probes {
            topic: topic.to_owned(),
            producer: producer.unwrap(),
            sent: None,
        }
    }

    /// Sends them, or notes where they were stored once that is known.
    fn look(&mut self, reading: &mut Reading) {
        let mut places = self.producer.context().0.lock().unwrap();
        let Some(index) = self.sent else {
            places.clear();
            for partition in 0..PARTITIONS {
                let probe: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.topic).payload(PROBE);
                let sent = self.producer.send(probe.partition(partition));
                sent.map_err(|(error, _)| error).unwrap();
            }
            self.sent = Some(reading.events.len());
            // Here they were sent; it is filled in later.
            return reading.events.push(Event::Ends(Vec::new()));
        };
        if places.len() == PARTITIONS as usize {
            self.sent = None;
            // A repeated batch may be acknowledged without an offset.
            if places.values().all(|offset| *offset >= 0) {
                reading.events[index] = Event::Ends(places.values().copied().collect());
            }
        }
    }
}

/// What a client reports while the server is away, and goes on from by itself.
fn passing(error: &KafkaError) -> bool {
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

type Offsets = BTreeMap<i32, Vec<i64>>;

/// Reads by `kafka.fetch`, and now and then by `kafka.records` all that there is.
pub(crate) struct SqlReader<'a> {
    topic: &'a str,
    next: [i64; PARTITIONS as usize],
    progress: Progress,
    reading: Reading,
    snapshots: Vec<Offsets>,
    probed: Instant,
    taken: Instant,
}

impl<'a> SqlReader<'a> {
    pub(crate) fn new(topic: &'a str, progress: Progress) -> Self {
        SqlReader {
            topic,
            next: [0; PARTITIONS as usize],
            progress,
            reading: Reading::new("kafka.fetch", true),
            snapshots: Vec::new(),
            probed: Instant::now(),
            taken: Instant::now(),
        }
    }

    /// To the end, over as many sessions as it takes.
    pub(crate) fn read(mut self, cluster: &Cluster) -> (Reading, Vec<Offsets>) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            while !self.progress.over() {
                let outcome = match cluster.connect("bank").await {
                    Ok(client) => self.session(&client).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = outcome {
                    if !connection_broke(&error) {
                        self.reading.errors.push(format!("{error:?}"));
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        });
        (self.reading, self.snapshots)
    }

    async fn session(&mut self, client: &Client) -> Result<(), Error> {
        while !self.progress.over() {
            for partition in 0..PARTITIONS {
                self.fetch(client, partition).await?;
            }
            if self.probed.elapsed() > LOOK {
                let ends = probe(client, self.topic).await?;
                self.reading.events.push(Event::Ends(ends));
                self.probed = Instant::now();
            }
            if self.taken.elapsed() > SNAPSHOTS {
                let all = records(client, self.topic, "read_committed").await?;
                self.snapshots.push(offsets(&all));
                self.taken = Instant::now();
            }
        }
        Ok(())
    }

    async fn fetch(&mut self, client: &Client, partition: i32) -> Result<(), Error> {
        let next = &mut self.next[partition as usize];
        let fetch = "SELECT \"offset\", value FROM kafka.fetch($1, $2, $3,
            max_records => 2000, max_wait_ms => 20)";
        let rows = client
            .query(fetch, &[&self.topic, &partition, next])
            .await?;
        for row in rows {
            let offset = row.get(0);
            self.progress
                .note(&mut self.reading, (partition, offset), row.get(1));
            *next = offset + 1;
        }
        Ok(())
    }
}

/// The offsets of new records, one of each partition.
async fn probe(client: &Client, topic: &str) -> Result<Vec<i64>, Error> {
    let probes = "SELECT kafka.produce($1, $2::bytea, partition => p)
        FROM generate_series(0, $3::int4 - 1) p";
    client.execute("BEGIN", &[]).await?;
    client
        .execute(probes, &[&topic, &PROBE, &PARTITIONS])
        .await?;
    let flush = "SELECT base_offset FROM kafka.flush() ORDER BY partition";
    let ends = client.query(flush, &[]).await?;
    client.execute("COMMIT", &[]).await?;
    Ok(ends.iter().map(|row| row.get(0)).collect())
}

/// The server was stopped.
fn connection_broke(error: &Error) -> bool {
    let code = error
        .code()
        .map_or("", tokio_postgres::error::SqlState::code);
    code.is_empty() || code.starts_with("57P0") || code.starts_with("08")
}

type Records = Vec<(Place, Vec<u8>)>;

async fn records(client: &Client, topic: &str, isolation: &str) -> Result<Records, Error> {
    let all = "SELECT partition, \"offset\", value FROM kafka.records($1, $2) ORDER BY 1, 2";
    let rows = client.query(all, &[&topic, &isolation]).await?;
    let record = |row: &tokio_postgres::Row| ((row.get(0), row.get(1)), row.get(2));
    Ok(rows.iter().map(record).collect())
}

/// Of those that are somebody's money.
fn offsets(records: &Records) -> Offsets {
    let mut offsets = Offsets::new();
    for ((partition, offset), _) in records.iter().filter(|(_, value)| value != PROBE) {
        offsets.entry(*partition).or_default().push(*offset);
    }
    offsets
}

/// All that `kafka.records` returns in the end.
pub(crate) fn by_records(
    cluster: &Cluster,
    topic: &str,
    isolation: &str,
    mut progress: Progress,
) -> Reading {
    let committed = isolation == "read_committed";
    let mut reading = Reading::new(&format!("kafka.records {isolation}"), committed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let records = runtime.block_on(async {
        let client = cluster.connect("bank").await?;
        records(&client, topic, isolation).await
    });
    for (place, value) in records.unwrap() {
        progress.note(&mut reading, place, &value);
    }
    reading
}
