//! Produce and consume over the wire for a long time, with autovacuum on and records deleted
//! each minute, so that it has something to do: nothing may decline, nothing may grow.

use std::fmt::Display;
use std::iter::once;
use std::time::Duration;

use tokio_postgres::Client;

use crate::Bench;
use crate::load::Limit;
use crate::process::memory;
use crate::report::{median, percentile};
use crate::support::Result;
use crate::tail;

/// Records per second, while it is not as fast as it can be.
const STEADY: f64 = 15_000.0;
const COLUMNS: [&str; 8] = [
    "full speed, MB/s",
    "steady, MB/s",
    "steady, median delay ms",
    "p99 delay ms",
    "tables, MiB",
    "indexes, MiB",
    "dead tuples",
    "listener, MiB",
];
const SIZES: &str = "
    select coalesce(sum(pg_catalog.pg_table_size(c.oid)), 0)::float8 / 1048576,
           coalesce(sum(pg_catalog.pg_indexes_size(c.oid)), 0)::float8 / 1048576,
           (select coalesce(sum(n_dead_tup), 0)::float8 from pg_catalog.pg_stat_all_tables)
    from pg_catalog.pg_class c
    where c.relkind = 'r' and c.relnamespace = 'kafka_log'::regnamespace";
/// All that is consumed.
const DELETE: &str = "select kafka.delete_records('soak', 0, -1)";

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    let minutes = bench.minutes;
    bench.report.title(&format!(
        "Soak: {minutes} minutes, 1 KiB, each minute at full speed for a while, then {STEADY} records/s; the records deleted each minute"
    ));
    bench.report.header(&[&["minute"][..], &COLUMNS].concat());
    bench.servers[0].create_topic("soak", 1).await?;
    let client = bench.cluster.connect("bench").await?;
    let mut rows = Vec::new();
    for number in 1..=minutes {
        let row = minute(bench, &client).await?;
        show(bench, &number.to_string(), &row);
        rows.push(row);
        client.batch_execute(DELETE).await?;
    }
    let quarter = minutes.div_ceil(4);
    let medians = |rows: &[[f64; COLUMNS.len()]]| {
        std::array::from_fn(|column| {
            let values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
            median(&values)
        })
    };
    let first = medians(&rows[..quarter]);
    let last = medians(&rows[minutes - quarter..]);
    show(bench, "first quarter", &first);
    show(bench, "last quarter", &last);
    show(
        bench,
        "last of first",
        &std::array::from_fn(|column| last[column] / first[column]),
    );
    bench.servers[0].delete_topic("soak").await
}

/// One row of figures, as `COLUMNS` names them.
async fn minute(bench: &Bench, client: &Client) -> Result<[f64; COLUMNS.len()]> {
    let (full, steady) = if bench.quick { (2, 4) } else { (10, 48) };
    let address = &bench.listener.address;
    let follow = |rate, seconds| {
        let limit = Limit {
            bytes: usize::MAX,
            time: Duration::from_secs(seconds),
        };
        tokio::task::block_in_place(|| tail::follow(address, "soak", rate, limit))
    };
    let (fast, _) = follow(None, full)?;
    let (slow, delays) = follow(Some(STEADY), steady)?;
    let sizes = client.query_one(SIZES, &[]).await?;
    Ok([
        fast.value,
        slow.value,
        median(&delays),
        percentile(&delays, 99),
        sizes.get(0),
        sizes.get(1),
        sizes.get(2),
        memory(bench.listener.pid()) / f64::from(1 << 20),
    ])
}

fn show(bench: &Bench, name: &str, row: &[f64; COLUMNS.len()]) {
    let figures = row.iter().map(|figure| match figure {
        figure if *figure < 100.0 => format!("{figure:.2}"),
        figure => format!("{figure:.0}"),
    });
    let figures: Vec<String> = figures.collect();
    let figures = figures.iter().map(|figure| figure as &dyn Display);
    let columns: Vec<&dyn Display> = once(&name as &dyn Display).chain(figures).collect();
    bench.report.row(&columns);
}
