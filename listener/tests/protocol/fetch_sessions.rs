//! Fetch sessions (KIP-227). The same requests go to a broker of Apache Kafka and to the
//! listener, and what they answer has to be the same text.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, FetchRequest, FetchResponse,
};
use uuid::Uuid;

use crate::apache_kafka::{ApacheKafka, SMALL};
use crate::common::{Env, Raw, batch, eventually, name};
use crate::install::or_skip;

type Story = fn(&mut Teller);

/// Tells a story at both, by names of topics and by their ids.
fn compare(title: &str, story: Story) {
    static KAFKA: OnceLock<Result<ApacheKafka, String>> = OnceLock::new();
    let kafka = KAFKA.get_or_init(|| ApacheKafka::start(SMALL, &[]));
    let Some(kafka) = or_skip(kafka.as_ref().map_err(Clone::clone)) else {
        return;
    };
    let env = Env::shared();
    for version in [7, 12, 17] {
        let [theirs, ours] = [&kafka.address, &env.listener.address].map(|address| {
            let mut teller = Teller::new(address, version, title);
            story(&mut teller);
            teller.told
        });
        assert_eq!(ours, theirs, "{title}, version {version}");
    }
}

/// A partition to fetch from: topic, number, offset, most bytes.
type Position<'a> = (&'a str, i32, i64, i32);

struct Teller {
    raw: Raw,
    address: String,
    version: i16,
    /// Of topics, since the servers are shared.
    prefix: String,
    ids: HashMap<String, Uuid>,
    /// As they were given out; told by their place.
    sessions: Vec<i32>,
    told: String,
    max_bytes: i32,
    isolation: i8,
    max_wait_ms: i32,
}

const WHOLE: i32 = 1 << 20;
/// For the last session given out.
const LAST: usize = usize::MAX;

impl Teller {
    fn new(address: &str, version: i16, title: &str) -> Self {
        Self {
            raw: Raw::connect(address),
            address: address.to_owned(),
            version,
            prefix: format!("{title}-{version}-"),
            ids: HashMap::new(),
            sessions: vec![0],
            told: String::new(),
            max_bytes: 50 << 20,
            isolation: 0,
            max_wait_ms: 0,
        }
    }

