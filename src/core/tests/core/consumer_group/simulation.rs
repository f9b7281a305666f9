//! Members that do as they are told, through everything that can happen to a group.

use std::collections::{BTreeMap, BTreeSet};

use kafka_core::group::consumer::{
    Assignor, GroupState, Heartbeat, HeartbeatReply, LEAVE_EPOCH, LEAVE_STATIC_EPOCH, Member,
    is_quiet, state, tick,
};
use kafka_core::group::{Partitions, Topic, TopicId, Topics};
use kafka_core::{KafkaError, code};
use proptest::prelude::*;

use super::{Scene, join, stay};

const CLIENTS: usize = 5;
const TOPICS: [&str; 3] = ["t0", "t1", "t2"];

/// What a client subscribes to: names and an expression.
const SUBSCRIPTIONS: [(&[&str], &str); 7] = [
    (&["t0"], ""),
    (&["t0", "t1"], ""),
    (&["t1", "t2"], ""),
    (&["t0", "t1", "t2"], ""),
    (&["missing"], ""),
    (&[], "t[02]"),
    (&["t1"], "t2|x"),
];

#[derive(Debug, Clone)]
enum Op {
    /// Starts the client if it does not run.
    Start(usize, usize),
    Heartbeat(usize),
    /// A heartbeat whose answer does not arrive.
    LoseAnswer(usize),
    /// The client gives up what it has to, or takes what it was given.
    Reconcile(usize),
    Subscribe(usize, usize),
    Leave(usize),
    /// The process is gone without a word.
    Die(usize),
    Grow(usize, i32),
    Recreate(usize),
    Wait(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    let subscription = 0..SUBSCRIPTIONS.len();
    prop_oneof![
        4 => (client.clone(), subscription.clone()).prop_map(|(c, s)| Op::Start(c, s)),
        8 => client.clone().prop_map(Op::Heartbeat),
        2 => client.clone().prop_map(Op::LoseAnswer),
        8 => client.clone().prop_map(Op::Reconcile),
        2 => (client.clone(), subscription).prop_map(|(c, s)| Op::Subscribe(c, s)),
        1 => client.clone().prop_map(Op::Leave),
        1 => client.prop_map(Op::Die),
        1 => (0..TOPICS.len(), 1i32..4).prop_map(|(t, n)| Op::Grow(t, n)),
        1 => (0..TOPICS.len()).prop_map(Op::Recreate),
        2 => (0i64..50_000).prop_map(Op::Wait),
    ]
}

/// A client. Even ones are static members.
#[derive(Debug, Clone, Default)]
struct Client {
    number: usize,
    /// How often it was started: each process has an id of its own.
    starts: usize,
    runs: bool,
    epoch: i32,
    subscription: usize,
    /// What it reads.
    owned: Partitions,
    /// What it was told to read.
    assignment: Partitions,
    /// It sends everything the next time.
    full: bool,
}

impl Client {
    fn member_id(&self) -> String {
        format!("{}-{}", self.number, self.starts)
    }

    fn request(&self) -> Heartbeat {
        let (names, regex) = SUBSCRIPTIONS[self.subscription];
        let mut request = Heartbeat {
            owned: Some(self.owned.clone()),
            ..stay(&self.member_id(), self.epoch)
        };
        if self.full || self.epoch == 0 {
            request.rebalance_timeout_ms = join("").rebalance_timeout_ms;
            request.subscribed_topics = Some(names.iter().map(|&n| n.to_owned()).collect());
            request.subscribed_regex = Some(regex.to_owned());
        }
        if self.number.is_multiple_of(2) {
            request.instance_id = Some(format!("i{}", self.number));
        }
        request
    }

    fn restart(&mut self) {
        self.epoch = 0;
        self.owned.clear();
        self.assignment.clear();
    }

