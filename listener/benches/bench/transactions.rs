//! Transactions per second of Kafka producers, beside Apache Kafka on the same machine, once
//! as it is and once told to flush what is appended, as this server does.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::Bench;
use crate::apache_kafka::ApacheKafka;
use crate::report::{median, spread};
use crate::support::Result;

const PARTITIONS: i32 = 4;
/// Records of a transaction, and producers.
const CASES: [(usize, usize); 2] = [(100, 1), (10, 4)];
const CLIENTS: [(&str, Client); 2] = [("librdkafka", librdkafka), ("Java", java)];
const WARM_UP: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// A server's address, a topic, records and producers; the rate of commits.
type Client = fn(&str, &str, usize, usize) -> Result<f64>;

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.title(&format!(
        "Transactions per second, {PARTITIONS} partitions, records of 100 bytes"
    ));
    let brokers = tokio::task::block_in_place(|| {
        let start = |properties: &[&str]| ApacheKafka::start(&["-Xms512m", "-Xmx512m"], properties);
        Ok::<_, String>([start(&[])?, start(&["log.flush.interval.messages=1"])?])
    });
    let brokers = match brokers {
        Ok(brokers) => brokers,
        Err(why) => {
            bench
                .report
                .line(&format!("Not measured without Apache Kafka: {why}"));
            return Ok(());
        }
    };
    bench.report.header(&[
        "transaction",
        "client",
        "pg_kafka, min / median / max",
        "Apache Kafka",
        "of it",
        "Apache Kafka, flushing",
        "of it",
    ]);
    let addresses = [
        &bench.listener.address,
        &brokers[0].address,
        &brokers[1].address,
    ];
    // What it has not yet compiled costs a new broker the first round.
    for address in addresses {
        rate(address, "warm-up", librdkafka, CASES[1]).await?;
    }
    for case in CASES {
        for (client, run) in CLIENTS {
            let mut rates: [Vec<f64>; 3] = Default::default();
            for round in 0..bench.rounds {
                for (address, rates) in addresses.iter().zip(&mut rates) {
                    let topic = format!("transactions-{client}-{}-{round}", case.0);
                    rates.push(rate(address, &topic, run, case).await?);
                }
            }
            let [ours, plain, flushing] = rates;
            let of = |other: &[f64]| format!("{:.2}", median(&ours) / median(other));
            let (records, producers) = case;
            bench.report.row(&[
                &format!("{records} records, {producers} producers"),
                &client,
                &spread(&ours, 0),
                &spread(&plain, 0),
                &of(&plain),
                &spread(&flushing, 0),
                &of(&flushing),
            ]);
        }
    }
    Ok(())
}

async fn rate(
    address: &str,
    topic: &str,
    client: Client,
    (records, producers): (usize, usize),
) -> Result<f64> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", address)
        .create()?;
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    for created in admin.create_topics(&[new], &AdminOptions::new()).await? {
        created.map_err(|(topic, error)| format!("{topic}: {error}"))?;
    }
    let rate = tokio::task::block_in_place(|| client(address, topic, records, producers))?;
    admin.delete_topics(&[topic], &AdminOptions::new()).await?;
    Ok(rate)
}

fn librdkafka(address: &str, topic: &str, records: usize, producers: usize) -> Result<f64> {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let producers: Vec<_> = (0..producers)
            .map(|number| {
                let (stop, count) = (&stop, &count);
                scope.spawn(move || commit(address, topic, number, records, stop, count))
            })
            .collect();
        std::thread::sleep(WARM_UP);
        let (started, before) = (Instant::now(), count.load(Relaxed));
        std::thread::sleep(TIME);
        let rate = (count.load(Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
        stop.store(true, Relaxed);
        for producer in producers {
            producer.join().map_err(|_| "a producer panicked")??;
        }
        Ok(rate)
    })
}

fn commit(
    address: &str,
    topic: &str,
    number: usize,
    records: usize,
    stop: &AtomicBool,
    count: &AtomicU64,
) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("transactional.id", format!("{topic}-{number}"))
        .set("linger.ms", "0")
        .create()?;
    producer.init_transactions(PATIENCE)?;
    let value = [b'x'; 100];
    let mut partitions = (0..PARTITIONS).cycle();
    while !stop.load(Relaxed) {
        producer.begin_transaction()?;
        for partition in partitions.by_ref().take(records) {
            let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).payload(&value);
            let sent = producer.send(record.partition(partition));
            sent.map_err(|(error, _)| error)?;
        }
        // The crate's own flush, in commit_transaction, waits in steps of 100 ms, and its
        // poll spins for less than one.
        while producer.in_flight_count() > 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
        producer.commit_transaction(PATIENCE)?;
        count.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// The broker's jars hold the client, too.
fn java(address: &str, topic: &str, records: usize, producers: usize) -> Result<f64> {
    let jars = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka/jars");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/CommitRate.java");
    let numbers = [
        PARTITIONS as usize,
        producers,
        records,
        WARM_UP.as_millis() as usize,
        TIME.as_millis() as usize,
    ];
    let output = Command::new("java")
        .args(["-Xmx256m", "-cp", &format!("{}/*", jars.display())])
        .arg(program)
        .args([address, topic])
        .args(numbers.map(|number| number.to_string()))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rate = said.lines().last().and_then(|line| line.parse().ok());
    rate.filter(|_| output.status.success()).ok_or_else(|| {
        let error = String::from_utf8_lossy(&output.stderr);
        format!("CommitRate.java: {}\n{said}{error}", output.status).into()
    })
}
