#!/usr/bin/env python3
"""Runs a `mapped` artifact that is larger than the memory that it may have, and says what that costs a token.

    larger_than_memory.py ARTIFACT --furl .build/release/furl --limit 1.5GB [--tokens 24 88] [--threads 2]

The program runs in a memory control group of its own (Linux, version 1 or 2; needs root), whose limit counts the pages of the
file, too: what does not fit is read again from the disk when it is needed. The file's pages are dropped before each run. Two
runs of different lengths tell what a token takes from what loading takes: seconds, bytes read (`read_bytes` of /proc/PID/io),
major faults, and the group's largest use.
"""

import argparse
import os
import pathlib
import subprocess
import time

ROOT = pathlib.Path("/sys/fs/cgroup")


def size(text):
    for unit, factor in (("KB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if text.upper().endswith(unit):
            return int(float(text[:-2]) * factor)
    return int(text)


class Group:
    """A memory control group that is gone afterwards."""

    def __init__(self, limit):
        self.limit = limit
        first = (ROOT / "memory").is_dir()
        self.folder = (ROOT / "memory" if first else ROOT) / f"furl-benchmark-{os.getpid()}"
        self.maximum, self.peak = (
            ("memory.limit_in_bytes", "memory.max_usage_in_bytes") if first else ("memory.max", "memory.peak"))

    def __enter__(self):
        self.folder.mkdir()
        (self.folder / self.maximum).write_text(str(self.limit))
        return self

    def join(self):
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def __exit__(self, *_):
        self.folder.rmdir()


def drop(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(options, tokens, limit):
    """Seconds, bytes read, major faults and the largest use of a run."""
    drop(options.artifact)
    command = [options.furl, "run", options.artifact, "--prompt", options.prompt, "--max-tokens", tokens, "--temperature",
               1, "--seed", 1, "--threads", options.threads]
    with Group(limit) as group:
        start = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=group.join)
        read = 0
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.01)
        # What has ended and was not waited for still says what it has read.
        for line in pathlib.Path(f"/proc/{process.pid}/io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                read = int(line.split()[1])
        seconds = time.monotonic() - start
        problem = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"furl ended with {status}: {problem[-300:]}")
        return seconds, read, usage.ru_majflt, int((group.folder / group.peak).read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=pathlib.Path)
    parser.add_argument("--furl", default=".build/release/furl")
    parser.add_argument("--limit", type=size, nargs="+", required=True)
    parser.add_argument("--tokens", type=int, nargs=2, default=[24, 88])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", default="def")
    options = parser.parse_args()
    print(f"{options.artifact}: {options.artifact.stat().st_size / 1e9:.2f} GB")
    print("| limit, GB | tokens/s | MB read a token | major faults a token | MB read before | largest use, GB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for limit in options.limit:
        few, many = (run(options, tokens, limit) for tokens in options.tokens)
        count = options.tokens[1] - options.tokens[0]
        seconds, read, faults = (b - a for a, b in zip(few[:3], many[:3]))
        before = few[1] - read / count * options.tokens[0]
        print(f"| {limit / 1e9:.2f} | {count / seconds:.2f} | {read / count / 1e6:.1f} | {faults / count:.0f} | "
              f"{before / 1e6:.0f} | {many[3] / 1e9:.2f} |", flush=True)


if __name__ == "__main__":
    main()
