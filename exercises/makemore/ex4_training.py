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
# In exercises 1 to 3 you computed the gradients of one batch. Here you put them to work: you write the
# whole training loop, and no line of it asks autograd for anything.
#
# The network is the same as before, with one change: the hidden layer has 200 units instead of 64. That
# makes 12,297 parameters in seven tensors. One step of the loop takes a batch of 32 examples, computes the
# loss, computes the gradients of the seven tensors, and moves each tensor a little against its gradient.
# After 200,000 such steps the network makes up names that look like names.
#
# There is one thing to fill in: the cell that now says `losses = ...`. Your own lines from the earlier
# exercises are most of what you need:
#
# - exercise 2 gives `dlogits` in one step;
# - exercise 1 gives the matrix products, the tanh, the gain and bias, and the embedding table;
# - exercise 3 gives `dhprebn` in one step.
#
# There is no `cmp` line in this exercise. `dojo grade` runs your loop for a few steps beside the same loop
# with autograd, both from the same generator. It compares the loss of each step and the seven parameters
# after it, and it names the first step and the first parameter that depart. `dojo train` runs your loop in
# full, draws the loss curve and samples names.
#
# <!-- dojo: makemore/ex4_training -->

# %% tags=["colab"]
import sys

if "google.colab" in sys.modules:  # only on Google Colab, which brings torch
    from importlib.util import find_spec

    light = "click jinja2 jupytext mdit_py_plugins msgspec nbformat platformdirs pyyaml restrictedpython rich safetensors tqdm watchfiles".split()
    missing = " ".join(name for name in light if find_spec(name) is None)
    # %pip install -q --no-deps backprop-dojo {missing}

# %% tags=["setup"]
import torch
import torch.nn.functional as F
from tqdm import tqdm

from grader import build_dataset, live_losses, load_names, split_names

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
# None of them asks autograd for a gradient. Nothing in this exercise needs a graph.

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
# These are the lines that your loop repeats, the draw of the batch included. Here they run once, on one
# batch, so that you can look at every tensor. Batchnorm is written in four lines, with Bessel's correction:
# the sum of squares is divided by n - 1. The last line goes from the logits to the loss in one call.

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

# %% [markdown]
# ## A figure for the first loss
#
# Before you train, know what the first loss should be. A network that knows nothing gives each of the 27
# symbols the probability 1/27. Its loss is $-\log(1/27) = \log 27 = 3.296$.
#
# This network starts near that figure, somewhat above it: `W2` is not zero, so the logits differ a little,
# and the differences have nothing to do with the right answers yet. Expect about 3.6 on average, and
# between 3.1 and 4.3 on a single batch of 32. A first loss of 10 or 20 would mean that the logits are far
# too large. A first loss near 2 would mean that the network has been trained already: run the setup cells
# again.

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
# The rest of this section goes through the parts that tend to go wrong.
#
# ### The batch: one draw a step, from `g`
#
# The grader runs its own loop from a generator in the same state and expects the same batches. So each step
# makes exactly one call to `torch.randint`, the one in the forward cell above, with `generator=g`. A second
# draw, or a draw without `generator=g`, gives other batches from that step on, and so other losses.

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
# Compute all of them before you change a parameter. `dh` reads `W2`, and `dembcat` reads `W1`. If `W2` has
# moved already, `dh` belongs to a network that did not make this forward pass.
#
# ### Gradients and parameters in the same order
#
# The update pairs `parameters` with a list of your gradients by position. Nothing checks that position 5
# holds the gradient of `bngain`. Broadcasting can hide a wrong order: a (3,) tensor can be subtracted from
# a (2, 3) one without a complaint, and `dbngain` and `dbnbias` even have the same shape. The next cell
# shows the first case.

# %%
weight = torch.zeros(2, 3)
wrong_partner = torch.tensor([1.0, 2.0, 3.0])  # a bias gradient in the place of a weight gradient
weight -= 0.1 * wrong_partner
print(weight)  # no error; both rows have moved by the same amount
print(weight.shape == wrong_partner.shape)  # the check that would have told

