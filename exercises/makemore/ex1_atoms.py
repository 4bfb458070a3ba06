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
# # Exercise 1: backpropagation, one atom at a time
#
# One call to `loss.backward()` computes all gradients of a network. In this exercise you do that work by
# hand.
#
# The network is small. It reads three characters of a name and predicts the fourth. Its forward pass is cut
# into twenty short lines, the atoms. Each atom does one operation that you can differentiate on paper: a
# product, a sum, a power, a logarithm. You start at the loss and walk back to the embedding table. On the way
# you write the gradient of the loss for 26 tensors.
#
# You need Python, tensors and the chain rule. You do not need to have trained a network before.
#
# ## The notation
#
# `dX` is the gradient of the loss with respect to the tensor `X`. So `dlogits` answers, for every number in
# `logits`: if this number goes up by a tiny amount, how fast does the loss change?
#
# A gradient that has been computed already and flows into the next atom from the side of the loss is called
# the **upstream** gradient. Each step of this exercise has the same form: you know the upstream gradient, you
# look at one line of the forward pass, and you write down what reaches the tensor on its right-hand side.
#
# ## How to work
#
# 1. Run the cells of the setup and of the forward pass. You change nothing there.
# 2. Read the section of a variable. It shows the forward line, with shapes, and asks a question.
# 3. Replace the stub below it by your answer. A **stub** is a line such as `dlogprobs = ...`. The three dots
#    are valid Python; they stand for "nothing here yet". Your answer may take as many lines as you like.
# 4. Run your cell, then the `cmp` cell below it. `cmp` compares your tensor with the true gradient.
# 5. If you are stuck, there are three hints. The first is a nudge, the second names the rule and the shapes,
#    the third is nearly the answer. In a notebook they are folded away. In the `.py` file they are comments.
# 6. `dojo grade` with this file's name grades what you have so far. `make grade` grades all the exercises.
#
# Each gradient is graded on its own. After your `dprobs` has been judged, the grader puts the true `dprobs`
# in its place and goes on. A mistake costs one variable, and the line that is blamed is the line to look at.
# So you may skip a variable that you cannot solve yet, leave its stub, and still have the rest graded.
#
# In a running notebook there is one catch. A later cell that uses a skipped variable meets the three dots and
# stops with a `TypeError`. To go on, borrow PyTorch's answer for the time being, for example
# `dprobs = probs.grad.clone()`. The grader does not count a borrowed gradient as an answer.
#
# Two rules:
#
# - No help from autograd in an answer: no `.backward()`, no `.grad`, no `torch.autograd`. Each answer is made
#   from forward tensors and from gradients that you have already.
# - Write `n`, not 32, and `logits.shape[1]`, not 27. The grader runs your lines with other data and other
#   sizes too.
#
# ## What the line of cmp means
#
# ```
# logprobs        | exact: True  | approximate: True  | maxdiff: 0.0
# ```
#
# - `exact`: every number is the same as PyTorch's, down to the last bit.
# - `approximate`: every number is the same up to rounding. **This is the one that counts.**
# - `maxdiff`: the largest difference between a number of yours and PyTorch's.
#
# A computer rounds after each operation, so the order of the operations leaves a trace in the last digit. In
# Python `(0.1 + 0.2) + 0.3` gives 0.6000000000000001, and `0.1 + (0.2 + 0.3)` gives 0.6. Neither is a
# mistake. Your formula and PyTorch's kernel may go through the same algebra in a different order. Then you
# see `exact: False`, `approximate: True` and a maxdiff between 1e-10 and 1e-8. That is a right answer.
#
# From `dhpreact` on, `exact: False` is common on right answers. It depends on the processor and on the
# version of PyTorch. The section of `dhpreact` says where it comes from. `exact` never changes a verdict.
#
# <!-- dojo: makemore/ex1_atoms -->

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

from grader import build_dataset, cmp, load_names, split_names

# %% [markdown]
# The sizes of the network and of the batch. The shapes in this lesson are the shapes for these values.

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
alphabet = "abcdefghijklmnopqrstuvwxyz"
block_size = 3
batch_size = 32
n_embd = 10
n_hidden = 64

# %% [markdown]
# ## The data
#
# A list of given names. There are 27 symbols: the letters a to z have the indices 1 to 26, and index 0 is
# `.`, which marks the start and the end of a name. Three characters of context are used to predict the next
# one. The name `ann` gives four examples:
#
# | context | next character | indices of the context | label |
# |---|---|---|---|
# | `...` | `a` | 0, 0, 0 | 1 |
# | `..a` | `n` | 0, 0, 1 | 14 |
# | `.an` | `n` | 0, 1, 14 | 14 |
# | `ann` | `.` | 1, 14, 14 | 0 |
#
# `Xtr` holds the contexts, three integers a row. `Ytr` holds the labels.

# %% tags=["setup"]
words = load_names(alphabet=alphabet)
train_words, validation_words, test_words = split_names(words)
Xtr, Ytr = build_dataset(train_words, block_size, alphabet)
itos = dict(enumerate("." + alphabet))
stoi = {symbol: index for index, symbol in itos.items()}
vocab_size = len(itos)

# %% [markdown]
# ## The parameters and one batch
#
# | name | shape | what it is |
# |---|---|---|
# | `C` | (27, 10) | the embedding table: ten numbers for each symbol |
# | `W1`, `b1` | (30, 64), (64,) | weights and bias of the hidden layer |
# | `W2`, `b2` | (64, 27), (27,) | weights and bias of the output layer |
# | `bngain`, `bnbias` | (1, 64), (1, 64) | gain and bias of the batch normalisation |
#
# In a real network some of these would start at zero or at one. Here none does, because a zero hides
# mistakes: a wrong gradient that is multiplied by zero looks right. `b1` stands before a batch normalisation
# and has no effect on the loss. It is kept because its gradient is worth an exercise.
#
# The last two lines pick the batch: `Xb` (32, 3) holds contexts, `Yb` (32,) holds labels.

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
for p in parameters:
    p.requires_grad = True

n = batch_size
ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)
Xb, Yb = Xtr[ix].to(device), Ytr[ix].to(device)

