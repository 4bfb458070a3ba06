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
# # Exercise 2: cross-entropy in one step
#
# *About 40 minutes. Difficulty 3 of 5. You need exercise 1, pen and paper.*
#
# In exercise 1 you needed eight lines from `logits` to `loss`: find each row's maximum, subtract it, exponentiate,
# sum, invert, multiply, take the logarithm, and average over the labels. You went back through them one by one.
#
# Here the eight lines are one function, `F.cross_entropy(logits, Yb)`, and you write its gradient with respect to
# the logits directly. On paper nearly everything cancels, and three short lines are left. They are faster than the
# atoms, and they round less often, so libraries compute the gradient in this way. They also say in plain words what
# training asks of the network: raise the score of the right character, lower all the others. At the end of the
# lesson you see it as a picture.
#
# ## A bug that really happens
#
# Somebody has taken the softmax already and calls `F.cross_entropy(probs, Yb)`. No error appears, because the
# function cannot know that these numbers are not logits. It takes the softmax of the softmax. All its inputs lie
# between 0 and 1, so even for a perfect prediction the loss cannot fall below 2.36, and little of the gradient
# reaches the logits. The network learns, but slowly and badly. Whoever knows the gradient of this lesson notices it:
# for a perfect prediction the gradient of what the function is given must be 0, and here it is -0.91 at the label.
#
# ## What you do
#
# There is one gradient to fill in: `dlogits`. The derivation is below, with numbers. Try it on paper before you
# read it. The forward pass up to `logits` is that of exercise 1, and you do not need your answers from there.
#
# <!-- dojo: makemore/ex2_cross_entropy -->

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
certain = F.one_hot(torch.tensor([5]), num_classes=27).float()  # (1, 27): probability 1 at the label
perfect = F.cross_entropy(certain, torch.tensor([5])).item()
print(f"a perfect prediction, softmax taken twice: loss {perfect:.2f} instead of 0")

# %% [markdown]
# ## Sizes, data, parameters
#
# As in exercise 1: three letters of context, embeddings of 10 numbers, 64 hidden units, a batch of 32.

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
alphabet = "abcdefghijklmnopqrstuvwxyz"
block_size = 3
batch_size = 32
n_embd = 10
n_hidden = 64

# %% tags=["setup"]
words = load_names(alphabet=alphabet)
train_words, validation_words, test_words = split_names(words)
Xtr, Ytr = build_dataset(train_words, block_size, alphabet)
itos = dict(enumerate("." + alphabet))
stoi = {symbol: index for index, symbol in itos.items()}
vocab_size = len(itos)

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
# The lines up to `logits` are those of exercise 1. The last line stands for everything that came after them. `Yb`
# has the shape (32,): for each example, the index of the character that really came next.

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
loss = F.cross_entropy(logits, Yb)  # ()

# %% [markdown]
# PyTorch now computes the true gradient of every tensor above. Your answer is compared with it.

# %%
for tensor in list(globals().values()):
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        tensor.retain_grad()
loss.backward()

# %% [markdown]
# ## On paper, 1: the loss of one row
#
# Take one example. Its row of logits is $l$, with one entry for each symbol, and its label is $y$. The softmax
# turns the row into probabilities, and the loss is the surprise at the label, minus the logarithm of its
# probability:
#
# $$p_i = \frac{e^{l_i}}{\sum_j e^{l_j}} \qquad\qquad \text{loss} = -\log p_y$$
#
# The logarithm of a quotient is a difference, so the loss is a sum of two terms:
#
# $$\text{loss} = -l_y + \log \sum_j e^{l_j}$$
#
# **Numbers.** Let the row be [2.0, 1.0, 0.1] and the label 1 (counting from 0).
#
# | | position 0 | position 1 (the label) | position 2 | sum |
# |---|---|---|---|---|
# | logit | 2.0 | 1.0 | 0.1 | |
# | exp(logit) | 7.3891 | 2.7183 | 1.1052 | 11.2125 |
# | probability | 0.6590 | 0.2424 | 0.0986 | 1 |
#
# The loss is $-\log 0.2424 = 1.4170$. By the second form it is
# $-1.0 + \log 11.2125 = -1.0 + 2.4170$, which is the same.

