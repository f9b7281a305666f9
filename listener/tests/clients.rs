//! Unchanged clients: Debian's kcat (librdkafka 2.0.2) and the rdkafka crate (a current
//! librdkafka).

mod common;

use std::time::Duration;

use common::{Env, PATIENCE, kcat, kcat_or_skip};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

#[test]
fn kcat_gets_back_what_it_sent_in_every_codec() {
    if !kcat_or_skip() {
        return;
    }
    let env = Env::shared();
    let lines: Vec<String> = (0..5000).map(|n| format!("line {n} of a file\n")).collect();
    let lines = lines.concat();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("kcat-{codec}");
        let produce = [
            "-P",
            "-t",
            &topic,
            "-z",
            codec,
            "-X",
            "enable.idempotence=true",
        ];
        kcat(&env, &produce, lines.as_bytes());
        let back = kcat(&env, &["-C", "-t", &topic, "-e", "-q"], b"");
        assert!(back == lines.as_bytes(), "{codec}");
        let stored: i64 = env
            .sql()
            .value(&format!(
                "SELECT sum(size_bytes) FROM kafka.partitions WHERE topic = '{topic}'"
            ))
            .parse()
            .unwrap();
        let compressed = stored < lines.len() as i64;
        assert_eq!(compressed, codec != "none", "{codec}: {stored} bytes");
    }
}

#[test]
fn kcat_headers_keys_and_nulls_come_back() {
    if !kcat_or_skip() {
        return;
    }
    let env = Env::shared();
    let produce = [
        "-P",
        "-t",
        "kcat-nulls",
        "-K:",
        "-Z",
        "-H",
        "h=1",
        "-H",
        "h=2",
        "-H",
        "empty=",
    ];
    kcat(&env, &produce, b"key:value\nonly key:\n:only value\n");
    let format = [
        "-C",
        "-t",
        "kcat-nulls",
        "-e",
        "-q",
        "-Z",
        "-f",
        "%k %K|%s %S|%h\n",
    ];
    let back = String::from_utf8(kcat(&env, &format, b"")).unwrap();
    let expected = "key 3|value 5|h=1,h=2,empty=\n\
                    only key 8|NULL -1|h=1,h=2,empty=\n\
                    NULL -1|only value 10|h=1,h=2,empty=\n";
    assert_eq!(back, expected);
}

#[test]
fn kcat_lists_topics_and_offsets() {
    if !kcat_or_skip() {
        return;
    }
    let env = Env::shared();
    env.create_topic("kcat-listed", 2);
    kcat(&env, &["-P", "-t", "kcat-listed", "-p", "1"], b"a\nb\n");
    let listed = String::from_utf8(kcat(&env, &["-L", "-t", "kcat-listed"], b"")).unwrap();
    assert!(
        listed.contains("\"kcat-listed\" with 2 partitions"),
        "{listed}"
    );
    let query = ["-Q", "-t", "kcat-listed:1:-1"];
    let offsets = String::from_utf8(kcat(&env, &query, b"")).unwrap();
    assert!(offsets.contains("kcat-listed [1] offset 2"), "{offsets}");
}

#[test]
fn sql_and_wire_share_one_log() {
    if !kcat_or_skip() {
        return;
    }
    let env = Env::shared();
    env.create_topic("shared-log", 1);
    env.sql().run(
        "SELECT kafka.produce('shared-log', 'from SQL', key => 'k', headers => '{\"a\": \"b\"}'::jsonb)",
    );
    kcat(&env, &["-P", "-t", "shared-log"], b"from kcat\n");
    let back = kcat(
        &env,
        &["-C", "-t", "shared-log", "-e", "-q", "-f", "%o %k %s %h\n"],
        b"",
    );
    assert_eq!(
        String::from_utf8(back).unwrap(),
        "0 k from SQL a=b\n1  from kcat \n"
    );
    let rows = env.sql().rows(
        "SELECT convert_from(value, 'UTF8') FROM kafka.records('shared-log') ORDER BY \"offset\"",
    );
    let values: Vec<_> = rows.iter().map(|row| row.get(0).unwrap()).collect();
    assert_eq!(values, ["from SQL", "from kcat"]);
}

fn config(env: &Env) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &env.listener.address)
        .set("socket.timeout.ms", "10000");
    config
}

/// A consumer of every partition of a topic from its beginning.
fn consumer(env: &Env, topic: &str, partitions: i32, isolation: &str) -> BaseConsumer {
    let consumer: BaseConsumer = config(env)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("isolation.level", isolation)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    consumer
}

fn next(consumer: &BaseConsumer) -> BorrowedMessage<'_> {
    consumer
        .poll(PATIENCE)
        .expect("no message")
        .expect("an error instead of a message")
}

