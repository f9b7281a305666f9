//! Kafka's log and its two doors as SQL functions: `api` is the SQL face, `store` the
//! tables and locks, `kafka_core` (src/core) Kafka's rules.
use pgrx::prelude::*;

mod api;
mod guc;
mod raise;
#[cfg(any(feature = "pg15", feature = "pg16"))]
mod send;
mod store;
#[cfg(any(test, feature = "pg_test"))]
mod tests;

pg_module_magic!(name);

extension_sql_file!("../sql/10_tables.sql", name = "tables", bootstrap);
extension_sql_file!("../sql/20_types.sql", name = "types", requires = ["tables"]);
extension_sql_file!(
    "../sql/30_functions.sql",
    name = "functions",
    requires = ["types"]
);
extension_sql_file!(
    "../sql/40_views.sql",
    name = "views",
    requires = ["functions"]
);
extension_sql_file!(
    "../sql/90_grants_comments.sql",
    name = "grants_comments",
    requires = ["views"]
);
// Upgrade scripts, in their order: a new installation ends where an upgrade ends.
extension_sql_file!(
    "../sql/pg_kafka--0.1.0--0.2.0.sql",
    name = "upgrade_0_2_0",
    requires = ["grants_comments"]
);
extension_sql_file!(
    "../sql/pg_kafka--0.2.0--0.3.0.sql",
    name = "upgrade_0_3_0",
    requires = ["upgrade_0_2_0"]
);
extension_sql_file!(
    "../sql/pg_kafka--0.3.0--0.4.0.sql",
    name = "upgrade_0_4_0",
    requires = ["upgrade_0_3_0"],
    finalize
);

#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    // With RUST_BACKTRACE in the server's environment pgrx would put a stack trace into the
    // DETAIL of every error that PostgreSQL raises under one of our functions.
    // SAFETY: a backend has one thread.
    unsafe { std::env::set_var("RUST_LIB_BACKTRACE", "0") };
    guc::init();
    store::init();
}

/// What `cargo pgrx test` needs at the crate's root.
#[cfg(test)]
pub mod pg_test {
    pub fn setup(_options: Vec<&str>) {}

    #[must_use]
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec!["max_prepared_transactions = 4"]
    }
}