# %% [markdown]
# ## On paper, 2: the derivative of the two terms
#
# What is the derivative with respect to one logit, $l_i$?
#
# The first term, $-l_y$, contains $l_i$ only if $i$ is the label. So its derivative is -1 at the label and 0
# everywhere else.
#
# The second term is the logarithm of a sum. The derivative of $\log s$ is $1/s$. The derivative of the sum with
# respect to $l_i$ is $e^{l_i}$, because only one of its terms contains $l_i$. Together:
#
# $$\frac{\partial}{\partial l_i} \log \sum_j e^{l_j} = \frac{e^{l_i}}{\sum_j e^{l_j}} = p_i$$
#
# The second term gives back the softmax itself! So the derivative of the loss of one row is
#
# $$\frac{\partial\,\text{loss}}{\partial l_i} = \begin{cases} p_i - 1 & \text{if } i \text{ is the label} \\ p_i & \text{everywhere else} \end{cases}$$
#
# **Numbers.** [0.6590, 0.2424 - 1, 0.0986] = [0.6590, -0.7576, 0.0986].
#
# You get the same along the atoms of exercise 1. The logarithm brings $-1/p_y$. The derivative of $p_y$ is
# $p_y (1 - p_y)$ with respect to its own logit, and $-p_y p_i$ with respect to another one. The products are
# $p_y - 1$ and $p_i$.
#
# The next cell checks the three numbers without any formula. It moves one logit by a millionth up and down, and
# measures how much the loss moves.

# %%
row_logits = torch.tensor([2.0, 1.0, 0.1], dtype=torch.float64)
row_label = torch.tensor(1)
tiny = 1e-6
p = F.softmax(row_logits, 0)
print("probabilities:", [round(value, 4) for value in p.tolist()])
for place in range(3):
    nudge = torch.zeros(3, dtype=torch.float64)
    nudge[place] = tiny
    above = F.cross_entropy(row_logits + nudge, row_label)
    below = F.cross_entropy(row_logits - nudge, row_label)
    print(f"slope at logit {place}: {(above - below).item() / (2 * tiny):7.4f}")

# %% [markdown]
# ## On paper, 3: each row sums to zero
#
# The probabilities of a row sum to 1, and the label takes 1 away. So the gradient of a row sums to 0:
# 0.6590 - 0.7576 + 0.0986 = 0.
#
# There is a reason for it. If you add the same number to all logits of a row, the softmax does not change, so the
# loss does not change either. The slope in that direction is zero, and that slope is the sum of the row.
#
# Read the gradient as forces on the logits. Gradient descent moves each logit against its gradient.
#
# - At the label the gradient is negative. So this logit is pulled up, with the strength $1 - p_y$, here 0.7576.
# - At every other symbol it is positive. So those logits are pushed down, each with the strength $p_i$, here 0.6590
#   and 0.0986.
#
# The pull up is as strong as all pushes down together. The symbol that the network wrongly prefers is pushed
# hardest. And where the network is sure and right, hardly any force is left. For example, for the probabilities
# [0.01, 0.98, 0.01] with the label in the middle the gradient is [0.01, -0.02, 0.01].

# %% [markdown]
# ## On paper, 4: the batch, and 1/n
#
# `F.cross_entropy` averages over the batch: the loss is 1/n times the sum of the rows' losses. A row of logits
# changes the loss of its own row and no other. So each row's gradient is what you have, divided by n.
#
# **Numbers.** A batch of two. Row A is the one above. Row B has the logits [0, 0, 0] and the label 0.
#
# | | loss of the row | gradient of the row alone | gradient in the batch, n = 2 |
# |---|---|---|---|
# | A | 1.4170 | [0.6590, -0.7576, 0.0986] | [0.3295, -0.3788, 0.0493] |
# | B | 1.0986 | [-0.6667, 0.3333, 0.3333] | [-0.3333, 0.1667, 0.1667] |
# | mean | 1.2578 | | |
#
# Without the 1/n every number is n times too large. Training would then behave as with a learning rate 32 times as
# high.

# %% [markdown]
# ## Three traps
#
# **Shifted and unshifted exponentials in one quotient.** `exp` of a large logit overflows, so one subtracts the row's
# maximum first. The softmax stays the same if numerator and sum are both shifted. For [2.0, 1.0, 0.1] the maximum is
# 2.0. The shifted exponentials are 1, 0.3679 and 0.1496, with the sum 1.5174, and 0.3679 / 1.5174 is again 0.2424.
# But shifted exponentials over the unshifted sum 11.2125 give 0.0892, 0.0328 and 0.0133. Their sum is 0.1353, which
# is exp(-2), and not 1. The next cell shows it. `F.softmax` does the shift for you.
#
# **Labels in every row.** `[range(n), Yb]` pairs row 0 with the first label, row 1 with the second, and so on: n
# places. `[:, Yb]` means all rows and those columns: up to n places in each row. In the batch of two above, with
# the labels 1 and 0, the second form takes 1 away at columns 0 and 1 of both rows, and each row sums to -1.
#
# **The width of a one-hot matrix.** `F.one_hot(Yb)` makes as many columns as the largest label in the batch needs.
# If there is no `z` in the batch, that is 26 columns or fewer, and subtracting it from a (32, 27) fails. Worse, if
# all labels are 0 there is one column, and broadcasting hides the mistake. `num_classes` sets the width. The next
# cell shows both widths.

