-- The functions work on the catalogue as its owner, whatever the caller's search_path holds: a role that may only read
-- cannot make the owner run its operators and functions.
\getenv abs_srcdir PG_ABS_SRCDIR
\set batch_helpers :abs_srcdir '/include/batch.sql'
\i :batch_helpers
SELECT kafka.create_topic('search_path', 2) IS NOT NULL AS created;
CREATE ROLE regress_kafka_mallory;
CREATE SCHEMA mallory AUTHORIZATION regress_kafka_mallory;
GRANT USAGE ON SCHEMA kafka TO regress_kafka_mallory;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kafka TO regress_kafka_mallory;
SET SESSION AUTHORIZATION regress_kafka_mallory;
DO $$
DECLARE
    t text;
    o text;
BEGIN
    FOREACH t IN ARRAY '{text,uuid,int4,int8,int2}'::text[] LOOP
        EXECUTE format('CREATE FUNCTION mallory.hijacked(%1$s, %1$s) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION %2$L, current_user; END $f$', t, 'hijacked as %');
        FOREACH o IN ARRAY '{=,<>,<,<=,>,>=}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR mallory.%2$s (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = mallory.hijacked)', t, o);
        END LOOP;
    END LOOP;
END $$;
CREATE FUNCTION mallory.hijacked_time() RETURNS timestamptz LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END $f$;
CREATE FUNCTION mallory.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT mallory.hijacked_time()';
CREATE FUNCTION mallory.nextval(text) RETURNS bigint LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END $f$;
CREATE FUNCTION mallory.nextval(regclass) RETURNS bigint LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END $f$;
CREATE FUNCTION mallory.gen_random_uuid() RETURNS uuid LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END $f$;
CREATE DOMAIN mallory.int4 AS pg_catalog.int4 CHECK (false);
CREATE DOMAIN mallory.int8 AS pg_catalog.int8 CHECK (false);
CREATE DOMAIN mallory.bytea AS pg_catalog.bytea CHECK (false);
CREATE DOMAIN mallory.text AS pg_catalog.text CHECK (false);
RESET SESSION AUTHORIZATION;
-- A new session has no plans cached.
\c -
SET timezone = 'UTC';
SET pg_kafka.group_initial_rebalance_delay = 0;
SET SESSION AUTHORIZATION regress_kafka_mallory;
SET search_path = mallory, pg_catalog;
SELECT kafka.produce('search_path', 'v', 'k', partition => 0, "timestamp" => '2024-01-01 00:00:00+00');
SELECT kafka.produce('search_path_auto', 'v');
SELECT kafka.create_topic('search_path_created', 1, '{"retention.ms": 1000}') IS NOT NULL AS created;
SELECT kafka.create_partitions('search_path_created', 2);
SELECT kafka.delete_topic('search_path_created');
SELECT * FROM kafka.fetch('search_path', 0, 0);
SELECT * FROM kafka.records('search_path');
SELECT * FROM kafka.list_offsets('search_path', 0, 'latest');
SELECT * FROM kafka.list_offsets('search_path', 0, '2024-01-01 00:00:00+00'::timestamptz);
SELECT * FROM kafka.list_offsets('search_path', 0, -1);
SELECT idx, error_code, "offset" FROM kafka.list_offsets(ARRAY['search_path'], ARRAY[0], ARRAY[-1::pg_catalog.int8]);
SELECT idx, error_code, high_watermark FROM kafka.fetch_batches(ARRAY['search_path'], ARRAY[0], ARRAY[0::pg_catalog.int8]);
SELECT pg_catalog.length(kafka.fetch_batches_packed(ARRAY['search_path'], ARRAY[0], ARRAY[0::pg_catalog.int8])) OPERATOR(pg_catalog.>) 42 AS records;
SELECT idx, topic, error_code FROM kafka.describe_topics(ARRAY['search_path', 'search_path_none', 'search_path_made'], auto_create => true);
SELECT topic, error_code FROM kafka.describe_topics(topic_ids => ARRAY['00000000-0000-0000-0000-000000000001'::uuid]);
SELECT count(*) FROM kafka.describe_topics() WHERE topic OPERATOR(pg_catalog.=) 'search_path';
SELECT idx FROM kafka.wait_for_records(ARRAY['search_path'], ARRAY[0], ARRAY[0::pg_catalog.int8], 0);
SELECT producer_epoch FROM kafka.init_producer_id();
SELECT leader_epoch FROM kafka.cluster();
-- A batch of an idempotent producer.
SELECT idx, error_code, base_offset FROM kafka.produce_batches(ARRAY['search_path'], ARRAY[1], ARRAY['\x0000000000000000000001deffffffff0205268a010000000000060000018bcfe568000000018bd01c5680000000000000126700037ffffffd000000071c000000066b65790a76616c75650018000a02010c6e6f206b6579002000cf0f0412746f6d6273746f6e6501000e00c80106010100120080bab703080000006a00020a0e6865616465727302760a0261023102620102610232000010d0bad0bbd18ed18720d0b7d0bdd0b0d187d0b5d0bdd0b8d0b5ec0400040c06626967d80461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e00'::pg_catalog.bytea]);
SELECT idx, error_code, base_offset FROM kafka.produce_batches(ARRAY['search_path'], ARRAY[1], ARRAY['\x0000000000000000000001deffffffff0205268a010000000000060000018bcfe568000000018bd01c5680000000000000126700037ffffffd000000071c000000066b65790a76616c75650018000a02010c6e6f206b6579002000cf0f0412746f6d6273746f6e6501000e00c80106010100120080bab703080000006a00020a0e6865616465727302760a0261023102620102610232000010d0bad0bbd18ed18720d0b7d0bdd0b0d187d0b5d0bdd0b8d0b5ec0400040c06626967d80461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e7562697077646b7279666d7461686f76636a7178656c737a676e00'::pg_catalog.bytea]);
-- Transactions. The helper that makes batches is called before: it is not ours to protect.
SELECT error_code, producer_id AS pid, producer_epoch AS epoch FROM kafka.init_producer_id('hijack') \gset txn_
SELECT * FROM kafka.add_partitions_to_txn('hijack', :txn_pid, '0', ARRAY['search_path'], ARRAY[1]);
SELECT * FROM kafka.add_partitions_to_txn('hijack', :txn_pid, '0', ARRAY['search_path'], ARRAY[1], verify_only => true);
RESET SESSION AUTHORIZATION;
RESET search_path;
SELECT record_batch(:txn_pid, 0, 0, true, 'v') AS first, record_batch(:txn_pid, 0, 1, true, 'w') AS second, record_batch(:txn_pid, 1, 0, true, 'x') AS third \gset batch_
SET SESSION AUTHORIZATION regress_kafka_mallory;
SET search_path = mallory, pg_catalog;
SELECT error_code FROM kafka.produce_batches(ARRAY['search_path'], ARRAY[1], ARRAY[:'batch_first'::pg_catalog.bytea], transactional_ids => ARRAY['hijack']);
SELECT error_code FROM kafka.produce_batches(ARRAY['search_path'], ARRAY[1], ARRAY[:'batch_second'::pg_catalog.bytea], transactional_ids => ARRAY['hijack'], transaction_versions => '{2}');
SELECT * FROM kafka.add_offsets_to_txn('hijack', :txn_pid, '0', 'hijack txn');
SELECT * FROM kafka.txn_offset_commit('hijack', 'hijack txn', :txn_pid, '0', ARRAY['search_path'], ARRAY[0], ARRAY[1::pg_catalog.int8]);
SELECT error_code FROM kafka.committed_offsets('hijack txn', ARRAY['search_path'], ARRAY[0], require_stable => true);
SELECT idx, error_code, txn_first_offset IS NOT NULL AS open FROM kafka.describe_producers(ARRAY['search_path'], ARRAY[1]) WHERE producer_id OPERATOR(pg_catalog.=) :txn_pid;
SELECT idx, error_code, state, topics, partitions, group_ids FROM kafka.describe_transactions(ARRAY['hijack']);
SELECT transactional_id, state FROM kafka.list_transactions('{Ongoing}', '{}', 0, 'hij.*');
SELECT pg_catalog.count(*) FROM kafka.records('search_path') WHERE partition OPERATOR(pg_catalog.=) 1;
SELECT error_code, aborted_producer_ids FROM kafka.fetch_batches(ARRAY['search_path'], ARRAY[1], ARRAY[0::pg_catalog.int8], isolation => 'read_committed');
SELECT idx, error_code FROM kafka.list_offsets(ARRAY['search_path'], ARRAY[1], ARRAY[-1::pg_catalog.int8], 'read_committed');
SELECT error_code, producer_epoch FROM kafka.end_txn('hijack', :txn_pid, '0', true, '2');
SELECT error_code FROM kafka.produce_batches(ARRAY['search_path'], ARRAY[1], ARRAY[:'batch_third'::pg_catalog.bytea], transactional_ids => ARRAY['hijack'], transaction_versions => '{2}');
SELECT kafka.abort_transaction('hijack');
SELECT pg_catalog.cardinality(aborted_producer_ids) FROM kafka.fetch_batches(ARRAY['search_path'], ARRAY[1], ARRAY[0::pg_catalog.int8], isolation => 'read_committed');
SELECT pg_catalog.convert_from(value, 'UTF8') FROM kafka.fetch('search_path', 1, 7);
SELECT * FROM kafka.write_txn_markers(ARRAY[:txn_pid]::pg_catalog.int8[], '{9}', '{f}', ARRAY['search_path'], ARRAY[1]);
SELECT error_code, producer_epoch FROM kafka.init_producer_id('hijack', 60000, :txn_pid, '1');
SELECT kafka.delete_records('search_path', 1, 9);
SELECT kafka.delete_group('hijack txn');
-- Groups.
SELECT * FROM kafka.join_group('hijack', ARRAY['search_path'], client_id => 'c') \gset m_
SELECT error_code, topics, partitions FROM kafka.sync_group('hijack', 1, :'m_member_id');
SELECT error_code, state FROM kafka.heartbeat('hijack', 1, :'m_member_id');
SELECT * FROM kafka.heartbeats(ARRAY['hijack'], ARRAY[1], ARRAY[:'m_member_id']);
SELECT * FROM kafka.commit_offsets('hijack', ARRAY['search_path'], ARRAY[0], ARRAY[1::pg_catalog.int8], member_id => :'m_member_id', generation_id => 1);
SELECT topic, partition, "offset" FROM kafka.committed_offsets('hijack');
SELECT kafka.committed_offset('hijack', 'search_path', 0);
SELECT state, subscribed_topics, assigned_partitions FROM kafka.describe_group('hijack');
SELECT idx, state, client_id FROM kafka.describe_groups(ARRAY['hijack']);
SELECT idx, error_code FROM kafka.leave_group('hijack', ARRAY[:'m_member_id']);
SELECT * FROM kafka.delete_offsets('hijack', ARRAY['search_path'], ARRAY[0]);
SELECT idx FROM kafka.wait_for_groups(ARRAY['hijack', 'none'], ARRAY[0::pg_catalog.int8, -1::pg_catalog.int8], 0);
SELECT error_code, member_epoch, assigned_partitions FROM kafka.consumer_group_heartbeat('served', 'm', subscribed_topics => ARRAY['search_path']);
SELECT error_code, member_epoch FROM kafka.consumer_group_heartbeat('served', 'm', 1);
SELECT error_code, member_epoch FROM kafka.consumer_group_heartbeat('served', 'm', -1);
SELECT pg_catalog.count(*) FROM kafka.poll('polled', ARRAY['search_path'], max_records => 1);
SELECT * FROM kafka.list_groups() WHERE group_id OPERATOR(pg_catalog.~) '^(hijack|polled|served)$';
SELECT task FROM kafka.maintain();
SELECT kafka.delete_group('hijack');
RESET SESSION AUTHORIZATION;
RESET search_path;
SELECT l.error_code FROM kafka.group_members AS m, kafka.leave_group(m.group_id, ARRAY[m.member_id]) AS l WHERE m.group_id = 'polled';
SELECT kafka.delete_group(group_id) FROM kafka.groups WHERE group_id IN ('polled', 'served');
DROP OWNED BY regress_kafka_mallory CASCADE;
DROP ROLE regress_kafka_mallory;