# %% [markdown]
# ### The update is in place
#
# `C`, `W1` and the others are names for tensors. The list `parameters` holds the same seven tensors. An
# update in place changes the tensor, and every name for it sees the new numbers. `p = p - ...` makes an
# eighth tensor and gives it the name `p`; the network keeps its old weights and the loss never falls.

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
# The whole loop stands under `with torch.no_grad():`. Then PyTorch records no graph: it keeps no tensor
# alive for a backward pass that never comes, and it permits in-place changes of tensors that ask for
# gradients. The parameters here do not ask for any, so the line is a guard. It also says to a reader what
# the loop is about.
#
# Store the loss with `.item()`. A list of 200,000 Python floats is small. A list of tensors, recorded with
# their graphs, is how training loops run out of memory.
#
# ### The learning rate steps down once
#
# The rate is `learning_rates[0]` while `step` is less than `max_steps / 2`, and `learning_rates[1]` after
# that. With `max_steps = 5` half is 2.5: the steps 0, 1 and 2 use 0.1, the steps 3 and 4 use 0.01. With
# 200,000 steps the change comes at step 100,000. Take the half from `max_steps`; do not write 100,000 into
# the loop. The grader picks steps from both halves, so both rates count.
#
# ### A progress bar
#
# `for step in tqdm(range(max_steps)):` shows how far the loop is and how many steps it makes in a second.
#
# ### The losses while they come
#
# In a notebook, `live_losses(losses)` as the last line of the loop draws the losses so far. It is one picture,
# which changes in place about once a second. Outside of a notebook it does nothing, and the grader passes it over.
#
# ### Speed
#
# 200,000 steps take half a minute or several minutes on one core, and the difference is in a few lines:
#
# - `dC` by a double loop in Python makes 96 small additions a step. It costs more than all the rest
#   together. `index_add_` does the same in one call.
# - Do not compute the same sum twice. Compare the two sums in exercise 3's formula with `dbngain` and
#   `dbnbias`.
# - What does not change from step to step can be made once, before the loop: the row numbers for picking
#   the labels, or an identity matrix whose rows are the one-hot vectors.
# - The tensors are tiny. Handing them to several threads can cost several times more than it brings, so the
#   next cell asks for one thread.

# %%
torch.set_num_threads(1)

# %% [markdown]
# ### A trial first
#
# Do not start with 200,000 steps. Copy your loop into a scratch cell, put `max_steps = 1000` above it, and
# run that. It takes a second or less. Look at three things:
#
# - the first loss is a single number between 3.1 and 4.3;
# - the mean of the first 100 losses is near 2.9, the mean of the last 100 near 2.5;
# - the loop makes some thousands of steps in a second.
#
# A trial moves the parameters and the generator. Before the real run, delete the scratch cell and run the
# notebook again from its top, so that `max_steps` is 200,000 again and training starts from fresh
# parameters.

# %% [markdown]
# ## losses
#
# Write the loop. `losses` is a list with one float per step: the loss of that step's batch, before the
# update. When the loop ends, the seven tensors in `parameters` hold the trained values.
#
# Ask yourself at each line of the backward pass: which tensors did the forward line read, and what shape
# must the answer have?

# %% tags=["training"]
losses = ...

# %% [markdown]
# ## Reading the loss curve
#
# One batch has 32 examples, so the loss of a single step jumps up and down by some tenths. Averages over
# many steps show the trend. With the full list of 32,033 names a healthy run looks like this:
#
# | steps | mean loss |
# |---|---|
# | the first one alone | about 3.6 |
# | 0 to 100 | 2.9 |
# | 900 to 1,000 | 2.45 |
# | 9,000 to 10,000 | 2.30 |
# | 49,000 to 50,000 | 2.19 |
# | 99,000 to 100,000 | 2.16 |
# | 101,000 to 102,000 | 2.11 |
# | 199,000 to 200,000 | 2.10 |
#
# Most of the fall happens in the first thousand steps. The small fall right after the middle is the
# learning rate: with 0.1 the parameters keep jumping about around a good place, with 0.01 they settle into
# it.
#
# Some slips show in the curve. These were measured with the same list and seed, in runs of 20,000 steps:
#
# | slip | what the curve does |
# |---|---|
# | the update is not in place | stays at 3.69 |
# | plus instead of minus | rises at once: the mean of the first 100 is 250 |
# | the 1/n of `dlogits` is missing | 3.5 over the first 100 steps, and still 2.58 near step 10,000 |
#
# Other slips leave no trace. With n in place of n - 1 in `dhprebn` the mean near step 10,000 is 2.30, the
# same as for the right loop. Even without that whole term it is 2.30. A falling loss says that most of the
# gradient points the right way, and no more than that. This is why `dojo grade` compares numbers, not
# curves.
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
# A loss curve says that something is wrong, the layers say where. The next cell takes 200 more steps on copies
# of your parameters, with batches from a generator of its own: your parameters and `g` stay as they are. These
# steps are for looking only, so PyTorch computes their gradients. The first 100 use the first learning rate,
# the rest use the second.


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
# **Saturation of tanh**: one line an example, one column a hidden unit. Where a square is black, the slope of
# tanh is below 0.06 and hardly any gradient comes back; some black is normal, a column that is black from top
# to bottom is a unit that no longer learns from this batch.

