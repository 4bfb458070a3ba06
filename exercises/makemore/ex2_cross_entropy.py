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
# In exercise 1 the way from `logits` to `loss` was eight lines: find each row's maximum, subtract it,
# exponentiate, sum, invert, multiply, take the logarithm, and average over the labels. You went back
# through them one by one.
#
# Here the eight lines are one function, `F.cross_entropy(logits, Yb)`, and you write its gradient with
# respect to the logits directly. On paper nearly everything cancels. What is left is short, exact and fast,
# and it shows what training asks of the network: you can read it as a picture.
#
# There is one gradient to fill in: `dlogits`. The derivation is below, with numbers. Try it on paper before
# you read it.
#
# The forward pass up to `logits` is that of exercise 1. You do not need your answers from there.
#
# <!-- dojo: makemore/ex2_cross_entropy -->

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
# The lines up to `logits` are those of exercise 1. The last line stands for everything that came after
# them. `Yb` has the shape (32,): for each example, the index of the letter that really came next.

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
# Take one example. Its row of logits is $l$, with one entry for each symbol, and its label is $y$. The
# softmax turns the row into probabilities, and the loss is minus the logarithm of the label's probability:
#
# ```text
# p[i] = exp(l[i]) / sum over j of exp(l[j])
# loss = -log p[y]
# ```
#
# The logarithm of a quotient is a difference, so the loss is a sum of two terms:
#
# ```text
# loss = -l[y] + log( sum over j of exp(l[j]) )
# ```
#
# **Numbers.** Let the row be [2.0, 1.0, 0.1] and the label 1 (counting from 0).
#
# | | position 0 | position 1 (the label) | position 2 | sum |
# |---|---|---|---|---|
# | logit | 2.0 | 1.0 | 0.1 | |
# | exp(logit) | 7.3891 | 2.7183 | 1.1052 | 11.2125 |
# | probability | 0.6590 | 0.2424 | 0.0986 | 1 |
#
# The loss is -log 0.2424 = 1.4170. By the second form: -1.0 + log 11.2125 = -1.0 + 2.4170, the same.

# %% [markdown]
# ## On paper, 2: the derivative of the two terms
#
# Ask for the derivative with respect to one logit, $l_i$.
#
# The first term, `-l[y]`, contains $l_i$ only when $i$ is the label. Its derivative is -1 at the label and
# 0 everywhere else.
#
# The second term is a logarithm of a sum. The derivative of log s is 1/s, and the derivative of the sum
# with respect to $l_i$ is exp(l[i]), since only one of its terms contains $l_i$. Together:
#
# ```text
# d/dl[i] of log( sum of exp )  =  exp(l[i]) / (sum of exp)  =  p[i]
# ```
#
# So the second term gives back the softmax itself, and the derivative of the loss of one row is
#
# ```text
# dloss/dl[i] = p[i] - 1    where i is the label
# dloss/dl[i] = p[i]        everywhere else
# ```
#
# **Numbers.** [0.6590, 0.2424 - 1, 0.0986] = [0.6590, -0.7576, 0.0986].
#
# You can reach the same result along the atoms of exercise 1. From the logarithm comes -1/p[y]. The
# derivative of p[y] is p[y] (1 - p[y]) with respect to its own logit, and -p[y] p[i] with respect to
# another one. The products are p[y] - 1 and p[i].
#
# The next cell checks the three numbers without any formula: it moves one logit by a millionth up and down
# and looks at how much the loss moves.

# %%
row_logits = torch.tensor([2.0, 1.0, 0.1], dtype=torch.float64)
row_label = torch.tensor(1)
tiny = 1e-6
print("probabilities:", [round(value, 4) for value in F.softmax(row_logits, 0).tolist()])
for place in range(3):
    nudge = torch.zeros(3, dtype=torch.float64)
    nudge[place] = tiny
    above = F.cross_entropy(row_logits + nudge, row_label)
    below = F.cross_entropy(row_logits - nudge, row_label)
    print(f"slope at logit {place}: {(above - below).item() / (2 * tiny):7.4f}")

# %% [markdown]
# ## On paper, 3: each row sums to zero
#
# The probabilities of a row sum to 1. The one at the label takes 1 away. So the gradient of a row sums to
# 0: 0.6590 - 0.7576 + 0.0986 = 0.
#
# There is a reason for it. The softmax does not change when the same number is added to all logits of a
# row. The loss does not change either, so the slope in that direction is zero, and that slope is the sum of
# the row.
#
# Read it as forces on the logits. Gradient descent moves each logit against its gradient.
#
# - At the label the gradient is negative, so the logit is pulled up, with strength 1 - p[y]. Here 0.7576.
# - At every other symbol it is positive, so the logit is pushed down, with strength p[i]. Here 0.6590 and
#   0.0986.
#
# The pull up equals all the pushes down together. The symbol that the network wrongly favours is pushed
# hardest. When the network is sure and right, p[y] is near 1 and there is nothing left to pull: with p =
# [0.01, 0.98, 0.01] the gradient is [0.01, -0.02, 0.01].

