// Command commit_rate prints how many transactions a second all producers together commit, with
// so many records of 100 bytes in each:
// commit_rate BOOTSTRAP TOPIC PARTITIONS PRODUCERS RECORDS WARM_UP_MS TIME_MS
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"clients/steps"
)

var (
	count   atomic.Int64
	stopped atomic.Bool
)

func main() {
	bootstrap, topic := os.Args[1], os.Args[2]
	partitions, producers, records := number(3), number(4), number(5)
	var all sync.WaitGroup
	for i := range producers {
		all.Go(func() {
			id := fmt.Sprint(topic, "-", i)
			if err := commit(bootstrap, topic, id, int32(partitions), records); err != nil {
				log.Fatal(id, ": ", err)
			}
		})
	}
	// A busy machine takes its time to get so far.
	for until := time.Now().Add(steps.Timeout); count.Load() == 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(number(6)) * time.Millisecond)
	before, started := count.Load(), time.Now()
	time.Sleep(time.Duration(number(7)) * time.Millisecond)
	rate := float64(count.Load()-before) / time.Since(started).Seconds()
	stopped.Store(true)
	all.Wait()
	fmt.Println(rate)
}

func number(argument int) int {
	return steps.Number(os.Args[argument])
}

func commit(bootstrap, topic, id string, partitions int32, records int) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.TransactionalID(id),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, value := context.Background(), make([]byte, 100)
	var next int32
	for !stopped.Load() {
		if err := client.BeginTransaction(); err != nil {
			return err
		}
		// The first record that fails ends the transaction, and says why.
		var failed kgo.FirstErrPromise
		for range records {
			record := &kgo.Record{Topic: topic, Partition: next % partitions, Value: value}
			client.Produce(ctx, record, failed.Promise())
			next++
		}
		if err := client.Flush(ctx); err != nil {
			return err
		}
		if err := failed.Err(); err != nil {
			return err
		}
		if err := client.EndTransaction(ctx, kgo.TryCommit); err != nil {
			return err
		}
		count.Add(1)
	}
	return nil
}
