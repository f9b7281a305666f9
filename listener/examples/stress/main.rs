//! Concurrent SQL and wire producers, readers of every kind and faults, on one topic of two
//! partitions: every committed record must be read exactly once, in order, at the offset its
//! producer was told; nothing rolled back may appear; the watermark never goes back; nothing
//! acknowledged is lost when backends are killed or the server crashes.
//!
//! `cargo run --release -p pg_kafka_listener --example stress -- [--seconds N] [--producers N]`

mod judge;
mod reader;
mod sql_producer;
#[path = "../support/mod.rs"]
mod support;
mod wire_producer;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use judge::{PARTITIONS, Run, Seen};
use support::{Cluster, Listener, Random, Result};

struct Options {
    seconds: u64,
    producers: u16,
}

fn options() -> Result<Options> {
    let mut options = Options {
        seconds: 90,
        producers: 16,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
        match arg.as_str() {
            "--seconds" => options.seconds = value.parse()?,
            "--producers" => options.producers = value.parse()?,
            _ => {
                return Err(
                    format!("unknown option {arg}: --seconds N (of load), --producers N").into(),
                );
            }
        }
    }
    Ok(options)
}

const SETUP: &str = "
    create extension pg_kafka;
    select kafka.create_topic('stress', 2);
    -- What has committed: each SQL producer writes here what it produces, in the same transaction.
    create table truth (token text primary key);
    create table orders (token text, partition int4);
    create function publish() returns trigger language plpgsql as $$
    begin perform kafka.produce('stress', new.token, partition => new.partition); return new; end $$;
    create trigger publish after insert on orders for each row execute function publish();
    create function attempt(token text, partition int4, fail boolean) returns void language plpgsql as $$
    begin
        insert into truth values (token);
        perform kafka.produce('stress', token, partition => attempt.partition);
        if fail then raise exception 'undone'; end if;
    exception when raise_exception then null;
    end $$;";

const SETTINGS: &str = "max_connections = 100
max_prepared_transactions = 50
max_wal_senders = 4
wal_retrieve_retry_interval = 200ms
log_min_messages = warning";

