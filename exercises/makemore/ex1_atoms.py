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
# *About 2 hours. Difficulty 2 of 5. You need Python, tensors and the chain rule. You need not have trained a
# network before.*
#
# One call to `loss.backward()` computes all gradients of a network. In this exercise you do that work by hand:
# you start at the loss, walk back to the first layer, and write the gradient of the loss for 26 tensors.
#
# ## Why do by hand what PyTorch does?
#
# Because autograd is a leaky abstraction. It differentiates what you wrote, not what you meant. When the two differ
# it raises no error. A number comes out, the loss may even fall, and nothing tells you. Three bugs that people
# really ship:
#
# 1. **The loss is clipped instead of the gradient.** A few examples have a huge error, and their gradient should
#    not be huge too. So somebody writes `loss.clamp(max=1)`. But where `clamp` cuts, its slope is 0. The
#    examples with the largest errors now teach the network nothing at all.
# 2. **A unit is saturated or dead.** A tanh far from 0 is flat, and a ReLU below 0 is flat. Their slope multiplies
#    every gradient on the way back. If it is 0 for every example, the weights below never move again.
# 3. **A maximum is subtracted, and its path is lost.** To keep `exp` from overflowing one subtracts the largest
#    score and adds it again at the end. If only one of the two is detached from the graph, the loss is right
#    to the last digit, and the gradient is wrong. Its largest number even has the wrong sign.
#
# The second cell below shows all three. After this exercise you recognise each of them by looking at the line.
#
# <!-- dojo: makemore/ex1_atoms -->

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

from grader import build_dataset, cmp, load_names, split_names


# %%
def gradient_by_autograd(function, *numbers):
    x = torch.tensor(numbers, requires_grad=True)
    function(x).backward()
    return x.grad


def sum_of_exp(x, largest):
    return (x - x.max()).exp().sum().log() + largest  # the logarithm of a sum of exponentials


print("squared errors:           ", gradient_by_autograd(lambda x: (x**2).sum(), 0.5, 5.0))
print("each clipped at 1:        ", gradient_by_autograd(lambda x: (x**2).clamp(max=1).sum(), 0.5, 5.0))
print("tanh at 0.5 and at 10:    ", gradient_by_autograd(lambda x: torch.tanh(x).sum(), 0.5, 10.0))
print("with the maximum's path:  ", gradient_by_autograd(lambda x: sum_of_exp(x, x.max()), 1.0, 2.0, 3.0))
print("one of two paths detached:", gradient_by_autograd(lambda x: sum_of_exp(x, x.max().detach()), 1.0, 2.0, 3.0))

# %% [markdown]
# ## The network on one page
#
# The network reads three characters of a name and predicts the fourth. Its forward pass is cut into twenty short
# lines, the **atoms**. Each atom does one operation that you can differentiate on paper: a product, a sum, a
# power, a logarithm.
#
# | stage | atoms, from top to bottom | parameters | you come back through it in |
# |---|---|---|---|
# | three characters as numbers | `emb`, `embcat` | `C` | part 4 |
# | hidden layer | `hprebn` | `W1`, `b1` | part 4 |
# | batch normalisation | `bnmeani`, `bndiff`, `bndiff2`, `bnvar`, `bnvar_inv`, `bnraw`, `hpreact` | `bngain`, `bnbias` | part 3 |
# | activation | `h` | | part 2 |
# | output layer | `logits` | `W2`, `b2` | part 2 |
# | softmax | `logit_maxes`, `norm_logits`, `counts`, `counts_sum`, `counts_sum_inv`, `probs` | | part 1 |
# | loss | `logprobs`, `loss` | | part 1: start here |
#
# ## The notation
#
# `dX` is the gradient of the loss with respect to the tensor `X`. So `dlogits` answers, for every number in
# `logits`: if this number goes up by a tiny amount, how fast does the loss change?
#
# Take one line of the forward pass, `out = f(x)`. The gradient of `out` is called the **upstream** gradient of this
# line. You know it already, because you start at the loss and walk back. The line itself has a **local
# derivative**: how fast `out` changes with `x`. The chain rule multiplies the two, and the product is what the line
# sends to `x`. Each step of this exercise has this form.
#
# ## How to work
#
# 1. Run the cells of the setup and of the forward pass. You change nothing there.
# 2. Read the section of a variable. It shows the forward line, with shapes, and asks a question.
# 3. Replace the stub below it by your answer. A **stub** is a line such as `dlogprobs = ...`. The three dots
#    are valid Python; they stand for "nothing here yet". Your answer may take as many lines as you like.
# 4. Run your cell, then the `cmp` cell below it. `cmp` compares your tensor with the true gradient.
# 5. If you are stuck, there are three hints for each variable: a nudge, then the rule with its shapes, then a
#    number to check your answer by. `dojo hint dprobs` shows the next one, and so does `hint("dprobs")` in a
#    notebook.
# 6. `dojo grade` with this file's name grades what you have so far. `make grade` grades all the exercises.
#
# Each gradient is graded on its own. After your `dprobs` has been judged, the grader puts the true `dprobs`
# in its place and goes on. So a mistake costs one variable, and the line that is blamed is the line to look at.
# You may also skip a variable that you cannot solve yet: leave its stub, and go on with the next one. In a notebook
# the cells below then go on with the true gradient, which is lent to them and does not count as yours.
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
# see `exact: False`, `approximate: True` and a maxdiff between 1e-11 and 1e-8. That is a right answer.
#
# From `dhpreact` on, `exact: False` is common on right answers. It depends on the processor and on the
# version of PyTorch. The section of `dhpreact` says where it comes from. `exact` never changes a verdict.

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
#   divides by n - 1, which is Bessel's correction. The 1e-5 prevents a division by zero where a column is constant.
# - **Activation** (`h`): tanh, number by number.
# - **Output layer** (`logits`): a matrix product and a bias, giving 27 scores a row.
# - **Softmax** (`logit_maxes` to `probs`): subtract the largest score of the row, exponentiate, and divide by
#   the sum, so that each row becomes 27 probabilities that add up to 1.
# - **Loss** (`logprobs`, `loss`): the logarithm of the probabilities; then the one at the label of each row,
#   averaged over the rows, with a minus sign.
#
# **What the loss means.** `-log(p)` is a measure of surprise, where p is the probability that the network gave to
# the character that really came. If p was 1, the surprise is 0. If p was 0.5 it is 0.69, and if p was 0.01 it is
# 4.61. A network that knows nothing gives 1/27 to each character, so its loss is log 27 = 3.296. Why the logarithm?
# The probability of the whole data is a product of many numbers below 1, which soon is too small for a computer.
# Its logarithm is a sum of moderate numbers. The name of this loss is long, the negative log-likelihood, but its
# meaning is short: the average surprise at one character.
#
# Watch the shapes with a 1 in them: (1, 64) and (32, 1). `keepdim=True` keeps a dimension of size 1 where a
# sum or a maximum was taken. In the next line PyTorch repeats the numbers along this dimension, so that they fit
# the other tensor. This is called **broadcasting**: the (32, 1) is broadcast to (32, 27).

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
# parameters. You walk against the arrows. Each arrow that leaves a tensor is the start of one **path** to the loss,
# and the gradient is the sum over all paths. So look for the boxes that two arrows leave. In a notebook, a click on
# a box leads to its section.

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
# `progress()` lists the gradients with their state, the one next to the loss first. In a notebook the list follows
# each `cmp` that you run from here on. To keep it in sight in JupyterLab, right-click it and choose *Create New View
# for Cell Output*. `progress(graph=True)` adds the graph from above, and `hint("dprobs")`, in any cell, shows the
# next hint for a gradient.

