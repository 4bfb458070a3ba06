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
# # Exercise 5: the whole step as one CUDA graph (optional)
#
# *About 45 minutes. Difficulty 4 of 5. You need exercise 4. Everything that you write is graded without a GPU; only
# the last measurement needs one.*
#
# On a GPU the loop of exercise 4 is slow for a strange reason: the GPU has nothing to do. Each operation is so small
# that the GPU ends it before Python has asked for the next one. A faster GPU would not help, because it would only
# wait faster.
#
# A **CUDA graph** removes Python from the loop. You record the operations of one step once, and from then on one call
# replays them all, in the same order and on the same memory. This lesson turns your step into one that can be
# recorded.
#
# ## A bug that really happens
#
# A recording knows operations and memory. It does not know Python, so a number that Python held during the
# recording stays what it was, for ever. For example, somebody records a step whose batch number is counted in
# Python. Then every replay trains on the same batch. The loss falls faster than ever before, because 32 examples
# are quickly known by heart. And a learning rate that Python looks up never steps down. No error is raised, and
# nothing is printed.
#
# <!-- dojo: makemore/ex5_cuda_graph -->

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
from torch.overrides import TorchFunctionMode

from grader import build_dataset, load_names, split_names

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
alphabet = "abcdefghijklmnopqrstuvwxyz"
block_size = 3
batch_size = 32
n_embd = 10
n_hidden = 200
learning_rates = [0.1, 0.01]

# %% [markdown]
# ## A recorder of fifty lines
#
# What is a graph? A list of operations, each with the tensors that it reads and the tensor that it writes. So here is
# one that works on any machine. `Recording(step)` runs `step` once, and PyTorch tells it of each operation. `replay()`
# runs the list again, and writes each result where the first one was: a place in memory, not a name in Python.
#
# A GPU refuses to record some operations, and this recorder refuses them for the same reasons:
#
# - **Python reads a number** out of a tensor: `.item()`, `int(...)`, `if ...`. While a graph is recorded nothing is
#   computed, so there is no number yet. An index that is a single number, a tensor of shape (), reads one too.
# - **Python hands numbers over**: a list or a `range` as an index is copied from the processor's memory, which may
#   hold something else at the next replay. So is a tensor that was made without naming a device.
# - **The size of a result depends on the data**, as with a mask as an index. The memory has to be known before.
# - **Random numbers** are drawn. The draws of a whole training are one small table, so they are made beforehand.


# %% tags=["setup"]
READ_BY_PYTHON = {"item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__", "__array__", "__format__"}
READ_BY_PYTHON |= {"cpu", "equal", "allclose"}
SIZED_BY_DATA = {"nonzero", "masked_select", "unique", "argwhere"}
MADE = {"zeros", "ones", "full", "eye", "arange", "linspace", "empty"}
DRAWN = {"rand", "randn", "randint", "randperm", "multinomial", "bernoulli", "normal", "dropout"}


def reason_to_refuse(name, args, options):
    """Why a GPU could not record the operation of this name; an empty text where it can."""
    index = args[1] if name in ("__getitem__", "__setitem__") else ()
    index = index if isinstance(index, tuple) else (index,)
    tensors = [part for part in index if isinstance(part, torch.Tensor)]
    numbers = [options.get("alpha"), options.get("value"), *(part for part in tensors if part.dim() == 0)]
    if name in READ_BY_PYTHON or any(isinstance(number, torch.Tensor) for number in numbers):
        return "Python reads a number out of a tensor: .item(), int(), if, alpha=, or an index of shape ()"
    if name in ("tensor", "as_tensor") or any(isinstance(part, (list, range)) for part in index):
        return "Python hands numbers over: a list or a range becomes a tensor, copied from the processor's memory"
    if name in MADE and "device" not in options:
        return f"torch.{name} makes a tensor in the processor's memory where no device is named"
    if name in SIZED_BY_DATA or any(part.dtype == torch.bool for part in tensors):
        return "how many numbers come out depends on the data, as with a mask as an index"
    if name.removesuffix("_").removesuffix("_like") in DRAWN:
        return "random numbers are drawn; all that this training needs were drawn before"
    return ""


def tensors_of(output):
    """The tensors that an operation gave, in a list."""
    outputs = output if isinstance(output, (tuple, list)) else [output]
    return [tensor for tensor in outputs if isinstance(tensor, torch.Tensor)]


