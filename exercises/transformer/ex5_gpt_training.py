# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Transformer 5: train a GPT by hand
#
# *About 90 minutes, and a minute for the computer. Difficulty 5 of 5. You need lessons 1 to 4 of this track.*
#
# Two blocks, embeddings below and a loss on top: that is a GPT, only small. In lesson 4 you computed the gradients
# of one block for one batch. Here you write the whole loop, and no line of it asks autograd for anything: forward,
# backward through both blocks, and the update with AdamW, the optimiser of most language models. After less than a
# minute of training it writes names, letter by letter, line breaks included.
#
# There is one thing to fill in: the cell that now says `losses = ...`. Your lines from lesson 4 are most of what you
# need.
#
# ## Bugs that really happen
#
# They are all in the optimiser, and none of them stops a program:
#
# - **Decay inside the moments.** Adam with `weight_decay` adds the decay to the gradient, and then divides the sum
#   by the usual size of the gradient. So a weight with large gradients hardly decays at all. AdamW takes the decay
#   out of the gradient (Loshchilov and Hutter, 2017, [arXiv:1711.05101](https://arxiv.org/abs/1711.05101)).
# - **Half a bias correction.** Adam corrects two running means. If only the first is corrected, the first step of
#   this loop is ten times too large; if only the second is, it is ten times too small.
# - **Decay on biases and gains.** A gain that decays toward 0 switches its channel off.
#
# A loss curve shows none of this clearly. The grader runs your loop step by step beside autograd and
# `torch.optim.AdamW`, so it sees each of them.
#
# <!-- dojo: transformer/ex5_gpt_training -->

# %% tags=["colab"]
import sys

if "google.colab" in sys.modules:  # Colab brings torch; elsewhere nothing is installed here
    light = "click jinja2 jupytext msgspec nbformat platformdirs pyyaml restrictedpython rich tqdm watchfiles"
    # %pip install -q {light}
    # %pip install -q --no-deps backprop-dojo
try:
    from grader import cmp
except ImportError as problem:  # not installed, or another package has this name
    raise SystemExit(f"Backprop Dojo is not here ({problem}). Run: pip install backprop-dojo") from None

# %% tags=["setup"]
import math

import torch
import torch.nn.functional as F

from grader import cmp, live_losses, load_text, tqdm

# %% [markdown]
# ## Sizes
#
# B = 12 pieces of T = 16 symbols, E = 32 numbers a token, H = 4 heads of D = 8. The last five settings belong to
# AdamW.

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
n_batch = 12
n_tokens = 16
n_embd = 32
n_heads = 4
max_steps = 2_000
learning_rate = 3e-3
beta1 = 0.9
beta2 = 0.99
eps = 1e-8
weight_decay = 0.1

# %% [markdown]
# ## The text
#
# By default the names, one a line; `--text FILE` takes any other text. The first nine tenths are for training, the
# rest shows at the end whether the model learned something that also holds for text that it never saw.

# %% tags=["setup"]
text = load_text()
symbols = sorted(set(text))
stoi = {symbol: index for index, symbol in enumerate(symbols)}
data = torch.tensor([stoi[symbol] for symbol in text])
train_data, held_out = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]
V = len(symbols)

# %% [markdown]
# ## The parameters
#
# The two blocks have equal shapes, so each parameter of a block is one tensor with the block as its first dimension:
# `Wo[0]` belongs to the first block, `Wo[1]` to the second. Query, key and value come from one matrix, `Wqkv`: its
# first third of the columns makes the queries, the second the keys, the last the values.
#
# | position | name | shape | decays |
# |---|---|---|---|
# | 0, 1 | `wte`, `wpe` | (27, 32), (16, 32) | yes |
# | 2, 3 | `gains`, `shifts` | (2, 2, 32): the block, then which of its two layer normalisations | no |
# | 4, 5 | `Wqkv`, `Wo` | (2, 32, 96), (2, 32, 32) | yes |
# | 6, 7 | `W1`, `b1` | (2, 32, 128), (2, 128) | `W1` yes, `b1` no |
# | 8, 9 | `W2`, `b2` | (2, 128, 32), (2, 32) | `W2` yes, `b2` no |
# | 10, 11 | `Wout`, `bout` | (32, 27), (27,) | `Wout` yes, `bout` no |
#
# The list `decays` has one number for each tensor in `parameters`: `weight_decay`, or 0.

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


