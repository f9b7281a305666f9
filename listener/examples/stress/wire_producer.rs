//! Kafka producers, idempotent and not, which note what was acknowledged at which offset.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use crate::judge::{Acknowledged, PARTITIONS, Run, Token};
use crate::support::{Random, Result};

struct Acks {
    run: Arc<Run>,
    idempotent: bool,
    told: Mutex<Acknowledged>,
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = Box<Token>;

    fn delivery(&self, result: &DeliveryResult<'_>, token: Self::DeliveryOpaque) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                told.offsets.insert(*token, message.offset());
            }
            Err((error, _)) => {
                // A producer that doesn't resend may lose what a fault hits; one that resends may not.
                let allowed = self.run.faults.load(Relaxed) && !self.idempotent;
                self.run.check(allowed, || {
                    format!("{token} (idempotent: {}) failed: {error}", self.idempotent)
                });
                told.unknown.insert(*token);
            }
        }
    }
}

pub(crate) fn start(
    run: &Arc<Run>,
    number: u16,
    address: &str,
) -> Result<JoinHandle<Acknowledged>> {
    let idempotent = number % 8 == 3;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("client.id", format!("stress-producer-{number}"))
        .set("linger.ms", "1")
        .set(
            "compression.type",
            ["none", "gzip", "snappy", "lz4", "zstd"][usize::from(number / 4) % 5],
        )
        .set("reconnect.backoff.max.ms", "500")
        .set("message.timeout.ms", "120000");
    if idempotent {
        config.set("enable.idempotence", "true");
    } else {
        // Resending without a sequence may store twice and reorder: Kafka's own rule.
        config
            .set("message.send.max.retries", "0")
            .set("max.in.flight.requests.per.connection", "1");
    }
    let acks = Acks {
        run: run.clone(),
        idempotent,
        told: Mutex::default(),
    };
    let producer: ThreadedProducer<Acks> = config.create_with_context(acks)?;
    let run = run.clone();
    Ok(std::thread::spawn(move || produce(&run, number, &producer)))
}

fn produce(run: &Run, number: u16, producer: &ThreadedProducer<Acks>) -> Acknowledged {
    let mut random = Random::new(number.into());
    let mut sent = 0;
    while !run.stop.load(Relaxed) {
        for _ in 0..=random.below(8) {
            sent += 1;
            let partition = random.below(PARTITIONS as u64) as u8;
            let token = Token {
                producer: number,
                number: sent,
                partition,
            };
            let value = token.to_string();
            let record: BaseRecord<'_, (), str, _> =
                BaseRecord::with_opaque_to("stress", Box::new(token))
                    .partition(partition.into())
                    .payload(&value);
            // A full queue, while the server is away: neither sent nor stored.
            if producer.send(record).is_err() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        std::thread::sleep(Duration::from_millis(random.below(30)));
    }
    if let Err(error) = producer.flush(Duration::from_mins(1)) {
        run.violation(format!("wire producer {number}: flush: {error}"));
    }
    if let Some((code, reason)) = producer.client().fatal_error() {
        run.violation(format!("wire producer {number}: fatal {code}: {reason}"));
    }
    std::mem::take(
        &mut producer
            .context()
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    )
}
