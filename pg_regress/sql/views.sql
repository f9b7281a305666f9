-- kafka.topics and kafka.partitions.
SELECT kafka.create_topic('views_a', 2, '{"retention.ms": 1000}') AS id \gset
SELECT kafka.create_topic('views_b') IS NOT NULL AS created;
SELECT topic, topic_id = :'id' AS id, partitions, config, created_at BETWEEN now() - interval '1 minute' AND now() AS just_now FROM kafka.topics WHERE topic LIKE 'views%' ORDER BY topic;
SELECT * FROM kafka.partitions WHERE topic LIKE 'views%' ORDER BY topic, partition;
SELECT kafka.produce('views_a', repeat('x', 10), partition => 1, "timestamp" => '2024-01-01 00:00:00+00') FROM generate_series(1, 3);
SELECT kafka.produce('views_a', repeat('x', 10), partition => 1, "timestamp" => '2024-01-01 00:00:00+00');
SELECT * FROM kafka.partitions WHERE topic LIKE 'views%' ORDER BY topic, partition;
-- size_bytes is what the batches take as stored.
SELECT size_bytes = (SELECT length(records) FROM kafka.fetch_batches(ARRAY['views_a'], ARRAY[1], ARRAY[0])) AS as_fetched FROM kafka.partitions WHERE topic = 'views_a' AND partition = 1;
-- What the views are made of.
SELECT * FROM kafka.watermarks('views_a', 1);
SELECT * FROM kafka.partition_size('views_a', 1);
SELECT * FROM kafka.watermarks('views_a', 2);
SELECT * FROM kafka.watermarks('no_such_topic', 0);
SELECT * FROM kafka.partition_size('no_such_topic', 0);
-- Lag of a consumer that stands at offset 1, as a query.
SELECT topic, partition, high_watermark - 1 AS lag FROM kafka.partitions WHERE topic = 'views_a' AND partition = 1;
-- Nobody writes through the views.
\set VERBOSITY terse
UPDATE kafka.topics SET partitions = 9 WHERE topic = 'views_a';
DELETE FROM kafka.topics WHERE topic = 'views_a';
DELETE FROM kafka.partitions;
\set VERBOSITY default
SELECT partitions FROM kafka.topics WHERE topic = 'views_a';
-- A topic that is created and deleted in the same transaction.
BEGIN;
SELECT kafka.create_topic('views_c', 2) IS NOT NULL AS created;
SELECT topic, partition FROM kafka.partitions WHERE topic = 'views_c';
SELECT kafka.delete_topic('views_c');
SELECT topic, partition FROM kafka.partitions WHERE topic = 'views_c';
COMMIT;
-- kafka.cluster: who this server is.
SELECT cluster_id ~ '^[0-9a-f]{16}-\d+$' AS cluster_id, cluster_id = (SELECT cluster_id FROM kafka.cluster()) AS stays, leader_epoch, in_recovery FROM kafka.cluster();
SELECT leader_epoch = timeline_id AS timeline FROM kafka.cluster(), pg_control_checkpoint();
