//! Kafka's own measuring tools, in Java machines of their own.

use std::process::{Child, Output, Stdio};

use crate::apache_kafka::java;
use crate::load::{Case, throughput};
use crate::servers::Done;
use crate::support::Result;

const HEAP: &[&str] = &["-Xmx512m"];

fn tool(name: &str, arguments: &[&str]) -> Result<Child> {
    let mut command = java(HEAP, &format!("org.apache.kafka.tools.{name}"));
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn()?)
}

/// What it printed, if it succeeded.
fn printed(tool: Child) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = tool.wait_with_output()?;
    let said = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(said);
    }
    let error = String::from_utf8_lossy(&stderr);
    Err(format!("{status}\n{said}{error}").into())
}

/// MB/s of values by `ProducerPerformance`, idempotent as is Java's default; the sum of all
/// producers, each without its first quarter, in which its program is compiled.
pub(crate) fn produce(address: &str, topic: &str, case: Case, records: usize) -> Result<Done> {
    let records = (records / case.producers).max(1000);
    let producers: Vec<Child> = (0..case.producers)
        .map(|_| {
            tool(
                "ProducerPerformance",
                &[
                    "--bootstrap-server",
                    address,
                    "--topic",
                    topic,
                    "--num-records",
                    &records.to_string(),
                    "--warmup-records",
                    &(records / 4).to_string(),
                    "--record-size",
                    &case.size.to_string(),
                    "--throughput",
                    "-1",
                    "--command-property",
                    "acks=all",
                    &format!("batch.size={}", case.batch_bytes),
                    &format!("linger.ms={}", case.linger_ms),
                    &format!("compression.type={}", case.codec),
                ],
            )
        })
        .collect::<Result<_>>()?;
    let mut rate = 0.0;
    for producer in producers {
        let said = printed(producer)?;
        // 30000 steady state records sent, 61224.5 records/sec (59.79 MB/sec), ...
        let line = said
            .lines()
            .find(|line| line.contains("steady state records sent"));
        let steady = line.and_then(|line| line.split(", ").nth(1)?.split(' ').next()?.parse().ok());
        rate += steady.unwrap_or(f64::NAN);
    }
    let operations = (records * case.producers) as f64;
    let bytes = operations * case.size as f64;
    finite(
        Done {
            value: rate * case.size as f64 / 1e6,
            bytes,
            operations,
        },
        "ProducerPerformance",
    )
}

/// MB/s of values by `ConsumerPerformance`, while it fetches, without the time in which it
/// joins its group.
pub(crate) fn consume(address: &str, topic: &str, size: usize, records: f64) -> Result<Done> {
    let said = printed(tool(
        "ConsumerPerformance",
        &[
            "--bootstrap-server",
            address,
            "--topic",
            topic,
            "--num-records",
            &records.to_string(),
            "--hide-header",
        ],
    )?)?;
    // start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec,
    // rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec
    let line = said.lines().rfind(|line| line.split(", ").count() == 10);
    let number = |column| -> Option<f64> { line?.split(", ").nth(column)?.trim().parse().ok() };
    let rate = number(9).unwrap_or(f64::NAN);
    let read = number(4).unwrap_or(f64::NAN);
    let took = std::time::Duration::try_from_secs_f64(read / rate);
    match took {
        Ok(took) if read >= records => Ok(throughput(records, size, took)),
        _ => Err(format!("ConsumerPerformance printed {said}").into()),
    }
}

fn finite(done: Done, tool: &str) -> Result<Done> {
    if done.value.is_finite() {
        Ok(done)
    } else {
        Err(format!("{tool} printed no rate").into())
    }
}

/// Milliseconds on average and at the 99th percentile, by `EndToEndLatency`: from the start
/// of a produce to the record's arrival at a consumer.
pub(crate) fn latency(address: &str, topic: &str, records: usize) -> Result<(f64, f64)> {
    let said = printed(tool(
        "EndToEndLatency",
        &[
            "--bootstrap-server",
            address,
            "--topic",
            topic,
            "--num-records",
            &records.to_string(),
            "--producer-acks",
            "all",
            "--record-size",
            "100",
        ],
    )?)?;
    let after = |name: &str| -> Option<f64> {
        let rest = said.split_once(name)?.1.trim_start_matches([' ', '=', ':']);
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        rest[..end.unwrap_or(rest.len())].parse().ok()
    };
    match (after("Avg latency"), after("99th")) {
        (Some(average), Some(tail)) => Ok((average, tail)),
        _ => Err(format!("EndToEndLatency printed {said}").into()),
    }
}