    /// First gives up what it must no longer read, then takes the rest.
    fn reconcile(&mut self) {
        let before = self.owned.clone();
        self.owned.retain(|topic, numbers| {
            let allowed = self.assignment.get(topic);
            numbers.retain(|number| allowed.is_some_and(|allowed| allowed.contains(number)));
            !numbers.is_empty()
        });
        if self.owned == before {
            self.owned.clone_from(&self.assignment);
        }
    }
}

struct World {
    scene: Scene,
    clients: Vec<Client>,
    next_topic_id: u8,
}

impl World {
    fn new(assignor: Assignor) -> Self {
        let mut scene = Scene::new([0, 0]);
        scene.config.default_assignor = assignor;
        scene.topics = TOPICS
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let id = [number as u8; 16];
                let topic = Topic {
                    id,
                    partitions: number as i32 * 2 + 1,
                };
                ((*name).to_owned(), topic)
            })
            .collect();
        let clients = (0..CLIENTS).map(|number| Client {
            number,
            ..Client::default()
        });
        Self {
            scene,
            clients: clients.collect(),
            next_topic_id: 100,
        }
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Start(c, subscription) if !self.clients[c].runs => {
                let client = &mut self.clients[c];
                client.runs = true;
                client.starts += 1;
                client.subscription = subscription;
                client.restart();
            }
            Op::Heartbeat(c) => self.heartbeat(c, true),
            Op::LoseAnswer(c) => self.heartbeat(c, false),
            Op::Reconcile(c) => self.clients[c].reconcile(),
            Op::Subscribe(c, subscription) => {
                self.clients[c].subscription = subscription;
                self.clients[c].full = true;
            }
            Op::Leave(c) => self.leave(c),
            Op::Die(c) => {
                self.clients[c].runs = false;
                self.clients[c].restart();
            }
            Op::Grow(t, more) => self.topic(t).partitions += more,
            Op::Recreate(t) => {
                let id = [self.next_topic_id; 16];
                self.next_topic_id += 1;
                *self.topic(t) = Topic { id, partitions: 2 };
            }
            Op::Wait(ms) => self.wait(ms),
            Op::Start(..) => {}
        }
        self.check();
    }

    fn topic(&mut self, number: usize) -> &mut Topic {
        self.scene.topics.get_mut(TOPICS[number]).unwrap()
    }

    /// Time passes, and members that are fenced learn of it at once: what a client does
    /// after its session is over is its own affair.
    fn wait(&mut self, ms: i64) {
        self.scene.now += ms;
        let scene = &mut self.scene;
        tick(&mut scene.group, &scene.topics, &scene.config, scene.now);
        for client in &mut self.clients {
            if client.epoch > 0 && !self.scene.group.members.contains_key(&client.member_id()) {
                client.restart();
            }
        }
    }

    fn leave(&mut self, c: usize) {
        let client = &mut self.clients[c];
        if !client.runs || client.epoch == 0 {
            return;
        }
        // A static member says that it will be back, every second time.
        let for_a_while = client.number.is_multiple_of(2) && client.starts.is_multiple_of(2);
        let epoch = if for_a_while {
            LEAVE_STATIC_EPOCH
        } else {
            LEAVE_EPOCH
        };
        let request = Heartbeat {
            member_epoch: epoch,
            ..client.request()
        };
        client.runs = false;
        client.restart();
        self.scene.accept(&request);
    }

    fn heartbeat(&mut self, c: usize, arrives: bool) {
        let client = &mut self.clients[c];
        if !client.runs {
            return;
        }
        let request = client.request();
        let before = self.scene.group.clone();
        let answer = self.scene.send(&request);
        if let Some(member) = before.members.get(&request.member_id)
            && is_quiet(member, before.epoch, &request)
        {
            self.check_quiet(&before, &request, answer.as_ref().unwrap());
        }
        let client = &mut self.clients[c];
        match answer {
            // A client that misses an answer takes nothing more until it has another.
            Ok(_) if !arrives => {
                client.full = true;
                let owned = client.owned.clone();
                client.assignment.retain(|topic, numbers| {
                    let mine = owned.get(topic);
                    numbers.retain(|number| mine.is_some_and(|mine| mine.contains(number)));
                    !numbers.is_empty()
                });
            }
            Ok(reply) => {
                assert_eq!(reply.member_id, request.member_id);
                client.full = false;
                client.epoch = reply.member_epoch;
                if let Some(assignment) = reply.assignment {
                    client.assignment = assignment;
                }
            }
            Err(error) => {
                let expected = [
                    code::UNKNOWN_MEMBER_ID,
                    code::FENCED_MEMBER_EPOCH,
                    code::GROUP_ID_NOT_FOUND,
                    // The one before died without leaving: wait for its session to end.
                    code::UNRELEASED_INSTANCE_ID,
                ];
                assert!(expected.contains(&error.code()), "{error}");
                client.restart();
            }
        }
    }

    /// Nothing but the time changed, unless the topics did.
    fn check_quiet(
        &self,
        before: &kafka_core::group::consumer::ConsumerGroup,
        request: &Heartbeat,
        reply: &HeartbeatReply,
    ) {
        let mut expected = before.clone();
        let scene = &self.scene;
        if tick(
            &mut expected.clone(),
            &scene.topics,
            &scene.config,
            i64::MIN,
        ) {
            return;
        }
        let member = expected.members.get_mut(&request.member_id).unwrap();
        member.heartbeat_at = scene.now;
        assert_eq!(scene.group, expected);
        assert_eq!(reply.assignment, None);
        assert_eq!(reply.member_epoch, request.member_epoch);
    }

    /// Nobody shares a partition, neither in the group's books nor in the clients' hands.
    fn check(&self) {
        let mut assigned = BTreeSet::new();
        let mut targets = BTreeSet::new();
        for member in self.scene.group.members.values() {
            for (topic, epochs) in member.assigned.iter().chain(&member.pending_revocation) {
                for (number, epoch) in epochs {
                    assert!(assigned.insert((*topic, *number)), "assigned twice");
                    assert!(*epoch <= member.epoch || member.epoch == LEAVE_STATIC_EPOCH);
                }
            }
            for (topic, numbers) in &member.target {
                for number in numbers {
                    assert!(targets.insert((*topic, *number)), "two targets");
                }
            }
            let revokes = !member.pending_revocation.is_empty();
            assert_eq!(member.revoke_deadline.is_some(), revokes);
        }
        let mut read = BTreeSet::new();
        for client in &self.clients {
            for (topic, numbers) in &client.owned {
                for number in numbers {
                    assert!(read.insert((*topic, *number)), "read twice");
                }
            }
        }
    }

    /// Lets everybody who is left go on until nothing happens any more.
    fn settle(&mut self) {
        for client in &mut self.clients {
            client.full = client.runs;
        }
        for _ in 0..20 {
            for c in 0..CLIENTS {
                self.step(&Op::Heartbeat(c));
                self.clients[c].reconcile();
                self.clients[c].reconcile();
            }
            self.step(&Op::Wait(5_000));
        }
    }

    fn assert_settled(&self, assignor: Assignor) {
        let group = &self.scene.group;
        let running: Vec<_> = self.clients.iter().filter(|client| client.runs).collect();
        let ids: BTreeSet<_> = running.iter().map(|client| client.member_id()).collect();
        assert_eq!(ids, group.members.keys().cloned().collect());
        let expected = if running.is_empty() {
            GroupState::Empty
        } else {
            GroupState::Stable
        };
        assert_eq!(state(group), expected);

        let mut given = BTreeMap::new();
        for client in &running {
            let member = &group.members[&client.member_id()];
            assert_eq!(member.epoch, group.epoch);
            assert_eq!(client.epoch, group.epoch);
            assert_eq!(client.owned, member.target);
            let wanted = wanted(client, &self.scene.topics);
            for (topic, numbers) in &client.owned {
                assert!(wanted.contains_key(topic));
                for number in numbers {
                    given.insert((*topic, *number), client.number);
                }
            }
        }
        let all: BTreeSet<_> = running
            .iter()
            .flat_map(|client| wanted(client, &self.scene.topics))
            .flat_map(|(topic, count)| (0..count).map(move |number| (topic, number)))
            .collect();
        assert_eq!(given.keys().copied().collect::<BTreeSet<_>>(), all);
        if assignor == Assignor::Uniform {
            let members: Vec<_> = group.members.values().collect();
            assert_even(&members, &running, &self.scene.topics);
        }
    }
}

