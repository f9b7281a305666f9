//! Apache Kafka's Java client and its command line tools.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_core::Codec;

use crate::common::{Env, Listener, eventually};
use crate::languages::{java, java_tool};
use crate::run::{Client, run, try_run};
use crate::{
    CODECS, RECORDS, keys_go_where_sql_sends_them, records_come_back, stored_codecs,
    text_comes_back_in_every_codec, text_file, topics_are_administered,
};

fn with_client(test: impl FnOnce(&Client)) {
    if let Some(client) = java("512m") {
        test(&client);
    }
}

/// One of Apache Kafka's tools, as its scripts call it.
fn tool(client: &Client, env: &Env, class: &str, arguments: &[&str]) -> Command {
    java_tool(client, &env.listener.address, class, arguments)
}

#[test]
fn java_text_comes_back_in_every_codec() {
    with_client(text_comes_back_in_every_codec);
}

#[test]
fn java_records_come_back() {
    with_client(|client| records_come_back(client, &RECORDS));
}

#[test]
fn java_keys_go_where_sql_sends_them() {
    with_client(keys_go_where_sql_sends_them);
}

#[test]
fn java_administers_topics() {
    with_client(topics_are_administered);
}

#[test]
fn console_tools_carry_a_text_file() {
    with_client(|client| {
        let env = Env::shared();
        let text = std::fs::read(text_file()).unwrap();
        let topic = ["--topic", "java-console"];
        // The topic is created by the first record.
        run(&mut tool(client, &env, "ConsoleProducer", &topic), &text);
        let count = env.stored("java-console").to_string();
        let consume = ["--partition", "0", "--offset", "earliest", "--max-messages"];
        let consume = [&topic[..], &consume, &[&count]].concat();
        let mut consumer = tool(client, &env, "consumer.ConsoleConsumer", &consume);
        assert!(run(&mut consumer, "").stdout.as_bytes() == text);
    });
}

/// Idempotence is on by default. A warning would tell of a batch sent again.
#[test]
fn performance_tool_sends_each_record_once_in_every_codec() {
    const RECORDS: &str = "100000";
    with_client(|client| {
        let env = Env::shared();
        for codec in CODECS {
            let topic = format!("java-performance-{codec}");
            env.create_topic(&topic, 3);
            let compression = format!("compression.type={codec}");
            let arguments = ["--topic", &topic, "--num-records", RECORDS];
            let load = ["--throughput", "-1", "--payload-monotonic"];
            let setting = ["--command-property", &compression];
            let arguments = [&arguments[..], &load, &setting].concat();
            let mut performance = tool(client, &env, "ProducerPerformance", &arguments);
            let said = run(&mut performance, "");
            assert!(!said.stderr.contains("WARN"), "{}", said.stderr);
            client.run(&env, "monotonic", &[&topic, RECORDS], "");
            assert!(stored_codecs(&env, &topic).contains(&codec), "{topic}");
        }
    });
}

#[test]
fn topic_tools_create_list_alter_and_delete() {
    with_client(|client| {
        let env = Env::shared();
        let topic = "java-tools";
        let topics =
            |arguments: &[&str]| run(&mut tool(client, &env, "TopicCommand", arguments), "").stdout;
        let config = "compression.type=zstd";
        let create = ["--create", "--partitions", "3", "--config", config];
        let said = topics(&[&create[..], &["--topic", topic]].concat());
        assert_eq!(said.trim(), "Created topic java-tools.");
        assert!(topics(&["--list"]).lines().any(|listed| listed == topic));
        topics(&["--alter", "--topic", topic, "--partitions", "4"]);
        let row = "SELECT partitions, config->>'compression.type' FROM kafka.topics";
        let row = env.sql().rows(&format!("{row} WHERE topic = '{topic}'"));
        assert_eq!((row[0].get(0), row[0].get(1)), (Some("4"), Some("zstd")));

        env.sql().run(
            "SELECT kafka.produce('java-tools', 'v', partition => p,
                 \"timestamp\" => to_timestamp(10 - n))
             FROM generate_series(0, 3) p, generate_series(1, p) n ORDER BY p, n",
        );
        for (time, offsets) in [
            ("latest", [0, 1, 2, 3].map(Some)),
            ("earliest", [0; 4].map(Some)),
            ("max-timestamp", [None, Some(0), Some(0), Some(0)]),
            ("8500", [None, Some(0), Some(0), Some(0)]),
            ("9500", [None; 4]),
        ] {
            let arguments = ["--topic", topic, "--time", time];
            let said = run(&mut tool(client, &env, "GetOffsetShell", &arguments), "").stdout;
            let expected = offsets.iter().enumerate();
            let expected = expected.filter_map(|(partition, offset)| {
                offset.map(|offset| format!("{topic}:{partition}:{offset}\n"))
            });
            assert_eq!(said, expected.collect::<String>(), "at {time}");
        }
        topics(&["--delete", "--topic", topic]);
        assert!(!topics(&["--list"]).contains(topic));
    });
}

