//! The classic group protocol, judged as Kafka's `GroupMetadataManager` and `ClassicGroup`
//! do: one behaviour a test, times in epoch milliseconds.

mod joining;
mod members;
mod simulation;
mod statics;
mod syncing;

use kafka_core::group::classic::{
    Config, Group, Join, JoinReply, Joined, Member, Phase, State, Sync, SyncReply,
};
use kafka_core::{KafkaError, code};

const SESSION: i64 = 30_000;
const REBALANCE: i64 = 10_000;
const DELAY: i64 = 3_000;
/// When the tests' stable groups have just become it.
const START: i64 = 10_000;

const CONFIG: Config = Config {
    min_session_timeout_ms: 1_000,
    max_session_timeout_ms: 60_000,
    initial_rebalance_delay_ms: DELAY as i32,
    max_size: 100,
};

/// A new member, which is going to be called `id`.
fn new(id: &str) -> Join {
    Join {
        member_id: String::new(),
        new_member_id: id.to_owned(),
        group_instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: SESSION as i32,
        rebalance_timeout_ms: REBALANCE as i32,
        protocol_type: "consumer".to_owned(),
        protocols: protocols(&["range"]),
        require_member_id: false,
        supports_skipping_assignment: true,
        reason: None,
    }
}

/// A member that has its id already.
fn known(id: &str) -> Join {
    Join {
        member_id: id.to_owned(),
        ..new("unused")
    }
}

fn with_instance(instance: &str, join: Join) -> Join {
    Join {
        group_instance_id: Some(instance.to_owned()),
        ..join
    }
}

fn with_protocols(names: &[&str], join: Join) -> Join {
    Join {
        protocols: protocols(names),
        ..join
    }
}

fn protocols(names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let owned = names.iter().map(|name| (*name).to_owned());
    owned
        .map(|name| (name.clone(), name.into_bytes()))
        .collect()
}

/// A group and its limits.
struct Table {
    group: Group,
    config: Config,
}

impl Table {
    fn new() -> Self {
        Self {
            group: Group::new("orders"),
            config: CONFIG,
        }
    }

    /// All have joined generation 1, none has synced. The first by name leads.
    fn completing(joins: &[Join], now: i64) -> Self {
        let mut table = Self::new();
        for join in joins {
            table.parked(join.clone(), now - DELAY);
        }
        table.group.advance(now);
        assert_eq!(table.group.state, State::CompletingRebalance);
        assert_eq!(table.group.generation_id, 1);
        table
    }

    /// All have joined generation 1 and synced; each has its own name as assignment.
    fn stable(joins: &[Join]) -> Self {
        let mut table = Self::completing(joins, START);
        table.assign(1, START);
        let ids: Vec<_> = table.group.members.keys().cloned().collect();
        for id in ids {
            assert_eq!(table.synced(&id, 1, START), id.as_bytes());
        }
        assert_eq!(table.group.state, State::Stable);
        table
    }

    /// The leader gives each member its own name.
    fn assign(&mut self, generation: i32, now: i64) {
        let leader = self.group.leader.clone().unwrap();
        let ids = self.group.members.keys();
        let assignments = ids
            .map(|id| (id.clone(), id.clone().into_bytes()))
            .collect();
        let sync = Sync {
            assignments,
            ..sync(&leader, generation)
        };
        self.group.sync(sync, now).unwrap();
    }

    fn join(&mut self, join: Join, now: i64) -> Result<JoinReply, KafkaError> {
        self.group.join(join, &self.config, now)
    }

    fn joined(&mut self, join: Join, now: i64) -> Joined {
        match self.join(join, now).unwrap() {
            JoinReply::Joined(joined) => joined,
            reply => panic!("{reply:?}"),
        }
    }

    /// Until when.
    fn parked(&mut self, join: Join, now: i64) -> i64 {
        match self.join(join, now).unwrap() {
            JoinReply::Parked { until, .. } => until,
            reply => panic!("{reply:?}"),
        }
    }

    fn join_code(&mut self, join: Join, now: i64) -> i16 {
        self.join(join, now).unwrap_err().code()
    }

    fn synced(&mut self, id: &str, generation: i32, now: i64) -> Vec<u8> {
        match self.group.sync(sync(id, generation), now).unwrap() {
            SyncReply::Synced { assignment } => assignment,
            SyncReply::Parked { until } => panic!("parked until {until}"),
        }
    }

    fn sync_code(&mut self, sync: Sync, now: i64) -> i16 {
        self.group.sync(sync, now).unwrap_err().code()
    }

    /// 0 where all is well.
    fn heartbeat(&mut self, id: &str, generation: i32, now: i64) -> i16 {
        code_of(self.group.heartbeat(id, None, generation, now))
    }

    fn commit(&mut self, id: &str, generation: i32, now: i64) -> i16 {
        code_of(self.group.check_commit(id, None, generation, now))
    }

    fn leave(&mut self, id: &str, instance: Option<&str>, now: i64) -> Result<String, i16> {
        let left = self.group.leave(id, instance, None, now);
        left.map_err(|err| err.code())
    }

    fn ids(&self) -> Vec<&str> {
        self.group.members.keys().map(String::as_str).collect()
    }

    /// State and generation.
    fn at(&self) -> (State, i32) {
        (self.group.state, self.group.generation_id)
    }
}

fn sync(id: &str, generation: i32) -> Sync {
    Sync {
        member_id: id.to_owned(),
        group_instance_id: None,
        generation_id: generation,
        protocol_type: None,
        protocol_name: None,
        assignments: Vec::new(),
    }
}

fn code_of<T>(result: Result<T, KafkaError>) -> i16 {
    result.map_or_else(|err| err.code(), |_| 0)
}

#[test]
fn states_and_phases_are_read_as_they_are_spelt() {
    for state in [
        State::Empty,
        State::PreparingRebalance,
        State::CompletingRebalance,
        State::Stable,
    ] {
        assert_eq!(State::parse(state.name()), Some(state));
    }
    for phase in [Phase::Pending, Phase::Waiting, Phase::Joined, Phase::Synced] {
        assert_eq!(Phase::parse(phase.name()), Some(phase));
    }
    assert_eq!(State::parse("Dead"), None);
    assert_eq!(Phase::parse(""), None);
}
