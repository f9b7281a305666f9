//! What 100 consumers that wait for records cost: CPU of listener and server, database sessions.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::support::Result;
use crate::{Bench, header, row};

const CONSUMERS: usize = 100;
const TIME: Duration = Duration::from_secs(10);

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    println!(
        "\n### Idle: {CONSUMERS} consumers waiting, over {} s\n",
        TIME.as_secs()
    );
    header(&[
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
        let before = (cpu(bench.listener.pid())?, server_cpu(bench)?);
        tokio::time::sleep(TIME).await;
        let after = (cpu(bench.listener.pid())?, server_cpu(bench)?);
        let sessions: i64 = client
            .query_one(
                "select count(*) from pg_stat_activity where backend_type = 'client backend' and application_name <> 'bench'",
                &[],
            )
            .await?
            .get(0);
        row(&[
            &name,
            &format!("{:.2}", after.0 - before.0),
            &format!("{:.2}", after.1 - before.1),
            &sessions,
        ]);
        tokio::task::spawn_blocking(move || drop(consumers)).await?;
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

/// CPU seconds of one process, with those of its ended children.
pub(crate) fn cpu(pid: u32) -> Result<f64> {
    Ok(stat(pid).ok_or("the process has ended")?.1)
}

/// CPU seconds of the server and of all processes it has started.
pub(crate) fn server_cpu(bench: &Bench) -> Result<f64> {
    let server = bench.cluster.pid()?;
    let mut total = cpu(server)?;
    for entry in std::fs::read_dir("/proc")? {
        let pid = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok());
        if let Some((parent, seconds)) = pid.and_then(stat)
            && parent == server
        {
            total += seconds;
        }
    }
    Ok(total)
}

/// Parent and CPU seconds, from `/proc/PID/stat` (proc(5): fields 4 and 14 to 17, in 1/100 s).
fn stat(pid: u32) -> Option<(u32, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields
        .get(11..15)?
        .iter()
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Some((fields.get(1)?.parse().ok()?, ticks as f64 / 100.0))
}
