// Package member prints what happens to a member of a group, a line for each event.
package member

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// CommitInterval is how often a member commits what it has processed.
const CommitInterval = 200 * time.Millisecond

// UntilInputEnds is done when standard input ends: then the member leaves.
func UntilInputEnds() context.Context {
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		leave()
	}()
	return ctx
}

// Partitions prints what happened to them.
func Partitions(what string, partitions ...int32) {
	var numbers []string
	for _, partition := range partitions {
		numbers = append(numbers, strconv.Itoa(int(partition)))
	}
	fmt.Println(what, strings.Join(numbers, ","))
}

// Offset prints that a record was processed or an offset committed.
func Offset(what string, partition int32, offset int64) {
	fmt.Println(what, partition, offset)
}

// Milliseconds of an argument.
func Milliseconds(text string) time.Duration {
	number, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return time.Duration(number) * time.Millisecond
}
