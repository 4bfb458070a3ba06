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
# # Exercise 4: the training loop by hand
#
# *About 75 minutes, and a minute of training. Difficulty 3 of 5. You need exercises 1 to 3.*
#
# In exercises 1 to 3 you computed the gradients of one batch. Here you put them to work: you write the whole
# training loop, and no line of it asks autograd for anything.
#
# ## Why a loop deserves an exercise
#
# Because a wrong loop also trains. Leave out a whole term of the batchnorm gradient, and after 10,000 steps the
# loss is the same to two digits (you will see the figures below). Update `W2` before you compute `dh`, and the
# curve still falls. Nobody looks for a bug in a curve that falls. So here the numbers are compared, step by step,
# with a loop that uses autograd.
#
# ## What you do
#
# The network is the same as before, with one change: the hidden layer has 200 units instead of 64. That makes
# 12,297 parameters in seven tensors. One step of the loop takes a
# batch of 32 examples, computes the loss, computes the gradients of the seven tensors, and moves each tensor a
# little against its gradient. After 200,000 such steps the network makes up names that look like names.
#
# There is one thing to fill in: the cell that now says `losses = ...`. Your own lines from the earlier exercises
# are most of what you need:
#
# - exercise 2 gives `dlogits` in one step;
# - exercise 1 gives the matrix products, the tanh, the gain and bias, and the embedding table;
# - exercise 3 gives `dhprebn` in one step.
#
# Check the gradients of a single step with `cmp` first; there is a place for it. Then `dojo grade` runs your loop
# for a few steps beside the same loop with autograd, both from the same generator. It compares the loss of each
# step and the seven parameters after it, and names the first step and the first parameter that are not the same.
# `dojo train` runs your loop in full, draws the loss curve and samples names.
#
# <!-- dojo: makemore/ex4_training -->

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

from grader import build_dataset, cmp, live_losses, load_names, split_names, tqdm

# %% [markdown]
# ## Sizes
#
# Two settings are new. `max_steps` is how many steps the loop makes. `learning_rates` holds two rates: the
# first is for the first half of the steps, the second for the rest.

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
alphabet = "abcdefghijklmnopqrstuvwxyz"
block_size = 3
batch_size = 32
n_embd = 10
n_hidden = 200
max_steps = 200_000
learning_rates = [0.1, 0.01]

# %% [markdown]
# ## Data and parameters
#
# The names are split into three parts. The loop sees only the training part. The validation part shows at
# the end whether the network learned something that also holds for names that it never saw.

# %% tags=["setup"]
words = load_names(alphabet=alphabet)
train_words, validation_words, test_words = split_names(words)
Xtr, Ytr = build_dataset(train_words, block_size, alphabet)
Xval, Yval = build_dataset(validation_words, block_size, alphabet)
itos = dict(enumerate("." + alphabet))
stoi = {symbol: index for index, symbol in itos.items()}
vocab_size = len(itos)

# %% [markdown]
# The seven parameter tensors are drawn as in exercise 1, from a generator with a fixed seed. They stand in
# the list `parameters` in this order:
#
# | position | name | shape |
# |---|---|---|
# | 0 | `C` | (27, 10) |
# | 1 | `W1` | (30, 200) |
# | 2 | `b1` | (200,) |
# | 3 | `W2` | (200, 27) |
# | 4 | `b2` | (27,) |
# | 5 | `bngain` | (1, 200) |
# | 6 | `bnbias` | (1, 200) |
#
# Your loop asks autograd for no gradient, so it needs no graph.

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


C = draw(vocab_size, n_embd)
W1 = draw(n_embd * block_size, n_hidden) * (5 / 3) / (n_embd * block_size) ** 0.5
b1 = draw(n_hidden) * 0.1
W2 = draw(n_hidden, vocab_size) * 0.1
b2 = draw(vocab_size) * 0.1
bngain = draw(1, n_hidden) * 0.1 + 1.0
bnbias = draw(1, n_hidden) * 0.1
parameters = [C, W1, b1, W2, b2, bngain, bnbias]

n = batch_size

