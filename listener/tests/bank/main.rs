//! A bank: each transfer of money is a transaction, and at no time may a reader of what is
//! committed find money that has appeared or vanished, whatever fails. And producers that
//! hurry, which must not be told that anything has failed.

mod book;
#[path = "../common/mod.rs"]
mod common;
#[path = "../clients/install.rs"]
mod install;
mod java_tellers;
mod judge;
#[path = "../clients/languages.rs"]
mod languages;
mod pipelined;
mod producer;
mod proxy;
mod reader;
#[path = "../clients/run.rs"]
mod run;
mod scenario;

use std::process::Command;

use common::{Env, Listener};
use java_tellers::java_source;
use pipelined::{TRANSACTIONS, nothing_was_out_of_order, program};
use proxy::Proxy;
use run::Client;

fn money_is_safe(java: Option<&Client>) {
    let proxy = Proxy::start();
    let mut env = Env::own("", &["--advertised", &proxy.address]);
    env.create_topic(scenario::TOPIC, judge::PARTITIONS);
    proxy.lead_to(&env.listener.address);
    let Env { listener, cluster } = &mut env;
    let cluster = &*cluster;
    scenario::a_day(&proxy, Some(cluster), java, |number| {
        if number % 2 == 0 {
            let address = listener.address.clone();
            listener.kill();
            let flags = ["--advertised", &proxy.address];
            *listener = Listener::spawn(&cluster.conninfo(), &address, &flags);
        } else {
            cluster.stop("immediate").unwrap();
            cluster.start().unwrap();
        }
    });
}

#[test]
fn money_neither_appears_nor_vanishes() {
    money_is_safe(None);
}

#[test]
fn money_is_safe_with_java_tellers_too() {
    if let Some(java) = languages::java("256m") {
        money_is_safe(Some(&java));
    }
}

/// Idempotent producers, then transactional ones, by a function of the server's address, the
/// topic and how many records are a transaction.
fn producers_hurry(name: &str, produce: impl Fn(&str, &str, i32)) {
    let env = Env::shared();
    for transaction in TRANSACTIONS {
        let proxy = Proxy::start();
        let flags = ["--advertised", &proxy.address];
        let listener = Listener::start(&env.cluster.conninfo(), &flags);
        proxy.lead_to(&listener.address);
        let topic = format!("{name}-{transaction}");
        env.create_topic(&topic, judge::PARTITIONS);
        produce(&proxy.address, &topic, transaction);
        nothing_was_out_of_order(&proxy, &topic);
    }
}

#[test]
fn hurrying_rdkafka_producers_are_in_order() {
    producers_hurry("rdkafka", pipelined::rdkafka);
}

#[test]
fn hurrying_java_producers_are_in_order() {
    if let Some(client) = languages::java("256m") {
        producers_hurry("java", |address, topic, transaction| {
            let mut java = java_source(&client, "Pipelined.java");
            program(&mut java, address, topic, transaction);
        });
    }
}

#[test]
fn hurrying_franz_producers_are_in_order() {
    if let Some(client) = languages::go("pipelined") {
        producers_hurry("franz", |address, topic, transaction| {
            let mut franz = Command::new(&client.program[0]);
            program(&mut franz, address, topic, transaction);
        });
    }
}
