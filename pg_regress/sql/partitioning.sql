-- Which partition kafka.produce chooses: for keys that of the Java client
-- (toPositive(murmur2(key)) % partitions), without a key one at random for each transaction.
SELECT kafka.create_topic('partitioning_7', 7) IS NOT NULL AS created;
SELECT kafka.create_topic('partitioning_1000', 1000) IS NOT NULL AS created;
-- The hashes are those in the Java client's own tests.
CREATE TABLE java (key text, murmur2 int4);
INSERT INTO java VALUES
    ('21', -973932308),
    ('foobar', -790332482),
    ('a-little-bit-long-string', -985981536),
    ('a-little-bit-longer-string', -1486304829),
    ('lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971),
    ('abc', 479470107);
SELECT key, (murmur2 & x'7fffffff'::int4) % 7 AS java_7, kafka.produce('partitioning_7', 'v', key) AS sql_7,
       (murmur2 & x'7fffffff'::int4) % 1000 AS java_1000, kafka.produce('partitioning_1000', 'v', key) AS sql_1000
FROM java;
-- Bytes are hashed like the text that they spell.
SELECT key, kafka.produce('partitioning_7', '\x76', convert_to(key, 'UTF8')) = kafka.produce('partitioning_7', 'v', key) AS same FROM java;
SELECT p.key, p.partition, count(*) FROM (SELECT convert_from(r.key, 'UTF8') AS key, partition FROM kafka.records('partitioning_7') AS r) AS p
GROUP BY p.key, p.partition ORDER BY p.key, p.partition;
-- An empty key is a key.
SELECT kafka.produce('partitioning_7', 'v', '') AS first, kafka.produce('partitioning_7', 'v', '') AS second, (275646681 & x'7fffffff'::int4) % 7 AS java;
-- An explicit partition goes before the key.
SELECT kafka.produce('partitioning_7', 'v', '21', partition => p) FROM generate_series(0, 6) AS p;

-- Keyless records of one transaction share one partition, also across savepoints and topics' other records.
BEGIN;
CREATE TEMP TABLE chosen AS SELECT kafka.produce('partitioning_1000', i::text) AS partition FROM generate_series(1, 50) AS i;
SAVEPOINT s;
INSERT INTO chosen SELECT kafka.produce('partitioning_1000', 'in a savepoint');
ROLLBACK TO s;
INSERT INTO chosen SELECT kafka.produce('partitioning_1000', 'after it');
SELECT count(*) FROM kafka.flush() WHERE partition NOT IN (SELECT partition FROM chosen) AND topic = 'partitioning_1000';
INSERT INTO chosen SELECT kafka.produce('partitioning_1000', 'after a flush');
SELECT count(*), count(DISTINCT partition), bool_and(partition BETWEEN 0 AND 999) AS in_range FROM chosen;
COMMIT;
-- Other transactions choose anew: 30 of them would all agree only once in 1000^29 times.
CREATE TEMP TABLE choices (partition int4);
DO $$
BEGIN
    FOR i IN 1..30 LOOP
        INSERT INTO choices SELECT kafka.produce('partitioning_1000', 'v');
        COMMIT;
    END LOOP;
END $$;
SELECT count(DISTINCT partition) > 1 AS spread FROM choices;
DROP TABLE java, choices;