# %% [markdown]
# ## The forward pass
#
# Twenty atoms. The comment beside each line is the shape of its result. Read them from top to bottom once;
# you will come back to each of them.
#
# - **Embedding** (`emb`, `embcat`): look up ten numbers for each of the three characters, and lay them side
#   by side in one row of 30.
# - **Hidden layer** (`hprebn`): a matrix product and a bias. The name says "h, before activation, before
#   batch normalisation".
# - **Batch normalisation** (`bnmeani` to `hpreact`): each of the 64 columns is shifted to mean 0 and scaled
#   to variance 1 over the 32 rows of the batch, then multiplied by a gain and shifted by a bias. The variance
#   divides by n - 1, which is Bessel's correction. The 1e-5 keeps the root away from a division by zero.
# - **Activation** (`h`): tanh, number by number.
# - **Output layer** (`logits`): a matrix product and a bias, giving 27 scores a row.
# - **Softmax** (`logit_maxes` to `probs`): subtract the largest score of the row, exponentiate, and divide by
#   the sum, so that each row becomes 27 probabilities that add up to 1.
# - **Loss** (`logprobs`, `loss`): the logarithm of the probabilities; then the one at the label of each row,
#   averaged over the rows, with a minus sign.
#
# Watch the shapes with a 1 in them: (1, 64) and (32, 1). `keepdim=True` keeps a dimension of size 1 where a
# sum or a maximum was taken. In the next line PyTorch stretches this dimension to fit the other tensor. This
# stretching is called broadcasting.

# %% tags=["forward"]
emb = C[Xb]  # (32, 3, 10)
embcat = emb.view(n, -1)  # (32, 30)
hprebn = embcat @ W1 + b1  # (32, 64)
bnmeani = 1 / n * hprebn.sum(0, keepdim=True)  # (1, 64)
bndiff = hprebn - bnmeani  # (32, 64)
bndiff2 = bndiff**2  # (32, 64)
bnvar = 1 / (n - 1) * bndiff2.sum(0, keepdim=True)  # (1, 64)
bnvar_inv = (bnvar + 1e-5) ** -0.5  # (1, 64)
bnraw = bndiff * bnvar_inv  # (32, 64)
hpreact = bngain * bnraw + bnbias  # (32, 64)
h = torch.tanh(hpreact)  # (32, 64)
logits = h @ W2 + b2  # (32, 27)
logit_maxes = logits.max(1, keepdim=True).values  # (32, 1)
norm_logits = logits - logit_maxes  # (32, 27)
counts = norm_logits.exp()  # (32, 27)
counts_sum = counts.sum(1, keepdim=True)  # (32, 1)
counts_sum_inv = counts_sum**-1  # (32, 1)
probs = counts * counts_sum_inv  # (32, 27)
logprobs = probs.log()  # (32, 27)
loss = -logprobs[range(n), Yb].mean()  # ()

# %% [markdown]
# The same twenty lines as a graph. An arrow leads from a tensor to each line that reads it. Round boxes are the
# parameters. You walk against the arrows, and a tensor gets one part of its gradient from each arrow that
# leaves it: look for the boxes with two. In a notebook, a click on a box leads to its section.

# %%
from grader import show_graph

show_graph("ex1", globals())

# %% [markdown]
# ## The true gradients
#
# PyTorch computes all gradients once, so that `cmp` has something to compare with. `retain_grad()` asks it to
# keep the gradients of the tensors in between; by default it keeps only those of the parameters.
#
# `loss.backward()` works once for each forward pass. To start again, run all cells from the top.

# %%
for tensor in list(globals().values()):
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        tensor.retain_grad()
loss.backward()

# %% [markdown]
# ## Where you stand
#
# `progress()` draws the same graph with the state of each gradient. In a notebook this picture follows each
# `cmp` that you run from here on. To keep it in sight in JupyterLab, right-click it and choose *Create New View
# for Cell Output*. `hint("dprobs")`, in any cell, shows the next hint for a gradient.

# %%
from grader import hint, progress

progress()

# %% [markdown]
# # Part 1: from the loss back to the logits
#
# This is the end of the forward pass, drawn as a graph:
#
# ```
# logits --+--> logit_maxes --+
#          |                  v
#          +------------> norm_logits --> counts --+--> counts_sum --> counts_sum_inv --+
#                                                  |                                    v
#                                                  +--------------------------------> probs
#
# probs --> logprobs --> loss
# ```
#
# You walk against the arrows. Two tensors have two arrows leaving them. They will need special care.

# %% [markdown]
# ## dlogprobs
#
# `loss = -logprobs[range(n), Yb].mean()`: () from (32, 27)
#
# `logprobs` (32, 27) feeds into `loss` and nothing else. It has 864 numbers. The loss reads 32 of them: one
# in each row, at the column of the label.
#
# Ask yourself: how fast does the loss change when one of those 32 goes up? And when one of the other 832
# does?
#
# ### Idea: a gradient has its tensor's shape
#
# A gradient has one number for each number in its tensor. A number that the loss never reads keeps its place
# in the gradient, and the value there is 0.
#
# Take 2 rows, 3 columns, and the labels 2 and 0:
#
# ```
# small =  -1.0  -2.0  -0.5        the loss reads -0.5 and -0.7
#          -0.7  -1.5  -3.0        loss = -(-0.5 - 0.7) / 2 = 0.6
# ```
#
# Raise the -0.5 to -0.49. The loss becomes -(-0.49 - 0.7) / 2 = 0.595. It changed by -0.005 for a step of
# 0.01, so the slope is -0.5. Raise the -2.0 to -1.99. The loss stays at 0.6, so the slope is 0.
#
# The next cell does this for all six numbers. You can use this trick, nudging one number and looking at the
# loss, on every atom that you are unsure about.

# %%
small = torch.tensor([[-1.0, -2.0, -0.5], [-0.7, -1.5, -3.0]], dtype=torch.float64)
labels = [2, 0]
before = -small[range(2), labels].mean()
slopes = torch.zeros_like(small)
for i in range(2):
    for j in range(3):
        nudged = small.clone()
        nudged[i, j] += 0.01
        slopes[i, j] = (-nudged[range(2), labels].mean() - before) / 0.01
print(slopes)

# %% [markdown]
# Two things to watch in your answer. The mean is taken over the numbers that were picked, not over all 864.
# And `[range(n), Yb]` picks one place in each row, whereas `[:, Yb]` means whole columns.

# %% tags=["backward"]
dlogprobs = ...

# %%
cmp("logprobs", dlogprobs, logprobs)

