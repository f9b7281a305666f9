//! Transactions that nobody ends.

use crate::common::eventually;
use crate::compare::{Run, Story};
use crate::dump::ends;

pub(crate) const STORIES: &[(&str, Story)] = &[
    ("killed", killed),
    ("late-commit", late_commit),
    ("late-send", late_send),
    ("late-abort", late_abort),
];

/// The process dies with records in an open transaction: readers of what is committed wait
/// at it until its time is over, then go on without it. The next process goes on.
fn killed(run: &mut Run) {
    run.create_topic("@a", 1);
    let next = run.another();
    let mut reader = run.another();
    run.take_all(&[
        "producer p @id 3000",
        "begin p",
        "send p @a 0 kept",
        "commit p",
    ]);
    reader.begin(&run.named("tail read_committed @a"));
    eventually("what is committed is read", || reader.so_far().len() == 1);
    run.take_all(&["begin p", "send p @a 0 lost-1 lost-2"]);
    std::mem::replace(&mut run.session, next).kill();
    run.take("plain @a 0 after");
    let named = run.named("@a");
    let read = reader.so_far();
    let (high_watermark, last_stable) = ends(&mut run.raw, &named, 0);
    // It was open all the time, if it still is.
    if last_stable < high_watermark {
        assert_eq!(read.len(), 1, "the reader waits: {read:?}");
    }
    eventually("the transaction is timed out", || {
        let (high_watermark, last_stable) = ends(&mut run.raw, &named, 0);
        last_stable == high_watermark
    });
    run.dump("@a", 1);
    run.take_all(&[
        "producer p @id 3000",
        "begin p",
        "send p @a 0 next",
        "commit p",
        "close p",
    ]);
    run.take("plain @a 0 end");
    for line in reader.answer() {
        run.tell(line);
    }
    run.take_all(&["read read_committed @a 1", "read read_uncommitted @a 1"]);
    run.dump("@a", 1);
}

/// The time of its transaction is over while it does something else.
fn time_is_over(run: &mut Run) {
    run.create_topic("@a", 2);
    run.take_all(&[
        "producer p @id 1500",
        "begin p",
        "send p @a 0 lost-1 lost-2",
    ]);
    let named = run.named("@a");
    eventually("the transaction is timed out", || {
        let (high_watermark, last_stable) = ends(&mut run.raw, &named, 0);
        last_stable == high_watermark
    });
    run.dump("@a", 1);
}

/// The same producer tries again, and another one comes after it.
fn goes_on(run: &mut Run) {
    run.take_all(&[
        "begin p",
        "send p @a 1 again",
        "commit p",
        "close p",
        "producer q @id 60000",
        "begin q",
        "send q @a 0 next",
        "commit q",
        "close q",
        "plain @a 0 end",
        "plain @a 1 end",
        "read read_committed @a 2",
        "read read_uncommitted @a 2",
    ]);
    run.dump("@a", 2);
}

fn late_commit(run: &mut Run) {
    time_is_over(run);
    run.take_all(&["commit p", "abort p"]);
    goes_on(run);
}

fn late_send(run: &mut Run) {
    time_is_over(run);
    run.take_all(&["send p @a 0 late", "commit p", "abort p"]);
    goes_on(run);
}

fn late_abort(run: &mut Run) {
    time_is_over(run);
    run.take("abort p");
    goes_on(run);
}
