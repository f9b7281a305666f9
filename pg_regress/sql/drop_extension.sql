-- DROP EXTENSION: not while there are topics, unless by CASCADE; created again, nothing is left of the old ones.
\set regression :DBNAME
CREATE DATABASE regress_kafka_drop;
\c regress_kafka_drop
CREATE EXTENSION pg_kafka;
DROP EXTENSION pg_kafka;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'kafka%';
CREATE EXTENSION pg_kafka;
SELECT kafka.produce('kept', 'precious');
DROP EXTENSION pg_kafka;
\echo :LAST_ERROR_SQLSTATE
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('kept');
-- A log table is dropped by deleting its topic, not behind its back.
DROP TABLE kafka_log.topics;
DROP SCHEMA kafka CASCADE;
BEGIN;
\set VERBOSITY terse
DROP EXTENSION pg_kafka CASCADE;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'kafka%';
ROLLBACK;
SELECT convert_from(value, 'UTF8') AS value FROM kafka.records('kept');
-- Produced, and then the extension dropped, in one transaction.
BEGIN;
SELECT kafka.produce('kept', 'last words');
DROP EXTENSION pg_kafka CASCADE;
COMMIT;
SELECT kafka.produce('kept', 'v');
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'kafka%';
-- Again, in the session that knew the old one.
CREATE EXTENSION pg_kafka;
SELECT topic FROM kafka.topics;
SELECT kafka.produce('kept', 'new');
SELECT "offset", convert_from(value, 'UTF8') AS value FROM kafka.records('kept');
SELECT kafka.delete_topic('kept');
DROP EXTENSION pg_kafka;
-- Producers and their transactions likewise, in a session that knew the tables, and that knew them when they were rolled back.
\set transaction 'SELECT i.error_code AS init, a.error_code AS add, e.error_code AS end FROM kafka.init_producer_id(''x'') AS i, kafka.add_partitions_to_txn(''x'', i.producer_id, i.producer_epoch, ARRAY[''kept''], ARRAY[0]) AS a, kafka.end_txn(''x'', i.producer_id, i.producer_epoch, a.error_code <> 0) AS e;'
\set state 'SELECT t.transactional_id, t.state, p.partition, p.txn_first_offset, w.last_stable_offset FROM kafka.transactions AS t, kafka.producers AS p, kafka.partitions AS w;'
BEGIN;
CREATE EXTENSION pg_kafka;
SELECT kafka.create_topic('kept') IS NOT NULL AS created;
:transaction
:state
ROLLBACK;
CREATE EXTENSION pg_kafka;
SELECT kafka.create_topic('kept') IS NOT NULL AS created;
:transaction
BEGIN;
DROP EXTENSION pg_kafka CASCADE;
ROLLBACK;
REINDEX TABLE CONCURRENTLY kafka_log.producers;
REINDEX TABLE CONCURRENTLY kafka_log.transactions;
:transaction
:state
DROP EXTENSION pg_kafka CASCADE;
CREATE EXTENSION pg_kafka;
SELECT kafka.create_topic('kept') IS NOT NULL AS created;
:transaction
:state
SELECT kafka.delete_topic('kept');
DROP EXTENSION pg_kafka;
-- In a schema of the user's choice: there is none, the schemas are fixed.
CREATE EXTENSION pg_kafka SCHEMA public;
SELECT extnamespace::regnamespace, extrelocatable FROM pg_extension WHERE extname = 'pg_kafka';
\c :regression
DROP DATABASE regress_kafka_drop;
