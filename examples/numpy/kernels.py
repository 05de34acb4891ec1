"""Kernels for `selscan verify --exec "python3 kernels.py"`: answers every case of a folder in another folder."""

import inspect
import os
import sys

import numpy as np
from casefiles import read_case, write_outputs
from selective_scan import selective_scan, selective_state_update, sigmoid, silu, softplus


def ssd_scan(
    x, dt, A, B, C, D=None, z=None, dt_bias=None, initial_states=None, dt_softplus=False, dt_limit=None
):
    """Mamba-2. x, z: (batch, seqlen, heads, headDim); dt: (batch, seqlen, heads); B, C: (…, groups, dState)."""
    batch, seqlen, heads, head_dim = x.shape
    dt = dt if dt_bias is None else dt + dt_bias
    dt = softplus(dt) if dt_softplus else dt
    low, high = (float(limit) for limit in dt_limit or (0, "inf"))
    dt = np.clip(dt, x.dtype.type(low), x.dtype.type(high))
    y, h = heads_scan(x * dt[..., None], np.exp(dt * A), B, C, initial_states)
    if D is not None:
        y = y + (D[:, None] if D.ndim == 1 else D) * x
    if z is not None:
        y = y * silu(z)
    return {"out": y, "final_state": h}


def ssd_minimal(X, A, B, C, initial_states=None):
    """The same with x multiplied by dt and the logarithm of the decay as inputs."""
    first = None if initial_states is None else initial_states[:, 0]
    y, h = heads_scan(X, np.exp(A), B, C, first)
    return {"out": y, "final_state": h}


def discrete_ssd(X, A_log, B, C, initial_states=None):
    """Llamba's: the decay is sigmoid(-A_log), and x is not multiplied by a step."""
    y, h = heads_scan(X, sigmoid(-A_log), B, C, initial_states)
    return {"out": y, "final_state": h}


def heads_scan(x, decay, B, C, h):
    """h <- decay h + x B, y = h C, for heads whose consecutive ones share a group of B and C."""
    batch, seqlen, heads, head_dim = x.shape
    B = np.repeat(B, heads // B.shape[2], axis=2)
    C = np.repeat(C, heads // C.shape[2], axis=2)
    if h is None:
        h = np.zeros((batch, heads, head_dim, B.shape[3]), x.dtype)
    y = np.empty_like(x)
    for t in range(seqlen):
        written = x[:, t, :, :, None] * B[:, t, :, None, :]
        h = decay[:, t, :, None, None] * h + written
        y[:, t] = (h * C[:, t, :, None, :]).sum(-1)
    return y, h


def causal_conv1d(x, weight, bias=None, initial_states=None, activation=None):
    """x: (batch, channels, seqlen); the last of a channel's weights meets the current token."""
    batch, channels, seqlen = x.shape
    width = weight.shape[1]
    if initial_states is None:
        initial_states = np.zeros((batch, channels, width - 1), x.dtype)
    padded = np.concatenate([initial_states, x], axis=2)
    y = sum(weight[:, w, None] * padded[:, :, w : w + seqlen] for w in range(width))
    if bias is not None:
        y = y + bias[:, None]
    out = silu(y) if activation in ("silu", "swish") else y
    return {"out": out, "final_states": padded[:, :, seqlen:]}


def causal_conv1d_update(x, conv_state, weight, bias=None, activation=None):
    """One token a step: x (steps, batch, channels); conv_state (batch, channels, stateLen), the newest last."""
    width = weight.shape[1]
    outs, states = [], []
    for token in x:
        window = np.concatenate([conv_state, token[..., None]], axis=2)
        y = (window[:, :, window.shape[2] - width :] * weight).sum(-1)
        y = y if bias is None else y + bias
        outs.append(silu(y) if activation in ("silu", "swish") else y)
        conv_state = window[:, :, 1:]
        states.append(conv_state)
    return {"out": np.stack(outs), "conv_states": np.stack(states)}


def rmsnorm(x, weight, bias=None, eps=1e-5):
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + x.dtype.type(eps)) * weight
    return {"out": y if bias is None else y + bias}


def rmsnorm_gated(x, weight, bias=None, z=None, eps=1e-5, group_size=None, norm_before_gate=True):
    if z is not None and not norm_before_gate:
        x = x * silu(z)
    groups = x.reshape(*x.shape[:-1], -1, group_size or x.shape[-1])
    normed = rmsnorm(groups, 1, eps=eps)["out"].reshape(x.shape) * weight
    normed = normed if bias is None else normed + bias
    return {"out": normed * silu(z) if z is not None and norm_before_gate else normed}


def attention(q, k, v, causal=True, scale=1):
    """q: (batch, heads, Lq, headDim); k, v: (batch, kvHeads, Lk, headDim); out: (batch, Lq, heads, headDim)."""
    k, v = (np.repeat(t, q.shape[1] // t.shape[1], axis=1) for t in (k, v))
    scores = np.einsum("bhqd,bhkd->bhqk", q, k) * q.dtype.type(scale)
    if causal:  # the queries are the last tokens
        queries, keys = scores.shape[2:]
        hidden = np.triu(np.ones((queries, keys), bool), keys - queries + 1)
        scores = np.where(hidden, -np.inf, scores)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights = (weights / weights.sum(-1, keepdims=True)).astype(q.dtype)
    return {"out": np.einsum("bhqk,bhkd->bqhd", weights, v), "weights": weights}


def activations(x):
    return {"softplus": softplus(x), "silu": silu(x), "sigmoid": sigmoid(x)}


KERNELS = {
    "selective_scan": selective_scan,
    "selective_scan_init": selective_scan,
    "selective_state_update": selective_state_update,
    "ssd_scan": ssd_scan,
    "ssd_minimal": ssd_minimal,
    "discrete_ssd": discrete_ssd,
    "causal_conv1d": causal_conv1d,
    "causal_conv1d_update": causal_conv1d_update,
    "rmsnorm": rmsnorm,
    "rmsnorm_gated": rmsnorm_gated,
    "attention": attention,
    "activations": activations,
}


def main(folder_in, folder_out):
    for name in sorted(os.listdir(folder_in)):
        op, attributes, inputs = read_case(os.path.join(folder_in, name))
        kernel = KERNELS[op]
        # a kernel takes the attributes that it has parameters for; the others explain the case
        known = inspect.signature(kernel).parameters
        attributes = {key: value for key, value in attributes.items() if key in known}
        outputs = kernel(**inputs, **attributes)
        write_outputs(os.path.join(folder_out, name), outputs)


if __name__ == "__main__":
    np.seterr(all="ignore")  # cases reach the ends of float32, where exp and products overflow
    main(*sys.argv[1:])