# %% [markdown]
# ## The forward pass of one step
#
# These are the lines that your loop repeats, the draw of the batch included. Here they run once, on one batch, so
# that you can look at every tensor. Batchnorm is written in four lines, with Bessel's correction: the sum of
# squares is divided by n - 1. The last line goes from the logits to the loss in one call.
#
# For this one step PyTorch's gradients are computed as well, so that `cmp` can compare yours with them. The next
# cell asks for them.

# %%
for p in parameters:
    p.requires_grad_(True)

# %% tags=["forward"]
ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)  # (32,)
Xb, Yb = Xtr[ix].to(device), Ytr[ix].to(device)  # (32, 3) and (32,)
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

# %%
for tensor in list(globals().values()):
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        tensor.retain_grad()
loss.backward()
for p in parameters:
    p.requires_grad_(False)  # from here on autograd is off

# %% [markdown]
# ## A figure for the first loss
#
# Before you train, know what the first loss should be. A network that knows nothing gives each of the 27 symbols
# the probability 1/27. Its loss is $-\log(1/27) = \log 27 = 3.296$.
#
# This network starts near that figure, somewhat above it: `W2` is not zero, so the logits differ a little, and
# these differences have nothing to do with the right answers yet. Expect about 3.7 on average, and between 3.1 and
# 4.3 on a single batch of 32. A first loss of 10 or 20 means that the logits are far too large. A first loss near 2
# means that the network has been trained already: run the setup cells again.

# %%
print(f"uniform guess: {torch.tensor(27.0).log().item():.4f}   this batch: {loss.item():.4f}")

# %% [markdown]
# ## The parts of the loop
#
# | part | what it does |
# |---|---|
# | before the loop | an empty list for the losses; autograd off |
# | batch | draw `ix` with the generator `g`, pick `Xb` and `Yb` |
# | forward | from `emb` to `loss` |
# | backward | from `dlogits` back to `dC`, by hand |
# | update | each parameter minus the learning rate times its gradient, in place |
# | record | append the loss to the list, as a plain number |
#
# The rest of this section goes through the parts where most mistakes are made.
#
# ### The batch: one draw a step, from `g`
#
# The grader runs its own loop from a generator in the same state and expects the same batches. So make exactly one
# call to `torch.randint` in each step, the one in the forward cell above, with `generator=g`. After a second draw,
# or a draw without `generator=g`, all later batches are other ones, and so are the losses.

# %% [markdown]
# ### The backward pass: thirteen gradients, seven of them for parameters
#
# | gradient | shape | comes from |
# |---|---|---|
# | `dlogits` | (32, 27) | exercise 2 |
# | `dh` | (32, 200) | matrix product |
# | `dW2` | (200, 27) | matrix product |
# | `db2` | (27,) | broadcast over the rows |
# | `dhpreact` | (32, 200) | tanh |
# | `dbngain` | (1, 200) | broadcast over the rows |
# | `dbnbias` | (1, 200) | broadcast over the rows |
# | `dhprebn` | (32, 200) | exercise 3 |
# | `dembcat` | (32, 30) | matrix product |
# | `dW1` | (30, 200) | matrix product |
# | `db1` | (200,) | broadcast over the rows |
# | `demb` | (32, 3, 10) | `view` |
# | `dC` | (27, 10) | indexing: rows used more than once add up |
#
# Compute all of them before you change a parameter. `dh` reads `W2`, and `dembcat` reads `W1`. If `W2` has moved
# already, `dh` belongs to a network that did not make this forward pass.
#
# ### First one step, with cmp
#
# It is hard to find the one wrong line in a loop of forty. So write the thirteen lines for the one batch above
# first, in the next cell, and compare each with PyTorch's gradient in the cell after it. Only when all thirteen say
# `approximate: True`, put them into the loop. These two cells are for you; they are not graded.

# %%
# dlogits, dh, dW2, ... down to dC, for the batch of the forward cell


# %%
for name in "logits h W2 b2 hpreact bngain bnbias hprebn embcat W1 b1 emb C".split():
    if f"d{name}" in globals():
        cmp(name, globals()[f"d{name}"], globals()[name])

