//! Kafka's rules as pure functions: bytes and values in, values out.
#![forbid(unsafe_code)]
