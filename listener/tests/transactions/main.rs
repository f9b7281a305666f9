//! Transactions of unchanged clients: Apache Kafka's own, the rdkafka crate, confluent-kafka,
//! franz-go and sarama.
//!
//! Each takes the same steps at a broker of Apache Kafka and at the listener; what it says,
//! what its consumers read and what the logs hold then, batch by batch with the markers, has
//! to be the same. The programs lie in `tests/clients`; what cannot be installed is skipped
//! as there.

mod admin;
#[path = "../common/apache_kafka.rs"]
mod apache_kafka;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod dump;
mod fencing;
#[path = "../clients/install.rs"]
mod install;
#[path = "../clients/languages.rs"]
mod languages;
mod offsets;
mod programs;
mod rdkafka_steps;
mod records;
#[path = "../clients/run.rs"]
mod run;
mod session;
mod side;
mod timeouts;

use compare::{Story, compare};
use programs::Kind;

/// Does not return where this process was started as a client.
fn rdkafka() -> Kind {
    rdkafka_steps::take_steps();
    rdkafka_steps::kind("rdkafka_commits_and_aborts")
}

/// Nothing where the client is not installed.
fn tell(kind: impl Into<Option<Kind>>, stories: &[(&str, Story)]) {
    if let Some(kind) = kind.into() {
        compare(&kind, stories);
    }
}

macro_rules! stories {
    ($($test:ident: $kind:expr, $stories:expr;)*) => {
        $(#[test]
        fn $test() {
            tell($kind, $stories);
        })*
    };
}

stories! {
    java_commits_and_aborts: programs::java(), records::STORIES;
    java_sends_offsets: programs::java(), offsets::STORIES;
    java_is_fenced: programs::java(), fencing::STORIES;
    java_is_too_late: programs::java(), timeouts::STORIES;
    java_administers: programs::java(), admin::STORIES;
    rdkafka_commits_and_aborts: rdkafka(), records::STORIES;
    rdkafka_sends_offsets: rdkafka(), offsets::STORIES;
    rdkafka_is_fenced: rdkafka(), fencing::STORIES;
    rdkafka_is_too_late: rdkafka(), timeouts::STORIES;
    confluent_commits_and_aborts: programs::confluent(), records::STORIES;
    confluent_sends_offsets: programs::confluent(), offsets::STORIES;
    confluent_is_fenced: programs::confluent(), fencing::STORIES;
    confluent_is_too_late: programs::confluent(), timeouts::STORIES;
    franz_commits_and_aborts: programs::franz(), records::STORIES;
    franz_sends_offsets: programs::franz(), offsets::STORIES;
    franz_is_fenced: programs::franz(), fencing::STORIES;
    franz_is_too_late: programs::franz(), timeouts::STORIES;
    sarama_commits_and_aborts: programs::sarama(), records::STORIES;
    sarama_sends_offsets: programs::sarama(), offsets::STORIES;
    sarama_is_fenced: programs::sarama(), fencing::STORIES;
    sarama_is_too_late: programs::sarama(), timeouts::STORIES;
}