# %%
from grader import hint, progress

progress()

# %% [markdown]
# # Part 1: from the loss back to the logits
#
# This is the end of the forward pass. Two tensors have two arrows leaving them, `logits` and `counts`. They will
# need special care.

# %%
softmax_and_loss = "logits logit_maxes norm_logits counts counts_sum counts_sum_inv probs logprobs loss".split()
show_graph("ex1", globals(), names=softmax_and_loss)

# %% [markdown]
# ## dlogprobs
#
# `loss = -logprobs[range(n), Yb].mean()`: () from (32, 27)
#
# Only `loss` reads `logprobs` (32, 27), so there is one path. `logprobs` has 864
# numbers, and the loss reads 32 of them: one in each row, at the column of the label.
#
# Ask yourself: how fast does the loss change when one of those 32 goes up? And when one of the other
# 832 does?
#
# ### Idea: a gradient has its tensor's shape
#
# A gradient has one number for each number in its tensor. So it has the same shape. Where the loss does not read a
# number, the gradient is 0 at that place.
#
# Take 2 rows, 3 columns, and the labels 2 and 0:
#
# ```
# small =  -1.0  -2.0  -0.5        the loss reads -0.5 and -0.7
#          -0.7  -1.5  -3.0        loss = -(-0.5 - 0.7) / 2 = 0.6
# ```
#
# Raise the -0.5 to -0.49. The loss becomes -(-0.49 - 0.7) / 2 = 0.595. It changed by
# -0.005 for a step of 0.01, so the slope is -0.5. Raise the -2.0 to -1.99. The loss stays at
# 0.6, so the slope is 0.
#
# The next cell does this for all six numbers. It works for every atom: where you are unsure, nudge one number and
# look at the loss.

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
# Watch two things in your answer. The mean is taken over the 32 numbers that were picked, not over all 864. And
# `[range(n), Yb]` picks one place in each row, whereas `[:, Yb]` picks whole columns.

# %% tags=["backward"]
dlogprobs = ...

# %%
cmp("logprobs", dlogprobs, logprobs)

# %% [markdown]
# ## dprobs
#
# `logprobs = probs.log()`: (32, 27) from (32, 27)
#
# Only `logprobs` reads `probs` (32, 27), and each number goes to the same place.
#
# Ask yourself: what is the slope of the logarithm at x, and what do you multiply it by?
#
# ### Idea: local derivative times upstream
#
# An elementwise operation treats each number by itself. So the chain rule works place by place: the local
# derivative at this number, times the upstream gradient at the same place.
#
# Take `out = x**3`, whose derivative is $3x^2$. Say the upstream gradient is (0.5, -1.0):
#
# ```
# x                   2.0     1.0
# local derivative   12.0     3.0       3 * x**2
# upstream            0.5    -1.0
# gradient of x       6.0    -3.0       local derivative * upstream
# ```
#
# The local derivative needs the value of x from the forward pass. That is why training takes so much more memory
# than using a network: the forward tensors have to be kept until the backward pass has read them.

# %% tags=["backward"]
dprobs = ...

# %%
cmp("probs", dprobs, probs)