# %% [markdown]
# ## dprobs
#
# `logprobs = probs.log()`: (32, 27) from (32, 27)
#
# `probs` (32, 27) feeds into `logprobs` alone, each number into the number at the same place.
#
# Ask yourself: what is the slope of the logarithm at x, and what do you multiply it by?
#
# ### Idea: local derivative times upstream
#
# An elementwise operation treats each number by itself. The chain rule then works place by place: the slope
# of the operation at this number, times the upstream gradient at the same place.
#
# Take `out = x**3`, whose slope is 3 x². Say the upstream gradient is (0.5, -1.0):
#
# ```
# x               2.0     1.0
# local slope    12.0     3.0       3 * x**2
# upstream        0.5    -1.0
# gradient of x   6.0    -3.0       local slope * upstream
# ```
#
# The local slope uses the value of x from the forward pass. That is why the forward tensors are kept.

# %% tags=["backward"]
dprobs = ...

# %%
cmp("probs", dprobs, probs)

# %% [markdown]
# ## dcounts_sum_inv
#
# `probs = counts * counts_sum_inv`: (32, 27) from (32, 27) and (32, 1)
#
# `counts_sum_inv` (32, 1) feeds into `probs` alone. But it has one number a row, and `probs` has 27. Each
# number is used 27 times.
#
# Ask yourself: what would the gradient be without the stretching? And what becomes of 27 contributions that
# belong to one number?
#
# ### Idea: a broadcast forward is a sum backward
#
# Take one row of three numbers a and one number s that is stretched over the row:
#
# ```
# a                     2.0     3.0     4.0
# s = 10, stretched    10.0    10.0    10.0
# out = a * s          20.0    30.0    40.0
# upstream              1.0     0.5    -1.0
# contribution to s     2.0     1.5    -4.0      a * upstream
# ```
#
# If s goes up by 0.01, all three outputs move, and all three moves change the loss. So the contributions add
# up: 2.0 + 1.5 - 4.0 = -0.5. The sum runs over the dimension that was stretched, and over no other.
#
# Mind the dimension. A sum over the wrong one gives a (1, 27), which fits into most later lines without an
# error. Print the shape of your answer before you look at its numbers. It must be the shape of
# `counts_sum_inv`.

# %% tags=["backward"]
dcounts_sum_inv = ...

# %%
cmp("counts_sum_inv", dcounts_sum_inv, counts_sum_inv)

# %% [markdown]
# ## dcounts_sum
#
# `counts_sum_inv = counts_sum**-1`: (32, 1) from (32, 1)
#
# `counts_sum` (32, 1) feeds into `counts_sum_inv` alone. This is an elementwise operation again.
#
# Ask yourself: what does the power rule say for the exponent -1?
#
# A reminder of the rule: `x**k` has the slope `k * x**(k-1)`. For k = -2 at x = 2 that is `-2 * 2**-3`, or
# -0.25.
#
# In Python the power binds more tightly than the minus sign before it: `-2**-2` is `-(2**-2)`, or -0.25.

# %% tags=["backward"]
dcounts_sum = ...

# %%
cmp("counts_sum", dcounts_sum, counts_sum)

# %% [markdown]
# ## dcounts
#
# `counts_sum = counts.sum(1, keepdim=True)`: (32, 1) from (32, 27)
#
# `probs = counts * counts_sum_inv`: (32, 27) from (32, 27) and (32, 1)
#
# `counts` (32, 27) feeds into two atoms. It reaches the loss by two routes.
#
# Ask yourself: what reaches `counts` by each route, and how do the two become one gradient?
#
# ### Idea: a sum forward is a broadcast backward
#
# In a sum each number has the slope 1. So each number that was added up receives the upstream gradient of the
# sum, unchanged. Two rows, summed over dimension 1 with `keepdim=True`:
#
# ```
# x                 sum      upstream      gradient of x
# 1.0  2.0  3.0     6.0        0.7         0.7   0.7   0.7
# 4.0  5.0  6.0    15.0       -0.2        -0.2  -0.2  -0.2
# ```
#
# This mirrors the idea at `dcounts_sum_inv`: there a stretch became a sum, here a sum becomes a stretch.
#
# ### Idea: a tensor that is used twice gets the sum of both routes
#
# Take `s = x + 3` and `y = x * s`, at x = 2. Then s = 5 and y = 10. The gradient of y for x has two parts:
#
# ```
# route 1, x as a factor of the product      slope s            = 5
# route 2, through s                         slope x * slope 1  = 2
# both together                                                   7
# ```
#
# Check by a nudge: x = 2.01 gives s = 5.01 and y = 10.0701. That is a slope of 7.01, close to 7. The rest
# shrinks with the step.
#
# In code: assign the first route with `=`, add the second with `+=`. Keep both lines in one cell. If the `+=`
# stands in a cell of its own and you run that cell twice, the second route is counted twice.

# %% tags=["backward"]
dcounts = ...

# %%
cmp("counts", dcounts, counts)

# %% [markdown]
# ## dnorm_logits
#
# `counts = norm_logits.exp()`: (32, 27) from (32, 27)
#
# `norm_logits` (32, 27) feeds into `counts` alone, place by place.
#
# Ask yourself: what is the slope of exp at x, and which tensor holds it already?
#
# A number to check your rule: at x = -1.2, exp(x) is 0.3012, and the slope there is 0.3012 too.

# %% tags=["backward"]
dnorm_logits = ...

# %%
cmp("norm_logits", dnorm_logits, norm_logits)

# %% [markdown]
# ## dlogit_maxes
#
# `norm_logits = logits - logit_maxes`: (32, 27) from (32, 27) and (32, 1)
#
# `logit_maxes` (32, 1) feeds into `norm_logits` alone. Each of its numbers is subtracted 27 times.
#
# Ask yourself: if one number of `logit_maxes` goes up by 0.01, which numbers of `norm_logits` move, and which
# way?
#
# ### Idea: a softmax does not notice a shift
#
# The maximum is subtracted for one reason: exp of a large number overflows. In float32 exp(88) is 1.65e+38
# and exp(89) is already `inf`. The probabilities do not depend on it. If all scores of a row go down by the
# same s, each exponential is divided by exp(s), their sum as well, and the quotient stays. Run the cell:
# three different shifts of the row (1, 2, 3), and the same probabilities each time.

# %%
row_of_scores = torch.tensor([1.0, 2.0, 3.0])
for shift in (0.0, 3.0, -50.0):
    shifted = (row_of_scores - shift).exp()
    print(f"shift {shift:5.1f}: exponentials {shifted}, probabilities {shifted / shifted.sum()}")

# %% [markdown]
# So the true gradient of `logit_maxes` is zero, up to rounding. Your answer will hold numbers around 1e-9,
# and so does PyTorch's. They are what rounding left over. The line of `cmp` says little here: a tensor of
# zeros would look right as well.
#
# The grader therefore tests this atom in another way. It replaces the upstream gradient by random numbers.
# With those the answer is far from zero, and only the right formula gives it. Write the rule for this line of
# the forward pass, without using what you know about the softmax.

