-- A whole round of the classic group protocol from psql: two members join, sync, heartbeat and leave.
SET pg_kafka.group_initial_rebalance_delay = 0;
SELECT kafka.create_topic('round', 4) IS NOT NULL AS created;
CREATE FUNCTION named(text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace($1, '-[0-9a-f-]{36}', '-ID', 'g') $$;
-- The first member is told at once that it leads, and what to call next.
SELECT * FROM kafka.join_group('round', ARRAY['round'], client_id => 'one', client_host => 'h') \gset one_
SELECT :one_error_code AS error_code, :'one_state' AS state, named(:'one_member_id') AS member, :one_generation_id AS generation, :'one_protocol_name' AS protocol, :'one_leader' = :'one_member_id' AS leads, named(:'one_next') AS next;
-- With no assignments of its own it leaves the assigning to the server.
SELECT error_code, state, protocol_type, protocol_name, topics, partitions, wait_ms, named(next) AS next FROM kafka.sync_group('round', 1, :'one_member_id');
SELECT error_code, state, named(next) AS next FROM kafka.heartbeat('round', 1, :'one_member_id');
-- A second one has to wait for the first: it asks again under the id it was given.
SELECT * FROM kafka.join_group('round', ARRAY['round'], client_id => 'two', client_host => 'h', rebalance_timeout_ms => 60000) \gset two_
SELECT :two_error_code AS error_code, :'two_state' AS state, named(:'two_member_id') AS member, :two_wait_ms BETWEEN 1 AND 15000 AS waits, :two_version > 0 AS version, named(:'two_next') AS next;
SELECT error_code, state, generation_id, wait_ms > 0 AS waits FROM kafka.join_group('round', member_id => :'two_member_id');
-- The first one learns of it by its heartbeat, and joins again.
SELECT error_code, error_message, state, named(next) AS next FROM kafka.heartbeat('round', 1, :'one_member_id');
SELECT error_code, state, generation_id, protocol_name, named(leader) AS leader, array_length(member_ids, 1) AS members, named(member_ids[1]) AS first, named(member_ids[2]) AS second FROM kafka.join_group('round', member_id => :'one_member_id');
-- Now the second one is answered; members are told to the leader only.
SELECT error_code, state, generation_id, named(leader) AS leader, member_ids FROM kafka.join_group('round', member_id => :'two_member_id');
-- It syncs first, and waits for the leader; then everybody gets its share.
SELECT error_code, state, assignment, wait_ms > 0 AS waits FROM kafka.sync_group('round', 2, :'two_member_id');
SELECT error_code, state, topics, partitions FROM kafka.sync_group('round', 2, :'one_member_id');
SELECT error_code, state, topics, partitions FROM kafka.sync_group('round', 2, :'two_member_id');
SELECT named(member_id) AS member, state, client_host, subscribed_topics, assigned_topics, assigned_partitions FROM kafka.group_members WHERE group_id = 'round';
SELECT error_code FROM kafka.heartbeat('round', 2, :'two_member_id');
-- Many heartbeats at once: null where only kafka.heartbeat can tell.
SELECT * FROM kafka.heartbeats(ARRAY['round', 'round', 'round', 'nothing'], ARRAY[2, 2, 1, 1], ARRAY[:'one_member_id', :'two_member_id', :'one_member_id', 'x']);
-- An answer that was lost can be asked for again; the leader that joins wants a new assignment.
SELECT error_code, state, generation_id FROM kafka.join_group('round', member_id => :'two_member_id');
SELECT error_code, state, topics, partitions FROM kafka.sync_group('round', 2, :'two_member_id');
-- A member leaves, and the other goes on alone.
SELECT idx, error_code, named(member_id) AS member FROM kafka.leave_group('round', ARRAY[:'one_member_id'], reasons => ARRAY['enough']);
SELECT error_code, state FROM kafka.heartbeat('round', 2, :'two_member_id');
SELECT error_code, state, generation_id, named(leader) AS leader FROM kafka.join_group('round', member_id => :'two_member_id');
SELECT error_code, state, topics, partitions FROM kafka.sync_group('round', 3, :'two_member_id');
SELECT kafka.leave_group('round', :'two_member_id');
SELECT * FROM kafka.groups WHERE group_id = 'round';
SELECT kafka.delete_group('round');
SELECT kafka.delete_topic('round');
DROP FUNCTION named;
