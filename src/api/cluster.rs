//! What the server is to Kafka's clients, and the ids of their producers.
use pgrx::prelude::*;

use crate::store::{producer, server};

#[pg_extern(sql = false)]
fn cluster() -> TableIterator<
    'static,
    (
        name!(cluster_id, String),
        name!(leader_epoch, i32),
        name!(in_recovery, bool),
    ),
> {
    TableIterator::once((
        server::cluster_id(),
        server::leader_epoch(),
        server::in_recovery(),
    ))
}

#[pg_extern(sql = false)]
fn init_producer_id()
-> TableIterator<'static, (name!(producer_id, i64), name!(producer_epoch, i16))> {
    server::require_writable(c"kafka.init_producer_id()");
    TableIterator::once((producer::next_producer_id(), 0))
}
