//! Frames against a listener with a real server behind it.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/requests.rs"]
mod requests;

mod fetch;
mod frames;
mod groups;
mod offsets;
mod produce;
mod topics;
mod transactions;
