//! Consumer groups of unchanged clients: kcat, the rdkafka crate, Apache Kafka's own,
//! confluent-kafka, aiokafka, franz-go, sarama and kafkajs, with each assignor that they
//! have and, where they know it, the protocol in which the server assigns (KIP-848).
//!
//! The members are processes, so that they can be killed. The programs lie in
//! `tests/clients`; what is not installed is skipped as there.

#[path = "../common/mod.rs"]
mod common;
#[path = "../clients/install.rs"]
mod install;
mod judge;
#[path = "../clients/languages.rs"]
mod languages;
mod member;
mod mixed;
mod rdkafka_member;
#[path = "../clients/run.rs"]
mod run;
mod scenario;
mod server;
mod tools;

use common::kcat_or_skip;
use member::Kind;
use run::Client;
use scenario::members_come_and_go;

fn programs_come_and_go(client: Option<Client>, assignors: &[&'static str]) {
    if let Some(client) = client {
        let kinds = assignors
            .iter()
            .map(|assignor| Kind::program(&client, assignor));
        members_come_and_go(&kinds.collect::<Vec<_>>());
    }
}

#[test]
fn kcat_members_come_and_go() {
    if kcat_or_skip() {
        members_come_and_go(&["range", "cooperative-sticky"].map(Kind::kcat));
    }
}

#[test]
fn rdkafka_members_come_and_go() {
    rdkafka_member::be_member();
    let assignors = ["roundrobin", "cooperative-sticky", "consumer"];
    let test = "rdkafka_members_come_and_go";
    members_come_and_go(&assignors.map(|assignor| rdkafka_member::kind(test, assignor)));
}

#[test]
fn confluent_members_come_and_go() {
    let assignors = ["range", "cooperative-sticky", "consumer"];
    programs_come_and_go(languages::python("confluent"), &assignors);
}

#[test]
fn aiokafka_members_come_and_go() {
    programs_come_and_go(languages::python("aiokafka"), &["roundrobin", "sticky"]);
}

#[test]
fn java_members_come_and_go() {
    let assignors = [
        "default",
        "range",
        "roundrobin",
        "sticky",
        "cooperative-sticky",
        "consumer",
    ];
    programs_come_and_go(languages::java("128m"), &assignors);
}

/// The group changes its protocol as they come and go (KIP-848).
#[test]
fn java_members_of_both_protocols_come_and_go() {
    with_java(|java| members_come_and_go(&[Kind::programs(java, &["range", "consumer"])]));
}

#[test]
fn franz_members_come_and_go() {
    let assignors = ["range", "cooperative-sticky", "consumer"];
    programs_come_and_go(languages::go("franz"), &assignors);
}

#[test]
fn sarama_members_come_and_go() {
    let assignors = ["range", "sticky", "cooperative-sticky"];
    programs_come_and_go(languages::go("sarama"), &assignors);
}

#[test]
fn kafkajs_members_come_and_go() {
    programs_come_and_go(languages::javascript(), &["roundRobin"]);
}

fn with_java(test: impl FnOnce(&Client)) {
    if let Some(client) = languages::java("128m") {
        test(&client);
    }
}

#[test]
fn group_tool_shows_and_changes_a_classic_group() {
    with_java(tools::show_and_change_a_classic_group);
}

#[test]
fn group_tool_shows_a_group_that_the_server_assigns() {
    with_java(tools::show_a_group_that_the_server_assigns);
}

#[test]
fn sql_and_java_members_outlive_the_listener() {
    with_java(mixed::sql_and_java_outlive_the_listener);
}