    fn create_topic(&mut self, topic: &str, partitions: i32) {
        let full = format!("{}{topic}", self.prefix);
        let new = CreatableTopic::default()
            .with_name(name(&full))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![new])
            .with_timeout_ms(30_000);
        let response = self.raw.call(7, &request);
        assert_eq!(response.topics[0].error_code, 0, "{topic}");
        self.ids
            .insert(topic.to_owned(), response.topics[0].topic_id);
        // Apache Kafka tells of leaders before they serve.
        let version = std::mem::replace(&mut self.version, 12);
        let all = (0..partitions).map(|number| (topic, number, 0, WHOLE));
        let request = self.request((0, -1), &all.collect::<Vec<_>>(), &[]);
        self.version = version;
        eventually("the topic has leaders", || {
            let response = self.raw.call(12, &request);
            let mut found = response
                .responses
                .iter()
                .flat_map(|topic| &topic.partitions);
            found.all(|partition| partition.error_code == 0)
        });
    }

    fn produce(&mut self, topic: &str, partition: i32, values: &[&str]) {
        let full = format!("{}{topic}", self.prefix);
        let produced = self.raw.produce(&full, -1, &[(partition, batch(values))]);
        assert_eq!(produced[0].error_code, 0);
    }

    fn delete_records(&mut self, topic: &str, partition: i32, offset: i64) {
        let partition = DeleteRecordsPartition::default()
            .with_partition_index(partition)
            .with_offset(offset);
        let topic = DeleteRecordsTopic::default()
            .with_name(name(&format!("{}{topic}", self.prefix)))
            .with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000);
        let response = self.raw.call(2, &request);
        assert_eq!(response.topics[0].partitions[0].error_code, 0);
    }

    fn id(&self, topic: &str) -> Uuid {
        self.ids.get(topic).copied().unwrap_or(Uuid::from_u128(5))
    }

    fn session(&self, place: usize) -> i32 {
        let last = self.sessions.last().copied().unwrap_or_default();
        self.sessions.get(place).copied().unwrap_or(last)
    }

    fn request(
        &self,
        session: (i32, i32),
        positions: &[Position],
        forgotten: &[(&str, i32)],
    ) -> FetchRequest {
        let by_id = self.version >= 13;
        let full = |topic: &str| name(&format!("{}{topic}", self.prefix));
        let topics = positions
            .iter()
            .map(|(topic, partition, offset, max_bytes)| {
                let partition = FetchPartition::default()
                    .with_partition(*partition)
                    .with_fetch_offset(*offset)
                    .with_partition_max_bytes(*max_bytes);
                let asked = FetchTopic::default().with_partitions(vec![partition]);
                if by_id {
                    asked.with_topic_id(self.id(topic))
                } else {
                    asked.with_topic(full(topic))
                }
            });
        let forgotten = forgotten.iter().map(|(topic, partition)| {
            let gone = ForgottenTopic::default().with_partitions(vec![*partition]);
            if by_id {
                gone.with_topic_id(self.id(topic))
            } else {
                gone.with_topic(full(topic))
            }
        });
        FetchRequest::default()
            .with_max_wait_ms(self.max_wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(self.max_bytes)
            .with_isolation_level(self.isolation)
            .with_session_id(session.0)
            .with_session_epoch(session.1)
            .with_topics(topics.collect())
            .with_forgotten_topics_data(forgotten.collect())
    }

    /// Fetches and tells the answer. The session goes by its place.
    fn fetch(
        &mut self,
        (session, epoch): (usize, i32),
        positions: &[Position],
        forgotten: &[(&str, i32)],
    ) {
        let request = self.request((self.session(session), epoch), positions, forgotten);
        let response = self.raw.call(self.version, &request);
        self.tell(&response);
    }

    fn tell(&mut self, response: &FetchResponse) {
        let id = response.session_id;
        let known = self.sessions.iter().position(|known| *known == id);
        let place = known.unwrap_or(self.sessions.len());
        if known.is_none() {
            self.sessions.push(id);
        }
        write!(self.told, "error {} session {place}:", response.error_code).unwrap();
        for topic in &response.responses {
            let by_id = self.ids.iter().find(|(_, id)| **id == topic.topic_id);
            let name = match by_id {
                Some((name, _)) if self.version >= 13 => name.clone(),
                _ => topic.topic.replace(&self.prefix, ""),
            };
            write!(self.told, " {name}[").unwrap();
            for partition in &topic.partitions {
                self.told.push_str(&partition_text(partition));
            }
            self.told.push(']');
        }
        self.told.push('\n');
    }
}

fn partition_text(found: &PartitionData) -> String {
    let records = found.records.as_deref().unwrap_or_default();
    let first = records
        .get(..8)
        .map(|base| i64::from_be_bytes(base.try_into().unwrap()));
    format!(
        " {}: error {} high watermark {} stable {} start {} aborted {:?} from {first:?}, {} bytes;",
        found.partition_index,
        found.error_code,
        found.high_watermark,
        found.last_stable_offset,
        found.log_start_offset,
        found.aborted_transactions,
        records.len()
    )
}

