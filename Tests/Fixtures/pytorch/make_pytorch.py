"""Writes the PyTorch files that the tests read, and what PyTorch itself says is in them (expected.json).

    python make_pytorch.py        # in this folder; needs torch (made with 2.13) and numpy

Files in hostile/ are what a reader has to refuse; most of them are made with pickle and zipfile alone, and none of
them is ever loaded here.
"""

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy
import torch

torch.manual_seed(7)


def values(count, *shape):
    return torch.randn(count).reshape(shape or (count,))


def everything():
    """Tensors as they turn up in state dicts, several of them in one storage."""
    base = values(24, 4, 6)
    shared = values(20)
    tied = values(12, 3, 4)
    return OrderedDict(
        [
            ("plain", base),
            ("transposed", values(15, 3, 5).t()),
            ("permuted", values(24, 2, 3, 4).permute(2, 0, 1)),
            ("view", shared[4:10].reshape(2, 3)),
            ("other_view", shared[8:]),
            ("every_second", shared[1::2]),
            ("columns", base[:, 1:4]),
            ("every_third_column", base[:, ::3]),
            ("one_column", base[:, 2:3]),
            ("one_row", base[3:4]),
            ("expanded_one", values(1).expand(1, 1)),
            ("tied", tied),
            ("tied_again", tied),
            ("half", values(6, 2, 3).half()),
            ("half_transposed", values(6, 2, 3).half().t()),
            ("bfloat", values(5).bfloat16()),
            ("scalar", torch.tensor(2.5)),
            ("empty", torch.zeros(0, 3)),
            ("long", torch.arange(3)),
            ("mask", torch.tensor([True, False, True])),
            ("double", torch.tensor([1.5], dtype=torch.float64)),
            ("parameter", torch.nn.Parameter(values(4))),
        ]
    )


def described(state):
    """Names, shapes, types and numbers (FP32 where the type is one of weights)."""
    tensors = {}
    for name, tensor in state.items():
        tensors[name] = {"shape": list(tensor.shape), "type": str(tensor.dtype).removeprefix("torch.")}
        if tensor.dtype in (torch.float32, torch.float16, torch.bfloat16):
            tensors[name]["values"] = [float(x) for x in tensor.detach().float().flatten()]
    return tensors


expected = {}


def check(name, state, pick=lambda loaded: loaded):
    """PyTorch reads from the file what was meant."""
    loaded = pick(torch.load(name, weights_only=True))
    assert described(loaded) == described(state), name
    expected[name] = described(loaded)


def good():
    state = everything()
    torch.save(state, "zip.pt")
    check("zip.pt", state)
    torch.save(state, "legacy.pt", _use_new_zipfile_serialization=False)
    check("legacy.pt", state)
    small = {"w": values(6, 2, 3), "h": values(4).half(), "t": values(6, 2, 3).t()}
    for protocol in (3, 4, 5):
        name = f"zip-protocol{protocol}.pt"
        torch.save(small, name, pickle_protocol=protocol)
        expected[name] = described(small)  # torch.load with weights_only reads protocol 2 only
        assert described(torch.load(name, weights_only=False)) == expected[name]
    torch.save(small, "legacy-protocol4.pt", pickle_protocol=4, _use_new_zipfile_serialization=False)
    expected["legacy-protocol4.pt"] = described(small)

    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    torch.save(model.state_dict(), "module.pt")
    check("module.pt", model.state_dict())

    model(torch.ones(1, 3)).sum().backward()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.step()
    training = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "loss": 0.25,
                "names": ["a", "b"], "big": 1 << 80, "negative": -5, "none": None, "type": torch.float16,
                "rng": torch.arange(8, dtype=torch.uint8)}
    torch.save(training, "training.pt")
    check("training.pt", model.state_dict(), lambda loaded: loaded["model"])
    torch.save({"state_dict": small}, "nested-legacy.pt", _use_new_zipfile_serialization=False)
    check("nested-legacy.pt", small, lambda loaded: loaded["state_dict"])

    # A state dict with a mapping of tensors among its values, which is none of the names of a whole.
    extra = {"w": values(2), "layer._extra_state": {"scale": values(1)}}
    torch.save(extra, "extra-state.pt")
    expected["extra-state.pt"] = described({"w": extra["w"]})

    noted = torch.nn.Parameter(values(3))
    noted.note = "state"
    torch.save({"noted": noted}, "parameter-state.pt")
    check("parameter-state.pt", {"noted": noted})

    import torch.utils.serialization as serialization

    with serialization.config.patch("save.storage_alignment", 256):
        torch.save(small, "aligned.pt")
    check("aligned.pt", small)

    # Packed again by another program: sizes in the headers of the entries, with and without 64-bit fields.
    for name, long in (("repacked.pt", False), ("repacked-long.pt", True)):
        with zipfile.ZipFile("zip-protocol3.pt") as source, zipfile.ZipFile(name, "w") as target:
            for entry in source.infolist():
                with target.open(zipfile.ZipInfo(entry.filename), "w", force_zip64=long) as out:
                    out.write(source.read(entry))
        expected[name] = expected["zip-protocol3.pt"]

    os.makedirs("sharded", exist_ok=True)
    names = list(state)
    shards = {"pytorch_model-00001-of-00002.bin": names[:9], "pytorch_model-00002-of-00002.bin": names[9:]}
    for shard, members in shards.items():
        torch.save({name: state[name].clone() for name in members}, f"sharded/{shard}")
    index = {"metadata": {"total_size": 1}, "weight_map": {n: s for s, members in shards.items() for n in members}}
    with open("sharded/pytorch_model.bin.index.json", "w") as out:
        json.dump(index, out)
    old_view()


