// Command pipelined runs producers of franz-go that keep five requests under way:
// pipelined BOOTSTRAP TOPIC PRODUCERS RECORDS TRANSACTION. Each sends its numbers to the
// partitions in turn; with TRANSACTION above 0 so many are a transaction.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"clients/records"
)

const partitions = 4

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var numbers [3]int
	for i, argument := range os.Args[3:6] {
		number, err := strconv.Atoi(argument)
		records.Check(err)
		numbers[i] = number
	}
	var producers sync.WaitGroup
	for number := range numbers[0] {
		producers.Go(func() { produce(ctx, number, numbers[1], numbers[2]) })
	}
	producers.Wait()
}

func produce(ctx context.Context, number, count, transaction int) {
	options := []kgo.Opt{
		kgo.SeedBrokers(os.Args[1]),
		kgo.DefaultProduceTopic(os.Args[2]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(1024),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelWarn, nil)),
	}
	if transaction > 0 {
		options = append(options, kgo.TransactionalID(fmt.Sprintf("%s-%d", os.Args[2], number)))
	}
	client, err := kgo.NewClient(options...)
	records.Check(err)
	defer client.Close()
	var first kgo.FirstErrPromise
	for i := range count {
		if transaction > 0 && i%transaction == 0 {
			records.Check(client.BeginTransaction())
		}
		value := fmt.Sprintf("%d %d %s", number, i, strings.Repeat("x", 80))
		record := &kgo.Record{Partition: int32(i % partitions), Value: []byte(value)}
		client.Produce(ctx, record, first.Promise())
		if transaction > 0 && (i+1)%transaction == 0 {
			records.Check(client.Flush(ctx))
			records.Check(first.Err())
			first = kgo.FirstErrPromise{}
			records.Check(client.EndTransaction(ctx, kgo.TryCommit))
		}
	}
	records.Check(client.Flush(ctx))
	records.Check(first.Err())
}
