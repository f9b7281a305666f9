//! Transactions per second of Kafka producers, beside Apache Kafka on the same machine, once
//! as it is and once told to flush what is appended, as this server does.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::Bench;
use crate::apache_kafka::{self, ApacheKafka};
use crate::load::joined;
use crate::report::Series;
use crate::servers::{Done, HEAP, Run, Server};
use crate::support::Result;

const PARTITIONS: i32 = 4;
const SIZE: usize = 100;
/// Records of a transaction, and producers.
const CASES: [(usize, usize); 2] = [(100, 1), (10, 4)];
const CLIENTS: [(&str, Client); 3] = [
    ("librdkafka", librdkafka),
    ("franz-go", franz),
    ("Java", java),
];
const WARM_UP: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// A server's address, a topic, records and producers; the rate of commits.
type Client = fn(&str, &str, usize, usize) -> Result<f64>;

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.comparison(&format!(
        "Transactions per second, {PARTITIONS} partitions, records of {SIZE} bytes"
    ));
    // Flushed topics are not enough: the log of transactions has to be flushed as well.
    let flushing = &["log.flush.interval.messages=1"];
    let broker = bench
        .has_kafka()
        .then(|| tokio::task::block_in_place(|| ApacheKafka::start(HEAP, flushing)))
        .transpose()?;
    let flushing = broker.as_ref().map(Server::of_flushing_kafka);
    let kept = if flushing.is_some() { 2 } else { 1 };
    let servers: Vec<&Server> = bench.servers.iter().take(kept).chain(&flushing).collect();
    // What it has not yet compiled costs a new broker the first round.
    for server in &servers {
        rate(server, "warm-up", librdkafka, CASES[1]).await?;
    }
    let franz = build_franz();
    if let Err(why) = &franz {
        eprintln!("bench: transactions without franz-go: {why}");
    }
    let is_there = |client| match client {
        "franz-go" => franz.is_ok(),
        "Java" => bench.has_kafka(),
        _ => true,
    };
    for case in CASES {
        for (client, run) in CLIENTS {
            if !is_there(client) {
                continue;
            }
            let mut runs: Vec<Vec<Run>> = servers.iter().map(|_| Vec::new()).collect();
            for round in 0..bench.rounds {
                for turn in 0..servers.len() {
                    let place = (round + turn) % servers.len();
                    let topic = format!("transactions-{client}-{}-{round}", case.0);
                    runs[place].push(rate(servers[place], &topic, run, case).await?);
                }
            }
            bench.report.compared(Series {
                part: "transactions",
                case: format!("{} records, {} producers", case.0, case.1),
                client,
                unit: "per s",
                runs,
            });
        }
    }
    bench.report.costs("transactions");
    Ok(())
}

async fn rate(
    server: &Server,
    topic: &str,
    client: Client,
    (records, producers): (usize, usize),
) -> Result<Run> {
    server.create_topic(topic, PARTITIONS as usize).await?;
    let load = || {
        let rate = client(&server.address, topic, records, producers)?;
        let operations = rate * (WARM_UP + TIME).as_secs_f64();
        Ok(Done {
            value: rate,
            bytes: operations * (records * SIZE) as f64,
            operations,
        })
    };
    let run = server.measure(load).await?;
    server.delete_topic(topic).await?;
    Ok(run)
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
        let until = Instant::now() + PATIENCE;
        while count.load(Relaxed) == 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(WARM_UP);
        let (started, before) = (Instant::now(), count.load(Relaxed));
        std::thread::sleep(TIME);
        let rate = (count.load(Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
        stop.store(true, Relaxed);
        joined(producers)?;
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
    let value = [b'x'; SIZE];
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
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/CommitRate.java");
    let program = apache_kafka::java(&["-Xmx256m"], &program.display().to_string());
    printed_by(program, address, topic, records, producers)
}

const FRANZ: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/commit_rate");

/// From the Go module of the tests' clients.
fn build_franz() -> Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/go");
    let mut build = Command::new("go");
    build
        .current_dir(sources)
        .args(["build", "-buildvcs=false", "-o", FRANZ, "./commit_rate"]);
    let status = build.status().map_err(|error| format!("go: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("go build: {status}").into())
}

fn franz(address: &str, topic: &str, records: usize, producers: usize) -> Result<f64> {
    printed_by(Command::new(FRANZ), address, topic, records, producers)
}

/// The rate that a program prints.
fn printed_by(
    mut program: Command,
    address: &str,
    topic: &str,
    records: usize,
    producers: usize,
) -> Result<f64> {
    let numbers = [
        PARTITIONS as usize,
        producers,
        records,
        WARM_UP.as_millis() as usize,
        TIME.as_millis() as usize,
    ];
    let output = program
        .args([address, topic])
        .args(numbers.map(|number| number.to_string()))
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rate = said.lines().last().and_then(|line| line.parse().ok());
    rate.filter(|_| output.status.success()).ok_or_else(|| {
        let error = String::from_utf8_lossy(&output.stderr);
        format!("{program:?}: {}\n{said}{error}", output.status).into()
    })
}
