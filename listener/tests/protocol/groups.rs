//! Members that join, wait for each other, and leave; inspection.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_core::code;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerProtocolSubscription,
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::{Encodable, StrBytes};

use crate::common::{self, Env, Raw, name};

pub(crate) fn words(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn group(id: &str) -> GroupId {
    GroupId(words(id))
}

/// A subscription as consumers send it: version, then the message.
fn subscription(topic: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    ConsumerProtocolSubscription::default()
        .with_topics(vec![words(topic)])
        .encode(&mut bytes, 0)
        .unwrap();
    bytes.freeze()
}

fn join_request(group_id: &str, member_id: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(words("range"))
        .with_metadata(subscription("topic"));
    JoinGroupRequest::default()
        .with_group_id(group(group_id))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_member_id(words(member_id))
        .with_protocol_type(words("consumer"))
        .with_protocols(vec![protocol])
}

/// The id that a new member is given before it may join.
fn new_member(raw: &mut Raw, group_id: &str) -> String {
    let given = raw.call(5, &join_request(group_id, ""));
    assert_eq!(given.error_code, code::MEMBER_ID_REQUIRED);
    assert!(!given.member_id.is_empty());
    given.member_id.to_string()
}

fn sync_request(
    group_id: &str,
    joined: &JoinGroupResponse,
    assignments: &[(&str, &str)],
) -> SyncGroupRequest {
    let assignments = assignments.iter().map(|(member_id, assignment)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(words(member_id))
            .with_assignment(Bytes::from((*assignment).to_owned()))
    });
    SyncGroupRequest::default()
        .with_group_id(group(group_id))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some(words("consumer")))
        .with_protocol_name(Some(words("range")))
        .with_assignments(assignments.collect())
}

fn heartbeat(raw: &mut Raw, group_id: &str, joined: &JoinGroupResponse) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group(group_id))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone());
    raw.call(4, &request).error_code
}

fn leave(raw: &mut Raw, group_id: &str, member_ids: &[&str]) -> Vec<i16> {
    let members = member_ids
        .iter()
        .map(|id| MemberIdentity::default().with_member_id(words(id)));
    let request = LeaveGroupRequest::default()
        .with_group_id(group(group_id))
        .with_members(members.collect());
    let response = raw.call(4, &request);
    assert_eq!(response.error_code, code::NONE);
    response.members.iter().map(|m| m.error_code).collect()
}

/// The only member of a stable group.
fn alone(raw: &mut Raw, group_id: &str) -> JoinGroupResponse {
    let member = new_member(raw, group_id);
    let joined = raw.call(9, &join_request(group_id, &member));
    assert_eq!(joined.error_code, code::NONE);
    assert_eq!((&*joined.leader, &*joined.member_id), (&*member, &*member));
    let synced = raw.call(5, &sync_request(group_id, &joined, &[(&member, "all")]));
    assert_eq!((synced.error_code, &*synced.assignment), (0, &b"all"[..]));
    joined
}

#[test]
fn a_group_of_one_in_every_version() {
    let env = Env::shared();
    for version in 0..=9 {
        let mut raw = env.raw();
        let group_id = format!("one-{version}");
        let member = if version >= 4 {
            new_member(&mut raw, &group_id)
        } else {
            String::new()
        };
        let mut request = join_request(&group_id, &member);
        if version == 0 {
            request.rebalance_timeout_ms = -1;
        }
        let joined = raw.call(version, &request);
        assert_eq!((joined.error_code, joined.generation_id), (code::NONE, 1));
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        assert_eq!(joined.leader, joined.member_id);
        let members: Vec<_> = joined.members.iter().map(|m| &*m.metadata).collect();
        assert_eq!(members, [&subscription("topic")]);
        if version >= 7 {
            assert_eq!(joined.protocol_type.as_deref(), Some("consumer"));
        }
        let own = joined.member_id.to_string();
        let version = version.min(5);
        let mut request = sync_request(&group_id, &joined, &[(&own, "mine")]);
        if version < 5 {
            request.protocol_type = None;
            request.protocol_name = None;
        }
        let synced = raw.call(version, &request);
        assert_eq!((synced.error_code, &*synced.assignment), (0, &b"mine"[..]));
        assert_eq!(heartbeat(&mut raw, &group_id, &joined), code::NONE);
        assert_eq!(leave(&mut raw, &group_id, &[&own]), [code::NONE]);
        assert_eq!(
            heartbeat(&mut raw, &group_id, &joined),
            code::UNKNOWN_MEMBER_ID
        );
    }
}

