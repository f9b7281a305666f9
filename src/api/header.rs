//! The cast from jsonb to `kafka.header[]`.
use kafka_core::error::KafkaError;
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::Value;

use crate::raise::ok;
use crate::store::header::Headers;

#[pg_extern(sql = false)]
fn headers(json: JsonB) -> Headers {
    ok(from_json(&json.0))
}

/// An object of name and value, or an array of `{"key": ..., "value": ...}` where order or
/// repeated keys matter. A string is its UTF-8 bytes, null no value, anything else its JSON text.
fn from_json(json: &Value) -> Result<Headers, KafkaError> {
    let entries = match json {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (bytes(key), header_value(value)))
            .collect(),
        Value::Array(array) => array.iter().map(entry).collect::<Result<_, _>>()?,
        _ => return Err(unreadable()),
    };
    Ok(Headers(entries))
}

fn entry(json: &Value) -> Result<(Vec<u8>, Option<Vec<u8>>), KafkaError> {
    let key = json
        .get("key")
        .and_then(Value::as_str)
        .ok_or_else(unreadable)?;
    Ok((bytes(key), json.get("value").and_then(header_value)))
}

fn header_value(json: &Value) -> Option<Vec<u8>> {
    match json {
        Value::Null => None,
        Value::String(text) => Some(bytes(text)),
        other => Some(other.to_string().into_bytes()),
    }
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn unreadable() -> KafkaError {
    KafkaError::InvalidRecord {
        reason: "headers as jsonb are an object of names and values, or an array of {\"key\": ..., \"value\": ...}".to_owned(),
    }
}