# %% [markdown]
# ## dcounts_sum_inv
#
# `probs = counts * counts_sum_inv`: (32, 27) from (32, 27) and (32, 1)
#
# Only `probs` reads `counts_sum_inv` (32, 1). But it has one number for each row, and `probs` has 27. So each
# number is broadcast along its row and used 27 times.
#
# Ask yourself: what would the gradient be if `counts_sum_inv` were (32, 27) itself? And how do 27 contributions to
# one number become one gradient?
#
# ### Idea: a broadcast forward is a sum backward
#
# Take one row of three numbers a, and one number s that is broadcast over the row:
#
# ```
# a                     2.0     3.0     4.0
# s = 10, broadcast    10.0    10.0    10.0
# out = a * s          20.0    30.0    40.0
# upstream              1.0     0.5    -1.0
# contribution to s     2.0     1.5    -4.0      a * upstream
# ```
#
# If s goes up by 0.01, all three outputs move, and all three change the loss. So the contributions add up:
# 2.0 + 1.5 - 4.0 = -0.5. The sum runs over the dimension that was broadcast, and over no other.
#
# Mind the dimension. A sum over the wrong one has the shape (1, 27), and later lines broadcast that without an
# error. So print the shape of your answer before you look at its numbers. It must be the shape of `counts_sum_inv`.

# %% tags=["backward"]
dcounts_sum_inv = ...

# %%
cmp("counts_sum_inv", dcounts_sum_inv, counts_sum_inv)

# %% [markdown]
# ## dcounts_sum
#
# `counts_sum_inv = counts_sum**-1`: (32, 1) from (32, 1)
#
# Only `counts_sum_inv` reads `counts_sum` (32, 1), and number by number: an elementwise operation again.
#
# Ask yourself: what does the power rule say for the exponent -1?
#
# The power rule: the derivative of $x^k$ is $k\,x^{k-1}$. For k = -2 at x = 2 that is `-2 * 2**-3`, or
# -0.25.
#
# In Python a power is taken before the minus sign in front of it: `-2**-2` is `-(2**-2)`, or
# -0.25.

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
# Two atoms read `counts` (32, 27), so two paths lead from it to the loss.
#
# Ask yourself: what does `counts` get along each path, and how do the two become one gradient?
#
# ### Idea: a sum forward is a broadcast backward
#
# In a sum the local derivative of each number is 1. So each number that was added up gets the upstream gradient of
# the sum, unchanged. Two rows, summed over dimension 1 with `keepdim=True`:
#
# ```
# x                 sum      upstream      gradient of x
# 1.0  2.0  3.0     6.0        0.7         0.7   0.7   0.7
# 4.0  5.0  6.0    15.0       -0.2        -0.2  -0.2  -0.2
# ```
#
# This is the idea at `dcounts_sum_inv` the other way round: there a broadcast became a sum, here a sum becomes a
# broadcast.
#
# ### Idea: a tensor that is used twice gets the sum of both paths
#
# Take `s = x + 3` and `y = x * s`, at x = 2. Then s = 5 and y = 10. The gradient of y for x has two parts:
#
# ```
# path 1, x as a factor of the product      derivative s      = 5
# path 2, through s                         derivative x * 1  = 2
# both together                                                 7
# ```
#
# Check by a nudge: x = 2.01 gives s = 5.01 and y = 10.0701. It moved by 0.0701 for a step of
# 0.01. That is a slope of 7.01, close to 7, and closer the smaller the step is.
#
# In code: assign the first path with `=`, add the second with `+=`. Keep both lines in one cell. If the `+=` stands
# in a cell of its own and you run that cell twice, the second path is counted twice.

# %% tags=["backward"]
dcounts = ...

# %%
cmp("counts", dcounts, counts)

# %% [markdown]
# ## dnorm_logits
#
# `counts = norm_logits.exp()`: (32, 27) from (32, 27)
#
# Only `counts` reads `norm_logits` (32, 27), place by place.
#
# Ask yourself: what is the derivative of exp at x, and which tensor holds it already?
#
# A number to check your rule: at x = -1.2, exp(x) is 0.3012, and its derivative there is
# 0.3012, too.

# %% tags=["backward"]
dnorm_logits = ...

# %%
cmp("norm_logits", dnorm_logits, norm_logits)

# %% [markdown]
# ## dlogit_maxes
#
# `norm_logits = logits - logit_maxes`: (32, 27) from (32, 27) and (32, 1)
#
# Only `norm_logits` reads `logit_maxes` (32, 1). Each of its numbers is subtracted 27 times.
#
# Ask yourself: if one number of `logit_maxes` goes up by 0.01, which numbers of `norm_logits` move, and which
# way?
#
# ### Idea: a softmax does not notice a shift
#
# The maximum is subtracted for one reason: exp of a large number overflows. In float32 exp(88) is 1.65e+38 and
# exp(89) is `inf`. The probabilities do not depend on it: if all scores of a row go down by the same s, each
# exponential is divided by exp(s), and so is their sum, and the quotient stays as it was. Run the cell: three
# different shifts of the row (1, 2, 3), and the same probabilities each time.

# %%
row_of_scores = torch.tensor([1.0, 2.0, 3.0])
for shift in (0.0, 3.0, -50.0):
    shifted = (row_of_scores - shift).exp()
    print(f"shift {shift:5.1f}: exponentials {shifted}, probabilities {shifted / shifted.sum()}")