# %%
shifted = (row_logits - row_logits.max()).exp()
unshifted = row_logits.exp()
print("shifted over shifted:    ", round((shifted / shifted.sum()).sum().item(), 4))
print("unshifted over unshifted:", round((unshifted / unshifted.sum()).sum().item(), 4))
print("shifted over unshifted:  ", round((shifted / unshifted.sum()).sum().item(), 4))

two_labels = torch.tensor([1, 0])
print("one_hot without num_classes:", tuple(F.one_hot(two_labels).shape))
print("one_hot with num_classes=3: ", tuple(F.one_hot(two_labels, num_classes=3).shape))

# %% [markdown]
# ## dlogits
#
# `loss = F.cross_entropy(logits, Yb)`: () from (32, 27) and (32,)
#
# Only `loss` reads `logits`, so there is one path. The upstream gradient is 1, the derivative of the loss with
# respect to itself. `dlogits` has the shape of `logits`, (32, 27).
#
# Ask yourself: which matrix holds all the $p_i$? Which 32 places of it are special? And what does the mean do?

# %% tags=["backward"]
dlogits = ...

# %%
cmp("logits", dlogits, logits)

# %% [markdown]
# ## What to expect from the check
#
# In float32 a right answer differs from autograd by about 2e-9 or less. Then the line says `exact: False`, and it
# is no fault of yours: autograd computes the same quantity in another order, and each operation rounds. If 1/n is
# missing, or the label was not subtracted, the difference is 0.01 or more.
#
# ## One row of your own
#
# The next cell takes the first example of the batch and multiplies its row by n, to undo the mean. The pull at the
# label and the pushes at the other 26 symbols cancel up to rounding.

# %%
if isinstance(dlogits, torch.Tensor):
    first_row = n * dlogits.detach()[0]
    first_label = Yb[0].item()
    pushes = first_row.clone()
    pushes[first_label] = 0
    print(f"label: {itos[first_label]!r}")
    print(f"pull at the label:       {first_row[first_label].item():8.4f}")
    print(f"pushes at the others:    {pushes.sum().item():8.4f}")
    print(f"hardest push, at {itos[pushes.argmax().item()]!r}:    {pushes.max().item():8.4f}")
    print(f"sum of the row:          {first_row.sum().item():8.1e}")
    print(f"largest sum of any row:  {dlogits.detach().sum(1).abs().max().item():8.1e}")
else:
    print("dlogits is not filled in yet: there is no row to work out.")

# %% [markdown]
# The same row as bars. They point in the direction in which gradient descent moves the logits. The one bar that
# points up is the pull at the label. All others point down, and together they are as long as that one.

# %%
from grader import plots

if isinstance(dlogits, torch.Tensor):
    symbols = [itos[column] for column in range(vocab_size)]
    plots.show(plots.row_bars(n * dlogits[0], symbols, name="the first row, times n"))
else:
    print("dlogits is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ## The picture
#
# Each line of the picture is one example, each column one symbol. Blue is a push down: the softmax, small and
# spread over the whole line. Red is the pull up at the label, one square in each line. It is as strong as all the
# blue of its line together.
#
# The network is untrained, so the blue is pale and everywhere. After training most of it lies on the few characters
# that could follow.

# %%
if isinstance(dlogits, torch.Tensor):
    plots.show(plots.gradient_image(dlogits, symbols))
else:
    print("dlogits is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ## What to take along
#
# - The gradient of softmax and cross-entropy is the softmax, minus one at the label, over n.
# - Each row sums to zero: a pull at the label, and pushes of the same strength at all others.
# - It is bounded: every number of `dlogits` lies between -1/n and 1/n. A single example can be very wrong, and its
#   loss very large, but what it sends back from the loss stays small.
#
# ## What comes next
#
# You have replaced eight backward steps by three lines. [Exercise 3](ex3_batchnorm.ipynb) does the same for batch
# normalisation, where more paths meet and the algebra is longer. In exercise 4 both results go into a training
# loop.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 1</summary>
#
# Look at the result for one row in "On paper, 2". It has two cases. Which tensor would be right everywhere
# if the label had no case of its own? Build that first, for all 32 rows at once. Then treat the labels,
# then the mean.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 2</summary>
#
# The rule: softmax minus one-hot, over n. The softmax goes along dimension 1, so that each row of the (32,
# 27) matrix sums to 1. The one-hot matrix has the same shape, with a 1 at column `Yb[i]` of row i. You can
# subtract that matrix, or change 32 entries of the softmax in place. The division by n applies to all
# entries.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dlogits: hint 3</summary>
#
# A number to check by: for a label with probability 0.05 in a batch of 32 your answer is (0.05 - 1) / 32 = -0.0297,
# and each row sums to zero. Three lines are enough. The middle one changes 32 numbers of the softmax in place, and
# a pair of indices picks one number in each row.
#
# </details>
