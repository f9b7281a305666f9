//! The two servers that are compared.

use std::sync::{Arc, OnceLock};

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, DescribeTransactionsRequest, FindCoordinatorRequest, MetadataRequest,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use crate::apache_kafka::{ApacheKafka, SMALL};
use crate::common::{Env, Raw, eventually, name};
use crate::install::or_skip;

/// Groups and transactions that are due are seen to at once, as far as that can be set.
const PROPERTIES: [&str; 2] = [
    "group.initial.rebalance.delay.ms=0",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=200",
];

pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    /// Keeps the listener.
    _env: Option<Arc<Env>>,
}

impl Side {
    /// Apache Kafka, and `pg_kafka`. None where the first cannot be installed.
    pub(crate) fn both() -> Option<[Self; 2]> {
        static KAFKA: OnceLock<Result<ApacheKafka, String>> = OnceLock::new();
        let kafka = KAFKA.get_or_init(|| {
            let kafka = ApacheKafka::start(SMALL, &PROPERTIES)?;
            await_coordinators(&kafka.address);
            Ok(kafka)
        });
        let kafka = or_skip(kafka.as_ref().map_err(Clone::clone))?;
        let env = Env::shared();
        Some([
            Side {
                name: "Apache Kafka",
                address: kafka.address.clone(),
                _env: None,
            },
            Side {
                name: "pg_kafka",
                address: env.listener.address.clone(),
                _env: Some(env),
            },
        ])
    }

    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) {
        let mut raw = Raw::connect(&self.address);
        let new = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![new])
            .with_timeout_ms(30_000);
        let response = raw.call(5, &request);
        assert_eq!(response.topics[0].error_code, 0, "{topic}");
        eventually("the topic has leaders", || {
            let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
            let request = MetadataRequest::default().with_topics(Some(vec![topic]));
            let response = raw.call(4, &request);
            let partitions = &response.topics[0].partitions;
            !partitions.is_empty() && partitions.iter().all(|p| p.error_code == 0)
        });
    }

    /// Waits until the markers of these transactional ids' ended transactions are written.
    /// Apache Kafka answers a commit before.
    pub(crate) fn settle(&self, ids: &[String]) {
        let mut raw = Raw::connect(&self.address);
        let ids = ids.iter().cloned().map(StrBytes::from_string);
        let ids = ids.map(TransactionalId).collect();
        let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
        eventually("the transactions have ended", || {
            let response = raw.call(0, &request);
            let mut states = response.transaction_states.iter();
            states.all(|found| !found.transaction_state.starts_with("Prepare"))
        });
    }
}

/// Apache Kafka creates the topics behind them when they are first asked for.
fn await_coordinators(address: &str) {
    let mut raw = Raw::connect(address);
    for key_type in [0, 1] {
        eventually("there is a coordinator", || {
            let request = FindCoordinatorRequest::default()
                .with_key(StrBytes::from_static_str("any"))
                .with_key_type(key_type);
            raw.call(3, &request).error_code == 0
        });
    }
}