class Storage:
    """Stands for a storage when a file is written by hand."""

    def __init__(self, *fields):
        self.fields = fields


class Pickler(pickle._Pickler):
    def persistent_id(self, value):
        return ("storage", *value.fields) if isinstance(value, Storage) else None


def old_view():
    """A legacy file as PyTorch 0.3 wrote views: the key of a part of a storage, where it starts, how long it is."""
    numbers = [float(i) / 4 for i in range(12)]

    def tensor(view, offset, shape, strides):
        storage = Storage(torch.FloatStorage, "900", "cpu", 12, view)
        return Rebuilt(torch._utils._rebuild_tensor, (storage, offset, shape, strides))

    objects = OrderedDict(
        whole=tensor(None, 0, (3, 4), (4, 1)), part=tensor(("901", 4, 6), 1, (2, 2), (2, 1)),
        same=tensor(("901", 4, 6), 0, (6,), (1,)))
    with open("legacy-views.pt", "wb") as out:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(value, out, protocol=2)
        Pickler(out, protocol=2).dump(objects)
        pickle.dump(["900"], out, protocol=2)
        out.write(struct.pack("<q12f", 12, *numbers))
    whole = torch.tensor(numbers)
    meant = {"whole": whole.reshape(3, 4), "part": whole[5:9].reshape(2, 2), "same": whole[4:10]}
    check("legacy-views.pt", meant)


class Rebuilt:
    def __init__(self, function, arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def archive(objects, name, compression=zipfile.ZIP_STORED, storages=()):
    with zipfile.ZipFile(name, "w", compression) as out:
        out.writestr("archive/data.pkl", objects)
        for key, data in storages:
            out.writestr(f"archive/data/{key}", data)


def hostile():
    os.makedirs("hostile", exist_ok=True)

    def evil(name, function, *arguments):
        archive(pickle.dumps({"w": Rebuilt(function, arguments)}, protocol=2), f"hostile/{name}.pt")

    evil("system", os.system, "touch furl-was-here")
    evil("eval", eval, "print('executed')")
    evil("getattr", getattr, "x", "upper")
    with open("hostile/system-legacy.pt", "wb") as out:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True},
                      Rebuilt(os.system, ("touch furl-was-here",))):
            pickle.dump(value, out, protocol=2)
    with open("hostile/system-first.pt", "wb") as out:
        pickle.dump(Rebuilt(os.system, ("touch furl-was-here",)), out, protocol=2)
    evil("load-from-bytes", torch.storage._load_from_bytes, b"x")
    archive(pickle.dumps({"w": Rebuilt(os.system, ("x",))}, protocol=4), "hostile/stack-global.pt")
    archive(pickle.dumps({"loss": numpy.float64(1.5)}, protocol=2), "hostile/numpy.pt")
    archive(pickle.dumps({"names": {"a", "b"}}, protocol=4), "hostile/set.pt")

    torch.save(torch.nn.Linear(2, 2), "hostile/module.pt")
    torch.save({"w": torch.eye(3).to_sparse()}, "hostile/sparse.pt")
    torch.save({"w": torch.ones(2, dtype=torch.float8_e4m3fn)}, "hostile/float8.pt")
    torch.save({"w": torch.ones(3).expand(4, 3)}, "hostile/expanded.pt")
    torch.save({"w": torch.ones(8).as_strided((4, 4), (1, 1))}, "hostile/overlapping.pt")
    torch.save({"a": {"w": torch.ones(1)}, "b": {"w": torch.zeros(1)}}, "hostile/two.pt")
    torch.save({"t": torch.ones(1), "model": {"w": torch.ones(1)}, "state_dict": {"w": torch.ones(1)}},
               "hostile/two-wrappers.pt")
    torch.save([torch.ones(2)], "hostile/list.pt")
    torch.save(torch.ones(2), "hostile/tensor.pt")
    torch.save({"epoch": 3}, "hostile/nothing.pt")
    torch.save({1: torch.ones(2)}, "hostile/number-name.pt")
    script = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(script, "hostile/torchscript.pt")

    with zipfile.ZipFile("zip-protocol3.pt") as source:
        names = source.infolist()
        with zipfile.ZipFile("hostile/deflated.pt", "w", zipfile.ZIP_DEFLATED) as target:
            for entry in names:
                kind = zipfile.ZIP_DEFLATED if "/data/" in entry.filename else zipfile.ZIP_STORED
                target.writestr(entry.filename, source.read(entry), kind)
        with zipfile.ZipFile("hostile/big-endian.pt", "w") as target:
            for entry in names:
                data = b"big" if entry.filename.endswith("/byteorder") else source.read(entry)
                target.writestr(entry.filename, data)
    # Four megabytes in four kilobytes, where the objects should be.
    with zipfile.ZipFile("hostile/bomb.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        target.writestr("archive/data.pkl", bytes(4 << 20))


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    good()
    hostile()
    with open("expected.json", "w") as out:
        json.dump(expected, out, indent=0, sort_keys=True)
        out.write("\n")