class Recording(TorchFunctionMode):
    """A CUDA graph without CUDA: it knows the operations of one step, and the memory that they read and write."""

    def __init__(self, step):
        super().__init__()
        self.calls = []
        with self:
            step()

    def __torch_function__(self, operation, types, args=(), kwargs=None):
        name, options = getattr(operation, "__name__", ""), kwargs or {}
        if reason := reason_to_refuse(name, args, options):
            raise RuntimeError(f"This cannot be recorded, because {reason}.")
        output = operation(*args, **options)
        if tensors_of(output) or name == "__setitem__":
            self.calls.append((operation, args, options, tensors_of(output)))
        return output

    def replay(self):
        for operation, args, options, places in self.calls:
            for place, numbers in zip(places, tensors_of(operation(*args, **options)), strict=True):
                if place.data_ptr() != numbers.data_ptr():
                    place.copy_(numbers)


def replayed(step, times):
    """Make `times` steps: the first is recorded, the others are replays."""
    recording = Recording(step)
    for _ in range(times - 1):
        recording.replay()


# %% [markdown]
# ### Idea: a number of Python is frozen, a number in a tensor is not
#
# Add up 1, 2, 4 and 8, one number in a step. The first step below counts in Python. The second one has its counter in
# a tensor of shape (1,), and moves it with an operation, so the counting is recorded as well.

# %%
numbers = torch.tensor([1.0, 2.0, 4.0, 8.0])
by_python, by_tensor = torch.zeros(()), torch.zeros(1)
turn, turns = 0, torch.zeros(1, dtype=torch.int64)


def careless_step():
    global turn
    by_python.add_(numbers[turn])
    turn += 1


def careful_step():
    by_tensor.add_(numbers[turns])
    turns.add_(1)


replayed(careless_step, 4)
replayed(careful_step, 4)
print("counted in Python:", by_python.item(), "  counted in a tensor:", by_tensor.item())

# %% [markdown]
# The first gives 4: four times the number 1. The second gives
# 15, which is right.
#
# ## All that a step needs, in fixed memory
#
# `new_static(steps, seed)` makes the tensors that a training of so many steps lives in. They stay where they are; only
# their numbers change. The step gets them as a dictionary, `static`:
#
# | key | shape | what it holds |
# |---|---|---|
# | `"parameters"` | a list of seven | C, W1, b1, W2, b2, bngain, bnbias, with the shapes of exercise 4 |
# | `"X"`, `"Y"` | (rows, 3), (rows,) | the contexts and labels of all training names |
# | `"batches"` | (steps, 32) | for each step the row numbers of its batch, drawn beforehand |
# | `"rates"` | (steps,) | for each step its learning rate: 0.1 in the first half, then 0.01 |
# | `"losses"` | (steps,) | where each step writes its loss; zeros at first |
# | `"counter"` | (1,) | which step is due, as an integer; 0 at first |
# | `"eye"` | (27, 27) | ones on the diagonal: `eye[Yb]` are the labels as one-hot rows |

# %% tags=["setup"]
Xtr, Ytr = build_dataset(split_names(load_names(alphabet=alphabet))[0], block_size, alphabet)
vocab_size = len(alphabet) + 1


def new_static(steps, seed, n=batch_size, where=device):
    """The tensors of a training that is about to begin, on the device `where`."""
    g = torch.Generator().manual_seed(seed)
    kind = getattr(torch, dtype)
    inputs = n_embd * block_size
    shapes = [(vocab_size, n_embd), (inputs, n_hidden), (n_hidden,), (n_hidden, vocab_size), (vocab_size,)]
    shapes += [(1, n_hidden), (1, n_hidden)]
    scales = [1.0, (5 / 3) / inputs**0.5, 0.1, 0.1, 0.1, 0.1, 0.1]
    drawn = [torch.randn(shape, generator=g, dtype=kind) * scale for shape, scale in zip(shapes, scales, strict=True)]
    drawn[5] += 1.0  # bngain
    rates = [learning_rates[0] if step < steps / 2 else learning_rates[1] for step in range(steps)]
    return {
        "parameters": [tensor.to(where) for tensor in drawn],
        "X": Xtr.to(where),
        "Y": Ytr.to(where),
        "batches": torch.randint(0, len(Xtr), (steps, n), generator=g).to(where),
        "rates": torch.tensor(rates, dtype=kind).to(where),
        "losses": torch.zeros(steps, dtype=kind).to(where),
        "counter": torch.zeros(1, dtype=torch.int64).to(where),
        "eye": torch.eye(vocab_size, dtype=kind).to(where),
    }