B, T, E, H = n_batch, n_tokens, n_embd, n_heads
D = E // H
wte = draw(V, E) * 0.3
wpe = draw(T, E) * 0.3
gains = draw(2, 2, E) * 0.1 + 1.0
shifts = draw(2, 2, E) * 0.1
Wqkv = draw(2, E, 3 * E) * E**-0.5
Wo = draw(2, E, E) * 0.5 * E**-0.5
W1 = draw(2, E, 4 * E) * E**-0.5
b1 = draw(2, 4 * E) * 0.1
W2 = draw(2, 4 * E, E) * 0.5 * (4 * E) ** -0.5
b2 = draw(2, E) * 0.1
Wout = draw(E, V) * 0.1
bout = draw(V) * 0.1
parameters = [wte, wpe, gains, shifts, Wqkv, Wo, W1, b1, W2, b2, Wout, bout]
decays = [weight_decay * decaying for decaying in (1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 0)]
later = torch.ones(T, T, dtype=torch.bool, device=device).triu(1)

# %% [markdown]
# ## A block, given
#
# This is the forward pass of lesson 4 as a function, with one of the two blocks chosen by its number `i`. It returns
# the new tokens and a dictionary of everything that the backward pass needs. `saved["hat1"]` is the first normalised
# tensor, and so on; the names are those of lesson 4.


# %% tags=["setup"]
def normalise(x):
    rstd = (x.var(-1, unbiased=False, keepdim=True) + 1e-5) ** -0.5  # (B, T, 1)
    return (x - x.mean(-1, keepdim=True)) * rstd, rstd


def block(x, i, gains, shifts, Wqkv, Wo, W1, b1, W2, b2):
    batch, length, width = x.shape
    hat1, rstd1 = normalise(x)  # (B, T, E) and (B, T, 1)
    ln1 = hat1 * gains[i, 0] + shifts[i, 0]  # (B, T, E)
    qkv = ln1 @ Wqkv[i]  # (B, T, 3E)
    q, k, v = (part.view(batch, length, H, D).transpose(1, 2) for part in qkv.split(width, -1))  # (B, H, T, D) each
    scores = (q @ k.transpose(-2, -1) * D**-0.5).masked_fill(later[:length, :length], float("-inf"))
    weights = torch.softmax(scores, -1)  # (B, H, T, T)
    joined = (weights @ v).transpose(1, 2).reshape(batch, length, width)  # (B, T, E)
    x1 = x + joined @ Wo[i]  # (B, T, E)
    hat2, rstd2 = normalise(x1)  # (B, T, E) and (B, T, 1)
    ln2 = hat2 * gains[i, 1] + shifts[i, 1]  # (B, T, E)
    pre = ln2 @ W1[i] + b1[i]  # (B, T, 4E)
    act = torch.relu(pre)  # (B, T, 4E)
    x2 = x1 + act @ W2[i] + b2[i]  # (B, T, E)
    saved = {"hat1": hat1, "rstd1": rstd1, "ln1": ln1, "q": q, "k": k, "v": v, "weights": weights, "joined": joined}
    saved |= {"hat2": hat2, "rstd2": rstd2, "ln2": ln2, "pre": pre, "act": act}
    return x2, saved


# %% [markdown]
# ## The forward pass of one step
#
# These are the lines that your loop repeats, the draw of the batch included. In your loop keep the second result of
# `block` as well, for example `x1, saved1 = block(x0, 0, ...)`, because the backward pass reads from it.
#
# Here they run once, on one batch. For this one step PyTorch's gradients are computed as well, so that `cmp` can
# compare yours with them.

# %%
for p in parameters:
    p.requires_grad_(True)

