//! A group's offsets in the transaction.

use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{GroupId, OffsetFetchRequest};
use kafka_protocol::protocol::StrBytes;

use crate::common::name;
use crate::compare::{Run, Story};

pub(crate) const STORIES: &[(&str, Story)] = &[("offsets", offsets)];

/// What is committed is not taken again, what is aborted is.
fn offsets(run: &mut Run) {
    run.create_topic("@from", 1);
    run.create_topic("@to", 1);
    run.take_all(&[
        "plain @from 0 one two three",
        "producer p @source 60000",
        "begin p",
        "send p @from 0 never",
        "abort p",
        "plain @from 0 four five six",
        "committed @group @from",
    ]);
    for end in ["commit", "abort", "commit", "abort"] {
        run.take(&format!("transform @id @group @from @to 2 {end}"));
        run.take("committed @group @from");
        committed(run);
    }
    run.take_all(&[
        "plain @to 0 end",
        "read read_committed @to 1",
        "read read_uncommitted @to 1",
    ]);
    run.dump("@from", 1);
    run.dump("@to", 1);
}

/// What the server has, whatever the client makes of it.
fn committed(run: &mut Run) {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(name(&run.named("@from")))
        .with_partition_indexes(vec![0]);
    for stable in [false, true] {
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(run.named("@group"))))
            .with_topics(Some(vec![topic.clone()]))
            .with_require_stable(stable);
        let response = run.raw.call(7, &request);
        let found = &response.topics[0].partitions[0];
        let known_epoch = found.committed_leader_epoch >= 0;
        run.tell(format!(
            "stable {stable}: error {} offset {} leader epoch known {known_epoch}",
            found.error_code, found.committed_offset,
        ));
    }
}
