//! Which APIs are served, in which versions, by whom: one table. Requests are dispatched
//! by it and `ApiVersions` is answered from it, so the two cannot differ.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use kafka_protocol::protocol::{Decodable, Encodable, Message};
use tokio::sync::OwnedSemaphorePermit;

use bytes::Bytes;

use crate::api;
use crate::conn::Connection;
use crate::error::Fault;
use crate::wire::{self, Frame, Malformed, Reply, RequestHeader, schema};

/// A handler is called when all earlier requests of its connection are answered, unless
/// its row says `pipelined`: then it is called in order as soon as the request is read,
/// and what has to happen in order happens before it returns its future.
pub type Handler = fn(Arc<Connection>, Request) -> Answer;
/// `None`: the request wants no response.
pub type Answer = BoxFuture<'static, Result<Option<Reply>, Fault>>;

pub struct Api {
    pub key: i16,
    pub name: &'static str,
    pub min: i16,
    pub max: i16,
    /// The lowest version that `ApiVersions` names, where that is not `min`.
    pub advertised_min: i16,
    /// The newest version that kafka-protocol decodes; a newer one that is served has the
    /// same form, or its handler decodes it.
    pub codec_max: i16,
    /// Since this version lengths are varints and structs end with tagged fields.
    pub flexible: i16,
    pub request: &'static [schema::Field],
    pub pipelined: bool,
    pub handler: Handler,
}

pub const API_VERSIONS: i16 = 18;

pub static APIS: &[Api] = &[
    api::k00_produce::API,
    api::k01_fetch::API,
    api::k02_list_offsets::API,
    api::k03_metadata::API,
    api::k08_offset_commit::API,
    api::k09_offset_fetch::API,
    api::k10_find_coordinator::API,
    api::k11_join_group::API,
    api::k12_heartbeat::API,
    api::k13_leave_group::API,
    api::k14_sync_group::API,
    api::k15_describe_groups::API,
    api::k16_list_groups::API,
    api::k18_api_versions::API,
    api::k19_create_topics::API,
    api::k20_delete_topics::API,
    api::k21_delete_records::API,
    api::k22_init_producer_id::API,
    api::k24_add_partitions_to_txn::API,
    api::k25_add_offsets_to_txn::API,
    api::k26_end_txn::API,
    api::k27_write_txn_markers::API,
    api::k28_txn_offset_commit::API,
    api::k37_create_partitions::API,
    api::k42_delete_groups::API,
    api::k47_offset_delete::API,
    api::k60_describe_cluster::API,
    api::k61_describe_producers::API,
    api::k65_describe_transactions::API,
    api::k66_list_transactions::API,
    api::k68_consumer_group_heartbeat::API,
    api::k69_consumer_group_describe::API,
];

/// A request whose header is read and whose declared lengths are true.
pub struct Request {
    pub api: &'static Api,
    pub header: RequestHeader,
    pub body: Bytes,
    /// The memory that the request takes.
    pub reserved: Arc<OwnedSemaphorePermit>,
}

impl Request {
    pub fn version(&self) -> i16 {
        self.header.api_version
    }

    pub fn decode<T: Decodable>(&self) -> Result<T, Malformed> {
        let version = self.version().min(self.api.codec_max);
        T::decode(&mut self.body.clone(), version).map_err(|error| Malformed::Body {
            reason: format!("{}: {error}", self.api.name),
        })
    }

    pub fn reply<T: Encodable + Message>(&self, response: &T) -> Result<Option<Reply>, Fault> {
        let version = self.version().min(T::VERSIONS.max);
        // A client reads ApiVersions' response before it knows what it can read.
        let flexible = self.version() >= self.api.flexible && self.api.key != API_VERSIONS;
        let reply = Reply::encode(response, version, self.header.correlation_id, flexible)?;
        Ok(Some(reply))
    }
}

/// What to do with a frame.
pub enum Route {
    Handle(Request),
    /// Answered by the router itself.
    Answer(Reply),
}

pub fn find(key: i16) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key == key)
}

pub fn route(frame: Frame) -> Result<Route, Fault> {
    let (api_key, api_version, correlation_id) = wire::peek(&frame.bytes)?;
    let served = find(api_key).filter(|api| (api.min..=api.max).contains(&api_version));
    let Some(api) = served else {
        // A newer client asks in its own version first and needs to be told ours.
        if api_key == API_VERSIONS {
            let reply = api::k18_api_versions::unsupported_version(correlation_id)?;
            return Ok(Route::Answer(reply));
        }
        return Err(Fault::Unsupported {
            api_key,
            api_version,
        });
    };
    let flexible = api_version >= api.flexible;
    let header = RequestHeader::parse(&frame.bytes, flexible)?;
    let body = frame.bytes.slice(header.length..);
    schema::check(&body, api.request, api_version, flexible)?;
    Ok(Route::Handle(Request {
        api,
        header,
        body,
        reserved: frame.reserved,
    }))
}

/// The coverage table of the documentation.
pub fn markdown_table() -> String {
    let mut table = String::from("| Key | API | Versions |\n| ---: | --- | --- |\n");
    for api in APIS {
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {}-{} |",
            api.key, api.name, api.min, api.max
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::ApiKey;

    #[test]
    fn the_readme_shows_this_table() {
        let readme = include_str!("../../README.md");
        for line in markdown_table().lines() {
            assert!(readme.contains(line), "README.md lacks {line}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_within_what_can_be_decoded() {
        assert!(APIS.is_sorted_by_key(|api| api.key));
        for api in APIS {
            let known = ApiKey::try_from(api.key).unwrap();
            let range = known.valid_versions();
            assert_eq!(format!("{known:?}").replace("Key", ""), api.name);
            // InitProducerId's range is its response's, which has a version more.
            assert!(
                range.min <= api.min && api.codec_max <= range.max,
                "{}",
                api.name
            );
            assert!(api.min <= api.max && api.advertised_min <= api.min);
            for version in api.min..=api.codec_max {
                let flexible = known.request_header_version(version) == 2;
                assert_eq!(flexible, version >= api.flexible, "{} {version}", api.name);
                let flexible = known.response_header_version(version) == 1;
                let expected = version >= api.flexible && api.key != API_VERSIONS;
                assert_eq!(flexible, expected, "{} {version}", api.name);
            }
        }
    }
}
