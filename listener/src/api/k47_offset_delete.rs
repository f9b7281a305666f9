//! `OffsetDelete`: a group forgets how far it has come in some partitions (KIP-496).

use std::sync::Arc;

use kafka_protocol::messages::OffsetDeleteRequest;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};

use crate::conn::Connection;
use crate::db::DeleteOffsets;
use crate::error::Fault;
use crate::router::{Answer, Api, Request};
use crate::server::Server;
use crate::wire::Reply;
use crate::wire::schema::{Field, INT32, Kind, field};

use super::{check_group_id, first_error, group_code};

const PARTITION: &[Field] = &[field("partition_index", INT32)];
const TOPIC: &[Field] = &[
    field("name", Kind::String),
    field("partitions", Kind::Array(&Kind::Struct(PARTITION))),
];
const REQUEST: &[Field] = &[
    field("group_id", Kind::String),
    field("topics", Kind::Array(&Kind::Struct(TOPIC))),
];

pub const API: Api = Api {
    key: 47,
    name: "OffsetDelete",
    min: 0,
    max: 0,
    advertised_min: 0,
    codec_max: 0,
    flexible: i16::MAX,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(handle(connection, request)) },
};

async fn handle(connection: Arc<Connection>, request: Request) -> Result<Option<Reply>, Fault> {
    let body: OffsetDeleteRequest = request.decode()?;
    let deleted = match delete(&connection.server, &body).await {
        Ok(deleted) => deleted,
        Err(error_code) => {
            return request.reply(&OffsetDeleteResponse::default().with_error_code(error_code));
        }
    };
    let mut codes = deleted.into_iter();
    let topics = body.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(&mut codes);
        let partitions = partitions.map(|(asked, error_code)| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(error_code)
        });
        OffsetDeleteResponseTopic::default()
            .with_partitions(partitions.collect())
            .with_name(topic.name)
    });
    request.reply(&OffsetDeleteResponse::default().with_topics(topics.collect()))
}

/// An error code for each partition, or one for the group.
async fn delete(server: &Server, body: &OffsetDeleteRequest) -> Result<Vec<i16>, i16> {
    first_error([check_group_id(&body.group_id)])?;
    let partitions = body.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| (&**topic.name, partition.partition_index))
    });
    let partitions: Vec<(&str, i32)> = partitions.collect();
    let call = DeleteOffsets {
        group_id: &body.group_id,
        partitions: &partitions,
    };
    let deleted = server.db.group(&call).await;
    deleted.map_err(|error| group_code(&error))
}
