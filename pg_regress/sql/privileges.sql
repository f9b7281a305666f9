-- Nothing is anybody's until it is granted; a function that is granted works without any right on the tables behind it.
SELECT kafka.create_topic('privileges', 2) IS NOT NULL AS created;
SELECT kafka.produce('privileges', 'secret', partition => 0);
CREATE ROLE regress_kafka_app;
CREATE SCHEMA app AUTHORIZATION regress_kafka_app;
-- What a role has that was granted nothing.
SELECT count(*) FROM pg_proc WHERE pronamespace = 'kafka'::regnamespace AND has_function_privilege('regress_kafka_app', oid, 'EXECUTE') AND proname <> 'headers';
SELECT count(*) FROM pg_class WHERE relnamespace IN ('kafka'::regnamespace, 'kafka_log'::regnamespace) AND relkind IN ('r', 'v') AND has_table_privilege('regress_kafka_app', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE');
SELECT count(*) FROM pg_class WHERE relnamespace = 'kafka_log'::regnamespace AND CASE WHEN relkind = 'S' THEN has_sequence_privilege('regress_kafka_app', oid, 'USAGE, SELECT, UPDATE') END;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'kafka%' AND has_schema_privilege('regress_kafka_app', oid, 'USAGE, CREATE');
SET ROLE regress_kafka_app;
SELECT kafka.produce('privileges', 'v');
SELECT * FROM kafka_log.topics;
RESET ROLE;

GRANT USAGE ON SCHEMA kafka TO regress_kafka_app;
SET ROLE regress_kafka_app;
SELECT kafka.produce('privileges', 'v');
SELECT * FROM kafka.fetch('privileges', 0, 0);
SELECT * FROM kafka.topics;
SELECT * FROM kafka.partitions;
RESET ROLE;

-- One function at a time.
GRANT EXECUTE ON FUNCTION kafka.produce(text, text, text, kafka.header[], int, timestamptz) TO regress_kafka_app;
SET ROLE regress_kafka_app;
SELECT kafka.produce('privileges', 'as app', partition => 0);
SELECT kafka.produce('privileges', 'with headers', headers => '{"a": "b"}'::jsonb, partition => 0);
SELECT kafka.produce('privileges', '\x00'::bytea, partition => 0);
SELECT kafka.produce('privileges_auto', 'creates a topic');
SELECT * FROM kafka.fetch('privileges', 0, 0);
SELECT kafka.create_topic('privileges_more');
SELECT kafka.delete_topic('privileges');
-- The log table that was made for it is not the role's.
SELECT count(*) FROM pg_class WHERE relnamespace = 'kafka_log'::regnamespace AND relowner = 'regress_kafka_app'::regrole;
SELECT count(*) FROM pg_class WHERE relnamespace = 'kafka_log'::regnamespace AND has_table_privilege('regress_kafka_app', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') AND relkind = 'r';
-- In a transaction with a savepoint, flushed at the commit as ever.
BEGIN;
SELECT kafka.produce('privileges', 'in a transaction', partition => 0);
SAVEPOINT s;
SELECT kafka.produce('privileges', 'undone', partition => 0);
SELECT kafka.fetch('privileges', 0, 0);
ROLLBACK TO s;
SELECT current_user;
COMMIT;
RESET ROLE;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('privileges');

GRANT EXECUTE ON FUNCTION kafka.fetch TO regress_kafka_app;
GRANT EXECUTE ON FUNCTION kafka.list_offsets(text, int, text) TO regress_kafka_app;
SET ROLE regress_kafka_app;
SELECT count(*) FROM kafka.fetch('privileges', 0, 0);
SELECT * FROM kafka.list_offsets('privileges', 0, 'latest');
SELECT * FROM kafka.list_offsets('privileges', 0, now());
SELECT * FROM kafka.list_offsets('privileges', 0, -1);
RESET ROLE;
GRANT EXECUTE ON FUNCTION kafka.list_offsets(text, int, timestamptz) TO regress_kafka_app;
SET ROLE regress_kafka_app;
SELECT * FROM kafka.list_offsets('privileges', 0, 'infinity'::timestamptz);
RESET ROLE;

-- The views; kafka.partitions calls two functions, which the reader needs too.
GRANT SELECT ON kafka.topics, kafka.partitions TO regress_kafka_app;
SET ROLE regress_kafka_app;
SELECT topic, partitions FROM kafka.topics WHERE topic = 'privileges';
SELECT topic, partition, high_watermark FROM kafka.partitions WHERE topic = 'privileges';
RESET ROLE;
GRANT EXECUTE ON FUNCTION kafka.watermarks, kafka.partition_size TO regress_kafka_app;
SET ROLE regress_kafka_app;
SELECT topic, partition, high_watermark FROM kafka.partitions WHERE topic = 'privileges';
SELECT * FROM kafka_log.topics;
RESET ROLE;

-- Batches, topics and all the rest.
GRANT EXECUTE ON FUNCTION kafka.fetch_batches, kafka.produce_batches, kafka.create_topic, kafka.create_partitions, kafka.delete_topic, kafka.init_producer_id, kafka.describe_topics TO regress_kafka_app;
SET ROLE regress_kafka_app;
SELECT p.error_code FROM kafka.fetch_batches(ARRAY['privileges'], ARRAY[0], ARRAY[0]) AS f, kafka.produce_batches(ARRAY['privileges'], ARRAY[1], ARRAY[f.records]) AS p;
SELECT kafka.create_topic('privileges_more') IS NOT NULL AS created;
SELECT kafka.create_partitions('privileges_more', 2);
SELECT kafka.produce('privileges_more', 'v', partition => 1);
SELECT kafka.delete_topic('privileges_more');
SELECT producer_epoch FROM kafka.init_producer_id();
SELECT topic, error_code FROM kafka.describe_topics(ARRAY['privileges']);
RESET ROLE;
-- Transactions: one function at a time, and the views by themselves.
SET ROLE regress_kafka_app;
SELECT * FROM kafka.add_partitions_to_txn('privileges', 1, '0', ARRAY['privileges'], ARRAY[0]);
SELECT kafka.abort_transaction('privileges');
SELECT * FROM kafka.transactions;
SELECT * FROM kafka.producers;
SELECT producer_id AS pid FROM kafka.init_producer_id('privileges') \gset
RESET ROLE;
GRANT EXECUTE ON FUNCTION kafka.add_partitions_to_txn, kafka.add_offsets_to_txn, kafka.txn_offset_commit, kafka.end_txn, kafka.abort_transaction, kafka.write_txn_markers,
    kafka.describe_producers, kafka.describe_transactions, kafka.list_transactions TO regress_kafka_app;
GRANT SELECT ON kafka.transactions, kafka.producers TO regress_kafka_app;
SET ROLE regress_kafka_app;
SELECT error_code FROM kafka.add_partitions_to_txn('privileges', :pid, '0', ARRAY['privileges'], ARRAY[0]);
SELECT error_code FROM kafka.add_offsets_to_txn('privileges', :pid, '0', 'privileges');
SELECT error_code FROM kafka.txn_offset_commit('privileges', 'privileges', :pid, '0', ARRAY['privileges'], ARRAY[0], ARRAY[1]::bigint[]);
SELECT state, topic_partitions, group_ids FROM kafka.transactions WHERE transactional_id = 'privileges';
SELECT error_code FROM kafka.end_txn('privileges', :pid, '0', true);
SELECT topic, partition, last_sequence, txn_first_offset FROM kafka.producers WHERE producer_id = :pid;
SELECT error_code FROM kafka.write_txn_markers(ARRAY[:pid]::bigint[], '{5}', '{f}', ARRAY['privileges'], ARRAY[0]);
SELECT error_code, producer_epoch FROM kafka.describe_producers(ARRAY['privileges'], ARRAY[0]) WHERE producer_id = :pid;
SELECT error_code, state FROM kafka.describe_transactions(ARRAY['privileges']);
SELECT transactional_id FROM kafka.list_transactions(producer_ids => ARRAY[:pid]::bigint[]);
SELECT kafka.abort_transaction('privileges');
SELECT * FROM kafka_log.transactions;
SELECT * FROM kafka_log.aborted_transactions;
SELECT * FROM kafka_log.transaction_offsets;
-- Nobody changes them through the views.
RESET ROLE;
UPDATE kafka.transactions SET state = 'Empty';
DELETE FROM kafka.producers;
SELECT kafka.delete_group('privileges');
-- SECURITY DEFINER: a function of one's own passes on the right to one topic.
RESET ROLE;
CREATE FUNCTION app.notify(message text) RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT kafka.produce('privileges', message, partition => 1) $$;
CREATE ROLE regress_kafka_guest;
GRANT USAGE ON SCHEMA app TO regress_kafka_guest;
SET ROLE regress_kafka_guest;
SELECT app.notify('from a guest');
SELECT kafka.produce('privileges', 'v');
RESET ROLE;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.fetch('privileges', 1, 4);
-- Settings: who may raise the largest batch decides a superuser.
SET ROLE regress_kafka_app;
SET pg_kafka.default_partitions = 2;
SET pg_kafka.message_max_bytes = 2000000;
RESET ROLE;
RESET pg_kafka.default_partitions;
-- The extension is its owner's.
SET ROLE regress_kafka_app;
DROP EXTENSION pg_kafka;
RESET ROLE;
DROP OWNED BY regress_kafka_app, regress_kafka_guest CASCADE;
DROP ROLE regress_kafka_app, regress_kafka_guest;