# %% [markdown]
# And this is the step as most people write it: Python counts and autograd computes the gradients. It makes the same
# moves as yours has to make, so yours is compared with it, and its forward pass is yours to copy. It cannot be
# recorded, for several of the reasons above.


# %% tags=["setup"]
def autograd_step(static, step):
    C, W1, b1, W2, b2, bngain, bnbias = static["parameters"]
    for p in static["parameters"]:
        p.requires_grad_(True)
        p.grad = None
    ix = static["batches"][step]  # (32,)
    Xb, Yb = static["X"][ix], static["Y"][ix]  # (32, 3) and (32,)
    n = ix.shape[0]
    emb = C[Xb]  # (32, 3, 10)
    embcat = emb.view(n, -1)  # (32, 30)
    hprebn = embcat @ W1 + b1  # (32, 200)
    bnmean = hprebn.mean(0, keepdim=True)  # (1, 200)
    bndiff = hprebn - bnmean  # (32, 200)
    bnvar = 1 / (n - 1) * (bndiff**2).sum(0, keepdim=True)  # (1, 200)
    bnvar_inv = (bnvar + 1e-5) ** -0.5  # (1, 200)
    bnraw = bndiff * bnvar_inv  # (32, 200)
    hpreact = bngain * bnraw + bnbias  # (32, 200)
    h = torch.tanh(hpreact)  # (32, 200)
    logits = h @ W2 + b2  # (32, 27)
    loss = F.cross_entropy(logits, Yb)  # ()
    loss.backward()
    rate = learning_rates[0] if step < len(static["rates"]) / 2 else learning_rates[1]
    with torch.no_grad():
        for p in static["parameters"]:
            p -= rate * p.grad
        static["losses"][step] = loss


# %% [markdown]
# # The step, in four functions
#
# Each is graded alone. The grader runs them once as they are, and once recorded and replayed.
#
# ## row_at_counter
#
# `table` has a row, or a single number, for each step, and `counter` is a tensor of shape (1,). From a table (4, 32)
# you return the row that is due, (32,). From a table (4,) you return the number that is due, (). With counter = 2 and
# the table 5, 6, 7, 8 that is 7.
#
# Ask yourself: `counter` is a tensor of shape (1,). Which way of indexing `table` needs no number in Python?

# %% tags=["backward"]
def row_at_counter(table, counter):
    """The row of `table` that `counter`, of shape (1,), points to, found without Python."""
    ...

# %% [markdown]
# ## write_at_counter
#
# The opposite: write `value`, a tensor of shape (), to the place in `table` that `counter` points to. It returns
# nothing. The table (4,) with zeros, the counter 2 and the value 9 becomes 0, 0, 9, 0.
#
# Ask yourself: does your line change the memory of `table` (4,), or does it make a new tensor?

# %% tags=["backward"]
def write_at_counter(table, counter, value):
    """Write `value`, of shape (), into `table` where `counter`, of shape (1,), points to."""
    ...

# %% [markdown]
# ## move_parameters
#
# One step of descent: each parameter minus `rate` times its gradient, in place. It returns nothing. `rate` is a tensor
# of shape (), because the learning rate is another one later. A parameter (4, 2), the gradient (2, 2) and the rate 0.1
# become (3.8, 1.8).
#
# Ask yourself: `p.sub_(gradient, alpha=rate)` was right in exercise 4, where the rate was a number. What would
# Python have to do first if `rate` is a tensor ()?

# %% tags=["backward"]
def move_parameters(parameters, gradients, rate):
    """Move each parameter in place against its gradient; `rate` is a tensor of shape ()."""
    ...