# %% [markdown]
# ### Gradients and parameters in the same order
#
# The update pairs `parameters` with a list of your gradients by position. Nothing checks that position 5 holds the
# gradient of `bngain`. Broadcasting can hide a wrong order: PyTorch subtracts a (3,) tensor from a (2, 3) one
# without an error, and `dbngain` and `dbnbias` even have the same shape. The next cell shows the first case.

# %%
weight = torch.zeros(2, 3)
wrong_partner = torch.tensor([1.0, 2.0, 3.0])  # a bias gradient in the place of a weight gradient
weight -= 0.1 * wrong_partner
print(weight)  # no error; both rows have moved by the same amount
print(weight.shape == wrong_partner.shape)  # the check that would have told

# %% [markdown]
# ### The update is in place
#
# `C`, `W1` and the others are names for tensors. The list `parameters` holds the same seven tensors. An update in
# place changes the tensor, so every name for it has the new numbers. But `p = p - ...` makes an eighth tensor and
# gives it the name `p`. The network keeps its old weights, and the loss never falls.

# %%
weight = torch.tensor([1.0, 2.0])
for item in [weight]:
    item = item - 0.1 * torch.ones(2)
print("new tensor:", weight)  # still 1, 2
for item in [weight]:
    item -= 0.1 * torch.ones(2)
print("in place:  ", weight)  # 0.9, 1.9

# %% [markdown]
# ### Autograd off
#
# Put the whole loop under `with torch.no_grad():`. Then PyTorch records no graph. So it keeps no tensors for a
# backward pass that never comes, and parameters may be changed in place. The line also tells a reader at once
# that these gradients are made by hand.
#
# Store the loss with `.item()`. A list of 200,000 Python floats is small. But a list of loss tensors keeps all
# their graphs, and in this way many training loops run out of memory.
#
# ### The learning rate steps down once
#
# The rate is `learning_rates[0]` while `step` is less than `max_steps / 2`, and `learning_rates[1]` from then on.
# With `max_steps = 5` half is 2.5: the steps 0, 1 and 2 use 0.1, the steps 3 and 4 use 0.01. With 200,000 steps the
# change comes at step 100,000. Take the half from `max_steps`; do not write 100,000 into the loop. The grader picks
# steps from both halves, so both rates count.
#
# ### A progress bar
#
# `for step in tqdm(range(max_steps)):` shows how far the loop is and how many steps it makes in a second.
#
# ### The losses while they come
#
# In a notebook, `live_losses(losses)` as the last line of the loop draws the losses so far. It is one picture,
# which changes in place about once a second. Outside of a notebook it does nothing, and the grader skips it.
#
# ### Speed
#
# 200,000 steps take half a minute or several minutes on one core. A few lines make the difference:
#
# - `dC` by a double loop in Python makes 96 small additions in each step. That takes longer than all the rest
#   together. `index_add_` does the same in one call.
# - Do not compute the same sum twice. Compare the two sums in exercise 3's formula with `dbngain` and
#   `dbnbias`.
# - What does not change from step to step can be made once, before the loop: the row numbers for picking
#   the labels, or an identity matrix whose rows are the one-hot vectors.
# - Even under `no_grad` PyTorch notes each change of a tensor, because a later backward pass might ask for it. With
#   `torch.inference_mode()` in its place it does not, and a step of some eighty small operations takes a tenth less
#   time. The price: no tensor that was made there can take part in a graph later. This loop asks for none.
# - The tensors are tiny. Sharing them among several threads can take longer than the work itself, so the next cell
#   asks for one thread.

# %%
torch.set_num_threads(1)

# %% [markdown]
# ### A trial first
#
# Do not start with 200,000 steps. Copy your loop into a cell of its own, put `max_steps = 1000` above it, and run
# that. It takes about a second. Look at three things:
#
# - the first loss is a single number between 3.1 and 4.3;
# - the mean of the first 100 losses is near 3.06, the mean of the
#   last 100 near 2.60 (with the lecture's list of 32,033 names
#   2.91 and 2.45);
# - the loop makes some thousands of steps in a second.
#
# A trial changes the parameters and the generator. Before the real run, delete that cell and run the notebook again
# from its top. Then `max_steps` is 200,000 again, and training starts from fresh parameters.

