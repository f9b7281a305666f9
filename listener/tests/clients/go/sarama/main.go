// Command sarama asks of sarama what the tests need: sarama COMMAND BOOTSTRAP ARGUMENT...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"clients/member"
	"clients/records"
)

var bootstrap = []string{os.Args[2]}

func main() {
	arguments := os.Args[3:]
	switch os.Args[1] {
	case "lines":
		lines(arguments[0], arguments[1], arguments[2], arguments[3])
	case "records":
		special(arguments[0])
	case "admin":
		admin(arguments[0])
	case "group":
		group(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4])
	default:
		panic(os.Args[1])
	}
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	return config
}

func read(topic string, each func(*sarama.ConsumerMessage)) {
	client, err := sarama.NewClient(bootstrap, config())
	records.Check(err)
	consumer, err := sarama.NewConsumerFromClient(client)
	records.Check(err)
	partitions, err := consumer.Partitions(topic)
	records.Check(err)
	for _, partition := range partitions {
		end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
		records.Check(err)
		if end == 0 {
			continue
		}
		messages, err := consumer.ConsumePartition(topic, partition, 0)
		records.Check(err)
		for expected := int64(0); expected < end; expected++ {
			select {
			case message := <-messages.Messages():
				records.Expect(message.Offset == expected, "offset %d, found %d", expected, message.Offset)
				each(message)
			case <-time.After(30 * time.Second):
				panic("no message for 30 seconds")
			}
		}
		records.Check(messages.Close())
	}
	records.Check(consumer.Close())
	records.Check(client.Close())
}

func lines(topic, codec, path, out string) {
	sent := records.ReadLines(path)
	config := config()
	records.Check(config.Producer.Compression.UnmarshalText([]byte(codec)))
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	producer, err := sarama.NewAsyncProducer(bootstrap, config)
	records.Check(err)
	go func() {
		for number, line := range sent {
			producer.Input() <- &sarama.ProducerMessage{
				Topic: topic,
				Key:   sarama.StringEncoder(strconv.Itoa(number)),
				Value: sarama.ByteEncoder(line),
			}
		}
	}()
	for range sent {
		select {
		case <-producer.Successes():
		case err := <-producer.Errors():
			panic(err)
		}
	}
	records.Check(producer.Close())
	found := records.NewLines(len(sent))
	read(topic, func(message *sarama.ConsumerMessage) { found.Add(message.Partition, message.Key, message.Value) })
	found.Write(out)
}

// nullable keeps a null apart from no bytes.
func nullable(data []byte) sarama.Encoder {
	if data == nil {
		return nil
	}
	return sarama.ByteEncoder(data)
}

func special(topic string) {
	producer, err := sarama.NewSyncProducer(bootstrap, config())
	records.Check(err)
	for _, line := range records.Input() {
		record := records.Parse(line)
		message := &sarama.ProducerMessage{
			Topic:     topic,
			Key:       nullable(record.Key),
			Value:     nullable(record.Value),
			Timestamp: time.UnixMilli(record.Timestamp),
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value})
		}
		_, _, err := producer.SendMessage(message)
		records.Check(err)
	}
	records.Check(producer.Close())
	read(topic, func(message *sarama.ConsumerMessage) {
		shown := records.Record{Timestamp: message.Timestamp.UnixMilli(), Key: message.Key, Value: message.Value}
		for _, header := range message.Headers {
			shown.Headers = append(shown.Headers, records.Header{Key: string(header.Key), Value: header.Value})
		}
		shown.Show()
	})
}

func admin(prefix string) {
	topic := prefix + "_a"
	admin, err := sarama.NewClusterAdmin(bootstrap, config())
	records.Check(err)
	records.Check(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false))
	err = admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false)
	records.Expect(err != nil, "no second topic of the name")
	records.Check(admin.CreatePartitions(topic, 4, nil, false))
	described, err := admin.DescribeTopics([]string{topic})
	records.Check(err)
	records.Expect(len(described[0].Partitions) == 4, "4 partitions, found %v", described[0])
	records.Check(admin.DeleteTopic(topic))
	described, err = admin.DescribeTopics([]string{topic})
	records.Check(err)
	records.Expect(described[0].Err == sarama.ErrUnknownTopicOrPartition, "the topic is gone: %v", described[0].Err)
	brokers, _, err := admin.DescribeCluster()
	records.Check(err)
	records.Expect(len(brokers) == 1 && brokers[0].Addr() == bootstrap[0], "one broker: %v", brokers)
	records.Check(admin.Close())
	fmt.Println("done")
}

// claims are told one by one, which is the same in eager and cooperative groups.
type claims struct{}

func (claims) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (claims) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (claims) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	member.Partitions("assigned", claim.Partition())
	tick := time.NewTicker(member.CommitInterval)
	defer tick.Stop()
	for {
		select {
		case message, more := <-claim.Messages():
			if !more {
				session.Commit()
				member.Partitions("revoked", claim.Partition())
				return nil
			}
			member.Offset("record", message.Partition, message.Offset)
			session.MarkMessage(message, "")
		case <-tick.C:
			session.Commit()
		}
	}
}

// group is one member of a group, until standard input ends. It cannot tell what was
// committed: sarama's Commit returns nothing.
func group(topic, name, assignor, session, heartbeat string) {
	strategies := map[string]sarama.BalanceStrategy{
		"range":              sarama.NewBalanceStrategyRange(),
		"sticky":             sarama.NewBalanceStrategySticky(),
		"cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky(),
	}
	config := config()
	config.Consumer.Group.Session.Timeout = member.Milliseconds(session)
	config.Consumer.Group.Heartbeat.Interval = member.Milliseconds(heartbeat)
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[assignor]}
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Return.Errors = true
	group, err := sarama.NewConsumerGroup(bootstrap, name, config)
	records.Check(err)
	go func() {
		for err := range group.Errors() {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	ctx := member.UntilInputEnds()
	for ctx.Err() == nil {
		err := group.Consume(ctx, []string{topic}, claims{})
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	records.Check(group.Close())
}