# %% [markdown]
# ## captured_step
#
# Now the whole step. It picks the batch that is due, runs the forward pass and your backward pass of exercise 4, moves
# the parameters by the rate that is due, writes the loss, and at last adds 1 to the counter. It returns nothing: all
# it does is to change numbers in `static`. Call your three functions, or write their lines here once more; then a slip
# in one of them costs nothing here.
#
# Two lines of an exercise 4 are often not ready for this: `dlogits[range(n), Yb] -= 1` hands a `range` over, so
# subtract `static["eye"][Yb]` in its place. And a loop over all places of `Xb` for `dC` reads each of them in Python;
# `index_add_` does the same in one operation. (A tensor that you make on the way needs the device of the others:
# `torch.zeros_like(C)` has it, `torch.arange(n)` has not. On a machine without a GPU nobody can see the difference.)
#
# Ask yourself at each line, from `ix` (32,) to the counter (1,): would this still be right if Python's numbers
# stayed as they are now?

# %% tags=["backward"]
def captured_step(static):
    """One step of training: everything that it reads and changes is in `static`, and Python decides nothing."""
    ...

# %% [markdown]
# ## Try it
#
# Four steps of yours beside four of autograd, from the same start: once as they are, and once recorded and replayed.
# Each line shows the largest difference, and both should be rounding, below 1e-5.

# %%
expected, plain, recorded = (new_static(4, seed) for _ in range(3))
for step in range(4):
    autograd_step(expected, step)
    captured_step(plain)
written = plain["counter"].item() == 4
if written:
    try:
        replayed(lambda: captured_step(recorded), 4)
    except RuntimeError as refusal:
        print(refusal)
    for name, *three in zip(
        ["losses", "C", "W1", "b1", "W2", "b2", "bngain", "bnbias"],
        *([static["losses"], *static["parameters"]] for static in (expected, plain, recorded)),
        strict=True,
    ):
        true, ours, again = (tensor.detach() for tensor in three)
        print(f"{name:7} as it is: {(ours - true).abs().max():.1e}   replayed: {(again - true).abs().max():.1e}")
else:
    print("captured_step is not written yet, or does not move the counter.")

# %% [markdown]
# A step written as in the hints is a list of 77 operations. In the loop of exercise 4 Python asks for each of them,
# in each of the 200,000 steps. A replay on a GPU asks once for all.
#
# A thousand replays, and their losses. With the right step the mean of the last 100 is near 2.60, as in exercise 4.

# %%
from grader import plots

if written:
    static = new_static(1000, seed)
    recording = Recording(lambda: captured_step(static))
    for _ in range(999):
        recording.replay()
    print(f"{len(recording.calls)} operations   last 100 losses: {static['losses'][-100:].mean():.4f}")
    plots.show(plots.loss_curve(static["losses"].tolist()))
else:
    print("captured_step is not written yet: there is nothing to draw.")

# %% [markdown]
# ## On a GPU
#
# The real thing has the same two parts. `torch.cuda.graph(graph)` records what runs below it, and `graph.replay()` is
# one call. Three steps come before, on a stream of their own, because libraries set themselves up when they are first
# used, and that cannot be recorded. These three steps count: they move the parameters and the counter. What runs
# while the graph is recorded is not computed, so the counter does not move there.


# %% tags=["setup"]
import time


def captured(step):
    """A CUDA graph of `step`, after three steps that are really made."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph


def steps_a_second(step, steps):
    """How many steps a second the GPU makes; it is waited for before and after."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    torch.cuda.synchronize()
    return steps / (time.perf_counter() - start)


def race(step, steps=2000):
    """Steps a second by autograd and by a graph of `step`, each after three steps, and what both leave behind."""
    by_autograd, by_graph = (new_static(steps + 3, seed, where="cuda") for _ in range(2))
    turns = iter(range(steps + 3))
    for _ in range(3):
        autograd_step(by_autograd, next(turns))
    eager = steps_a_second(lambda: autograd_step(by_autograd, next(turns)), steps)
    graph = captured(lambda: step(by_graph))
    return eager, steps_a_second(graph.replay, steps), by_autograd, by_graph


# %% [markdown]
# The next cell races the two on your GPU. This text was written on a machine without one, so no speed stands here: the
# cell prints yours. With tensors as small as these, expect the graph to make at least five times as many steps a
# second. If it does not, something else than Python holds your GPU up.

# %%
if not written:
    print("captured_step is not written yet: there is nothing to capture.")
elif not torch.cuda.is_available():
    print("PyTorch finds no CUDA GPU here, so this one cell is skipped. All that is graded needs none.")
