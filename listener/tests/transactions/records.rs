//! Commits, aborts, several at once, empty ones and many in a row.

use crate::compare::{Run, Story};

pub(crate) const STORIES: &[(&str, Story)] = &[
    ("commit", commit),
    ("abort", abort),
    ("mixed", mixed),
    ("empty", empty),
    ("many", many),
];

const READ: [&str; 2] = ["read_committed", "read_uncommitted"];

/// Ends each partition with a record that readers know, and tells of all of it.
fn read_all(run: &mut Run, topic: &str, partitions: i32) {
    for partition in 0..partitions {
        run.take(&format!("plain {topic} {partition} end"));
    }
    for isolation in READ {
        run.take(&format!("read {isolation} {topic} {partitions}"));
    }
    run.dump(topic, partitions);
}

fn commit(run: &mut Run) {
    run.create_topic("@a", 2);
    run.take_all(&[
        "producer p @id 60000",
        "begin p",
        "send p @a 0 one two three",
        "send p @a 1 four",
        "send p @a 0 five",
    ]);
    run.dump("@a", 2);
    run.take("commit p");
    run.dump("@a", 2);
    run.take_all(&["begin p", "send p @a 0 six", "commit p", "close p"]);
    read_all(run, "@a", 2);
}

fn abort(run: &mut Run) {
    run.create_topic("@a", 2);
    run.take_all(&[
        "producer p @id 60000",
        "begin p",
        "send p @a 0 one two three",
        "send p @a 1 four",
        "abort p",
    ]);
    run.dump("@a", 2);
    run.take_all(&[
        "begin p",
        "send p @a 0 five",
        "send p @a 0 six",
        "abort p",
        "close p",
    ]);
    read_all(run, "@a", 2);
    run.dump_aborted("@a", 2);
}

/// Two transactional producers and one that is not, in six partitions of two topics.
fn mixed(run: &mut Run) {
    run.create_topic("@a", 3);
    run.create_topic("@b", 3);
    run.take_all(&[
        "plain @a 0 plain-1 plain-2",
        "producer p @one 60000",
        "producer q @two 60000",
        "begin p",
        "begin q",
        "send p @a 0 p-1",
        "send q @a 0 q-1 q-2",
        "send q @b 2 q-3",
        "plain @a 0 plain-3",
        "send p @a 0 p-2",
        "send p @a 1 p-3",
        "abort q",
    ]);
    // q's abort lies beyond the last stable offset.
    run.dump("@a", 2);
    run.dump_aborted("@a", 2);
    run.take_all(&[
        "begin q",
        "send q @a 0 q-4",
        "send q @b 1 q-5 q-6",
        "plain @b 1 plain-4",
        "commit p",
    ]);
    run.dump("@a", 2);
    run.take_all(&[
        "begin p",
        "send p @b 1 p-4",
        "send p @a 2 p-5",
        "commit q",
        "abort p",
        "plain @a 2 plain-5",
        "begin p",
        "begin q",
        "send p @a 0 p-6",
        "send q @a 0 q-7",
        "send p @a 0 p-7",
        "commit q",
        "begin q",
        "send q @b 0 q-8",
        "abort q",
        "commit p",
        "close p",
        "close q",
    ]);
    for topic in ["@a", "@b"] {
        read_all(run, topic, 3);
        run.dump_aborted(topic, 3);
    }
}

/// Nothing is written for a transaction without records, and what comes after goes on.
fn empty(run: &mut Run) {
    run.create_topic("@a", 1);
    run.take_all(&[
        "producer p @id 60000",
        "begin p",
        "commit p",
        "begin p",
        "abort p",
        "begin p",
        "send p @a 0 one",
        "commit p",
        "begin p",
        "abort p",
        "begin p",
        "commit p",
        "begin p",
        "send p @a 0 two",
        "abort p",
        "begin p",
        "commit p",
        "begin p",
        "send p @a 0 three",
        "commit p",
        "close p",
    ]);
    read_all(run, "@a", 1);
}

fn many(run: &mut Run) {
    run.create_topic("@a", 3);
    run.take_all(&["producer p @id 60000", "many p 200 @a", "close p"]);
    read_all(run, "@a", 3);
}
