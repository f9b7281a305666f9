-- NULL where a value is needed: a clear error from the functions that are not STRICT, no rows from those that are.
SELECT kafka.create_topic('nulls') IS NOT NULL AS created;
SELECT kafka.create_topic(NULL);
\echo :LAST_ERROR_SQLSTATE
-- For these NULL means the default.
SELECT kafka.create_topic('nulls_defaults', NULL, NULL, NULL) IS NOT NULL AS created;
SELECT topic, partitions, config FROM kafka.topics WHERE topic = 'nulls_defaults';
SELECT kafka.produce(NULL::text, 'v');
\echo :LAST_ERROR_SQLSTATE
SELECT kafka.produce(NULL, '\x00'::bytea);
SELECT kafka.produce('nulls', NULL, NULL, NULL, NULL, NULL);
SELECT * FROM kafka.produce_batches(NULL, ARRAY[0], ARRAY['\x'::bytea]);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.produce_batches(ARRAY['nulls'], NULL, ARRAY['\x'::bytea]);
SELECT * FROM kafka.produce_batches(ARRAY['nulls'], ARRAY[0], NULL);
SELECT * FROM kafka.produce_batches(ARRAY['nulls'], ARRAY[NULL::int], ARRAY['\x'::bytea]);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.produce_batches(ARRAY['nulls'], ARRAY[0], ARRAY[NULL::bytea], acks => NULL);
SELECT * FROM kafka.produce_batches_packed(ARRAY['nulls'], ARRAY[0], NULL, '\x');
SELECT * FROM kafka.produce_batches_packed(ARRAY['nulls'], ARRAY[0], ARRAY[0], NULL);
SELECT * FROM kafka.produce_batches_packed(NULL, ARRAY[0], ARRAY[0], '\x');
SELECT * FROM kafka.fetch_batches(NULL, ARRAY[0], ARRAY[0]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], NULL, ARRAY[0]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], NULL);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[NULL]::int[], ARRAY[0]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[NULL]::bigint[]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[0], ARRAY[NULL]::int[]);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[0], isolation => NULL);
SELECT * FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[0], max_bytes => NULL);
SELECT idx, error_code, high_watermark, length(records) > 0 AS records FROM kafka.fetch_batches(ARRAY['nulls'], ARRAY[0], ARRAY[0], min_bytes => NULL);
SELECT kafka.fetch_batches_packed(NULL, ARRAY[0], ARRAY[0]);
SELECT kafka.fetch_batches_packed(ARRAY['nulls'], ARRAY[NULL]::int[], ARRAY[0]);
SELECT kafka.fetch_batches_packed(ARRAY['nulls'], ARRAY[0], ARRAY[NULL]::bigint[]);
SELECT kafka.fetch_batches_packed(ARRAY['nulls'], ARRAY[0], ARRAY[0], ARRAY[NULL]::int[]);
SELECT kafka.fetch_batches_packed(ARRAY['nulls'], ARRAY[0], ARRAY[0], isolation => NULL);
SELECT kafka.fetch_batches_packed(ARRAY['nulls'], ARRAY[0], ARRAY[0], max_bytes => NULL);
SELECT length(kafka.fetch_batches_packed(ARRAY['nulls'], ARRAY[0], ARRAY[0], min_bytes => NULL)) > 42 AS records;
SELECT * FROM kafka.list_offsets(NULL::text[], ARRAY[0], ARRAY[0]);
SELECT * FROM kafka.list_offsets(ARRAY['nulls'], NULL, ARRAY[0]);
SELECT * FROM kafka.list_offsets(ARRAY['nulls'], ARRAY[0], NULL::bigint[]);
SELECT * FROM kafka.list_offsets(ARRAY['nulls'], ARRAY[0], ARRAY[NULL]::bigint[]);
SELECT * FROM kafka.list_offsets(ARRAY['nulls'], ARRAY[0], ARRAY[0], NULL);
SELECT * FROM kafka.wait_for_records(NULL, ARRAY[0], ARRAY[0], 0);
SELECT * FROM kafka.wait_for_records(ARRAY['nulls'], ARRAY[NULL]::int[], ARRAY[0], 0);
SELECT * FROM kafka.wait_for_records(ARRAY['nulls'], ARRAY[0], ARRAY[0], NULL);
SELECT count(*) > 0 AS all FROM kafka.describe_topics(NULL, NULL, NULL);
-- Transactions. A null transactional id is none.
SELECT producer_id > 0 AS producer_id, producer_epoch, error_code FROM kafka.init_producer_id(NULL, NULL, NULL, NULL);
SELECT * FROM kafka.init_producer_id('nulls', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT error_code, producer_epoch FROM kafka.init_producer_id('nulls', 60000, NULL, NULL);
SELECT * FROM kafka.add_partitions_to_txn(NULL, 1, '0', ARRAY['nulls'], ARRAY[0]);
SELECT * FROM kafka.add_partitions_to_txn('nulls', NULL, '0', ARRAY['nulls'], ARRAY[0]);
SELECT * FROM kafka.add_partitions_to_txn('nulls', 1, NULL, ARRAY['nulls'], ARRAY[0]);
SELECT * FROM kafka.add_partitions_to_txn('nulls', 1, '0', NULL, ARRAY[0]);
SELECT * FROM kafka.add_partitions_to_txn('nulls', 1, '0', ARRAY[NULL], ARRAY[0]);
SELECT * FROM kafka.add_partitions_to_txn('nulls', 1, '0', ARRAY['nulls'], ARRAY[NULL]::int[]);
SELECT error_code FROM kafka.add_partitions_to_txn('nulls', 1, '0', ARRAY['nulls'], ARRAY[0], NULL);
SELECT * FROM kafka.add_offsets_to_txn(NULL, 1, '0', 'g');
SELECT * FROM kafka.add_offsets_to_txn('nulls', 1, '0', NULL);
SELECT * FROM kafka.txn_offset_commit(NULL, 'g', 1, '0', ARRAY['nulls'], ARRAY[0], ARRAY[1]::bigint[]);
SELECT * FROM kafka.txn_offset_commit('nulls', NULL, 1, '0', ARRAY['nulls'], ARRAY[0], ARRAY[1]::bigint[]);
SELECT * FROM kafka.txn_offset_commit('nulls', 'g', 1, '0', NULL, ARRAY[0], ARRAY[1]::bigint[]);
SELECT * FROM kafka.txn_offset_commit('nulls', 'g', 1, '0', ARRAY['nulls'], ARRAY[0], ARRAY[NULL]::bigint[]);
SELECT error_code FROM kafka.txn_offset_commit('nulls', 'g', 1, '0', ARRAY['nulls'], ARRAY[0], ARRAY[1]::bigint[], ARRAY[NULL]::int[], ARRAY[NULL], NULL, NULL, NULL, NULL);
SELECT * FROM kafka.end_txn(NULL, 1, '0', true);
SELECT * FROM kafka.end_txn('nulls', 1, '0', NULL);
SELECT error_code FROM kafka.end_txn('nulls', 1, '0', true, NULL);
SELECT * FROM kafka.write_txn_markers(NULL, '{0}', '{t}', ARRAY['nulls'], ARRAY[0]);
SELECT * FROM kafka.write_txn_markers('{1}', '{NULL}', '{t}', ARRAY['nulls'], ARRAY[0]);
SELECT * FROM kafka.write_txn_markers('{1}', '{0}', '{NULL}', ARRAY['nulls'], ARRAY[0]);
SELECT * FROM kafka.write_txn_markers('{1}', '{0}', '{t}', ARRAY['nulls'], ARRAY[0], '{NULL}');
SELECT * FROM kafka.describe_producers(NULL, ARRAY[0]);
SELECT * FROM kafka.describe_producers(ARRAY['nulls'], ARRAY[NULL]::int[]);
SELECT * FROM kafka.describe_transactions(NULL);
SELECT * FROM kafka.describe_transactions(ARRAY[NULL]);
SELECT count(*) > 0 AS all FROM kafka.list_transactions(NULL, NULL, NULL, NULL);
SELECT count(*) > 0 AS all FROM kafka.list_transactions(ARRAY[NULL], ARRAY[NULL]::bigint[]);
SELECT error_code FROM kafka.committed_offsets('nulls', ARRAY['nulls'], ARRAY[0], require_stable => NULL);
SELECT idx, error_code FROM kafka.produce_batches(ARRAY['nulls'], ARRAY[0], ARRAY[NULL::bytea], transactional_ids => ARRAY[NULL], transaction_versions => ARRAY[NULL]::int2[]);
-- STRICT ones.
SELECT kafka.abort_transaction(NULL);
SELECT kafka.delete_topic(NULL), kafka.create_partitions('nulls', NULL), kafka.interrupt_wait(NULL), kafka.headers(NULL);
SELECT count(*) FROM kafka.fetch('nulls', 0, NULL);
SELECT count(*) FROM kafka.records(NULL);
SELECT count(*) FROM kafka.list_offsets(NULL, 0, 'latest');
SELECT partitions FROM kafka.topics WHERE topic = 'nulls';
