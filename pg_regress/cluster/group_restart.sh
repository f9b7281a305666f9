# Members outlive a crash of the server that takes longer than their session: nobody could
# hear them meanwhile. Their sessions begin anew with the server.
# shellcheck shell=bash source=pg_regress/cluster/lib.sh
. "$(dirname "$0")/lib.sh"

new_cluster main
sql main "create extension pg_kafka"
cat >>"$work/main/postgresql.conf" <<CONF
pg_kafka.group_min_session_timeout = 1
pg_kafka.group_initial_rebalance_delay = 0
pg_kafka.group_consumer_session_timeout = 10000
CONF
sql main "select pg_reload_conf()" >/dev/null
sql main "select kafka.create_topic('orders', 2)" >/dev/null
join="kafka.join_group('classic', array['orders'], session_timeout_ms => 10000)"
member=$(sql main "select member_id from $join")
expect "a classic member" "0|{0,1}" "$(sql main "select error_code, partitions from kafka.sync_group('classic', 1, '$member')")"
expect "a member of a group that the server assigns" "0|1" \
  "$(sql main "select error_code, member_epoch from kafka.consumer_group_heartbeat('served', 'm', subscribed_topics => array['orders'])")"

"$PG_BIN/pg_ctl" -D "$work/main" -s -m immediate stop
sleep 11
"$PG_BIN/pg_ctl" -D "$work/main" -s -w -l "$work/main.log" -o "-c listen_addresses='' -k $work/main.socket" start
expect "the classic member afterwards" "0|Stable" "$(sql main "select error_code, state from kafka.heartbeat('classic', 1, '$member')")"
expect "the other member afterwards" "0|1" \
  "$(sql main "select error_code, member_epoch from kafka.consumer_group_heartbeat('served', 'm', 1)")"
sleep 11
expect "without a sign of life" "25" "$(sql main "select error_code from kafka.heartbeat('classic', 1, '$member')")"
