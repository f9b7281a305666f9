//! What `kafka-transactions` asks for, by Apache Kafka's admin client.

use crate::compare::{Run, Story};

pub(crate) const STORIES: &[(&str, Story)] = &[("admin", admin), ("hanging", hanging)];

fn admin(run: &mut Run) {
    run.create_topic("@a", 2);
    let look = |run: &mut Run| {
        run.take_all(&[
            "transactions @",
            "describe @one @b-two @none",
            "producers @a 0",
            "producers @a 1",
            "ends @a 0",
        ]);
    };
    look(run);
    run.take_all(&["producer p @one 60000", "producer q @b-two 30000"]);
    look(run);
    run.take_all(&[
        "begin p",
        "begin q",
        "send p @a 0 one two",
        "send p @a 1 three",
        "send q @a 0 four",
    ]);
    look(run);
    run.take("commit p");
    look(run);
    run.take("abort q");
    look(run);
    // Fencing by hand.
    run.take_all(&["begin p", "send p @a 0 five", "fence @one"]);
    look(run);
    run.take("commit p");
    run.dump("@a", 2);
}

/// An open transaction is ended by an administrator.
fn hanging(run: &mut Run) {
    run.create_topic("@a", 2);
    run.take_all(&[
        "producer p @id 60000",
        "begin p",
        "send p @a 0 one",
        "send p @a 1 two",
        "abort_open @a 0",
    ]);
    run.take_all(&["producers @a 0", "describe @id"]);
    run.dump("@a", 2);
    run.take("commit p");
    run.dump("@a", 2);
    run.take_all(&["producers @a 0", "describe @id"]);
}
