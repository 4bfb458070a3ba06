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
# # Transformer 6: one batch on many machines
#
# *About 35 minutes. Difficulty 3 of 5. You need the gradient of cross-entropy, from makemore or lesson 4.*
#
# A large model learns from batches that do not fit on one GPU. So the batch is split: each process, called a
# **rank**, has its own copy of the weights and its own share of the rows, the **shard**. Each computes a gradient,
# the gradients are combined, and every rank makes the same step, so afterwards all copies are equal again. This is
# data parallelism, and it is only right if the combined gradient is the gradient of the whole batch.
#
# ## A bug that really happens
#
# Each rank computes the mean loss of its shard, and the gradients of the ranks are averaged. With shards of equal
# size this is the mean over all rows. With unequal shards it is not: a row in a small shard counts more than a row
# in a large one. The last batch of an epoch is often unequal. Texts have different lengths, so the number of tokens
# differs from rank to rank all the time. In autumn 2024 this mistake was found in widely used training libraries.
# They split a batch over *time* (gradient accumulation) and not over machines, but the mean of means is the same.
# The loss curves had looked fine for years.
#
# You will write the gradient of each rank and combine them rightly. Then a cell of this lesson starts two real
# processes with PyTorch's `DistributedDataParallel` and compares.
#
# | lines of the forward pass | what they hold | where they run |
# |---|---|---|
# | `copies_W`, `copies_b` | the model, once for each rank | on every rank |
# | `logits`, `row_losses`, `rank_losses` | scores, losses of rows, and the mean loss of each shard | on the rank that has the rows |
# | `loss` | one loss out of the three | nowhere: only its gradients are combined, between the ranks |
#
# <!-- dojo: transformer/ex6_data_parallel -->

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
import torch
import torch.nn.functional as F

from grader import cmp

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
shard_size = 2
n_ranks = 3
n_features = 4
n_classes = 5

# %% [markdown]
# ## The tensors
#
# | name | shape | what it is |
# |---|---|---|
# | `X`, `Y` | (12, 4), (12,) | all rows of the batch and their labels, from 0 to 4 |
# | `W`, `b` | (4, 5), (5,) | the model: one layer, because all that is new happens outside of it |
# | `shard_sizes` | [2, 4, 6] | a list: how many rows each rank has, in the order of the rows |
# | `share` | (3,) | the part of all rows that each rank has: 2/12, 4/12, 6/12 |
#
# `X.split(shard_sizes)` cuts `X` into the three shards, (2, 4), (4, 4) and (6, 4).

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


R = n_ranks
shard_sizes = [shard_size * (rank + 1) for rank in range(n_ranks)]
n = sum(shard_sizes)
X = draw(n, n_features)
Y = torch.randint(0, n_classes, (n,), generator=g).to(device)
W = draw(n_features, n_classes)
b = draw(n_classes) * 0.1
share = torch.tensor(shard_sizes, dtype=X.dtype, device=device) / n
for p in [W, b]:
    p.requires_grad = True

# %% [markdown]
# ## The forward pass
#
# All ranks are written into one program here, so that you can look at them side by side. `copies_W[0]` is the
# copy of rank 0, and so on. Each rank computes the scores of its own rows with its own copy, and the mean loss
# of its own rows. The last line makes one loss of the three.

# %% tags=["forward"]
copies_W = W.expand(R, n_features, n_classes)  # (3, 4, 5)
copies_b = b.expand(R, n_classes)  # (3, 5)
logits = torch.cat([part @ copies_W[r] + copies_b[r] for r, part in enumerate(X.split(shard_sizes))])  # (12, 5)
row_losses = F.cross_entropy(logits, Y, reduction="none")  # (12,)
rank_losses = torch.stack([part.mean() for part in row_losses.split(shard_sizes)])  # (3,)
loss = (rank_losses * share).sum()  # ()

# %%
from grader import show_graph

show_graph("transformer/ex6_data_parallel", globals())

# %%
print(f"loss by ranks {loss.item():.6f}   of the whole batch {F.cross_entropy(X @ W + b, Y).item():.6f}")
print(f"mean of the ranks' means {rank_losses.mean().item():.6f}")
for tensor in list(globals().values()):
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        tensor.retain_grad()
loss.backward()

# %% [markdown]
# The weighted loss is the loss of the whole batch, 1.9701. The plain mean of the three means is 1.8552, another
# number.
#
# ### Idea: weigh by size
#
# Four rows with the gradients 8, 0, 2 and 4. Their mean is 14 / 4 = 3.5. Rank 0 has the first row, rank 1 the
# other three.
#
# | | rows | mean of the rank | its share | share times mean |
# |---|---|---|---|---|
# | rank 0 | 8 | 8 | 1/4 | 2 |
# | rank 1 | 0, 2, 4 | 2 | 3/4 | 1.5 |
# | | | mean of means: 5 | | sum: 3.5 |
#
# The mean of means is 5: the row with the 8 counts three times as much as each of the others. If you weigh each
# rank by its share of the rows, every row counts the same again.
#
# ## drank_losses
#
# `loss = (rank_losses * share).sum()`: () from (3,) and (3,)
#
# Ask yourself: what does a number of `rank_losses` (3,) get, and what would it get if the ranks were simply
# averaged?

