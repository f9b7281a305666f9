// Package records writes records as the tests do, and puts lines together again.
package records

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Header of a record; a nil value is a null.
type Header struct {
	Key   string
	Value []byte
}

// Record as a line: TIMESTAMP KEY VALUE [KEY=VALUE,...].
type Record struct {
	Timestamp  int64
	Key, Value []byte
	Headers    []Header
}

func toHex(data []byte) string {
	if data == nil {
		return "-"
	}
	return "x" + hex.EncodeToString(data)
}

// FromHex of "-" is nil.
func FromHex(text string) []byte {
	if text == "-" {
		return nil
	}
	data, err := hex.DecodeString(text[1:])
	Check(err)
	if data == nil {
		data = []byte{}
	}
	return data
}

// Parse reads a line.
func Parse(line string) (record Record) {
	parts := strings.Split(line, " ")
	var err error
	record.Timestamp, err = strconv.ParseInt(parts[0], 10, 64)
	Check(err)
	record.Key, record.Value = FromHex(parts[1]), FromHex(parts[2])
	for _, header := range strings.Split(strings.Trim(parts[3], "[]"), ",") {
		if key, value, found := strings.Cut(header, "="); found {
			record.Headers = append(record.Headers, Header{string(FromHex(key)), FromHex(value)})
		}
	}
	return record
}

// Show prints the record as a line.
func (record Record) Show() {
	var headers []string
	for _, header := range record.Headers {
		headers = append(headers, toHex([]byte(header.Key))+"="+toHex(header.Value))
	}
	fmt.Println(record.Timestamp, toHex(record.Key), toHex(record.Value), "["+strings.Join(headers, ",")+"]")
}

// Input is the lines of standard input.
func Input() (lines []string) {
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	Check(scanner.Err())
	return lines
}

// ReadLines is the lines of a file.
func ReadLines(path string) [][]byte {
	data, err := os.ReadFile(path)
	Check(err)
	lines := bytes.Split(data, []byte("\n"))
	return lines[:len(lines)-1]
}

// Lines were sent each under its number as the key.
type Lines struct {
	lines   [][]byte
	last    map[int32]int
	Missing int
}

// NewLines expects that many.
func NewLines(count int) *Lines {
	return &Lines{make([][]byte, count), map[int32]int{}, count}
}

// Add one that was read: for the first time, and in order within its partition.
func (l *Lines) Add(partition int32, key, value []byte) {
	number, err := strconv.Atoi(string(key))
	Check(err)
	if last, found := l.last[partition]; l.lines[number] != nil || found && last >= number {
		panic(fmt.Sprintf("line %d after %d, or twice", number, last))
	}
	l.last[partition] = number
	l.lines[number] = value
	l.Missing--
}

// Write them all in order.
func (l *Lines) Write(path string) {
	var out bytes.Buffer
	for _, line := range l.lines {
		out.Write(line)
		out.WriteByte('\n')
	}
	Check(os.WriteFile(path, out.Bytes(), 0o644))
}

// Check ends the program on an error.
func Check(err error) {
	if err != nil {
		panic(err)
	}
}

// Expect ends the program where it is not so.
func Expect(so bool, what string, arguments ...any) {
	if !so {
		panic("expected: " + fmt.Sprintf(what, arguments...))
	}
}
