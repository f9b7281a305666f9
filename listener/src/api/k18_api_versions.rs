//! `ApiVersions`: what is served, straight from the router's table.
//!
//! v3 flexible, the client names itself (KIP-511), and features with their levels (KIP-584).
//! v4 features whose range begins at 0, which older clients cannot read (KAFKA-17011). The
//! response's header never changes, and a version from the future is answered in version
//! 0's form, so that a client of any age can find common ground.

use std::future::ready;

use kafka_core::code;
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use crate::conn::Connection;
use crate::error::Fault;
use crate::router::{self, Answer, Api, Request};
use crate::wire::schema::{Field, Kind, field};
use crate::wire::{Malformed, Reply};

use super::text;

const REQUEST: &[Field] = &[
    field("client_software_name", Kind::String).since(3),
    field("client_software_version", Kind::String).since(3),
];

pub const API: Api = Api {
    key: router::API_VERSIONS,
    name: "ApiVersions",
    min: 0,
    max: 4,
    advertised_min: 0,
    codec_max: 4,
    flexible: 3,
    request: REQUEST,
    pipelined: false,
    handler: |connection, request| -> Answer { Box::pin(ready(handle(&connection, &request))) },
};

fn handle(connection: &Connection, request: &Request) -> Result<Option<Reply>, Fault> {
    let body: ApiVersionsRequest = request.decode()?;
    let name: &str = &body.client_software_name;
    let version: &str = &body.client_software_version;
    let named = request.version() < 3 || is_software_word(name) && is_software_word(version);
    let response = if named {
        tracing::debug!(peer = %connection.peer, client = ?request.header.client_id, name, version);
        with_features(served(), request.version())
    } else {
        ApiVersionsResponse::default().with_error_code(code::INVALID_REQUEST)
    };
    request.reply(&response)
}

/// Features by the name that clients look for, each at the newest of its levels, from 0:
/// by `transaction.version` 2 a producer gets an epoch for each transaction (KIP-890), by
/// `group.version` 1 the server assigns (KIP-848).
const FEATURES: &[(&str, i16)] = &[("group.version", 1), ("transaction.version", 2)];

fn with_features(response: ApiVersionsResponse, version: i16) -> ApiVersionsResponse {
    if version < 3 {
        return response;
    }
    let finalized = FEATURES.iter().map(|(name, level)| {
        FinalizedFeatureKey::default()
            .with_name(text(name))
            .with_max_version_level(*level)
            .with_min_version_level(*level)
    });
    let supported = FEATURES.iter().filter(|_| version >= 4);
    let supported = supported.map(|(name, level)| {
        SupportedFeatureKey::default()
            .with_name(text(name))
            .with_min_version(0)
            .with_max_version(*level)
    });
    response
        .with_supported_features(supported.collect())
        // Levels never change while a client looks on.
        .with_finalized_features_epoch(0)
        .with_finalized_features(finalized.collect())
}

fn served() -> ApiVersionsResponse {
    let api_keys = router::APIS.iter().map(range).collect();
    ApiVersionsResponse::default().with_api_keys(api_keys)
}

fn range(api: &router::Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key)
        .with_min_version(api.advertised_min)
        .with_max_version(api.max)
}

/// The answer to a version that is not served: the versions of this request only (KIP-511),
/// so that the client asks again and is told the features too.
pub fn unsupported_version(correlation_id: i32) -> Result<Reply, Malformed> {
    let response = ApiVersionsResponse::default()
        .with_error_code(code::UNSUPPORTED_VERSION)
        .with_api_keys(vec![range(&API)]);
    Reply::encode(&response, 0, correlation_id, false)
}

/// Letters, digits, dots and hyphens, with a letter or digit at each end.
fn is_software_word(word: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    word.chars().all(inner)
        && word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.ends_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_tells_the_features_that_its_clients_can_read() {
        let told = |version| {
            let response = with_features(served(), version);
            (
                response.supported_features.len(),
                response.finalized_features_epoch,
                response.finalized_features.len(),
            )
        };
        assert_eq!((told(0), told(2)), ((0, -1, 0), (0, -1, 0)));
        assert_eq!((told(3), told(4)), ((0, 0, 2), (2, 0, 2)));
        for version in 0..=4 {
            let response = with_features(served(), version);
            assert!(Reply::encode(&response, version, 1, false).is_ok());
        }
    }

    #[test]
    fn software_names() {
        for good in ["librdkafka", "apache-kafka-java", "4.3.1", "a"] {
            assert!(is_software_word(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "ä"] {
            assert!(!is_software_word(bad), "{bad}");
        }
    }
}
