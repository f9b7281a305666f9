//! confluent-kafka (librdkafka), kafka-python and aiokafka.

use crate::languages::python;
use crate::run::Client;
use crate::{
    NOTHING, RECORDS, keys_go_where_sql_sends_them, records_come_back,
    text_comes_back_in_every_codec, topics_are_administered,
};

fn with_client(name: &'static str, test: impl FnOnce(&Client)) {
    if let Some(client) = python(name) {
        test(&client);
    }
}

/// kafka-python and aiokafka refuse to send a record with neither key nor value.
fn records_with_something() -> Vec<&'static str> {
    let records = RECORDS.into_iter();
    records.filter(|record| *record != NOTHING).collect()
}

/// kafka-python refuses to send a header without value, too.
fn records_without_null_headers() -> Vec<&'static str> {
    let records = records_with_something().into_iter();
    records.filter(|record| !record.contains("=-")).collect()
}

#[test]
fn confluent_text_comes_back_in_every_codec() {
    with_client("confluent", text_comes_back_in_every_codec);
}

#[test]
fn confluent_records_come_back() {
    with_client("confluent", |client| records_come_back(client, &RECORDS));
}

#[test]
fn confluent_keys_go_where_sql_sends_them() {
    with_client("confluent", keys_go_where_sql_sends_them);
}

#[test]
fn confluent_administers_topics() {
    with_client("confluent", topics_are_administered);
}

#[test]
fn kafka_python_text_comes_back_in_every_codec() {
    with_client("kafka_python", text_comes_back_in_every_codec);
}

#[test]
fn kafka_python_records_come_back() {
    with_client("kafka_python", |client| {
        records_come_back(client, &records_without_null_headers());
    });
}

#[test]
fn kafka_python_keys_go_where_sql_sends_them() {
    with_client("kafka_python", keys_go_where_sql_sends_them);
}

#[test]
fn kafka_python_administers_topics() {
    with_client("kafka_python", topics_are_administered);
}

#[test]
fn aiokafka_text_comes_back_in_every_codec() {
    with_client("aiokafka", text_comes_back_in_every_codec);
}

#[test]
fn aiokafka_records_come_back() {
    with_client("aiokafka", |client| {
        records_come_back(client, &records_with_something());
    });
}

#[test]
fn aiokafka_keys_go_where_sql_sends_them() {
    with_client("aiokafka", keys_go_where_sql_sends_them);
}

#[test]
fn aiokafka_administers_topics() {
    with_client("aiokafka", topics_are_administered);
}