# %%
if trained:
    plots.show(plots.saturation(layers[-1]))

# %% [markdown]
# **Update to parameter**: how much of its own size a weight tensor moves in one step. About 1e-3 is healthy; far
# above it the steps are wild, far below it the tensor hardly learns. `W2` lies highest: it was drawn small, so the
# same step is a larger share of it. At step 100 the learning rate falls to a tenth, and the ratios fall with it.

# %%
if trained:
    plots.show(plots.update_ratios(ratios))

# %% [markdown]
# ## What the network has learned
#
# The remaining cells are given. They also run before you have written the loop; they then show the
# untrained network, with losses like the first one above.
#
# During training, batchnorm takes mean and variance from the batch. For a single name there is no batch. So
# the mean and the variance of every hidden unit are now measured once, over the whole training set, with
# the trained parameters.

# %% tags=["evaluation"]
with torch.no_grad():
    hprebn_all = C[Xtr.to(device)].view(Xtr.shape[0], -1) @ W1 + b1  # (examples, 200)
    bnmean_all = hprebn_all.mean(0, keepdim=True)  # (1, 200)
    bnvar_all = hprebn_all.var(0, keepdim=True)  # (1, 200), with Bessel's correction
    del hprebn_all

# %% [markdown]
# With these statistics the forward pass treats each example on its own. The loss over the whole training
# set and over the validation set follows. With the full list and 200,000 steps, expect about 2.07 for
# training and 2.11 for validation. With a shorter list the gap between the two is wider: the network sees
# the same names many more times and begins to know them by heart.


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
# A name starts from the context `...`. The network gives 27 probabilities, one symbol is drawn from them,
# and it moves into the context from the right. The draw of `.` ends the name. An untrained network rarely
# draws it, so a name is cut off after 30 letters.
#
# The generator for the draws is passed in, and it is not `g`: sampling never changes what the next training
# run sees. If the loss is not a finite number, there are no probabilities to draw from, and the list stays
# empty.


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

# %% [markdown] tags=["hint"]
# <details>
# <summary>losses: hint 1</summary>
#
# Start from the forward cell. Put it under `for step in ...`, and add nothing else until the losses print.
# Then walk back from `loss`, line by line. For each forward line write the gradient of everything that it
# read. Which three of your earlier results stand in for many atoms? Only when all thirteen gradients have
# the shapes in the table, write the update.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>losses: hint 2</summary>
#
# The rules, with shapes. `dlogits` (32, 27): softmax of the logits, minus one at each label, over n. A
# product `h @ W2` sends (32, 27) times (27, 200) to `dh`, and (200, 32) times (32, 27) to `dW2`; the
# product with `W1` does the same with its own sizes. `b2`, `b1`, `bngain` and `bnbias` were broadcast over
# the 32 rows, so their gradients sum over dimension 0; the last two keep that dimension. Tanh: one minus
# the square of `h`, times `dh`. `dhprebn` (32, 200) is exercise 3's formula, and the two sums in it are
# `dbnbias` and `dbngain`. `dembcat` becomes `demb` by going back to the shape of `emb`. `dC` starts as
# zeros (27, 10), and 96 rows of 10 numbers are added into it.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>losses: hint 3</summary>
#
# Nearly all of it, in order. Make the empty list. Under `torch.no_grad()`, loop over `tqdm` of the range of
# `max_steps`. Repeat the forward cell. Take the softmax of the logits over dimension 1, subtract the
# one-hot rows of the labels `Yb`, divide by n. Multiply it by `W2` transposed for `dh`; multiply `h`
# transposed by it for `dW2`; sum it over the rows for `db2`. Then the tanh. Sum `bnraw` times `dhpreact`
# over the rows for `dbngain`, and `dhpreact` alone for `dbnbias`, both with `keepdim=True`. For `dhprebn`,
# take from `dhpreact` the n-th part of `dbnbias`, and `bnraw` times the (n-1)-th part of `dbngain`;
# multiply by `bngain` and `bnvar_inv`. Then `W1` transposed, `embcat` transposed and the row sum again.
# Flatten `Xb` to 96 indices and `demb` to 96 rows, and add the rows into the zeros with `index_add_` along
# dimension 0. List the seven gradients in the order of `parameters`, choose the rate, subtract in place,
# append the loss as a float.
#
# </details>
