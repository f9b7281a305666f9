//! `kafka.join_group`.

use kafka_core::assign::{Assignor, subscription_bytes};
use kafka_core::consumer_protocol::{NO_GENERATION, PROTOCOL_TYPE, TopicPartitions};
use kafka_core::error::KafkaError;
use kafka_core::group::Group;
use kafka_core::group::classic::{Join, JoinReply, Joined, JoinedMember};
use pgrx::Array;
use pgrx::prelude::*;

use super::{Step, byteas, check_group_id, given, next, step, wait_ms};
use crate::api::{Fault, check_lengths, elements, required};
use crate::raise::ok;
use crate::store::{group, server};

/// Protocols that a SQL member offers, the preferred one first.
const SQL_PROTOCOLS: [Assignor; 4] = Assignor::ALL;
pub(in crate::api) const SESSION_TIMEOUT_MS: i32 = 45_000;
pub(super) const REBALANCE_TIMEOUT_MS: i32 = 300_000;

type JoinRow = (
    i16,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i32>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<bool>,
    Option<Vec<String>>,
    Option<Vec<Option<String>>>,
    Option<Vec<Vec<u8>>>,
    Option<i32>,
    Option<i64>,
    Option<String>,
);

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn join_group(
    group_id: Option<&str>,
    topics: Option<Vec<Option<String>>>,
    member_id: Option<&str>,
    group_instance_id: Option<&str>,
    session_timeout_ms: Option<i32>,
    rebalance_timeout_ms: Option<i32>,
    protocol_type: Option<&str>,
    protocols: Option<Vec<Option<String>>>,
    metadata: Option<Array<'_, &[u8]>>,
    client_id: Option<&str>,
    client_host: Option<&str>,
    require_member_id: Option<bool>,
    reason: Option<&str>,
    supports_skipping_assignment: Option<bool>,
) -> TableIterator<
    'static,
    (
        name!(error_code, i16),
        name!(error_message, Option<String>),
        name!(state, Option<String>),
        name!(member_id, Option<String>),
        name!(generation_id, Option<i32>),
        name!(protocol_type, Option<String>),
        name!(protocol_name, Option<String>),
        name!(leader, Option<String>),
        name!(skip_assignment, Option<bool>),
        name!(member_ids, Option<Vec<String>>),
        name!(member_instance_ids, Option<Vec<Option<String>>>),
        name!(member_metadata, Option<Vec<Vec<u8>>>),
        name!(wait_ms, Option<i32>),
        name!(version, Option<i64>),
        name!(next, Option<String>),
    ),
> {
    server::require_writable(c"kafka.join_group()");
    let group_id = ok(required("group_id", group_id));
    let names_client = client_id.is_some() || client_host.is_some();
    let (client_id, client_host) = group::client(client_id, client_host);
    let instance = given(group_instance_id);
    let said = Said {
        topics: topics.map(|topics| ok(elements("topics", Some(topics)))),
        protocols: protocols.map(|names| ok(named_protocols(names, metadata))),
        session_timeout_ms,
        rebalance_timeout_ms,
        client: names_client,
    };
    let join = Join {
        member_id: member_id.unwrap_or_default().to_owned(),
        protocol_type: protocol_type.unwrap_or(PROTOCOL_TYPE).to_owned(),
        require_member_id: require_member_id.unwrap_or(false),
        supports_skipping_assignment: supports_skipping_assignment.unwrap_or(false),
        reason: given(reason),
        ..new_join(&client_id, client_host, instance.as_deref())
    };
    TableIterator::once(join_row(group_id, join, said))
}

/// The join of a consumer that has no id yet.
pub(in crate::api) fn new_join(
    client_id: &str,
    client_host: String,
    instance: Option<&str>,
) -> Join {
    Join {
        member_id: String::new(),
        new_member_id: format!(
            "{}-{}",
            instance.unwrap_or(client_id),
            server::random_uuid()
        ),
        group_instance_id: instance.map(str::to_owned),
        client_id: client_id.to_owned(),
        client_host,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        protocol_type: PROTOCOL_TYPE.to_owned(),
        protocols: Vec::new(),
        require_member_id: false,
        supports_skipping_assignment: false,
        reason: None,
    }
}

/// What a SQL member says of itself in each protocol that it offers.
pub(in crate::api) fn sql_protocols(
    topics: &[String],
    owned: &TopicPartitions,
    generation_id: i32,
) -> Vec<(String, Vec<u8>)> {
    SQL_PROTOCOLS
        .iter()
        .map(|assignor| {
            let metadata = subscription_bytes(*assignor, topics, owned, generation_id);
            (assignor.name().to_owned(), metadata)
        })
        .collect()
}

/// What a joining member may leave out.
pub(in crate::api) struct Said {
    pub(in crate::api) topics: Option<Vec<String>>,
    pub(in crate::api) protocols: Option<Vec<(String, Vec<u8>)>>,
    pub(in crate::api) session_timeout_ms: Option<i32>,
    pub(in crate::api) rebalance_timeout_ms: Option<i32>,
    /// It says which client it is.
    pub(in crate::api) client: bool,
}

