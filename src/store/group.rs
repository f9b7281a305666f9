//! Groups as rows: one of `kafka_log.groups`, and one of `kafka_log.group_members` for each
//! member. A step reads them under the group's lock, changes them as `kafka_core` says, and
//! writes what is different. The lock is held to the end of the transaction, since nobody
//! else sees what was written before that.
mod rows;

use std::collections::BTreeMap;

use kafka_core::group::{Context, Group, Topic, Topics, classic, consumer};
use pgrx::pg_sys;

use super::server::{LockKind, lock_tag};
use super::sql::{self, param};
use super::wake::{self, Slot};

/// Groups that the server assigns look for changed topics so often, when they are called.
const TOPICS_REFRESH_MS: i64 = 5000;

/// What was read of a group.
struct Stored {
    group: Group,
    version: i64,
    /// A lower bound of the time at which something is due; heartbeats do not raise it.
    next_deadline: Option<i64>,
    /// When the topics are to be looked at again, where the server assigns.
    topics_due: Option<i64>,
}

impl Stored {
    fn is_due(&self, context: &Context<'_>) -> bool {
        let due = [self.next_deadline, self.topics_due];
        due.into_iter().flatten().any(|due| due <= context.now)
    }
}

/// How a call wants the group to itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupLock {
    /// A step that may change the group.
    Step,
    /// A commit of offsets, during which no step may happen.
    Commit,
}

/// Takes the group's lock to the end of the transaction.
pub(crate) fn lock(group_id: &str, how: GroupLock) {
    let mode = match how {
        GroupLock::Step => pg_sys::ExclusiveLock,
        GroupLock::Commit => pg_sys::ShareLock,
    };
    super::server::lock(&group_lock(group_id), mode);
}

fn group_lock(group_id: &str) -> pg_sys::LOCKTAG {
    let hash = kafka_core::partitioner::murmur2(group_id.as_bytes());
    lock_tag(hash as i32, 0, LockKind::Group)
}

/// Changes a group under its lock. What is due in it is done first, whatever the step is:
/// it will not be due any more afterwards. `step` gets None for a group that does not exist, and
/// leaves None for one that is not to exist. Returns what `step` returns, and the version
/// by which a change of the group can be waited for.
pub(crate) fn step<T>(
    group_id: &str,
    step: impl FnOnce(&mut Option<Group>, &Context<'_>) -> T,
) -> (T, i64) {
    lock(group_id, GroupLock::Step);
    let before = rows::read(group_id);
    let mut group = before.as_ref().map(|stored| stored.group.clone());
    let context = context();
    let is_due = before
        .as_ref()
        .is_some_and(|stored| stored.is_due(&context));
    if let Some(group) = group.as_mut().filter(|_| is_due) {
        group.advance(&context);
    }
    let result = step(&mut group, &context);
    let version = save(group_id, before.as_ref(), group.as_ref(), &context);
    (result, version)
}

/// Does what is due in a group, unless somebody else is at it.
pub(crate) fn try_advance(group_id: &str) -> bool {
    let free = super::server::try_lock(&group_lock(group_id));
    if free {
        step(group_id, |_, _| ());
    }
    free
}

/// The time, the settings and the topics of this moment.
pub(crate) fn context() -> Context<'static> {
    use crate::guc;
    Context {
        now: super::server::now_ms(),
        classic: classic::Config {
            min_session_timeout_ms: guc::group_min_session_timeout_ms(),
            max_session_timeout_ms: guc::group_max_session_timeout_ms(),
            initial_rebalance_delay_ms: guc::group_initial_rebalance_delay_ms(),
            max_size: guc::group_max_size(),
        },
        consumer: consumer::Config {
            session_timeout_ms: guc::group_consumer_session_timeout_ms(),
            heartbeat_interval_ms: guc::group_consumer_heartbeat_interval_ms(),
            max_size: guc::group_max_size(),
            ..consumer::Config::default()
        },
        topics: &topics,
    }
}

fn topics() -> Topics {
    let topic = |t: &super::topic::Topic| Topic {
        id: *t.id.as_bytes(),
        partitions: t.partitions,
    };
    super::topic::all()
        .iter()
        .map(|t| (t.name.clone(), topic(t)))
        .collect()
}

