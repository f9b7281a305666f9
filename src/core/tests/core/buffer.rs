//! The produce buffer against a naive model: a list of records with undo.

use std::collections::BTreeMap;

use kafka_core::{BatchBuilder, ProduceBuffer};
use proptest::prelude::*;

const MAX_BATCH: usize = 200;

/// What a session does between two of its transaction's ends.
#[derive(Debug, Clone)]
enum Op {
    Begin,
    Append {
        partition: u8,
        len: u8,
    },
    Commit,
    Abort,
    /// Rolls back an outer level without its children having been ended one by one.
    AbortTo(prop::sample::Index),
    Flush,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Begin),
        8 => (0..4u8, 0..120u8).prop_map(|(partition, len)| Op::Append { partition, len }),
        2 => Just(Op::Commit),
        2 => Just(Op::Abort),
        1 => any::<prop::sample::Index>().prop_map(Op::AbortTo),
        2 => Just(Op::Flush),
    ]
}

#[derive(Debug)]
struct ModelRecord {
    partition: u8,
    number: usize,
    value: Vec<u8>,
    /// The subtransaction it belongs to.
    owner: u32,
    /// The subtransaction that flushed it.
    flushed: Option<u32>,
}

#[derive(Default)]
struct Model {
    records: Vec<ModelRecord>,
    appended: usize,
}

impl Model {
    fn append(&mut self, owner: u32, partition: u8, len: u8) -> &ModelRecord {
        self.appended += 1;
        self.records.push(ModelRecord {
            partition,
            number: self.appended,
            value: vec![partition; len.into()],
            owner,
            flushed: None,
        });
        self.records.last().unwrap()
    }

    fn abort(&mut self, subxact: u32) {
        self.records.retain(|r| r.owner < subxact);
        for record in &mut self.records {
            record.flushed = record.flushed.filter(|by| *by < subxact);
        }
    }

    fn commit(&mut self, subxact: u32, parent: u32) {
        let hand_over = |owner: u32| if owner >= subxact { parent } else { owner };
        for record in &mut self.records {
            record.owner = hand_over(record.owner);
            record.flushed = record.flushed.map(hand_over);
        }
    }

    /// The batches that hold what is buffered, filled one after another.
    fn batches(&self) -> Vec<(u8, Vec<BatchBuilder>)> {
        let mut all: BTreeMap<u8, Vec<BatchBuilder>> = BTreeMap::new();
        for record in self.records.iter().filter(|r| r.flushed.is_none()) {
            let batches = all.entry(record.partition).or_default();
            let mut grown = batches.last().cloned().unwrap_or_default();
            append_to(&mut grown, record);
            if grown.encoded_len() <= MAX_BATCH && !batches.is_empty() {
                *batches.last_mut().unwrap() = grown;
            } else {
                let mut batch = BatchBuilder::new();
                append_to(&mut batch, record);
                batches.push(batch);
            }
        }
        all.into_iter().collect()
    }

    fn flush(&mut self, subxact: u32) {
        for record in &mut self.records {
            record.flushed.get_or_insert(subxact);
        }
    }
}

fn append_to(batch: &mut BatchBuilder, record: &ModelRecord) {
    let key = record.number.to_be_bytes();
    batch.append(record.number as i64, Some(&key), Some(&record.value), &[]);
}

struct Session {
    buffer: ProduceBuffer<u8>,
    model: Model,
    stack: Vec<u32>,
    next: u32,
}

impl Session {
    fn new() -> Self {
        Self {
            buffer: ProduceBuffer::new(),
            model: Model::default(),
            stack: vec![1],
            next: 2,
        }
    }

    fn current(&self) -> u32 {
        *self.stack.last().unwrap()
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Begin => {
                self.stack.push(self.next);
                self.next += 1;
            }
            Op::Append { partition, len } => {
                let current = self.current();
                let record = self.model.append(current, *partition, *len);
                self.buffer.append(
                    current,
                    *partition,
                    MAX_BATCH,
                    record.number as i64,
                    Some(&record.number.to_be_bytes()),
                    Some(&record.value),
                    &[],
                );
            }
            Op::Commit if self.stack.len() > 1 => {
                let subxact = self.stack.pop().unwrap();
                let parent = self.current();
                self.buffer.commit_subxact(subxact, parent);
                self.model.commit(subxact, parent);
            }
            Op::Abort if self.stack.len() > 1 => {
                let subxact = self.stack.pop().unwrap();
                self.buffer.abort_subxact(subxact);
                self.model.abort(subxact);
            }
            Op::AbortTo(index) if self.stack.len() > 1 => {
                let depth = 1 + index.index(self.stack.len() - 1);
                let subxact = self.stack[depth];
                self.stack.truncate(depth);
                self.buffer.abort_subxact(subxact);
                self.model.abort(subxact);
            }
            Op::Commit | Op::Abort | Op::AbortTo(_) => {}
            Op::Flush => self.flush(),
        }
        let batches = self.model.batches();
        let bytes: usize = batches
            .iter()
            .flat_map(|(_, batches)| batches)
            .map(BatchBuilder::encoded_len)
            .sum();
        assert_eq!(self.buffer.buffered_bytes(), bytes);
        assert_eq!(self.buffer.is_empty(), batches.is_empty());
    }

    fn flush(&mut self) {
        let current = self.current();
        assert_eq!(self.buffer.take(current), self.model.batches());
        self.model.flush(current);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn behaves_like_a_list_with_undo(ops in proptest::collection::vec(op(), 0..60)) {
        let mut session = Session::new();
        for op in &ops {
            session.run(op);
        }
        while session.stack.len() > 1 {
            session.run(&Op::Commit);
        }
        session.flush();
        prop_assert!(session.buffer.is_empty());
        prop_assert_eq!(session.buffer.shadow_bytes(), 0);
    }
}