else:
    eager, replays, by_autograd, by_graph = race(captured_step)
    print(f"steps a second: autograd {eager:,.0f}, graph {replays:,.0f}, that is {replays / eager:.1f} times as many")
    ends = [static["losses"][-100:].mean().item() for static in (by_autograd, by_graph)]
    print(f"mean of the last 100 losses: autograd {ends[0]:.4f}, graph {ends[1]:.4f}")

# %% [markdown]
# ## What to take along
#
# - Small operations leave a GPU waiting for Python. A graph asks once for all of them.
# - A recording freezes what Python holds. What changes from step to step belongs into a tensor, the counter too.
# - A graph works on fixed memory: change tensors in place, and keep the ones that it was recorded with.
# - `.item()`, `if loss > ...`, a mask as an index: each makes Python wait for the GPU. That costs time without a graph
#   as well, so look for them in any loop that is slower than it should be.
# - A loss that falls faster than ever is a reason to look at the batches.
#
# Grade the file with `dojo grade`. This was the last lesson of makemore. Next on the map is [the
# classifier](../classifier/ex1_digits.ipynb), which reads handwritten digits. [The
# transformer](../transformer/ex1_softmax.ipynb) goes on to a small GPT, whose step could be recorded in the same
# way.

# %% [markdown]
# The last cell is for the grader: it says what is graded, and on which cases.

# %% [raw] tags=["grading"]
# optional = True
# targets = ["row_at_counter", "write_at_counter", "move_parameters", "captured_step"]
#
#
# def row_at_counter(table, counter):
#     return table[counter.item()].clone()
#
#
# def write_at_counter(table, counter, value):
#     table[counter.item()] = value
#
#
# def move_parameters(parameters, gradients, rate):
#     for p, gradient in zip(parameters, gradients, strict=True):
#         p -= rate * gradient
#
#
# def captured_step(static):
#     with torch.enable_grad():
#         step = static["counter"].item()
#         autograd_step(static, step)
#         static["counter"] += 1
#     for p in static["parameters"]:
#         p.requires_grad_(False)
#
#
# def replayed(step, times):
#     """The truth needs no recording: the reference computes every step."""
#     for _ in range(times):
#         step()
#
#
# def cases(generator):
#     def tensor(*shape):
#         numbers = torch.randn(shape, generator=generator, dtype=torch.float64).round(decimals=2).tolist()
#         return f"torch.tensor({numbers}, dtype=torch.float64)"
#
#     def program(*lines):
#         return "\n".join(lines)
#
#     for shape, said in (((4,), "a table of numbers"), ((4, 3), "a table of rows")):
#         result = "result = row_at_counter(table, torch.tensor([2]))"
#         yield f"row_at_counter, {said}", program(f"table = {tensor(*shape)}", result)
#     lines = [f"table, total, counter = {tensor(4, 3)}, torch.zeros(3, dtype=torch.float64), torch.tensor([0])"]
#     lines += ["def step():", "    total.add_(row_at_counter(table, counter) * (counter + 1))", "    counter.add_(1)"]
#     yield "row_at_counter, recorded once and replayed", program(*lines, "replayed(step, 4)", "result = total")
#
#     value = "torch.tensor(0.75, dtype=torch.float64)"
#     lines = [f"table = {tensor(4)}", f"write_at_counter(table, torch.tensor([1]), {value})", "result = table"]
#     yield "write_at_counter, into a table", program(*lines)
#     lines = [f"table, value, counter = {tensor(4)}, {value}, torch.tensor([0])", "def step():"]
#     lines += ["    write_at_counter(table, counter, value)", "    value.mul_(2)", "    counter.add_(1)"]
#     yield "write_at_counter, recorded once and replayed", program(*lines, "replayed(step, 3)", "result = table")
#
#     rate = "torch.tensor(0.25, dtype=torch.float64)"
#     drawn = [f"p, q, dp, dq = {tensor(2, 3)}, {tensor(3)}, {tensor(2, 3)}, {tensor(3)}", f"rate = {rate}"]
#     both = "result = torch.cat([p.flatten(), q])"
#     yield "move_parameters, once", program(*drawn, "move_parameters([p, q], [dp, dq], rate)", both)
#     lines = [*drawn, "def step():", "    move_parameters([p, q], [dp, dq], rate)", "    rate.mul_(0.5)"]
#     yield "move_parameters, recorded once and replayed", program(*lines, "replayed(step, 3)", both)
#
#     start = "static = new_static({steps}, {seed}, {n})"
#
#     def draw(steps, n=8):
#         return start.format(steps=steps, seed=int(torch.randint(1000, (), generator=generator)), n=n)
#
#     yield "captured_step, the losses of a first step", program(
#         draw(2), "captured_step(static)", 'result = static["losses"]'
#     )
#     yield "captured_step, the counter after two steps", program(
#         draw(3), "captured_step(static)", "captured_step(static)", 'result = static["counter"]'
#     )
#     for place, name in enumerate(["C", "W1", "b1", "W2", "b2", "bngain", "bnbias"]):
#         lines = [draw(2), f'kept = static["parameters"][{place}]', "captured_step(static)", "result = kept"]
#         yield f"captured_step, {name} after one step", program(*lines)
#     steps = "for step in range(4):\n    captured_step(static)"
#     yield "captured_step, the losses of four steps", program(draw(4), steps, 'result = static["losses"]')
#     replays = "replayed(lambda: captured_step(static), 4)"
#     yield "captured_step, recorded once and replayed: losses", program(draw(4), replays, 'result = static["losses"]')
#     kept = 'kept = static["parameters"][3]'
#     yield "captured_step, recorded once and replayed: W2", program(draw(4, 5), kept, replays, "result = kept")