# %% [markdown]
# So the true gradient of `logit_maxes` is zero, up to rounding. Your answer will hold numbers around 1e-9, and so
# does PyTorch's. They are what rounding left over. The line of `cmp` says little here, because a tensor of zeros
# would look right as well.
#
# Is the path through the maximum worth an exercise, then? Yes: it is zero only because a softmax follows. You saw
# at the top of this lesson what a lost path does elsewhere. So the grader tests this atom in another way. It
# replaces the upstream gradient by random numbers. With those the answer is far from zero, and only the right
# formula gives it. Write the rule for this line of the forward pass, without using what you know about the softmax.

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
# Two atoms read `logits` (32, 27), as with `counts`.
#
# Ask yourself: what does `logits` get from the subtraction? And which of the 27 numbers of a row can change that
# row's maximum?
#
# ### Idea: a maximum sends its gradient to the place that it came from
#
# Take the row (1.0, 3.0, 2.0). Its maximum is 3.0. Say the upstream gradient of the maximum is 0.5.
#
# ```
# nudge              the maximum becomes     slope     slope * upstream
# 1.0 -> 1.01             3.00                 0            0.0
# 3.0 -> 3.01             3.01                 1            0.5
# 2.0 -> 2.01             3.00                 0            0.0
# ```
#
# The gradient of the row is (0.0, 0.5, 0.0). All of it goes to one place. `x.max(1)` returns not only
# `.values` but also `.indices`, the columns of those places.
#
# What if two numbers of a row are equal and both are the maximum? PyTorch's `max` over a dimension sends the
# gradient to one of them. Random scores do not tie, so a mask such as `logits == logit_maxes` is fine here, too.
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
# The path through the maximum brings about 1e-9, as you saw above. So `cmp` cannot tell whether you have included
# it. The grader can, with its random upstream gradient. Include it: it is a path like any other.

# %% tags=["backward"]
dlogits = ...

# %%
cmp("logits", dlogits, logits)

# %% [markdown]
# # Part 2: the output layer and the activation
#
# Only single paths here. What is new is the matrix product.

# %%
show_graph("ex1", globals(), names="hpreact h W2 b2 logits".split())

# %% [markdown]
# ## dh
#
# `logits = h @ W2 + b2`: (32, 27) from (32, 64), (64, 27) and (27,)
#
# Only `logits` reads `h` (32, 64), as the left factor of a matrix product.
#
# Ask yourself: which numbers of `logits` depend on one number of `h`, and with which weights?
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
# A11 stands in two of the four sums: in out11 with the factor B11 = 5, and in out12 with the factor B12 = 6. It is
# used twice, so the two paths add up: 1.0 * 5 + 0.5 * 6 = 8. The same for the other three:
#
# ```
# A11:   1.0 * 5 + 0.5 * 6 =  8        A12:   1.0 * 7 + 0.5 * 8 = 11
# A21:  -1.0 * 5 + 2.0 * 6 =  7        A22:  -1.0 * 7 + 2.0 * 8 =  9
# ```
#
# Each of these is a row of G times a row of B. So the gradient is a matrix product again, of G and B in some order,
# with or without a transpose. Try which one gives 8, 11, 7, 9. With two by two every order runs without an error,
# and the first attempt below is not the right one.

# %%
left = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
right = torch.tensor([[5.0, 6.0], [7.0, 8.0]])
upstream = torch.tensor([[1.0, 0.5], [-1.0, 2.0]])
print(left @ right)
print(upstream @ right)

# %% [markdown]
# In the network the sizes are all different, so the shapes decide. From `dlogits` (32, 27) and `W2` (64, 27) you
# have to make a (32, 64). Only one arrangement fits. So you need not remember the rule: the shapes tell it to you
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
# Only `logits` reads `W2` (64, 27), as the right factor of the product. All 32 rows of the batch use it.
#
# Ask yourself: which arrangement of `h` (32, 64) and `dlogits` (32, 27) has the shape of `W2`?
#
# The other half of the small example: B11 stands in out11 with the factor A11 = 1, and in out21 with A21 = 3.
#
# ```
# B11:   1.0 * 1 - 1.0 * 3 = -2.0      B12:   0.5 * 1 + 2.0 * 3 = 6.5
# B21:   1.0 * 2 - 1.0 * 4 = -2.0      B22:   0.5 * 2 + 2.0 * 4 = 9.0
# ```
#
# This time the columns of A meet the columns of G, so the sum runs over the rows. In the network the rows are the
# examples of the batch. So this one product adds up what each example asks of the weights.

# %% tags=["backward"]
dW2 = ...

# %%
cmp("W2", dW2, W2)

# %% [markdown]
# ## db2
#
# `logits = h @ W2 + b2`: (32, 27) from (32, 64), (64, 27) and (27,)
#
# Only `logits` reads `b2` (27,). The same 27 numbers are added to each of the 32 rows.
#
# Ask yourself: over which dimension of (32, 27) was `b2` broadcast, and what shape must the answer have?
#
# `b2` (27,) has one dimension. Compare it with the shape of your answer.

# %% tags=["backward"]
db2 = ...

# %%
cmp("b2", db2, b2)

# %% [markdown]
# ## dhpreact
#
# `h = torch.tanh(hpreact)`: (32, 64) from (32, 64)
#
# Only `h` reads `hpreact` (32, 64), place by place.
#
# Ask yourself: how can you write the derivative of tanh with the value of tanh alone, and which tensor holds that
# value?
#
# Two numbers to check your rule:
#
# | `hpreact` | `h`, its tanh | derivative |
# |---|---|---|
# | 0.5 | 0.4621 | 0.7864 |
# | 2.5 | 0.9866 | 0.0266 |
#
# Near 1 and -1 the curve is flat, so hardly any gradient comes back. Such a unit is called **saturated**. This is
# the second bug from the top of the lesson, and here you see the factor that does it.
#
# ### From here on, exact is often False
#
# PyTorch computes this step with a kernel of its own. The kernel's formula is the same as yours, but it may round
# differently. Then the last bit differs, and with it every gradient that is computed from `dhpreact`. Two
# neighbouring float32 numbers near 0.03 are 1.9e-9 apart. So a maxdiff of that size is a
# difference in the last bit.
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
# **What it is for.** tanh learns well while its inputs are spread around 0 with a width of about 1. Much wider, and
# the units are saturated. Much narrower, and tanh is nearly a straight line. How wide `hprebn` is depends on all
# weights below, and these change at every step. So in 2015 Sergey Ioffe and Christian Szegedy proposed to make it
# so: shift and scale each column to mean 0 and variance 1, over the examples of the batch, in every forward pass
# (*Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift*,
# [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)). A learned gain and bias then let the network choose another
# width where that is better. It made deep networks much easier to train.
#
# **What it costs.** Mean and variance are taken over the batch. So each example's output depends on all 32
# examples, and in the backward pass each of them gets a gradient from all 32. That is why this part has so many
# paths.
#
# You have all the rules that you need. Two more tensors have two arrows leaving them, `hprebn` and `bndiff`. In the
# softmax the sums ran along a row, over dimension 1. Here they run down a column, over the batch: dimension 0.

