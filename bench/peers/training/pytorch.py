"""PyTorch as a contestant: eager, plain functions of torch.nn, one JSON line in, one out. See protocol.ts."""

import ctypes
import json
import math
import os
import re
import sys
import time

import numpy
import torch
import torch.nn.functional as F

CHUNK = 128
"""Tokens that the recurrence takes as one matrix; of longer sequences states pass from chunk to chunk."""


class Trainer:
    def __init__(self, folder, threads):
        torch.set_num_threads(threads)
        with open(f"{folder}/problem.json") as file:
            problem = json.load(file)
        self.config = problem["config"]
        self.shape = (problem["batch"], problem["seqlen"])
        numbers = torch.from_numpy(numpy.fromfile(f"{folder}/weights.f32", dtype=numpy.float32))
        self.weights = {}
        decaying, others = [], []
        for entry in problem["weights"]:
            size = math.prod(entry["shape"])
            part = numbers[entry["offset"] : entry["offset"] + size]
            weight = torch.nn.Parameter(part.reshape(entry["shape"]).clone())
            self.weights[entry["name"]] = weight
            (decaying if entry["decays"] else others).append(weight)
        self.tokens, self.targets = (
            torch.from_numpy(numpy.fromfile(f"{folder}/{name}.i32", dtype=numpy.int32)).long()
            for name in ("tokens", "targets")
        )
        hyper = problem["hyperparameters"]
        self.clip = hyper["clip"]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": decaying, "weight_decay": hyper["weightDecay"]},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=hyper["learningRate"],
            betas=tuple(hyper["betas"]),
            eps=hyper["eps"],
        )
        seqlen = self.shape[1]
        self.later = torch.ones(seqlen, seqlen, dtype=torch.bool).triu(1)
        self.rotations = {}

    def step(self):
        self.optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.logits(), self.targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), self.clip)
        self.optimiser.step()
        return loss.item()

    def logits(self):
        embedding = self.weights["embedding"]
        x = F.embedding(self.tokens, embedding).view(*self.shape, -1)
        for index, layer in enumerate(self.config["layers"]):
            x = self.layer(x, layer, f"layers.{index}")
        x = rms_norm(x, self.weights["finalNorm.weight"], self.config["finalNorm"]["eps"])
        head = embedding if self.config["isTied"] else self.weights["head"]
        return F.linear(x, head).view(-1, head.shape[0])

    def layer(self, x, layer, name):
        def weight(part):
            return self.weights.get(f"{name}.{part}")

        eps = layer["norm"]["eps"]
        mixer = {"attention": self.attention, "discreteMamba2": self.discrete_mamba2}
        u = rms_norm(x, weight("mixerNorm.weight"), eps)
        x = x + mixer[layer["mixer"]["kind"]](u, layer["mixer"], lambda part: weight(f"mixer.{part}"))
        u = rms_norm(x, weight("mlpNorm.weight"), eps)
        hidden = F.silu(F.linear(u, weight("mlp.gate"))) * F.linear(u, weight("mlp.up"))
        return x + F.linear(hidden, weight("mlp.down"))

    def attention(self, u, config, weight):
        heads, kv_heads, size = config["nHeads"], config["nKvHeads"], config["headDim"]
        widths = [heads * size, kv_heads * size, kv_heads * size]
        q, k, v = (
            part.view(*self.shape, -1, size).transpose(1, 2)
            for part in F.linear(u, weight("inProj")).split(widths, dim=-1)
        )
        cos, sin = self.rotation(config["rope"])
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = (part.repeat_interleave(heads // kv_heads, dim=1) for part in (k, v))
        scores = (q @ k.transpose(-1, -2)) / math.sqrt(size)
        weights = torch.softmax(scores.masked_fill(self.later, -math.inf), dim=-1)
        y = (weights @ v).transpose(1, 2).reshape(*self.shape, -1)
        return F.linear(y, weight("outProj"))

    def rotation(self, rope):
        """cos and sin of every position and channel, (seqlen, headDim); the pairs are halves apart."""
        key = (rope["rotaryDim"], rope["theta"])
        if key not in self.rotations:
            dim, theta = key
            rates = theta ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
            angles = torch.outer(torch.arange(self.shape[1], dtype=torch.float64), rates)
            angles = torch.cat([angles, angles], dim=-1)
            self.rotations[key] = (angles.cos().float(), angles.sin().float())
        return self.rotations[key]

    def discrete_mamba2(self, u, config, weight):
        heads, size, groups = config["nHeads"], config["headDim"], config["nGroups"]
        inner, state = heads * size, groups * config["dState"]
        channels = inner + 2 * state
        xBC, z, a = F.linear(u, weight("inProj")).split([channels, inner, heads], dim=-1)
        taps = weight("convWeight")
        convolved = F.conv1d(
            xBC.transpose(1, 2),
            taps.unsqueeze(1),
            weight("convBias"),
            padding=config["dConv"] - 1,
            groups=channels,
        )[..., : self.shape[1]]
        if config["activation"] == "silu":
            convolved = F.silu(convolved)
        x, B, C = (
            part.unflatten(1, (count, -1)).transpose(-1, -2)
            for part, count in zip(
                convolved.split([inner, state, state], dim=1), (heads, groups, groups)
            )
        )
        B, C = (part.repeat_interleave(heads // groups, dim=1) for part in (B, C))
        y = discrete_ssd(x, F.logsigmoid(-a).transpose(1, 2), B, C)
        y = y + weight("D").view(-1, 1, 1) * x
        y = y.transpose(1, 2).reshape(*self.shape, inner)
        return F.linear(y * F.silu(z + weight("zBias")), weight("outProj"))


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def discrete_ssd(x, log_decay, B, C):
    """
    h <- decay*h + x B', y = h C, in the matrix form of a chunk (Dao & Gu 2024, listing 1). Shapes: x (batch, heads,
    seqlen, headDim), log_decay (batch, heads, seqlen), B and C (batch, heads, seqlen, dState).
    """
    state, ys = None, []
    for part in range(0, x.shape[2], CHUNK):
        xs, decays, Bs, Cs = (t[:, :, part : part + CHUNK] for t in (x, log_decay, B, C))
        total = decays.cumsum(-1)
        length = xs.shape[2]
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        between = (total.unsqueeze(-1) - total.unsqueeze(-2)).masked_fill(later, -math.inf)
        y = ((Cs @ Bs.transpose(-1, -2)) * between.exp()) @ xs
        if state is not None:
            y = y + (Cs * total.exp().unsqueeze(-1)) @ state
        if part + CHUNK < x.shape[2]:
            last = total[..., -1:]
            written = (Bs * (last - total).exp().unsqueeze(-1)).transpose(-1, -2) @ xs
            state = written if state is None else last.exp().unsqueeze(-1) * state + written
        ys.append(y)
    return torch.cat(ys, dim=2) if len(ys) > 1 else ys[0]


def blas():
    """The library that computes its matrix products (Debian lets the owner choose it), and the CPU that it takes this for."""
    with open("/proc/self/maps") as maps:
        found = set(re.findall(r"/\S*/lib(?:blas|openblas|blis|atlas|mkl_rt)\S*", maps.read()))
    names = sorted({"/".join(os.path.realpath(path).split("/")[-2:]) for path in found})
    for path in found:
        if "openblas" in os.path.basename(path):
            name = ctypes.CDLL(path).openblas_get_corename
            name.restype = ctypes.c_char_p
            names.append(f"for {name().decode()}")
    return " ".join(names) or "no BLAS found"


def answer(request):
    global trainer
    if request["ask"] == "open":
        trainer = Trainer(request["folder"], request["threads"])
        wait = os.environ.get("OMP_WAIT_POLICY", "default")
        threads = f"{torch.get_num_threads()} threads, {wait} waiting"
        return {"info": f"PyTorch {torch.__version__}, {blas()}, {threads}"}
    start, cpu = time.perf_counter(), time.process_time()
    losses = [trainer.step() for _ in range(request["steps"])]
    ms, cpu_ms = (1000 * (time.perf_counter() - start), 1000 * (time.process_time() - cpu))
    return {"losses": losses, "ms": ms, "cpuMs": cpu_ms}


trainer = None
for line in sys.stdin:
    try:
        reply = {"answer": answer(json.loads(line))}
    except Exception as error:
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
