//! Kafka Streams, unchanged, with `exactly_once_v2`: it reads, keeps its state in a
//! changelog, writes and commits its offsets in one transaction.
//!
//! `PG_KAFKA_STREAMS_BROKER=HOST:PORT` has the test run on that broker instead of ours, so
//! that it can be seen what Apache Kafka does.

mod app;
#[path = "../common/mod.rs"]
mod common;
mod counts;
mod input;
#[path = "../clients/install.rs"]
mod install;
#[path = "../clients/languages.rs"]
mod languages;
mod output;
#[path = "../clients/run.rs"]
mod run;

use std::path::Path;
use std::time::Duration;

use app::{App, Topics};
use common::Env;
use output::Follower;

/// Longer than anything here takes on a busy machine, the end of what a killed program has
/// left open included.
const LIMIT: Duration = Duration::from_mins(3);

/// The count of a word follows the one before, whatever happens to the program: an
/// occurrence that was lost would leave a gap, one that was counted again would show twice.
#[test]
fn word_counts_are_exact_although_the_program_is_killed_three_times() {
    let folder = tempfile::tempdir().unwrap();
    let Some(word_count) = languages::streams("256m", folder.path()) else {
        return;
    };
    let broker = std::env::var("PG_KAFKA_STREAMS_BROKER");
    let env = broker.is_err().then(|| Env::own("", &[]));
    let address = broker.unwrap_or_else(|_| env.as_ref().unwrap().listener.address.clone());

    let topics = Topics::create(&address);
    let lines = input::lines();
    input::send(&address, &topics.input, &lines);
    let words = input::count_words(&lines);
    let total = words.values().sum::<u64>();

    let start = |state: &Path| App::start(&word_count, &address, &topics, state);
    let [here, elsewhere] = ["here", "elsewhere"].map(|name| folder.path().join(name));
    let mut follower = Follower::start(&address, &topics.output);
    let mut app = start(&here);
    // Where it was killed it goes on under the same name, which ends what it has left open.
    // Elsewhere, without its state, that ends when its time is over.
    for (killed_at, next) in [
        (total / 5, &here),
        (total * 2 / 5, &elsewhere),
        (total * 3 / 5, &elsewhere),
    ] {
        follower.read_until(killed_at, &mut app);
        app.kill();
        app = start(next);
    }
    follower.read_until(total, &mut app);
    app.stop();
    let counts = output::committed(&address, &topics.output);
    assert!(counts.last() == words, "the input has other counts");
    let sent = output::count_uncommitted(&address, &topics.output);
    assert!(sent > total, "no kill came in the middle of a transaction");
    let deleted = output::count_deleted(&address, &topics.repartition);
    assert!(
        deleted > 0,
        "what was counted is still in the topic between"
    );
}