# %% tags=["backward"]
drank_losses = ...

# %%
cmp("rank_losses", drank_losses, rank_losses)

# %% [markdown]
# ## drow_losses
#
# `rank_losses = torch.stack([part.mean() for part in row_losses.split(shard_sizes)])`: (3,) from (12,)
#
# Rank 0 takes the mean of 2 numbers, rank 2 the mean of 6. So the slope differs from rank to rank.
#
# Ask yourself: what does a number of `row_losses` (12,) get if you multiply the share of its rank by one over the
# size of its shard? Is it the same for all rows?

# %% tags=["backward"]
drow_losses = ...

# %%
cmp("row_losses", drow_losses, row_losses)

# %% [markdown]
# ## dlogits
#
# `row_losses = F.cross_entropy(logits, Y, reduction="none")`: (12,) from (12, 5)
#
# Without the mean, the loss of a row has the gradient softmax minus one at the label. Each row has its own upstream
# gradient.
#
# Ask yourself: how do the 12 numbers of `drow_losses` meet the 12 rows of `logits` (12, 5)?

# %% tags=["backward"]
dlogits = ...

# %%
cmp("logits", dlogits, logits)

# %% [markdown]
# ## dcopies_W, dcopies_b
#
# `logits = torch.cat([part @ copies_W[r] + copies_b[r] for ...])`: (12, 5) from (3, 4, 5) and (3, 5)
#
# This is the work that the ranks do at the same time, each with its own rows. Rank r has the rows
# `X.split(shard_sizes)[r]` and the gradient `dlogits.split(shard_sizes)[r]`, and it sees nothing else.
#
# Ask yourself: which two gradients does one rank compute, and how do those of three ranks become the shapes of
# `copies_W` (3, 4, 5) and `copies_b` (3, 5)?

# %% tags=["backward"]
dcopies_W = ...
dcopies_b = ...

# %%
cmp("copies_W", dcopies_W, copies_W)
cmp("copies_b", dcopies_b, copies_b)

# %% [markdown]
# ### Idea: a copy forward is a sum backward
#
# Each rank has a copy of `W`. A copy is a broadcast, here over a new first dimension, and the gradient of a
# broadcast is a sum. Between machines this sum has a name: **all-reduce**. Each rank puts its gradient in, the
# sum comes out on every rank. Because all start with equal weights and add the same sum, they are equal after
# the step too, without ever sending weights.
#
# The shares are in the gradients already, because the loss had them. So it is a sum and not a mean.
# `DistributedDataParallel` takes the *mean* over the ranks, that is the sum over R. If you use it with unequal
# shards, multiply the loss of each rank by R times its share, and the R cancels.
#
# ## dW, db
#
# `copies_W = W.expand(R, n_features, n_classes)`: (3, 4, 5) from (4, 5)
#
# `copies_b = b.expand(R, n_classes)`: (3, 5) from (5,)
#
# Ask yourself: over which dimension was `W` (4, 5) broadcast, and so over which one do you sum?

# %% tags=["backward"]
dW = ...
db = ...

# %%
cmp("W", dW, W)
cmp("b", db, b)

# %% [markdown]
# The part of each rank as a picture: one line a rank, one column for each of the 20 weights. Added up down the
# columns the three lines are `dW`. The largest shard contributes most, as it should.

# %%
from grader import plots

if isinstance(dcopies_W, torch.Tensor):
    plots.show(plots.gradient_image(dcopies_W.flatten(1), name="dcopies_W, a line a rank"))
