// Command franz asks of franz-go what the tests need: franz COMMAND BOOTSTRAP ARGUMENT...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"clients/member"
	"clients/records"
)

var (
	bootstrap = os.Args[2]
	codecs    = map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	}
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	arguments := os.Args[3:]
	switch os.Args[1] {
	case "lines":
		lines(ctx, arguments[0], arguments[1], arguments[2], arguments[3])
	case "records":
		special(ctx, arguments[0])
	case "partitions":
		partitions(ctx, arguments[0])
	case "admin":
		admin(ctx, arguments[0])
	case "api_versions":
		apiVersions(ctx)
	case "group":
		group(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4])
	default:
		panic(os.Args[1])
	}
}

func client(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap))...)
	records.Check(err)
	return client
}

// read gives every record of the topic to a function, by direct assignment.
func read(ctx context.Context, topic string, each func(*kgo.Record)) {
	admin := kadm.NewClient(client())
	defer admin.Close()
	ends, err := admin.ListEndOffsets(ctx, topic)
	records.Check(err)
	records.Check(ends.Error())
	missing := int64(0)
	start := map[int32]kgo.Offset{}
	ends.Each(func(end kadm.ListedOffset) {
		missing += end.Offset
		start[end.Partition] = kgo.NewOffset().At(0)
	})
	consumer := client(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)
	defer consumer.Close()
	for missing > 0 {
		fetches := consumer.PollFetches(ctx)
		records.Check(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			missing--
			each(record)
		})
	}
}

func lines(ctx context.Context, topic, codec, path, out string) {
	sent := records.ReadLines(path)
	producer := client(
		kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codecs[codec]),
		kgo.ProducerLinger(5*time.Millisecond),
	)
	var first kgo.FirstErrPromise
	for number, line := range sent {
		record := &kgo.Record{Key: []byte(strconv.Itoa(number)), Value: line}
		producer.Produce(ctx, record, first.Promise())
	}
	records.Check(first.Err())
	producer.Close()
	found := records.NewLines(len(sent))
	read(ctx, topic, func(record *kgo.Record) { found.Add(record.Partition, record.Key, record.Value) })
	found.Write(out)
}

func special(ctx context.Context, topic string) {
	producer := client(kgo.DefaultProduceTopic(topic))
	for _, line := range records.Input() {
		parsed := records.Parse(line)
		record := &kgo.Record{Key: parsed.Key, Value: parsed.Value, Timestamp: time.UnixMilli(parsed.Timestamp)}
		for _, header := range parsed.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader(header))
		}
		records.Check(producer.ProduceSync(ctx, record).FirstErr())
	}
	producer.Close()
	read(ctx, topic, func(record *kgo.Record) {
		shown := records.Record{Timestamp: record.Timestamp.UnixMilli(), Key: record.Key, Value: record.Value}
		for _, header := range record.Headers {
			shown.Headers = append(shown.Headers, records.Header(header))
		}
		shown.Show()
	})
}

func partitions(ctx context.Context, topic string) {
	producer := client(kgo.DefaultProduceTopic(topic))
	defer producer.Close()
	for _, key := range records.Input() {
		record, err := producer.ProduceSync(ctx, &kgo.Record{Key: records.FromHex(key), Value: []byte("v")}).First()
		records.Check(err)
		fmt.Println(key, record.Partition)
	}
}

