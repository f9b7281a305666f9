//! Waiting for records of several partitions on behalf of others, as the listener does.
use pgrx::prelude::*;

use crate::raise::ok;
use crate::store::log::{self, LockMode};
use crate::store::topic::{self, TopicRef};
use crate::store::wait_duration;
use crate::store::wake::{self, Slot};

/// The high watermark of a partition that does not exist (any more).
const GONE: i64 = -1;

#[pg_extern(sql = false)]
fn wait_for_records(
    topics: Option<Vec<Option<String>>>,
    partitions: Option<Vec<Option<i32>>>,
    high_watermarks: Option<Vec<Option<i64>>>,
    max_wait_ms: Option<i32>,
    waiter: Option<i32>,
) -> TableIterator<'static, (name!(idx, i32), name!(high_watermark, i64))> {
    let topics = ok(super::required("topics", topics));
    let partitions = ok(super::elements("partitions", partitions));
    let high_watermarks = ok(super::elements("high_watermarks", high_watermarks));
    let max_wait_ms = ok(super::required("max_wait_ms", max_wait_ms));
    ok(super::check_lengths(&[
        ("topics", topics.len()),
        ("partitions", partitions.len()),
        ("high_watermarks", high_watermarks.len()),
    ]));
    let watched: Vec<(TopicRef, i32, i64)> = (0..topics.len())
        .map(|i| {
            (
                ok(super::topic_ref(Some(&topics), None, i)),
                partitions[i],
                high_watermarks[i],
            )
        })
        .collect();
    let slots: Vec<Slot> = watched
        .iter()
        .filter_map(|(topic, partition, _)| {
            Some(Slot::partition(topic::find(topic).ok()?.number, *partition))
        })
        .collect();
    let found = wake::wait(
        slots.into_iter(),
        wait_duration(max_wait_ms),
        waiter,
        || {
            let moved: Vec<(i32, i64)> = watched
                .iter()
                .enumerate()
                .filter_map(|(i, (topic, partition, known))| {
                    let now = high_watermark(topic, *partition, *known);
                    (now > *known || now == GONE).then_some((i as i32 + 1, now))
                })
                .collect();
            (!moved.is_empty()).then_some(moved)
        },
    );
    TableIterator::new(found.unwrap_or_default())
}

/// `known` while somebody holds or awaits an exclusive lock on the log table: a drop in
/// progress must not keep those waiting who wait for other partitions.
fn high_watermark(topic: &TopicRef, partition: i32, known: i64) -> i64 {
    if topic::find(topic).is_ok_and(|found| !log::is_unlocked(&found)) {
        return known;
    }
    match topic::open(topic, LockMode::Read) {
        Ok((topic, log)) if topic.check_partition(partition).is_ok() => {
            log::watermarks(&topic, &log, partition).high_watermark
        }
        _ => GONE,
    }
}

#[pg_extern(sql = false)]
fn interrupt_wait(waiter: i32) -> i32 {
    wake::interrupt(waiter)
}