#[test]
fn an_incremental_answer_has_what_is_new() {
    compare("news", |at| {
        at.create_topic("a", 3);
        at.create_topic("b", 1);
        at.produce("a", 1, &["one", "two"]);
        let all = [("a", 0, 0, WHOLE), ("a", 1, 0, WHOLE), ("b", 0, 0, WHOLE)];
        at.fetch((0, 0), &all, &[]);
        // Read again: it has not said that it has moved on.
        at.fetch((LAST, 1), &[], &[]);
        at.fetch((LAST, 2), &[("a", 1, 2, WHOLE)], &[]);
        at.fetch((LAST, 3), &[], &[]);
        at.produce("b", 0, &["three"]);
        at.fetch((LAST, 4), &[], &[]);
        at.fetch((LAST, 5), &[("b", 0, 1, WHOLE)], &[]);
        // One more is told of first, also without records; another is no longer read.
        at.fetch((LAST, 6), &[("a", 2, 0, WHOLE)], &[("b", 0)]);
        at.produce("b", 0, &["four"]);
        at.produce("a", 2, &["five"]);
        at.fetch((LAST, 7), &[], &[("a", 1), ("nowhere", 0)]);
        at.delete_records("a", 2, 1);
        at.fetch((LAST, 8), &[("a", 2, 1, WHOLE)], &[]);
        at.fetch((LAST, 9), &[], &[]);
        // A level for one request.
        at.isolation = 1;
        at.produce("a", 2, &["six"]);
        at.fetch((LAST, 10), &[], &[]);
    });
}

#[test]
fn errors_are_told_each_time() {
    compare("errors", |at| {
        at.create_topic("a", 1);
        at.produce("a", 0, &["one"]);
        let all = [
            ("nowhere", 0, 0, WHOLE),
            ("a", 7, 0, WHOLE),
            ("a", 0, 0, WHOLE),
        ];
        at.fetch((0, 0), &all, &[]);
        at.fetch((LAST, 1), &[("a", 0, 1, WHOLE)], &[("a", 7)]);
        at.fetch((LAST, 2), &[("a", 0, 9, WHOLE)], &[]);
        at.fetch((LAST, 3), &[], &[]);
        at.fetch((LAST, 4), &[("a", 0, 1, WHOLE)], &[("nowhere", 0)]);
        at.fetch((LAST, 5), &[], &[]);
        at.isolation = 1;
        at.fetch((0, -1), &all, &[]);
        at.fetch((0, -1), &[("a", 0, 9, WHOLE)], &[]);
    });
}

#[test]
fn sessions_and_epochs_that_are_not_known_are_refused() {
    compare("refused", |at| {
        at.create_topic("a", 2);
        let one = [("a", 0, 0, WHOLE)];
        at.fetch((0, 1), &one, &[]);
        at.fetch((0, 0), &one, &[]);
        at.fetch((1, 2), &[], &[]);
        at.fetch((1, 1), &[], &[]);
        at.fetch((1, 1), &[], &[]);
        at.fetch((1, -2), &[], &[]);
        at.fetch((1, 2), &[], &[]);
        // Closed; a full request that names a session ends it.
        at.fetch((1, -1), &one, &[]);
        at.fetch((1, 3), &[], &[]);
        at.fetch((0, 0), &one, &[]);
        at.fetch((2, 0), &[("a", 1, 0, WHOLE)], &[]);
        at.fetch((2, 1), &[], &[]);
        // It has nothing left.
        at.fetch((3, 1), &[("a", 0, 0, WHOLE)], &[("a", 0), ("a", 1)]);
        at.fetch((3, 2), &[], &[]);
        at.fetch((0, 0), &[], &[]);
        at.fetch((LAST, 1), &one, &[]);
        at.fetch((0, -1), &[], &[]);
    });
}

#[test]
fn names_and_ids_are_not_mixed_in_a_session() {
    compare("mixed", |at| {
        at.create_topic("a", 1);
        at.fetch((0, 0), &[("a", 0, 0, WHOLE)], &[]);
        let version = at.version;
        at.version = if version < 13 { 13 } else { 12 };
        at.fetch((LAST, 1), &[], &[]);
        at.version = version;
        at.fetch((1, 1), &[], &[]);
    });
}

