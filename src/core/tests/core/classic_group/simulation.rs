//! Random members of a group under random time: some well-behaved, some that die, come
//! back and are slow. What must hold is checked after every step.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What a client is started with.
#[derive(Debug, Clone)]
struct Setup {
    is_static: bool,
    session_timeout_ms: i32,
    rebalance_timeout_ms: i32,
    protocols: Vec<&'static str>,
    require_member_id: bool,
    skipping: bool,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// This much time passes.
    Tick(i64),
    /// A client sends its next request.
    Act(usize),
    /// All do, so often.
    All(usize),
    Leave(usize),
    Commit(usize),
    /// It is restarted, or started; with its member id or without. Its former self may go
    /// on for a while.
    Start(usize, bool),
    Die(usize),
    /// Its subscription changes, so it joins.
    Resubscribe(usize),
    /// A former self sends something.
    Former(usize),
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Off,
    Joining,
    /// Its answer to the join: the generation, and as leader everybody's share.
    Syncing(i32, Vec<(String, Vec<u8>)>),
    /// Heartbeats in this generation.
    Member(i32),
}

struct Client {
    setup: Setup,
    instance: Option<String>,
    member_id: String,
    subscription: u8,
    stage: Stage,
    /// When it acts next if it is left to itself.
    due: i64,
    is_waiting: bool,
}

struct World {
    group: Group,
    now: i64,
    next_id: usize,
    clients: Vec<Client>,
    former: Vec<(String, String, i32)>,
    /// Instance of each id that a static member has had.
    instances: BTreeMap<String, String>,
    /// Last sign of life of each member id, or when it was answered a join.
    alive: BTreeMap<String, i64>,
    /// Leader and protocol that the members of a generation were told.
    told: BTreeMap<i32, (String, String)>,
}