# %% [markdown]
# ## losses
#
# Write the loop. `losses` is a list with one float per step: the loss of that step's batch, before the update. When
# the loop ends, the seven tensors in `parameters` hold the trained values. The `cmp` line below it compares the
# first 20 losses with those of the right loop.
#
# Ask yourself at each line of the backward pass: which tensors did the forward line read, which of them does
# another line read too, and what shape must the answer have?

# %% tags=["training"]
losses = ...


# %% tags=["standing"]
cmp("losses", losses)

# %% [markdown]
# ## Reading the loss curve
#
# One batch has 32 examples, so the loss of a single step jumps up and down by some tenths. Averages over many steps
# show the trend. The list of names in `data/` and the longer one of the lectures (`dojo data fetch`) give:
#
# | steps | mean loss | with 32,033 names |
# |---|---|---|
# | the first one alone | 3.58 | 3.57 |
# | 0 to 100 | 3.06 | 2.91 |
# | 900 to 1,000 | 2.59 | 2.45 |
# | 9,000 to 10,000 | 2.49 | 2.30 |
# | 49,000 to 50,000 | 2.37 | 2.19 |
# | 99,000 to 100,000 | 2.33 | 2.16 |
# | 101,000 to 102,000 | 2.26 | 2.11 |
# | 199,000 to 200,000 | 2.23 | 2.10 |
#
# Most of the fall happens in the first thousand steps. The small fall right after the middle is the learning rate:
# with 0.1 the parameters keep jumping around a good place, with 0.01 they settle into it.
#
# Some slips show in the curve. These were measured in runs of 20,000 steps:
#
# | slip | what the curve does |
# |---|---|
# | the update is not in place | stays at 3.7 |
# | plus instead of minus | rises at once: the mean of the first 100 is above 200 |
# | the 1/n of `dlogits` is missing | rises to 22 over the first 100 steps, and is still 2.72 near step 10,000 |
#
# Other slips leave no trace. The right loop is at 2.49 near step 10,000. With n in place of n - 1 in `dhprebn` it is
# at 2.49, too. Even without that whole term it is at 2.49. A falling loss says that most of the gradient points the
# right way, and no more than that. This is why `dojo grade` compares numbers, not curves.
#
# The next cell draws averages of your losses.

# %%
from grader import plots