else:
    print("dcopies_W is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ## Two real processes
#
# The next cell writes a small program and starts it twice. The two processes find each other through a file,
# and talk by gloo, the library that PyTorch uses between CPUs. Rank 0 takes the first two rows, rank 1 the
# other ten. Each computes a gradient of its own rows, and `DistributedDataParallel` averages them during
# `backward()`. The program does it twice: with the plain mean loss, and with the loss multiplied by 2 times the
# share. It takes some seconds, because each process imports PyTorch.

# %%
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

folder, rank = Path(sys.argv[1]), int(sys.argv[2])
dist.init_process_group("gloo", init_method=(folder / "meeting").as_uri(), rank=rank, world_size=2)
X, Y, W, b, sizes = torch.load(folder / "batch.pt")
rows, labels = X.split(sizes)[rank], Y.split(sizes)[rank]
found = {}
for weighted in (False, True):
    layer = torch.nn.Linear(*W.shape, dtype=W.dtype)
    with torch.no_grad():
        layer.weight.copy_(W.T)
        layer.bias.copy_(b)
    model = DistributedDataParallel(layer)
    loss = torch.nn.functional.cross_entropy(model(rows), labels)
    if weighted:
        loss = loss * 2 * sizes[rank] / sum(sizes)
    loss.backward()
    found[weighted] = [layer.weight.grad.T.contiguous(), layer.bias.grad]
torch.save(found, folder / f"gradients{rank}.pt")
dist.destroy_process_group()
"""


def gradients_of_two_processes():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
        tensors = [tensor.detach().cpu() for tensor in (X, Y, W, b)]
        torch.save([*tensors, [shard_sizes[0], n - shard_sizes[0]]], folder / "batch.pt")
        command = [sys.executable, str(folder / "program.py"), str(folder)]
        quiet = os.environ | {"OMP_NUM_THREADS": "1"}
        started = [subprocess.Popen([*command, str(rank)], env=quiet, stderr=subprocess.DEVNULL) for rank in (0, 1)]
        try:
            for process in started:
                process.wait(timeout=100)
            return [torch.load(folder / f"gradients{rank}.pt") for rank in (0, 1)]
        except (subprocess.TimeoutExpired, OSError):
            return []
        finally:
            for process in started:
                process.kill()
                process.wait()


by_processes = gradients_of_two_processes() if torch.distributed.is_available() else []
if by_processes:
    of_batch = W.grad.cpu()
    for weighted in (False, True):
        first, second = by_processes[0][weighted][0], by_processes[1][weighted][0]
        off = ((first - of_batch).abs().max() / of_batch.abs().max()).item()
        how = "weighed by size" if weighted else "mean of means"
        print(f"{how:16} equal on both ranks: {torch.equal(first, second)}   off by {100 * off:.5f} %")
else:
    print("Two processes cannot meet on this machine: there is nothing to compare.")

# %% [markdown]
# Both ranks hold the same gradient either way: that is what the all-reduce is for. But the mean of means is off by 75
# percent of the largest number, and it would have trained without a complaint. Weighed by size, the two processes
# have the gradient of the whole batch.
#
# ## What to take along
#
# - Splitting a batch is right if the combined gradient is the gradient of the whole batch. Test it so: one
#   process against two.
# - Weigh by size. A mean of means is right for equal shards only. The same holds for gradient accumulation and
#   for tokens that are masked out of the loss.
# - A copy forward is a sum backward. Between machines it is called all-reduce.
# - `DistributedDataParallel` divides by the number of ranks, so the loss of each rank has to be multiplied by R
#   times its share.
# - Equal gradients and equal starts keep the copies equal. A seed that differs between ranks, or one rank that
#   skips a step, breaks this silently.
#
# Grade the file with `dojo grade`. This was the last lesson of the track: you have written every gradient of a GPT,
# from a single softmax to a step on two machines. What comes next is your own: take a network that you use, write
# its backward pass, and compare it with autograd's. If you want your steps to be fast on a GPU, [makemore's
# exercise 5](../makemore/ex5_cuda_graph.ipynb) records one as a CUDA graph. And if a track is left, `dojo` shows
# where you stand.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [markdown] tags=["hint"]
# <details>
# <summary>drank_losses: hint 1</summary>
#
# A product and a sum. What is the slope with respect to one of the three losses?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>drank_losses: hint 2</summary>
#
# The slope is the other factor, (3,). The upstream gradient is 1.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>drank_losses: hint 3</summary>
#
# The three numbers are 2/12, 4/12 and 6/12. If yours are 1/3 each, you averaged the ranks.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>drow_losses: hint 1</summary>
#
# A mean divides the upstream gradient among its numbers. Each rank has another number of them.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>drow_losses: hint 2</summary>
#
# For rank r: drank_losses[r] divided by shard_sizes[r], repeated shard_sizes[r] times. The three pieces one
# after the other are (12,).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>drow_losses: hint 3</summary>
#
# Every number of the answer is 1/12 = 0.0833, because each row counts the same. `expand` repeats a single number,
# and `torch.cat` puts pieces one after the other.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 1</summary>
#
# Exercise 2 of makemore, with the upstream gradient in the place of 1/n.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 2</summary>
#
# Softmax over dimension 1 minus one-hot, (12, 5), times drow_losses as (12, 1), so that each row gets its own
# factor.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 3</summary>
#
# A row with the softmax (0.2, 0.3, 0.5), the label in the middle and the upstream gradient 0.5 must give (0.1,
# -0.35, 0.25). `drow_losses[:, None]` has the shape (12, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcopies_W, dcopies_b: hint 1</summary>
#
# For one rank it is the gradient of a weight and of a bias, as always. Then stack the ranks.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcopies_W, dcopies_b: hint 2</summary>
#
# Rank 0: (4, 2) @ (2, 5) for the weight, a sum over dimension 0 of (2, 5) for the bias. torch.stack of three
# (4, 5) is (3, 4, 5), of three (5,) is (3, 5).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcopies_W, dcopies_b: hint 3</summary>
#
# Check by a rank with two rows of one feature, 2 and 3, one class, and the upstream gradients 10 and 100: its
# weight gets 320, its bias 110. A list with one such result for each rank is what stack needs.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW, db: hint 1</summary>
#
# To copy is to broadcast. What does a broadcast become on the way back?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW, db: hint 2</summary>
#
# The sum over dimension 0, the ranks: (4, 5) from (3, 4, 5), and (5,) from (3, 5).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW, db: hint 3</summary>
#
# Three ranks with the gradients 1, 2 and 4 for one weight give 7. If you get 2.33, you took the mean.
#
# </details>
