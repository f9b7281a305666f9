//! franz-go and sarama.

use crate::common::Env;
use crate::languages::go;
use crate::run::Client;
use crate::{
    RECORDS, keys_go_where_sql_sends_them, records_come_back, text_comes_back_in_every_codec,
    topics_are_administered,
};

fn with_client(name: &'static str, test: impl FnOnce(&Client)) {
    if let Some(client) = go(name) {
        test(&client);
    }
}

#[test]
fn franz_text_comes_back_in_every_codec() {
    with_client("franz", text_comes_back_in_every_codec);
}

#[test]
fn franz_records_come_back() {
    with_client("franz", |client| records_come_back(client, &RECORDS));
}

#[test]
fn franz_keys_go_where_sql_sends_them() {
    with_client("franz", keys_go_where_sql_sends_them);
}

#[test]
fn franz_administers_topics() {
    with_client("franz", topics_are_administered);
}

/// It knows a newer `ApiVersions` than anyone serves, and must get on without another
/// connection.
#[test]
fn franz_asks_for_a_version_of_the_future_first() {
    with_client("franz", |client| {
        let asked = client.run(&Env::shared(), "api_versions", &[], "");
        let mut asked = asked.split_whitespace();
        assert_eq!(asked.next(), Some("1"), "connections");
        assert_eq!(asked.next(), Some("v5"), "the first version asked for");
    });
}

#[test]
fn sarama_text_comes_back_in_every_codec() {
    with_client("sarama", text_comes_back_in_every_codec);
}

#[test]
fn sarama_records_come_back() {
    with_client("sarama", |client| records_come_back(client, &RECORDS));
}

#[test]
fn sarama_administers_topics() {
    with_client("sarama", topics_are_administered);
}
