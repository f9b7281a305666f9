//! Groups as an administrator sees them: listed, described, deleted, waited for. What the
//! clock has made of a group since its last step is shown, not written, so that a standby
//! answers too.

use std::collections::BTreeMap;

use kafka_core::error::KafkaError;
use kafka_core::group::{Group, MemberView, TopicId, TopicKey};
use pgrx::Uuid;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::api::Fault;
use crate::api::fetch::timestamp;
use crate::raise::ok;
use crate::store::group::{self, Listed};
use crate::store::wake::{self, Slot};
use crate::store::{server, topic, wait_duration};

/// The group as it is at this moment.
pub(in crate::api) fn current(group_id: &str) -> Result<Group, KafkaError> {
    let mut group = group::read(group_id).ok_or_else(|| KafkaError::GroupIdNotFound {
        group_id: group_id.to_owned(),
    })?;
    group.advance(&group::context());
    Ok(group)
}

#[pg_extern(sql = false)]
fn list_groups(
    states: Option<Vec<Option<String>>>,
    types: Option<Vec<Option<String>>>,
) -> TableIterator<
    'static,
    (
        name!(group_id, String),
        name!(group_type, String),
        name!(state, String),
        name!(protocol_type, Option<String>),
        name!(protocol_name, Option<String>),
        name!(generation_id, i32),
        name!(member_count, i32),
    ),
> {
    let now = server::now_ms();
    let is_wanted = |wanted: &Option<Vec<Option<String>>>, found: &str| {
        let mut wanted = wanted.iter().flatten().flatten().peekable();
        wanted.peek().is_none() || wanted.any(|name| name.eq_ignore_ascii_case(found))
    };
    let rows: Vec<_> = group::list()
        .into_iter()
        .map(|listed| as_of(listed, now))
        .filter(|listed| is_wanted(&states, &listed.state) && is_wanted(&types, &listed.group_type))
        .map(|listed| {
            (
                listed.group_id,
                listed.group_type,
                listed.state,
                listed.protocol_type,
                listed.protocol_name,
                listed.generation_id,
                listed.member_count,
            )
        })
        .collect();
    TableIterator::new(rows)
}