# %% tags=["forward"]
starts = torch.randint(0, len(train_data) - T, (B,), generator=g)  # (12,)
places = starts[:, None] + torch.arange(T)  # (12, 16)
Xb, Yb = train_data[places].to(device), train_data[places + 1].to(device)  # (12, 16) each
x0 = wte[Xb] + wpe  # (12, 16, 32)
x1 = block(x0, 0, gains, shifts, Wqkv, Wo, W1, b1, W2, b2)[0]  # (12, 16, 32)
x2 = block(x1, 1, gains, shifts, Wqkv, Wo, W1, b1, W2, b2)[0]  # (12, 16, 32)
logits = x2 @ Wout + bout  # (12, 16, 27)
loss = F.cross_entropy(logits.view(-1, V), Yb.view(-1))  # ()

# %%
for tensor in (x0, x1, x2, logits, *parameters):
    tensor.retain_grad()
loss.backward()
for p in parameters:
    p.requires_grad_(False)  # from here on autograd is off

# %% [markdown]
# The first loss is 3.42. That is near log 27 = 3.2958, the loss of a network that knows nothing yet.
#
# ## What the loop is made of
#
# ### The backward pass of two blocks
#
# Walk from the loss to the output layer, then through block 1, then through block 0, then into both tables. What
# leaves a block toward the input is what arrives at the block before it. So the backward pass of a block is one piece
# of code that runs twice, with `i` and `saved` exchanged. Write it as a loop over `((1, saved2), (0, saved1))`, and
# let one name, `dx`, be what arrives and then what leaves.
#
# The gradient of a stacked parameter is filled in slice by slice: make zeros like `W1` before, then assign to
# `dW1[i]`.
#
# ### Idea: split forward, cat backward
#
# `q, k, v = qkv.split(E, -1)` cuts the last dimension into three. Nothing is computed, so backward the three pieces
# are laid side by side again: `torch.cat([dq, dk, dv], -1)`, from three times (12, 16, 32) to (12, 16, 96). The order
# is that of the forward pass. A cut of (1, 2, 3) into 1, 2 and 3 with the upstream gradients 7, 8 and 9 gives the
# gradient (7, 8, 9).
#
# ### Idea: Adam remembers
#
# Plain descent moves each weight by the learning rate times its gradient. A weight whose gradients are a thousand
# times smaller moves a thousand times less. Adam (Kingma and Ba, 2014) keeps two running means for each weight: $m$
# of the gradients, and $v$ of their squares. It moves by $m / \sqrt v$. So every weight moves by about the learning
# rate, however large its gradient is, and less where the gradients contradict each other.
#
# $$ m \leftarrow \beta_1 m + (1 - \beta_1)\, d \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, d^2 $$
#
# ### Idea: bias correction
#
# Both start at 0, so they are too small in the beginning. After the first step with the gradient 2, m is 0.1 * 2 =
# 0.2 and v is 0.01 * 4 = 0.04. The mean of a single gradient 2 should be 2, and that of its square 4. So divide m
# by $1 - \beta_1^t$ and v by $1 - \beta_2^t$, where t counts from 1. At t = 1 that is 0.2 / 0.1 = 2 and 0.04 / 0.01
# = 4. The step is $2 / \sqrt 4 = 1$ times the learning rate.
#
# At t = 100 the first divisor is 0.99997, so its correction is over. The second is still 0.63, because $\beta_2$
# forgets more slowly. At t = 1,000 it is 0.99996.
#
# `step` counts from 0, so t is `step + 1`. With `step` you divide by zero at once.
#
# ### Idea: decay beside the gradient, not inside
#
# Weight decay pulls each weight a little toward 0. AdamW does so directly: it multiplies the weight by
# $1 - lr \cdot decay$ and then makes Adam's step. With the learning rate 0.003 and the decay 0.1 the factor is
# 0.9997, so a weight that gets no gradient has halved after 2,310 steps.
#
# $$ p \leftarrow p \,(1 - lr \cdot decay) - lr \, \frac{\hat m}{\sqrt{\hat v} + \epsilon} $$
#
# If you add `decay * p` to the gradient instead, it goes into m and v and is divided by $\sqrt v$, so a weight with
# large gradients hardly decays. For plain descent both are the same, for Adam they are not.
#
# ### In place, and without autograd
#
# The whole loop stands under `with torch.no_grad():`. The update changes the tensors of `parameters` in place, as in
# makemore: `p.mul_(...)` and `p.sub_(...)`, or `p -= ...`. Append `loss.item()`, a float, not a tensor.
#
# In a notebook `live_losses(losses)` as the last line of the loop draws the curve while it grows.
#
# ### First one step, with cmp
#
# It is hard to find the one wrong line in a loop of sixty. So write the backward pass for the one batch above first, in
# the next cell, and compare each gradient with PyTorch's in the cell after it. Only when all of them say
# `approximate: True`, put the lines into the loop. The forward cell has thrown away what `block` saved, so the cell
# begins with both blocks once more. These two cells are for you; they are not graded.