func admin(ctx context.Context, prefix string) {
	admin := kadm.NewClient(client())
	defer admin.Close()
	topic := prefix + "_a"

	metadata, err := admin.BrokerMetadata(ctx)
	records.Check(err)
	records.Expect(len(metadata.Brokers) == 1 && metadata.Cluster != "", "one broker of a cluster: %v", metadata)
	records.Expect(fmt.Sprintf("%s:%d", metadata.Brokers[0].Host, metadata.Brokers[0].Port) == bootstrap, "the broker's address")

	create := func(name string, replicas int16) error {
		created, err := admin.CreateTopic(ctx, 3, replicas, nil, name)
		records.Expect(err != nil || created.NumPartitions == 3, "3 partitions: %v", created)
		return err
	}
	fails := func(expected, found error) {
		records.Expect(errors.Is(found, expected), "%v, found %v", expected, found)
	}
	records.Check(create(topic, -1))
	fails(kerr.TopicAlreadyExists, create(topic, -1))
	fails(kerr.InvalidTopicException, create("no/slash", -1))
	fails(kerr.InvalidReplicationFactor, create(prefix, 3))

	added, err := admin.UpdatePartitions(ctx, 4, topic)
	records.Check(err)
	records.Check(added.Error())
	listed, err := admin.ListTopics(ctx)
	records.Check(err)
	records.Expect(listed.Has(topic) && len(listed[topic].Partitions) == 4, "4 partitions: %v", listed)
	records.Expect(listed[topic].ID != kadm.TopicID{}, "a topic id")

	producer := client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, timestamp := range []int64{1000, 3000, 2000} {
		record := &kgo.Record{Topic: topic, Partition: 1, Value: []byte("v"), Timestamp: time.UnixMilli(timestamp)}
		records.Check(producer.ProduceSync(ctx, record).FirstErr())
	}
	producer.Close()
	offset := func(listed kadm.ListedOffsets, err error) int64 {
		records.Check(err)
		records.Check(listed.Error())
		found, _ := listed.Lookup(topic, 1)
		return found.Offset
	}
	records.Expect(offset(admin.ListStartOffsets(ctx, topic)) == 0, "the start")
	records.Expect(offset(admin.ListEndOffsets(ctx, topic)) == 3, "the end")
	records.Expect(offset(admin.ListCommittedOffsets(ctx, topic)) == 3, "the last stable offset")
	records.Expect(offset(admin.ListMaxTimestampOffsets(ctx, topic)) == 1, "the maximum")
	records.Expect(offset(admin.ListOffsetsAfterMilli(ctx, 1001, topic)) == 1, "after 1001")

	_, err = admin.DeleteTopic(ctx, topic)
	records.Check(err)
	_, err = admin.DeleteTopic(ctx, topic)
	fails(kerr.UnknownTopicOrPartition, err)
	// Another client, since this one keeps what it has heard for a while.
	other := kadm.NewClient(client())
	defer other.Close()
	listed, err = other.ListTopics(ctx)
	records.Check(err)
	records.Expect(!listed.Has(topic), "the topic is gone")
}

type log struct {
	sync.Mutex
	lines []string
}

func (*log) Level() kgo.LogLevel { return kgo.LogLevelDebug }

func (l *log) Log(_ kgo.LogLevel, message string, pairs ...any) {
	l.Lock()
	defer l.Unlock()
	l.lines = append(l.lines, message+" "+fmt.Sprintln(pairs...))
}

// apiVersions shows which versions of ApiVersions the client has asked for until it got an
// answer, on how many connections.
func apiVersions(ctx context.Context) {
	var log log
	client := client(kgo.WithLogger(&log))
	records.Check(client.Ping(ctx))
	client.Close()
	log.Lock()
	defer log.Unlock()
	connections := 0
	var asked []string
	for _, line := range log.lines {
		if strings.HasPrefix(line, "opening connection") {
			connections++
		}
		if strings.HasPrefix(line, "wrote ApiVersions") {
			asked = append(asked, strings.Fields(line)[2])
		}
	}
	if len(asked) == 0 {
		panic(strings.Join(log.lines, ""))
	}
	fmt.Println(connections, strings.Join(asked, " "))
}

// group is one member of a group, until standard input ends.
func group(topic, group, assignor, session, heartbeat string) {
	processed := map[int32]*kgo.Record{}
	commit := func(ctx context.Context, client *kgo.Client) {
		var last []*kgo.Record
		for _, record := range processed {
			last = append(last, record)
		}
		if len(last) == 0 {
			return
		}
		if err := client.CommitRecords(ctx, last...); err != nil {
			fmt.Fprintln(os.Stderr, "not committed:", err)
			return
		}
		for _, record := range last {
			member.Offset("committed", record.Partition, record.Offset+1)
			delete(processed, record.Partition)
		}
	}
	options := []kgo.Opt{
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(member.Milliseconds(session)),
		kgo.HeartbeatInterval(member.Milliseconds(heartbeat)),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
			member.Partitions("assigned", assigned[topic]...)
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, revoked map[string][]int32) {
			commit(ctx, client)
			clear(processed)
			member.Partitions("revoked", revoked[topic]...)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
			clear(processed)
			member.Partitions("lost", lost[topic]...)
		}),
	}
	switch assignor {
	case "consumer":
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	case "range":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative-sticky":
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	default:
		panic(assignor)
	}
	client := client(options...)
	ctx := member.UntilInputEnds()
	committed := time.Now()
	for ctx.Err() == nil {
		polling, done := context.WithTimeout(ctx, member.CommitInterval)
		fetches := client.PollFetches(polling)
		done()
		fetches.EachError(func(_ string, partition int32, err error) {
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				fmt.Fprintln(os.Stderr, "partition", partition, err)
			}
		})
		fetches.EachRecord(func(record *kgo.Record) {
			member.Offset("record", record.Partition, record.Offset)
			processed[record.Partition] = record
		})
		if time.Since(committed) > member.CommitInterval {
			commit(context.Background(), client)
			committed = time.Now()
		}
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
}