/// --describe asks for the configuration too, which is not served.
#[test]
fn topic_tool_says_why_it_cannot_describe() {
    with_client(|client| {
        let env = Env::shared();
        env.create_topic("java-described", 2);
        let arguments = ["--describe", "--topic", "java-described"];
        let start = Instant::now();
        let failure = try_run(&mut tool(client, &env, "TopicCommand", &arguments), "").err();
        let failure = failure.expect("it fails");
        assert!(
            failure.contains("does not support DESCRIBE_CONFIGS"),
            "{failure}"
        );
        assert!(start.elapsed() < Duration::from_secs(15), "{failure}");
    });
}

/// Seeks, ends, lags, times and resets, in both isolation levels.
#[test]
fn java_consumer_finds_positions() {
    with_client(|client| {
        let env = Env::shared();
        env.create_topic("java-positions", 1);
        let sql = env.sql();
        let produce = |from: i32, to: i32| {
            format!(
                "SELECT kafka.produce('java-positions', n::text, \"timestamp\" =>
                     to_timestamp(1000 + n)) FROM generate_series({from}, {to}) n"
            )
        };
        sql.run(&produce(0, 29));
        sql.run(&format!("BEGIN; {}; ROLLBACK", produce(500, 600)));
        sql.run(&format!(
            "BEGIN; {}; SAVEPOINT s; {}; ROLLBACK TO s; {}; COMMIT",
            produce(30, 49),
            produce(700, 710),
            produce(50, 99),
        ));
        client.run(&env, "positions", &["java-positions"], "");
    });
}

/// What was given offsets and then rolled back is in neither isolation level, and its
/// offsets lead to the next record.
#[test]
fn java_consumer_steps_over_rolled_back_offsets() {
    with_client(|client| {
        let env = Env::shared();
        env.create_topic("java-gaps", 1);
        let sql = env.sql();
        let produce = |value| format!("SELECT kafka.produce('java-gaps', '{value}')");
        sql.run(&produce("before"));
        let rolled_back = produce("rolled back");
        sql.run(&format!(
            "BEGIN; {rolled_back}; SELECT kafka.flush(); ROLLBACK"
        ));
        sql.run(&produce("after"));
        for isolation in ["read_committed", "read_uncommitted"] {
            let said = client.run(&env, "read", &["java-gaps", isolation], "");
            let values = said.lines().map(|line| line.split(' ').nth(2));
            let expected = [Some("x6265666f7265"), Some("x6166746572")];
            assert_eq!(values.collect::<Vec<_>>(), expected, "{isolation}");
        }
        let said = client.run(&env, "seek", &["java-gaps", "1"], "");
        assert_eq!(said, "2 after\n");
    });
}

