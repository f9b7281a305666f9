-- Members of both group protocols in one group (KIP-848): it becomes a consumer group when the first consumer joins, and classic again when the last has left.
SET pg_kafka.group_initial_rebalance_delay = 0;
SELECT kafka.create_topic('moving', 4) IS NOT NULL AS created;
SELECT * FROM kafka.join_group('moving', ARRAY['moving'], client_id => 'old', client_host => 'h') \gset old_
SELECT error_code, state, partitions FROM kafka.sync_group('moving', 1, :'old_member_id');
-- A consumer joins: the classic member stays with what it has, which is all there is.
SELECT error_code, member_epoch, assigned_partitions FROM kafka.consumer_group_heartbeat('moving', 'c', subscribed_topics => ARRAY['moving'], client_id => 'new', client_host => 'h');
SELECT group_type, state, protocol_type, generation_id, member_count FROM kafka.groups WHERE group_id = 'moving';
SELECT client_id, member_type, member_epoch, state, assigned_partitions FROM kafka.group_members WHERE group_id = 'moving' ORDER BY client_id;
SELECT client_id, session_timeout_ms, protocol_names, rejoin_deadline IS NULL AS in_no_hurry FROM kafka_log.group_members WHERE group_id = 'moving' ORDER BY client_id;
-- Its offsets it commits as before; its heartbeat tells it to join again, and until when is noted.
SELECT error_code FROM kafka.commit_offsets('moving', ARRAY['moving'], ARRAY[0], ARRAY[5]::int8[], member_id => :'old_member_id', generation_id => 1);
SELECT * FROM kafka.heartbeats(ARRAY['moving'], ARRAY[1], ARRAY[:'old_member_id']);
SELECT error_code, error_message, state FROM kafka.heartbeat('moving', 1, :'old_member_id');
SELECT client_id FROM kafka_log.group_members WHERE group_id = 'moving' AND rejoin_deadline > 0;
-- It is answered at once, has no leader to wait for, and is told its share.
SELECT error_code, state, generation_id, protocol_type, protocol_name, leader, member_ids, wait_ms FROM kafka.join_group('moving', member_id => :'old_member_id');
SELECT error_code, protocol_type, protocol_name, topics, array_length(partitions, 1) AS partitions, wait_ms FROM kafka.sync_group('moving', 2, :'old_member_id');
SELECT error_code, state FROM kafka.heartbeat('moving', 2, :'old_member_id');
SELECT client_id FROM kafka_log.group_members WHERE group_id = 'moving' AND rejoin_deadline > 0;
SELECT error_code, member_epoch, array_length(assigned_partitions, 1) AS partitions FROM kafka.consumer_group_heartbeat('moving', 'c', 2, client_id => 'new', client_host => 'h');
SELECT state FROM kafka.groups WHERE group_id = 'moving';
-- One more of the old ones.
SELECT * FROM kafka.join_group('moving', ARRAY['moving'], client_id => 'older', client_host => 'h') \gset older_
SELECT :older_error_code AS error_code, :'older_state' AS state, :older_generation_id AS generation;
SELECT error_code, error_message FROM kafka.sync_group('moving', 3, 'c');
SELECT idx, error_code FROM kafka.leave_group('moving', ARRAY[:'older_member_id']);
SELECT error_code, error_message FROM kafka.join_group('moving', protocols => ARRAY['odd'], metadata => ARRAY['\x00'::bytea]);
-- The last consumer leaves: the group is classic again, and rebalances.
SELECT error_code, member_epoch FROM kafka.consumer_group_heartbeat('moving', 'c', -1);
SELECT group_type, state, generation_id, member_count FROM kafka.groups WHERE group_id = 'moving';
SELECT client_id, member_type, member_epoch, state FROM kafka.group_members WHERE group_id = 'moving';
SELECT error_code, state, leader = member_id AS leads FROM kafka.join_group('moving', member_id => :'old_member_id') \gset again_
SELECT :again_error_code AS error_code, :'again_state' AS state, :'again_leads' AS leads;
SELECT s.error_code, s.state, s.partitions FROM kafka.groups AS g, kafka.sync_group('moving', g.generation_id, :'old_member_id') AS s WHERE g.group_id = 'moving';
SELECT kafka.leave_group('moving', :'old_member_id');
SELECT kafka.delete_group('moving');
-- Groups that are no consumers' are left alone.
SELECT state FROM kafka.join_group('connect', protocols => ARRAY['p'], metadata => ARRAY['\x00'::bytea], protocol_type => 'connect');
SELECT error_code, error_message FROM kafka.consumer_group_heartbeat('connect', 'c', subscribed_topics => ARRAY['moving']);
SELECT group_type FROM kafka.groups WHERE group_id = 'connect';
SELECT count(*) AS left_behind FROM kafka.group_members AS m, kafka.leave_group(m.group_id, ARRAY[m.member_id]) AS l WHERE l.error_code <> 0;
SELECT kafka.delete_group('connect');
SELECT kafka.delete_topic('moving');
