//! One-record transactions of 16 sessions on one partition, beside a plain INSERT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::Bench;
use crate::report::{median, spread};
use crate::support::Result;

const SESSIONS: usize = 16;
const TIME: Duration = Duration::from_secs(4);

const INSERT: &str = "insert into plain_commits values ($1)";
const PRODUCE: &str = "select kafka.produce('contention', $1::bytea, partition => 0)";

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.title(&format!(
        "One-record transactions, {SESSIONS} sessions on one partition, per second"
    ));
    bench
        .report
        .header(&["transaction", "min / median / max", "of INSERT"]);
    let client = bench.cluster.connect("bench").await?;
    client
        .batch_execute(
            "create table plain_commits (value bytea); select kafka.create_topic('contention', 1)",
        )
        .await?;
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..bench.rounds {
        rates[0].push(commits(bench, INSERT).await?);
        rates[1].push(commits(bench, PRODUCE).await?);
        // A session that has produced and does not end.
        client.batch_execute("begin").await?;
        client.execute(PRODUCE, &[&&b"long"[..]]).await?;
        rates[2].push(commits(bench, PRODUCE).await?);
        client.batch_execute("commit").await?;
    }
    let insert = median(&rates[0]);
    let names = [
        "plain INSERT",
        "kafka.produce",
        "kafka.produce, another transaction open that has produced",
    ];
    for (name, rates) in names.iter().zip(&rates) {
        bench.report.row(&[
            name,
            &spread(rates, 0),
            &format!("{:.2}", median(rates) / insert),
        ]);
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
    tokio::time::sleep(TIME / 8).await;
    let (started, before) = (Instant::now(), count.load(Relaxed));
    tokio::time::sleep(TIME).await;
    let rate = (count.load(Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
    stop.store(true, Relaxed);
    while let Some(session) = sessions.join_next().await {
        session??;
    }
    Ok(rate)
}
