//! Members of both protocols in one group (KIP-848), judged as Kafka's
//! `GroupMetadataManager` does with its migration policy `bidirectional`.

mod downgrade;
mod hosting;
mod simulation;
mod upgrade;

use std::collections::BTreeMap;

use kafka_core::consumer_protocol::{ConsumerAssignment, ConsumerSubscription, TopicPartitions};
use kafka_core::group::classic::{self, Join, JoinReply, Joined, Phase, State, Sync, SyncReply};
use kafka_core::group::consumer::{self, ConsumerGroup, Heartbeat, HeartbeatReply};
use kafka_core::group::{Context, Group, Partitions, Topic, TopicId, Topics};
use kafka_core::{KafkaError, code};

const NOW: i64 = 1_000_000;
const SESSION: i64 = 30_000;
const REBALANCE: i64 = 10_000;
const T1: TopicId = [1; 16];
const T2: TopicId = [2; 16];

/// Partitions of `t1`, as the classic protocol names them.
fn t1(numbers: &[i32]) -> TopicPartitions {
    let numbers = numbers.to_vec();
    [("t1".to_owned(), numbers)]
        .into_iter()
        .filter(|(_, numbers)| !numbers.is_empty())
        .collect()
}

/// Partitions of `t1`, as the consumer protocol names them.
fn t1_ids(numbers: &[i32]) -> Partitions {
    let numbers = numbers.iter().copied().collect();
    [(T1, numbers)].into_iter().collect()
}

fn subscription(version: i16, owned: &TopicPartitions) -> ConsumerSubscription<'static> {
    ConsumerSubscription {
        version,
        topics: vec!["t1".to_owned()],
        user_data: None,
        owned_partitions: owned.clone(),
        generation_id: -1,
        rack_id: None,
    }
}

/// The same metadata for each protocol.
fn protocols(names: &[&str], owned: &TopicPartitions) -> Vec<(String, Vec<u8>)> {
    let metadata = subscription(3, owned).encode();
    let names = names.iter();
    names
        .map(|name| ((*name).to_owned(), metadata.clone()))
        .collect()
}

fn assignment(partitions: &TopicPartitions) -> Vec<u8> {
    let assignment = ConsumerAssignment {
        version: 3,
        assigned_partitions: partitions.clone(),
        user_data: None,
    };
    assignment.encode()
}

/// A classic consumer of `t1` that owns nothing (any more).
fn classic_join(member_id: &str) -> Join {
    owning_join(member_id, &[])
}

fn owning_join(member_id: &str, owned: &[i32]) -> Join {
    Join {
        member_id: member_id.to_owned(),
        new_member_id: "new".to_owned(),
        group_instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/10.0.0.1".to_owned(),
        session_timeout_ms: SESSION as i32,
        rebalance_timeout_ms: REBALANCE as i32,
        protocol_type: "consumer".to_owned(),
        protocols: protocols(&["range", "roundrobin"], &t1(owned)),
        require_member_id: false,
        supports_skipping_assignment: false,
        reason: None,
    }
}

/// The first heartbeat of a consumer of `t1`.
fn consumer_join(member_id: &str) -> Heartbeat {
    Heartbeat {
        member_id: member_id.to_owned(),
        rebalance_timeout_ms: Some(REBALANCE as i32),
        subscribed_topics: Some(vec!["t1".to_owned()]),
        owned: Some(Partitions::new()),
        ..Heartbeat::default()
    }
}

fn consumer_leave(member_id: &str) -> Heartbeat {
    Heartbeat {
        member_id: member_id.to_owned(),
        member_epoch: consumer::LEAVE_EPOCH,
        ..Heartbeat::default()
    }
}

fn sync(member_id: &str, generation_id: i32) -> Sync {
    Sync {
        member_id: member_id.to_owned(),
        group_instance_id: None,
        generation_id,
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        assignments: Vec::new(),
    }
}

/// A classic member that has synced.
fn classic_member(assigned: &[i32]) -> classic::Member {
    classic::Member {
        group_instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/10.0.0.1".to_owned(),
        session_timeout_ms: SESSION as i32,
        rebalance_timeout_ms: REBALANCE as i32,
        protocols: protocols(&["range", "roundrobin"], &TopicPartitions::new()),
        assignment: assignment(&t1(assigned)),
        phase: Phase::Synced,
        heartbeat_at: NOW,
    }
}

/// A stable classic group of generation 5.
fn classic_group(members: &[(&str, &[i32])]) -> classic::Group {
    let members = members.iter();
    let members: BTreeMap<_, _> = members
        .map(|(id, assigned)| ((*id).to_owned(), classic_member(assigned)))
        .collect();
    classic::Group {
        state: State::Stable,
        generation_id: 5,
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        leader: members.keys().next().cloned(),
        members,
        ..classic::Group::new("g")
    }
}

