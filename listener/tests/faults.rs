//! What survives when something dies: the listener, its sessions, the server.

mod common;

use std::collections::HashSet;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Buf;
use common::{
    Cluster, Env, Listener, PATIENCE, Raw, Sql, batch, eventually, free_port, produce_request,
};
use kafka_core::code;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::Decodable;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Each commit waits 100 ms for others, whether there are any or not.
const SLOW_COMMIT: &str = "commit_delay = 100000\ncommit_siblings = 0";

/// Codes after which every client tries again.
const RETRIABLE: [i16; 4] = [
    code::LEADER_NOT_AVAILABLE,
    code::NOT_LEADER_OR_FOLLOWER,
    code::REQUEST_TIMED_OUT,
    code::COORDINATOR_LOAD_IN_PROGRESS,
];

#[test]
fn an_answer_waits_for_its_commit() {
    let env = Env::own(SLOW_COMMIT, &[]);
    env.create_topic("slow", 1);
    let mut raw = env.raw();
    for _ in 0..3 {
        let started = Instant::now();
        let produced = raw.produce("slow", -1, &[(0, batch(&["a"]))]);
        assert_eq!(produced[0].error_code, code::NONE);
        assert!(started.elapsed() >= Duration::from_millis(95));
    }
}

/// Producers that note what was acknowledged, until the connection ends.
fn hammer(
    address: &str,
    round: usize,
    acknowledged: &Arc<Mutex<Vec<String>>>,
) -> Vec<std::thread::JoinHandle<()>> {
    let threads = 0..8;
    threads
        .map(|thread| {
            let mut raw = Raw::connect(address);
            let acknowledged = Arc::clone(acknowledged);
            std::thread::spawn(move || {
                for number in 0.. {
                    let value = format!("{round}/{thread}/{number}");
                    let request = produce_request("hammered", -1, &[(0, batch(&[&value]))]);
                    raw.send(9, &request);
                    let Some((_, mut body)) = raw.receive() else {
                        return;
                    };
                    body.advance(1);
                    let response = ProduceResponse::decode(&mut body, 9).unwrap();
                    let error = response.responses[0].partition_responses[0].error_code;
                    if error != code::NONE {
                        assert!(RETRIABLE.contains(&error), "{error}");
                        return;
                    }
                    acknowledged.lock().unwrap().push(value);
                }
            })
        })
        .collect()
}

fn lost(env: &Env, acknowledged: &Mutex<Vec<String>>) -> Vec<String> {
    let rows = env
        .sql()
        .rows("SELECT convert_from(value, 'UTF8') FROM kafka.records('hammered')");
    let stored: HashSet<_> = rows
        .iter()
        .map(|row| row.get(0).unwrap().to_owned())
        .collect();
    assert_eq!(stored.len(), rows.len(), "nothing twice");
    let acknowledged = acknowledged.lock().unwrap();
    assert!(!acknowledged.is_empty());
    let lost = acknowledged.iter().filter(|value| !stored.contains(*value));
    lost.cloned().collect()
}

#[test]
fn acknowledged_records_survive_a_crash_of_the_server() {
    let env = Env::own(SLOW_COMMIT, &[]);
    env.create_topic("hammered", 1);
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 0..3 {
        let threads = hammer(&env.listener.address, round, &acknowledged);
        std::thread::sleep(Duration::from_millis(750));
        env.cluster.stop("immediate").unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        env.cluster.start().unwrap();
        assert_eq!(lost(&env, &acknowledged), Vec::<String>::new());
        // The listener has found its way back by itself.
        let mut raw = env.raw();
        eventually("the listener is back", || {
            raw.produce("other", -1, &[(0, batch(&["x"]))])[0].error_code
                == code::UNKNOWN_TOPIC_OR_PARTITION
        });
    }
}