#[test]
fn two_members_wait_for_each_other() {
    let env = Env::shared();
    let (mut a, mut b) = (env.raw(), env.raw());
    let first = alone(&mut a, "two");
    // The second has to wait until the first has joined again.
    let second = new_member(&mut b, "two");
    b.send(9, &join_request("two", &second));
    common::eventually("the first learns of the rebalance", || {
        heartbeat(&mut a, "two", &first) == code::REBALANCE_IN_PROGRESS
    });
    let joined_a = a.call(9, &join_request("two", &first.member_id));
    let (_, joined_b) = b.receive_response::<JoinGroupRequest>(9);
    for joined in [&joined_a, &joined_b] {
        assert_eq!(joined.error_code, code::NONE);
        assert_eq!(joined.generation_id, first.generation_id + 1);
        assert_eq!(joined.leader, joined_a.leader);
    }
    let (leader, follower) = if joined_a.leader == joined_a.member_id {
        ((&mut a, &joined_a), (&mut b, &joined_b))
    } else {
        ((&mut b, &joined_b), (&mut a, &joined_a))
    };
    assert_eq!((leader.1.members.len(), follower.1.members.len()), (2, 0));
    // The follower has to wait until the leader has brought the assignment.
    follower.0.send(5, &sync_request("two", follower.1, &[]));
    let assignments = [
        (&*leader.1.member_id, "for the leader"),
        (&*follower.1.member_id, "for the follower"),
    ];
    let own = leader
        .0
        .call(5, &sync_request("two", leader.1, &assignments));
    assert_eq!(&*own.assignment, b"for the leader");
    let (_, own) = follower.0.receive_response::<SyncGroupRequest>(5);
    assert_eq!(own.error_code, code::NONE);
    assert_eq!(&*own.assignment, b"for the follower");
    assert_eq!(own.protocol_name.as_deref(), Some("range"));
    assert_eq!(heartbeat(&mut a, "two", &joined_a), code::NONE);
    assert_eq!(heartbeat(&mut b, "two", &joined_b), code::NONE);
    assert_eq!(heartbeat(&mut a, "two", &first), code::ILLEGAL_GENERATION);
}

#[test]
fn members_that_come_soon_share_the_first_generation() {
    let env = Env::own("pg_kafka.group_initial_rebalance_delay = 3s", &[]);
    let mut members: Vec<_> = (0..5)
        .map(|_| {
            let mut raw = env.raw();
            let member = new_member(&mut raw, "soon");
            (raw, member)
        })
        .collect();
    for (raw, member) in &mut members {
        raw.send(9, &join_request("soon", member));
    }
    let joined: Vec<_> = members
        .iter_mut()
        .map(|(raw, _)| raw.receive_response::<JoinGroupRequest>(9).1)
        .collect();
    for (joined, (_, member)) in joined.iter().zip(&members) {
        assert_eq!((joined.error_code, joined.generation_id), (code::NONE, 1));
        assert_eq!(*joined.member_id, **member);
    }
    let told: usize = joined.iter().map(|joined| joined.members.len()).sum();
    assert_eq!(told, 5, "the leader alone is told of all");
}

/// A second member whose `JoinGroup` waits for the first.
fn parked(env: &Env, group_id: &str, first: &JoinGroupResponse) -> Raw {
    let mut raw = env.raw();
    let member = new_member(&mut raw, group_id);
    raw.send(9, &join_request(group_id, &member));
    let mut other = env.raw();
    common::eventually("the join has begun", || {
        heartbeat(&mut other, group_id, first) == code::REBALANCE_IN_PROGRESS
    });
    raw
}