# %% tags=["backward"]
dlogit_maxes = ...

# %%
cmp("logit_maxes", dlogit_maxes, logit_maxes)

# %% [markdown]
# ## dlogits
#
# `logit_maxes = logits.max(1, keepdim=True).values`: (32, 1) from (32, 27)
#
# `norm_logits = logits - logit_maxes`: (32, 27) from (32, 27) and (32, 1)
#
# `logits` (32, 27) feeds into two atoms, as `counts` did.
#
# Ask yourself: what reaches `logits` from the subtraction? And which of the 27 numbers of a row can change
# that row's maximum?
#
# ### Idea: a maximum sends its gradient to the place that it came from
#
# Take the row (1.0, 3.0, 2.0). Its maximum is 3.0. Say the upstream gradient of the maximum is 0.5.
#
# ```
# nudge              the maximum becomes     slope     times upstream
# 1.0 -> 1.01             3.00                 0            0.0
# 3.0 -> 3.01             3.01                 1            0.5
# 2.0 -> 2.01             3.00                 0            0.0
# ```
#
# The gradient of the row is (0.0, 0.5, 0.0). All of it goes to one place. `x.max(1)` returns not only
# `.values` but also `.indices`, the columns of those places.
#
# Two equal maxima in a row would raise the question of who gets the gradient. PyTorch's `max` over a
# dimension sends it to one of them. Random scores do not tie, so a mask such as `logits == logit_maxes` is
# fine here too.
#
# ### Trap: two names, one tensor
#
# An assignment in Python does not copy a tensor. It gives the same tensor a second name. A `+=` through one
# name then changes what the other name shows. Run the cell:

# %%
first_name = torch.tensor([1.0, 2.0])
second_name = first_name
second_name += 10
print("without a copy:", first_name)

first_name = torch.tensor([1.0, 2.0])
second_name = first_name.clone()
second_name += 10
print("with a copy:   ", first_name)

# %% [markdown]
# The route through the maximum carries a gradient of about 1e-9, as you saw above. So `cmp` cannot tell
# whether you have included it. Include it: it is a route like any other, and its value is zero only because
# of the softmax that follows.

# %% tags=["backward"]
dlogits = ...

# %%
cmp("logits", dlogits, logits)

# %% [markdown]
# # Part 2: the output layer and the activation
#
# ```
#                W2   b2
#                 |    |
#                 v    v
# hpreact --> h --> logits
# ```

# %% [markdown]
# ## dh
#
# `logits = h @ W2 + b2`: (32, 27) from (32, 64), (64, 27) and (27,)
#
# `h` (32, 64) feeds into `logits` alone, as the left factor of a matrix product.
#
# Ask yourself: which numbers of `logits` does one number of `h` touch, and with which weights?
#
# ### Idea: the gradient of a matrix product
#
# Two by two is enough to see it. Let `out = A @ B`, and let G be the upstream gradient, the gradient for out:
#
# ```
# A =  1  2      B =  5  6      out =  19  22      G =   1.0  0.5
#      3  4           7  8             43  50           -1.0  2.0
# ```
#
# Written out, with row and column as digits:
#
# ```
# out11 = A11 B11 + A12 B21        out12 = A11 B12 + A12 B22
# out21 = A21 B11 + A22 B21        out22 = A21 B12 + A22 B22
# ```
#
# A11 stands in two of the four lines: in out11 with the factor B11 = 5, and in out12 with the factor B12 = 6.
# It is used twice, so both routes add up: 1.0 * 5 + 0.5 * 6 = 8. The same for the other three:
#
# ```
# A11:   1.0 * 5 + 0.5 * 6 =  8        A12:   1.0 * 7 + 0.5 * 8 = 11
# A21:  -1.0 * 5 + 2.0 * 6 =  7        A22:  -1.0 * 7 + 2.0 * 8 =  9
# ```
#
# Each of these is a row of G times a row of B. That is again a matrix product, of G and B in some order, with
# or without a transpose. Try which one gives 8, 11, 7, 9. With two by two they all run, and the first attempt
# below is not it.

# %%
left = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
right = torch.tensor([[5.0, 6.0], [7.0, 8.0]])
upstream = torch.tensor([[1.0, 0.5], [-1.0, 2.0]])
print(left @ right)
print(upstream @ right)

# %% [markdown]
# Here the shapes are all different, and they decide. Of `dlogits` (32, 27) and `W2` (64, 27) you need a
# (32, 64). One arrangement fits, and no other. You need not remember the rule: the shapes give it back to you
# each time.

# %% tags=["backward"]
dh = ...

# %%
cmp("h", dh, h)

# %% [markdown]
# ## dW2
#
# `logits = h @ W2 + b2`: (32, 27) from (32, 64), (64, 27) and (27,)
#
# `W2` (64, 27) feeds into `logits` alone, as the right factor of the product. All 32 rows of the batch use
# it.
#
# Ask yourself: which arrangement of `h` (32, 64) and `dlogits` (32, 27) has the shape of `W2`?
#
# The other half of the small example. B11 stands in out11 with the factor A11 = 1, and in out21 with A21 = 3:
#
# ```
# B11:   1.0 * 1 - 1.0 * 3 = -2.0      B12:   0.5 * 1 + 2.0 * 3 = 6.5
# B21:   1.0 * 2 - 1.0 * 4 = -2.0      B22:   0.5 * 2 + 2.0 * 4 = 9.0
# ```
#
# This time the columns of A meet the columns of G. The sum runs over the rows. In the network the rows are
# the examples of the batch: each example contributes to the gradient of the weights, and the contributions
# add up.

# %% tags=["backward"]
dW2 = ...

# %%
cmp("W2", dW2, W2)

# %% [markdown]
# ## db2
#
# `logits = h @ W2 + b2`: (32, 27) from (32, 64), (64, 27) and (27,)
#
# `b2` (27,) feeds into `logits` alone. The same 27 numbers are added to each of the 32 rows.
#
# Ask yourself: which dimension of (32, 27) was stretched, and what shape must the answer have?
#
# `b2` has one dimension, where `bngain` has two. Compare with the shape of your answer.

# %% tags=["backward"]
db2 = ...

# %%
cmp("b2", db2, b2)

