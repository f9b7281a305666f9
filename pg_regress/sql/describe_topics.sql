-- kafka.describe_topics: one row for each name or id asked for, in their order.
SELECT kafka.create_topic('describe_a', 2) AS id_a \gset
SELECT kafka.create_topic('describe_b') AS id_b \gset
SELECT idx, topic, topic_id = :'id_a' AS id_a, partitions, error_code, error_message
FROM kafka.describe_topics(ARRAY['describe_a', 'describe_none', NULL, 'no good', 'describe_a']);
-- An id goes before a name.
SELECT idx, topic, partitions, error_code FROM kafka.describe_topics(topic_ids => ARRAY[:'id_b', NULL, '00000000-0000-0000-0000-000000000001']::uuid[]);
SELECT idx, topic, partitions, error_code, error_message
FROM kafka.describe_topics(ARRAY['describe_a', 'describe_a', NULL], ARRAY[:'id_b', NULL, '00000000-0000-0000-0000-000000000001']::uuid[]);
SELECT * FROM kafka.describe_topics(ARRAY['describe_a', 'describe_b'], ARRAY[:'id_b']::uuid[]);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM kafka.describe_topics('{}');
-- Without arguments: every topic, by name.
SELECT topic, partitions, error_code FROM kafka.describe_topics() WHERE topic LIKE 'describe%';
SELECT bool_and(idx = row_number) AS numbered, count(*) = (SELECT count(*) FROM kafka.topics) AS all_of_them
FROM (SELECT idx, row_number() OVER (ORDER BY topic COLLATE "C") FROM kafka.describe_topics()) AS d;