#[test]
fn who_waits_keeps_no_session_from_the_others() {
    let env = Env::own("", &["--group-sessions", "1"]);
    let mut raw = env.raw();
    let groups: Vec<String> = (0..20).map(|number| format!("waiting-{number}")).collect();
    let firsts: Vec<_> = groups.iter().map(|id| alone(&mut raw, id)).collect();
    let mut seconds: Vec<_> = groups
        .iter()
        .zip(&firsts)
        .map(|(id, first)| parked(&env, id, first))
        .collect();
    // Through the one session that there is, while all twenty wait.
    alone(&mut raw, "another");
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE application_name = 'pg_kafka_listener wait groups'";
    assert_eq!(env.sql().value(waiting), "1");
    // Each is woken by its own group.
    for ((id, first), second) in groups.iter().zip(&firsts).zip(&mut seconds) {
        assert_eq!(leave(&mut raw, id, &[&first.member_id]), [code::NONE]);
        let (_, joined) = second.receive_response::<JoinGroupRequest>(9);
        assert_eq!(joined.error_code, code::NONE);
        assert_eq!(joined.leader, joined.member_id);
    }
}

#[test]
fn what_another_listener_does_wakes() {
    let env = Env::shared();
    let mut raw = env.raw();
    let first = alone(&mut raw, "far");
    let mut second = parked(&env, "far", &first);
    let other = common::Listener::start(&env.cluster.conninfo(), &[]);
    let mut raw = Raw::connect(&other.address);
    assert_eq!(leave(&mut raw, "far", &[&first.member_id]), [code::NONE]);
    let (_, joined) = second.receive_response::<JoinGroupRequest>(9);
    assert_eq!((joined.error_code, joined.members.len()), (code::NONE, 1));
}

#[test]
fn sigterm_tells_those_who_wait_to_look_elsewhere() {
    let mut env = Env::own("", &[]);
    let mut raw = env.raw();
    let first = alone(&mut raw, "ending");
    let mut second = parked(&env, "ending", &first);
    drop(raw);
    env.listener.terminate();
    let (_, answer) = second.receive_response::<JoinGroupRequest>(9);
    assert_eq!(answer.error_code, code::NOT_COORDINATOR);
    assert!(second.receive().is_none());
    assert!(env.listener.wait().success());
}

#[test]
fn many_heartbeats_are_told_apart() {
    let env = Env::shared();
    let mut members: Vec<_> = (0..30)
        .map(|number| {
            let group_id = format!("beating-{}", number % 10);
            let mut raw = env.raw();
            // Three share a group, and the last of them is its only member.
            let joined = (number >= 20).then(|| alone(&mut raw, &group_id));
            (raw, group_id, joined)
        })
        .collect();
    for (raw, group_id, joined) in &mut members {
        let known = joined.as_ref();
        let request = HeartbeatRequest::default()
            .with_group_id(group(group_id))
            .with_generation_id(known.map_or(1, |joined| joined.generation_id))
            .with_member_id(known.map_or(words("nobody"), |joined| joined.member_id.clone()));
        raw.send(4, &request);
    }
    for (raw, group_id, joined) in &mut members {
        let (_, answer) = raw.receive_response::<HeartbeatRequest>(4);
        let expected = match joined {
            Some(_) => code::NONE,
            None => code::UNKNOWN_MEMBER_ID,
        };
        assert_eq!(answer.error_code, expected, "{group_id}");
    }
}

