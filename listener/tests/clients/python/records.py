"""Records as the tests write them, and what is asserted of lines read back."""

import sys
import threading
import time


def to_hex(data):
    return "-" if data is None else "x" + data.hex()


def from_hex(text):
    return None if text == "-" else bytes.fromhex(text[1:])


def parse(line):
    """(timestamp, key, value, headers) of "TIMESTAMP KEY VALUE [KEY=VALUE,...]"."""
    timestamp, key, value, headers = line.split(" ")
    pairs = [header.split("=") for header in headers[1:-1].split(",") if header]
    headers = [(from_hex(name).decode(), from_hex(data)) for name, data in pairs]
    return int(timestamp), from_hex(key), from_hex(value), headers


def show(timestamp, key, value, headers):
    headers = ",".join(f"{to_hex(name.encode())}={to_hex(data)}" for name, data in headers or [])
    print(timestamp, to_hex(key), to_hex(value), f"[{headers}]")


def stdin_lines():
    return sys.stdin.read().splitlines()


def read_lines(path):
    with open(path, "rb") as file:
        return file.read().split(b"\n")[:-1]


class Lines:
    """Puts lines together again that were sent under their number as the key."""

    def __init__(self, count):
        self.lines = [None] * count
        self.last = {}
        self.missing = count

    def add(self, partition, offset, key, value):
        number = int(key)
        assert self.lines[number] is None, f"line {number} comes twice"
        before = self.last.get(partition, (-1, -1))
        assert before < (offset, number) and before[1] < number, f"line {number} after {before}"
        self.last[partition] = (offset, number)
        self.lines[number] = value
        self.missing -= 1

    def write(self, path):
        with open(path, "wb") as file:
            file.writelines(line + b"\n" for line in self.lines)


def expect_error(what, name, action):
    """The error's text must contain the name."""
    try:
        result = action()
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        assert name in text, f"{what}: expected {name}, found {text}"
        return
    raise AssertionError(f"{what}: expected {name}, found {result}")


class Member:
    """Prints what happens to a member of a group, and knows what it has yet to commit."""

    COMMIT_INTERVAL = 0.2

    def __init__(self):
        self.processed = {}
        self.committed_at = time.monotonic()
        self.leaving = threading.Event()
        # It leaves when standard input ends.
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self):
        sys.stdin.read()
        self.leaving.set()

    def partitions(self, what, partitions):
        print(what, ",".join(str(partition) for partition in partitions), flush=True)

    def record(self, partition, offset):
        print("record", partition, offset, flush=True)
        self.processed[partition] = offset + 1

    def due(self):
        return self.processed and time.monotonic() - self.committed_at > self.COMMIT_INTERVAL

    def committed(self, offsets):
        for partition, offset in offsets.items():
            print("committed", partition, offset, flush=True)
            if self.processed.get(partition) == offset:
                del self.processed[partition]
        self.committed_at = time.monotonic()

    def forget(self, partitions):
        for partition in partitions:
            self.processed.pop(partition, None)
