//! `roundrobin`: all partitions in the order of their topics, dealt out in turn.

use super::{Group, Share};

/// The turn goes on from topic to topic and passes over members without a subscription.
pub(super) fn assign(group: &Group) -> Vec<Share> {
    let mut shares = vec![Share::new(); group.members.len()];
    let mut turn = 0;
    for (topic, of) in group.topics.iter().enumerate() {
        let subscribers = group.subscribers(topic);
        let first = subscribers.partition_point(|&member| member < turn);
        let order = subscribers.iter().cycle().skip(first);
        for (partition, &member) in (0..of.partitions).zip(order) {
            shares[member].entry(topic).or_default().push(partition);
            turn = member + 1;
        }
    }
    shares
}
