//! Producers that wait for each record's acknowledgement before they send the next one.

use std::sync::Barrier;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};

use crate::Bench;
use crate::load::{PATIENCE, client, joined, values};
use crate::report::Series;
use crate::servers::{Done, Run, in_turn};
use crate::support::Result;

const PRODUCERS: usize = 16;
const SIZE: usize = 100;

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.comparison(&format!(
        "{PRODUCERS} synchronous producers (linger 0), records of {SIZE} bytes"
    ));
    for partitions in [1, 4] {
        let mut runs: Vec<Vec<Run>> = bench.servers.iter().map(|_| Vec::new()).collect();
        for round in 0..bench.rounds {
            for (place, server) in in_turn(&bench.servers, round) {
                let topic = format!("synchronous-{partitions}-{place}-{round}");
                server.create_topic(&topic, partitions).await?;
                let load = || produce(&server.address, &topic, partitions, bench.limit.time);
                runs[place].push(server.measure(load).await?);
                server.delete_topic(&topic).await?;
            }
        }
        bench.report.compared(Series {
            part: "synchronous",
            case: format!("{PRODUCERS} to {partitions} partitions"),
            client: "librdkafka",
            unit: "records/s",
            runs,
        });
    }
    bench.report.costs("synchronous");
    Ok(())
}

/// Records per second of all together.
pub(crate) fn produce(
    address: &str,
    topic: &str,
    partitions: usize,
    time: Duration,
) -> Result<Done> {
    let values = values(SIZE);
    let ready = Barrier::new(PRODUCERS);
    let rates = std::thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|number| {
                let (values, ready) = (&values, &ready);
                scope.spawn(move || -> Result<(f64, f64)> {
                    let partition = i32::try_from(number % partitions)?;
                    let producer = Synchronous::start(address, topic, partition);
                    ready.wait();
                    let (producer, started) = (producer?, Instant::now());
                    let mut sent = 0;
                    for value in values.iter().cycle() {
                        producer.send(topic, partition, value)?;
                        sent += 1;
                        if started.elapsed() > time {
                            break;
                        }
                    }
                    let sent = f64::from(sent);
                    Ok((sent / started.elapsed().as_secs_f64(), sent))
                })
            })
            .collect();
        joined(producers)
    })?;
    let operations = rates.iter().map(|rate| rate.1).sum();
    Ok(Done {
        value: rates.iter().map(|rate| rate.0).sum(),
        bytes: operations * SIZE as f64,
        operations,
    })
}

/// Reports each delivery to the thread that waits for it.
struct Reporting(Sender<bool>);

impl ClientContext for Reporting {}

impl ProducerContext for Reporting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // The one that waited may have given up.
        let _ = self.0.send(result.is_ok());
    }
}

/// A producer that waits for each record's acknowledgement.
pub(crate) struct Synchronous {
    producer: ThreadedProducer<Reporting>,
    reports: Receiver<bool>,
}

impl Synchronous {
    pub(crate) fn start(address: &str, topic: &str, partition: i32) -> Result<Self> {
        let (sender, reports) = channel();
        let synchronous = Synchronous {
            producer: client(address)
                .set("linger.ms", "0")
                .create_with_context(Reporting(sender))?,
            reports,
        };
        synchronous.send(topic, partition, b"first")?;
        Ok(synchronous)
    }

    pub(crate) fn send(&self, topic: &str, partition: i32, value: &[u8]) -> Result<()> {
        let record: BaseRecord<'_, (), [u8]> =
            BaseRecord::to(topic).partition(partition).payload(value);
        let sent = self.producer.send(record);
        sent.map_err(|(error, _)| error)?;
        if self.reports.recv_timeout(PATIENCE)? {
            Ok(())
        } else {
            Err("a record was not delivered".into())
        }
    }
}
