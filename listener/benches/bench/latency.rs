//! From the start of a produce to its record at a waiting Kafka consumer, beside the time of a
//! plain commit. The ways alternate record by record.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use crate::Bench;
use crate::report::{median, spread};
use crate::support::Result;

const SAMPLES: usize = 200;

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.title(&format!("Latency in milliseconds ({SAMPLES} records in each round; min / median / max of the rounds)"));
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
    let mut arrivals = consume(&bench.listener.address)?;
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &bench.listener.address)
        .set("linger.ms", "0")
        .set("socket.nagle.disable", "true")
        .create()?;
    // The consumer is there, and every connection is open.
    for warm in 0..10 {
        client.execute(&produce, &[&vec![warm]]).await?;
        arrived(&mut arrivals).await?;
        send(&producer, warm)?;
        arrived(&mut arrivals).await?;
    }

    let names = [
        "plain INSERT and commit",
        "SQL produce to wire fetch",
        "wire produce to wire fetch",
    ];
    let mut medians = [const { Vec::new() }; 3];
    let mut tails = [const { Vec::new() }; 3];
    for _ in 0..bench.rounds {
        let mut samples = [const { Vec::new() }; 3];
        for number in 0..SAMPLES {
            let value = vec![number as u8; 100];
            let started = Instant::now();
            client.execute(&insert, &[&value]).await?;
            samples[0].push(millis(started.elapsed()));

            let started = Instant::now();
            client.execute(&produce, &[&value]).await?;
            samples[1].push(millis(
                arrived(&mut arrivals).await?.duration_since(started),
            ));

            let started = Instant::now();
            send(&producer, number as u8)?;
            samples[2].push(millis(
                arrived(&mut arrivals).await?.duration_since(started),
            ));
            // The consumer asks again, and waits.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for (way, samples) in samples.iter_mut().enumerate() {
            samples.sort_by(f64::total_cmp);
            medians[way].push(median(samples));
            tails[way].push(samples[samples.len() * 99 / 100]);
        }
    }
    let commit = median(&medians[0]);
    for (way, name) in names.iter().enumerate() {
        let ratio = format!("{:.2}", median(&medians[way]) / commit);
        bench.report.row(&[
            name,
            &spread(&medians[way], 2),
            &spread(&tails[way], 2),
            &ratio,
        ]);
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

async fn arrived(arrivals: &mut mpsc::UnboundedReceiver<Instant>) -> Result<Instant> {
    let arrival = tokio::time::timeout(Duration::from_secs(30), arrivals.recv()).await?;
    arrival.ok_or_else(|| "the consumer ended".into())
}

fn send(producer: &BaseProducer, number: u8) -> Result<()> {
    let record: BaseRecord<'_, (), [u8]> = BaseRecord::to("latency").partition(0);
    let value = [number; 100];
    producer
        .send(record.payload(&value))
        .map_err(|(error, _)| error)?;
    // Serves delivery reports, which would pile up. Sending is librdkafka's thread's.
    producer.poll(Duration::ZERO);
    Ok(())
}

/// A consumer in a thread of its own, which tells when each record came.
fn consume(address: &str) -> Result<mpsc::UnboundedReceiver<Instant>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("socket.nagle.disable", "true")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset("latency", 0, Offset::Offset(0))?;
    consumer.assign(&partitions)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        loop {
            match consumer.poll(Duration::from_millis(500)) {
                None if sender.is_closed() => break,
                None => {}
                Some(message) => {
                    let now = Instant::now();
                    if message.is_err() || sender.send(now).is_err() {
                        break;
                    }
                }
            }
        }
    });
    Ok(receiver)
}