# %%
_, saved1 = block(x0, 0, gains, shifts, Wqkv, Wo, W1, b1, W2, b2)
_, saved2 = block(x1, 1, gains, shifts, Wqkv, Wo, W1, b1, W2, b2)
# dlogits, dWout, dbout, then block 1 and block 0, down to dwpe and dwte, for the batch of the forward cell


# %%
for name in "logits Wout bout W2 b2 W1 b1 gains shifts Wo Wqkv wpe wte".split():
    if f"d{name}" in globals():
        cmp(name, globals()[f"d{name}"], globals()[name])

# %% [markdown]
# The update cannot be compared in this way. `dojo grade` does it: it runs a few steps of your loop beside the truth, and
# names the first step and the first tensor that are not the same. `dojo train` runs the loop in full, in well under a
# minute on one core. The tensors are small, so several threads would only wait for each other: the next cell asks for
# one.

# %%
torch.set_num_threads(1)

# %% [markdown]
# ## losses
#
# Write the loop. `losses` is a list with one float per step: the loss of that step's batch, before the update. The
# `cmp` line below the loop compares the first 20 with those of the right loop.
#
# Ask yourself before each line of the backward pass: which tensors did the forward line read, which of them have a
# second path, and which shape must the gradient have?

# %% tags=["training"]
losses = ...


# %% tags=["standing"]
cmp("losses", losses)

# %% [markdown]
# ## Reading the loss curve
#
# The loss of one batch jumps up and down, so look at means.
#
# | steps | mean loss |
# |---|---|
# | the first one alone | 3.42 |
# | 0 to 100 | 2.76 |
# | 900 to 1,000 | 2.51 |
# | 1,900 to 2,000 | 2.45 |
#
# A model that knew only how often each pair of letters occurs (a bigram) would stay near 2.58.

# %%
from grader import plots

pairs = torch.zeros(V, V).index_put((train_data[:-1], train_data[1:]), torch.ones(len(train_data) - 1), accumulate=True)
shares = pairs / pairs.sum(1, keepdim=True)
bigram = -(pairs / pairs.sum() * shares.clamp(min=1e-9).log()).sum().item()
trained = losses is not ... and len(losses) > 0
if trained:
    plots.show(plots.loss_curve(losses))
    print(f"first loss {losses[0]:.4f}   mean of the last 100: {sum(losses[-100:]) / len(losses[-100:]):.4f}")