#[test]
fn acknowledged_records_survive_a_kill_of_the_listener() {
    let mut env = Env::own(SLOW_COMMIT, &[]);
    env.create_topic("hammered", 1);
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let threads = hammer(&env.listener.address, 0, &acknowledged);
    std::thread::sleep(Duration::from_millis(750));
    env.listener.kill();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(lost(&env, &acknowledged), Vec::<String>::new());
    // A second listener serves the same log.
    let second = Listener::start(&env.cluster.conninfo(), &[]);
    let produced = Raw::connect(&second.address).produce("hammered", -1, &[(0, batch(&["new"]))]);
    assert_eq!(produced[0].error_code, code::NONE);
}

#[test]
fn killed_backends_leave_the_listener_serving() {
    let env = Env::own("", &[]);
    env.create_topic("killed", 1);
    let mut raw = env.raw();
    let sql = env.sql();
    let mut stored = 0;
    for _ in 0..10 {
        sql.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name LIKE 'pg_kafka_listener%'",
        );
        // The same connection goes on; an error is one to retry.
        for _ in 0..20 {
            let produced = raw.produce("killed", -1, &[(0, batch(&["v"]))]);
            match produced[0].error_code {
                code::NONE => stored += 1,
                error => assert!(RETRIABLE.contains(&error), "{error}"),
            }
            let metadata = raw.call(9, &MetadataRequest::default());
            assert_eq!(metadata.brokers.len(), 1);
        }
    }
    assert!(stored >= 150, "{stored} of 200");
    assert!(env.stored("killed") >= stored);
}

#[test]
fn while_the_database_is_away_answers_are_quick_and_retriable() {
    let env = Env::own("", &[]);
    env.create_topic("away", 2);
    let mut raw = env.raw();
    raw.produce("away", -1, &[(0, batch(&["before"]))]);
    raw.call(9, &MetadataRequest::default().with_topics(None));
    env.cluster.stop("fast").unwrap();
    for _ in 0..5 {
        let started = Instant::now();
        let produced = raw.produce("away", -1, &[(0, batch(&["v"])), (1, batch(&["w"]))]);
        assert!(produced.iter().all(|p| RETRIABLE.contains(&p.error_code)));
        // Topics are without a leader, and not gone.
        let metadata = raw.call(9, &MetadataRequest::default().with_topics(None));
        assert_eq!(metadata.topics[0].error_code, code::LEADER_NOT_AVAILABLE);
        assert!(started.elapsed() < Duration::from_secs(3));
    }
    env.cluster.start().unwrap();
    eventually("the database is back", || {
        raw.produce("away", -1, &[(0, batch(&["after"]))])[0].error_code == code::NONE
    });
    assert!(env.listener.log_lines("cannot open a database session") < 20);
}

