//! What servers cost that nobody asks for anything, and what 100 consumers do that wait for
//! records: CPU of listener and server, database sessions.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::Bench;
use crate::process::cpu;
use crate::support::Result;

const CONSUMERS: usize = 100;
const TIME: Duration = Duration::from_secs(10);

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    alone(bench).await?;
    bench.report.title(&format!(
        "Idle: {CONSUMERS} consumers waiting, over {} s",
        TIME.as_secs()
    ));
    bench.report.header(&[
        "consumers",
        "CPU s, listener",
        "CPU s, server",
        "database sessions",
    ]);
    let client = bench.cluster.connect("bench").await?;
    client
        .batch_execute("select kafka.create_topic('idle', 4)")
        .await?;
    for (name, consumers, wait) in [
        ("none", 0, 0),
        (
            "fetch.wait.max.ms=500 (default of librdkafka and Java)",
            CONSUMERS,
            500,
        ),
        ("fetch.wait.max.ms=30000", CONSUMERS, 30_000),
    ] {
        let consumers: Vec<_> = (0..consumers)
            .map(|number| consumer(&bench.listener.address, number, wait))
            .collect::<Result<_>>()?;
        // Everybody has connected and waits.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = (cpu(bench.listener.pid())?, cpu(bench.cluster.pid()?)?);
        tokio::time::sleep(TIME).await;
        let after = (cpu(bench.listener.pid())?, cpu(bench.cluster.pid()?)?);
        let sessions: i64 = client
            .query_one(
                "select count(*) from pg_stat_activity where backend_type = 'client backend' and application_name <> 'bench'",
                &[],
            )
            .await?
            .get(0);
        bench.report.row(&[
            &name,
            &format!("{:.2}", after.0 - before.0),
            &format!("{:.2}", after.1 - before.1),
            &sessions,
        ]);
        tokio::task::spawn_blocking(move || drop(consumers)).await?;
    }
    Ok(())
}

/// An idle server stands beside each that is measured: it must not cost anything much.
async fn alone(bench: &Bench) -> Result<()> {
    bench
        .report
        .title(&format!("Idle: no clients, over {} s", TIME.as_secs()));
    bench.report.header(&["server", "% of one core"]);
    // The third server is the second one's process.
    let servers = bench.servers.iter().take(2);
    let seconds = || -> Result<Vec<f64>> {
        let of = servers.clone().map(|server| Ok(server.cpu()?.iter().sum()));
        of.collect()
    };
    let before = seconds()?;
    tokio::time::sleep(TIME).await;
    for ((server, before), after) in servers.clone().zip(before).zip(seconds()?) {
        let percent = 100.0 * (after - before) / TIME.as_secs_f64();
        bench.report.row(&[&server.name, &format!("{percent:.1}")]);
    }
    Ok(())
}

fn consumer(address: &str, number: usize, wait: u32) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", wait.to_string())
        .create()?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset("idle", i32::try_from(number % 4)?, Offset::Offset(0))?;
    consumer.assign(&partitions)?;
    Ok(consumer)
}
