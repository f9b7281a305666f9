//! Kafka's log, coordinator and transactions as SQL functions.
use pgrx::prelude::*;

pg_module_magic!(name, version);
