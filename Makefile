# make run     PostgreSQL with pg_kafka and a Kafka listener, until Ctrl-C
# make test    every test, totals on the last line
# make stress  producers, readers, a standby and faults at once; nothing may be lost
# make bench   throughput, latency and cost beside Apache Kafka and beside plain tables, as Markdown tables
#
# Variables: PGPORT, KAFKA_PORT (run); STRESS_ARGS; BENCH_ARGS; PG_MAJOR.

.PHONY: help run test stress bench

help:
	@sed -n 's/^# \{0,1\}//p' Makefile

run:
	@.ci/start

test:
	@.ci/test

stress: STRESS_ARGS ?=
stress:
	@.ci/measure stress $(STRESS_ARGS)

bench: BENCH_ARGS ?=
bench:
	@.ci/measure bench $(BENCH_ARGS)