/// A consumer that waits gets what SQL commits at once, and nothing before.
#[test]
fn sql_commits_wake_a_java_consumer() {
    with_client(|client| {
        let env = Env::shared();
        env.create_topic("java-tail", 1);
        let mut tail = client
            .command(&env, "tail", &["java-tail"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
        let mut next = || lines.next().unwrap().unwrap();
        assert_eq!(next(), "ready");
        let sql = env.sql();
        for value in ["one", "two", "three"] {
            let produce = format!("SELECT kafka.produce('java-tail', '{value}')");
            sql.run(&format!("BEGIN; {produce}"));
            std::thread::sleep(Duration::from_millis(300));
            let start = Instant::now();
            sql.run("COMMIT");
            assert_eq!(next(), value);
            // The consumer asks the server to hold its answer for 20 seconds.
            let took = start.elapsed();
            assert!(took < Duration::from_secs(5), "{value} after {took:?}");
        }
        assert!(tail.wait().unwrap().success());
    });
}

#[test]
fn java_idempotent_producer_keeps_order_with_five_requests_under_way() {
    with_client(|client| {
        let env = Env::shared();
        env.create_topic("java-idempotent", 4);
        let mut command = client.command(&env, "idempotent", &["java-idempotent"]);
        let said = run(&mut command, "");
        assert!(!said.stderr.contains("WARN"), "{}", said.stderr);
    });
}

#[test]
fn java_producers_with_any_acks() {
    with_client(|client| {
        let env = Env::shared();
        for acks in ["0", "1", "all"] {
            let topic = format!("java-acks-{acks}");
            env.create_topic(&topic, 3);
            client.run(&env, "acks", &[&topic, acks], "");
        }
    });
}

#[test]
fn sixteen_synchronous_java_producers() {
    with_client(|client| {
        let env = Env::shared();
        env.create_topic("java-synchronous", 2);
        client.run(&env, "synchronous", &["java-synchronous"], "");
    });
}

/// What the topic's configuration says, the server keeps: another codec than the
/// producer's, its own time, a limit for batches.
#[test]
fn java_producer_meets_topic_configuration() {
    with_client(|client| {
        let env = Env::shared();
        let create = |topic: &str, config: &str| {
            env.sql().run(&format!(
                "SELECT kafka.create_topic('{topic}', 2, '{config}')"
            ));
        };
        for (codec, sent) in [
            (Codec::Gzip, "lz4"),
            (Codec::Zstd, "none"),
            (Codec::None, "snappy"),
        ] {
            let topic = format!("java-stored-{codec}");
            let stored = codec.to_string().replace("none", "uncompressed");
            create(&topic, &format!(r#"{{"compression.type": "{stored}"}}"#));
            let compression = format!("compression.type={sent}");
            let load = [
                "--num-records",
                "20000",
                "--throughput",
                "-1",
                "--payload-monotonic",
            ];
            let setting = ["--topic", &topic, "--command-property", &compression];
            let arguments = [&load[..], &setting].concat();
            run(
                &mut tool(client, &env, "ProducerPerformance", &arguments),
                "",
            );
            client.run(&env, "monotonic", &[&topic, "20000"], "");
            assert_eq!(
                stored_codecs(&env, &topic),
                BTreeSet::from([codec]),
                "{topic}"
            );
        }
        create(
            "java-append-time",
            r#"{"message.timestamp.type": "LogAppendTime"}"#,
        );
        client.run(&env, "append_time", &["java-append-time"], "");
        create("java-split", r#"{"max.message.bytes": 20000}"#);
        client.run(&env, "split", &["java-split"], "");
    });
}

/// The listener killed twice, the server once, in the middle of 5 requests under way: the
/// producer sends again what was not acknowledged, and each record is there once, in
/// order, also for a consumer that reads meanwhile.
#[test]
fn java_clients_outlive_the_listener_and_the_server() {
    const COUNT: usize = 120_000;
    with_client(|client| {
        let mut env = Env::own("", &[]);
        env.create_topic("java-killed", 1);
        let count = COUNT.to_string();
        let consume = ["--topic", "java-killed", "--partition", "0", "--offset"];
        let consume = [&consume[..], &["earliest", "--max-messages", &count]].concat();
        let mut consumer = tool(client, &env, "consumer.ConsoleConsumer", &consume);
        let consumer = std::thread::spawn(move || run(&mut consumer, ""));
        let load = ["--topic", "java-killed", "--num-records", &count];
        let pace = ["--throughput", "15000", "--payload-monotonic"];
        // Small batches, so that there are many under way.
        let settings = ["--command-property", "linger.ms=0", "batch.size=1000"];
        let arguments = [&load[..], &pace, &settings].concat();
        let mut producer = tool(client, &env, "ProducerPerformance", &arguments);
        let producer = std::thread::spawn(move || run(&mut producer, ""));
        for fault in ["listener", "server", "listener"] {
            let before = env.stored("java-killed");
            eventually("records come in", || env.stored("java-killed") > before);
            std::thread::sleep(Duration::from_secs(1));
            if fault == "server" {
                env.cluster.stop("immediate").unwrap();
                env.cluster.start().unwrap();
            } else {
                let address = env.listener.address.clone();
                env.listener.kill();
                env.listener = Listener::spawn(&env.cluster.conninfo(), &address, &[]);
            }
        }
        producer.join().unwrap();
        let values = consumer.join().unwrap().stdout;
        let values: Vec<usize> = values.lines().map(|value| value.parse().unwrap()).collect();
        assert!(values == (0..COUNT).collect::<Vec<_>>(), "read meanwhile");
        client.run(&env, "monotonic", &["java-killed", &count], "");
    });
}

#[test]
fn java_records_of_a_megabyte() {
    with_client(|client| {
        let env = Env::shared();
        env.create_topic("java-sizes", 1);
        client.run(&env, "sizes", &["java-sizes"], "");
    });
}

#[test]
fn java_producer_creates_topics_and_a_consumer_need_not() {
    with_client(|client| {
        client.run(&Env::shared(), "auto_create", &["java-auto-create"], "");
    });
}

#[test]
fn java_clients_follow_a_topic_created_again() {
    with_client(|client| {
        client.run(&Env::shared(), "recreate", &["java-recreate"], "");
    });
}

/// By a consumer that assigns its partitions itself, and by an administrator.
#[test]
fn java_offsets_without_members() {
    with_client(|client| {
        let env = Env::shared();
        env.create_topic("java-offsets", 2);
        client.run(&env, "offsets", &["java-offsets", "java-offsets-group"], "");
        let left = "SELECT count(*) FROM kafka.list_groups() WHERE group_id = 'java-offsets-group'";
        assert_eq!(env.sql().value(left), "0");
    });
}

/// A user must be told that something is not served, not wait for the client's time-out.
#[test]
fn java_is_told_what_is_not_served() {
    with_client(|client| {
        let env = Env::shared();
        env.create_topic("java-unsupported", 1);
        for (what, error) in [
            ("describe_configs", "UnsupportedVersionException"),
            ("describe_acls", "UnsupportedVersionException"),
            ("authorized_operations", "done"),
        ] {
            let said = client.run(&env, "unsupported", &["java-unsupported", what], "");
            assert!(said.starts_with(error), "{what}: {said}");
        }
    });
}
