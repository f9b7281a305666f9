//! Several producers with one transactional id, over a network that loses, repeats and
//! delays requests and loses answers. What must hold is checked after every step.

use std::collections::{BTreeMap, BTreeSet};

use kafka_core::{ProducerState, SequenceVerdict, check_first_sequence, check_sequence, code};
use proptest::prelude::*;

use super::*;

const CLIENTS: usize = 3;
const PARTITIONS: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    /// The client begins anew, or goes on with what it has.
    Init(usize, bool),
    Add(usize, usize),
    AddGroup(usize),
    Produce(usize, usize),
    End(usize, Outcome),
    /// A request in flight arrives, and perhaps once more later; its answer may be lost.
    Arrive {
        nth: usize,
        again: bool,
        answered: bool,
    },
    Lose(usize),
    Wait(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    let partition = 0..PARTITIONS;
    let rarely = prop::bool::weighted(0.2);
    let mostly = prop::bool::weighted(0.8);
    let outcome = prop_oneof![Just(Outcome::Commit), Just(Outcome::Abort)];
    // The newest is the most likely.
    let nth = prop_oneof![3 => Just(0usize), 1 => 0usize..8];
    prop_oneof![
        2 => (client.clone(), any::<bool>()).prop_map(|(c, g)| Op::Init(c, g)),
        3 => (client.clone(), partition.clone()).prop_map(|(c, p)| Op::Add(c, p)),
        1 => client.clone().prop_map(Op::AddGroup),
        5 => (client.clone(), partition).prop_map(|(c, p)| Op::Produce(c, p)),
        3 => (client, outcome).prop_map(|(c, o)| Op::End(c, o)),
        12 => (nth.clone(), rarely, mostly)
            .prop_map(|(nth, again, answered)| Op::Arrive { nth, again, answered }),
        1 => nth.prop_map(Op::Lose),
        1 => (0i64..90_000).prop_map(Op::Wait),
    ]
}

#[derive(Debug, Clone)]
enum Request {
    Init(Option<Producer>),
    Add(Producer, usize),
    AddGroup(Producer),
    Produce(Producer, usize, i32),
    End(Producer, Outcome),
}

#[derive(Debug, Clone)]
struct Message {
    number: usize,
    client: usize,
    request: Request,
}

struct Client {
    version: Version,
    producer: Option<Producer>,
    /// The initialization or end that it waits for.
    waits_for: Option<Message>,
    next_sequence: [i32; PARTITIONS],
    /// Numbers of the transactions that took what was acknowledged since the last end.
    acknowledged: BTreeSet<usize>,
}

/// The open transaction as it should be.
#[derive(Default)]
struct Open {
    number: usize,
    partitions: BTreeSet<(i32, i32)>,
    group_ids: BTreeSet<String>,
}

#[derive(Default)]
struct Partition {
    producers: BTreeMap<i64, ProducerState>,
    next_offset: i64,
    /// By producer id the transaction whose records wait for a marker.
    undecided: BTreeMap<i64, usize>,
}

struct World {
    transaction: Transaction,
    now: i64,
    next_id: i64,
    clients: Vec<Client>,
    in_flight: Vec<Message>,
    messages: usize,
    partitions: [Partition; PARTITIONS],
    open: Option<Open>,
    begun: usize,
    outcomes: BTreeMap<usize, Outcome>,
    /// Every producer that was ever given, and by id the newest epoch that is over.
    given: Vec<Producer>,
    over: BTreeMap<i64, i16>,
    /// What each end was answered.
    ends: BTreeMap<usize, Producer>,
}

impl World {
    fn new(versions: [Version; CLIENTS], epoch: i16) -> Self {
        let mut transaction = Transaction::new("tx", ID, TIMEOUT, START);
        transaction.producer_epoch = epoch;
        let clients = versions.map(|version| Client {
            version,
            producer: None,
            waits_for: None,
            next_sequence: [0; PARTITIONS],
            acknowledged: BTreeSet::new(),
        });
        Self {
            transaction,
            now: START,
            next_id: NEXT_ID,
            clients: clients.into(),
            in_flight: Vec::new(),
            messages: 0,
            partitions: Default::default(),
            open: None,
            begun: 0,
            outcomes: BTreeMap::new(),
            given: Vec::new(),
            over: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Init(c, goes_on) => {
                let going_on = self.clients[c].producer.filter(|_| goes_on);
                self.wait_for(c, Request::Init(going_on));
            }
            Op::Add(c, p) => self.send_as(c, |producer| Request::Add(producer, p)),
            Op::AddGroup(c) => self.send_as(c, Request::AddGroup),
            Op::Produce(c, p) => {
                let sequence = self.clients[c].next_sequence[p];
                self.send_as(c, |producer| Request::Produce(producer, p, sequence));
            }
            Op::End(c, outcome) => match &self.clients[c] {
                Client {
                    waits_for: Some(message),
                    ..
                } => self.in_flight.push(message.clone()),
                Client {
                    producer: Some(producer),
                    ..
                } => self.wait_for(c, Request::End(*producer, outcome)),
                Client { .. } => {}
            },
            Op::Arrive {
                nth,
                again,
                answered,
            } => {
                if let Some(message) = self.take(nth) {
                    if again {
                        self.in_flight.insert(0, message.clone());
                    }
                    self.arrive(&message, answered);
                }
            }
            Op::Lose(nth) => drop(self.take(nth)),
            Op::Wait(ms) => self.now += ms,
        }
        self.check();
    }