# %% [markdown]
# ## dhpreact
#
# `h = torch.tanh(hpreact)`: (32, 64) from (32, 64)
#
# `hpreact` (32, 64) feeds into `h` alone, place by place.
#
# Ask yourself: how do you write the slope of tanh with the value of tanh alone, and which tensor holds that
# value?
#
# Two numbers to check your rule:
#
# ```
# hpreact     h = tanh     slope
#   0.5        0.4621      0.7864
#   2.5        0.9866      0.0266
# ```
#
# Near 1 and -1 the curve is flat, and hardly any gradient passes. Such a neuron is called saturated.
#
# ### From here on, exact is often False
#
# PyTorch computes this step with a kernel of its own. The kernel's formula is the same as yours, but it may
# round at other places. Then the last bit differs, and every gradient that is computed from `dhpreact`
# inherits the difference. Neighbouring float32 numbers near 0.03 are 1.9e-9 apart, so a maxdiff of that size
# is a difference in the last bit.
#
# Whether you see it depends on the processor and the version of PyTorch. With `approximate: True` your answer
# is right, and the grader counts it as right. Do not spend your evening on the last bit.

# %% tags=["backward"]
dhpreact = ...

# %%
cmp("hpreact", dhpreact, hpreact)

# %% [markdown]
# # Part 3: batch normalisation
#
# ```
# hprebn --+--> bnmeani --+
#          |              v
#          +----------> bndiff --+--> bndiff2 --> bnvar --> bnvar_inv --+
#                                |                                      v
#                                +----------------------------------> bnraw
#
# bnraw, bngain, bnbias --> hpreact
# ```
#
# You have all the rules that this part needs. Two more tensors have two arrows leaving them. In the softmax
# the sums ran along a row, over dimension 1. Here they run down a column, over the batch: dimension 0.

# %% [markdown]
# ## dbngain
#
# `hpreact = bngain * bnraw + bnbias`: (32, 64) from (1, 64), (32, 64) and (1, 64)
#
# `bngain` (1, 64) feeds into `hpreact` alone. Each of its numbers is the gain of one column, used in 32 rows.
#
# Ask yourself: which dimension was stretched this time, and what does the shape of `bngain` say about
# keepdim?

# %% tags=["backward"]
dbngain = ...

# %%
cmp("bngain", dbngain, bngain)

# %% [markdown]
# ## dbnbias
#
# `hpreact = bngain * bnraw + bnbias`: (32, 64) from (1, 64), (32, 64) and (1, 64)
#
# `bnbias` (1, 64) feeds into `hpreact` alone. It is added to all 32 rows.
#
# Ask yourself: how does this differ from `db2`? The rule is the same; look at the two shapes.

# %% tags=["backward"]
dbnbias = ...

# %%
cmp("bnbias", dbnbias, bnbias)

# %% [markdown]
# ## dbnraw
#
# `hpreact = bngain * bnraw + bnbias`: (32, 64) from (1, 64), (32, 64) and (1, 64)
#
# `bnraw` (32, 64) feeds into `hpreact` alone. It has the full shape already; nothing of it was stretched.
#
# Ask yourself: what is the other factor of the product, and is there anything to sum?

# %% tags=["backward"]
dbnraw = ...

# %%
cmp("bnraw", dbnraw, bnraw)

# %% [markdown]
# ## dbnvar_inv
#
# `bnraw = bndiff * bnvar_inv`: (32, 64) from (32, 64) and (1, 64)
#
# `bnvar_inv` (1, 64) feeds into `bnraw` alone. Each of its numbers scales one column of 32.
#
# Ask yourself: which earlier section has the same kind of forward line?
#
# `bndiff` stands in this line too. Its gradient comes later, since a second route leads to it.

# %% tags=["backward"]
dbnvar_inv = ...

# %%
cmp("bnvar_inv", dbnvar_inv, bnvar_inv)

# %% [markdown]
# ## dbnvar
#
# `bnvar_inv = (bnvar + 1e-5) ** -0.5`: (1, 64) from (1, 64)
#
# `bnvar` (1, 64) feeds into `bnvar_inv` alone. This is the power rule, with something added inside the
# brackets.
#
# Ask yourself: what is the new exponent, what stands before the power, and what is its base?
#
# A number, with 1 in the place of the small constant: `f(x) = (x + 1)**-0.5` at x = 3. Then f is `4**-0.5`,
# or 0.5. At x = 3.01 it is 0.499376. It fell by 0.000624 for a step of 0.01, so the slope is about -0.0624
# (exactly -0.0625 for an infinitely small step). Check your rule against this number.
#
# The 1e-5 is part of the function, so it belongs in the derivative. It changes the result by about one part
# in 100,000, which a comparison in float32 may let pass. The grader compares in float64 and sees it.

# %% tags=["backward"]
dbnvar = ...

# %%
cmp("bnvar", dbnvar, bnvar)

# %% [markdown]
# ## dbndiff2
#
# `bnvar = 1 / (n - 1) * bndiff2.sum(0, keepdim=True)`: (1, 64) from (32, 64)
#
# `bndiff2` (32, 64) feeds into `bnvar` alone. Each column of 32 numbers is added up and scaled.
#
# Ask yourself: what is the slope of the result for one of the 32 numbers? And how does a (1, 64) become a
# (32, 64)?
#
# A column with n = 3, (4, 1, 1), has the sum 6 and the variance 6 / 2 = 3. Raise the 4 to 4.1: the sum is 6.1
# and the variance 3.05. The slope is 0.05 / 0.1 = 0.5. It is the same for the two others.
#
# Two things to watch. The divisor is n - 1, not n: the mean was computed from the same rows, which makes the
# squared distances a little too small, and Bessel's correction makes up for it. And the answer must have the
# full shape of `bndiff2`. A (1, 64) would stretch in the next line and hide there.

# %% tags=["backward"]
dbndiff2 = ...

# %%
cmp("bndiff2", dbndiff2, bndiff2)

# %% [markdown]
# ## dbndiff
#
# `bndiff2 = bndiff**2`: (32, 64) from (32, 64)
#
# `bnraw = bndiff * bnvar_inv`: (32, 64) from (32, 64) and (1, 64)
#
# `bndiff` (32, 64) feeds into two atoms.
#
# Ask yourself: what does each route bring? The second one, through the square, was not available before
# `dbndiff2` was known.
#
# Assign the first route, add the second, both in one cell. The slope of `x**2` at x = 3 is 6: at x = 3.01 the
# square is 9.0601.

# %% tags=["backward"]
dbndiff = ...

# %%
cmp("bndiff", dbndiff, bndiff)

