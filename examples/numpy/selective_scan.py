"""Mamba's selective scan: a loop over the tokens, everything else at once."""

import numpy as np


def softplus(x):
    """log(1 + exp(x)), and x itself above 20, as torch has it."""
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def matrix_per_channel(M, batch, channels, seqlen):
    """B or C as (batch, channels, dState, seqlen), from any of its three forms."""
    if M.ndim == 2:  # (channels, dState): the same for every token
        return np.broadcast_to(M[None, :, :, None], (batch, *M.shape, seqlen))
    if M.ndim == 3:  # (batch, dState, seqlen): the same for every channel
        M = M[:, None]
    # (batch, groups, dState, seqlen): consecutive channels share a group
    return np.repeat(M, channels // M.shape[1], axis=1)


def selective_scan(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, initial_state=None, delta_softplus=False
):
    """u, delta, z: (batch, channels, seqlen); A: (channels, dState); D, delta_bias: (channels)."""
    batch, channels, seqlen = u.shape
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    if delta_softplus:
        delta = softplus(delta)
    B = matrix_per_channel(B, batch, channels, seqlen)
    C = matrix_per_channel(C, batch, channels, seqlen)
    h = np.zeros((batch, *A.shape), u.dtype) if initial_state is None else initial_state
    out = np.empty_like(u)
    for t in range(seqlen):
        dt, x = delta[:, :, t, None], u[:, :, t, None]
        h = np.exp(dt * A) * h + dt * x * B[..., t]
        out[:, :, t] = (h * C[..., t]).sum(-1)
    if D is not None:
        out = out + D[:, None] * u
    if z is not None:
        out = out * silu(z)
    return {"out": out, "last_state": h}


def selective_state_update(
    state, x, dt, A, B, C, D=None, z=None, dt_bias=None, dt_softplus=False
):
    """
    One token after another, the first axis of x, dt, B, C and z.
    state: (batch, [heads,] channels, dState); B, C: (steps, batch, [groups,] dState).
    """
    outs, states = [], []
    has_heads = state.ndim == 4
    for t in range(len(x)):
        step = dt[t] if dt_bias is None else dt[t] + dt_bias
        step = (softplus(step) if dt_softplus else step)[..., None]
        Bt, Ct = B[t], C[t]
        if has_heads:  # consecutive heads share a group
            Bt = np.repeat(Bt, state.shape[1] // Bt.shape[1], axis=1)
            Ct = np.repeat(Ct, state.shape[1] // Ct.shape[1], axis=1)
        state = np.exp(step * A) * state + step * x[t][..., None] * Bt[..., None, :]
        y = (state * Ct[..., None, :]).sum(-1)
        if D is not None:
            y = y + D * x[t]
        if z is not None:
            y = y * silu(z[t])
        outs.append(y)
        states.append(state)
    return {"out": np.stack(outs), "states": np.stack(states)}