/// Only groups in which something is due differ from what is stored.
fn as_of(mut listed: Listed, now: i64) -> Listed {
    if listed.next_deadline.is_some_and(|due| due <= now)
        && let Ok(group) = current(&listed.group_id)
    {
        let config = group::context().consumer;
        let overview = group.overview(&config);
        overview.state.clone_into(&mut listed.state);
        listed.protocol_type = overview.protocol_type.map(str::to_owned);
        listed.protocol_name = overview.protocol_name.map(str::to_owned);
        listed.generation_id = overview.generation_id;
        listed.member_count = group.members(&config).len() as i32;
    }
    listed
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn describe_groups(
    group_ids: Option<Vec<Option<String>>>,
) -> TableIterator<
    'static,
    (
        name!(idx, i32),
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(group_id, String),
        name!(group_type, Option<String>),
        name!(state, String),
        name!(protocol_type, Option<String>),
        name!(protocol_name, Option<String>),
        name!(generation_id, Option<i32>),
        name!(assignment_epoch, Option<i32>),
        name!(leader, Option<String>),
        name!(member_id, Option<String>),
        name!(group_instance_id, Option<String>),
        name!(member_type, Option<String>),
        name!(member_epoch, Option<i32>),
        name!(member_state, Option<String>),
        name!(client_id, Option<String>),
        name!(client_host, Option<String>),
        name!(rack_id, Option<String>),
        name!(subscribed_topics, Option<Vec<String>>),
        name!(subscribed_topic_regex, Option<String>),
        name!(metadata, Option<Vec<u8>>),
        name!(assignment, Option<Vec<u8>>),
        name!(assigned_topics, Option<Vec<String>>),
        name!(assigned_topic_ids, Option<Vec<Option<Uuid>>>),
        name!(assigned_partitions, Option<Vec<i32>>),
        name!(target_topics, Option<Vec<String>>),
        name!(target_topic_ids, Option<Vec<Option<Uuid>>>),
        name!(target_partitions, Option<Vec<i32>>),
        name!(session_timeout_ms, Option<i32>),
        name!(rebalance_timeout_ms, Option<i32>),
        name!(last_heartbeat, Option<TimestampWithTimeZone>),
    ),
> {
    let group_ids = match group_ids {
        Some(ids) => ok(crate::api::elements("group_ids", Some(ids))),
        None => group::ids(),
    };
    let topics = TopicIds::read();
    let config = group::context().consumer;
    let mut rows = Vec::new();
    for (idx, group_id) in (1..).zip(group_ids) {
        let found = current(&group_id);
        let fault = Fault::of(&found);
        let Ok(found) = found else {
            rows.push(row(idx, fault, group_id, None, None, &topics));
            continue;
        };
        let members = found.members(&config);
        if members.is_empty() {
            rows.push(row(idx, fault, group_id, Some(&found), None, &topics));
            continue;
        }
        for member in members {
            let group_id = group_id.clone();
            let fault = Fault::default();
            rows.push(row(
                idx,
                fault,
                group_id,
                Some(&found),
                Some(member),
                &topics,
            ));
        }
    }
    TableIterator::new(rows)
}

/// Ids and names of all topics.
struct TopicIds {
    by_name: BTreeMap<String, Uuid>,
    by_id: BTreeMap<TopicId, String>,
}

impl TopicIds {
    fn read() -> Self {
        let topics = topic::all();
        Self {
            by_name: topics.iter().map(|t| (t.name.clone(), t.id)).collect(),
            by_id: topics
                .iter()
                .map(|t| (*t.id.as_bytes(), t.name.clone()))
                .collect(),
        }
    }

    /// Pairs of topic and partition as three columns; those of topics known by an id that
    /// no topic has (any more) are left out.
    fn columns(
        &self,
        partitions: Vec<(TopicKey, i32)>,
    ) -> (Vec<String>, Vec<Option<Uuid>>, Vec<i32>) {
        let (mut names, mut ids, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for (topic, partition) in partitions {
            let name = match topic {
                TopicKey::Name(name) => name,
                TopicKey::Id(id) => match self.by_id.get(&id) {
                    Some(name) => name.clone(),
                    None => continue,
                },
            };
            ids.push(self.by_name.get(&name).copied());
            names.push(name);
            numbers.push(partition);
        }
        (names, ids, numbers)
    }
}

type DescribedRow = (
    i32,
    i16,
    Option<String>,
    String,
    Option<String>,
    String,
    Option<String>,
    Option<String>,
    Option<i32>,
    Option<i32>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i32>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<String>>,
    Option<String>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<Vec<String>>,
    Option<Vec<Option<Uuid>>>,
    Option<Vec<i32>>,
    Option<Vec<String>>,
    Option<Vec<Option<Uuid>>>,
    Option<Vec<i32>>,
    Option<i32>,
    Option<i32>,
    Option<TimestampWithTimeZone>,
);

fn row(
    idx: i32,
    fault: Fault,
    group_id: String,
    group: Option<&Group>,
    member: Option<MemberView>,
    topics: &TopicIds,
) -> DescribedRow {
    let config = group::context().consumer;
    let overview = group.map(|group| group.overview(&config));
    let (o, m) = (overview.as_ref(), member.as_ref());
    let text = |text: &str| Some(text.to_owned());
    let assigned = m
        .and_then(|m| m.assigned.clone())
        .map(|a| topics.columns(a));
    let (assigned_topics, assigned_ids, assigned) = unzip(assigned);
    let target = m.and_then(|m| m.target.clone()).map(|a| topics.columns(a));
    let (target_topics, target_ids, target) = unzip(target);
    (
        idx,
        fault.code,
        fault.message,
        group_id,
        group.and_then(|group| text(group.type_name())),
        o.map_or("Dead", |o| o.state).to_owned(),
        o.and_then(|o| o.protocol_type.map(str::to_owned)),
        o.and_then(|o| o.protocol_name.map(str::to_owned)),
        o.map(|o| o.generation_id),
        o.and_then(|o| o.assignment_epoch),
        o.and_then(|o| o.leader.map(str::to_owned)),
        m.map(|m| m.member_id.clone()),
        m.and_then(|m| m.group_instance_id.clone()),
        m.and_then(|m| text(m.member_type)),
        m.and_then(|m| m.member_epoch),
        m.and_then(|m| text(m.state)),
        m.map(|m| m.client_id.clone()),
        m.map(|m| m.client_host.clone()),
        m.and_then(|m| m.rack_id.clone()),
        m.and_then(|m| m.subscribed_topics.clone()),
        m.and_then(|m| m.subscribed_topic_regex.clone()),
        m.and_then(|m| m.metadata.clone()),
        m.and_then(|m| m.assignment.clone()),
        assigned_topics,
        assigned_ids,
        assigned,
        target_topics,
        target_ids,
        target,
        m.map(|m| m.session_timeout_ms),
        m.map(|m| m.rebalance_timeout_ms),
        m.and_then(|m| timestamp(m.heartbeat_at)),
    )
}

fn unzip<A, B, C>(columns: Option<(A, B, C)>) -> (Option<A>, Option<B>, Option<C>) {
    match columns {
        Some((a, b, c)) => (Some(a), Some(b), Some(c)),
        None => (None, None, None),
    }
}

#[pg_extern(sql = false)]
fn describe_group(
    group_id: &str,
) -> TableIterator<
    'static,
    (
        name!(group_type, String),
        name!(state, String),
        name!(protocol_name, Option<String>),
        name!(generation_id, i32),
        name!(member_id, Option<String>),
        name!(group_instance_id, Option<String>),
        name!(client_id, Option<String>),
        name!(client_host, Option<String>),
        name!(subscribed_topics, Option<Vec<String>>),
        name!(assigned_topics, Option<Vec<String>>),
        name!(assigned_partitions, Option<Vec<i32>>),
        name!(last_heartbeat, Option<TimestampWithTimeZone>),
    ),
> {
    let group = ok(current(group_id));
    let config = group::context().consumer;
    let topics = TopicIds::read();
    let members = group.members(&config);
    let members: Vec<Option<MemberView>> = if members.is_empty() {
        vec![None]
    } else {
        members.into_iter().map(Some).collect()
    };
    let overview = group.overview(&config);
    let rows: Vec<_> = members
        .into_iter()
        .map(|member| {
            let m = member.as_ref();
            let assigned = m.and_then(|m| m.assigned.clone());
            let (names, _, partitions) = unzip(assigned.map(|a| topics.columns(a)));
            (
                group.type_name().to_owned(),
                overview.state.to_owned(),
                overview.protocol_name.map(str::to_owned),
                overview.generation_id,
                m.map(|m| m.member_id.clone()),
                m.and_then(|m| m.group_instance_id.clone()),
                m.map(|m| m.client_id.clone()),
                m.map(|m| m.client_host.clone()),
                m.and_then(|m| m.subscribed_topics.clone()),
                names,
                partitions,
                m.and_then(|m| timestamp(m.heartbeat_at)),
            )
        })
        .collect();
    TableIterator::new(rows)
}

#[pg_extern(sql = false)]
fn delete_group(group_id: &str) {
    server::require_writable(c"kafka.delete_group()");
    let (deleted, _) = group::step(group_id, |stored, context| {
        let Some(group) = stored else {
            return Err(KafkaError::GroupIdNotFound {
                group_id: group_id.to_owned(),
            });
        };
        group.advance(context);
        if !group.is_empty() {
            return Err(KafkaError::NonEmptyGroup {
                group_id: group_id.to_owned(),
            });
        }
        *stored = None;
        Ok(())
    });
    ok(deleted);
}

/// The version of a group that does not exist (any more).
const GONE: i64 = -1;

#[pg_extern(sql = false)]
fn wait_for_groups(
    group_ids: Option<Vec<Option<String>>>,
    versions: Option<Vec<Option<i64>>>,
    max_wait_ms: Option<i32>,
    waiter: Option<i32>,
) -> TableIterator<'static, (name!(idx, i32), name!(version, i64))> {
    let group_ids = ok(crate::api::elements("group_ids", group_ids));
    let versions = ok(crate::api::elements("versions", versions));
    let max_wait_ms = ok(crate::api::required("max_wait_ms", max_wait_ms));
    ok(crate::api::check_lengths(&[
        ("group_ids", group_ids.len()),
        ("versions", versions.len()),
    ]));
    let found = wake::wait(
        group_ids.iter().map(|id| Slot::group(id)),
        wait_duration(max_wait_ms),
        waiter,
        || {
            let now = group::versions(&group_ids);
            let changed: Vec<(i32, i64)> = (1..)
                .zip(group_ids.iter().zip(&versions))
                .filter_map(|(idx, (id, known))| {
                    let version = now.get(id).copied().unwrap_or(GONE);
                    (version != *known).then_some((idx, version))
                })
                .collect();
            (!changed.is_empty()).then_some(changed)
        },
    );
    TableIterator::new(found.unwrap_or_default())
}