impl World {
    fn new(setups: Vec<Setup>) -> Self {
        let clients = setups.into_iter().enumerate().map(|(index, setup)| Client {
            instance: setup.is_static.then(|| format!("instance-{index}")),
            setup,
            member_id: String::new(),
            subscription: 0,
            stage: Stage::Joining,
            due: 0,
            is_waiting: false,
        });
        Self {
            group: Group::new("orders"),
            now: 0,
            next_id: 0,
            clients: clients.collect(),
            former: Vec::new(),
            instances: BTreeMap::new(),
            alive: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Who an id is, also after a restart.
    fn slot(&self, id: &str) -> String {
        let instance = self.instances.get(id).cloned();
        instance.unwrap_or_else(|| id.to_owned())
    }

    fn share(&self, generation: i32, id: &str) -> Vec<u8> {
        format!("{generation} {}", self.slot(id)).into_bytes()
    }

    fn step(&mut self, step: Step) {
        let count = self.clients.len();
        let client = |index: usize| index % count;
        match step {
            Step::Tick(ms) => self.pass(self.now + ms),
            Step::Act(index) => self.act(client(index)),
            Step::All(times) => {
                for _ in 0..times {
                    (0..self.clients.len()).for_each(|index| self.act(index));
                }
            }
            Step::Leave(index) => self.leave(client(index)),
            Step::Commit(index) => self.commit(client(index)),
            Step::Start(index, keeps_id) => self.start(client(index), keeps_id),
            Step::Die(index) => self.clients[client(index)].stage = Stage::Off,
            Step::Resubscribe(index) => {
                let client = &mut self.clients[client(index)];
                client.subscription = client.subscription.wrapping_add(1);
                if client.stage != Stage::Off {
                    client.stage = Stage::Joining;
                }
            }
            Step::Former(index) => self.former_acts(index),
        }
        self.check();
    }

    /// Time passes, in the steps that the group asks for.
    fn pass(&mut self, until: i64) {
        while let Some(due) = self.group.next_deadline().filter(|due| *due <= until) {
            self.now = due;
            self.observed(Group::advance);
            self.check();
        }
        self.now = until;
    }

    /// One step of the group, which ends no session early and goes through no generation
    /// twice.
    fn observed<T>(&mut self, step: impl FnOnce(&mut Group, i64) -> T) -> T {
        let before = self.group.clone();
        let reply = step(&mut self.group, self.now);
        let begun = self.group.generation_id - before.generation_id;
        assert!((0..=1).contains(&begun), "{before:?} {:?}", self.group);
        if begun > 0 {
            // An answer to a join is as good as a sign of life.
            for (id, member) in &before.members {
                if member.phase == Phase::Joined {
                    self.alive.insert(id.clone(), self.now);
                }
            }
        }
        if self.group.state != before.state || begun > 0 {
            // Whoever waits is woken.
            for client in self.clients.iter_mut().filter(|client| client.is_waiting) {
                client.due = client.due.min(self.now + 5);
            }
        }
        reply
    }

    fn act(&mut self, index: usize) {
        self.clients[index].is_waiting = false;
        match self.clients[index].stage.clone() {
            Stage::Off => {}
            Stage::Joining => self.join(index),
            Stage::Syncing(generation, shares) => self.sync(index, generation, shares),
            Stage::Member(generation) => {
                let id = self.clients[index].member_id.clone();
                let instance = self.clients[index].instance.clone();
                let reply = self.observed(|group, now| {
                    group.heartbeat(&id, instance.as_deref(), generation, now)
                });
                let answer = code_of(reply);
                if answer == 0 || answer == code::REBALANCE_IN_PROGRESS {
                    self.alive.insert(id, self.now);
                }
                if answer == 0 {
                    // Often enough to learn of a rebalance in time.
                    let setup = &self.clients[index].setup;
                    let timeout = setup.session_timeout_ms.min(setup.rebalance_timeout_ms);
                    self.clients[index].due = self.now + i64::from(timeout / 3);
                } else {
                    self.refused(index, answer);
                }
            }
        }
    }

    fn join(&mut self, index: usize) {
        let client = &self.clients[index];
        let subscription = client.subscription;
        let named = client.setup.protocols.iter();
        let join = Join {
            member_id: client.member_id.clone(),
            group_instance_id: client.instance.clone(),
            session_timeout_ms: client.setup.session_timeout_ms,
            rebalance_timeout_ms: client.setup.rebalance_timeout_ms,
            protocols: named
                .map(|name| (name.to_string(), vec![subscription]))
                .collect(),
            require_member_id: client.setup.require_member_id,
            supports_skipping_assignment: client.setup.skipping,
            ..new(&format!("member-{:03}", self.next_id))
        };
        self.next_id += 1;
        match self.observed(|group, now| group.join(join, &CONFIG, now)) {
            Ok(JoinReply::MemberIdRequired { member_id }) => {
                self.heard_of(index, &member_id);
                self.clients[index].due = self.now + 10;
            }
            Ok(JoinReply::Parked { member_id, until }) => {
                assert!(until > self.now);
                self.heard_of(index, &member_id);
                self.clients[index].due = until;
                self.clients[index].is_waiting = true;
            }
            Ok(JoinReply::Joined(joined)) => self.was_joined(index, joined),
            Err(err) => self.refused(index, err.code()),
        }
    }

    fn heard_of(&mut self, index: usize, member_id: &str) {
        let client = &mut self.clients[index];
        member_id.clone_into(&mut client.member_id);
        if let Some(instance) = &client.instance {
            self.instances
                .insert(member_id.to_owned(), instance.clone());
        }
        self.alive.insert(member_id.to_owned(), self.now);
    }

    fn was_joined(&mut self, index: usize, joined: Joined) {
        self.heard_of(index, &joined.member_id);
        let generation = joined.generation_id;
        let told = (self.slot(&joined.leader), joined.protocol_name);
        let first = self.told.entry(generation).or_insert_with(|| told.clone());
        assert_eq!(*first, told, "generation {generation}");
        let ids = joined.members.iter().map(|member| &member.member_id);
        let shares = if joined.skip_assignment {
            Vec::new()
        } else {
            ids.map(|id| (id.clone(), self.share(generation, id)))
                .collect()
        };
        self.clients[index].stage = Stage::Syncing(generation, shares);
        self.clients[index].due = self.now + 20;
    }

    fn sync(&mut self, index: usize, generation: i32, shares: Vec<(String, Vec<u8>)>) {
        let id = self.clients[index].member_id.clone();
        let request = Sync {
            group_instance_id: self.clients[index].instance.clone(),
            protocol_type: Some("consumer".to_owned()),
            assignments: shares,
            ..sync(&id, generation)
        };
        match self.observed(|group, now| group.sync(request, now)) {
            Ok(SyncReply::Synced { assignment }) => {
                assert_eq!(assignment, self.share(generation, &id));
                self.alive.insert(id, self.now);
                self.clients[index].stage = Stage::Member(generation);
                self.clients[index].due = self.now + 20;
            }
            Ok(SyncReply::Parked { until }) => {
                assert!(until > self.now);
                self.alive.insert(id, self.now);
                self.clients[index].due = until;
                self.clients[index].is_waiting = true;
            }
            Err(err) => self.refused(index, err.code()),
        }
    }

    /// As the Java client does.
    fn refused(&mut self, index: usize, answer: i16) {
        let client = &mut self.clients[index];
        client.stage = Stage::Joining;
        client.due = self.now + 10;
        match answer {
            code::REBALANCE_IN_PROGRESS | code::ILLEGAL_GENERATION => {}
            code::UNKNOWN_MEMBER_ID => client.member_id.clear(),
            _ => panic!("{answer} for {} {:?}", client.member_id, self.group),
        }
    }

    fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.stage = Stage::Off;
        let (id, instance) = (client.member_id.clone(), client.instance.clone());
        client.member_id.clear();
        let reply = self.observed(|group, now| group.leave(&id, instance.as_deref(), None, now));
        if reply.is_ok() {
            assert!(!self.group.members.contains_key(&id));
        }
    }

    fn commit(&mut self, index: usize) {
        let client = &self.clients[index];
        let Stage::Member(generation) = client.stage else {
            return;
        };
        let (id, instance) = (client.member_id.clone(), client.instance.clone());
        let reply = self
            .observed(|group, now| group.check_commit(&id, instance.as_deref(), generation, now));
        let is_open = matches!(self.group.state, State::Stable | State::PreparingRebalance);
        let is_member = self.group.members.contains_key(&id);
        let may = is_open && is_member && generation == self.group.generation_id;
        assert_eq!(reply.is_ok(), may);
        if may {
            self.alive.insert(id, self.now);
        }
    }

    fn start(&mut self, index: usize, keeps_id: bool) {
        let client = &mut self.clients[index];
        client.stage = Stage::Joining;
        client.due = self.now;
        if keeps_id {
            return;
        }
        let id = std::mem::take(&mut client.member_id);
        if let Some(instance) = client.instance.clone()
            && !id.is_empty()
        {
            self.former.push((instance, id, self.group.generation_id));
        }
    }

    /// A former self is fenced once its successor has joined.
    fn former_acts(&mut self, index: usize) {
        let count = self.former.len().max(1);
        let Some((instance, id, generation)) = self.former.get(index % count).cloned() else {
            return;
        };
        self.observed(Group::advance);
        let members = self.group.members.iter();
        let mut holders =
            members.filter(|(_, member)| member.group_instance_id.as_ref() == Some(&instance));
        let expected = match holders.next() {
            Some((holder, _)) if *holder == id => return,
            Some(_) => code::FENCED_INSTANCE_ID,
            None => code::UNKNOWN_MEMBER_ID,
        };
        assert_eq!(holders.next(), None);
        let before = self.group.clone();
        let instance = Some(instance.as_str());
        let now = self.now;
        let request = Sync {
            group_instance_id: instance.map(str::to_owned),
            ..sync(&id, generation)
        };
        let answers = [
            code_of(self.group.heartbeat(&id, instance, generation, now)),
            code_of(self.group.sync(request, now)),
            code_of(
                self.group
                    .check_commit(&id, instance, generation.max(0), now),
            ),
            code_of(self.group.leave(&id, instance, None, now)),
        ];
        assert_eq!(answers, [expected; 4]);
        assert_eq!(self.group, before);
    }

    fn check(&self) {
        let group = &self.group;
        let joined = group.joined_members().count();
        assert_eq!(group.state == State::Empty, joined == 0, "{group:?}");
        if group.state != State::Empty {
            let leader = group.leader.as_ref().expect("a leader");
            assert!(group.members.contains_key(leader), "{group:?}");
        }
        for (id, member) in &group.members {
            let end = self.alive[id] + i64::from(member.session_timeout_ms);
            assert!(self.now < end, "{id} should be gone: {group:?}");
            if group.state == State::Stable && member.phase != Phase::Pending {
                let share = self.share(group.generation_id, id);
                assert_eq!(member.assignment, share, "{id} {group:?}");
            }
        }
        self.check_deadlines();
    }

    /// Nothing happens before the deadline, something does then, and it makes no
    /// difference how often somebody looks.
    fn check_deadlines(&self) {
        let Some(due) = self.group.next_deadline() else {
            return;
        };
        assert!(due > self.now, "{:?}", self.group);
        let mut early = self.group.clone();
        early.advance(due - 1);
        assert_eq!(early, self.group);
        early.advance(due);
        assert_ne!(early, self.group);
        let end = self.now + 45_000;
        for moment in (self.now..=end).step_by(1_777) {
            early.advance(moment);
        }
        early.advance(end);
        let mut at_once = self.group.clone();
        at_once.advance(end);
        assert_eq!(early, at_once);
    }

    /// From here on everybody does what is due, and those that are off stay off.
    fn settle(&mut self, ms: i64) {
        let end = self.now + ms;
        loop {
            let live = (0..self.clients.len()).filter(|i| self.clients[*i].stage != Stage::Off);
            let Some(index) = live.min_by_key(|i| self.clients[*i].due) else {
                break;
            };
            let due = self.clients[index].due.max(self.now);
            let deadline = self.group.next_deadline().unwrap_or(due);
            if due.min(deadline) > end {
                break;
            }
            // What ends there may wake somebody earlier.
            if deadline < due {
                self.pass(deadline);
            } else {
                self.pass(due);
                self.act(index);
                self.check();
            }
        }
        self.pass(end);
    }

    /// All live clients are the members of one generation, and nobody else is.
    fn check_settled(&self) {
        let group = &self.group;
        let live = self
            .clients
            .iter()
            .filter(|client| client.stage != Stage::Off);
        let mut ids: Vec<_> = live.map(|client| client.member_id.clone()).collect();
        ids.sort();
        let members: Vec<_> = group.members.keys().cloned().collect();
        assert_eq!(members, ids, "{group:?}");
        if ids.is_empty() {
            assert_eq!(group.state, State::Empty);
            return;
        }
        assert_eq!(group.state, State::Stable);
        for client in self
            .clients
            .iter()
            .filter(|client| client.stage != Stage::Off)
        {
            assert_eq!(client.stage, Stage::Member(group.generation_id));
        }
    }
}

fn setup() -> impl Strategy<Value = Setup> {
    let protocols = proptest::sample::select(vec![
        vec!["range"],
        vec!["range", "sticky"],
        vec!["sticky", "range"],
    ]);
    let timeouts = (
        proptest::sample::select(vec![6_000, 10_000, 30_000]),
        proptest::sample::select(vec![2_000, 8_000, 20_000]),
    );
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (protocols, timeouts, flags).prop_map(|(protocols, timeouts, flags)| Setup {
        is_static: flags.0,
        session_timeout_ms: timeouts.0,
        rebalance_timeout_ms: timeouts.1,
        protocols,
        require_member_id: flags.1,
        skipping: flags.2,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..6_usize;
    prop_oneof![
        8 => client.clone().prop_map(Step::Act),
        8 => (1..4_usize).prop_map(Step::All),
        8 => (0..1_500_i64).prop_map(Step::Tick),
        2 => (0..9_000_i64).prop_map(Step::Tick),
        1 => (0..60_000_i64).prop_map(Step::Tick),
        2 => client.clone().prop_map(Step::Leave),
        2 => client.clone().prop_map(Step::Commit),
        3 => (client.clone(), any::<bool>()).prop_map(|(index, keeps)| Step::Start(index, keeps)),
        2 => client.clone().prop_map(Step::Die),
        1 => client.clone().prop_map(Step::Resubscribe),
        2 => (0..20_usize).prop_map(Step::Former),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_group_keeps_its_promises_and_settles(
        setups in proptest::collection::vec(setup(), 1..6),
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut world = World::new(setups);
        for step in steps {
            world.step(step);
        }
        world.settle(150_000);
        world.check_settled();
        let generation = world.group.generation_id;
        world.settle(150_000);
        world.check_settled();
        prop_assert_eq!(world.group.generation_id, generation);
    }
}