/// Protocols by name, with metadata for each.
fn named_protocols(
    names: Vec<Option<String>>,
    metadata: Option<Array<'_, &[u8]>>,
) -> Result<Vec<(String, Vec<u8>)>, KafkaError> {
    let names = elements("protocols", Some(names))?;
    let metadata = byteas("metadata", metadata)?;
    check_lengths(&[("protocols", names.len()), ("metadata", metadata.len())])?;
    Ok(names.into_iter().zip(metadata).collect())
}

impl Said {
    /// Fills in what was left out: a member that asks again goes on as it joined, a new
    /// one gets the defaults.
    fn complete(self, join: &mut Join, group: &Group) -> Result<(), KafkaError> {
        let known = Known::find(group, &join.member_id);
        join.protocols = match (self.protocols, self.topics, known) {
            (Some(protocols), _, _) => protocols,
            (None, Some(topics), _) => {
                sql_protocols(&topics, &TopicPartitions::new(), NO_GENERATION)
            }
            (None, None, Some(member)) => member.protocols.to_vec(),
            (None, None, None) if join.member_id.is_empty() => {
                return Err(KafkaError::InvalidRequest {
                    reason: "a member needs topics, or protocols with their metadata".to_owned(),
                });
            }
            // Unknown, which is for the step to say.
            (None, None, None) => vec![(String::new(), Vec::new())],
        };
        if let Some(member) = known {
            if !self.client {
                member.client_id.clone_into(&mut join.client_id);
                member.client_host.clone_into(&mut join.client_host);
            }
            join.session_timeout_ms = member.session_timeout_ms;
            join.rebalance_timeout_ms = member.rebalance_timeout_ms;
            join.group_instance_id = join
                .group_instance_id
                .take()
                .or_else(|| member.group_instance_id.map(str::to_owned));
        }
        join.session_timeout_ms = self.session_timeout_ms.unwrap_or(join.session_timeout_ms);
        join.rebalance_timeout_ms = self
            .rebalance_timeout_ms
            .unwrap_or(join.rebalance_timeout_ms);
        Ok(())
    }
}

/// A member as it has joined by the classic protocol.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    client_id: &'a str,
    client_host: &'a str,
    group_instance_id: Option<&'a str>,
    session_timeout_ms: i32,
    rebalance_timeout_ms: i32,
    pub(super) protocols: &'a [(String, Vec<u8>)],
}

impl<'a> Known<'a> {
    pub(super) fn find(group: &'a Group, member_id: &str) -> Option<Self> {
        match group {
            Group::Classic(group) => group.members.get(member_id).map(|member| Self {
                client_id: &member.client_id,
                client_host: &member.client_host,
                group_instance_id: member.group_instance_id.as_deref(),
                session_timeout_ms: member.session_timeout_ms,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                protocols: &member.protocols,
            }),
            Group::Consumer(group) => {
                let member = group.members.get(member_id)?;
                let classic = member.classic.as_ref()?;
                Some(Self {
                    client_id: &member.client_id,
                    client_host: &member.client_host,
                    group_instance_id: member.instance_id.as_deref(),
                    session_timeout_ms: classic.session_timeout_ms,
                    rebalance_timeout_ms: member.rebalance_timeout_ms,
                    protocols: &classic.protocols,
                })
            }
        }
    }
}

/// Joins, or asks again about a join that had to wait.
pub(in crate::api) fn join(group_id: &str, mut join: Join, said: Said) -> Step<JoinReply> {
    step(group_id, |group, context| {
        check_group_id(group_id)?;
        said.complete(&mut join, group)?;
        group.join(join, context)
    })
}

fn join_row(group_id: &str, request: Join, said: Said) -> JoinRow {
    let Step {
        reply,
        group,
        version,
    } = join(group_id, request, said);
    let fault = Fault::of(&reply);
    let next = next::after_join(group_id, &reply);
    let state = group.map(|group| group.state_name().to_owned());
    let mut row: JoinRow = (
        fault.code,
        fault.message,
        state,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        Some(version),
        next,
    );
    match reply {
        Err(_) => {}
        Ok(JoinReply::MemberIdRequired { member_id }) => {
            let error = KafkaError::MemberIdRequired {
                member_id: member_id.clone(),
            };
            (row.0, row.1) = (error.code(), Some(error.to_string()));
            row.3 = Some(member_id);
        }
        Ok(JoinReply::Parked { member_id, until }) => {
            row.3 = Some(member_id);
            row.12 = Some(wait_ms(until));
        }
        Ok(JoinReply::Joined(joined)) => fill_joined(&mut row, joined),
    }
    row
}

fn fill_joined(row: &mut JoinRow, joined: Joined) {
    let Joined {
        member_id,
        generation_id,
        protocol_type,
        protocol_name,
        leader,
        members,
        skip_assignment,
    } = joined;
    row.3 = Some(member_id);
    row.4 = Some(generation_id);
    row.5 = Some(protocol_type);
    row.6 = Some(protocol_name);
    row.7 = Some(leader);
    row.8 = Some(skip_assignment);
    if members.is_empty() {
        return;
    }
    let (mut ids, mut instances, mut metadata) = (Vec::new(), Vec::new(), Vec::new());
    for JoinedMember {
        member_id,
        group_instance_id,
        metadata: data,
    } in members
    {
        ids.push(member_id);
        instances.push(group_instance_id);
        metadata.push(data);
    }
    row.9 = Some(ids);
    row.10 = Some(instances);
    row.11 = Some(metadata);
}