#[test]
fn a_partition_named_twice_is_read_once() {
    compare("twice", |at| {
        at.create_topic("a", 2);
        at.produce("a", 0, &["one"]);
        let twice = [("a", 0, 0, WHOLE), ("a", 1, 0, WHOLE), ("a", 0, 1, WHOLE)];
        at.fetch((0, -1), &twice, &[]);
        at.fetch((0, 0), &twice, &[]);
        at.fetch((LAST, 1), &twice, &[("a", 1), ("a", 1)]);
    });
}

#[test]
fn partitions_take_turns() {
    compare("turns", |at| {
        at.create_topic("a", 2);
        at.create_topic("b", 1);
        for value in ["one", "two", "three"] {
            at.produce("a", 0, &[value]);
            at.produce("b", 0, &[value]);
        }
        // One batch each time.
        at.max_bytes = 1;
        let all = [("a", 0, 0, 1), ("a", 1, 0, 1), ("b", 0, 0, 1)];
        at.fetch((0, 0), &all, &[]);
        at.fetch((LAST, 1), &[("a", 0, 1, 1)], &[]);
        at.fetch((LAST, 2), &[("a", 0, 2, 1)], &[]);
        at.fetch((LAST, 3), &[("b", 0, 1, 1)], &[]);
        at.produce("a", 1, &["four"]);
        at.fetch((LAST, 4), &[("a", 0, 3, 1)], &[]);
        at.fetch((LAST, 5), &[("b", 0, 2, 1)], &[]);
        at.max_bytes = WHOLE;
        at.fetch((LAST, 6), &[], &[]);
        at.fetch((LAST, 7), &[], &[]);
    });
}

#[test]
fn a_session_is_anybodys_and_waits_for_all_its_partitions() {
    compare("shared", |at| {
        at.create_topic("a", 2);
        at.create_topic("b", 1);
        let all = [("a", 0, 0, WHOLE), ("b", 0, 0, WHOLE), ("a", 1, 0, WHOLE)];
        at.fetch((0, 0), &all, &[]);
        at.max_wait_ms = 20_000;
        let mut other = Raw::connect(&at.address);
        let request = at.request((at.session(LAST), 1), &[], &[]);
        other.send(at.version, &request);
        std::thread::sleep(Duration::from_millis(300));
        at.produce("b", 0, &["one"]);
        let (_, response) = other.receive_response::<FetchRequest>(at.version);
        at.tell(&response);
        // While it waits, another request goes on.
        let request = at.request((at.session(LAST), 2), &[("b", 0, 1, WHOLE)], &[]);
        other.send(at.version, &request);
        std::thread::sleep(Duration::from_millis(300));
        at.max_wait_ms = 0;
        at.fetch((LAST, 3), &[], &[]);
        at.produce("a", 0, &["two"]);
        let (_, response) = other.receive_response::<FetchRequest>(at.version);
        at.tell(&response);
        drop(other);
        at.fetch((LAST, 4), &[], &[]);
    });
}

#[test]
fn another_listener_knows_nothing_of_it() {
    let env = Env::own("", &["--fetch-sessions", "1"]);
    let other = crate::common::Listener::start(&env.cluster.conninfo(), &[]);
    let mut at = Teller::new(&env.listener.address, 12, "other");
    at.create_topic("a", 1);
    let one = [("a", 0, 0, WHOLE)];
    at.fetch((0, 0), &one, &[]);
    at.raw = Raw::connect(&other.address);
    at.fetch((1, 1), &[], &[]);
    at.fetch((0, 0), &one, &[]);
    // The first one has room for a single session.
    at.raw = Raw::connect(&env.listener.address);
    at.fetch((0, 0), &one, &[]);
    at.fetch((1, 1), &[], &[]);
    let numbers: Vec<_> = at
        .told
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        numbers,
        [
            "error 0 session 1",
            "error 70 session 0",
            "error 0 session 2",
            "error 0 session 0",
            "error 0 session 1"
        ]
    );
}
