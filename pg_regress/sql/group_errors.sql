-- What the group refuses, with Kafka's error codes; nothing of it is raised by the calls of members.
SET pg_kafka.group_initial_rebalance_delay = 0;
SELECT kafka.create_topic('strict') IS NOT NULL AS created;
CREATE FUNCTION named(text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace($1, '-[0-9a-f-]{36}', '-ID', 'g') $$;
SELECT error_code, error_message, state FROM kafka.join_group('', ARRAY['strict']);
SELECT error_code, error_message FROM kafka.join_group('strict', ARRAY['strict'], session_timeout_ms => 5);
SELECT error_code, error_message FROM kafka.join_group('strict', ARRAY['strict'], session_timeout_ms => 1800001);
SELECT error_code, error_message, next FROM kafka.join_group('strict', ARRAY['strict'], member_id => 'stranger');
SELECT error_code, error_message FROM kafka.join_group('strict', protocols => '{}', metadata => '{}');
SELECT error_code, error_message FROM kafka.join_group('strict');
SELECT * FROM kafka.groups WHERE group_id = 'strict';
-- Bad arguments are errors of the call.
SELECT * FROM kafka.join_group(NULL, ARRAY['strict']);
SELECT * FROM kafka.join_group('strict', ARRAY['strict', NULL]);
SELECT * FROM kafka.join_group('strict', protocols => ARRAY['a', 'b'], metadata => ARRAY['x'::bytea]);
SELECT * FROM kafka.sync_group('strict', NULL, 'x');
SELECT * FROM kafka.leave_group('strict', ARRAY['a'], ARRAY['b', 'c']);
-- A new member that is to have an id first (KIP-394).
SELECT * FROM kafka.join_group('strict', ARRAY['strict'], client_id => 'c', require_member_id => true) \gset m_
SELECT :m_error_code AS error_code, named(:'m_error_message') AS message, named(:'m_member_id') AS member, :'m_state' AS state;
SELECT error_code, generation_id FROM kafka.join_group('strict', ARRAY['strict'], member_id => :'m_member_id', require_member_id => true);
SELECT error_code FROM kafka.sync_group('strict', 1, :'m_member_id');
-- Others must share a protocol with it.
SELECT error_code, error_message FROM kafka.join_group('strict', protocol_type => 'connect', protocols => ARRAY['range'], metadata => ARRAY[''::bytea]);
SELECT error_code, error_message FROM kafka.join_group('strict', protocols => ARRAY['other'], metadata => ARRAY[''::bytea]);
SELECT error_code, error_message FROM kafka.sync_group('strict', 1, :'m_member_id', protocol_name => 'roundrobin');
SELECT error_code, error_message FROM kafka.sync_group('strict', 7, :'m_member_id');
SELECT error_code, error_message FROM kafka.heartbeat('strict', 0, :'m_member_id');
SELECT error_code, error_message FROM kafka.heartbeat('strict', 1, 'stranger');
SELECT error_code, error_message FROM kafka.heartbeat('nothing', 1, 'stranger');
SELECT idx, error_code, error_message FROM kafka.leave_group('strict', ARRAY['stranger', NULL], ARRAY[NULL, 'instance']);
SELECT kafka.leave_group('strict', 'stranger');
SELECT kafka.delete_group('strict');
SELECT kafka.delete_group('nothing');
SELECT * FROM kafka.describe_group('nothing');
SELECT idx, error_code, group_id, state FROM kafka.describe_groups(ARRAY['nothing']);
-- A group has room for so many.
SET pg_kafka.group_max_size = 1;
SELECT error_code, error_message FROM kafka.join_group('strict', ARRAY['strict']);
RESET pg_kafka.group_max_size;
SELECT kafka.leave_group('strict', :'m_member_id'), kafka.delete_group('strict');
-- A leader of other protocols assigns itself.
SELECT * FROM kafka.join_group('workers', protocol_type => 'connect', protocols => ARRAY['default'], metadata => ARRAY['w1'::bytea]) \gset w_
SELECT error_code, error_message FROM kafka.sync_group('workers', 1, :'w_member_id');
SELECT error_code, state, assignment, topics FROM kafka.sync_group('workers', 1, :'w_member_id', assigned_member_ids => ARRAY[:'w_member_id'], assignments => ARRAY['task 1'::bytea]);
SELECT protocol_type, subscribed_topics, metadata, assignment, assigned_topics FROM kafka.describe_groups(ARRAY['workers']);
SELECT kafka.delete_offsets('workers', ARRAY['strict'], ARRAY[0]);
SELECT kafka.leave_group('workers', :'w_member_id'), kafka.delete_group('workers'), kafka.delete_topic('strict');
DROP FUNCTION named;
