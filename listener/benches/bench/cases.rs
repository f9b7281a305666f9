//! Producing to, and consuming from the start of, a topic in each case, by librdkafka and by
//! Kafka's own tools.

use crate::load::{self, Case, Limit};
use crate::report::Series;
use crate::servers::{Run, Server, in_turn};
use crate::support::Result;
use crate::{Bench, tools};

const PRODUCE: &str = "produce";
const CONSUME: &str = "consume";
const WAYS: [(&str, &str); 4] = [
    (PRODUCE, "librdkafka"),
    (CONSUME, "librdkafka"),
    (PRODUCE, "Java"),
    (CONSUME, "Java"),
];

pub(crate) async fn measure(bench: &Bench) -> Result<()> {
    bench.report.comparison("Produce, and consume from the start, MB/s of values (record; batch / linger; producers to partitions; codec)");
    let asked = |case: &Case| case.name().contains(&bench.case);
    for case in cases(bench.quick).into_iter().filter(asked) {
        let mut runs: [Vec<Vec<Run>>; 4] =
            std::array::from_fn(|_| bench.servers.iter().map(|_| Vec::new()).collect());
        for round in 0..bench.rounds {
            for (place, server) in in_turn(&bench.servers, round) {
                let topic = format!("case-{place}-{round}");
                server.create_topic(&topic, case.producers).await?;
                for (way, run) in one(bench, server, &topic, case)
                    .await?
                    .into_iter()
                    .enumerate()
                {
                    runs[way][place].extend(run);
                }
                server.delete_topic(&topic).await?;
            }
        }
        for ((part, client), runs) in WAYS.into_iter().zip(runs) {
            if bench.asked(part) && runs.iter().all(|runs| !runs.is_empty()) {
                bench.report.compared(Series {
                    part,
                    case: format!("{part} {}", case.name()),
                    client,
                    unit: "MB/s",
                    runs,
                });
            }
        }
    }
    bench.report.costs(PRODUCE);
    bench.report.costs(CONSUME);
    Ok(())
}

/// By each of the ways; Java's are left out where Kafka is missing.
async fn one(bench: &Bench, server: &Server, topic: &str, case: Case) -> Result<[Option<Run>; 4]> {
    let (address, size) = (server.address.as_str(), case.size);
    let produced = server
        .measure(|| load::produce(address, topic, case, bench.limit))
        .await?;
    // With the first one of each producer.
    let records = produced.done.operations + case.producers as f64;
    let (mut consumed, mut java_produced, mut java_consumed) = (None, None, None);
    if bench.asked(CONSUME) {
        let load = || load::consume(address, topic, case.producers, size, records);
        consumed = Some(server.measure(load).await?);
        if bench.has_kafka() {
            let load = || tools::consume(address, topic, size, records);
            java_consumed = Some(server.measure(load).await?);
        }
    }
    // As much as the server is known to take in that time.
    if bench.asked(PRODUCE) && bench.has_kafka() && !case.idempotent {
        let load = || tools::produce(address, topic, case, produced.done.operations as usize);
        java_produced = Some(server.measure(load).await?);
    }
    Ok([Some(produced), consumed, java_produced, java_consumed])
}

fn cases(quick: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for size in [1024, 100] {
        for (batch_bytes, linger_ms) in [(16 * 1024, 5), (256 * 1024, 10)] {
            for producers in [1, 4] {
                for codec in ["none", "lz4"] {
                    cases.push(Case {
                        size,
                        batch_bytes,
                        linger_ms,
                        producers,
                        codec,
                        idempotent: false,
                    });
                }
            }
        }
    }
    // For information: librdkafka then keeps one request of a partition in flight.
    let idempotent = Case {
        idempotent: true,
        ..cases[4]
    };
    if quick {
        cases = vec![cases[0], cases[15]];
    }
    cases.push(idempotent);
    cases
}

/// What is compiled and cached only while it runs must not cost the first round, nor that a
/// new server has neither memory nor WAL files that it has used before.
pub(crate) async fn warm_up(bench: &Bench) -> Result<()> {
    const FOUR_GIGABYTES: &str =
        "create table warm_up (value text); alter table warm_up alter value set storage plain;
        insert into warm_up select repeat('x', 8000) from generate_series(1, 500000);
        drop table warm_up";
    let client = bench.cluster.connect("warm-up").await?;
    client.batch_execute(FOUR_GIGABYTES).await?;
    client.batch_execute("checkpoint").await?;
    let limit = Limit {
        bytes: 200_000_000,
        time: bench.limit.time * 2,
    };
    for server in &bench.servers {
        for case in [cases(true)[0], cases(true)[1]] {
            server.create_topic("warm-up", case.producers).await?;
            let (address, size) = (server.address.as_str(), case.size);
            let load = || load::produce(address, "warm-up", case, limit);
            let records = server.measure(load).await?.done.operations;
            let load = || load::consume(address, "warm-up", case.producers, size, records);
            server.measure(load).await?;
            server.delete_topic("warm-up").await?;
        }
    }
    Ok(())
}