    fn wait_for(&mut self, client: usize, request: Request) {
        if let Request::Init(_) = request {
            self.clients[client].acknowledged.clear();
        }
        let message = self.message(client, request);
        self.clients[client].waits_for = Some(message.clone());
        self.in_flight.push(message);
    }

    /// A producer does nothing while it waits.
    fn send_as(&mut self, client: usize, request: impl FnOnce(Producer) -> Request) {
        let sender = &mut self.clients[client];
        if let (Some(producer), None) = (sender.producer, &sender.waits_for) {
            let request = request(producer);
            if let Request::Produce(_, partition, _) = request {
                sender.next_sequence[partition] += 1;
            }
            let message = self.message(client, request);
            self.in_flight.push(message);
        }
    }

    fn message(&mut self, client: usize, request: Request) -> Message {
        self.messages += 1;
        Message {
            number: self.messages,
            client,
            request,
        }
    }

    fn take(&mut self, nth: usize) -> Option<Message> {
        let at = self.in_flight.len().checked_sub(nth + 1)?;
        Some(self.in_flight.remove(at))
    }

    fn arrive(&mut self, message: &Message, answered: bool) {
        let before = current(&self.transaction);
        let next_id = &mut self.next_id;
        let timed_out = self.transaction.time_out(|| new_id(next_id), self.now);
        if let Some(ended) = timed_out {
            self.ended(&ended, before);
        }
        let version = self.clients[message.client].version;
        let answer = self.handle(message, version);
        let client = &mut self.clients[message.client];
        if !answered {
            return;
        }
        let waited_for = client.waits_for.as_ref();
        if waited_for.is_some_and(|waits| waits.number == message.number) {
            client.waits_for = None;
            match answer {
                Ok(Some(producer)) => self.told(message, producer),
                Ok(None) => unreachable!("an answer without a producer"),
                Err(_) => client.producer = None,
            }
        } else if client.waits_for.is_none() && answer.is_ok() && sender(message) == client.producer
        {
            client
                .acknowledged
                .extend(self.open.as_ref().map(|open| open.number));
        }
    }

    /// The client learns of its initialization, or of its end.
    fn told(&mut self, message: &Message, producer: Producer) {
        let client = &mut self.clients[message.client];
        if client.producer != Some(producer) {
            client.next_sequence = [0; PARTITIONS];
        }
        client.producer = Some(producer);
        let acknowledged = std::mem::take(&mut client.acknowledged);
        // By version 1 a repeated end may end the next transaction as well.
        if let (Request::End(_, outcome), Version::V2) = (&message.request, client.version) {
            for number in acknowledged {
                assert_eq!(self.outcomes.get(&number), Some(outcome), "{number}");
            }
        }
    }

    fn handle(
        &mut self,
        message: &Message,
        version: Version,
    ) -> Result<Option<Producer>, KafkaError> {
        let before = current(&self.transaction);
        match message.request {
            Request::Init(going_on) => {
                let next_id = &mut self.next_id;
                let (ended, result) =
                    self.transaction
                        .init(TIMEOUT, going_on, || new_id(next_id), self.now);
                if let Some(ended) = ended {
                    self.ended(&ended, before);
                }
                result?;
                self.give(before);
            }
            Request::Add(producer, p) => {
                let partition = (1, p as i32);
                self.transaction
                    .add_partitions(producer, [partition], version, self.now)?;
                self.open().partitions.insert(partition);
                return Ok(None);
            }
            Request::AddGroup(producer) => {
                self.transaction
                    .add_group(producer, "g", version, self.now)?;
                self.open().group_ids.insert("g".to_owned());
                return Ok(None);
            }
            Request::Produce(producer, p, sequence) => {
                self.produce(producer, p, sequence, version)?;
                return Ok(None);
            }
            Request::End(producer, outcome) => {
                let next_id = &mut self.next_id;
                let ended = self.transaction.end(
                    producer,
                    outcome,
                    version,
                    || new_id(next_id),
                    self.now,
                )?;
                if let Some(ended) = ended {
                    self.ended(&ended, before);
                }
                self.give(before);
                let told = current(&self.transaction);
                if version == Version::V2 {
                    let first = *self.ends.entry(message.number).or_insert(told);
                    assert_eq!(first, told, "a repeated end is answered as the first");
                }
            }
        }
        Ok(Some(current(&self.transaction)))
    }

