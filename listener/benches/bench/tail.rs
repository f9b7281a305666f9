//! A consumer at the end of a topic, while a producer sends at a moderate rate, and as fast as
//! it can: what arrives, and how long after it was handed to the producer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rdkafka::topic_partition_list::Offset;

use crate::Bench;
use crate::load::{Case, Limit, PATIENCE, Sending, consumer, throughput, values};
use crate::report::{Series, median, percentile};
use crate::servers::{Done, Run, in_turn};
use crate::support::Result;

/// Records per second.
const MODERATE: f64 = 5000.0;
pub(crate) const CASE: Case = Case {
    size: 1024,
    batch_bytes: 16 * 1024,
    linger_ms: 5,
    producers: 1,
    codec: "none",
    idempotent: false,
};

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.comparison(&format!(
        "Consume from the tail (1 KiB, batches of 16 KB / 5 ms; moderate: {MODERATE} records/s)"
    ));
    for (speed, rate) in [("moderate", Some(MODERATE)), ("full", None)] {
        let empty = || -> Vec<Vec<Run>> { bench.servers.iter().map(|_| Vec::new()).collect() };
        let (mut rates, mut medians, mut tails) = (empty(), empty(), empty());
        for round in 0..bench.rounds {
            for (place, server) in in_turn(&bench.servers, round) {
                let topic = format!("tail-{speed}-{place}-{round}");
                server.create_topic(&topic, 1).await?;
                let mut delays = Vec::new();
                let load = || {
                    let (done, all) = follow(&server.address, &topic, rate, bench.limit)?;
                    delays = all;
                    Ok(done)
                };
                let run = server.measure(load).await?;
                medians[place].push(run.with(median(&delays)));
                tails[place].push(run.with(percentile(&delays, 99)));
                rates[place].push(run);
                server.delete_topic(&topic).await?;
            }
        }
        for (part, what, unit, runs) in [
            ("tail", "rate", "MB/s", rates),
            ("delay", "median delay", "ms", medians),
            ("delay", "p99 delay", "ms", tails),
        ] {
            bench.report.compared(Series {
                part,
                case: format!("tail, {speed} speed, {what}"),
                client: "librdkafka",
                unit,
                runs,
            });
        }
    }
    bench.report.costs("tail");
    Ok(())
}

/// What has arrived, and each record's delay in milliseconds.
pub(crate) fn follow(
    address: &str,
    topic: &str,
    rate: Option<f64>,
    limit: Limit,
) -> Result<(Done, Vec<f64>)> {
    let clock = Instant::now();
    // The number of records that will have been sent, once that is known.
    let (follows, expected) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
    std::thread::scope(|scope| {
        let arrivals = scope.spawn(|| arrivals(address, topic, clock, &follows, &expected));
        let sent = send(address, topic, rate, limit, clock, &follows);
        expected.store(*sent.as_ref().map_or(&0, |sent| &sent.1), Relaxed);
        let delays = arrivals.join().map_err(|_| "the consumer panicked")??;
        let took = clock.elapsed().saturating_sub(sent?.0);
        Ok((throughput(delays.len() as f64, CASE.size, took), delays))
    })
}

/// When it began by the clock, and how many records; each starts with the time it was sent.
fn send(
    address: &str,
    topic: &str,
    rate: Option<f64>,
    limit: Limit,
    clock: Instant,
    follows: &AtomicBool,
) -> Result<(Duration, u64)> {
    let mut sending = Sending::start(&CASE.config(address), topic, 0)?;
    let until = Instant::now() + PATIENCE;
    while !follows.load(Relaxed) {
        if Instant::now() > until {
            return Err("the consumer does not follow".into());
        }
        std::thread::sleep(Duration::from_millis(50));
        sending.send(topic, 0, b"first")?;
    }
    let started = clock.elapsed();
    let mut value = vec![0; CASE.size];
    let mut sent = 0;
    for letters in values(CASE.size)
        .iter()
        .cycle()
        .take(limit.bytes / CASE.size)
    {
        let now = clock.elapsed();
        if now > started + limit.time {
            break;
        }
        if let Some(rate) = rate {
            let due = started + Duration::from_secs_f64(sent as f64 / rate);
            std::thread::sleep(due.saturating_sub(now));
        }
        value.copy_from_slice(letters);
        value[..8].copy_from_slice(&(clock.elapsed().as_nanos() as u64).to_be_bytes());
        sending.send(topic, 0, &value)?;
        sent += 1;
    }
    sending.finish()?;
    Ok((started, sent))
}

fn arrivals(
    address: &str,
    topic: &str,
    clock: Instant,
    follows: &AtomicBool,
    expected: &AtomicU64,
) -> Result<Vec<f64>> {
    let consumer = consumer(address, topic, 1, Offset::End)?;
    let mut delays = Vec::new();
    let mut until = Instant::now() + PATIENCE;
    while (delays.len() as u64) < expected.load(Relaxed) {
        if Instant::now() > until {
            return Err("records are missing at the tail".into());
        }
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        follows.store(true, Relaxed);
        until = Instant::now() + PATIENCE;
        let value = rdkafka::Message::payload(&message).unwrap_or_default();
        if value.len() == CASE.size
            && let Some(stamp) = value.first_chunk()
        {
            let sent = Duration::from_nanos(u64::from_be_bytes(*stamp));
            delays.push(clock.elapsed().saturating_sub(sent).as_secs_f64() * 1e3);
        }
    }
    Ok(delays)
}