#[test]
fn clients_continue_over_a_restart_of_the_server() {
    const RECORDS: usize = 3000;
    let env = Env::own("", &[]);
    env.create_topic("restarted", 2);
    let done = Arc::new(AtomicBool::new(false));
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &env.listener.address)
        .set("retry.backoff.ms", "50");
    let producer: BaseProducer = config
        .clone()
        .set("enable.idempotence", "true")
        .set("linger.ms", "1")
        .create()
        .unwrap();
    let finished = Arc::clone(&done);
    let sender = std::thread::spawn(move || {
        for number in 0..RECORDS {
            let value = number.to_string();
            let record = BaseRecord::<(), _>::to("restarted").payload(&value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
            producer.poll(Duration::from_millis(1));
        }
        producer.flush(PATIENCE * 2).unwrap();
        finished.store(true, Ordering::Relaxed);
    });
    let mut restarts = 0;
    while !done.load(Ordering::Relaxed) || restarts == 0 {
        std::thread::sleep(Duration::from_millis(400));
        if restarts < 3 {
            env.cluster
                .stop(["fast", "immediate", "fast"][restarts])
                .unwrap();
            env.cluster.start().unwrap();
            restarts += 1;
        }
    }
    sender.join().unwrap();
    let consumer: BaseConsumer = config.set("group.id", "unused").create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..2 {
        list.add_partition_offset("restarted", partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut seen = HashSet::new();
    while seen.len() < RECORDS {
        let message = consumer
            .poll(PATIENCE)
            .expect("a record is missing")
            .unwrap();
        let value = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
        assert!(seen.insert(value), "a record came twice");
    }
    assert!(consumer.poll(Duration::from_millis(500)).is_none());
}

#[test]
fn one_requests_failure_is_its_own() {
    let env = Env::own(SLOW_COMMIT, &["--append-sessions", "1"]);
    env.create_topic("good", 1);
    env.create_topic("broken", 1);
    // Appending to it now raises an error, which ends the transaction of everybody.
    let sql = env.sql();
    let table = sql.value(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'kafka_log' \
         AND tablename ~ '^t[0-9]+_[0-9]+$' ORDER BY 1 DESC LIMIT 1",
    );
    sql.run(&format!(
        "ALTER TABLE kafka_log.{table} RENAME TO elsewhere"
    ));
    let mut connections: Vec<Raw> = (0..6).map(|_| env.raw()).collect();
    for (index, raw) in connections.iter_mut().enumerate() {
        let topic = if index % 3 == 1 { "broken" } else { "good" };
        raw.send(9, &produce_request(topic, -1, &[(0, batch(&["v"]))]));
    }
    for (index, raw) in connections.iter_mut().enumerate() {
        let (_, response) = raw.receive_response::<ProduceRequest>(9);
        let error = response.responses[0].partition_responses[0].error_code;
        assert_eq!(error == code::NONE, index % 3 != 1, "{index}: {error}");
    }
    assert_eq!(env.stored("good"), 4);
}

#[test]
fn sigterm_answers_what_is_in_flight_and_exits_clean() {
    let mut env = Env::own(SLOW_COMMIT, &[]);
    env.create_topic("last", 1);
    let mut raw = env.raw();
    raw.produce("last", -1, &[(0, batch(&["first"]))]);
    raw.send(9, &produce_request("last", -1, &[(0, batch(&["second"]))]));
    std::thread::sleep(Duration::from_millis(30));
    let started = Instant::now();
    env.listener.terminate();
    let (_, response) = raw.receive_response::<ProduceRequest>(9);
    assert_eq!(
        response.responses[0].partition_responses[0].error_code,
        code::NONE
    );
    assert!(raw.receive().is_none());
    let status = env.listener.wait();
    assert!(status.success(), "{status}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(env.stored("last"), 2);
}

#[test]
fn startup_says_what_is_wrong() {
    let cluster = Cluster::create("").unwrap();
    let database = cluster.conninfo();
    let fails = |address: &str, database: &str, expected: &str| {
        let mut listener = Listener::spawn(database, address, &[]);
        assert_eq!(listener.wait().code(), Some(1));
        let log = listener.log();
        assert!(log.contains(expected), "{log}");
        assert!(log.lines().count() <= 2, "{log}");
    };
    let free = format!("127.0.0.1:{}", free_port());
    fails(&free, &database, "run there: CREATE EXTENSION pg_kafka");
    fails(&free, "host=/nowhere dbname=", "connection string");
    Sql::connect(&cluster).run("CREATE EXTENSION pg_kafka");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(&address, &database, &format!("cannot listen on {address}"));
    let missing = database.replace("dbname=postgres", "dbname=missing");
    fails(&free, &missing, "\"missing\" does not exist");
}

#[test]
fn a_listener_may_start_before_its_database() {
    let cluster = Cluster::create("").unwrap();
    Sql::connect(&cluster).run("CREATE EXTENSION pg_kafka; SELECT kafka.create_topic('late')");
    cluster.stop("fast").unwrap();
    let listener = Listener::start(&cluster.conninfo(), &[]);
    let mut raw = Raw::connect(&listener.address);
    let produced = raw.produce("late", -1, &[(0, batch(&["v"]))]);
    assert!(RETRIABLE.contains(&produced[0].error_code));
    cluster.start().unwrap();
    eventually("the database is there", || {
        raw.produce("late", -1, &[(0, batch(&["v"]))])[0].error_code == code::NONE
    });
}

#[test]
fn the_listener_follows_a_failover() {
    let env = Env::own("", &[]);
    env.create_topic("followed", 1);
    let standby = env.cluster.standby("").unwrap();
    let host = |cluster: &Cluster| {
        let conninfo = cluster.conninfo();
        let host = conninfo.split_whitespace().next().unwrap();
        host.trim_start_matches("host=").to_owned()
    };
    let both = format!(
        "host={},{} user=postgres dbname=postgres target_session_attrs=read-write",
        host(&standby),
        host(&env.cluster)
    );
    let listener = Listener::start(&both, &["--log-format", "json"]);
    let mut raw = Raw::connect(&listener.address);
    for number in 0..20 {
        let produced = raw.produce("followed", -1, &[(0, batch(&["before"]))]);
        assert_eq!(
            (produced[0].error_code, produced[0].base_offset),
            (0, number)
        );
    }
    let asked = || {
        let topic = MetadataRequestTopic::default().with_name(Some(common::name("followed")));
        MetadataRequest::default().with_topics(Some(vec![topic]))
    };
    let epoch = raw.call(9, &asked()).topics[0].partitions[0].leader_epoch;
    env.cluster.stop("fast").unwrap();
    let produced = raw.produce("followed", -1, &[(0, batch(&["nobody leads"]))]);
    assert!(RETRIABLE.contains(&produced[0].error_code));
    Sql::connect(&standby).run("SELECT pg_promote()");
    eventually("the standby is found", || {
        let produced = raw.produce("followed", -1, &[(0, batch(&["after"]))]);
        produced[0].error_code == code::NONE
    });
    eventually("the leader epoch has grown", || {
        raw.call(9, &asked()).topics[0].partitions[0].leader_epoch > epoch
    });
    let stored = Sql::connect(&standby).value("SELECT count(*) FROM kafka.records('followed')");
    assert_eq!(stored, "21");
    assert!(listener.log().lines().all(|line| line.starts_with('{')));
}

/// A session that asks for more than fits into its socket, and reads nothing of it.
fn asks_and_does_not_read(cluster: &Cluster) -> UnixStream {
    const STARTUP: &[u8] =
        b"\0\x03\0\0user\0postgres\0database\0postgres\0application_name\0silent\0\0";
    const QUERY: &[u8] = b"SELECT kafka.fetch_batches_packed(ARRAY['large'], ARRAY[0], ARRAY[0])\0";
    let conninfo = cluster.conninfo();
    let host = conninfo
        .split(' ')
        .find_map(|word| word.strip_prefix("host="));
    let mut stream = UnixStream::connect(format!("{}/.s.PGSQL.5432", host.unwrap())).unwrap();
    for (kind, message) in [(&b""[..], STARTUP), (b"Q", QUERY)] {
        let length = u32::try_from(message.len() + 4).unwrap().to_be_bytes();
        stream
            .write_all(&[kind, &length, message].concat())
            .unwrap();
    }
    stream
}

/// However large the row is that it sends: by its client, and by an administrator.
#[test]
fn a_session_whose_client_does_not_read_can_be_ended() {
    let env = Env::shared();
    env.create_topic("large", 1);
    let sql = env.sql();
    sql.run("SELECT count(kafka.produce('large', repeat('x', 500000)::bytea)) FROM generate_series(1, 20)");
    let sessions = |state: &str| {
        sql.value(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'silent' AND {state}"
        ))
    };
    for terminated in [true, false] {
        let stream = asks_and_does_not_read(&env.cluster);
        eventually("it waits for its client", || {
            sessions("wait_event = 'ClientWrite'") == "1"
        });
        let _there = if terminated {
            sql.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'silent'",
            );
            Some(stream)
        } else {
            drop(stream);
            None
        };
        eventually("it ends", || sessions("true") == "0");
    }
    assert_eq!(env.stored("large"), 20);
}
