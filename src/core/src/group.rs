//! Groups of consumers: who is a member, and who gets what.
//!
//! [`classic`] is the protocol in which a member that leads the group assigns,
//! `consumer` the one in which the server does (KIP-848). Each step takes the group, a
//! request and the time, and leaves the group as it is to be written. A waiting answer is
//! a value: whoever asked asks again when the group has changed, or when the time is up.

pub mod classic;
