//! The group protocol in which the server assigns (KIP-848), step by step.

mod assignors;
mod membership;
mod offsets;
mod reconciliation;
mod simulation;
mod subscriptions;

use kafka_core::KafkaError;
use kafka_core::group::consumer::{Config, ConsumerGroup, Heartbeat, HeartbeatReply, heartbeat};
use kafka_core::group::{Partitions, Topic, Topics};

pub(crate) const NOW: i64 = 1_000_000;
pub(crate) const T1: [u8; 16] = [1; 16];
pub(crate) const T2: [u8; 16] = [2; 16];

/// `t1` and `t2`, with so many partitions.
pub(crate) fn topics(counts: [i32; 2]) -> Topics {
    [("t1", T1, counts[0]), ("t2", T2, counts[1])]
        .into_iter()
        .map(|(name, id, partitions)| (name.to_owned(), Topic { id, partitions }))
        .collect()
}

pub(crate) fn partitions(list: &[([u8; 16], &[i32])]) -> Partitions {
    list.iter()
        .map(|(id, numbers)| (*id, numbers.iter().copied().collect()))
        .collect()
}

/// A first heartbeat, subscribed to `t1`.
pub(crate) fn join(member_id: &str) -> Heartbeat {
    Heartbeat {
        member_id: member_id.to_owned(),
        client_id: "client".to_owned(),
        client_host: "/10.0.0.1".to_owned(),
        rebalance_timeout_ms: Some(60_000),
        subscribed_topics: Some(vec!["t1".to_owned()]),
        owned: Some(Partitions::new()),
        ..Heartbeat::default()
    }
}

/// A heartbeat that says nothing but that the member is there.
pub(crate) fn stay(member_id: &str, member_epoch: i32) -> Heartbeat {
    Heartbeat {
        member_epoch,
        rebalance_timeout_ms: None,
        subscribed_topics: None,
        owned: None,
        ..join(member_id)
    }
}

pub(crate) fn owning(member_id: &str, member_epoch: i32, owned: Partitions) -> Heartbeat {
    Heartbeat {
        owned: Some(owned),
        ..stay(member_id, member_epoch)
    }
}

/// A group and what is around it, with the time standing still unless it is moved.
pub(crate) struct Scene {
    pub group: ConsumerGroup,
    pub topics: Topics,
    pub config: Config,
    pub now: i64,
}

impl Scene {
    pub(crate) fn new(counts: [i32; 2]) -> Self {
        Self {
            group: ConsumerGroup::new("g"),
            topics: topics(counts),
            config: Config::default(),
            now: NOW,
        }
    }

    /// One heartbeat; a refused one must not have changed anything.
    pub(crate) fn send(&mut self, request: &Heartbeat) -> Result<HeartbeatReply, KafkaError> {
        let before = self.group.clone();
        let answer = heartbeat(
            &mut self.group,
            request,
            &self.topics,
            &self.config,
            self.now,
        );
        if answer.is_err() {
            assert_eq!(self.group, before);
        }
        answer
    }

    pub(crate) fn accept(&mut self, request: &Heartbeat) -> HeartbeatReply {
        self.send(request).unwrap()
    }

    pub(crate) fn refuse(&mut self, request: &Heartbeat) -> i16 {
        self.send(request).unwrap_err().code()
    }
}
