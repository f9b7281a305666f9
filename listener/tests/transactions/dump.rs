//! What a partition holds, from raw requests, as text.

use std::fmt::Write as _;

use kafka_core::batch::{Batch, split_batches};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest};

use crate::common::{Raw, name};
use crate::compare::Run;

const ISOLATIONS: [(i8, &str); 2] = [(0, "read_uncommitted"), (1, "read_committed")];
const TIMES: [(i64, &str); 3] = [(-1, "latest"), (-2, "earliest"), (-3, "of max timestamp")];

/// Producer ids are the server's business: numbered as they appear.
#[derive(Default)]
pub(crate) struct Producers(Vec<i64>);

impl Producers {
    fn number(&mut self, producer_id: i64) -> String {
        if producer_id < 0 {
            return "none".to_owned();
        }
        let known = self.0.iter().position(|known| *known == producer_id);
        let number = known.unwrap_or_else(|| {
            self.0.push(producer_id);
            self.0.len() - 1
        });
        number.to_string()
    }

    /// A client's line with its `producer=ID`.
    pub(crate) fn renamed(&mut self, line: &str) -> String {
        let words = line.split(' ').map(|word| {
            let id = word
                .strip_prefix("producer=")
                .and_then(|id| id.parse().ok());
            id.map_or_else(
                || word.to_owned(),
                |id| format!("producer {}", self.number(id)),
            )
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Run<'_> {
    /// Tells of all batches in both isolation levels.
    pub(crate) fn dump(&mut self, topic: &str, partitions: i32) {
        for partition in 0..partitions {
            for (isolation, level) in ISOLATIONS {
                self.dump_as(topic, partition, isolation, level);
            }
            self.list_offsets(topic, partition);
        }
    }

    fn dump_as(&mut self, topic: &str, partition: i32, isolation: i8, level: &str) {
        let named = self.named(topic);
        let found = fetch(&mut self.raw, &named, partition, 0, isolation);
        let aborted = self.aborted(&found);
        self.tell(format!(
            "{topic} {partition} {level}: error {} high watermark {} last stable {} from {} aborted {aborted}",
            found.error_code, found.high_watermark, found.last_stable_offset, found.log_start_offset,
        ));
        let records = found.records.unwrap_or_default();
        let mut next = 0;
        for batch in split_batches(&records) {
            let batch = batch.unwrap();
            let line = batch_line(&batch, &mut self.producers);
            self.tell(line);
            next = batch.base_offset() + i64::from(batch.last_offset_delta()) + 1;
        }
        let end = if isolation == 0 {
            found.high_watermark
        } else {
            found.last_stable_offset
        };
        assert_eq!(next, end, "one fetch returns all of {named} {partition}");
    }

    /// Those that matter for what is returned. Apache Kafka also tells of some behind the
    /// last stable offset, as far as its sparse index goes, and of those whose marker is all
    /// that is returned of them.
    fn aborted(&mut self, found: &PartitionData) -> String {
        let Some(aborted) = &found.aborted_transactions else {
            return "null".to_owned();
        };
        let records = found.records.clone().unwrap_or_default();
        let mut batches = split_batches(&records).map(Result::unwrap);
        let matter = batches.any(|batch| batch.is_transactional() && !batch.is_control());
        let aborted = aborted
            .iter()
            .filter(|aborted| matter && aborted.first_offset < found.last_stable_offset);
        let aborted = aborted.map(|aborted| {
            let producer = self.producers.number(aborted.producer_id.0);
            format!("{producer} from {}", aborted.first_offset)
        });
        format!("{:?}", aborted.collect::<Vec<_>>())
    }

    /// Tells of the aborted transactions in a fetch from each offset.
    pub(crate) fn dump_aborted(&mut self, topic: &str, partitions: i32) {
        let named = self.named(topic);
        for partition in 0..partitions {
            let end = fetch(&mut self.raw, &named, partition, 0, 1).last_stable_offset;
            for offset in 0..=end {
                let found = fetch(&mut self.raw, &named, partition, offset, 1);
                let aborted = self.aborted(&found);
                self.tell(format!(
                    "{topic} {partition} from {offset}: aborted {aborted}"
                ));
            }
        }
    }

    fn list_offsets(&mut self, topic: &str, partition: i32) {
        let named = self.named(topic);
        for (isolation, level) in ISOLATIONS {
            let offsets = TIMES.map(|(time, what)| {
                let wanted = ListOffsetsPartition::default()
                    .with_partition_index(partition)
                    .with_timestamp(time);
                let wanted = ListOffsetsTopic::default()
                    .with_name(name(&named))
                    .with_partitions(vec![wanted]);
                let request = ListOffsetsRequest::default()
                    .with_replica_id(BrokerId(-1))
                    .with_isolation_level(isolation)
                    .with_topics(vec![wanted]);
                let response = self.raw.call(7, &request);
                let found = &response.topics[0].partitions[0];
                format!("{what} {}", found.offset)
            });
            self.tell(format!(
                "{topic} {partition} {level}: {}",
                offsets.join(", ")
            ));
        }
    }
}

/// High watermark and last stable offset.
pub(crate) fn ends(raw: &mut Raw, topic: &str, partition: i32) -> (i64, i64) {
    let found = fetch(raw, topic, partition, 0, 1);
    (found.high_watermark, found.last_stable_offset)
}

fn fetch(raw: &mut Raw, topic: &str, partition: i32, offset: i64, isolation: i8) -> PartitionData {
    const MUCH: i32 = 10_000_000;
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(MUCH);
    let wanted = FetchTopic::default()
        .with_topic(name(topic))
        .with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_isolation_level(isolation)
        .with_max_bytes(MUCH)
        .with_topics(vec![wanted]);
    let mut response = raw.call(11, &request);
    assert_eq!(response.error_code, 0);
    response.responses.remove(0).partitions.remove(0)
}

/// A record's time is told where a client has given it; a marker's is the server's.
fn batch_line(batch: &Batch<'_>, producers: &mut Producers) -> String {
    let first = batch.base_offset();
    let last = first + i64::from(batch.last_offset_delta());
    let mut line = format!(
        "    {first}..={last} attributes {:#06x} producer {} epoch {} sequence {} count {}",
        batch.attributes(),
        producers.number(batch.producer_id()),
        batch.producer_epoch(),
        batch.base_sequence(),
        batch.record_count(),
    );
    let mut records = batch.records(usize::MAX).unwrap();
    while let Some(record) = records.next_record() {
        let record = record.unwrap();
        let (key, value) = (
            record.key.unwrap_or_default(),
            record.value.unwrap_or_default(),
        );
        if batch.is_control() {
            // Version and kind; version, and the coordinator's epoch, which is not told.
            let (version, length) = (&value[..2], value.len());
            write!(line, ": marker {key:?} {version:?} of {length} bytes").unwrap();
        } else {
            let [key, value] = [key, value].map(String::from_utf8_lossy);
            write!(line, ", {}: {key}={value}", record.timestamp).unwrap();
        }
    }
    line
}