#[test]
fn rdkafka_sync_producer_and_both_isolation_levels() {
    let env = Env::shared();
    env.create_topic("rd-sync", 3);
    let producer: BaseProducer = config(&env)
        .set("enable.idempotence", "true")
        .set("compression.type", "zstd")
        .create()
        .unwrap();
    for number in 0..3000 {
        let (key, value) = (format!("key {number}"), format!("value {number}"));
        loop {
            let record = BaseRecord::to("rd-sync").key(&key).payload(&value);
            match producer.send(record) {
                Ok(()) => break,
                Err(_) => producer.poll(Duration::from_millis(10)),
            }
        }
    }
    producer.flush(PATIENCE).unwrap();
    for isolation in ["read_committed", "read_uncommitted"] {
        let consumer = consumer(&env, "rd-sync", 3, isolation);
        let mut seen = vec![false; 3000];
        let mut last = [-1; 3];
        for _ in 0..3000 {
            let message = next(&consumer);
            let value = std::str::from_utf8(message.payload().unwrap()).unwrap();
            let number: usize = value.trim_start_matches("value ").parse().unwrap();
            assert!(!std::mem::replace(&mut seen[number], true), "{value} twice");
            let partition = message.partition() as usize;
            assert!(message.offset() > last[partition]);
            last[partition] = message.offset();
        }
        assert!(consumer.poll(Duration::from_millis(200)).is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rdkafka_async_producer_with_headers() {
    let env = tokio::task::spawn_blocking(Env::shared).await.unwrap();
    let producer: FutureProducer = config(&env).set("linger.ms", "0").create().unwrap();
    let header = |value| Header {
        key: "same",
        value: Some(value),
    };
    let headers = OwnedHeaders::new()
        .insert(header("first"))
        .insert(header("second"))
        .insert(Header::<&str> {
            key: "null",
            value: None,
        });
    let record = FutureRecord::<str, str>::to("rd-async")
        .payload("value")
        .headers(headers)
        .timestamp(1_600_000_000_000);
    let delivery = producer.send(record, PATIENCE).await.unwrap();
    assert_eq!((delivery.partition, delivery.offset), (0, 0));
    tokio::task::spawn_blocking(move || {
        let consumer = consumer(&env, "rd-async", 1, "read_committed");
        let message = next(&consumer);
        assert_eq!(message.key(), None);
        assert_eq!(message.timestamp().to_millis(), Some(1_600_000_000_000));
        let headers = message.headers().unwrap();
        let all: Vec<_> = headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect();
        let expected = [
            ("same".to_owned(), Some(b"first".to_vec())),
            ("same".to_owned(), Some(b"second".to_vec())),
            ("null".to_owned(), None),
        ];
        assert_eq!(all, expected);
        drop(message);
        drop(consumer);
        drop(producer);
        drop(env);
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rdkafka_admin_creates_and_deletes_topics() {
    let env = tokio::task::spawn_blocking(Env::shared).await.unwrap();
    let admin: AdminClient<DefaultClientContext> = config(&env).create().unwrap();
    let options = AdminOptions::new();
    let topic =
        NewTopic::new("rd-admin", 3, TopicReplication::Fixed(1)).set("max.message.bytes", "2000");
    let made = admin.create_topics([&topic], &options).await.unwrap();
    assert_eq!(made, [Ok("rd-admin".to_owned())]);
    let again = admin.create_topics([&topic], &options).await.unwrap();
    let expected = ("rd-admin".to_owned(), RDKafkaErrorCode::TopicAlreadyExists);
    assert_eq!(again, [Err(expected)]);
    let grown = NewPartitions::new("rd-admin", 5);
    admin.create_partitions([&grown], &options).await.unwrap();
    let metadata = admin
        .inner()
        .fetch_metadata(Some("rd-admin"), PATIENCE)
        .unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 5);
    assert_eq!(metadata.brokers().len(), 1);

    let producer: FutureProducer = config(&env).create().unwrap();
    let large = "x".repeat(3000);
    let record = FutureRecord::<str, str>::to("rd-admin").payload(&large);
    let (error, _) = producer.send(record, PATIENCE).await.unwrap_err();
    assert_eq!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::MessageSizeTooLarge)
    );

    let deleted = admin.delete_topics(&["rd-admin"], &options).await.unwrap();
    assert_eq!(deleted, [Ok("rd-admin".to_owned())]);
    let gone = admin.inner().fetch_metadata(None, PATIENCE).unwrap();
    assert!(gone.topics().iter().all(|topic| topic.name() != "rd-admin"));
    tokio::task::spawn_blocking(move || drop((env, admin, producer)))
        .await
        .unwrap();
}

#[test]
fn a_consumer_of_what_is_committed_sees_no_aborted_records() {
    let env = Env::shared();
    env.create_topic("rd-transactions", 1);
    let producer: BaseProducer = config(&env)
        .set("transactional.id", "rd-transactions")
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    for number in 0..6 {
        producer.begin_transaction().unwrap();
        for part in ["a", "b"] {
            let value = format!("{number}{part}");
            let record = BaseRecord::<str, str>::to("rd-transactions").payload(&value);
            producer.send(record).unwrap();
        }
        if number % 2 == 0 {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.flush(PATIENCE).unwrap();
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }
    let consumer: BaseConsumer = config(&env)
        .set("group.id", "rd-transactions")
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset("rd-transactions", 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&from).unwrap();
    let read = (0..6).map(|_| {
        let message = consumer.poll(PATIENCE).unwrap().unwrap();
        String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
    });
    assert_eq!(
        read.collect::<Vec<_>>(),
        ["0a", "0b", "2a", "2b", "4a", "4b"]
    );
}
