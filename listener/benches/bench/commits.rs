//! One-record transactions of 16 sessions on one partition, beside a plain INSERT, and what a
//! trigger that publishes adds to one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::Bench;
use crate::report::{median, spread};
use crate::support::Result;

const SESSIONS: usize = 16;

const TABLES: &str = "
    create table commits_plain (value bytea);
    create table commits_published (value bytea);
    create function commits_publish() returns trigger language plpgsql as $$
    begin
        perform kafka.produce('commits', new.value, partition => 0);
        return null;
    end $$;
    create trigger publish after insert on commits_published
        for each row execute function commits_publish();
    select kafka.create_topic('commits', 1)";
const INSERT: &str = "insert into commits_plain values ($1)";
const PRODUCE: &str = "select kafka.produce('commits', $1::bytea, partition => 0)";
const PUBLISH: &str = "insert into commits_published values ($1)";
const WAYS: [&str; 4] = [
    "plain INSERT",
    "kafka.produce",
    "kafka.produce, another transaction open that has produced",
    "INSERT with a trigger that publishes",
];

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.title(&format!(
        "One-record transactions, {SESSIONS} sessions on one partition, per second"
    ));
    bench
        .report
        .header(&["transaction", "per second", "of INSERT"]);
    let client = bench.cluster.connect("bench").await?;
    client.batch_execute(TABLES).await?;
    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..bench.rounds {
        rates[0].push(commits(bench, INSERT).await?);
        rates[1].push(commits(bench, PRODUCE).await?);
        // A session that has produced and does not end.
        client.batch_execute("begin").await?;
        client.execute(PRODUCE, &[&&b"long"[..]]).await?;
        rates[2].push(commits(bench, PRODUCE).await?);
        client.batch_execute("commit").await?;
        rates[3].push(commits(bench, PUBLISH).await?);
    }
    let insert = median(&rates[0]);
    for (what, rates) in WAYS.iter().zip(&rates) {
        let ratio = format!("{:.2}", median(rates) / insert);
        bench.report.row(&[what, &spread(rates, 0), &ratio]);
    }
    Ok(())
}

/// Transactions per second of all sessions together.
async fn commits(bench: &Bench, sql: &'static str) -> Result<f64> {
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut sessions = tokio::task::JoinSet::new();
    for _ in 0..SESSIONS {
        let client = bench.cluster.connect("bench").await?;
        let (stop, count) = (stop.clone(), count.clone());
        sessions.spawn(async move {
            let statement = client.prepare(sql).await?;
            let value = vec![b'x'; 100];
            while !stop.load(Relaxed) {
                client.execute(&statement, &[&value]).await?;
                count.fetch_add(1, Relaxed);
            }
            Ok::<_, tokio_postgres::Error>(())
        });
    }
    // The first statements also load the library and plan.
    tokio::time::sleep(bench.limit.time / 8).await;
    let (started, before) = (Instant::now(), count.load(Relaxed));
    tokio::time::sleep(bench.limit.time).await;
    let rate = (count.load(Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
    stop.store(true, Relaxed);
    while let Some(session) = sessions.join_next().await {
        session??;
    }
    Ok(rate)
}
