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
-- In a schema of the user's choice: there is none, the schemas are fixed.
CREATE EXTENSION pg_kafka SCHEMA public;
SELECT extnamespace::regnamespace, extrelocatable FROM pg_extension WHERE extname = 'pg_kafka';
\c :regression
DROP DATABASE regress_kafka_drop;
