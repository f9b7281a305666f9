//! From the start of a produce to its record at a waiting consumer, by librdkafka and by
//! Kafka's own tool; and the same from SQL, beside the time of a plain commit.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rdkafka::topic_partition_list::Offset;

use crate::load::{PATIENCE, Sending, client, consumer};
use crate::report::{Series, median, percentile, spread};
use crate::servers::{Done, Run, in_turn};
use crate::support::Result;
use crate::{Bench, tools};

const SAMPLES: usize = 300;
const JAVA_SAMPLES: usize = 2000;
const SIZE: usize = 100;

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.comparison(
        "Latency from produce to a waiting consumer (linger 0, acks all, one record at a time)",
    );
    librdkafka(bench).await?;
    if bench.has_kafka() {
        java(bench).await?;
    }
    bench.report.costs("latency");
    beside_commit(bench).await
}

async fn librdkafka(bench: &Bench) -> Result<()> {
    let empty = || -> Vec<Vec<Run>> { bench.servers.iter().map(|_| Vec::new()).collect() };
    let (mut medians, mut tails) = (empty(), empty());
    for round in 0..bench.rounds {
        for (place, server) in in_turn(&bench.servers, round) {
            let topic = format!("latency-{place}-{round}");
            server.create_topic(&topic, 1).await?;
            let mut samples = Vec::new();
            let load = || {
                let mut wire = Wire::start(&server.address, &topic)?;
                for _ in 0..SAMPLES {
                    samples.push(wire.sample()?);
                }
                Ok(done(median(&samples), SAMPLES))
            };
            let run = server.measure(load).await?;
            tails[place].push(run.with(percentile(&samples, 99)));
            medians[place].push(run);
            server.delete_topic(&topic).await?;
        }
    }
    report(bench, "latency", "median", "librdkafka", medians);
    report(bench, "latency p99", "p99", "librdkafka", tails);
    Ok(())
}

async fn java(bench: &Bench) -> Result<()> {
    let empty = || -> Vec<Vec<Run>> { bench.servers.iter().map(|_| Vec::new()).collect() };
    let (mut averages, mut tails) = (empty(), empty());
    let samples = if bench.quick {
        JAVA_SAMPLES / 4
    } else {
        JAVA_SAMPLES
    };
    for round in 0..bench.rounds {
        for (place, server) in in_turn(&bench.servers, round) {
            let topic = format!("latency-java-{place}-{round}");
            server.create_topic(&topic, 1).await?;
            let mut tail = f64::NAN;
            let load = || {
                let (average, p99) = tools::latency(&server.address, &topic, samples)?;
                tail = p99;
                Ok(done(average, samples))
            };
            let run = server.measure(load).await?;
            tails[place].push(run.with(tail));
            averages[place].push(run);
            server.delete_topic(&topic).await?;
        }
    }
    report(bench, "latency", "average", "Java", averages);
    report(bench, "latency p99", "p99 (whole ms)", "Java", tails);
    Ok(())
}

fn done(value: f64, operations: usize) -> Done {
    Done {
        value,
        bytes: (operations * SIZE) as f64,
        operations: operations as f64,
    }
}

fn report(
    bench: &Bench,
    part: &'static str,
    what: &str,
    client: &'static str,
    runs: Vec<Vec<Run>>,
) {
    bench.report.compared(Series {
        part,
        case: format!("latency, {what}"),
        client,
        unit: "ms",
        runs,
    });
}

/// The ways alternate record by record.
async fn beside_commit(bench: &Bench) -> Result<()> {
    bench.report.title(&format!(
        "Latency in milliseconds beside a plain commit ({SAMPLES} records in each round)"
    ));
    bench
        .report
        .header(&["what", "median", "p99", "medians' ratio to a commit"]);
    let client = bench.cluster.connect("bench").await?;
    client
        .batch_execute(
            "create table plain_latency (value bytea); select kafka.create_topic('latency', 1)",
        )
        .await?;
    let insert = client
        .prepare("insert into plain_latency values ($1)")
        .await?;
    let produce = client
        .prepare("select kafka.produce('latency', $1::bytea, partition => 0)")
        .await?;
    let address = &bench.listener.address;
    let mut wire = tokio::task::block_in_place(|| Wire::start(address, "latency"))?;

    let names = [
        "plain INSERT and commit",
        "SQL produce to wire fetch",
        "wire produce to wire fetch",
    ];
    let mut medians = [const { Vec::new() }; 3];
    let mut tails = [const { Vec::new() }; 3];
    for _ in 0..bench.rounds {
        let mut samples = [const { Vec::new() }; 3];
        for _ in 0..SAMPLES {
            let value = vec![b'x'; SIZE];
            let started = Instant::now();
            client.execute(&insert, &[&value]).await?;
            samples[0].push(millis(started.elapsed()));

            let started = Instant::now();
            client.execute(&produce, &[&value]).await?;
            samples[1].push(tokio::task::block_in_place(|| wire.arrived(started))?);
            samples[2].push(tokio::task::block_in_place(|| wire.sample())?);
        }
        for (way, samples) in samples.iter().enumerate() {
            medians[way].push(median(samples));
            tails[way].push(percentile(samples, 99));
        }
    }
    let commit = median(&medians[0]);
    for (way, name) in names.iter().enumerate() {
        let ratio = format!("{:.2}", median(&medians[way]) / commit);
        let (medians, tails) = (spread(&medians[way], 2), spread(&tails[way], 2));
        bench.report.row(&[name, &medians, &tails, &ratio]);
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A producer, and a consumer in a thread of its own that tells when each record came.
struct Wire {
    topic: String,
    producer: Sending,
    arrivals: Receiver<Instant>,
}

impl Wire {
    fn start(address: &str, topic: &str) -> Result<Self> {
        let consumer = consumer(address, topic, 1, Offset::Beginning)?;
        let (sender, arrivals) = channel();
        std::thread::spawn(move || {
            // Ends when nobody takes what arrives.
            loop {
                let arrival = consumer.poll(Duration::from_millis(500));
                let now = Instant::now();
                match arrival {
                    None => {}
                    Some(Ok(_)) if sender.send(now).is_ok() => {}
                    Some(_) => break,
                }
            }
        });
        let producer = Sending::start(client(address).set("linger.ms", "0"), topic, 0)?;
        let mut wire = Wire {
            topic: topic.to_owned(),
            producer,
            arrivals,
        };
        wire.arrived(Instant::now())?;
        for _ in 0..10 {
            wire.sample()?;
        }
        Ok(wire)
    }

    fn sample(&mut self) -> Result<f64> {
        let started = Instant::now();
        self.producer.send(&self.topic, 0, &[b'x'; SIZE])?;
        self.arrived(started)
    }

    /// Milliseconds until the next record.
    fn arrived(&self, started: Instant) -> Result<f64> {
        let arrival = self.arrivals.recv_timeout(PATIENCE)?;
        // The consumer asks again, and waits.
        std::thread::sleep(Duration::from_millis(5));
        Ok(millis(arrival.saturating_duration_since(started)))
    }
}

impl Drop for Wire {
    /// One more arrival, and the consumer finds that nobody waits.
    fn drop(&mut self) {
        self.arrivals = channel().1;
        let _ = self.producer.send(&self.topic, 0, b"last");
        let _ = self.producer.finish();
    }
}
