-- Static members (KIP-345): a restarted one takes the place of its former self without a rebalance.
SET pg_kafka.group_initial_rebalance_delay = 0;
SELECT kafka.create_topic('static', 2) IS NOT NULL AS created;
CREATE FUNCTION named(text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace($1, '-[0-9a-f-]{36}', '-ID', 'g') $$;
SELECT * FROM kafka.join_group('static', ARRAY['static'], group_instance_id => 'i1') \gset old_
SELECT error_code, partitions FROM kafka.sync_group('static', 1, :'old_member_id', 'i1');
-- Its successor keeps generation and assignment, and is told not to assign (KIP-814).
SELECT * FROM kafka.join_group('static', ARRAY['static'], group_instance_id => 'i1', supports_skipping_assignment => true) \gset new_
SELECT :new_error_code AS error_code, :'new_state' AS state, named(:'new_member_id') AS member, :'new_member_id' <> :'old_member_id' AS another, :new_generation_id AS generation, :'new_skip_assignment' AS skip;
SELECT error_code, partitions FROM kafka.sync_group('static', 1, :'new_member_id', 'i1');
-- The former self is fenced wherever it names its instance, and unknown where it does not.
SELECT error_code FROM kafka.heartbeat('static', 1, :'old_member_id', 'i1');
SELECT error_code FROM kafka.heartbeat('static', 1, :'old_member_id');
SELECT error_code FROM kafka.sync_group('static', 1, :'old_member_id', 'i1');
SELECT error_code FROM kafka.join_group('static', ARRAY['static'], member_id => :'old_member_id', group_instance_id => 'i1');
SELECT error_code FROM kafka.commit_offsets('static', ARRAY['static'], ARRAY[0], ARRAY[1]::int8[], member_id => :'old_member_id', generation_id => 1, group_instance_id => 'i1');
SELECT error_code FROM kafka.leave_group('static', ARRAY[:'old_member_id'], ARRAY['i1']);
SELECT error_code FROM kafka.heartbeat('static', 1, :'new_member_id', 'i1');
SELECT * FROM kafka.heartbeats(ARRAY['static', 'static'], ARRAY[1, 1], ARRAY[:'new_member_id', :'new_member_id'], ARRAY['i1', 'i2']);
-- Named by its instance alone it can be sent away.
SELECT error_code, named(member_id) AS member FROM kafka.leave_group('static', ARRAY[NULL], ARRAY['i1']);
SELECT state, member_count FROM kafka.groups WHERE group_id = 'static';
SELECT kafka.delete_group('static'), kafka.delete_topic('static');
DROP FUNCTION named;