/// The group as it is stored, without a lock.
pub(crate) fn read(group_id: &str) -> Option<Group> {
    rows::read(group_id).map(|stored| stored.group)
}

/// The ids of all groups, in order.
pub(crate) fn ids() -> Vec<String> {
    sql::query(
        "SELECT group_id FROM kafka_log.groups ORDER BY group_id",
        &[],
        |row| row.required(1),
    )
}

/// A group in a listing, as it is stored.
pub(crate) struct Listed {
    pub(crate) group_id: String,
    pub(crate) group_type: String,
    pub(crate) state: String,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol_name: Option<String>,
    pub(crate) generation_id: i32,
    pub(crate) member_count: i32,
    pub(crate) next_deadline: Option<i64>,
}

/// All groups, in the order of their ids.
pub(crate) fn list() -> Vec<Listed> {
    sql::query(
        "SELECT g.group_id, g.group_type, g.state, g.protocol_type, g.protocol_name, g.generation_id,
                (SELECT pg_catalog.count(*) FROM kafka_log.group_members AS m
                 WHERE m.group_id OPERATOR(pg_catalog.=) g.group_id
                   AND (m.phase IS NULL OR m.phase OPERATOR(pg_catalog.<>) 'Pending'))::pg_catalog.int4,
                g.next_deadline
         FROM kafka_log.groups AS g ORDER BY g.group_id",
        &[],
        |row| Listed {
            group_id: row.required(1),
            group_type: row.required(2),
            state: row.required(3),
            protocol_type: row.get(4),
            protocol_name: row.get(5),
            generation_id: row.required(6),
            member_count: row.required(7),
            next_deadline: row.get(8),
        },
    )
}

/// Groups in which something is due at `now` (epoch milliseconds), in order.
pub(crate) fn due(now: i64) -> Vec<String> {
    sql::query(
        "SELECT group_id FROM kafka_log.groups WHERE next_deadline OPERATOR(pg_catalog.<=) $1 ORDER BY group_id",
        &[param(now)],
        |row| row.required(1),
    )
}

/// The versions of those groups that exist.
pub(crate) fn versions(group_ids: &[String]) -> BTreeMap<String, i64> {
    let ids: Vec<&str> = group_ids.iter().map(String::as_str).collect();
    sql::query(
        "SELECT group_id, version FROM kafka_log.groups WHERE group_id OPERATOR(pg_catalog.=) ANY ($1)",
        &[param(ids)],
        |row| (row.required(1), row.required(2)),
    )
    .into_iter()
    .collect()
}

