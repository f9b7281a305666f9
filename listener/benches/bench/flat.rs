//! Whether produce and tail fetch stay the same with much in the topic, with many partitions
//! and with many connections: each variant beside the smallest of its kind. Many partitions
//! also of Apache Kafka, since they cost the client, too.

use std::time::Duration;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::task::JoinSet;

use crate::Bench;
use crate::load::{self, Case, Limit};
use crate::report::{median, spread};
use crate::servers::{Run, Server};
use crate::support::Result;
use crate::tail;
use crate::wire::Connection;

/// What is written in it before, in bytes that do not change what comes after.
const SMALL: usize = 10_000;
const IDLE: &str = "flat-idle";
const FILL: Case = Case {
    batch_bytes: 256 * 1024,
    ..tail::CASE
};

struct Variant {
    name: String,
    bytes: usize,
    partitions: usize,
    connections: usize,
}

#[derive(Default)]
struct Measured {
    produced: Vec<Run>,
    followed: Vec<Run>,
}

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.title("Flatness, MB/s of values of 1 KiB (batches of 16 KB / 5 ms, one producer, one consumer at the tail, both on one partition)");
    bench.report.header(&[
        "with",
        "produce",
        "of the first",
        "CPU s per GB",
        "tail fetch",
        "of the first",
        "CPU s per GB",
        "listener, peak MiB",
    ]);
    let ours = &bench.servers[0];
    ours.create_topic(IDLE, 1).await?;
    let variant = |name: &str, bytes, partitions, connections| Variant {
        name: name.to_owned(),
        bytes,
        partitions,
        connections,
    };
    let most = bench.gigabytes * 1_000_000_000;
    let large = format!("{} GB in the topic", bench.gigabytes);
    let sizes = [
        variant("10 KB in the topic", SMALL, 1, 1),
        variant("1 GB in the topic", 1_000_000_000.min(most), 1, 1),
        variant(&large, most, 1, 1),
    ];
    compare(bench, ours, &sizes).await?;
    for server in bench.servers.iter().take(2) {
        let of = |what: &str| format!("{what}, {}", server.name);
        let partitions = [
            variant(&of("1 partition"), SMALL, 1, 1),
            variant(&of("1,000 partitions"), SMALL, 1000, 1),
        ];
        compare(bench, server, &partitions).await?;
    }
    let connections = [
        variant("1 connection", SMALL, 1, 1),
        variant("500 connections", SMALL, 1, 500),
    ];
    compare(bench, ours, &connections).await?;
    Ok(())
}

async fn compare(bench: &Bench, server: &Server, variants: &[Variant]) -> Result<()> {
    let topic = |place| format!("flat-{place}");
    for (place, variant) in variants.iter().enumerate() {
        if variant.bytes > SMALL {
            fill(server, &topic(place), variant).await?;
        }
    }
    let mut measured: Vec<Measured> = variants.iter().map(|_| Measured::default()).collect();
    for round in 0..bench.rounds {
        for turn in 0..variants.len() {
            let place = (round + turn) % variants.len();
            let (variant, topic) = (&variants[place], topic(place));
            // What is measured would otherwise soon make much of little.
            if variant.bytes <= SMALL {
                fill(server, &topic, variant).await?;
            }
            one(bench, server, variant, &topic, &mut measured[place]).await?;
            if variant.bytes <= SMALL {
                server.delete_topic(&topic).await?;
            }
        }
    }
    for (place, variant) in variants.iter().enumerate() {
        if variant.bytes > SMALL {
            server.delete_topic(&topic(place)).await?;
        }
        row(bench, variant, &measured[place], &measured[0]);
    }
    Ok(())
}

async fn fill(server: &Server, topic: &str, variant: &Variant) -> Result<()> {
    server.create_topic(topic, variant.partitions).await?;
    let limit = Limit {
        bytes: variant.bytes,
        time: Duration::from_hours(1),
    };
    server
        .measure(|| load::produce(&server.address, topic, FILL, limit))
        .await?;
    server.settle().await
}

async fn one(
    bench: &Bench,
    server: &Server,
    variant: &Variant,
    topic: &str,
    measured: &mut Measured,
) -> Result<()> {
    let mut others = JoinSet::new();
    for _ in 1..variant.connections {
        let address = server.address.clone();
        others.spawn(async move { waiting(&address).await });
    }
    // Everybody has connected and waits.
    tokio::time::sleep(Duration::from_secs(1)).await;
    if let Some(ended) = others.try_join_next() {
        return Err(format!("a waiting connection has ended: {:?}", ended?).into());
    }
    let load = || load::produce(&server.address, topic, tail::CASE, bench.limit);
    measured.produced.push(server.measure(load).await?);
    server.settle().await?;
    let load = || Ok(tail::follow(&server.address, topic, None, bench.limit)?.0);
    measured.followed.push(server.measure(load).await?);
    server.settle().await
}

/// A consumer of an empty topic, with the clients' default time to wait.
async fn waiting(address: &str) -> Result<()> {
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_static_str(IDLE)))
        .with_partitions(vec![
            FetchPartition::default().with_partition_max_bytes(1 << 20),
        ]);
    let request = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic]);
    let mut connection = Connection::open(address).await?;
    loop {
        connection.call(4, &request).await?;
    }
}

fn row(bench: &Bench, variant: &Variant, measured: &Measured, first: &Measured) {
    let values = |runs: &[Run]| -> Vec<f64> { runs.iter().map(|run| run.done.value).collect() };
    let ratio = |runs: &[Run], first: &[Run]| {
        format!("{:.2}", median(&values(runs)) / median(&values(first)))
    };
    let cost = |runs: &[Run]| {
        let cost = |run: &Run| (run.server_cpu + run.listener_cpu) / run.done.bytes * 1e9;
        format!("{:.2}", median(&runs.iter().map(cost).collect::<Vec<_>>()))
    };
    let memory = measured.produced.iter().chain(&measured.followed);
    let memory = memory.map(|run| run.listener_memory).fold(0.0, f64::max);
    bench.report.row(&[
        &variant.name,
        &spread(&values(&measured.produced), 0),
        &ratio(&measured.produced, &first.produced),
        &cost(&measured.produced),
        &spread(&values(&measured.followed), 0),
        &ratio(&measured.followed, &first.followed),
        &cost(&measured.followed),
        &format!("{:.0}", memory / f64::from(1 << 20)),
    ]);
}
