//! What SQL alone cannot show: memory of the backend and its caches.
use pgrx::pg_schema;

#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    /// Bytes that the backend's memory contexts hold.
    fn allocated() -> i64 {
        Spi::get_one("SELECT sum(total_bytes)::int8 FROM pg_catalog.pg_backend_memory_contexts")
            .unwrap()
            .unwrap()
    }

    fn run_many(statement: &str, times: usize) {
        for _ in 0..times {
            Spi::run(statement).unwrap();
        }
    }

    #[pg_test]
    fn repeated_calls_keep_no_memory() {
        Spi::run("SELECT kafka.create_topic('memory')").unwrap();
        let round =
            "SELECT count(*) FROM kafka.watermarks('memory', 0), kafka.fetch('memory', 0, 0),
                     kafka.records('memory'), kafka.list_offsets('memory', 0, 'max_timestamp')";
        run_many(round, 50);
        let before = allocated();
        run_many(round, 2000);
        let grown = allocated() - before;
        assert!(grown < 256 * 1024, "2000 calls left {grown} bytes");
    }

    #[pg_test]
    fn a_large_transaction_gives_its_buffer_back() {
        Spi::run("SELECT kafka.create_topic('big')").unwrap();
        Spi::run("SET LOCAL pg_kafka.produce_buffer = '1MB'").unwrap();
        let before = allocated();
        Spi::run(
            "SELECT count(kafka.produce('big', repeat('x', 1000))) FROM generate_series(1, 50000)",
        )
        .unwrap();
        let flushed: Option<i64> = Spi::get_one("SELECT count(*) FROM kafka.flush()").unwrap();
        assert_eq!(flushed, Some(1), "only the rest was still buffered");
        let grown = allocated() - before;
        assert!(
            grown < 16 * 1024 * 1024,
            "50 MB through a 1 MB buffer left {grown} bytes"
        );
    }

    #[pg_test]
    fn the_cache_follows_a_topic_that_is_recreated() {
        let id = |name: &str| -> pgrx::Uuid {
            Spi::get_one_with_args(
                "SELECT topic_id FROM kafka.describe_topics(array[$1])",
                &[name.into()],
            )
            .unwrap()
            .unwrap()
        };
        Spi::run("SELECT kafka.create_topic('again'), kafka.produce('again', 'x')").unwrap();
        let first = id("again");
        Spi::run("SELECT kafka.delete_topic('again')").unwrap();
        Spi::run("SELECT kafka.create_topic('again', 3)").unwrap();
        assert_ne!(first, id("again"));
        let partition: Option<i32> =
            Spi::get_one("SELECT kafka.produce('again', 'y', partition => 2)").unwrap();
        assert_eq!(partition, Some(2));
    }

    #[pg_test]
    fn the_cache_forgets_a_topic_whose_creation_rolled_back() {
        Spi::run(
            "DO $$ BEGIN
                PERFORM kafka.produce('undone', 'x');
                RAISE EXCEPTION 'back';
             EXCEPTION WHEN raise_exception THEN NULL;
             END $$",
        )
        .unwrap();
        let code: Option<i16> =
            Spi::get_one("SELECT error_code FROM kafka.describe_topics(array['undone'])").unwrap();
        assert_eq!(code, Some(3));
    }
}
