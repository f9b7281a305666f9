//! `kafka.poll`: a member of a group in one call. It joins or goes on as a member, returns
//! the next records of the partitions assigned to it, and advances the group's offsets in
//! the caller's transaction.
//!
//! Between two calls nothing runs on the member's behalf: a call, and the commit of a
//! transaction that has polled, are its signs of life. A step of the group keeps the group
//! locked to the end of the transaction, so a call that had to make one returns without
//! records; the usual call makes none.

mod member;

use std::time::{Duration, Instant};

use kafka_core::error::KafkaError;
use pgrx::prelude::*;

use super::fetch::{Budget, Found, Isolation, fetch_now, timestamp};
use super::group::check_group_id;
use crate::raise::ok;
use crate::store::log::{self, LockMode};
use crate::store::offset::{self, NewOffset};
use crate::store::polled::{self, Claim};
use crate::store::record_rows::RecordRows;
use crate::store::stable;
use crate::store::topic::{self, Topic, TopicRef};
use crate::store::wake::{self, Slot};
use crate::store::{group, server, wait_duration};

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn poll(
    group_id: Option<&str>,
    topics: Option<Vec<Option<String>>>,
    max_records: Option<i32>,
    max_wait_ms: Option<i32>,
    max_bytes: Option<i32>,
    auto_offset_reset: Option<&str>,
    group_instance_id: Option<&str>,
    session_timeout_ms: Option<i32>,
    fcinfo: pg_sys::FunctionCallInfo,
) {
    server::require_writable(c"kafka.poll()");
    let mut topics = ok(super::elements("topics", topics));
    topics.sort();
    topics.dedup();
    let poller = Poller {
        group_id: ok(super::required("group_id", group_id)).to_owned(),
        topics,
        instance: group_instance_id
            .filter(|id| !id.is_empty())
            .map(str::to_owned),
        session_timeout_ms,
        reset: ok(Reset::parse(auto_offset_reset.unwrap_or("earliest"))),
        budget: Budget {
            records: max_records.unwrap_or(500).max(0) as usize,
            bytes: max_bytes.unwrap_or(50 << 20).max(0) as usize,
        },
    };
    let mut rows = RecordRows::new(fcinfo);
    ok(poller.poll(wait_duration(max_wait_ms.unwrap_or(0)), &mut rows));
}

/// Where a partition begins of which the group has no offset, or one that is gone.
#[derive(Clone, Copy)]
enum Reset {
    Earliest,
    Latest,
}

impl Reset {
    fn parse(text: &str) -> Result<Self, KafkaError> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            other => Err(KafkaError::InvalidRequest {
                reason: format!("auto_offset_reset is earliest or latest, not {other:?}"),
            }),
        }
    }
}

struct Poller {
    group_id: String,
    topics: Vec<String>,
    instance: Option<String>,
    session_timeout_ms: Option<i32>,
    reset: Reset,
    budget: Budget,
}

/// A member that may take records.
struct Standing {
    member_id: String,
    generation_id: i32,
    assigned: Vec<(String, i32)>,
}

/// How a member stands when its group is looked at without a lock.
enum Look {
    Assigned(Standing),
    /// Others are awaited, nothing is due: worth waiting for until this time.
    Waiting {
        until: i64,
    },
    /// A step is to be made.
    Due,
}