fn append(buffer: &mut ProduceBuffer<u8>, subxact: u32, value: &str) {
    buffer.append(subxact, 0, 1000, 0, None, Some(value.as_bytes()), &[]);
}

fn values(taken: Vec<(u8, Vec<BatchBuilder>)>) -> Vec<String> {
    use crate::support::{INFLATED, parse, read};
    use kafka_core::{Codec, ProducerFields};
    taken
        .into_iter()
        .flat_map(|(_, batches)| batches)
        .map(|batch| batch.build(Codec::None, ProducerFields::default()))
        .flat_map(|bytes| read(&parse(&bytes), INFLATED).unwrap())
        .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
        .collect()
}

#[test]
fn a_savepoint_discards_exactly_what_it_rolls_back() {
    let mut buffer = ProduceBuffer::new();
    append(&mut buffer, 1, "before");
    append(&mut buffer, 2, "rolled back");
    append(&mut buffer, 3, "inside it");
    buffer.commit_subxact(3, 2);
    buffer.abort_subxact(2);
    append(&mut buffer, 1, "after");
    assert_eq!(values(buffer.take(1)), ["before", "after"]);
}

#[test]
fn an_early_flush_in_a_savepoint_that_rolls_back_is_repeated() {
    let mut buffer = ProduceBuffer::new();
    append(&mut buffer, 1, "outer");
    append(&mut buffer, 2, "inner");
    assert_eq!(values(buffer.take(2)), ["outer", "inner"]);
    assert!(buffer.is_empty());
    buffer.abort_subxact(2);
    append(&mut buffer, 1, "later");
    assert_eq!(values(buffer.take(1)), ["outer", "later"]);
}

#[test]
fn an_early_flush_in_a_released_savepoint_is_repeated_if_the_outer_one_rolls_back() {
    let mut buffer = ProduceBuffer::new();
    append(&mut buffer, 1, "top");
    append(&mut buffer, 2, "middle");
    append(&mut buffer, 3, "inner");
    assert_eq!(values(buffer.take(3)), ["top", "middle", "inner"]);
    buffer.commit_subxact(3, 2);
    assert!(buffer.is_empty());
    buffer.abort_subxact(2);
    assert_eq!(values(buffer.take(1)), ["top"]);
}

#[test]
fn an_early_flush_in_a_released_savepoint_is_not_repeated() {
    let mut buffer = ProduceBuffer::new();
    append(&mut buffer, 1, "top");
    append(&mut buffer, 2, "inner");
    buffer.take(2);
    assert!(buffer.shadow_bytes() > 0);
    buffer.commit_subxact(2, 1);
    assert!(buffer.is_empty());
    assert_eq!(buffer.shadow_bytes(), 0);
}

#[test]
fn partitions_come_in_the_order_of_their_keys() {
    let mut buffer = ProduceBuffer::new();
    for partition in [3u8, 1, 2, 1] {
        buffer.append(1, partition, 1000, 0, None, Some(b"v"), &[]);
    }
    let taken = buffer.take(1);
    let summary: Vec<_> = taken
        .iter()
        .map(|(partition, batches)| (*partition, batches[0].count()))
        .collect();
    assert_eq!(summary, [(1, 2), (2, 1), (3, 1)]);
}

#[test]
fn a_record_larger_than_a_batch_may_be_gets_its_own() {
    let mut buffer = ProduceBuffer::new();
    let large = "x".repeat(2000);
    for value in ["small", &large, "small"] {
        append(&mut buffer, 1, value);
    }
    let taken = buffer.take(1);
    let counts: Vec<_> = taken[0].1.iter().map(BatchBuilder::count).collect();
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn a_cleared_buffer_remembers_nothing() {
    let mut buffer = ProduceBuffer::new();
    append(&mut buffer, 1, "outer");
    append(&mut buffer, 2, "inner");
    buffer.take(2);
    append(&mut buffer, 2, "more");
    buffer.clear();
    assert!(buffer.is_empty());
    assert_eq!((buffer.buffered_bytes(), buffer.shadow_bytes()), (0, 0));
    buffer.abort_subxact(1);
    assert!(buffer.is_empty());
}
