//! `pg_kafka` beside Apache Kafka on the same machine in the same run, once as it is and once
//! with topics that are flushed, as everything is here; and beside plain tables of the same
//! server. Markdown tables of min / median / max over rounds in which the servers alternate.
//!
//! `cargo bench -p pg_kafka_listener -- [PART...] [--quick] [--rounds N] [--megabytes N]
//! [--case TEXT] [--profile] [--gigabytes N] [--minutes N]`, where the parts are those of
//! `PARTS`, which are all measured where none is named, and of `LONG_PARTS`; of `produce` and
//! `consume` only cases with TEXT in their names.

#![allow(
    clippy::cast_precision_loss,
    reason = "counts far below 2^52 become rates"
)]

#[path = "../../tests/common/apache_kafka.rs"]
mod apache_kafka;
#[path = "../../examples/support/mod.rs"]
mod support;

mod bulk;
mod cases;
mod chart;
mod commits;
mod flat;
mod groups;
mod idle;
mod latency;
mod load;
mod process;
mod profile;
mod report;
mod servers;
mod soak;
mod synchronous;
mod tail;
mod tools;
mod transactions;
mod wire;

use std::time::Duration;

use apache_kafka::ApacheKafka;
use load::Limit;
use report::Report;
use servers::{HEAP, Server};
use support::{Cluster, Listener, Result};

const PARTS: &[&str] = &[
    "produce",
    "consume",
    "synchronous",
    "tail",
    "latency",
    "transactions",
    "sql",
    "idle",
    "groups",
];

/// Long ones, only measured when asked for.
const LONG_PARTS: &[&str] = &["flat", "soak"];

/// Nothing of Apache Kafka is beside these.
const ALONE: &[&str] = &["sql", "groups", "soak"];

/// As a server for this load is set up: WAL files are used again instead of made anew, and the
/// memory is a twelfth of this machine's. Groups need not wait for more members, here as there.
const SETTINGS: &str = "max_connections = 600
min_wal_size = 4GB
max_wal_size = 8GB
shared_buffers = 2GB
pg_kafka.group_initial_rebalance_delay = 0";
const KAFKA_SETTINGS: &[&str] = &["group.initial.rebalance.delay.ms=0"];

/// The servers, and how much to measure.
struct Bench {
    /// Ours first, then Apache Kafka's, where that is found.
    servers: Vec<Server>,
    // The listener ends first.
    listener: Listener,
    cluster: Cluster,
    _kafka: Option<ApacheKafka>,
    report: Report,
    parts: Vec<String>,
    /// In the name of each case that is measured.
    case: String,
    rounds: usize,
    quick: bool,
    profile: bool,
    /// The most that `flat` writes before it measures.
    gigabytes: usize,
    /// Of `soak`.
    minutes: usize,
    limit: Limit,
}

impl Bench {
    fn asked(&self, part: &str) -> bool {
        self.parts.iter().any(|asked| asked == part)
    }

    fn has_kafka(&self) -> bool {
        self.servers.len() > 1
    }
}

#[tokio::main]
async fn main() {
    if let Err(error) = bench().await {
        eprintln!("bench: {error}");
        std::process::exit(1);
    }
}

async fn bench() -> Result<()> {
    let bench = start().await?;
    cases::warm_up(&bench).await?;
    let all = PARTS.iter().chain(LONG_PARTS);
    for part in all.filter(|part| bench.asked(part)) {
        match *part {
            // Both in one go: what is consumed has to be produced.
            "consume" if bench.asked("produce") => {}
            "produce" | "consume" => cases::measure(&bench).await?,
            "synchronous" => synchronous::measure(&bench).await?,
            "tail" => tail::measure(&bench).await?,
            "latency" => latency::measure(&bench).await?,
            "transactions" => transactions::measure(&bench).await?,
            "sql" => {
                commits::measure(&bench).await?;
                bulk::measure(&bench).await?;
            }
            "idle" => idle::measure(&bench).await?,
            "groups" => groups::measure(&bench).await?,
            "flat" => flat::measure(&bench).await?,
            "soak" => soak::measure(&bench).await?,
            _ => return Err(format!("no part {part}").into()),
        }
        bench.report.save()?;
    }
    if bench.profile {
        profile::measure(&bench).await?;
    }
    bench.report.save()
}

/// Reads the arguments, starts the servers, and says what they are.
async fn start() -> Result<Bench> {
    let mut parts = Vec::new();
    let (mut rounds, mut megabytes, mut quick, mut profile) = (None, None, false, false);
    let (mut gigabytes, mut minutes, mut case) = (20, 20, String::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().unwrap_or_default().parse::<usize>();
        match arg.as_str() {
            "--bench" => {} // cargo's own
            "--quick" => quick = true,
            "--profile" => profile = true,
            "--rounds" => rounds = Some(number()?),
            "--megabytes" => megabytes = Some(number()?),
            "--case" => case = args.next().unwrap_or_default(),
            "--gigabytes" => gigabytes = number()?,
            "--minutes" => minutes = number()?,
            part if PARTS.contains(&part) || LONG_PARTS.contains(&part) => parts.push(arg),
            _ => {
                let known = [PARTS, LONG_PARTS].concat().join(" ");
                return Err(format!("unknown argument {arg}; parts: {known}").into());
            }
        }
    }
    if parts.is_empty() {
        parts = PARTS.iter().map(ToString::to_string).collect();
    }
    let rounds = rounds.unwrap_or(if quick { 1 } else { 3 });
    let megabytes = megabytes.unwrap_or(if quick { 100 } else { 300 });

    // fsync, synchronous_commit, full_page_writes and autovacuum stay on, as they are by default.
    let cluster = Cluster::create(SETTINGS)?;
    let client = cluster.connect("bench").await?;
    client.batch_execute("create extension pg_kafka").await?;
    let listener = Listener::start(&cluster)?;
    let kafka = if parts.iter().all(|part| ALONE.contains(&part.as_str())) {
        Err("these parts are of pg_kafka alone".to_owned())
    } else {
        tokio::task::block_in_place(|| ApacheKafka::start(HEAP, KAFKA_SETTINGS))
    };
    let mut servers = vec![Server::ours(&cluster, &listener).await?];
    servers.extend(kafka.iter().flat_map(Server::of_kafka));
    let report = Report::new(&servers)?;
    report.line(&described(&client, rounds).await?);
    let missing = kafka.as_ref().err();
    missing.inspect(|why| report.line(&format!("Measured without Apache Kafka: {why}")));
    Ok(Bench {
        servers,
        listener,
        cluster,
        _kafka: kafka.ok(),
        report,
        parts,
        case,
        rounds,
        quick,
        profile,
        gigabytes,
        minutes,
        limit: Limit {
            bytes: megabytes * 1_000_000,
            time: Duration::from_secs(if quick { 1 } else { 3 }),
        },
    })
}

async fn described(client: &tokio_postgres::Client, rounds: usize) -> Result<String> {
    const SHOWN: &str = "select pg_catalog.split_part(pg_catalog.version(), ' on ', 1) || '; ' || pg_catalog.string_agg(name || ' ' || pg_catalog.current_setting(name), ', ' order by name)
        from pg_catalog.pg_settings where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'autovacuum', 'shared_buffers', 'min_wal_size', 'max_wal_size')";
    let shown: String = client.query_one(SHOWN, &[]).await?.get(0);
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "{shown}; Apache Kafka 4.3.1, KRaft, one node, heap 1 GB; {cores} cores; {rounds} rounds, min / median / max; ratios are pg_kafka's medians to the other's"
    ))
}
