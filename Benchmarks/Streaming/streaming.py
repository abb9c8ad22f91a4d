#!/usr/bin/env python3
"""How fast and in how little memory large checkpoints are compressed and loaded.

    python3 Benchmarks/Streaming/streaming.py .build/release/furl --folder /path/with/room \
        --model starcoder2-3b [--blocks 10] [--shards 2] [--llama-quantize PATH] [--rounds 5] [--threads 2]

Makes a checkpoint of the shape with `furl synth`, compresses it to int4 in both storages and loads the artifacts.
With --shards the same weights are compressed once more, from so many files.
With --llama-quantize it exports the same weights as an F32 GGUF and lets llama.cpp make Q4_0 of it, in turns with
furl, with the same number of threads. "Known source" means that the checkpoint was
compressed before, so that its digests are remembered. Every figure is a whole process: wall time, peak resident size (mapped
pages included). Prints Markdown. What it made is deleted at the end unless --keep is given.
"""
import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import time


def run(command, steady):
    """Wall seconds, CPU seconds and peak resident bytes of a command."""
    before = time.perf_counter()
    process = subprocess.Popen([*steady, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - before
    if status != 0:
        sys.exit(f"{' '.join(command)}: status {status}\n{errors.decode(errors='replace')[-2000:]}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def size(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))


def read_rate(path):
    """Bytes a second of plainly reading a file (or a folder's files), a second time, in pieces of 1 MiB."""
    names = [path] if os.path.isfile(path) else [os.path.join(path, n) for n in sorted(os.listdir(path))]
    buffer = bytearray(1 << 20)
    rates = []
    for _ in range(2):
        start, total = time.perf_counter(), 0
        for name in names:
            with open(name, "rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    total += count
        rates.append(total / (time.perf_counter() - start))
    return rates


def split(source, target, count):
    """A checkpoint of one safetensors file as one of several, of about the same size."""
    with open(f"{source}/model.safetensors", "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        tensors = sorted(header.items(), key=lambda item: item[1]["data_offsets"][0])
        total = tensors[-1][1]["data_offsets"][1]
        parts = [[] for _ in range(count)]
        for name, entry in tensors:
            parts[min(count - 1, sum(entry["data_offsets"]) // 2 * count // total)].append((name, entry))
        os.makedirs(target)
        places = {}
        for number, part in enumerate(parts, 1):
            name = f"model-{number:05d}-of-{count:05d}.safetensors"
            begin, end = part[0][1]["data_offsets"][0], part[-1][1]["data_offsets"][1]
            moved = {key: {**entry, "data_offsets": [at - begin for at in entry["data_offsets"]]} for key, entry in part}
            text = json.dumps(moved).encode()
            text += b" " * (-len(text) % 8)
            with open(f"{target}/{name}", "wb") as shard:
                shard.write(struct.pack("<Q", len(text)) + text)
                file.seek(8 + length + begin)
                while begin < end:
                    piece = file.read(min(end - begin, 1 << 24))
                    shard.write(piece)
                    begin += len(piece)
            places.update({key: name for key, _ in part})
    with open(f"{target}/model.safetensors.index.json", "w") as index:
        json.dump({"metadata": {"total_size": total}, "weight_map": places}, index)
    for name in os.listdir(source):
        if name != "model.safetensors":
            shutil.copy(f"{source}/{name}", target)


def medians(samples):
    return [statistics.median(column) for column in zip(*samples)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("furl")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--model", default="starcoder2-3b")
    parser.add_argument("--blocks")
    parser.add_argument("--shards", type=int)
    parser.add_argument("--recipe", default="recipes/starcoder2-int4.yaml")
    parser.add_argument("--llama-quantize")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    steady = []
    if subprocess.run(["chrt", "-f", "5", "true"], capture_output=True).returncode == 0:
        steady = ["chrt", "-f", "5"]
    os.makedirs(options.folder, exist_ok=True)
    checkpoint = f"{options.folder}/{options.model}" + (f"-{options.blocks}" if options.blocks else "")
    made = []
    if not os.path.exists(checkpoint):
        command = [options.furl, "synth", "--model", options.model, "--output", checkpoint]
        seconds, _, peak = run(command + (["--blocks", options.blocks] if options.blocks else []), [])
        print(f"synth: {size(checkpoint) / 1e9:.2f} GB in {seconds:.1f} s, peak {peak / 1e6:.0f} MB\n", flush=True)
        made.append(checkpoint)
    source = size(checkpoint)
    first, second = read_rate(checkpoint)
    print(f"Reading {source / 1e9:.2f} GB plainly: {first / 1e9:.2f} GB/s, again {second / 1e9:.2f} GB/s.\n", flush=True)

    inputs = {"": checkpoint}
    if options.shards:
        shards = f"{checkpoint}-{options.shards}-shards"
        if not os.path.exists(shards):
            split(checkpoint, shards, options.shards)
            made.append(shards)
        inputs[f", {options.shards} shards"] = shards
    jobs = {}
    for storage in ("compact", "mapped"):
        text = open(options.recipe).read()
        path = f"{options.folder}/{storage}.yaml"
        lines = [line for line in text.splitlines() if not line.startswith("storage:")]
        open(path, "w").write("\n".join(lines) + f"\nstorage: {storage}\n")
        for label, folder in inputs.items():
            command = [options.furl, "compress", folder, "--recipe", path, "--output",
                       f"{options.folder}/{storage}.furl", "--threads", options.threads]
            jobs[f"furl, {storage}{label}"] = (command + ["--rehash"], source, command[-3])
            jobs[f"furl, {storage}{label}, known source"] = (command, source, command[-3])
    if options.llama_quantize:
        gguf = f"{options.folder}/f32.gguf"
        if not os.path.exists(gguf):
            run([options.furl, "export", checkpoint, "--format", "gguf", "--dtype", "f32", "--output", gguf], [])
            made.append(gguf)
        jobs["llama-quantize Q4_0"] = (
            [options.llama_quantize, gguf, f"{options.folder}/q4_0.gguf", "Q4_0", options.threads], size(gguf),
            f"{options.folder}/q4_0.gguf")
        jobs["llama-quantize Q4_0 --pure"] = (
            [options.llama_quantize, "--pure", gguf, f"{options.folder}/q4_0-pure.gguf", "Q4_0", options.threads],
            size(gguf), f"{options.folder}/q4_0-pure.gguf")

    # Digests are remembered of files that have lain unchanged for a minute.
    os.environ["FURL_CACHE"] = f"{options.folder}/cache"
    newest = max(os.path.getctime(os.path.join(folder, name)) for folder in inputs.values() for name in os.listdir(folder))
    time.sleep(max(0, newest + 61 - time.time()))
    samples = {name: [] for name in jobs}
    for _ in range(options.rounds):
        for name, (command, _, output) in jobs.items():
            if os.path.exists(output):
                os.remove(output)
            os.sync()  # what one job left to be written must not slow down the next one
            samples[name].append(run(command, steady))
    print("| compress | wall | CPU | input GB/s | peak resident | output |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (_, bytes_in, output) in jobs.items():
        wall, cpu, _ = medians(samples[name])
        peak = max(sample[2] for sample in samples[name])
        print(f"| {name} | {wall:.2f} s | {cpu:.2f} s | {bytes_in / wall / 1e9:.2f} | {peak / 1e6:.0f} MB "
              f"| {size(output) / 1e6:.0f} MB |")
    print("\nRuns, seconds: " + "; ".join(
        f"{name}: {', '.join(f'{s[0]:.2f}' for s in runs)}" for name, runs in samples.items()) + "\n")

    print("| load to the first token | wall | CPU | peak resident |\n| --- | ---: | ---: | ---: |")
    for storage in ("mapped", "compact"):
        command = [options.furl, "logits", f"{options.folder}/{storage}.furl", "--ids", "1", "--threads", options.threads]
        runs = [run(command, steady) for _ in range(max(3, options.rounds))]
        wall, cpu, _ = medians(runs)
        print(f"| {storage} | {wall:.2f} s | {cpu:.2f} s | {max(r[2] for r in runs) / 1e6:.0f} MB |", flush=True)
    if not options.keep:
        made.append(os.environ["FURL_CACHE"])
        for path in made + [output for _, _, output in jobs.values()] + [
            f"{options.folder}/{storage}.yaml" for storage in ("compact", "mapped")]:
            shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)


main()