impl Poller {
    fn poll(&self, max_wait: Duration, rows: &mut RecordRows) -> Result<(), KafkaError> {
        check_group_id(&self.group_id)?;
        let deadline = Instant::now() + max_wait;
        let mut stepped = false;
        loop {
            let look = self.look(stepped);
            if let Look::Due = look {
                if !self.step()? {
                    return Ok(());
                }
                stepped = true;
                continue;
            }
            if let Look::Assigned(standing) = &look
                && self.take(standing, rows)?
            {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // What a step has written nobody else sees while this transaction goes on.
            if left.is_zero() || stepped {
                return Ok(());
            }
            self.wait(&look, left);
        }
    }

    /// Takes the next records of the first partitions that have some, and advances the
    /// group's offsets behind them. Says whether there were records.
    fn take(&self, standing: &Standing, rows: &mut RecordRows) -> Result<bool, KafkaError> {
        let mut records = 0;
        let mut taken = Vec::new();
        let mut left = Budget { ..self.budget };
        let count = standing.assigned.len().max(1);
        let first = server::random_below(count);
        for (topic, partition) in standing
            .assigned
            .iter()
            .cycle()
            .skip(first)
            .take(standing.assigned.len())
        {
            if left.records == 0 || left.bytes == 0 {
                break;
            }
            // Deleted since it was assigned.
            let Ok(topic) = topic::find(&TopicRef::Name(topic.clone())) else {
                continue;
            };
            let Some(claim) = Claim::try_take(&self.group_id, &topic, *partition) else {
                continue;
            };
            let Some(found) = self.take_of(&topic, *partition, &left, rows)? else {
                claim.release();
                continue;
            };
            offset::commit(
                &self.group_id,
                &mut vec![NewOffset {
                    topic: &topic,
                    partition: *partition,
                    offset: found.next_offset,
                    leader_epoch: Some(server::leader_epoch()),
                    metadata: "",
                }],
            );
            taken.push((*topic.id.as_bytes(), *partition));
            records += found.records;
            left.records -= found.records.min(left.records);
            left.bytes = left.bytes.saturating_sub(found.bytes);
        }
        polled::note(
            &self.group_id,
            &standing.member_id,
            standing.generation_id,
            taken,
        );
        Ok(records > 0)
    }

    /// None where the group's offset stays where it is. What there is only to pass over, such
    /// as an aborted transaction, moves it too.
    fn take_of(
        &self,
        topic: &Topic,
        partition: i32,
        budget: &Budget,
        rows: &mut RecordRows,
    ) -> Result<Option<Found>, KafkaError> {
        let wanted = TopicRef::Name(topic.name.clone());
        let (start, stable, end) = {
            let (topic, log) = topic::open(&wanted, LockMode::Read)?;
            topic.check_partition(partition)?;
            let watermarks = log::watermarks(&topic, &log, partition);
            let stable = stable::last_stable_offset(&topic, partition, &watermarks);
            (watermarks.log_start_offset, stable, watermarks.end_offset)
        };
        let committed = offset::one(&self.group_id, topic, partition);
        let from = match (committed, self.reset) {
            (Some(offset), _) if (start..=end).contains(&offset) => offset,
            (_, Reset::Earliest) => start,
            (_, Reset::Latest) => stable,
        };
        let name = topic.name.as_str().into_datum();
        let leading = [name.unwrap_or(pg_sys::Datum::null()), partition.into()];
        let isolation = Isolation::ReadCommitted;
        let found = fetch_now(&wanted, partition, from, budget, isolation, |record| {
            rows.put(leading, timestamp(record.timestamp), record);
        })?;
        Ok(Some(found).filter(|found| found.next_offset > from))
    }

    /// Waits for records of the assigned partitions, or a change of the group.
    fn wait(&self, look: &Look, left: Duration) {
        let mut slots = vec![Slot::group(&self.group_id)];
        let mut known = Vec::new();
        let mut time = left;
        match look {
            Look::Assigned(standing) => {
                for (name, partition) in &standing.assigned {
                    if let Ok(topic) = topic::find(&TopicRef::Name(name.clone())) {
                        slots.push(Slot::partition(topic.number, *partition));
                        known.push((name.clone(), *partition, end_of(name, *partition)));
                    }
                }
            }
            Look::Waiting { until } => {
                let due = until.saturating_sub(server::now_ms()).max(1);
                time = time.min(Duration::from_millis(due as u64));
            }
            Look::Due => return,
        }
        let group_ids = [self.group_id.clone()];
        let version = group::versions(&group_ids);
        wake::wait(slots.into_iter(), time, None, || {
            let moved = known
                .iter()
                .any(|(topic, partition, end)| end_of(topic, *partition) != *end);
            (moved || group::versions(&group_ids) != version).then_some(())
        });
    }
}

/// The partition's high watermark; None where it is gone.
fn end_of(topic: &str, partition: i32) -> Option<i64> {
    let (topic, log) = topic::open(&TopicRef::Name(topic.to_owned()), LockMode::Read).ok()?;
    topic.check_partition(partition).ok()?;
    Some(log::watermarks(&topic, &log, partition).high_watermark)
}
