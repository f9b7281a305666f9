//! A second producer with the same transactional id.

use crate::compare::{Run, Story};

pub(crate) const STORIES: &[(&str, Story)] = &[
    ("fenced-send", fenced_send),
    ("fenced-commit", fenced_commit),
    ("fenced-abort", fenced_abort),
    ("fenced-idle", fenced_idle),
];

/// The second comes while the first has records in two partitions.
fn second_comes(run: &mut Run) {
    run.create_topic("@a", 3);
    run.take_all(&[
        "producer p @id 60000",
        "begin p",
        "send p @a 0 before",
        "commit p",
        "begin p",
        "send p @a 0 one two",
        "send p @a 1 three",
        "producer q @id 60000",
    ]);
    run.dump("@a", 2);
}

/// The second does its work, whatever the first has tried meanwhile.
fn second_goes_on(run: &mut Run) {
    run.take_all(&[
        "begin q",
        "send q @a 0 of-the-second",
        "commit q",
        "close p",
        "begin q",
        "send q @a 1 again",
        "send q @a 2 again",
        "commit q",
        "close q",
    ]);
    for partition in 0..3 {
        run.take(&format!("plain @a {partition} end"));
    }
    run.take_all(&["read read_committed @a 3", "read read_uncommitted @a 3"]);
    run.dump("@a", 3);
    run.dump_aborted("@a", 3);
}

fn fenced_send(run: &mut Run) {
    second_comes(run);
    run.take_all(&["send p @a 0 late", "commit p", "abort p"]);
    second_goes_on(run);
}

fn fenced_commit(run: &mut Run) {
    second_comes(run);
    run.take_all(&["commit p", "abort p"]);
    second_goes_on(run);
}

fn fenced_abort(run: &mut Run) {
    second_comes(run);
    run.take_all(&["abort p", "begin p", "send p @a 2 late"]);
    second_goes_on(run);
}

/// The first has no transaction open when it is fenced.
fn fenced_idle(run: &mut Run) {
    run.create_topic("@a", 3);
    run.take_all(&[
        "producer p @id 60000",
        "begin p",
        "send p @a 0 before",
        "commit p",
        "producer q @id 60000",
        "begin p",
        "send p @a 0 late",
        "commit p",
    ]);
    second_goes_on(run);
}