# %% [markdown]
# ## On paper, 4: the batch, and 1/n
#
# `F.cross_entropy` averages over the batch: the loss is 1/n times the sum of the rows' losses. A row's
# logits enter only that row's loss. So each row's gradient is what you have, divided by n.
#
# **Numbers.** A batch of two. Row A is the one above. Row B has the logits [0, 0, 0] and the label 0.
#
# | | loss of the row | gradient of the row alone | gradient in the batch, n = 2 |
# |---|---|---|---|
# | A | 1.4170 | [0.6590, -0.7576, 0.0986] | [0.3295, -0.3788, 0.0493] |
# | B | 1.0986 | [-0.6667, 0.3333, 0.3333] | [-0.3333, 0.1667, 0.1667] |
# | mean | 1.2578 | | |
#
# Without the 1/n every entry is n times too large. Training would then act as if the learning rate were 32
# times as high.

# %% [markdown]
# ## Three traps
#
# **Shifted and unshifted exponentials in one quotient.** Large logits overflow in `exp`, so one subtracts
# the row's maximum first. The softmax stays the same, as long as the numerator and the sum are both
# shifted. For [2.0, 1.0, 0.1] the maximum is 2.0. The shifted exponentials are 1, 0.3679 and 0.1496, with
# the sum 1.5174, and 0.3679 / 1.5174 is again 0.2424. Shifted exponentials over the unshifted sum 11.2125
# give 0.0892, 0.0328 and 0.0133. They sum to 0.1353, which is exp(-2), and not to 1. The next cell shows
# it. If you use `F.softmax`, the shift is done for you.
#
# **Labels in every row.** `[range(n), Yb]` pairs row 0 with the first label, row 1 with the second, and so
# on: n places. `[:, Yb]` means all rows and those columns: up to n places in each row. For the batch of two
# above, with the labels 1 and 0, the second form takes 1 away at columns 0 and 1 of both rows, and each row
# sums to -1.
#
# **The width of a one-hot matrix.** `F.one_hot(Yb)` makes as many columns as the largest label in the batch
# needs. A batch without a `z` gets 26 columns or fewer, and subtracting it from (32, 27) fails. Worse, if
# all labels are 0 there is one column, and broadcasting hides the mistake. `num_classes` sets the width.
# The next cell shows both widths.

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
# `loss = F.cross_entropy(logits, Yb)`: `logits` (32, 27) and `Yb` (32,) go in, `loss` () comes out.
#
# `logits` is used here and nowhere else, so there is one path, and what flows in from above is 1, the
# derivative of the loss with respect to itself. `dlogits` has the shape of `logits`, (32, 27).
#
# Ask yourself: which matrix holds all the $p_i$, which 32 places of it are special, and what does the mean
# do?

# %% tags=["backward"]
dlogits = ...

# %%
cmp("logits", dlogits, logits)

# %% [markdown]
# ## What to expect from the check
#
# In float32 a right answer differs from autograd by about 5e-9. The line then says `exact: False`, and that
# is no fault of yours: autograd computes the same quantity with its operations in another order, and each
# of them rounds. A missing 1/n or a label that was not subtracted shows as a difference of 0.01 or more.
#
# ## One row of your own
#
# The next cell takes the first example of the batch and multiplies its row by n, to undo the mean. The pull
# at the label and the pushes at the other 26 symbols cancel up to rounding.

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
# The same row as bars, in the direction in which gradient descent moves the logits. The one bar that points up
# is the pull at the label; all others point down, and together they are as long as the one.

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
# One line of the picture is one example, one column is one symbol. Blue is a push down: the softmax, small
# and spread over the row. Red is the pull up at the label: one square in each line. In a line where the
# network gives the label little probability, the red square is as strong as all the blue of that line
# together.
#
# The network is untrained, so the blue is pale and lies on all symbols. After training most of it sits on
# the few letters that could follow.

# %%
if isinstance(dlogits, torch.Tensor):
    plots.show(plots.gradient_image(dlogits, symbols))
else:
    print("dlogits is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ## What comes next
#
# You have replaced eight backward steps by three lines. Exercise 3 does the same for batchnorm, where more
# paths meet and the algebra is longer. In exercise 4 both results go into a training loop.

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
# Three lines do it. First give `dlogits` the value that `F.softmax` returns for `logits` along dimension 1.
# Then pick one entry in each row, with the row numbers 0 to n-1 as the first index and `Yb` as the second,
# and take 1 away from those entries in place. Then divide the whole tensor by n in place.
#
# </details>