fn save(
    group_id: &str,
    before: Option<&Stored>,
    group: Option<&Group>,
    context: &Context<'_>,
) -> i64 {
    let Some(group) = group else {
        if before.is_some() {
            delete(group_id);
        }
        return 0;
    };
    rows::save_members(group_id, before.map(|stored| &stored.group), group, context);
    let unchanged = before.filter(|stored| stored.group.same_but_for_heartbeats(group));
    let Some(stored) = unchanged else {
        wake::touch(Slot::group(group_id));
        return rows::save_group(group_id, group, context);
    };
    let next = group.next_deadline(context);
    let must_lower = match (stored.next_deadline, next) {
        (Some(old), Some(new)) => new < old,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    if must_lower || stored.is_due(context) {
        rows::save_deadlines(
            group_id,
            next,
            stored.topics_due.map(|_| topics_due(context)),
        );
    }
    stored.version
}

fn topics_due(context: &Context<'_>) -> i64 {
    context.now.saturating_add(TOPICS_REFRESH_MS)
}

fn delete(group_id: &str) {
    // Offsets of open transactions go first: who is just ending one is waited for, and what it
    // has committed goes next.
    for text in [
        "DELETE FROM kafka_log.groups WHERE group_id OPERATOR(pg_catalog.=) $1",
        "DELETE FROM kafka_log.group_members WHERE group_id OPERATOR(pg_catalog.=) $1",
        "DELETE FROM kafka_log.transaction_offsets WHERE group_id OPERATOR(pg_catalog.=) $1",
        "DELETE FROM kafka_log.consumer_offsets WHERE group_id OPERATOR(pg_catalog.=) $1",
    ] {
        sql::execute(text, &[param(group_id)]);
    }
    wake::touch(Slot::group(group_id));
}

/// Deletes groups that have neither members nor offsets, and have not had for a while; how
/// many. One that somebody works on is left for the next time.
pub(crate) fn delete_unused() -> i64 {
    let unused: Vec<String> = sql::query(
        "SELECT g.group_id FROM kafka_log.groups AS g
         WHERE g.state OPERATOR(pg_catalog.=) 'Empty' AND g.changed_at OPERATOR(pg_catalog.<)
               (pg_catalog.now() OPERATOR(pg_catalog.-) '10 minutes'::pg_catalog.interval)
           AND NOT EXISTS (SELECT FROM kafka_log.group_members AS m WHERE m.group_id OPERATOR(pg_catalog.=) g.group_id)
           AND NOT EXISTS (SELECT FROM kafka_log.consumer_offsets AS o WHERE o.group_id OPERATOR(pg_catalog.=) g.group_id)
           AND NOT EXISTS (SELECT FROM kafka_log.transaction_offsets AS o WHERE o.group_id OPERATOR(pg_catalog.=) g.group_id)",
        &[],
        |row| row.required(1),
    );
    let mut deleted = 0;
    for group_id in &unused {
        if !super::server::try_lock(&group_lock(group_id)) {
            continue;
        }
        deleted += 1;
        sql::execute(
            "DELETE FROM kafka_log.groups AS g
             WHERE g.group_id OPERATOR(pg_catalog.=) $1 AND g.state OPERATOR(pg_catalog.=) 'Empty'
               AND NOT EXISTS (SELECT FROM kafka_log.group_members AS m WHERE m.group_id OPERATOR(pg_catalog.=) $1)
               AND NOT EXISTS (SELECT FROM kafka_log.consumer_offsets AS o WHERE o.group_id OPERATOR(pg_catalog.=) $1)
               AND NOT EXISTS (SELECT FROM kafka_log.transaction_offsets AS o WHERE o.group_id OPERATOR(pg_catalog.=) $1)",
            &[param(group_id.as_str())],
        );
    }
    deleted
}

/// Judges a member's commit under a lock that keeps steps away to the end of the
/// transaction; `check` sees the group as it is at this moment, and must not change it but
/// for signs of life. None where the group does not exist or has something due: that takes
/// a step.
pub(crate) fn check_commit<T>(
    group_id: &str,
    member_id: &str,
    check: impl FnOnce(&mut Group, &Context<'_>) -> T,
) -> Option<T> {
    // The lock cannot be made exclusive later, so the first look is without one.
    rows::read(group_id).filter(|stored| !stored.is_due(&context()))?;
    lock(group_id, GroupLock::Commit);
    let stored = rows::read(group_id)?;
    let mut group = stored.group.clone();
    let context = context();
    let result = check(&mut group, &context);
    if stored.group != group {
        note_heartbeat_times(&[group_id], &[member_id], context.now);
    }
    Some(result)
}

/// Notes the heartbeat of a member whose group the server assigns, if `is_quiet` says that
/// it changes nothing else; it is asked with the member and the group's epoch. Returns the
/// member's epoch, or None where it takes a step.
pub(crate) fn note_consumer_heartbeat(
    group_id: &str,
    member_id: &str,
    is_quiet: impl FnOnce(&consumer::Member, i32) -> bool,
) -> Option<i32> {
    let context = context();
    let stored = rows::read_with(group_id, member_id).filter(|stored| !stored.is_due(&context))?;
    let Group::Consumer(group) = stored.group else {
        return None;
    };
    let member = group.members.get(member_id)?;
    if !is_quiet(member, group.epoch) {
        return None;
    }
    let timeout_ms = context.consumer.session_timeout_ms;
    if classic::needs_touch(member.heartbeat_at, timeout_ms, context.now) {
        note_heartbeat_times(&[group_id], &[member_id], context.now);
    }
    Some(member.epoch)
}

/// A member's heartbeat, as far as it can be judged without the group's lock.
pub(crate) struct Heartbeat<'a> {
    pub(crate) group_id: &'a str,
    pub(crate) member_id: &'a str,
    pub(crate) group_instance_id: Option<&'a str>,
    pub(crate) generation_id: i32,
}

/// Which of the heartbeats are well and need nothing but their time noted, which is done
/// here. The others need a step.
pub(crate) fn note_heartbeats(heartbeats: &[Heartbeat<'_>], now: i64) -> Vec<bool> {
    let group_ids: Vec<&str> = heartbeats.iter().map(|h| h.group_id).collect();
    let member_ids: Vec<&str> = heartbeats.iter().map(|h| h.member_id).collect();
    let seen = sql::query(
        "SELECT h.idx::pg_catalog.int4, g.state, g.generation_id, g.next_deadline,
                m.heartbeat_at, m.session_timeout_ms, m.group_instance_id
         FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS h (group_id, member_id, idx)
         JOIN kafka_log.groups AS g ON g.group_id OPERATOR(pg_catalog.=) h.group_id
         JOIN kafka_log.group_members AS m ON m.group_id OPERATOR(pg_catalog.=) h.group_id
             AND m.member_id OPERATOR(pg_catalog.=) h.member_id
         WHERE g.group_type OPERATOR(pg_catalog.=) 'classic' AND m.phase OPERATOR(pg_catalog.<>) 'Pending'",
        &[param(group_ids), param(member_ids)],
        |row| {
            let state: String = row.required(2);
            let glance = classic::State::parse(&state).map(|state| classic::Glance {
                state,
                generation_id: row.required(3),
                next_deadline: row.get(4),
                heartbeat_at: row.required(5),
                session_timeout_ms: row.required(6),
            });
            (row.required::<i32>(1), glance, row.get::<String>(7))
        },
    );
    let mut quiet = vec![false; heartbeats.len()];
    let (mut noted_groups, mut noted_members) = (Vec::new(), Vec::new());
    for (idx, glance, instance) in seen {
        let index = idx as usize - 1;
        let (Some(heartbeat), Some(glance)) = (heartbeats.get(index), glance) else {
            continue;
        };
        let same_instance = heartbeat
            .group_instance_id
            .is_none_or(|id| instance.as_deref() == Some(id));
        if !same_instance || !classic::is_quiet(&glance, heartbeat.generation_id, now) {
            continue;
        }
        quiet[index] = true;
        if classic::needs_touch(glance.heartbeat_at, glance.session_timeout_ms, now) {
            noted_groups.push(heartbeat.group_id);
            noted_members.push(heartbeat.member_id);
        }
    }
    note_heartbeat_times(&noted_groups, &noted_members, now);
    quiet
}

/// Whoever holds a member's row is writing it, and never waited for.
fn note_heartbeat_times(group_ids: &[&str], member_ids: &[&str], now: i64) {
    if group_ids.is_empty() {
        return;
    }
    sql::execute(
        "UPDATE kafka_log.group_members AS m SET heartbeat_at = $3
         FROM (SELECT k.ctid FROM kafka_log.group_members AS k
               JOIN ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS h (group_id, member_id)
                 ON k.group_id OPERATOR(pg_catalog.=) h.group_id AND k.member_id OPERATOR(pg_catalog.=) h.member_id
               FOR UPDATE OF k SKIP LOCKED) AS found
         WHERE m.ctid OPERATOR(pg_catalog.=) found.ctid",
        &[param(group_ids.to_vec()), param(member_ids.to_vec()), param(now)],
    );
}

/// Client id and host of a member: as given, or this session's application name and address.
pub(crate) fn client(client_id: Option<&str>, client_host: Option<&str>) -> (String, String) {
    (
        client_id.map_or_else(application_name, str::to_owned),
        client_host.map_or_else(client_host_name, str::to_owned),
    )
}

fn application_name() -> String {
    // SAFETY: a GUC's C string, or null before it is set.
    unsafe {
        if pg_sys::application_name.is_null() {
            return String::new();
        }
        std::ffi::CStr::from_ptr(pg_sys::application_name)
            .to_string_lossy()
            .into_owned()
    }
}

/// Empty for a session over a Unix socket.
fn client_host_name() -> String {
    sql::query(
        "SELECT pg_catalog.host(pg_catalog.inet_client_addr())",
        &[],
        |row| row.get(1),
    )
    .pop()
    .flatten()
    .unwrap_or_default()
}