# %% [markdown]
# ## dbnmeani
#
# `bndiff = hprebn - bnmeani`: (32, 64) from (32, 64) and (1, 64)
#
# `bnmeani` (1, 64) feeds into `bndiff` alone. Each of its numbers is subtracted in 32 rows.
#
# Ask yourself: which section of part 1 had the same kind of line, and what is different here?
#
# ### Trap: right numbers in the wrong shape
#
# (64,) and (1, 64) hold the same numbers, and they may be added, subtracted and compared without an error:
# PyTorch stretches the first to fit the second. A careless comparison therefore calls them equal. The next
# product or sum may then run along the wrong dimension. A gradient has its tensor's shape, here (1, 64). The
# grader looks at the shape before it looks at the numbers, and tells you when only the shape is off.

# %% tags=["backward"]
dbnmeani = ...

# %%
cmp("bnmeani", dbnmeani, bnmeani)

# %% [markdown]
# ## dhprebn
#
# `bnmeani = 1 / n * hprebn.sum(0, keepdim=True)`: (1, 64) from (32, 64)
#
# `bndiff = hprebn - bnmeani`: (32, 64) from (32, 64) and (1, 64)
#
# `hprebn` (32, 64) feeds into two atoms. It is the last of the four tensors with two routes.
#
# Ask yourself: what is the slope of a mean for one of its numbers? And is your first route a copy, or a
# second name for a tensor that you have graded already?
#
# The column (3, 5, 10) has the mean 6. Raise the 10 to 10.3: the mean becomes 6.1. The slope is 0.1 / 0.3 =
# 1/3, one over the number of rows. It is the same for each of the three.

# %% tags=["backward"]
dhprebn = ...

# %%
cmp("hprebn", dhprebn, hprebn)

# %% [markdown]
# # Part 4: the hidden layer and the embedding
#
# ```
#               W1   b1
#                |    |
#                v    v
# C --> emb --> embcat --> hprebn
# ```

# %% [markdown]
# ## dembcat
#
# `hprebn = embcat @ W1 + b1`: (32, 64) from (32, 30), (30, 64) and (64,)
#
# `embcat` (32, 30) feeds into `hprebn` alone, as the left factor.
#
# Ask yourself: which arrangement of `dhprebn` (32, 64) and `W1` (30, 64) has the shape (32, 30)?

# %% tags=["backward"]
dembcat = ...

# %%
cmp("embcat", dembcat, embcat)

# %% [markdown]
# ## dW1
#
# `hprebn = embcat @ W1 + b1`: (32, 64) from (32, 30), (30, 64) and (64,)
#
# `W1` (30, 64) feeds into `hprebn` alone, as the right factor.
#
# Ask yourself: what has to be transposed so that the 32 examples are summed away?

# %% tags=["backward"]
dW1 = ...

# %%
cmp("W1", dW1, W1)

# %% [markdown]
# ## db1
#
# `hprebn = embcat @ W1 + b1`: (32, 64) from (32, 30), (30, 64) and (64,)
#
# `b1` (64,) feeds into `hprebn` alone. The same 64 numbers are added to each of the 32 rows.
#
# Ask yourself: what did you do for `b2`? And what does the batch normalisation do to a constant that is added
# to a column?
#
# ### Why the true gradient is zero
#
# Batch normalisation subtracts the mean of each column. A constant that is added to the column is subtracted
# again together with the mean:
#
# ```
# column              mean      column - mean
#  1.0   2.0   6.0     3.0      -2.0  -1.0   3.0
# 11.0  12.0  16.0    13.0      -2.0  -1.0   3.0       with 10 added
# ```
#
# So `b1` cannot change the loss, and its gradient is zero up to rounding. This is the same situation as at
# `dlogit_maxes`: your numbers and PyTorch's are both rounding errors, around 1e-9, and zeros would look right
# to `cmp`. The grader therefore uses a random upstream gradient for this atom as well. Write the rule for the
# line.

# %% tags=["backward"]
db1 = ...

# %%
cmp("b1", db1, b1)

# %% [markdown]
# ## demb
#
# `embcat = emb.view(n, -1)`: (32, 30) from (32, 3, 10)
#
# `emb` (32, 3, 10) feeds into `embcat` alone. A view computes nothing. It arranges the same 960 numbers in
# another shape.
#
# Ask yourself: what undoes it?
#
# One example of the batch, with 3 characters and 2 numbers for each:
#
# ```
# emb, (3, 2)      embcat, (6,)         upstream, (6,)            gradient of emb, (3, 2)
#  1  2            1 2 3 4 5 6          10 20 30 40 50 60         10 20
#  3  4                                                           30 40
#  5  6                                                           50 60
# ```
#
# A (32, 10, 3) holds 960 numbers too, but each of them in the wrong place. Take the shape from `emb` itself.

# %% tags=["backward"]
demb = ...

# %%
cmp("emb", demb, emb)

# %% [markdown]
# ## dC
#
# `emb = C[Xb]`: (32, 3, 10) from (27, 10), with the indices `Xb` (32, 3)
#
# `C` (27, 10) feeds into `emb` alone. Row 5 of `C` is copied to every place where `Xb` holds a 5.
#
# Ask yourself: where does the gradient of one copied row go? And what if a row was copied several times?
#
# ### Idea: indexing scatters, and rows used more than once add up
#
# A table with 3 rows of 2 numbers, and the indices (0, 2) and (0, 1): two examples with two characters each.
#
# ```
# index    upstream of the copied row      goes to
#   0         1.0    2.0                   row 0
#   2         3.0    4.0                   row 2
#   0        10.0   20.0                   row 0, a second time
#   1         5.0    6.0                   row 1
#
# gradient of the table:     row 0   11.0   22.0      (1 + 10, 2 + 20)
#                            row 1    5.0    6.0
#                            row 2    3.0    4.0
# ```
#
# A row that is never used keeps the gradient 0. In a batch of 32 there are 96 lookups in 27 rows, so repeats
# are certain; `.` alone fills the context at the start of each name.
#
# Write it as two nested loops first: over the rows of `Xb`, and over the positions in a row. One lookup at a
# time leaves no doubt about repeats. Start from zeros in the same cell, so that a second run does not add
# everything again.

# %% tags=["backward"]
dC = ...

# %%
cmp("C", dC, C)

# %% [markdown]
# ### dC in one call
#
# The loop takes 96 small steps, some fifty to a hundred times slower than one call. In exercise 4, with
# 200,000 steps, that matters. So write it once more without a loop.
#
# The first idea is often `dC[Xb] += demb`. Run the next cell to see why it fails. The indices are 0, 2, 0,
# and row 0 should become 1 + 10 = 11. An indexed `+=` reads all rows first and writes them afterwards, so of
# two additions to the same row one is lost.

