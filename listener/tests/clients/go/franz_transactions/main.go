// Command franz_transactions takes the steps of standard input with franz-go:
// franz_transactions steps BOOTSTRAP
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"clients/steps"
)

var (
	producers = map[string]*kgo.Client{}
	// plain sends records outside of transactions.
	plain = sync.OnceValue(func() *kgo.Client { return producer() })
)

func main() {
	steps.Take(func(name string, arguments []string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*steps.Timeout)
		defer cancel()
		return step(ctx, name, arguments)
	})
}

func step(ctx context.Context, name string, arguments []string) error {
	switch name {
	case "producer":
		return newProducer(ctx, arguments[0], arguments[1], arguments[2])
	case "begin":
		return producers[arguments[0]].BeginTransaction()
	case "send":
		return send(ctx, producers[arguments[0]], arguments[1], arguments[2], arguments[3:])
	case "commit":
		return producers[arguments[0]].EndTransaction(ctx, kgo.TryCommit)
	case "abort":
		return abort(ctx, producers[arguments[0]])
	case "close":
		producers[arguments[0]].Close()
		return nil
	case "plain":
		return send(ctx, plain(), arguments[0], arguments[1], arguments[2:])
	case "many":
		return many(ctx, producers[arguments[0]], steps.Number(arguments[1]), arguments[2])
	case "transform":
		return transform(ctx, arguments)
	case "committed":
		return committed(ctx, arguments[0], arguments[1])
	case "read":
		return read(ctx, arguments[0], arguments[1], steps.Number(arguments[2]))
	case "tail":
		return each(ctx, arguments[0], arguments[1], 1, steps.Record.Show)
	default:
		panic(name)
	}
}

// options of a producer: what is flushed is one batch, it would wait for more by itself.
func options(more ...kgo.Opt) []kgo.Opt {
	return append(more,
		kgo.SeedBrokers(os.Args[2]),
		kgo.ProducerLinger(10*time.Second),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
}

func client(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(options...)
	if err != nil {
		panic(err)
	}
	return client
}

func producer(more ...kgo.Opt) *kgo.Client {
	return client(options(more...)...)
}

func newProducer(ctx context.Context, name, id, timeout string) error {
	producers[name] = producer(
		kgo.TransactionalID(id),
		kgo.TransactionTimeout(time.Duration(steps.Number(timeout))*time.Millisecond),
	)
	// It would ask for its id when it sends the first record.
	_, _, err := producers[name].ProducerID(ctx)
	return err
}

type sender interface {
	Produce(context.Context, *kgo.Record, func(*kgo.Record, error))
}

func send(ctx context.Context, client *kgo.Client, topic, partition string, values []string) error {
	return sendWith(ctx, client, client, topic, partition, values)
}

func sendWith(
	ctx context.Context, sender sender, client *kgo.Client, topic, partition string, values []string,
) (failed error) {
	var promised sync.WaitGroup
	for _, value := range values {
		record := &kgo.Record{
			Topic:     topic,
			Partition: int32(steps.Number(partition)),
			Timestamp: steps.Timestamp,
			Key:       []byte("key"),
			Value:     []byte(value),
		}
		promised.Add(1)
		sender.Produce(ctx, record, func(record *kgo.Record, err error) {
			defer promised.Done()
			if err != nil {
				failed = errors.Join(failed, err)
			} else {
				steps.Say("offset", record.Offset)
			}
		})
	}
	err := client.Flush(ctx)
	promised.Wait()
	return errors.Join(failed, err)
}

func abort(ctx context.Context, client *kgo.Client) error {
	if err := client.AbortBufferedRecords(ctx); err != nil {
		return err
	}
	return client.EndTransaction(ctx, kgo.TryAbort)
}

func many(ctx context.Context, client *kgo.Client, count int, topic string) error {
	for i := range count {
		if err := client.BeginTransaction(); err != nil {
			return err
		}
		value := fmt.Sprint("many-", i)
		if err := send(ctx, client, topic, fmt.Sprint(i%3), []string{value}); err != nil {
			return err
		}
		if err := client.EndTransaction(ctx, i%7 != 3); err != nil {
			return err
		}
	}
	return nil
}

// transform: a member of the group takes records, sends each on, and its offsets with them.
func transform(ctx context.Context, arguments []string) error {
	id, group, from, to := arguments[0], arguments[1], arguments[2], arguments[3]
	session, err := kgo.NewGroupTransactSession(options(
		kgo.TransactionalID(id),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
	)...)
	if err != nil {
		return err
	}
	defer session.Close()
	if err := session.Begin(); err != nil {
		return err
	}
	for range steps.Number(arguments[4]) {
		fetches := session.PollRecords(ctx, 1)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			steps.Say("took", record.Offset, string(record.Value))
			value := string(record.Value) + "-on"
			if err := sendWith(ctx, session, session.Client(), to, "0", []string{value}); err != nil {
				return err
			}
		}
	}
	_, err = session.End(ctx, arguments[5] == "commit")
	return err
}

func committed(ctx context.Context, group, topic string) error {
	admin := kadm.NewClient(producer())
	defer admin.Close()
	all, err := admin.FetchOffsets(ctx, group)
	if err != nil {
		return err
	}
	found, exists := all.Lookup(topic, 0)
	if !exists {
		steps.Say("none")
		return nil
	}
	// The metadata is a member's random id.
	steps.Say("offset", found.At)
	return found.Err
}

// each record of these partitions up to the one that says it is the end.
func each(ctx context.Context, isolation, topic string, partitions int, show func(steps.Record)) error {
	level := kgo.ReadUncommitted()
	if isolation == "read_committed" {
		level = kgo.ReadCommitted()
	}
	start := map[int32]kgo.Offset{}
	for partition := range partitions {
		start[int32(partition)] = kgo.NewOffset().At(0)
	}
	client := client(
		kgo.SeedBrokers(os.Args[2]),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}),
		kgo.FetchIsolationLevel(level),
	)
	defer client.Close()
	for ended := 0; ended < partitions; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			show(steps.Record{
				Partition:   record.Partition,
				Offset:      record.Offset,
				Millisecond: record.Timestamp.UnixMilli(),
				Key:         string(record.Key),
				Value:       string(record.Value),
			})
			if string(record.Value) == "end" {
				ended++
			}
		}
	}
	return nil
}

func read(ctx context.Context, isolation, topic string, partitions int) error {
	var found []steps.Record
	err := each(ctx, isolation, topic, partitions, func(record steps.Record) { found = append(found, record) })
	steps.ShowAll(found)
	return err
}
