//! Clients of both protocols that come, go, and come back with the other one.

use std::collections::BTreeSet;

use kafka_core::assign::{Assignor, assign_bytes, subscription_bytes};
use proptest::prelude::*;

use super::*;

const CLIENTS: usize = 5;

#[derive(Debug, Clone)]
enum Op {
    /// Starts the client if it does not run, by the consumer protocol or the classic one.
    Start(usize, bool),
    /// It sends what it has to send next.
    Act(usize),
    All,
    /// A consumer gives up what it has to, or takes what it was given.
    Reconcile(usize),
    Leave(usize),
    /// The process is gone without a word.
    Die(usize),
    Grow,
    Wait(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    prop_oneof![
        4 => (client.clone(), any::<bool>()).prop_map(|(c, consumer)| Op::Start(c, consumer)),
        12 => client.clone().prop_map(Op::Act),
        3 => Just(Op::All),
        6 => client.clone().prop_map(Op::Reconcile),
        1 => client.clone().prop_map(Op::Leave),
        1 => client.prop_map(Op::Die),
        1 => Just(Op::Grow),
        2 => (0i64..15_000).prop_map(Op::Wait),
    ]
}

/// What a client does next.
#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Off,
    Join,
    /// In this generation, with everybody's share where it leads.
    Sync(i32, Vec<(String, Vec<u8>)>),
    Heartbeat(i32),
    /// It speaks the consumer protocol, and is at this epoch.
    Consumer(i32),
}

#[derive(Debug, Clone)]
struct Client {
    /// The first is a static member.
    instance: Option<String>,
    member_id: String,
    stage: Stage,
    /// What it reads.
    owned: BTreeSet<i32>,
    /// What a consumer was told to read.
    assignment: BTreeSet<i32>,
    /// How many partitions there were when it last led a rebalance.
    led: Option<i32>,
}

impl Client {
    /// It is out, and comes again.
    fn restart(&mut self) {
        self.owned.clear();
        self.assignment.clear();
        self.led = None;
        self.member_id.clear();
        self.stage = match self.stage {
            Stage::Off => Stage::Off,
            Stage::Consumer(_) => Stage::Consumer(0),
            _ => Stage::Join,
        };
    }

    fn runs(&self) -> bool {
        self.stage != Stage::Off
    }
}

struct World {
    scene: Scene,
    clients: Vec<Client>,
    assignor: Assignor,
    ids: usize,
}

impl World {
    fn new(assignor: Assignor) -> Self {
        let clients = (0..CLIENTS).map(|number| Client {
            instance: (number == 0).then(|| "i".to_owned()),
            member_id: String::new(),
            stage: Stage::Off,
            owned: BTreeSet::new(),
            assignment: BTreeSet::new(),
            led: None,
        });
        Self {
            scene: Scene::new(Group::Classic(classic::Group::new("g"))),
            clients: clients.collect(),
            assignor,
            ids: 0,
        }
    }

    fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("m{:03}", self.ids)
    }

    fn partitions(&self) -> i32 {
        self.scene.topics["t1"].partitions
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Start(c, consumer) => {
                if !self.clients[c].runs() {
                    self.clients[c].stage = if consumer {
                        Stage::Consumer(0)
                    } else {
                        Stage::Join
                    };
                }
            }
            Op::Act(c) => self.act(c),
            Op::All => (0..CLIENTS).for_each(|c| self.act(c)),
            Op::Reconcile(c) => self.reconcile(c),
            Op::Leave(c) => self.leave(c),
            Op::Die(c) => {
                self.clients[c].stage = Stage::Off;
                self.clients[c].restart();
            }
            Op::Grow => self.scene.topics.get_mut("t1").unwrap().partitions += 1,
            Op::Wait(ms) => self.wait(ms),
        }
        self.check();
    }

    /// Time passes, and members whose time is over learn of it at once: what a client does
    /// after that is its own affair. A static member that has missed a rebalance stays one, but
    /// was to have given up by then what it reads (`max.poll.interval.ms`).
    fn wait(&mut self, ms: i64) {
        self.scene.now += ms;
        let (before, generation) = (self.member_ids(), self.generation());
        let joined = self.joined_ids();
        self.scene.step(Group::advance);
        let after = self.member_ids();
        let out: BTreeSet<_> = before.difference(&after).collect();
        let next_generation = self.generation() != generation;
        for client in &mut self.clients {
            if out.contains(&client.member_id) {
                client.restart();
            } else if next_generation && client.runs() && !joined.contains(&client.member_id) {
                client.owned.clear();
                client.stage = Stage::Join;
            }
        }
    }

    /// Of a classic group.
    fn generation(&self) -> Option<i32> {
        match &self.scene.group {
            Group::Classic(group) => Some(group.generation_id),
            Group::Consumer(_) => None,
        }
    }

    fn member_ids(&self) -> BTreeSet<String> {
        match &self.scene.group {
            Group::Classic(group) => group.members.keys().cloned().collect(),
            Group::Consumer(group) => group.members.keys().cloned().collect(),
        }
    }

    /// Who has joined the rebalance that a classic group prepares.
    fn joined_ids(&self) -> BTreeSet<String> {
        let Group::Classic(group) = &self.scene.group else {
            return BTreeSet::new();
        };
        let joined = group.members.iter();
        joined
            .filter(|(_, member)| member.phase == Phase::Joined)
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn leave(&mut self, c: usize) {
        let Client {
            member_id, stage, ..
        } = self.clients[c].clone();
        self.clients[c].stage = Stage::Off;
        self.clients[c].restart();
        match stage {
            Stage::Consumer(epoch) if epoch > 0 => {
                let instance_id = self.clients[c].instance.clone();
                let request = Heartbeat {
                    instance_id,
                    ..consumer_leave(&member_id)
                };
                let code = code_of(self.scene.consumer_beat(&request));
                assert!([0, code::GROUP_ID_NOT_FOUND, code::UNKNOWN_MEMBER_ID].contains(&code));
            }
            Stage::Sync(..) | Stage::Heartbeat(_) => {
                let _ = self.scene.leave(&member_id, None);
            }
            _ => {}
        }
    }

    fn act(&mut self, c: usize) {
        match self.clients[c].stage.clone() {
            Stage::Off => {}
            Stage::Join => self.join(c),
            Stage::Sync(generation, shares) => self.sync(c, generation, shares),
            Stage::Heartbeat(generation) => self.heartbeat(c, generation),
            Stage::Consumer(epoch) => self.consumer_heartbeat(c, epoch),
        }
    }

    fn join(&mut self, c: usize) {
        let new_member_id = self.new_id();
        let client = &mut self.clients[c];
        if self.assignor != Assignor::CooperativeSticky {
            client.owned.clear();
        }
        let owned: Vec<i32> = client.owned.iter().copied().collect();
        let topics = ["t1".to_owned()];
        let metadata = subscription_bytes(self.assignor, &topics, &t1(&owned), -1);
        let join = Join {
            new_member_id,
            group_instance_id: client.instance.clone(),
            protocols: vec![(self.assignor.name().to_owned(), metadata)],
            require_member_id: true,
            supports_skipping_assignment: true,
            ..classic_join(&client.member_id)
        };
        let reply = self.scene.join(join);
        let partitions = self.partitions();
        let client = &mut self.clients[c];
        match reply {
            Ok(JoinReply::MemberIdRequired { member_id } | JoinReply::Parked { member_id, .. }) => {
                client.member_id = member_id;
            }
            Ok(JoinReply::Joined(joined)) => {
                // One that is to keep what its former self assigned (KIP-814) cannot know how
                // many partitions that had, and joins again to assign them itself.
                let led = if joined.skip_assignment {
                    0
                } else {
                    partitions
                };
                client.led = (joined.leader == joined.member_id).then_some(led);
                client.member_id = joined.member_id;
                let members: Vec<_> = joined
                    .members
                    .iter()
                    .map(|m| {
                        let instance = m.group_instance_id.as_deref();
                        (m.member_id.as_str(), instance, m.metadata.as_slice())
                    })
                    .collect();
                let topics = [("t1".to_owned(), partitions)].into_iter().collect();
                let shares = if joined.skip_assignment {
                    Vec::new()
                } else {
                    assign_bytes(self.assignor, &members, &topics).unwrap()
                };
                client.stage = Stage::Sync(joined.generation_id, shares);
            }
            Err(error) => self.fail(c, &error),
        }
    }

    fn sync(&mut self, c: usize, generation: i32, assignments: Vec<(String, Vec<u8>)>) {
        let client = &self.clients[c];
        let request = Sync {
            group_instance_id: client.instance.clone(),
            protocol_name: Some(self.assignor.name().to_owned()),
            assignments,
            ..sync(&client.member_id, generation)
        };
        let reply = self.scene.sync(request);
        let client = &mut self.clients[c];
        match reply {
            Ok(SyncReply::Parked { .. }) => {}
            Ok(SyncReply::Synced { assignment }) => {
                let assigned = classic::assigned(&assignment).unwrap();
                let assigned: BTreeSet<i32> = assigned.into_iter().map(|(_, n)| n).collect();
                // Who has given something up joins again so that others get it (KIP-429).
                client.stage = if client.owned.is_subset(&assigned) {
                    Stage::Heartbeat(generation)
                } else {
                    Stage::Join
                };
                client.owned = assigned;
            }
            Err(error) => self.fail(c, &error),
        }
    }

    fn heartbeat(&mut self, c: usize, generation: i32) {
        let partitions = self.partitions();
        let client = &mut self.clients[c];
        if client.led.is_some_and(|led| led != partitions) {
            client.stage = Stage::Join;
            return;
        }
        let (id, instance) = (client.member_id.clone(), client.instance.clone());
        let answer = self
            .scene
            .step(|group, context| group.heartbeat(&id, instance.as_deref(), generation, context));
        if let Err(error) = answer {
            self.fail(c, &error);
        }
    }

    /// What a classic client makes of an error.
    fn fail(&mut self, c: usize, error: &KafkaError) {
        let client = &mut self.clients[c];
        match error.code() {
            code::REBALANCE_IN_PROGRESS => client.stage = Stage::Join,
            // All is lost, but it is the same member.
            code::ILLEGAL_GENERATION => {
                client.owned.clear();
                client.stage = Stage::Join;
            }
            code::UNKNOWN_MEMBER_ID => client.restart(),
            code => panic!("{code}: {error}"),
        }
    }

    fn consumer_heartbeat(&mut self, c: usize, epoch: i32) {
        if self.clients[c].member_id.is_empty() {
            self.clients[c].member_id = self.new_id();
        }
        let client = &self.clients[c];
        let owned = if client.owned.is_empty() {
            Partitions::new()
        } else {
            [(T1, client.owned.clone())].into_iter().collect()
        };
        let request = Heartbeat {
            member_epoch: epoch,
            instance_id: client.instance.clone(),
            owned: Some(owned),
            ..consumer_join(&client.member_id)
        };
        let reply = self.scene.consumer_beat(&request);
        let client = &mut self.clients[c];
        match reply {
            Ok(reply) => {
                client.stage = Stage::Consumer(reply.member_epoch);
                let assignment = reply.assignment.unwrap();
                client.assignment = assignment.get(&T1).cloned().unwrap_or_default();
            }
            Err(error) => {
                let mut expected = vec![code::UNRELEASED_INSTANCE_ID];
                if epoch > 0 {
                    expected.extend([code::UNKNOWN_MEMBER_ID, code::GROUP_ID_NOT_FOUND]);
                }
                assert!(expected.contains(&error.code()), "{error}");
                client.restart();
            }
        }
    }

    /// First gives up what it must no longer read, then takes the rest.
    fn reconcile(&mut self, c: usize) {
        let client = &mut self.clients[c];
        if !matches!(client.stage, Stage::Consumer(_)) {
            return;
        }
        if client.owned.is_subset(&client.assignment) {
            client.owned.clone_from(&client.assignment);
        } else {
            client.owned = &client.owned & &client.assignment;
        }
    }

    /// Nobody shares a partition, neither in the group's books nor in the clients' hands.
    fn check(&self) {
        let mut read = BTreeSet::new();
        for client in &self.clients {
            for number in &client.owned {
                assert!(read.insert(number), "read twice: {:?}", self.clients);
            }
        }
        let Group::Consumer(group) = &self.scene.group else {
            return;
        };
        let mut assigned = BTreeSet::new();
        for member in group.members.values() {
            let parts = [&member.assigned, &member.pending_revocation];
            for number in parts.into_iter().flatten().flat_map(|(_, n)| n.keys()) {
                assert!(assigned.insert(number), "assigned twice");
            }
        }
        let all_classic = group
            .members
            .values()
            .all(|member| member.classic.is_some());
        assert!(group.members.is_empty() || !all_classic);
    }

    /// Lets everybody who is left go on until nothing happens any more.
    fn settle(&mut self) {
        for _ in 0..60 {
            for c in 0..CLIENTS {
                self.step(&Op::Act(c));
                self.step(&Op::Reconcile(c));
                self.step(&Op::Reconcile(c));
            }
            self.step(&Op::Wait(2_000));
        }
    }

    fn assert_settled(&self) {
        let running: Vec<_> = self.clients.iter().filter(|c| c.runs()).collect();
        if running.is_empty() {
            assert_eq!(self.scene.group.state_name(), "Empty");
            return;
        }
        let is_consumer = |client: &&&Client| matches!(client.stage, Stage::Consumer(_));
        let expected = match running.iter().find(is_consumer) {
            Some(_) => ("consumer", "Stable"),
            None => ("classic", "Stable"),
        };
        let group = &self.scene.group;
        assert_eq!((group.type_name(), group.state_name()), expected);
        let read: BTreeSet<i32> = running.iter().flat_map(|c| c.owned.clone()).collect();
        assert_eq!(read, (0..self.partitions()).collect());
        let sizes = running.iter().map(|client| client.owned.len());
        let (least, most) = (sizes.clone().min(), sizes.max());
        assert!(most <= least.map(|least| least + 1), "{:?}", self.clients);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn partitions_have_one_owner_and_groups_settle(
        assignor in prop_oneof![Just(Assignor::Range), Just(Assignor::CooperativeSticky)],
        ops in proptest::collection::vec(op(), 0..120),
    ) {
        let mut world = World::new(assignor);
        for op in &ops {
            world.step(op);
        }
        world.settle();
        world.assert_settled();
    }
}

/// The static one (client 0) and another share `t1`, and a rebalance begins; the static one
/// does as told and then misses it. It is a member still, but what it reads is given to the
/// other.
fn assert_missed_rebalance(assignor: Assignor, acts: &[Op]) {
    let mut world = World::new(assignor);
    let start = [Op::Start(0, false), Op::Start(2, false), Op::All, Op::All];
    let miss = [Op::Wait(10_000), Op::Act(2), Op::Act(2)];
    for op in start.iter().chain(acts).chain(&miss) {
        world.step(op);
    }
    world.settle();
    world.assert_settled();
}

#[test]
fn a_static_member_that_missed_a_rebalance_no_longer_reads() {
    assert_missed_rebalance(Assignor::Range, &[]);
}

/// Its heartbeat has told it to join again.
#[test]
fn a_static_member_that_was_too_late_to_join_no_longer_reads() {
    assert_missed_rebalance(Assignor::Range, &[Op::Act(0)]);
    assert_missed_rebalance(Assignor::CooperativeSticky, &[Op::Act(0)]);
}
