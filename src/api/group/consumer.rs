//! The heartbeat of members whose group the server assigns (KIP-848).

use std::collections::{BTreeMap, BTreeSet};

use kafka_core::error::KafkaError;
use kafka_core::group::consumer::{self, Heartbeat, HeartbeatReply};
use kafka_core::group::{Partitions, TopicId};
use pgrx::Uuid;
use pgrx::prelude::*;

use super::{check_group_id, given, step};
use crate::api::Fault;
use crate::raise::ok;
use crate::store::{group, server, topic};

type HeartbeatRow = (
    i16,
    Option<String>,
    Option<String>,
    Option<i32>,
    Option<i32>,
    Option<Vec<Uuid>>,
    Option<Vec<Option<String>>>,
    Option<Vec<i32>>,
);

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn consumer_group_heartbeat(
    group_id: Option<&str>,
    member_id: Option<&str>,
    member_epoch: Option<i32>,
    subscribed_topics: Option<Vec<Option<String>>>,
    subscribed_topic_regex: Option<&str>,
    owned_topic_ids: Option<Vec<Option<Uuid>>>,
    owned_partitions: Option<Vec<Option<i32>>>,
    group_instance_id: Option<&str>,
    rack_id: Option<&str>,
    rebalance_timeout_ms: Option<i32>,
    server_assignor: Option<&str>,
    client_id: Option<&str>,
    client_host: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(member_id, Option<String>),
        name!(member_epoch, Option<i32>),
        name!(heartbeat_interval_ms, Option<i32>),
        name!(assigned_topic_ids, Option<Vec<Uuid>>),
        name!(assigned_topics, Option<Vec<Option<String>>>),
        name!(assigned_partitions, Option<Vec<i32>>),
    ),
> {
    server::require_writable(c"kafka.consumer_group_heartbeat()");
    let group_id = ok(crate::api::required("group_id", group_id));
    let (client_id, client_host) = group::client(client_id, client_host);
    let topics =
        subscribed_topics.map(|topics| ok(crate::api::elements("subscribed_topics", Some(topics))));
    let text = |text: Option<&str>| text.map(str::to_owned);
    let member_epoch = member_epoch.unwrap_or(consumer::JOIN_EPOCH);
    let joins = member_epoch == consumer::JOIN_EPOCH;
    let owned = ok(owned(owned_topic_ids, owned_partitions));
    let request = Heartbeat {
        member_id: member_id.unwrap_or_default().to_owned(),
        new_member_id: Some(server::random_uuid()),
        member_epoch,
        instance_id: given(group_instance_id),
        rack_id: given(rack_id),
        client_id,
        client_host,
        rebalance_timeout_ms: rebalance_timeout_ms
            .or(joins.then_some(super::join::REBALANCE_TIMEOUT_MS))
            .filter(|ms| *ms >= 0),
        subscribed_topics: topics,
        subscribed_regex: text(subscribed_topic_regex),
        server_assignor: given(server_assignor),
        owned: owned.or(joins.then(Partitions::new)),
    };
    TableIterator::once(row(beat(group_id, &request)))
}

fn owned(
    topic_ids: Option<Vec<Option<Uuid>>>,
    partitions: Option<Vec<Option<i32>>>,
) -> Result<Option<Partitions>, KafkaError> {
    if topic_ids.is_none() && partitions.is_none() {
        return Ok(None);
    }
    let ids = crate::api::elements("owned_topic_ids", topic_ids)?;
    let partitions = crate::api::elements("owned_partitions", partitions)?;
    crate::api::check_lengths(&[
        ("owned_topic_ids", ids.len()),
        ("owned_partitions", partitions.len()),
    ])?;
    let mut owned: BTreeMap<TopicId, BTreeSet<i32>> = BTreeMap::new();
    for (id, partition) in ids.iter().zip(partitions) {
        owned.entry(*id.as_bytes()).or_default().insert(partition);
    }
    Ok(Some(owned))
}

/// Takes a heartbeat: without the group's lock where only its time is to be noted.
pub(in crate::api) fn beat(
    group_id: &str,
    request: &Heartbeat,
) -> Result<HeartbeatReply, KafkaError> {
    check_group_id(group_id)?;
    let quiet = group::note_consumer_heartbeat(group_id, &request.member_id, |member, epoch| {
        consumer::is_quiet(member, epoch, request)
    });
    if let Some(member_epoch) = quiet {
        return Ok(HeartbeatReply {
            member_id: request.member_id.clone(),
            member_epoch,
            heartbeat_interval_ms: group::context().consumer.heartbeat_interval_ms,
            assignment: None,
        });
    }
    step(group_id, |group, context| {
        group.consumer_heartbeat(request, context)
    })
    .reply
}

fn row(reply: Result<HeartbeatReply, KafkaError>) -> HeartbeatRow {
    let fault = Fault::of(&reply);
    let Ok(reply) = reply else {
        return (
            fault.code,
            fault.message,
            None,
            None,
            None,
            None,
            None,
            None,
        );
    };
    let (ids, names, partitions) = match reply.assignment.map(columns) {
        Some((ids, names, partitions)) => (Some(ids), Some(names), Some(partitions)),
        None => (None, None, None),
    };
    (
        fault.code,
        fault.message,
        Some(reply.member_id),
        Some(reply.member_epoch),
        Some(reply.heartbeat_interval_ms),
        ids,
        names,
        partitions,
    )
}

type Columns = (Vec<Uuid>, Vec<Option<String>>, Vec<i32>);

fn columns(assignment: Partitions) -> Columns {
    let mut columns = Columns::default();
    for (id, partitions) in assignment {
        let found = topic::find(&topic::TopicRef::Id(id)).ok();
        for partition in partitions {
            columns.0.push(Uuid::from_bytes(id));
            columns
                .1
                .push(found.as_ref().map(|topic| topic.name.clone()));
            columns.2.push(partition);
        }
    }
    columns
}