fn code_of<T>(result: Result<T, KafkaError>) -> i16 {
    result.map_or_else(|error| error.code(), |_| 0)
}

/// A group and what is around it, with the time standing still unless it is moved.
struct Scene {
    group: Group,
    topics: Topics,
    now: i64,
    max_size: i32,
}

impl Scene {
    /// `t1` has four partitions, `t2` has two.
    fn new(group: Group) -> Self {
        let topics = [("t1", T1, 4), ("t2", T2, 2)];
        let topics = topics
            .into_iter()
            .map(|(name, id, partitions)| (name.to_owned(), Topic { id, partitions }));
        Self {
            group,
            topics: topics.collect(),
            now: NOW,
            max_size: 100,
        }
    }

    fn classic(members: &[(&str, &[i32])]) -> Self {
        Self::new(Group::Classic(classic_group(members)))
    }

    fn step<T>(&mut self, step: impl FnOnce(&mut Group, &Context<'_>) -> T) -> T {
        let topics = || self.topics.clone();
        let context = Context {
            now: self.now,
            classic: classic::Config {
                min_session_timeout_ms: 1_000,
                max_session_timeout_ms: 60_000,
                initial_rebalance_delay_ms: 0,
                max_size: self.max_size,
            },
            consumer: consumer::Config {
                max_size: self.max_size,
                ..consumer::Config::default()
            },
            topics: &topics,
        };
        step(&mut self.group, &context)
    }

    fn join(&mut self, join: Join) -> Result<JoinReply, KafkaError> {
        self.step(|group, context| group.join(join, context))
    }

    fn joined(&mut self, join: Join) -> Joined {
        match self.join(join).unwrap() {
            JoinReply::Joined(joined) => joined,
            reply => panic!("{reply:?}"),
        }
    }

    fn sync(&mut self, sync: Sync) -> Result<SyncReply, KafkaError> {
        self.step(|group, context| group.sync(sync, context))
    }

    /// The assignment of a member that syncs.
    fn synced(&mut self, member_id: &str, generation: i32) -> TopicPartitions {
        match self.sync(sync(member_id, generation)).unwrap() {
            SyncReply::Synced { assignment } => {
                let assignment = ConsumerAssignment::decode(&assignment).unwrap();
                assignment.assigned_partitions
            }
            SyncReply::Parked { until } => panic!("parked until {until}"),
        }
    }

    /// 0 where all is well.
    fn beat(&mut self, member_id: &str, generation: i32) -> i16 {
        code_of(self.step(|group, context| group.heartbeat(member_id, None, generation, context)))
    }

    fn consumer_beat(&mut self, request: &Heartbeat) -> Result<HeartbeatReply, KafkaError> {
        self.step(|group, context| group.consumer_heartbeat(request, context))
    }

    /// A heartbeat with all that a consumer of `t1` has to say.
    fn full_beat(&mut self, member_id: &str, epoch: i32, owned: &[i32]) -> HeartbeatReply {
        let request = Heartbeat {
            member_epoch: epoch,
            owned: Some(t1_ids(owned)),
            ..consumer_join(member_id)
        };
        self.consumer_beat(&request).unwrap()
    }

    fn leave(&mut self, member_id: &str, instance: Option<&str>) -> Result<String, i16> {
        let left = self.step(|group, context| group.leave(member_id, instance, None, context));
        left.map_err(|error| error.code())
    }

    fn commit(&mut self, member_id: &str, generation: i32, partition: i32) -> i16 {
        code_of(self.step(|group, context| {
            group.check_commit(member_id, None, generation, context)?;
            group.check_commit_of(member_id, generation, &T1, partition)
        }))
    }

    fn consumer_group(&self) -> &ConsumerGroup {
        match &self.group {
            Group::Consumer(group) => group,
            Group::Classic(group) => panic!("{group:?}"),
        }
    }

    fn classic_group(&self) -> &classic::Group {
        match &self.group {
            Group::Classic(group) => group,
            Group::Consumer(group) => panic!("{group:?}"),
        }
    }

    /// A classic member goes on to where it is to be: it gives up what it is not given
    /// again, and joins until nothing tells it to. Returns its generation and what it has.
    fn settle(&mut self, member_id: &str, owned: &[i32]) -> (i32, Vec<i32>) {
        let mut owned = owned.to_vec();
        for _ in 0..4 {
            let joined = self.joined(owning_join(member_id, &owned));
            let assigned = self.synced(member_id, joined.generation_id);
            owned = assigned.get("t1").cloned().unwrap_or_default();
            if self.beat(member_id, joined.generation_id) == 0 {
                return (joined.generation_id, owned);
            }
        }
        panic!("{member_id} does not settle: {:?}", self.group);
    }
}
