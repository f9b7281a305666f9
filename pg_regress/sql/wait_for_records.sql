-- kafka.wait_for_records: which of these partitions have more than the caller knows; waits until one has.
SELECT kafka.create_topic('wait', 3) IS NOT NULL AS created;
SELECT kafka.produce('wait', i::text, partition => 1) FROM generate_series(1, 5) AS i;
-- Known already: no waiting.
SELECT * FROM kafka.wait_for_records(ARRAY['wait', 'wait', 'wait'], ARRAY[0, 1, 2], ARRAY[0, 4, 0], 60000);
SELECT * FROM kafka.wait_for_records(ARRAY['wait', 'wait', 'wait'], ARRAY[1, 0, 1], ARRAY[0, 0, 5], 60000);
-- Gone, or never there: -1, at once.
SELECT * FROM kafka.wait_for_records(ARRAY['wait', 'no_such_topic', 'wait'], ARRAY[0, 0, 3], ARRAY[0, 0, 0], 60000);
-- Nothing new: no rows, after the time.
SELECT clock_timestamp() AS start \gset
SELECT * FROM kafka.wait_for_records(ARRAY['wait', 'wait'], ARRAY[0, 1], ARRAY[0, 5], 200);
SELECT clock_timestamp() - :'start' BETWEEN '200 ms' AND '5 s' AS waited;
SELECT * FROM kafka.wait_for_records(ARRAY['wait'], ARRAY[1], ARRAY[5], 0);
SELECT * FROM kafka.wait_for_records('{}', '{}', '{}', 50, 1);
SELECT * FROM kafka.wait_for_records(ARRAY['wait'], ARRAY[0, 1], ARRAY[0], 0);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.wait_for_records(ARRAY[NULL], ARRAY[0], ARRAY[0], 0);
\echo :LAST_ERROR_SQLSTATE
-- Nobody waits under this number; a wait that ended has left nothing behind.
SELECT kafka.interrupt_wait(1);
SELECT kafka.interrupt_wait(-1);
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'userlock';