# %%
batch_norm = "hprebn bnmeani bndiff bndiff2 bnvar bnvar_inv bnraw bngain bnbias hpreact".split()
show_graph("ex1", globals(), names=batch_norm)

# %% [markdown]
# ## dbngain
#
# `hpreact = bngain * bnraw + bnbias`: (32, 64) from (1, 64), (32, 64) and (1, 64)
#
# Only `hpreact` reads `bngain` (1, 64). Each of its numbers is the gain of one column, used in 32 rows.
#
# Ask yourself: over which dimension was it broadcast this time, and what does the shape of `bngain` say about
# keepdim? This is `dcounts_sum_inv` again, down the columns instead of along the rows.

# %% tags=["backward"]
dbngain = ...

# %%
cmp("bngain", dbngain, bngain)

# %% [markdown]
# ## dbnbias
#
# `hpreact = bngain * bnraw + bnbias`: (32, 64) from (1, 64), (32, 64) and (1, 64)
#
# Only `hpreact` reads `bnbias` (1, 64). It is added to all 32 rows.
#
# Ask yourself: this is `db2` again, so what is different? Look at the two shapes.

# %% tags=["backward"]
dbnbias = ...

# %%
cmp("bnbias", dbnbias, bnbias)

# %% [markdown]
# ## dbnraw
#
# `hpreact = bngain * bnraw + bnbias`: (32, 64) from (1, 64), (32, 64) and (1, 64)
#
# Only `hpreact` reads `bnraw` (32, 64). It has the full shape already, so nothing of it was broadcast.
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
# Only `bnraw` reads `bnvar_inv` (1, 64). Each of its numbers scales one column of 32. This is `dbngain` again, with
# other names: a (1, 64) that is broadcast over the rows of a product.
#
# Ask yourself: which tensor plays the part of `bnraw` here, and which is the upstream gradient?
#
# `bndiff` stands in this line, too. Its gradient comes later, because it has a second path.

# %% tags=["backward"]
dbnvar_inv = ...

# %%
cmp("bnvar_inv", dbnvar_inv, bnvar_inv)

# %% [markdown]
# ## dbnvar
#
# `bnvar_inv = (bnvar + 1e-5) ** -0.5`: (1, 64) from (1, 64)
#
# Only `bnvar_inv` reads `bnvar` (1, 64). This is the power rule, with something added inside the
# brackets.
#
# Ask yourself: what is the new exponent, what stands before the power, and what is its base?
#
# A number, with 1 in place of the small constant: $f(x) = (x + 1)^{-0.5}$ at x = 3. Then f is `4**-0.5`, or 0.5. At x
# = 3.01 it is 0.499376. It fell by 0.000624 for a step of 0.01, so the slope is about -0.0624. For an infinitely
# small step it is -0.0625. Check your rule against this number.
#
# The 1e-5 is part of the function, so it belongs in the derivative. It changes the result by about one part in
# 100,000, and a comparison in float32 may let that pass. The grader compares in float64 and sees it.
#
# This atom is also where a column that hardly varies does harm, because it makes the gradient huge. For a variance
# of 1 the local derivative is -0.5. For a variance of 0.0001 it is about -433,000.

# %% tags=["backward"]
dbnvar = ...

# %%
cmp("bnvar", dbnvar, bnvar)

# %% [markdown]
# ## dbndiff2
#
# `bnvar = 1 / (n - 1) * bndiff2.sum(0, keepdim=True)`: (1, 64) from (32, 64)
#
# Only `bnvar` reads `bndiff2` (32, 64). Each column of 32 numbers is added up and scaled.
#
# Ask yourself: how fast does the variance change with one of its 32 numbers? And how does a (1, 64) become a (32,
# 64)?
#
# A column with n = 3, (4, 1, 1), has the sum 6 and the variance 6 / 2 = 3. Raise the 4 to 4.1: the sum is 6.1
# and the variance 3.05. The slope is 0.05 / 0.1 = 0.5. It is the same for the two others.
#
# Watch two things. The divisor is n - 1, not n. The distances are taken from the mean of the same rows, which lies
# closer to them than the true mean, so the squares come out a little too small. Bessel's correction makes up for
# it. And the answer must have the full shape of `bndiff2`. A (1, 64) would be broadcast in the next line, and
# nobody would notice.

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
# Two atoms read `bndiff` (32, 64).
#
# Ask yourself: what does each path bring? The second one, through the square, had to wait until `dbndiff2` was
# known.
#
# Assign the first path, add the second, both in one cell. The slope of `x**2` at x = 3 is 6: at x = 3.01 the square
# is 9.0601.

# %% tags=["backward"]
dbndiff = ...

# %%
cmp("bndiff", dbndiff, bndiff)