    fn open(&mut self) -> &mut Open {
        self.open.get_or_insert_with(|| {
            self.begun += 1;
            Open {
                number: self.begun,
                ..Open::default()
            }
        })
    }

    /// As the database judges a batch of one record.
    fn produce(
        &mut self,
        producer: Producer,
        p: usize,
        sequence: i32,
        version: Version,
    ) -> Result<(), KafkaError> {
        let partition = &self.partitions[p];
        let state = partition.producers.get(&producer.id);
        let verdict = check_sequence(state, producer.id, producer.epoch, sequence, 1)?;
        if verdict != SequenceVerdict::Append {
            return Ok(());
        }
        if version == Version::V2 {
            check_first_sequence(state, producer.id, sequence)?;
        }
        let of_topic = (1, p as i32);
        self.transaction
            .produce(producer, of_topic, version, self.now)?;
        if version == Version::V2 {
            self.open().partitions.insert(of_topic);
        }
        let over = self.over.get(&producer.id);
        assert!(
            over.is_none_or(|over| producer.epoch > *over),
            "{producer:?} is over"
        );
        let number = self.open.as_ref().unwrap().number;
        let partition = &mut self.partitions[p];
        let undecided = *partition.undecided.entry(producer.id).or_insert(number);
        assert_eq!(
            undecided, number,
            "two transactions without a marker between"
        );
        let state = partition.producers.entry(producer.id).or_default();
        state.record_append(producer.epoch, sequence, 1, partition.next_offset, self.now);
        state.record_transactional(partition.next_offset);
        partition.next_offset += 1;
        Ok(())
    }

    /// Writes the markers. `before` was the current producer.
    fn ended(&mut self, ended: &Ended, before: Producer) {
        let open = self.open.take().unwrap_or_default();
        assert_eq!(ended.partitions, open.partitions);
        assert_eq!(ended.group_ids, open.group_ids);
        if open.number > 0 {
            let twice = self.outcomes.insert(open.number, ended.outcome);
            assert_eq!(twice, None, "the transaction has ended before");
        }
        let Producer { id, epoch } = ended.producer;
        assert_eq!(id, before.id);
        for (_, p) in &ended.partitions {
            let partition = &mut self.partitions[*p as usize];
            let state = partition.producers.entry(id).or_default();
            state.check_marker(id, epoch, 0).unwrap();
            let began = state.record_marker(epoch, 0);
            partition.next_offset += 1;
            let decided = partition.undecided.remove(&id);
            assert_eq!(began.is_some(), decided.is_some());
            assert!(decided.is_none_or(|number| number == open.number));
        }
        self.give(before);
    }

    /// Notes that all before the current producer are over.
    fn give(&mut self, before: Producer) {
        let now = current(&self.transaction);
        let over = if now.id == before.id {
            now.epoch - 1
        } else {
            assert!((0..=1).contains(&now.epoch), "a new id begins anew");
            i16::MAX
        };
        let known = self.over.entry(before.id).or_insert(over);
        *known = over.max(*known);
        if !self.given.contains(&now) {
            self.given.push(now);
        }
    }

    fn check(&self) {
        let is_open = self.transaction.state == State::Ongoing;
        assert_eq!(is_open, self.open.is_some());
        assert!(self.transaction.producer_epoch < i16::MAX);
        let refusals = [
            code::INVALID_PRODUCER_EPOCH,
            code::INVALID_PRODUCER_ID_MAPPING,
        ];
        let writers: Vec<_> = self
            .given
            .iter()
            .filter(|producer| {
                let mut transaction = self.transaction.clone();
                let written = transaction.produce(**producer, P0, Version::V2, self.now);
                if let Err(error) = &written {
                    assert!(refusals.contains(&error.code()), "{error:?}");
                }
                written.is_ok()
            })
            .collect();
        assert!(writers.len() <= 1, "{writers:?}");
        for partition in &self.partitions {
            for number in partition.undecided.values() {
                assert!(!self.outcomes.contains_key(number), "{number} hangs");
            }
        }
    }
}

fn new_id(next: &mut i64) -> i64 {
    *next += 1;
    *next - 1
}

fn sender(message: &Message) -> Option<Producer> {
    match message.request {
        Request::Init(_) => None,
        Request::Add(producer, _)
        | Request::AddGroup(producer)
        | Request::Produce(producer, ..)
        | Request::End(producer, _) => Some(producer),
    }
}

proptest! {
    #[test]
    fn transactions_are_atomic_whatever_the_network_does(
        versions in prop::array::uniform3(prop_oneof![Just(Version::V1), Just(Version::V2)]),
        epoch in prop_oneof![2 => Just(-1i16), 1 => i16::MAX - 8..i16::MAX],
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut world = World::new(versions, epoch);
        for op in &ops {
            world.step(op);
        }
    }
}
