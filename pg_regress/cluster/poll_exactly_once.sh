# Eight sessions poll one group, write what they get into a table and roll every third
# transaction back, while records are produced and sessions come and go: each record ends
# up in the table exactly once, and the group's offsets at the end of the partitions.
# shellcheck shell=bash source=pg_regress/cluster/lib.sh
. "$(dirname "$0")/lib.sh"

records=10000
new_cluster main
sql main "create extension pg_kafka"
sql main "alter database postgres set pg_kafka.group_initial_rebalance_delay = '200ms'" 2>/dev/null ||
  sql main "load 'pg_kafka'; alter database postgres set pg_kafka.group_initial_rebalance_delay = '200ms'"
sql main "select kafka.create_topic('work', 12)" >/dev/null
sql main "create table result (value text, taker int)"

# consume N: rounds of one session. A transaction that lost its membership meanwhile fails
# when it commits, which counts as one more rollback.
consume() {
  local round end
  for ((round = 0; round < 1000; round++)); do
    end=commit
    [ $((RANDOM % 3)) -ne 0 ] || end=rollback
    echo "begin; insert into result select convert_from(value, 'UTF8'), $1
      from kafka.poll('workers', array['work'], max_records => 1 + $((RANDOM % 40)), max_wait_ms => 100); $end;"
    # The end: nothing left to do.
    echo "select count(distinct value) >= $records as done from result \\gset"
    printf '\\if :done\n\\q\n\\endif\n'
  done | on main psql -X -q -A -t >"$work/consumer.$1" 2>&1 || true
}
produce() {
  local batch
  for ((batch = 0; batch < records / 100; batch++)); do
    sql main "select count(kafka.produce('work', (100 * $batch + i)::text, key => i::text)) from generate_series(1, 100) i" >/dev/null
  done
}

produce &
producer=$!
consumers=()
for n in 1 2 3 4 5 6 7 8; do
  consume "$n" &
  consumers+=($!)
done
wait "$producer"
# The sessions come and go by themselves: two of them are ended in the middle.
sql main "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity where query like '%kafka.poll%' and pid <> pg_backend_pid() limit 2) s" >/dev/null
sql main "select count(*) from kafka.group_members m, kafka.leave_group(m.group_id, array[m.member_id])
  where random() < 0.3" >/dev/null
wait "${consumers[@]}"

expect "each record once" "$records|$records" "$(sql main "select count(*), count(distinct value) from result")"
expect "the group's lag" 0 "$(sql main "select sum(lag) from kafka.consumer_lag where group_id = 'workers'")"
expect "several sessions took part" t "$(sql main "select count(distinct taker) > 1 from result")"
if grep -hE '^(ERROR|FATAL|PANIC)' "$work"/consumer.* | grep -vE 'no such member|generation|rebalancing|terminating connection'; then
  expect "errors of the sessions" "" "some"
fi