# %% [markdown]
# ## dbnmeani
#
# `bndiff = hprebn - bnmeani`: (32, 64) from (32, 64) and (1, 64)
#
# Only `bndiff` reads `bnmeani` (1, 64). Each of its numbers is subtracted in 32 rows.
#
# Ask yourself: this is `dlogit_maxes` again, so what is different here?
#
# ### Trap: right numbers in the wrong shape
#
# (64,) and (1, 64) hold the same numbers. They can be added, subtracted and compared without an error, because
# PyTorch broadcasts the first to the shape of the second. So a careless comparison calls them equal, and a later
# sum may then run over the wrong dimension. A gradient has its tensor's shape, here (1, 64). The grader looks at
# the shape before it looks at the numbers, and tells you when only the shape is wrong.

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
# Two atoms read `hprebn` (32, 64). It is the last of the four tensors with two paths.
#
# Ask yourself: how fast does a mean change with one of its numbers? And is your first path a copy, or a second name
# for `dbndiff`, which is then changed as well?
#
# The column (3, 5, 10) has the mean 6. Raise the 10 to 10.3: the mean becomes 6.1. The
# slope is 0.1 / 0.3 = 1/3, one over the number of rows. It is the same for each of the three.

# %% tags=["backward"]
dhprebn = ...

# %%
cmp("hprebn", dhprebn, hprebn)

# %% [markdown]
# # Part 4: the hidden layer and the embedding
#
# You are nearly through: the matrix product once more, a `view`, and one new idea, the lookup in a table.

# %%
show_graph("ex1", globals(), names="C emb embcat W1 b1 hprebn".split())

# %% [markdown]
# ## dembcat
#
# `hprebn = embcat @ W1 + b1`: (32, 64) from (32, 30), (30, 64) and (64,)
#
# Only `hprebn` reads `embcat` (32, 30), as the left factor.
#
# Ask yourself: this is `dh` again. Which arrangement of `dhprebn` (32, 64) and `W1` (30, 64) has the shape (32,
# 30)?

# %% tags=["backward"]
dembcat = ...

# %%
cmp("embcat", dembcat, embcat)

# %% [markdown]
# ## dW1
#
# `hprebn = embcat @ W1 + b1`: (32, 64) from (32, 30), (30, 64) and (64,)
#
# Only `hprebn` reads `W1` (30, 64), as the right factor.
#
# Ask yourself: this is `dW2` again. What do you transpose so that the sum runs over the 32 examples?

# %% tags=["backward"]
dW1 = ...

# %%
cmp("W1", dW1, W1)

# %% [markdown]
# ## db1
#
# `hprebn = embcat @ W1 + b1`: (32, 64) from (32, 30), (30, 64) and (64,)
#
# Only `hprebn` reads `b1` (64,). The same 64 numbers are added to each of the 32 rows.
#
# Ask yourself: this is `db2` again. But what does the batch normalisation do to a constant that is added to a
# column?
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
# So `b1` cannot change the loss, and its gradient is zero up to rounding. In your own networks, leave out the bias
# before a batch normalisation: it costs memory and does nothing. Here it is as with `dlogit_maxes`: your numbers
# and PyTorch's are both rounding errors, around 1e-9, and zeros would look right to `cmp`. So the grader takes a
# random upstream gradient for this atom as well. Write the rule for the line.

# %% tags=["backward"]
db1 = ...

# %%
cmp("b1", db1, b1)

# %% [markdown]
# ## demb
#
# `embcat = emb.view(n, -1)`: (32, 30) from (32, 3, 10)
#
# Only `embcat` reads `emb` (32, 3, 10). A view computes nothing. It gives the same 960
# numbers another shape.
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
# A (32, 10, 3) holds 960 numbers, too, but nearly all in the wrong place. Take the shape from `emb` itself.

# %% tags=["backward"]
demb = ...

# %%
cmp("emb", demb, emb)

# %% [markdown]
# ## dC
#
# `emb = C[Xb]`: (32, 3, 10) from (27, 10), with the indices `Xb` (32, 3)
#
# Only `emb` reads `C` (27, 10). Row 5 of `C` is copied to every place where `Xb` holds a 5.
#
# Ask yourself: where does the gradient of one copied row go? And what if a row was copied several times? A tensor
# that is used twice gets the sum of both paths: that holds for each row of a table, too.
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
# A row that is never used keeps the gradient 0. In a batch of 32 there are 96 lookups in 27 rows, so many rows are
# used several times. The most frequent is `.`, because each name begins with three of them.
#
# Ask yourself: for the ten numbers at `demb[row, position]`, which row of `dC` (27, 10) is theirs?
#
# Write two nested loops first: over the rows of `Xb`, and over the positions in a row. One lookup at a time is slow
# but hard to get wrong. Start from zeros in the same cell, so that a second run does not add everything again.

# %% tags=["backward"]
dC = ...

# %%
cmp("C", dC, C)

# %% [markdown]
# ### dC in one call
#
# The loop makes 96 small additions, and that takes about a hundred times as long as one call. In exercise 4,
# with 200,000 steps, this matters. So write it once more without a loop.
#
# The first idea is often `dC[Xb] += demb`. Run the next cell to see why it fails. The indices are 0, 2, 0, so row 0
# should become 1 + 10 = 11. But an indexed `+=` reads all rows first and writes them afterwards, so one of the two
# additions to row 0 is lost.

# %%
table = torch.zeros(3)
table[torch.tensor([0, 2, 0])] += torch.tensor([1.0, 3.0, 10.0])
print(table)

# %% [markdown]
# PyTorch has calls that add each time an index occurs. One is `index_add_(0, indices, rows)`: it takes a
# one-dimensional tensor of row numbers, and a matrix with one row for each of them. For it `Xb` (32, 3) and `demb`
# (32, 3, 10) need the shapes (96,) and (96, 10).
#
# Another way, if you like matrix products: `C[Xb]` is the same as one-hot rows of `Xb` times `C`, and you know the
# gradient of a matrix product.