# %%
table = torch.zeros(3)
table[torch.tensor([0, 2, 0])] += torch.tensor([1.0, 3.0, 10.0])
print(table)

# %% [markdown]
# PyTorch has calls that add every time an index occurs. One is `index_add_(0, indices, rows)`: it takes a
# one-dimensional list of row numbers and a matrix with one row for each. `Xb` (32, 3) and `demb` (32, 3, 10)
# have to be laid out as (96,) and (96, 10) for it.
#
# Another way, if you prefer a matrix product: `C[Xb]` is the same as one-hot rows of `Xb` times `C`, and you
# know the gradient of a matrix product.

# %% tags=["backward"]
dC = ...

# %%
cmp("C", dC, C)

# %% [markdown]
# ## Where this leaves you
#
# Those are all 26 gradients, from the loss down to the embedding table. You used six rules, again and again:
#
# - elementwise: local slope times upstream;
# - a stretch forward is a sum backward, and a sum forward is a stretch backward;
# - a tensor that is used twice gets the sum of both routes;
# - a matrix product is differentiated by two more matrix products, and the shapes say which;
# - a maximum sends its gradient to one place;
# - a lookup scatters, and repeats add up.
#
# Grade the file with `dojo grade`. The report counts your gradients and shows the first one to look at.
#
# In exercise 2 you derive the whole softmax and the loss as one expression, and in exercise 3 the whole batch
# normalisation. Both are shorter and faster than the chain of atoms, and you now have the atoms to check them
# by.

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogprobs: hint 1</summary>
#
# Which numbers does the loss read in a row of logprobs? What is the slope for those that it does not read?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogprobs: hint 2</summary>
#
# The loss is minus the mean of n picked numbers. Each of them enters with the same factor, which depends on n
# alone. The gradient is (32, 27), with one number other than zero in each row.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogprobs: hint 3</summary>
#
# Make a tensor of zeros like logprobs. Then write minus one over n into the places that the forward line
# reads. You can address them by the same pair of indices as the forward line does.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dprobs: hint 1</summary>
#
# The logarithm acts on each number by itself. What is the derivative of log(x)?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dprobs: hint 2</summary>
#
# The derivative of log(x) is 1/x. Multiply it by the upstream gradient, place by place. The local slope, the
# upstream gradient and the result are all (32, 27).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dprobs: hint 3</summary>
#
# Divide the upstream gradient, dlogprobs, by probs. There is no sum and no transpose.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts_sum_inv: hint 1</summary>
#
# Each number of counts_sum_inv is used 27 times, once in every column of its row. Work out the 27
# contributions first, then ask how they become one number.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts_sum_inv: hint 2</summary>
#
# In a product the slope for one factor is the other factor. Other factor (32, 27) times upstream (32, 27)
# gives the contributions. The dimension that was stretched from 1 to 27 is the one to sum over; keep it, so
# that the result is (32, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts_sum_inv: hint 3</summary>
#
# Multiply counts by dprobs, place by place, and sum the product over dimension 1 with keepdim=True.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts_sum: hint 1</summary>
#
# Write 1/x as a power of x and apply the power rule. Does the gradient get a sign?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts_sum: hint 2</summary>
#
# The slope of `x**-1` is `-(x**-2)`. Multiply it by the upstream gradient. Everything here is (32, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts_sum: hint 3</summary>
#
# Raise counts_sum to the power -2, put a minus sign before it, and multiply by dcounts_sum_inv.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts: hint 1</summary>
#
# The name counts stands on the right-hand side of two forward lines. Treat each line as if the other did not
# exist, then put the results together.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts: hint 2</summary>
#
# The product: other factor (32, 1) times upstream (32, 27). The sum over dimension 1: the upstream gradient
# dcounts_sum (32, 1) goes to all 27 numbers of its row. The gradient (32, 27) is the first plus the second.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts: hint 3</summary>
#
# Assign counts_sum_inv times dprobs. In a second line add dcounts_sum with +=; to make the stretch to
# (32, 27) visible you can multiply it by a tensor of ones like counts.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dnorm_logits: hint 1</summary>
#
# Which function is its own derivative?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dnorm_logits: hint 2</summary>
#
# The slope of exp(x) is exp(x). The forward pass has computed it. Local slope (32, 27) times upstream
# (32, 27).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dnorm_logits: hint 3</summary>
#
# The tensor that holds the exponentials is counts. Multiply it by the upstream gradient, dcounts.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogit_maxes: hint 1</summary>
#
# Two things happen in this line: a minus sign, and a stretch from one column to 27. Take one at a time.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogit_maxes: hint 2</summary>
#
# The local slope is -1. A stretch forward is a sum backward over the same dimension, which is kept: from
# (32, 27) to (32, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogit_maxes: hint 3</summary>
#
# Sum dnorm_logits over dimension 1 with keepdim=True, and put a minus sign before it.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 1</summary>
#
# There are two routes. The one through the subtraction has the slope 1. The one through the maximum touches
# one number in each row.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 2</summary>
#
# First route: dnorm_logits (32, 27), as a copy. Second route: in each row the number of dlogit_maxes (32, 1)
# goes to the column of the maximum, and the other 26 columns get 0. Add the two.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 3</summary>
#
# Start with a clone of dnorm_logits. Turn the indices of logits.max(1) into rows of zeros and a single one
# with F.one_hot, num_classes being the number of columns of logits. Multiply these by dlogit_maxes, and add
# with +=.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dh: hint 1</summary>
#
# You have a (32, 27) and a (64, 27) and want a (32, 64). The two 27 must meet in the middle of the product.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dh: hint 2</summary>
#
# For out = A @ B the gradient of A is the upstream gradient times B transposed. In shapes: (32, 27) @
# (27, 64) gives (32, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dh: hint 3</summary>
#
# The matrix product of dlogits, on the left, and the transpose of W2 (its .T), on the right.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 1</summary>
#
# You want a (64, 27) out of a (32, 64) and a (32, 27). Which size must disappear, and where does it have to
# stand?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 2</summary>
#
# For out = A @ B the gradient of B is A transposed times the upstream gradient. In shapes: (64, 32) @
# (32, 27) gives (64, 27).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 3</summary>
#
# The matrix product of the transpose of h, on the left, and dlogits, on the right.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 1</summary>
#
# This is a broadcast. The slope of an addition is 1, so the upstream gradients are the contributions.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 2</summary>
#
# The stretch ran over the rows, dimension 0. Sum the upstream gradient (32, 27) over it, and let the
# dimension go: (27,).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 3</summary>
#
# Sum dlogits over dimension 0, without keepdim.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhpreact: hint 1</summary>
#
# Look up or derive the derivative of tanh(x). It can be written so that x occurs only inside tanh(x).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhpreact: hint 2</summary>
#
# The slope of tanh(x) is `1 - tanh(x)**2`. The forward pass has stored tanh(hpreact). Local slope (32, 64)
# times upstream (32, 64), place by place.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhpreact: hint 3</summary>
#
# Subtract the square of h from one, and multiply by dh. The square is of h, not of hpreact.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbngain: hint 1</summary>
#
# A product with a stretched factor. You have solved this for counts_sum_inv, with another dimension.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbngain: hint 2</summary>
#
# Other factor (32, 64) times upstream (32, 64), then a sum over the rows, dimension 0, which is kept:
# (1, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbngain: hint 3</summary>
#
# Multiply bnraw by dhpreact, place by place, and sum the product over dimension 0 with keepdim=True.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnbias: hint 1</summary>
#
# The slope of an addition is 1. What is left is the stretch.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnbias: hint 2</summary>
#
# The stretch ran over the rows. Sum the upstream gradient (32, 64) over dimension 0 and keep it, since bnbias
# is (1, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnbias: hint 3</summary>
#
# Sum dhpreact over dimension 0 with keepdim=True.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnraw: hint 1</summary>
#
# In a product the slope for one factor is the other factor.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnraw: hint 2</summary>
#
# Other factor (1, 64) times upstream (32, 64). The product stretches by itself to (32, 64), as in the forward
# pass. No sum.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnraw: hint 3</summary>
#
# Multiply bngain by dhpreact.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnvar_inv: hint 1</summary>
#
# A product, with the factor that you want stretched over the rows. Compare dbngain.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnvar_inv: hint 2</summary>
#
# Other factor (32, 64) times upstream (32, 64), summed over dimension 0, which is kept: (1, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnvar_inv: hint 3</summary>
#
# Multiply bndiff by dbnraw and sum the product over dimension 0 with keepdim=True.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnvar: hint 1</summary>
#
# The power rule: the exponent comes to the front and goes down by one. What is -0.5 minus 1?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnvar: hint 2</summary>
#
# A power `(x + c)**-0.5` has the slope `-0.5 * (x + c)**-1.5`, with the constant still inside. Times the
# upstream gradient. Everything is (1, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnvar: hint 3</summary>
#
# Raise the sum of bnvar and 1e-5 to the power -1.5, multiply by -0.5, and multiply by dbnvar_inv.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff2: hint 1</summary>
#
# This is a sum with a factor before it. A sum forward is a broadcast backward.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff2: hint 2</summary>
#
# Each number has the slope 1 / (n - 1). The upstream gradient (1, 64) goes to all rows of its column, so the
# result is (32, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff2: hint 3</summary>
#
# Take a tensor of ones like bndiff2, multiply it by one over n minus one, and multiply by dbnvar.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff: hint 1</summary>
#
# Two forward lines have bndiff on their right-hand side: a product and a square.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff: hint 2</summary>
#
# The product: other factor bnvar_inv (1, 64) times dbnraw (32, 64). The square: the slope of `x**2` is 2x,
# times dbndiff2 (32, 64). The gradient is the first plus the second.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff: hint 3</summary>
#
# Assign bnvar_inv times dbnraw. In a second line add, with +=, twice bndiff times dbndiff2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnmeani: hint 1</summary>
#
# A minus sign and a stretch, as in dlogit_maxes. Along which dimension was it stretched here?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnmeani: hint 2</summary>
#
# The local slope is -1. The stretch over the rows becomes a sum over dimension 0, which is kept: from
# (32, 64) to (1, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnmeani: hint 3</summary>
#
# Sum dbndiff over dimension 0 with keepdim=True, and put a minus sign before it.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhprebn: hint 1</summary>
#
# Two forward lines have hprebn on their right-hand side: a subtraction and a mean over the rows.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhprebn: hint 2</summary>
#
# The subtraction has the slope 1: dbndiff (32, 64), as a copy. The mean is a sum times 1/n, so dbnmeani
# (1, 64) is divided by n and goes to all 32 rows of its column.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhprebn: hint 3</summary>
#
# Start with a clone of dbndiff. In a second line add, with +=, one over n times a tensor of ones like hprebn
# times dbnmeani.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dembcat: hint 1</summary>
#
# The same question as for dh. Which size must meet in the middle?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dembcat: hint 2</summary>
#
# The upstream gradient times the transposed right factor. In shapes: (32, 64) @ (64, 30) gives (32, 30).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dembcat: hint 3</summary>
#
# The matrix product of dhprebn, on the left, and the transpose of W1, on the right.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 1</summary>
#
# The same question as for dW2. The 32 must not be left in the result.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 2</summary>
#
# The transposed left factor times the upstream gradient. In shapes: (30, 32) @ (32, 64) gives (30, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 3</summary>
#
# The matrix product of the transpose of embcat, on the left, and dhprebn, on the right.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 1</summary>
#
# A bias that is stretched over the rows. You have solved this for b2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 2</summary>
#
# The stretch ran over the rows, dimension 0. Sum the upstream gradient (32, 64) over it; b1 is (64,), so the
# dimension is not kept.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 3</summary>
#
# Sum dhprebn over dimension 0, without keepdim.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>demb: hint 1</summary>
#
# Nothing is multiplied or added here. Each number of the gradient has to go back to the place of its own
# number.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>demb: hint 2</summary>
#
# The forward line goes from (32, 3, 10) to (32, 30) by a view. The backward line goes from (32, 30) to
# (32, 3, 10) by a view.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>demb: hint 3</summary>
#
# Call view on dembcat with the shape of emb.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dC: hint 1</summary>
#
# For one row and one position of Xb: from which row of C were the ten numbers copied? Their gradient goes
# back there.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dC: hint 2</summary>
#
# dC starts as zeros (27, 10). Each of the 32 * 3 places of Xb names a row of dC. That row receives the ten
# numbers that demb holds at the same place, added to what is there.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dC: hint 3</summary>
#
# Zeros like C. Then two for loops, over range(Xb.shape[0]) and range(Xb.shape[1]). Inside, use += on the row
# of dC whose number stands in Xb at this place, with the entry of demb at the same place.
#
# </details>
