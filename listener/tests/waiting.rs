//! Fetches that wait: who wakes them, when, and what waiting costs.

mod common;

use std::time::{Duration, Instant};

use common::{Env, Listener, Raw, batch, name};
use kafka_core::code;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;

const SOON: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);

fn fetch(
    topic: &str,
    partition: i32,
    offset: i64,
    max_wait_ms: i32,
    min_bytes: i32,
) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(name(topic))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(min_bytes)
        .with_max_bytes(50 << 20)
        .with_topics(vec![topic])
}

fn answer(raw: &mut Raw) -> PartitionData {
    let (_, mut response) = raw.receive_response::<FetchRequest>(12);
    assert_eq!(response.error_code, code::NONE);
    response.responses.remove(0).partitions.remove(0)
}

fn bytes(found: &PartitionData) -> usize {
    found.records.as_ref().map_or(0, bytes::Bytes::len)
}

/// A fetch that is parked by the time this returns.
fn parked(env: &Env, request: &FetchRequest) -> Raw {
    let mut raw = env.raw();
    raw.send(12, request);
    std::thread::sleep(Duration::from_millis(200));
    raw
}

#[test]
fn a_produce_through_the_listener_wakes() {
    let env = Env::shared();
    env.create_topic("wake-own", 2);
    let mut raw = parked(&env, &fetch("wake-own", 0, 0, 20_000, 1));
    let mut other = parked(&env, &fetch("wake-own", 1, 0, 1000, 1));
    let started = Instant::now();
    env.raw().produce("wake-own", -1, &[(0, batch(&["a"]))]);
    assert!(bytes(&answer(&mut raw)) > 0);
    assert!(started.elapsed() < SOON);
    // The other partition's fetch waits until its time is over.
    assert_eq!(bytes(&answer(&mut other)), 0);
    assert!(started.elapsed() > Duration::from_millis(700));
}

#[test]
fn a_produce_from_sql_wakes() {
    let env = Env::shared();
    env.create_topic("wake-sql", 1);
    let sql = env.sql();
    for round in 0..20 {
        let mut raw = env.raw();
        raw.send(12, &fetch("wake-sql", 0, round, 20_000, 1));
        std::thread::sleep(Duration::from_millis(30));
        let started = Instant::now();
        sql.run("SELECT kafka.produce('wake-sql', 'v')");
        let found = answer(&mut raw);
        assert!(bytes(&found) > 0);
        assert_eq!(found.high_watermark, round + 1);
        assert!(started.elapsed() < SOON, "round {round}");
    }
}

#[test]
fn a_produce_through_another_listener_wakes() {
    let env = Env::shared();
    env.create_topic("wake-other", 1);
    let other = Listener::start(&env.cluster.conninfo(), &[]);
    let mut raw = parked(&env, &fetch("wake-other", 0, 0, 20_000, 1));
    let started = Instant::now();
    Raw::connect(&other.address).produce("wake-other", -1, &[(0, batch(&["a"]))]);
    assert!(bytes(&answer(&mut raw)) > 0);
    assert!(started.elapsed() < SOON);
}

