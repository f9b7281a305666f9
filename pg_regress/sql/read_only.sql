-- A read-only transaction reads, and is refused whatever writes.
SELECT kafka.create_topic('read_only') IS NOT NULL AS created;
SELECT kafka.produce('read_only', 'one');
BEGIN READ ONLY;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.fetch('read_only', 0, 0);
SELECT count(*) FROM kafka.fetch('read_only', 0, 1, max_wait_ms => 10);
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('read_only');
SELECT high_watermark, length(records) > 0 AS records FROM kafka.fetch_batches(ARRAY['read_only'], ARRAY[0], ARRAY[0]);
SELECT "offset" FROM kafka.list_offsets('read_only', 0, 'latest');
SELECT "offset" FROM kafka.list_offsets('read_only', 0, 0);
SELECT "offset" FROM kafka.list_offsets(ARRAY['read_only'], ARRAY[0], ARRAY[-2]);
SELECT idx FROM kafka.wait_for_records(ARRAY['read_only'], ARRAY[0], ARRAY[0], 0);
SELECT topic, partitions FROM kafka.describe_topics(ARRAY['read_only'], auto_create => true);
SELECT topic, high_watermark FROM kafka.partitions WHERE topic = 'read_only';
SELECT in_recovery FROM kafka.cluster();
COMMIT;

SET default_transaction_read_only = on;
SELECT kafka.produce('read_only', 'two');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce('read_only', 'two'::bytea);
SELECT kafka.produce('auto_created_read_only', 'two');
SELECT * FROM kafka.flush();
SELECT * FROM kafka.produce_batches(ARRAY['read_only'], ARRAY[0], ARRAY['\x'::bytea]);
SELECT * FROM kafka.produce_batches_packed(ARRAY['read_only'], ARRAY[0], ARRAY[0], '\x');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.create_topic('read_only_too');
SELECT kafka.create_topic('read_only_too', validate_only => true);
SELECT kafka.create_partitions('read_only', 2);
SELECT kafka.delete_topic('read_only');
SELECT * FROM kafka.init_producer_id();
SELECT topic FROM kafka.describe_topics(ARRAY['auto_created_read_only'], auto_create => true);
RESET default_transaction_read_only;

-- Produced before the transaction became read-only: committed with it, like any other write.
BEGIN;
SELECT kafka.produce('read_only', 'two');
SET TRANSACTION READ ONLY;
SELECT kafka.produce('read_only', 'refused');
ROLLBACK;
BEGIN;
SELECT kafka.produce('read_only', 'two');
SET TRANSACTION READ ONLY;
COMMIT;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('read_only');