# %% tags=["backward"]
dC = ...

# %%
cmp("C", dC, C)

# %% [markdown]
# ## What to take along
#
# Those are all 26 gradients, from the loss down to the embedding table. You used six rules, again and again:
#
# - elementwise: local derivative times upstream;
# - a broadcast forward is a sum backward, and a sum forward is a broadcast backward;
# - a tensor that is used twice gets the sum of both paths;
# - the gradient of a matrix product is two more matrix products, and the shapes say which;
# - a maximum sends its gradient to the place that it came from;
# - a lookup scatters, and rows that were used several times add up.
#
# And look back at the three bugs at the top. `clamp` has the local derivative 0 where it cuts. A saturated tanh has
# the factor `1 - h**2`, which is nearly 0. And a maximum has a path of its own, which must be cut nowhere or in
# both places.
#
# ## What comes next
#
# Grade the file: `dojo grade` counts your gradients and shows the first one to look at. When it says 26 of 26, go
# on to [exercise 2](ex2_cross_entropy.ipynb). There you derive softmax and loss as one expression, and in exercise
# 3 the whole batch normalisation. Both are shorter and faster than the chain of atoms, and now you have the atoms
# to check them by.

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
# Here each of those numbers is -1/32 = -0.03125, and all others are 0. So start from zeros in the
# shape of logprobs. The pair of indices in the forward line names the 32 places, and you can assign to them with
# it.
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
# The derivative of log(x) is 1/x. Multiply it by the upstream gradient, place by place. Local derivative, upstream
# gradient and result are all (32, 27), so there is nothing to sum.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dprobs: hint 3</summary>
#
# A number to check by: at a label with the probability 0.05 your answer must be -0.03125 / 0.05 =
# -0.625. In all other columns it is 0. So a small probability at the label gives a large
# gradient: the network is pulled hardest where it was most surprised.
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
# In a product the local derivative for one factor is the other factor. Other factor (32, 27) times upstream (32,
# 27) gives the contributions. Sum them over the dimension that was broadcast from 1 to 27, and keep that dimension,
# so that the result is (32, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts_sum_inv: hint 3</summary>
#
# In the example above: a is a row of counts, s is the row's counts_sum_inv, and the upstream gradient is dprobs.
# There the answer is -0.5, one number for the row. Which of the two dimensions of counts runs along a row?
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
# The derivative of `x**-1` is `-(x**-2)`. Multiply it by the upstream gradient. Everything here is (32, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts_sum: hint 3</summary>
#
# A number to check by: where counts_sum is 4, the local derivative is -1/16 = -0.0625. It is
# negative everywhere, because a larger sum always makes its inverse smaller.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts: hint 1</summary>
#
# The name counts stands on the right-hand side of two forward lines. Treat each line as if the other did not
# exist. Then put the two results together.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts: hint 2</summary>
#
# The product: other factor (32, 1) times upstream (32, 27). The sum over dimension 1: its upstream gradient
# dcounts_sum (32, 1) is broadcast to all 27 numbers of its row. The gradient (32, 27) is the first plus the second.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dcounts: hint 3</summary>
#
# It takes two lines, one with = for the product and one with += for the sum. In the second line the (32, 1) is
# broadcast by itself. Suppose the product gives a row (0.3, 0.1) and dcounts_sum is 0.05 there: then the row of the
# answer is (0.35, 0.15).
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
# The derivative of exp(x) is exp(x), and the forward pass has computed it already. Local derivative (32, 27) times
# upstream (32, 27).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dnorm_logits: hint 3</summary>
#
# You need no `exp` in your answer, because one forward tensor holds all these exponentials: look at the left-hand
# side of the line. Where norm_logits is 0, at the largest score of a row, the local derivative is 1.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogit_maxes: hint 1</summary>
#
# Two things happen in this line: a minus sign, and a broadcast from one column to 27. Take one at a time.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogit_maxes: hint 2</summary>
#
# The local derivative is -1. A broadcast forward is a sum backward over the same dimension, which is kept: from
# (32, 27) to (32, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogit_maxes: hint 3</summary>
#
# If the upstream row were (0.2, -0.5, 0.1), the answer for this row would be 0.2, minus the sum. One number for
# each row, as (32, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 1</summary>
#
# There are two paths. On the one through the subtraction the local derivative is 1. The one through the maximum
# reaches a single number in each row.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 2</summary>
#
# First path: dnorm_logits (32, 27), as a copy. Second path: in each row the number of dlogit_maxes (32, 1) goes to
# the column of the maximum, and the other 26 columns get 0. Add the two.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 3</summary>
#
# Take the row (1.0, 3.0, 2.0) with dnorm_logits (0.1, 0.2, 0.3) and dlogit_maxes 0.5: the answer is (0.1, 0.7,
# 0.3). `F.one_hot` makes rows of zeros with a single 1 out of the columns of the maxima. Give it num_classes, the
# number of columns of logits.
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
# In the example with two by two, your arrangement must give 8, 11, 7, 9. A transpose is written `.T`.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW2: hint 1</summary>
#
# You want a (64, 27) out of a (32, 64) and a (32, 27). Which size must disappear? Two sizes that meet in the middle
# of a matrix product disappear.
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
# In the example your arrangement must give -2.0, 6.5, -2.0, 9.0.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 1</summary>
#
# This is a broadcast. In an addition the local derivative is 1, so the upstream gradients are the contributions.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 2</summary>
#
# b2 was broadcast over the rows, dimension 0. Sum the upstream gradient (32, 27) over it, and do not keep the
# dimension: (27,).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db2: hint 3</summary>
#
# If the upstream gradient had the two rows (1, 2) and (3, 4), the answer would be (4, 6): one dimension, two
# numbers.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhpreact: hint 1</summary>
#
# Look up or derive the derivative of tanh(x). It can be written so that x stands only inside tanh(x).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhpreact: hint 2</summary>
#
# The derivative of tanh(x) is `1 - tanh(x)**2`. The forward pass has kept tanh(hpreact). Local derivative (32, 64)
# times upstream (32, 64), place by place.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhpreact: hint 3</summary>
#
# Where hpreact is 0.5 the local derivative must be 0.7864. If you get 0.75, you squared hpreact: the square is of
# h.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbngain: hint 1</summary>
#
# A product with a factor that was broadcast. You have solved this for counts_sum_inv, with another dimension.
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
# Take a column of two examples, with bnraw (1.0, -1.0) and upstream (0.3, 0.1): the answer for this column is
# 0.3 - 0.1 = 0.2. One number for each column, as (1, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnbias: hint 1</summary>
#
# In an addition the local derivative is 1. What is left is the broadcast.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnbias: hint 2</summary>
#
# bnbias was broadcast over the rows. Sum the upstream gradient (32, 64) over dimension 0 and keep it, since bnbias
# is (1, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnbias: hint 3</summary>
#
# For a column with the upstream gradients (0.3, 0.1) the answer is 0.4. All columns together have the shape (1,
# 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnraw: hint 1</summary>
#
# In a product the local derivative for one factor is the other factor.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnraw: hint 2</summary>
#
# Other factor (1, 64) times upstream (32, 64). The factor is broadcast to (32, 64), as in the forward pass. There
# is no sum, because bnraw itself was not broadcast.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnraw: hint 3</summary>
#
# For a column with the gain 1.1 and the upstream gradients (0.3, 0.1) the answer is (0.33, 0.11).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnvar_inv: hint 1</summary>
#
# A product, and the factor that you want was broadcast over the rows. Compare dbngain.
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
# Take a column with bndiff (2.0, -2.0) and upstream (0.3, 0.1): the answer for this column is 0.6 - 0.2 = 0.4.
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
# The derivative of `(x + c)**-0.5` is `-0.5 * (x + c)**-1.5`, with the constant still inside. Times the upstream
# gradient. Everything is (1, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnvar: hint 3</summary>
#
# In the example, with c = 1 at x = 3, your rule must give -0.0625: that is -0.5 times 1/8. In your answer the
# constant is 1e-5.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff2: hint 1</summary>
#
# A sum with a factor in front. A sum forward is a broadcast backward.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff2: hint 2</summary>
#
# The local derivative of each number is 1 / (n - 1). The upstream gradient (1, 64) is broadcast to all rows of its
# column, so the result is (32, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff2: hint 3</summary>
#
# In the example, with an upstream gradient of 0.2, each of the three numbers gets 0.5 * 0.2 = 0.1. To get the full
# shape, multiply by a tensor of ones like bndiff2.
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
# The product: other factor bnvar_inv (1, 64) times dbnraw (32, 64). The square: the derivative of `x**2` is 2x,
# times dbndiff2 (32, 64). The gradient is the first plus the second.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbndiff: hint 3</summary>
#
# At a place with bndiff 3, bnvar_inv 0.5, dbnraw 0.2 and dbndiff2 0.1 the answer is 0.5 * 0.2 + 6 * 0.1 =
# 0.7.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnmeani: hint 1</summary>
#
# A minus sign and a broadcast, as in dlogit_maxes. Over which dimension was it broadcast here?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnmeani: hint 2</summary>
#
# The local derivative is -1. The broadcast over the rows becomes a sum over dimension 0, which is kept: from
# (32, 64) to (1, 64).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dbnmeani: hint 3</summary>
#
# For a column with dbndiff (0.2, 0.1, -0.4) the answer is 0.1, minus the sum. All columns together have the shape
# (1, 64).
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
# The subtraction: the local derivative is 1, so it brings dbndiff (32, 64), as a copy. The mean is a sum times 1/n,
# so dbnmeani (1, 64) is divided by n and broadcast to all 32 rows of its column.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dhprebn: hint 3</summary>
#
# For a column with dbndiff (0.2, 0.1, -0.4) and dbnmeani 0.3 the answer is (0.3, 0.2, -0.3): each number gets a
# third of 0.3 on top. It takes two lines, and the first begins with a clone.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dembcat: hint 1</summary>
#
# The same question as for dh. Which size must meet in the middle, and disappear?
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
# Compare with your line for dh: dhprebn stands where dlogits stood, and W1 where W2 stood.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dW1: hint 1</summary>
#
# The same question as for dW2. The 32 examples are added up, so no 32 is left in the shape.
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
# Compare with your line for dW2: embcat stands where h stood, and dhprebn where dlogits stood.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 1</summary>
#
# A bias that is broadcast over the rows. You have solved this for b2.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 2</summary>
#
# b1 was broadcast over the rows, dimension 0. Sum the upstream gradient (32, 64) over it. b1 is (64,), so the
# dimension is not kept.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>db1: hint 3</summary>
#
# Compare with your line for db2. Only the name of the upstream gradient is another one.
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
# In the example the answer has the rows (10, 20), (30, 40) and (50, 60). `emb.shape` is what view needs.
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
# In the example row 0 must be (11, 22). If yours is (10, 20), the second lookup has overwritten the first: use +=.
#
# </details>