#[tokio::main]
async fn main() {
    let outcome = tokio::select! {
        outcome = stress() => outcome,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        () = terminated() => Err("terminated".into()),
    };
    match outcome {
        Ok(true) => println!("stress: passed"),
        Ok(false) => {
            println!("stress: FAILED");
            std::process::exit(1);
        }
        Err(error) => {
            println!("stress: FAILED: {error}");
            std::process::exit(1);
        }
    }
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

async fn stress() -> Result<bool> {
    let options = options()?;
    let primary = Arc::new(Cluster::create(SETTINGS)?);
    primary
        .connect("stress-control")
        .await?
        .batch_execute(SETUP)
        .await?;
    let standby = Arc::new(primary.standby("hot_standby = on")?);
    let mut listener = Listener::start(&primary)?;
    let run = Arc::new(Run::default());

    let mut readers = reader::start(&run, &primary, &standby, &listener.address);
    let mut sql = Vec::new();
    let mut wire = Vec::new();
    for number in 0..options.producers {
        // A quarter comes over the wire, the others through SQL, each kind in several ways.
        if number % 4 == 3 {
            wire.push(wire_producer::start(&run, number, &listener.address)?);
        } else {
            sql.push(tokio::spawn(sql_producer::produce(
                run.clone(),
                primary.clone(),
                number,
            )));
        }
    }
    let vacuum = tokio::spawn(vacuum(run.clone(), primary.clone()));

    let started = Instant::now();
    let phase = |share: u64| Duration::from_millis(options.seconds * 10 * share);
    println!(
        "{} producers and {} readers for {} s",
        options.producers,
        readers.len(),
        options.seconds
    );
    tokio::time::sleep(phase(40)).await;
    run.faults.store(true, Relaxed);
    let killed = kill_backends(&primary, phase(30)).await?;
    let restarts = crash_server(&primary, phase(30)).await?;

    run.stop.store(true, Relaxed);
    for producer in sql {
        producer.await?;
    }
    let wire: Vec<_> = wire
        .into_iter()
        .map(|producer| producer.join().map_err(|_| "a wire producer panicked"))
        .collect();
    vacuum.await?;
    let load_seconds = started.elapsed().as_secs();

    let control = primary.connect("stress-control").await?;
    let open: i64 = control
        .query_one("select count(*) from pg_prepared_xacts", &[])
        .await?
        .get(0);
    run.check(open == 0, || {
        format!("{open} prepared transactions are left")
    });
    let marks = reader::watermarks(&control).await?;
    println!("load ended after {load_seconds} s at watermarks {marks:?}; readers drain");
    let _ = run.end.set(marks);
    let mut seen: Vec<Seen> = Vec::new();
    while let Some(reader) = readers.join_next().await {
        seen.push(reader?);
    }

    let truth: Vec<String> = control
        .query("select token from truth", &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    run.check(listener.alive(), || {
        format!("the listener died:\n{}", listener.log())
    });
    let mut acknowledged = Vec::new();
    for producer in wire {
        acknowledged.push(producer?);
    }
    judge::verdict(&run, &seen, &truth, &acknowledged);
    run.report(&seen, &acknowledged, truth.len(), killed, restarts);
    let passed = run.passed();
    if !passed {
        let log = primary.log();
        let worth: Vec<_> = log
            .lines()
            .filter(|line| line.contains("PANIC") || line.contains("signal 11"))
            .collect();
        println!("server log, crashes: {worth:#?}");
    }
    Ok(passed)
}

/// Terminates one random backend of a producer, a reader or the listener after another.
async fn kill_backends(primary: &Cluster, time: Duration) -> Result<usize> {
    let until = Instant::now() + time;
    let control = primary.connect("stress-control").await?;
    let mut random = Random::new(7);
    let mut killed = 0;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50 + random.below(300))).await;
        // Half of the time the listener's: it has few among many.
        let of = if random.percent(50) {
            "not like 'stress-%'"
        } else {
            "like 'stress-%'"
        };
        let sql = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend'
             and application_name <> 'stress-control' and application_name {of} order by random() limit 1"
        );
        killed += control.query(&sql, &[]).await?.len();
    }
    Ok(killed)
}

/// Stops the server without a checkpoint, as a power failure would, and starts it again.
async fn crash_server(primary: &Arc<Cluster>, time: Duration) -> Result<u32> {
    let restarts = u32::try_from(time.as_secs() / 8)?.max(1);
    for _ in 0..restarts {
        tokio::time::sleep(time / (restarts + 1)).await;
        let cluster = primary.clone();
        tokio::task::spawn_blocking(move || {
            cluster.stop("immediate").and_then(|()| cluster.start())
        })
        .await??;
    }
    tokio::time::sleep(time / (restarts + 1)).await;
    Ok(restarts)
}

/// VACUUM of the log's tables all the time: offsets and watermarks must not depend on dead rows.
async fn vacuum(run: Arc<Run>, primary: Arc<Cluster>) {
    while !run.stop.load(Relaxed) {
        let Ok(client) = primary.connect("stress-vacuum").await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while !run.stop.load(Relaxed) {
            let tables = "select format('vacuum (freeze %s) %s', (random() < 0.2)::text, oid::regclass) from pg_class
                where relnamespace = 'kafka_log'::regnamespace and relkind = 'r'";
            let Ok(commands) = client.query(tables, &[]).await else {
                break;
            };
            for command in commands {
                if let Err(error) = client.batch_execute(command.get(0)).await {
                    run.broke("vacuum", &error);
                    break;
                }
                run.vacuums.fetch_add(1, Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

const _: () = assert!(PARTITIONS == 2, "SETUP creates two");