# %% [markdown] tags=["hint"]
# <details>
# <summary>row_at_counter: hint 1</summary>
#
# `table[2]` needs a number. What does `table[counter]` give when counter is a tensor of shape (1,), and which shape
# has it?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>row_at_counter: hint 2</summary>
#
# An index of shape (1,) picks one row and keeps a first dimension of size 1: (1, 32). Take that dimension away. The 0
# that you need for it is the same in each step, so it may be frozen.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>row_at_counter: hint 3</summary>
#
# For the table 5, 6, 7, 8 and the counter 2 your function must return 7, with the shape (). For a table (4, 3) it
# must return (3,). If your result is (1,) or (1, 3), the first dimension is still there.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>write_at_counter: hint 1</summary>
#
# An index that is a tensor works on the left side of an assignment as well.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>write_at_counter: hint 2</summary>
#
# The place has the shape (1,) and the value (). Broadcasting makes them fit. `table[...] = ...` writes into the memory
# that is there.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>write_at_counter: hint 3</summary>
#
# For four zeros, the counter 2 and the value 9 the table that was handed in must be 0, 0, 9, 0 afterwards. If it is
# still all zeros, your line made a new table.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>move_parameters: hint 1</summary>
#
# `alpha` is a number of Python. A product of tensors is an operation like any other.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>move_parameters: hint 2</summary>
#
# rate, (), times a gradient has the gradient's shape. The subtraction has to change p itself, so it is the one with
# the underscore, or `-=`.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>move_parameters: hint 3</summary>
#
# The parameter (4, 2) with the gradient (2, 2) and the rate 0.1 must hold (3.8, 1.8) afterwards. With the rate
# halved and a second call it must hold (3.7, 1.7).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>captured_step: hint 1</summary>
#
# Begin with the forward pass of autograd_step; only `ix` comes from elsewhere. Then your backward pass, all thirteen
# gradients, and only then the three changes: parameters, losses, counter. In which order?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>captured_step: hint 2</summary>
#
# ix (32,) is the row of static["batches"] that static["counter"] points to. n is `ix.shape[0]`: Python knows a
# shape, and it is the same in each step. dlogits (32, 27): softmax of the logits over dimension 1, minus
# static["eye"][Yb], over n. The gradients in the order of the parameters: dC, dW1, db1, dW2, db2, dbngain, dbnbias.
# The counter moves last, because the batch, the rate and the loss belong to the same step.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>captured_step: hint 3</summary>
#
# A list to check your step by. Does no line hold a `range`, a list as an index, `.item()` or an `if` about a
# tensor? Are all seven gradients computed before the first parameter moves? Do the batch, the rate and the place of
# the loss all come from `static["counter"]`, before 1 is added to it? Are parameters, losses and counter changed in
# place? If the losses are right as they are and wrong when replayed, look for what Python holds: every replay then
# writes the same loss.
#
# </details>
