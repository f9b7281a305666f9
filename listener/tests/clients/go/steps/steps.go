// Package steps reads what a test wants done from standard input, and answers.
package steps

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"
)

var (
	// Timestamp of all records.
	Timestamp = time.UnixMilli(1_700_000_000_000)
	// Timeout of what a step waits for.
	Timeout = 30 * time.Second
)

// Say a line of the answer to the current step.
func Say(words ...any) {
	fmt.Println(append([]any{"|"}, words...)...)
}

// Take each line's words; an error ends no more than the step.
func Take(step func(name string, arguments []string) error) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if err := step(words[0], words[1:]); err != nil {
			Say("error", err)
		}
		fmt.Println("|.")
	}
}

// Number of that text.
func Number(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return number
}

// Record that was read.
type Record struct {
	Partition   int32
	Offset      int64
	Millisecond int64
	Key, Value  string
}

// Show it.
func (record Record) Show() {
	Say(record.Partition, record.Offset, record.Millisecond, record.Key, record.Value)
}

// ShowAll sorts by partition and keeps the order of arrival within each.
func ShowAll(records []Record) {
	sort.SliceStable(records, func(i, j int) bool { return records[i].Partition < records[j].Partition })
	for _, record := range records {
		record.Show()
	}
}