else:
    print("losses is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ## What the model has learned
#
# The remaining cells are given. They also run before you have written the loop; they then show the untrained model.
#
# First the loss on the text that was held out. With the names that come with this course expect about
# 2.49, and a little less on the training text.


# %% tags=["evaluation"]
@torch.no_grad()
def predict(tokens):
    x = wte[tokens] + wpe[: tokens.shape[1]]
    for i in range(2):
        x = block(x, i, gains, shifts, Wqkv, Wo, W1, b1, W2, b2)[0]
    return x @ Wout + bout


def loss_on(symbols_of_text):
    rows = symbols_of_text[: (len(symbols_of_text) - 1) // T * T + 1]
    inputs, labels = rows[:-1].view(-1, T).to(device), rows[1:].view(-1, T).to(device)
    return F.cross_entropy(predict(inputs).view(-1, V), labels.view(-1)).item()


train_loss, held_out_loss = loss_on(train_data[: 10 * len(held_out)]), loss_on(held_out)
print(f"train loss {train_loss:.4f}   held-out loss {held_out_loss:.4f}")

# %% [markdown]
# Then a sample. The model reads the last 16 symbols, gives 27 probabilities, one symbol is drawn and put behind the
# others. The generator for the draws is not `g`, so sampling changes nothing for the next run.


# %% tags=["evaluation"]
@torch.no_grad()
def write(length, generator):
    written = [stoi.get("\n", 0)]
    while len(written) <= length:
        scores = predict(torch.tensor([written[-T:]], device=device))[0, -1]
        written.append(torch.multinomial(torch.softmax(scores, 0).cpu(), 1, generator=generator).item())
    return "".join(symbols[index] for index in written[1:])


sample = write(200, torch.Generator().manual_seed(seed + 10)) if math.isfinite(train_loss) else ""
print(sample)

# %% [markdown]
# ## What to take along
#
# - The backward pass of a stack is the backward pass of one block, run from the last block to the first.
# - Adam divides by the size of the gradients, so every weight moves by about the learning rate.
# - Bias correction counts from 1. It matters in the first hundreds of steps, where a wrong one makes the steps too
#   large or too small.
# - AdamW decays beside the gradient. Biases, gains and shifts do not decay.
# - Know what loss to expect. One that starts far above log V was drawn too large, and one that falls far below what
#   is possible sees its labels.
#
# Grade the file with `dojo grade`, train it with `dojo train`. [The last lesson](ex6_data_parallel.ipynb) of this
# track splits a batch over several machines.

# %% [raw] tags=["grading"]
# batch = "n_batch"
# sizes = [
#     {"n_batch": 3, "n_tokens": 5, "n_embd": 8, "n_heads": 2},
#     {"n_batch": 2, "n_tokens": 4, "n_embd": 9, "n_heads": 3},
#     {"n_batch": 5, "n_tokens": 3, "n_embd": 14, "n_heads": 2},
# ]
# optimizer = torch.optim.AdamW(
#     [{"params": [p], "weight_decay": decay} for p, decay in zip(parameters, decays, strict=True)],
#     lr=learning_rate,
#     betas=(beta1, beta2),
#     eps=eps,
# )

# %% [markdown] tags=["hint"]
# <details>
# <summary>losses: hint 1</summary>
#
# Begin with the forward cell under `for step in tqdm(range(max_steps)):` and print the first losses. Then dlogits,
# dWout, dbout. Then one block: copy your lines of lesson 4, with `saved[...]` for the tensors of the forward pass
# and with `[i]` behind each parameter. Last the tables, and only then the update. Two lists of zeros, made before
# the loop, hold m and v.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>losses: hint 2</summary>
#
# Shapes. dlogits (12, 16, 27): softmax minus one-hot, over B * T. dx = dlogits @ Wout.T (12, 16, 32). In a block,
# from the end: dW2[i] (128, 32), db2[i] (32,), dact (12, 16, 128), dpre with the gate pre > 0, dW1[i] (32, 128),
# db1[i] (128,), dln2 (12, 16, 32). The normalisation fills dgains[i, 1] and dshifts[i, 1] (32,) and adds to dx.
# Then dWo[i] (32, 32), the heads (12, 4, 16, 8), softmax (12, 4, 16, 16), dq, dk, dv joined and laid side by side:
# (12, 16, 96). dWqkv[i] (32, 96), dln1, dgains[i, 0], dshifts[i, 0], and dx again. Tables: dwpe (16, 32) is a sum
# over the batch, dwte (27, 32) a scatter. Update: m, v, both corrections with step + 1, decay, step.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>losses: hint 3</summary>
#
# A list to check your loop by.
#
# - Is `losses` an empty list before the loop, and are there two lists of zeros for m and v? Does one step draw one
#   batch, from `g`?
# - Does `dx` go through block 1 first, then through block 0? In each block it changes twice: once after the MLP,
#   once after attention. Both times the residual is in it, because something is added to `dx` and it is not
#   replaced.
# - Do the heads come back into one row by transpose and reshape, and stand q, k, v side by side in the order of the
#   split?
# - Do the slices `[i]` of all stacked gradients have the shape of their parameter's slice, and has the list of
#   gradients the order of `parameters`?
# - Are all gradients computed before the first update?
# - A weight of 1 whose first gradient is 2 is 0.9967 after the first step: 0.9997 by the decay, and then one
#   learning rate less. A bias of 1 is 0.997. If your weight is 0.97 or so, v is not corrected.
#
# </details>
