//! `kafka.maintain`: what time alone brings about. Every call judges timeouts itself; this
//! is for groups that nobody calls, and for what is kept long enough.

use std::time::{Duration, Instant};

use kafka_core::txn::Transaction;
use pgrx::prelude::*;

use crate::guc;
use crate::store::txn::{self, Locked};
use crate::store::{group, offset, producer, server};

/// For how long one call goes on advancing groups.
const LONGEST: Duration = Duration::from_millis(200);

#[pg_extern(sql = false)]
fn maintain() -> TableIterator<'static, (name!(task, String), name!(done, i64))> {
    server::require_writable(c"kafka.maintain()");
    // Where several listeners call it, one is enough.
    if !server::try_maintenance() {
        return TableIterator::new(Vec::new());
    }
    let began = Instant::now();
    // The locks of all groups that were advanced are held to the end: the rest is for the
    // next time.
    let advanced = group::due(server::now_ms())
        .iter()
        .take_while(|_| began.elapsed() < LONGEST)
        .filter(|group_id| group::try_advance(group_id))
        .count();
    let retention = guc::offsets_retention_minutes();
    let mut expired = offset::expire_of_empty_groups(retention);
    for (group_id, topic) in offset::old_of_other_groups(retention) {
        let subscribed =
            super::group::current(&group_id).is_ok_and(|group| group.keeps_offsets_of(&topic));
        if !subscribed {
            expired += offset::expire_topic(&group_id, &topic, retention);
        }
    }
    let now = server::now_ms();
    // Reading a transaction under its lock aborts what has timed out.
    let aborted = txn::timed_out(now)
        .iter()
        .filter_map(|id| Locked::try_lock(id))
        .map(Locked::save)
        .count();
    let rows = [
        ("groups advanced", advanced as i64),
        ("offsets expired", expired),
        ("groups deleted", group::delete_unused()),
        ("transactions aborted", aborted as i64),
        ("transactional ids expired", expire_transactional_ids(now)),
        (
            "producer ids expired",
            producer::expire(guc::producer_id_expiration_minutes()),
        ),
    ];
    let rows: Vec<_> = rows.map(|(task, done)| (task.to_owned(), done)).into();
    TableIterator::new(rows)
}

fn expire_transactional_ids(now: i64) -> i64 {
    let expiration_ms = i64::from(guc::transactional_id_expiration_minutes()) * 60_000;
    let mut expired = 0;
    for id in txn::unused_since(now - expiration_ms) {
        let Some(mut locked) = Locked::try_lock(&id) else {
            continue;
        };
        let unused = |transaction: &Transaction| transaction.is_expired(expiration_ms, now);
        if locked.transaction.take_if(|t| unused(t)).is_some() {
            expired += 1;
        }
        locked.save();
    }
    expired
}
