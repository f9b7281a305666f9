//! A million records in one statement, and reading them back, beside a plain table: COPY, and
//! the same values by `kafka.produce` and `kafka.records`.

use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, pin_mut};
use tokio_postgres::Client;

use crate::Bench;
use crate::load::values;
use crate::report::{median, spread};
use crate::support::Result;

const SIZE: usize = 100;
const COPY: &str = "COPY into a plain table";
const PRODUCE: &str = "select count(kafka.produce('bulk', value, partition => 0)) from bulk_values";
const INSERT: &str = "with inserted as (insert into bulk_plain select value from bulk_values returning 1) select count(*) from inserted";
const SCAN_TABLE: &str = "select count(value) from bulk_plain";
const SCAN_RECORDS: &str = "select count(value) from kafka.records('bulk')";
/// What, and its place among them that it is to be compared with.
const WAYS: [(&str, usize); 5] = [
    (COPY, 0),
    ("INSERT ... SELECT into a plain table", 0),
    ("kafka.produce, one statement", 0),
    ("scan of a plain table", 3),
    ("scan of kafka.records", 3),
];

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    let count: usize = if bench.quick { 100_000 } else { 1_000_000 };
    bench.report.title(&format!(
        "{count} records of {SIZE} bytes in one statement, seconds"
    ));
    bench
        .report
        .header(&["what", "seconds", "records/s", "ratio of the times"]);
    let client = bench.cluster.connect("bench").await?;
    client
        .batch_execute("create unlogged table bulk_values (value text)")
        .await?;
    copy(&client, "bulk_values", count).await?;
    let mut times: [Vec<f64>; 5] = Default::default();
    for _ in 0..bench.rounds {
        client
            .batch_execute("drop table if exists bulk_plain; create table bulk_plain (value text)")
            .await?;
        times[0].push(copy(&client, "bulk_plain", count).await?);
        client.batch_execute("truncate bulk_plain").await?;
        times[1].push(counted(&client, INSERT, count).await?);
        client
            .batch_execute("select kafka.create_topic('bulk', 1)")
            .await?;
        times[2].push(counted(&client, PRODUCE, count).await?);
        times[3].push(counted(&client, SCAN_TABLE, count).await?);
        times[4].push(counted(&client, SCAN_RECORDS, count).await?);
        client
            .batch_execute("select kafka.delete_topic('bulk')")
            .await?;
        // Each round starts from a quiet server.
        bench.servers[0].settle().await?;
    }
    for ((what, base), taken) in WAYS.iter().zip(&times) {
        let rate = count as f64 / median(taken);
        let ratio = median(taken) / median(&times[*base]);
        let (rate, ratio) = (format!("{rate:.0}"), format!("{ratio:.2}"));
        bench.report.row(&[what, &spread(taken, 2), &rate, &ratio]);
    }
    Ok(())
}

/// Seconds of a statement that says of how many records it was.
async fn counted(client: &Client, sql: &str, count: usize) -> Result<f64> {
    let started = Instant::now();
    let counted: i64 = client.query_one(sql, &[]).await?.get(0);
    let took = started.elapsed().as_secs_f64();
    if counted == i64::try_from(count)? {
        Ok(took)
    } else {
        Err(format!("{sql}: {counted} instead of {count}").into())
    }
}

/// Seconds of COPY from the client.
async fn copy(client: &Client, table: &str, count: usize) -> Result<f64> {
    let values = values(SIZE);
    let started = Instant::now();
    let sink = client.copy_in(&format!("copy {table} from stdin")).await?;
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
    sink.finish().await?;
    Ok(started.elapsed().as_secs_f64())
}
