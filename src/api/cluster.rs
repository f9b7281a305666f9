//! What the server is to Kafka's clients.
use pgrx::prelude::*;

use crate::store::server;

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