#[test]
fn group_ids_are_any_text() {
    let env = Env::shared();
    let mut raw = env.raw();
    // Two that differ only in what is not ASCII are two.
    let odd = ["größe", "grüße", "\u{1f980}", "a\nb", " "];
    let members: Vec<_> = odd.iter().map(|id| alone(&mut raw, id)).collect();
    for (id, joined) in odd.iter().zip(&members) {
        assert_eq!(heartbeat(&mut raw, id, joined), code::NONE, "{id:?}");
        assert_eq!(joined.generation_id, 1, "{id:?}");
    }
    let listed = raw.call(4, &ListGroupsRequest::default());
    for id in odd {
        assert!(listed.groups.iter().any(|g| &**g.group_id == id), "{id:?}");
    }
    for id in ["", "a\0b"] {
        let joined = raw.call(9, &join_request(id, ""));
        assert_eq!(joined.error_code, code::INVALID_GROUP_ID, "{id:?}");
        let synced = raw.call(5, &sync_request(id, &members[0], &[]));
        assert_eq!(synced.error_code, code::INVALID_GROUP_ID, "{id:?}");
        assert_eq!(
            heartbeat(&mut raw, id, &members[0]),
            code::INVALID_GROUP_ID,
            "{id:?}"
        );
        let left = raw.call(0, &LeaveGroupRequest::default().with_group_id(group(id)));
        assert_eq!(left.error_code, code::INVALID_GROUP_ID, "{id:?}");
    }
}

#[test]
fn several_members_leave_at_once() {
    let env = Env::shared();
    let mut raw = env.raw();
    let joined = alone(&mut raw, "leaving");
    let asked = ["nobody", &*joined.member_id, "n\0body"];
    let unknown = code::UNKNOWN_MEMBER_ID;
    assert_eq!(leave(&mut raw, "leaving", &asked), [unknown, 0, unknown]);
    let nobody = LeaveGroupRequest::default()
        .with_group_id(group("leaving"))
        .with_member_id(words("nobody"));
    assert_eq!(raw.call(2, &nobody).error_code, unknown);
    assert_eq!(leave(&mut raw, "no-such-group", &["m"]), [unknown]);
}

#[test]
fn a_sync_without_its_protocol_is_refused() {
    let env = Env::shared();
    let mut raw = env.raw();
    let joined = alone(&mut raw, "protocol");
    let mut request = sync_request("protocol", &joined, &[]);
    request.protocol_type = None;
    let refused = raw.call(5, &request);
    assert_eq!(refused.error_code, code::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn groups_are_described_and_listed() {
    let env = Env::shared();
    let mut raw = env.raw();
    let joined = alone(&mut raw, "described");
    let request = DescribeGroupsRequest::default()
        .with_groups(vec![group("described"), group("no-such-group")]);
    for version in 0..=6 {
        let mut request = request.clone();
        request.include_authorized_operations = version >= 3;
        let groups = raw.call(version, &request).groups;
        let found = &groups[0];
        assert_eq!((found.error_code, &*found.group_state), (0, "Stable"));
        assert_eq!(&*found.protocol_type, "consumer");
        assert_eq!(&*found.protocol_data, "range");
        let member = &found.members[0];
        assert_eq!(member.member_id, joined.member_id);
        assert_eq!(
            (&*member.client_id, &*member.client_host),
            ("test", "/127.0.0.1")
        );
        assert_eq!(member.member_metadata, subscription("topic"));
        assert_eq!(&*member.member_assignment, b"all");
        let operations = if version >= 3 { 3400 } else { i32::MIN };
        assert_eq!(found.authorized_operations, operations);
        let unknown = &groups[1];
        let error_code = if version >= 6 {
            code::GROUP_ID_NOT_FOUND
        } else {
            0
        };
        assert_eq!(
            (unknown.error_code, &*unknown.group_state),
            (error_code, "Dead")
        );
        assert_eq!(&**unknown.group_id, "no-such-group");
    }
    let mut listed = |states: &[&str], types: &[&str]| {
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|s| words(s)).collect())
            .with_types_filter(types.iter().map(|t| words(t)).collect());
        let groups = raw.call(5, &request).groups;
        groups.into_iter().find(|g| &**g.group_id == "described")
    };
    let found = listed(&["stable", "Empty"], &["Classic"]).unwrap();
    assert_eq!(
        (&*found.group_state, &*found.group_type),
        ("Stable", "classic")
    );
    assert_eq!(&*found.protocol_type, "consumer");
    assert!(listed(&["Empty"], &[]).is_none() && listed(&[], &["consumer"]).is_none());
}

