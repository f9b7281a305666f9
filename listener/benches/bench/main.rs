//! Throughput, contention, latency and the cost of idle clients, each beside plain tables of the same server
//! in the same run, and transactions beside Apache Kafka, as Markdown tables of min / median / max over
//! alternating rounds.
//!
//! `cargo bench -p pg_kafka_listener -- [throughput] [contention] [latency] [idle] [groups]
//! [transactions] [--rounds N] [--megabytes N]`

#![allow(
    clippy::cast_precision_loss,
    reason = "counts far below 2^52 become rates"
)]

#[path = "../../tests/common/apache_kafka.rs"]
mod apache_kafka;
#[path = "../../examples/support/mod.rs"]
mod support;

mod contention;
mod groups;
mod idle;
mod latency;
mod throughput;
mod transactions;

use std::fmt::Display;

use support::{Cluster, Listener, Result};

/// A durable server, its listener, and how much to measure.
struct Bench {
    // The listener ends first.
    listener: Listener,
    cluster: Cluster,
    rounds: usize,
    megabytes: usize,
}

#[tokio::main]
async fn main() {
    if let Err(error) = bench().await {
        eprintln!("bench: {error}");
        std::process::exit(1);
    }
}

async fn bench() -> Result<()> {
    let mut parts = Vec::new();
    let (mut rounds, mut megabytes) = (3, 64);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {} // cargo's own
            "--rounds" => rounds = args.next().unwrap_or_default().parse()?,
            "--megabytes" => megabytes = args.next().unwrap_or_default().parse()?,
            "throughput" | "contention" | "latency" | "idle" | "groups" | "transactions" => {
                parts.push(arg);
            }
            _ => return Err(format!("unknown argument {arg}").into()),
        }
    }
    let asked = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);

    // fsync, synchronous_commit and full_page_writes stay on, as they are by default.
    let cluster =
        Cluster::create("max_connections = 200\nmax_wal_size = 4GB\nshared_buffers = 512MB")?;
    let client = cluster.connect("bench").await?;
    client.batch_execute("create extension pg_kafka").await?;
    let version: String = client.query_one("select version()", &[]).await?.get(0);
    let listener = Listener::start(&cluster)?;
    let cores = std::thread::available_parallelism()?;
    println!(
        "{version}; {cores} cores; fsync, synchronous_commit and full_page_writes on; {rounds} rounds"
    );
    let bench = Bench {
        listener,
        cluster,
        rounds,
        megabytes,
    };
    if asked("throughput") {
        throughput::measure(&bench).await?;
    }
    if asked("contention") {
        contention::measure(&bench).await?;
    }
    if asked("latency") {
        latency::measure(&bench).await?;
    }
    if asked("idle") {
        idle::measure(&bench).await?;
    }
    if asked("groups") {
        groups::measure(&bench).await?;
    }
    if asked("transactions") {
        transactions::measure(&bench).await?;
    }
    Ok(())
}

fn header(columns: &[&str]) {
    println!(
        "| {} |\n|{}",
        columns.join(" | "),
        " --- |".repeat(columns.len())
    );
}

fn row(columns: &[&dyn Display]) {
    let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
    println!("| {} |", columns.join(" | "));
}

/// The middle one of the values, or the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// min / median / max.
fn spread(values: &[f64], digits: usize) -> String {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!(
        "{min:.digits$} / {:.digits$} / {max:.digits$}",
        median(values)
    )
}
