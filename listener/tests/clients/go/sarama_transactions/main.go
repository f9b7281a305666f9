// Command sarama_transactions takes the steps of standard input with sarama:
// sarama_transactions steps BOOTSTRAP
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"clients/steps"
)

var (
	bootstrap = []string{os.Args[2]}
	producers = map[string]sarama.SyncProducer{}
	// plain sends records outside of transactions.
	plain = sync.OnceValues(func() (sarama.SyncProducer, error) {
		return sarama.NewSyncProducer(bootstrap, config())
	})
)

func main() {
	steps.Take(step)
}

func step(name string, arguments []string) error {
	switch name {
	case "producer":
		return newProducer(arguments[0], arguments[1], arguments[2])
	case "begin":
		return producers[arguments[0]].BeginTxn()
	case "send":
		return send(producers[arguments[0]], arguments[1], arguments[2], arguments[3:])
	case "commit":
		return producers[arguments[0]].CommitTxn()
	case "abort":
		return producers[arguments[0]].AbortTxn()
	case "close":
		return producers[arguments[0]].Close()
	case "plain":
		producer, err := plain()
		if err != nil {
			return err
		}
		return send(producer, arguments[0], arguments[1], arguments[2:])
	case "many":
		return many(producers[arguments[0]], steps.Number(arguments[1]), arguments[2])
	case "transform":
		return transform(arguments)
	case "committed":
		return committed(arguments[0], arguments[1])
	case "read":
		return read(arguments[0], arguments[1], steps.Number(arguments[2]))
	case "tail":
		return each(arguments[0], arguments[1], 0, steps.Record.Show)
	default:
		panic(name)
	}
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Idempotent = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Transaction.Retry.Backoff = 10 * time.Millisecond
	config.Net.MaxOpenRequests = 1
	config.Consumer.MaxWaitTime = 50 * time.Millisecond
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	return config
}

func transactional(id string, timeout time.Duration) (sarama.SyncProducer, error) {
	config := config()
	config.Producer.Transaction.ID = id
	config.Producer.Transaction.Timeout = timeout
	return sarama.NewSyncProducer(bootstrap, config)
}

func newProducer(name, id, timeout string) (err error) {
	producers[name], err = transactional(id, time.Duration(steps.Number(timeout))*time.Millisecond)
	return err
}

// send one after the other: it has no flush, and cuts its batches by time.
func send(producer sarama.SyncProducer, topic, partition string, values []string) error {
	for _, value := range values {
		_, offset, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic:     topic,
			Partition: int32(steps.Number(partition)),
			Timestamp: steps.Timestamp,
			Key:       sarama.StringEncoder("key"),
			Value:     sarama.StringEncoder(value),
		})
		if err != nil {
			return err
		}
		steps.Say("offset", offset)
	}
	return nil
}

func end(producer sarama.SyncProducer, commit bool) error {
	if commit {
		return producer.CommitTxn()
	}
	return producer.AbortTxn()
}

func many(producer sarama.SyncProducer, count int, topic string) error {
	for i := range count {
		if err := producer.BeginTxn(); err != nil {
			return err
		}
		value := fmt.Sprint("many-", i)
		if err := send(producer, topic, fmt.Sprint(i%3), []string{value}); err != nil {
			return err
		}
		if err := end(producer, i%7 != 3); err != nil {
			return err
		}
	}
	return nil
}

// transform: a member of the group takes records, sends each on, and its offsets with them.
func transform(arguments []string) error {
	producer, err := transactional(arguments[0], time.Minute)
	if err != nil {
		return err
	}
	defer producer.Close()
	group, err := sarama.NewConsumerGroup(bootstrap, arguments[1], config())
	if err != nil {
		return err
	}
	member := &member{producer, arguments[1], arguments[3], steps.Number(arguments[4]), arguments[5] == "commit", nil}
	err = group.Consume(context.Background(), []string{arguments[2]}, member)
	return errors.Join(err, member.err, group.Close())
}

type member struct {
	producer sarama.SyncProducer
	group    string
	to       string
	count    int
	commit   bool
	err      error
}

func (*member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (member *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	member.err = member.transform(session, claim)
	return nil
}

func (member *member) transform(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	if err := member.producer.BeginTxn(); err != nil {
		return err
	}
	var last *sarama.ConsumerMessage
	for range member.count {
		message, open := <-claim.Messages()
		if !open {
			return errors.New("the claim is over")
		}
		last = message
		steps.Say("took", last.Offset, string(last.Value))
		value := string(last.Value) + "-on"
		if err := send(member.producer, member.to, "0", []string{value}); err != nil {
			return err
		}
	}
	metadata := sarama.NewConsumerGroupMetadataFromSession(session, member.group, nil)
	if err := member.producer.AddMessageToTxnWithGroupMetadata(last, metadata, nil); err != nil {
		return err
	}
	return end(member.producer, member.commit)
}

func committed(group, topic string) error {
	admin, err := sarama.NewClusterAdmin(bootstrap, config())
	if err != nil {
		return err
	}
	defer admin.Close()
	all, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	if err != nil {
		return err
	}
	found := all.GetBlock(topic, 0)
	if found == nil || found.Offset < 0 {
		steps.Say("none")
		return nil
	}
	steps.Say("offset", found.Offset, fmt.Sprintf("'%s'", found.Metadata))
	return nil
}

// each record of a partition up to the one that says it is the end.
func each(isolation, topic string, partition int32, show func(steps.Record)) error {
	config := config()
	if isolation == "read_uncommitted" {
		config.Consumer.IsolationLevel = sarama.ReadUncommitted
	}
	consumer, err := sarama.NewConsumer(bootstrap, config)
	if err != nil {
		return err
	}
	defer consumer.Close()
	records, err := consumer.ConsumePartition(topic, partition, 0)
	if err != nil {
		return err
	}
	defer records.Close()
	for {
		select {
		case message := <-records.Messages():
			show(steps.Record{
				Partition:   message.Partition,
				Offset:      message.Offset,
				Millisecond: message.Timestamp.UnixMilli(),
				Key:         string(message.Key),
				Value:       string(message.Value),
			})
			if string(message.Value) == "end" {
				return nil
			}
		case <-time.After(steps.Timeout):
			return errors.New("no message")
		}
	}
}

func read(isolation, topic string, partitions int) error {
	var found []steps.Record
	for partition := range partitions {
		err := each(isolation, topic, int32(partition), func(record steps.Record) { found = append(found, record) })
		if err != nil {
			return err
		}
	}
	steps.ShowAll(found)
	return nil
}