#[test]
fn groups_are_deleted_when_they_are_empty() {
    let env = Env::shared();
    let mut raw = env.raw();
    let joined = alone(&mut raw, "deleted");
    let names = ["deleted", "no-such-group", "deleted", "a\0b"];
    let request = DeleteGroupsRequest::default().with_groups_names(names.map(group).to_vec());
    let delete = |raw: &mut Raw| -> Vec<(String, i16)> {
        let results = raw.call(2, &request).results.into_iter();
        results
            .map(|r| (r.group_id.to_string(), r.error_code))
            .collect()
    };
    let expected = |error_code| {
        [
            ("deleted".to_owned(), error_code),
            ("no-such-group".to_owned(), code::GROUP_ID_NOT_FOUND),
            ("a\0b".to_owned(), code::INVALID_GROUP_ID),
        ]
    };
    assert_eq!(delete(&mut raw), expected(code::NON_EMPTY_GROUP));
    assert_eq!(leave(&mut raw, "deleted", &[&joined.member_id]), [0]);
    assert_eq!(delete(&mut raw), expected(code::NONE));
}

#[test]
fn consumer_groups() {
    let env = Env::shared();
    env.create_topic("assigned", 2);
    let mut raw = env.raw();
    let beat = |member_id: &str, epoch: i32| {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group("new"))
            .with_member_id(words(member_id))
            .with_member_epoch(epoch)
    };
    let join = |member_id| {
        beat(member_id, 0)
            .with_rebalance_timeout_ms(30_000)
            .with_subscribed_topic_names(Some(vec![name("assigned")]))
            .with_topic_partitions(Some(vec![]))
    };
    assert_eq!(raw.call(1, &join("")).error_code, code::INVALID_REQUEST);
    let joined = raw.call(1, &join("me"));
    assert_eq!(joined.error_code, code::NONE, "{:?}", joined.error_message);
    assert_eq!(joined.member_id.as_deref(), Some("me"));
    assert!(joined.member_epoch > 0 && joined.heartbeat_interval_ms > 0);
    let assigned = joined.assignment.unwrap().topic_partitions;
    assert_eq!(assigned.len(), 1);
    assert_eq!(assigned[0].partitions, [0, 1]);
    let fenced = raw.call(1, &beat("me", joined.member_epoch + 1));
    assert_eq!(fenced.error_code, code::FENCED_MEMBER_EPOCH);
    let request = ConsumerGroupDescribeRequest::default()
        .with_group_ids(["new", "no-such-group", ""].map(group).to_vec())
        .with_include_authorized_operations(true);
    let groups = raw.call(1, &request).groups;
    let codes: Vec<_> = groups.iter().map(|g| g.error_code).collect();
    let unknown = code::GROUP_ID_NOT_FOUND;
    assert_eq!(codes, [code::NONE, unknown, code::INVALID_GROUP_ID]);
    assert_eq!(groups[0].authorized_operations, 3400);
    let member = &groups[0].members[0];
    assert_eq!((&*member.member_id, member.member_type), ("me", 1));
    let target = &member.target_assignment.topic_partitions;
    assert_eq!(
        (&**target[0].topic_name, &*target[0].partitions),
        ("assigned", &[0, 1][..])
    );
    // The API for classic groups does not know it.
    let request = DescribeGroupsRequest::default().with_groups(vec![group("new")]);
    let classic = raw.call(6, &request).groups.remove(0);
    assert_eq!(
        (classic.error_code, &*classic.group_state),
        (unknown, "Dead")
    );
    let left = raw.call(1, &beat("me", -1));
    assert_eq!((left.error_code, left.member_epoch), (code::NONE, -1));
    // Version 0 leaves the choice of an id to the coordinator.
    let joined = raw.call(0, &join(""));
    assert_eq!(joined.error_code, code::NONE, "{:?}", joined.error_message);
    assert!(joined.member_id.is_some_and(|id| !id.is_empty()));
}
