//! MB/s of records' values: over the wire, by `kafka.produce` in one statement, and the same
//! values by COPY into and out of a plain table.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, pin_mut};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio_postgres::Client;

use crate::Bench;
use crate::report::{median, spread};
use crate::support::{Random, Result};

const BATCHES: [(&str, usize); 2] = [("16 KB", 16_384), ("256 KB", 262_144)];

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench
        .report
        .title("Throughput, MB/s of values (min / median / max; ratio of the medians to COPY)");
    bench
        .report
        .header(&["record", "what", "MB/s", "records/s", "of COPY"]);
    for (name, size) in [("1 KiB", 1024), ("100 B", 100)] {
        let count = bench.megabytes * 1_000_000 / size;
        let values = values(size);
        // One column of rates for each way, all ways in turn in each round.
        let mut rates: Vec<(String, Vec<f64>)> = Vec::new();
        for round in 0..bench.rounds {
            let mut way = 0;
            let mut note = |what: &str, count: usize, took: Duration| {
                if round == 0 {
                    rates.push((what.to_owned(), Vec::new()));
                }
                rates[way]
                    .1
                    .push(count as f64 * size as f64 / 1e6 / took.as_secs_f64());
                way += 1;
            };
            let client = bench.cluster.connect("bench").await?;
            client
                .batch_execute("drop table if exists plain; create table plain (value text)")
                .await?;
            note("COPY in", count, copy_in(&client, &values, count).await?);
            note("COPY out", count, copy_out(&client).await?);
            note(
                "kafka.produce, one statement",
                count,
                sql_produce(&client, size, count).await?,
            );
            for (batch, bytes) in BATCHES {
                // With idempotence librdkafka keeps one request of a partition in flight.
                for (kind, idempotent, count) in
                    [("", false, count), (", idempotent", true, count / 8)]
                {
                    let topic = format!("wire-{size}-{bytes}-{idempotent}-{round}");
                    client
                        .execute("select kafka.create_topic($1, 1)", &[&topic])
                        .await?;
                    let address = bench.listener.address.clone();
                    let (values, named) = (values.clone(), topic.clone());
                    let (produced, fetched) = tokio::task::spawn_blocking(move || -> Result<_> {
                        let produced =
                            produce(&address, &named, &values, count, bytes, idempotent)?;
                        Ok((produced, fetch(&address, &named, count, bytes)?))
                    })
                    .await??;
                    note(
                        &format!("wire produce, {batch} batches{kind}"),
                        count,
                        produced,
                    );
                    if !idempotent {
                        note(&format!("wire fetch, {batch} batches"), count, fetched);
                    }
                    client
                        .execute("select kafka.delete_topic($1)", &[&topic])
                        .await?;
                }
            }
            // Each round starts from a quiet server.
            client.batch_execute("checkpoint").await?;
        }
        let copy = |what: &str| {
            let base = usize::from(what.contains("fetch") || what.contains("out"));
            median(&rates[base].1)
        };
        for (what, rates) in &rates {
            let records: Vec<f64> = rates.iter().map(|rate| rate * 1e6 / size as f64).collect();
            bench.report.row(&[
                &name,
                what,
                &spread(rates, 0),
                &spread(&records, 0),
                &format!("{:.2}", median(rates) / copy(what)),
            ]);
        }
    }
    Ok(())
}

/// A thousand different printable values.
fn values(size: usize) -> Vec<Bytes> {
    let mut random = Random::new(1);
    (0..1000)
        .map(|_| (0..size).map(|_| b'a' + random.below(26) as u8).collect())
        .collect()
}

async fn copy_in(client: &Client, values: &[Bytes], count: usize) -> Result<Duration> {
    let started = Instant::now();
    let sink = client.copy_in("copy plain from stdin").await?;
    pin_mut!(sink);
    let mut chunk = Vec::with_capacity(1 << 17);
    for value in values.iter().cycle().take(count) {
        chunk.extend_from_slice(value);
        chunk.push(b'\n');
        if chunk.len() > 1 << 16 {
            sink.send(Bytes::from(std::mem::take(&mut chunk))).await?;
        }
    }
    sink.send(Bytes::from(chunk)).await?;
    let rows = sink.finish().await?;
    assert_eq!(rows, count as u64, "rows copied");
    Ok(started.elapsed())
}

async fn copy_out(client: &Client) -> Result<Duration> {
    let started = Instant::now();
    let stream = client.copy_out("copy plain to stdout").await?;
    pin_mut!(stream);
    while let Some(chunk) = stream.next().await {
        chunk?;
    }
    Ok(started.elapsed())
}

async fn sql_produce(client: &Client, size: usize, count: usize) -> Result<Duration> {
    client
        .execute("select kafka.create_topic('sql', 1)", &[])
        .await?;
    let count = i64::try_from(count)?;
    // The values come from a table, as COPY's come from the client.
    let started = Instant::now();
    let produced: i64 = client
        .query_one(
            "select count(kafka.produce('sql', value, partition => 0)) from plain",
            &[],
        )
        .await?
        .get(0);
    let took = started.elapsed();
    assert_eq!(produced, count, "records of {size} bytes produced");
    client
        .execute("select kafka.delete_topic('sql')", &[])
        .await?;
    Ok(took)
}

fn produce(
    address: &str,
    topic: &str,
    values: &[Bytes],
    count: usize,
    batch: usize,
    idempotent: bool,
) -> Result<Duration> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("enable.idempotence", idempotent.to_string())
        .set("batch.size", batch.to_string())
        .set("batch.num.messages", "1000000")
        .set("queue.buffering.max.messages", "500000")
        .create()?;
    // Connecting and getting a producer id is not what is measured.
    let warm: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(0).payload(b"warm");
    producer.send(warm).map_err(|(error, _)| error)?;
    producer.flush(Duration::from_mins(2))?;
    let started = Instant::now();
    for value in values.iter().cycle().take(count) {
        let mut record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(topic).partition(0).payload(&value[..]);
        while let Err((error, again)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(1));
            record = again;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_mins(2))?;
    Ok(started.elapsed())
}

fn fetch(address: &str, topic: &str, count: usize, batch: usize) -> Result<Duration> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set(
            "max.partition.fetch.bytes",
            (8 << 20).max(batch).to_string(),
        )
        .set("queued.max.messages.kbytes", "262144")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Offset(0))?;
    let started = Instant::now();
    consumer.assign(&partitions)?;
    let (mut read, mut bytes) = (0, 0);
    while read < count {
        if let Some(message) = consumer.poll(Duration::from_secs(30)) {
            let message = message?;
            read += 1;
            bytes += message.payload_len();
        } else {
            return Err(format!("only {read} of {count} records came back from {topic}").into());
        }
    }
    let took = started.elapsed();
    assert!(bytes >= count, "empty values");
    Ok(took)
}