trained = losses is not ... and len(losses) > 0
if trained:
    chunk = max(1, len(losses) // plots.POINTS)
    plots.show(plots.loss_curve(losses))
    print(f"first loss {losses[0]:.4f}   mean of the last {chunk}: {sum(losses[-chunk:]) / chunk:.4f}")
else:
    print("losses is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ## Reading the layers
#
# A loss curve says that something is wrong, the layers say where. The next cell makes 200 more steps on copies of
# your parameters, with batches from a generator of its own. So your parameters and `g` stay as they are. These
# steps are only for looking, so PyTorch may compute their gradients. The first 100 use the first learning rate, the
# rest the second.


# %%
def hidden_layer(copies, contexts):
    table, first, first_bias, _, _, gain, shift = copies
    before = table[contexts].view(contexts.shape[0], -1) @ first + first_bias
    normalised = (before - before.mean(0, keepdim=True)) * (before.var(0, keepdim=True) + 1e-5) ** -0.5
    scaled = gain * normalised + shift
    return before, scaled, torch.tanh(scaled)


if trained:
    watcher = torch.Generator().manual_seed(seed + 1)
    copies = [p.detach().clone().requires_grad_() for p in parameters]
    ratios = {"C": [], "W1": [], "W2": []}
    with torch.enable_grad():
        for turn in range(200):
            rows = torch.randint(0, Xtr.shape[0], (n,), generator=watcher)
            layers = hidden_layer(copies, Xtr[rows].to(device))
            scores = layers[-1] @ copies[3] + copies[4]
            watched = [*layers, scores, *copies]
            changes = torch.autograd.grad(F.cross_entropy(scores, Ytr[rows].to(device)), watched)
            rate = learning_rates[0] if turn < 100 else learning_rates[1]
            for name, position in (("C", 0), ("W1", 1), ("W2", 3)):
                ratios[name].append((rate * changes[4 + position].std() / copies[position].std()).item())
            with torch.no_grad():
                for copy, change in zip(copies, changes[4:], strict=True):
                    copy -= rate * change
    names = ["hprebn", "hpreact", "h", "logits"]
else:
    print("losses is not filled in yet: there is nothing to look at.")

# %% [markdown]
# **Activations**, of the last of these batches. `hpreact` should be a bell of width about 1, and `h` should fill
# the range from -1 to 1 without piling up at both ends.

# %%
if trained:
    plots.show(plots.histograms(dict(zip(names, watched, strict=False)), "activation"))

# %% [markdown]
# **Gradients** of the same tensors. Compare the standard deviations: layers that learn together have widths
# within a factor of about ten, and a layer whose gradients shrink to nothing has stopped learning.

# %%
if trained:
    plots.show(plots.histograms(dict(zip(names, changes, strict=False)), "gradient"))

# %% [markdown]
# **Saturation of tanh**: each line is an example, each column a hidden unit. Where a square is black, the slope of
# tanh is below 0.06, so hardly any gradient comes back. Some black is normal. But a column that is black from top
# to bottom is a unit that learns nothing from this batch: the second of the three bugs in exercise 1.

# %%
if trained:
    plots.show(plots.saturation(layers[-1]))

# %% [markdown]
# **Update to parameter**: how much of its own size a weight tensor moves in one step. About 1e-3 is healthy; far
# above it the steps are wild, far below it the tensor hardly learns. `W2` lies highest: its first numbers were
# small, so the same step is a larger share of it. At step 100 the learning rate falls to a tenth, and the ratios
# fall with it.

# %%
if trained:
    plots.show(plots.update_ratios(ratios))

# %% [markdown]
# ## What the network has learned
#
# The remaining cells are given. They also run before you have written the loop; they then show the
# untrained network, with losses like the first one above.
#
# During training, batchnorm takes mean and variance from the batch. For a single name there is no batch. So where
# do they come from? There are two ways.
#
# - **Calibration**, as here: when training has ended, measure mean and variance of every hidden unit once, over the
#   whole training set, with the trained parameters. It is exact, and it costs one more pass over the data.
# - **Running statistics**, as in `torch.nn.BatchNorm1d`: at each step move a stored mean and variance a little
#   towards those of the batch, `running = 0.9 * running + 0.1 * batch`. It costs nothing extra, and the network can
#   be used at any time. But the result is an average over the last steps, made with parameters that still moved.
#   This update is no part of the forward pass, so no gradient goes through it.

# %% tags=["evaluation"]
with torch.no_grad():
    hprebn_all = C[Xtr.to(device)].view(Xtr.shape[0], -1) @ W1 + b1  # (examples, 200)
    bnmean_all = hprebn_all.mean(0, keepdim=True)  # (1, 200)
    bnvar_all = hprebn_all.var(0, keepdim=True)  # (1, 200), with Bessel's correction
    del hprebn_all

# %% [markdown]
# With these statistics the forward pass treats each example by itself. The loss over the whole training set and
# over the validation set follows. After 200,000 steps expect 2.17 for training and
# 2.49 for validation. (With the 32,033 names of the lectures it is 2.07 and 2.11.) Why is
# the gap so wide? The list here is short, so the network sees the same names many times and begins to know them by
# heart.


# %% tags=["evaluation"]
@torch.no_grad()
def predict(X):
    all_hprebn = C[X].view(X.shape[0], -1) @ W1 + b1
    all_bnraw = (all_hprebn - bnmean_all) * (bnvar_all + 1e-5) ** -0.5
    return torch.tanh(bngain * all_bnraw + bnbias) @ W2 + b2


train_loss = F.cross_entropy(predict(Xtr.to(device)), Ytr.to(device)).item()
validation_loss = F.cross_entropy(predict(Xval.to(device)), Yval.to(device)).item()
print(f"train loss {train_loss:.4f}   validation loss {validation_loss:.4f}")

# %% [markdown]
# ## Twenty names
#
# A name starts from the context `...`. The network gives 27 probabilities, one symbol is drawn from them, and it is
# appended to the context, whose first symbol drops out. A `.` ends the name. An untrained network rarely draws it,
# so a name is cut off after 30 letters.
#
# The draws have a generator of their own, which is not `g`. So sampling never changes what the next training run
# sees. If the loss is not a finite number, there are no probabilities to draw from, and the list stays empty.


# %% tags=["evaluation"]
def sample_name(generator, longest=30):
    name = ""
    context = [0] * block_size
    while len(name) < longest:
        probabilities = F.softmax(predict(torch.tensor([context], device=device)), 1)
        drawn = torch.multinomial(probabilities.cpu(), 1, generator=generator).item()
        if drawn == 0:
            break
        name += itos[drawn]
        context = context[1:] + [drawn]
    return name


sampler = torch.Generator().manual_seed(seed + 10)
samples = [sample_name(sampler) for _ in range(20)] if abs(train_loss) < float("inf") else []
for name in samples:
    print(name)

# %% [markdown]
# ## What to take along
#
# - Compute all gradients first, then update all parameters, in place.
# - A loss that falls proves little. Check the gradients of one step before you train for an hour.
# - Know the first loss before you see it: log 27 here.
#
# ## What comes next
#
# When `dojo grade` says that all is right, run `make train` (or `dojo train`): it trains with your own loop, draws
# the loss and samples 20 names. With `dojo data fetch` it learns from the list of the lectures. Every number of it
# then went through gradients that you wrote yourself.
#
# And then? If you have a GPU, or want to know why such a loop is slow on one, [exercise 5](ex5_cuda_graph.ipynb) is
# there; it is optional. Next on the map is [the classifier](../classifier/ex1_digits.ipynb), which reads
# handwritten digits. If you would rather go straight to a GPT, begin with [the gradient of
# softmax](../transformer/ex1_softmax.ipynb). A GPT has layers that you do not know yet, such as attention and layer
# normalisation, but their gradients are made of the same few rules.

# %% [markdown]
# The last cell is for the grader: it says which optimiser your loop is compared with.

# %% [raw] tags=["grading"]
# optimizer = torch.optim.SGD(parameters, lr=1.0)
# scheduler = torch.optim.lr_scheduler.LambdaLR(
#     optimizer, lambda step: learning_rates[0] if step < max_steps / 2 else learning_rates[1]
# )

# %% [markdown] tags=["hint"]
# <details>
# <summary>losses: hint 1</summary>
#
# Start from the forward cell. Put it under `for step in ...`, and add nothing else until the losses print.
# Then walk back from `loss`, line by line. For each forward line write the gradient of everything that it
# reads. Which three of your earlier results stand in for many atoms? Only when all thirteen gradients have
# the shapes in the table, write the update.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>losses: hint 2</summary>
#
# The rules, with shapes. `dlogits` (32, 27): softmax of the logits, minus one at each label, over n. The product `h
# @ W2` gives two more products: (32, 27) @ (27, 200) for `dh`, and (200, 32) @ (32, 27) for `dW2`. The product with
# `W1` does the same with its own sizes. `b2`, `b1`, `bngain` and `bnbias` were broadcast over the 32 rows, so their
# gradients are sums over dimension 0; the last two keep that dimension. Tanh: one minus the square of `h`, times
# `dh`. `dhprebn` (32, 200) is exercise 3's formula, and its two sums are `dbnbias` and `dbngain`. `dembcat` becomes
# `demb` with the shape of `emb`. `dC` starts as zeros (27, 10), and 96 rows of 10 numbers are added into it.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>losses: hint 3</summary>
#
# A list to check your loop by. Is `losses` an empty list before it? Does one step draw one batch, from `g`? Are all
# thirteen gradients computed before the first update, and do they pass `cmp` for one step? Does the list of
# gradients have the order of `parameters`: C, W1, b1, W2, b2, bngain, bnbias? Does the rate fall at `max_steps /
# 2`? Is the update in place, with a minus? Is the last line of a step the loss as a float? With the first two sums
# as `dbnbias` and `dbngain`, exercise 3's bracket is `dhpreact` minus `dbnbias` over n, minus `bnraw` times
# `dbngain` over n - 1; the factor in front is then without the n.
#
# </details>