/// The topics that the client's subscription covers, and their partitions.
fn wanted(client: &Client, topics: &Topics) -> BTreeMap<TopicId, i32> {
    let (names, regex) = SUBSCRIPTIONS[client.subscription];
    topics
        .iter()
        .filter(|(name, _)| {
            let by_regex = match regex {
                "t[02]" => ["t0", "t2"].contains(&name.as_str()),
                "t2|x" => *name == "t2",
                _ => false,
            };
            by_regex || names.contains(&name.as_str())
        })
        .map(|(_, topic)| (topic.id, topic.partitions))
        .collect()
}

fn assert_even(members: &[&Member], running: &[&Client], topics: &Topics) {
    let size = |member: &Member| member.target.values().map(BTreeSet::len).sum::<usize>();
    for from in members {
        for to in members {
            let client = running
                .iter()
                .find(|client| client.member_id() == to.member_id)
                .unwrap();
            let wanted = wanted(client, topics);
            if from.target.keys().any(|topic| wanted.contains_key(topic)) {
                assert!(size(from) <= size(to) + 1, "{from:?} {to:?}");
            }
        }
    }
}

fn hostile() -> impl Strategy<Value = Heartbeat> {
    let text = || {
        proptest::option::of(prop_oneof![
            Just(String::new()),
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just("range".to_owned()),
            Just("(".to_owned()),
            ".{0,8}".prop_map(String::from),
        ])
    };
    let number = || prop_oneof![-4i32..6, Just(i32::MIN), Just(i32::MAX), any::<i32>()];
    let topic = prop_oneof![Just([0; 16]), Just([1; 16]), any::<[u8; 16]>()];
    let numbers = proptest::collection::btree_set(number(), 0..4);
    let owned = proptest::option::of(proptest::collection::btree_map(topic, numbers, 0..3));
    let names = proptest::option::of(proptest::collection::vec("t[0-4]|.{0,3}", 0..4));
    (
        (text(), text(), number(), text(), text()),
        (proptest::option::of(number()), names, text(), text(), owned),
    )
        .prop_map(|((member, new_member, epoch, instance, rack), rest)| {
            let (timeout, names, regex, assignor, owned) = rest;
            Heartbeat {
                member_id: member.unwrap_or_default(),
                new_member_id: new_member,
                member_epoch: epoch,
                instance_id: instance,
                rack_id: rack,
                client_id: String::new(),
                client_host: String::new(),
                rebalance_timeout_ms: timeout,
                subscribed_topics: names,
                subscribed_regex: regex,
                server_assignor: assignor,
                owned,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn partitions_have_one_owner_and_groups_settle(
        assignor in prop_oneof![Just(Assignor::Uniform), Just(Assignor::Range)],
        ops in proptest::collection::vec(op(), 0..80),
    ) {
        let mut world = World::new(assignor);
        for op in &ops {
            world.step(op);
        }
        world.settle();
        world.assert_settled(assignor);
    }

    /// Whatever is sent, at whatever time: an answer or an error, and no partition twice.
    #[test]
    fn hostile_heartbeats_do_no_harm(
        requests in proptest::collection::vec((hostile(), any::<i64>()), 0..30),
    ) {
        let mut world = World::new(Assignor::Uniform);
        for (request, now) in &requests {
            world.scene.now = *now;
            let answer = world.scene.send(request);
            let internal = matches!(answer, Err(KafkaError::UnreadableBatch { .. }));
            prop_assert!(!internal);
            if let Some(member) = world.scene.group.members.values().next() {
                is_quiet(member, world.scene.group.epoch, request);
            }
            let mut owners = BTreeSet::new();
            for member in world.scene.group.members.values() {
                for (topic, epochs) in member.assigned.iter().chain(&member.pending_revocation) {
                    for number in epochs.keys() {
                        prop_assert!(owners.insert((*topic, *number)));
                    }
                }
            }
            state(&world.scene.group);
            let scene = &world.scene;
            tick(&mut scene.group.clone(), &scene.topics, &scene.config, *now);
        }
    }
}
