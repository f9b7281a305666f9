//! What the view `kafka.partitions` shows.
use std::ops::ControlFlow;
use std::rc::Rc;

use kafka_core::error::KafkaError;
use pgrx::prelude::*;

use crate::raise::ok;
use crate::store::log::{self, LockMode, LogTable, Watermarks};
use crate::store::stable;
use crate::store::topic::{self, Topic, TopicRef};

#[pg_extern(sql = false)]
fn watermarks(
    topic: &str,
    partition: i32,
) -> TableIterator<
    'static,
    (
        name!(log_start_offset, i64),
        name!(high_watermark, i64),
        name!(last_stable_offset, i64),
    ),
> {
    let (topic, _, w) = ok(look(topic, partition));
    let last_stable_offset = stable::last_stable_offset(&topic, partition, &w);
    TableIterator::once((w.log_start_offset, w.high_watermark, last_stable_offset))
}

#[pg_extern(sql = false)]
fn partition_size(
    topic: &str,
    partition: i32,
) -> TableIterator<'static, (name!(size_bytes, i64), name!(batch_count, i64))> {
    let (_, log, w) = ok(look(topic, partition));
    let (mut bytes, mut batches) = (0, 0);
    log::for_each_batch(
        &log,
        partition,
        w.log_start_offset,
        w.high_watermark,
        |row| {
            bytes += row.size_bytes() as i64;
            batches += 1;
            ControlFlow::Continue(())
        },
    );
    drop(log);
    TableIterator::once((bytes, batches))
}

fn look(topic: &str, partition: i32) -> Result<(Rc<Topic>, LogTable, Watermarks), KafkaError> {
    let (topic, log) = topic::open(&TopicRef::Name(topic.to_owned()), LockMode::Read)?;
    topic.check_partition(partition)?;
    let watermarks = log::watermarks(&topic, &log, partition);
    Ok((topic, log, watermarks))
}