#[test]
fn min_bytes_are_waited_for_until_the_deadline() {
    let env = Env::shared();
    env.create_topic("min-bytes", 1);
    let mut enough = parked(&env, &fetch("min-bytes", 0, 0, 20_000, 1000));
    let mut short = parked(&env, &fetch("min-bytes", 0, 0, 1500, 100_000));
    let mut producer = env.raw();
    let started = Instant::now();
    producer.produce("min-bytes", -1, &[(0, batch(&["small"]))]);
    // The first is not answered by a few bytes, the second takes them at its deadline.
    assert!(bytes(&answer(&mut short)) > 0);
    assert!(started.elapsed() > SECOND);
    producer.produce("min-bytes", -1, &[(0, batch(&["x".repeat(1000).as_str()]))]);
    assert!(bytes(&answer(&mut enough)) > 1000);
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn an_open_sql_transaction_holds_nobody_up() {
    let env = Env::shared();
    env.create_topic("open", 1);
    let sql = env.sql();
    sql.run("BEGIN; SELECT kafka.produce('open', 'not yet')");
    let mut raw = env.raw();
    let started = Instant::now();
    for offset in 0..20 {
        let produced = raw.produce("open", -1, &[(0, batch(&["now"]))]);
        assert_eq!(
            (produced[0].error_code, produced[0].base_offset),
            (0, offset)
        );
        raw.send(12, &fetch("open", 0, offset, 20_000, 1));
        let found = answer(&mut raw);
        assert_eq!(
            (bytes(&found) > 0, found.high_watermark),
            (true, offset + 1)
        );
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    sql.run("COMMIT");
    assert_eq!(env.stored("open"), 21);
    // One that has appended already and not committed is waited for, by readers only.
    sql.run("BEGIN; SELECT kafka.produce('open', 'early'); SELECT kafka.flush()");
    let produced = raw.produce("open", -1, &[(0, batch(&["behind"]))]);
    assert_eq!((produced[0].error_code, produced[0].base_offset), (0, 22));
    raw.send(12, &fetch("open", 0, 21, 20_000, 1));
    std::thread::sleep(Duration::from_millis(300));
    sql.run("COMMIT");
    let started = Instant::now();
    assert!(bytes(&answer(&mut raw)) > 0);
    assert!(started.elapsed() < SOON);
}

#[test]
fn a_prepared_transaction_is_noticed() {
    let env = Env::shared();
    env.create_topic("prepared", 1);
    let sql = env.sql();
    sql.run("BEGIN; SELECT kafka.produce('prepared', 'v'); PREPARE TRANSACTION 'p'");
    let mut raw = parked(&env, &fetch("prepared", 0, 0, 20_000, 1));
    let started = Instant::now();
    sql.run("COMMIT PREPARED 'p'");
    assert!(bytes(&answer(&mut raw)) > 0);
    // Nobody is told of it: the waiting session looks again every two seconds.
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_deleted_topic_ends_the_wait() {
    let env = Env::shared();
    env.create_topic("deleted", 1);
    let mut raw = parked(&env, &fetch("deleted", 0, 0, 20_000, 1));
    let started = Instant::now();
    env.sql().run("SELECT kafka.delete_topic('deleted')");
    assert_eq!(
        answer(&mut raw).error_code,
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn sigterm_ends_the_wait() {
    let mut env = Env::own("", &[]);
    env.create_topic("ending", 1);
    let mut raw = parked(&env, &fetch("ending", 0, 0, 50_000, 1));
    env.listener.terminate();
    assert_eq!(answer(&mut raw).error_code, code::NONE);
    assert!(raw.receive().is_none());
    assert!(env.listener.wait().success());
}

/// User and system time of a process, in clock ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_hundred_parked_fetches_cost_next_to_nothing() {
    const CONSUMERS: i32 = 100;
    let env = Env::own("", &[]);
    env.create_topic("idle", CONSUMERS);
    let sql = env.sql();
    // As consumers do: again and again for half a second.
    let consumers: Vec<_> = (0..CONSUMERS)
        .map(|partition| {
            let mut raw = env.raw();
            std::thread::spawn(move || {
                let until = Instant::now() + Duration::from_secs(7);
                let mut found = 0;
                while Instant::now() < until {
                    raw.send(12, &fetch("idle", partition, found, 500, 1));
                    found += i64::from(bytes(&answer(&mut raw)) > 0);
                }
                found
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    let transactions = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'";
    let (ticks, before): (_, i64) = (
        cpu_ticks(env.listener.pid()),
        sql.value(transactions).parse().unwrap(),
    );
    std::thread::sleep(Duration::from_secs(3));
    let ticks = cpu_ticks(env.listener.pid()) - ticks;
    let transactions = sql.value(transactions).parse::<i64>().unwrap() - before;
    let sessions: i64 = sql
        .value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pg_kafka_listener%'")
        .parse()
        .unwrap();
    eprintln!(
        "100 parked fetches: {ticks} ticks of 10 ms and {transactions} transactions in 3 s, {sessions} sessions"
    );
    assert!(sessions <= 8, "{sessions} sessions");
    assert!(transactions < 150, "{transactions} transactions");
    // A debug build on a busy machine: 10% of one core at the very most.
    assert!(ticks < 30, "{ticks} ticks");
    // And they are awake at once.
    sql.run("SELECT kafka.produce('idle', 'v', partition => p) FROM generate_series(0, 99) p");
    for consumer in consumers {
        assert_eq!(consumer.join().unwrap(), 1);
    }
}

#[test]
fn a_session_of_a_thousand_partitions_costs_little_while_nothing_comes() {
    const PARTITIONS: i32 = 1000;
    let env = Env::own("", &[]);
    env.create_topic("many", PARTITIONS);
    let sql = env.sql();
    let mut raw = env.raw();
    let mut ask = |session_id, session_epoch, partitions: i32| {
        let all = (0..partitions).map(|number| {
            FetchPartition::default()
                .with_partition(number)
                .with_partition_max_bytes(1 << 20)
        });
        let topic = FetchTopic::default()
            .with_topic(name("many"))
            .with_partitions(all.collect());
        let request = fetch("many", 0, 0, 500, 1)
            .with_session_id(session_id)
            .with_session_epoch(session_epoch)
            .with_topics(Some(topic).filter(|_| partitions > 0).into_iter().collect());
        let response = raw.call(12, &request);
        assert_eq!(response.error_code, code::NONE);
        let topics = response.responses.into_iter();
        let found: Vec<_> = topics.flat_map(|topic| topic.partitions).collect();
        (response.session_id, found)
    };
    let (session, found) = ask(0, 0, PARTITIONS);
    assert_eq!(found.len(), PARTITIONS as usize);
    let transactions = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'";
    let (ticks, before): (_, i64) = (
        cpu_ticks(env.listener.pid()),
        sql.value(transactions).parse().unwrap(),
    );
    for epoch in 1..=6 {
        assert!(ask(session, epoch, 0).1.is_empty());
    }
    let ticks = cpu_ticks(env.listener.pid()) - ticks;
    let transactions = sql.value(transactions).parse::<i64>().unwrap() - before;
    eprintln!("1000 partitions: {ticks} ticks of 10 ms and {transactions} transactions in 3 s");
    assert!(transactions < 50, "{transactions} transactions");
    assert!(ticks < 60, "{ticks} ticks");
    sql.run("SELECT kafka.produce('many', 'v', partition => 777)");
    let (_, found) = ask(session, 7, 0);
    let numbers: Vec<_> = found.iter().map(|found| found.partition_index).collect();
    assert_eq!(numbers, [777]);
    assert!(bytes(&found[0]) > 0);
}

#[test]
fn without_parked_fetches_nobody_waits() {
    let env = Env::own("", &[]);
    env.create_topic("quiet", 1);
    drop(parked(&env, &fetch("quiet", 0, 0, 300, 1)));
    std::thread::sleep(Duration::from_secs(3));
    let waiting = env.sql().value(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE application_name = 'pg_kafka_listener wait' AND state = 'active'",
    );
    assert_eq!(waiting, "0");
}
