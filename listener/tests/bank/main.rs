//! A bank: each transfer of money is a transaction, and at no time may a reader of what is
//! committed find money that has appeared or vanished, whatever fails.

mod book;
#[path = "../common/mod.rs"]
mod common;
#[path = "../clients/install.rs"]
mod install;
mod java_tellers;
mod judge;
#[path = "../clients/languages.rs"]
mod languages;
mod producer;
mod proxy;
mod reader;
#[path = "../clients/run.rs"]
mod run;
mod scenario;

use common::{Env, Listener};
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
