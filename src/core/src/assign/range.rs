//! `range`: each topic by itself, in consecutive runs of partitions.

use super::{Group, Share};

/// The first members of each topic, in the group's order, get one partition more where
/// the number does not divide. Topics with the same subscribers and as many partitions
/// are thus partitioned alike, which joins rely on.
pub(super) fn assign(group: &Group) -> Vec<Share> {
    let mut shares = vec![Share::new(); group.members.len()];
    for (topic, of) in group.topics.iter().enumerate() {
        let subscribers = group.subscribers(topic);
        let each = of.partitions / subscribers.len();
        let extra = of.partitions % subscribers.len();
        let mut next = 0;
        for (rank, &member) in subscribers.iter().enumerate() {
            let end = next + each + usize::from(rank < extra);
            if next < end {
                shares[member].insert(topic, (next..end).collect());
            }
            next = end;
        }
    }
    shares
}
