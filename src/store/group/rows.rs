//! Rows of groups and members, read and written.

mod classic;
mod consumer;

use std::collections::BTreeMap;

use kafka_core::group::{Context, Group};
use kafka_core::group::{classic::Member as ClassicMember, consumer::Member as ConsumerMember};

use super::Stored;
use crate::store::sql::{self, Row, param};

/// Both tables in one statement, so that they fit together without a lock.
macro_rules! select {
    ($members:literal) => {
        concat!(
            "SELECT g.group_type, g.version, g.next_deadline, g.state, g.generation_id, g.protocol_type,
                g.protocol_name, g.leader, g.deadline, g.initial_deadline, g.reason,
                m.member_id, m.heartbeat_at, m.session_timeout_ms, m.rebalance_timeout_ms,
                m.group_instance_id, m.client_id, m.client_host, m.phase, m.protocol_names,
                m.protocol_metadata, m.assignment, g.assignment_epoch, g.metadata_hash,
                m.member_epoch, m.previous_member_epoch, m.member_state, m.rack_id,
                m.subscribed_topics, m.subscribed_topic_regex, m.server_assignor, m.assigned,
                m.pending_revocation, m.target, m.revoke_deadline, m.rejoin_deadline
             FROM kafka_log.groups AS g
             LEFT JOIN kafka_log.group_members AS m ON m.group_id OPERATOR(pg_catalog.=) g.group_id",
            $members,
            " WHERE g.group_id OPERATOR(pg_catalog.=) $1"
        )
    };
}

pub(super) fn read(group_id: &str) -> Option<Stored> {
    collect(group_id, |add| {
        sql::query(select!(""), &[param(group_id)], add);
    })
}

/// The group with this member only, if it is one.
pub(super) fn read_with(group_id: &str, member_id: &str) -> Option<Stored> {
    collect(group_id, |add| {
        let text = select!(" AND m.member_id OPERATOR(pg_catalog.=) $2");
        sql::query(text, &[param(group_id), param(member_id)], add);
    })
}

fn collect(group_id: &str, query: impl FnOnce(&mut dyn FnMut(&Row))) -> Option<Stored> {
    let mut stored: Option<Stored> = None;
    query(&mut |row| {
        let stored = stored.get_or_insert_with(|| Stored {
            version: row.required(2),
            next_deadline: row.get(3),
            topics_due: consumer::topics_due(row),
            group: match row.required::<String>(1).as_str() {
                "consumer" => Group::Consumer(consumer::group(group_id, row)),
                _ => Group::Classic(classic::group(group_id, row)),
            },
        });
        let Some(member_id) = row.get::<String>(12) else {
            return;
        };
        let started = crate::store::server::started_ms();
        match &mut stored.group {
            Group::Classic(group) => {
                let mut member = classic::member(row);
                member.outlive_restart(started);
                group.members.insert(member_id, member);
            }
            Group::Consumer(group) => {
                let mut member = consumer::member(member_id.clone(), row);
                member.outlive_restart(started);
                group.members.insert(member_id, member);
            }
        }
    });
    stored
}

/// Writes the group's own row; returns its new version.
pub(super) fn save_group(group_id: &str, group: &Group, context: &Context<'_>) -> i64 {
    let next_deadline = group.next_deadline(context);
    match group {
        Group::Classic(classic) => classic::save_group(group_id, classic, next_deadline),
        Group::Consumer(consumer) => {
            let overview = group.overview(&context.consumer);
            let topics_due = super::topics_due(context);
            consumer::save_group(group_id, consumer, &overview, next_deadline, topics_due)
        }
    }
}

/// `topics_due`: only where the server assigns.
pub(super) fn save_deadlines(group_id: &str, next_deadline: Option<i64>, topics_due: Option<i64>) {
    sql::execute(
        "UPDATE kafka_log.groups SET next_deadline = $2, deadline = coalesce($3, deadline)
         WHERE group_id OPERATOR(pg_catalog.=) $1",
        &[param(group_id), param(next_deadline), param(topics_due)],
    );
}

/// Writes the members that are different now, and deletes those that are gone.
pub(super) fn save_members(
    group_id: &str,
    before: Option<&Group>,
    after: &Group,
    context: &Context<'_>,
) {
    match (before, after) {
        (Some(Group::Classic(before)), Group::Classic(after)) => {
            save_changes(
                group_id,
                &before.members,
                &after.members,
                classic::save_member,
            );
        }
        (Some(Group::Consumer(before)), Group::Consumer(after)) => {
            let save = |group_id: &str, _: &str, member: &ConsumerMember| {
                consumer::save_member(group_id, member, &context.consumer);
            };
            save_changes(group_id, &before.members, &after.members, save);
        }
        (before, after) => {
            if before.is_some() {
                delete_all_members(group_id);
            }
            match after {
                Group::Classic(after) => {
                    for (id, member) in &after.members {
                        classic::save_member(group_id, id, member);
                    }
                }
                Group::Consumer(after) => {
                    for member in after.members.values() {
                        consumer::save_member(group_id, member, &context.consumer);
                    }
                }
            }
        }
    }
}

/// A member that is known by when it was last heard of, among other things.
trait Heard: Clone + PartialEq {
    fn heartbeat_at(&mut self) -> &mut i64;
}

impl Heard for ClassicMember {
    fn heartbeat_at(&mut self) -> &mut i64 {
        &mut self.heartbeat_at
    }
}

impl Heard for ConsumerMember {
    fn heartbeat_at(&mut self) -> &mut i64 {
        &mut self.heartbeat_at
    }
}

fn save_changes<M: Heard>(
    group_id: &str,
    before: &BTreeMap<String, M>,
    after: &BTreeMap<String, M>,
    save: impl Fn(&str, &str, &M),
) {
    let gone: Vec<&str> = before
        .keys()
        .filter(|id| !after.contains_key(*id))
        .map(String::as_str)
        .collect();
    delete_members(group_id, gone);
    for (id, member) in after {
        match before.get(id) {
            Some(old) if old == member => {}
            Some(old) => {
                let heartbeat_at = *member.clone().heartbeat_at();
                let mut old = old.clone();
                *old.heartbeat_at() = heartbeat_at;
                if old == *member {
                    save_heartbeat(group_id, id, heartbeat_at);
                } else {
                    save(group_id, id, member);
                }
            }
            None => save(group_id, id, member),
        }
    }
}

fn delete_all_members(group_id: &str) {
    sql::execute(
        "DELETE FROM kafka_log.group_members WHERE group_id OPERATOR(pg_catalog.=) $1",
        &[param(group_id)],
    );
}

fn delete_members(group_id: &str, member_ids: Vec<&str>) {
    if !member_ids.is_empty() {
        sql::execute(
            "DELETE FROM kafka_log.group_members
             WHERE group_id OPERATOR(pg_catalog.=) $1 AND member_id OPERATOR(pg_catalog.=) ANY ($2)",
            &[param(group_id), param(member_ids)],
        );
    }
}

fn save_heartbeat(group_id: &str, member_id: &str, heartbeat_at: i64) {
    sql::execute(
        "UPDATE kafka_log.group_members SET heartbeat_at = $3
         WHERE group_id OPERATOR(pg_catalog.=) $1 AND member_id OPERATOR(pg_catalog.=) $2",
        &[param(group_id), param(member_id), param(heartbeat_at)],
    );
}
