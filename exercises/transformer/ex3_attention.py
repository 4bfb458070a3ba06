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
# # Transformer 3: attention
#
# *About 90 minutes. Difficulty 4 of 5. You need lesson 1 of this track, the gradient of softmax.*
#
# The network of makemore sees three characters, because its first layer has a weight for each of three places.
# Attention has no such limit. Each token makes three rows of numbers: what it looks for (its **query**), what it
# offers (its **key**), and what it hands over (its **value**). Query times key is a score: how well the two fit.
# Softmax turns the scores of a token into weights, and the token takes the weighted mean of the values (Vaswani and
# others, 2017, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)).
#
# ## Two bugs that really happen
#
# **The mask is forgotten.** A language model predicts the next token, so a token may look at itself and at what
# came before it, never at what comes after. Without the mask the answer stands in the input. The training loss
# falls below anything you have seen, and everybody is happy until the model writes its first sentence, which is
# nonsense.
#
# **The heads are cut wrongly.** Attention runs in several heads, each on a slice of the channels. To cut, you
# need `view` and then `transpose`. With a `view` alone the shapes fit as well, but a head gets pieces of
# *different tokens* as if they were one. The model trains, only worse, and later tokens leak past the mask.
# Part 2 shows it with numbers.
#
# Neither raises an error. Whoever knows the gradients sees both at once: a gradient arrives where none may
# arrive.
#
# | part | lines of the forward pass | what they do |
# |---|---|---|
# | 1, one head | `q`, `k`, `v` | each token gets a query, a key and a value |
# | | `scores`, `masked`, `weights` | query times key; what comes later is masked; softmax |
# | | `out` | the weighted mean of the values |
# | 2, several heads | `qs` to `vh` | query, key and value again, cut into heads |
# | | `sh`, `wh`, `oh` | part 1 once more, in each head |
# | | `joined`, `y` | the heads side by side, and a projection that mixes them |
#
# <!-- dojo: transformer/ex3_attention -->

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

from grader import cmp

# %% tags=["parameters"]
seed = 2147483647
device = "cpu"
dtype = "float32"
n_batch = 2
n_tokens = 6
n_embd = 15
n_heads = 3

# %% [markdown]
# ## The tensors
#
# The letters are those that everybody uses: B texts, T tokens, C channels, H heads of D = C / H channels each.
# Here B = 2, T = 6, C = 15, H = 3, D = 5, all different, so that a shape tells you what it is.
#
# | name | shape | what it is |
# |---|---|---|
# | `x`, `x2` | (2, 6, 15) | the tokens that go into part 1 and into part 2 |
# | `Wq`, `Wk`, `Wv` | (15, 15) | part 1: from a token to its query, key and value |
# | `Uq`, `Uk`, `Uv`, `Uo` | (15, 15) | part 2: the same, and the projection after the heads |
# | `later` | (6, 6) | true above the diagonal: row i may not look at column j > i |
# | `goal` | (2, 6, 15) | what both parts should give; it makes a loss |

# %% tags=["setup"]
g = torch.Generator().manual_seed(seed)


def draw(*shape):
    return torch.randn(shape, generator=g, dtype=getattr(torch, dtype)).to(device)


B, T, C, H = n_batch, n_tokens, n_embd, n_heads
D = C // H
x = draw(B, T, C)
x2 = draw(B, T, C)
Wq = draw(C, C) * C**-0.5
Wk = draw(C, C) * C**-0.5
Wv = draw(C, C) * C**-0.5
Uq = draw(C, C) * C**-0.5
Uk = draw(C, C) * C**-0.5
Uv = draw(C, C) * C**-0.5
Uo = draw(C, C) * C**-0.5
goal = draw(B, T, C)
for p in [x, x2, Wq, Wk, Wv, Uq, Uk, Uv, Uo]:
    p.requires_grad = True
later = torch.ones(T, T, dtype=torch.bool, device=device).triu(1)
n = B

# %% [markdown]
# ## The forward pass
#
# Part 1 is one head that uses all channels, `q` to `out`. Part 2 is three heads, `qs` to `y`.
#
# `@` multiplies the last two dimensions and repeats this for all dimensions before them: (2, 6, 15) @ (15, 6)
# would be one product for each text. `k.transpose(-2, -1)` has the shape (2, 15, 6).

# %% tags=["forward"]
q = x @ Wq  # (2, 6, 15)
k = x @ Wk  # (2, 6, 15)
v = x @ Wv  # (2, 6, 15)
scores = q @ k.transpose(-2, -1) * C**-0.5  # (2, 6, 6)
masked = scores.masked_fill(later, float("-inf"))  # (2, 6, 6)
weights = torch.softmax(masked, -1)  # (2, 6, 6)
out = weights @ v  # (2, 6, 15)
qs = x2 @ Uq  # (2, 6, 15)
ks = x2 @ Uk  # (2, 6, 15)
vs = x2 @ Uv  # (2, 6, 15)
qh = qs.view(B, T, H, D).transpose(1, 2)  # (2, 3, 6, 5)
kh = ks.view(B, T, H, D).transpose(1, 2)  # (2, 3, 6, 5)
vh = vs.view(B, T, H, D).transpose(1, 2)  # (2, 3, 6, 5)
sh = qh @ kh.transpose(-2, -1) * D**-0.5  # (2, 3, 6, 6)
wh = torch.softmax(sh.masked_fill(later, float("-inf")), -1)  # (2, 3, 6, 6)
oh = wh @ vh  # (2, 3, 6, 5)
joined = oh.transpose(1, 2).reshape(B, T, C)  # (2, 6, 15)
y = joined @ Uo  # (2, 6, 15)
loss = ((out - goal) ** 2).mean() + ((y - goal) ** 2).mean()  # ()

# %% [markdown]
# ### Why the scores are scaled
#
# A score is a sum of C products. If queries and keys have a spread of about 1, each product has one too, and
# the sum of 15 of them has a spread of about the root of 15, which is 3.87. With 512 channels
# it would be 22.6. Lesson 1 showed what softmax does with such numbers: a one, zeros, and hardly any gradient.
# So the scores are divided by the root.
#
# ### What the mask does
#
# The exponential of minus infinity is 0. So a masked place gets the weight 0, and the others share the whole.
# Here are the weights of the first text. Row 0 has one place to look at, so its weight is 1.

# %%
with torch.no_grad():
    for row in weights[0].tolist():
        print("  ".join(f"{value:.3f}" for value in row))

# %%
for tensor in list(globals().values()):
    if isinstance(tensor, torch.Tensor) and tensor.requires_grad:
        tensor.retain_grad()
loss.backward()

# %% [markdown]
# # Part 1: one head
#
# Follow the arrows against their direction. Three of them leave `x`, so three paths come back to it at the end.

# %%
from grader import show_graph

show_graph("transformer/ex3_attention", globals(), names="x Wq Wk Wv q k v scores masked weights out".split())

# %% [markdown]
# ## dout
#
# `loss = ((out - goal) ** 2).mean() + ...`: () from (2, 6, 15)
#
# Only the first mean reads `out` (2, 6, 15). The second one belongs to part 2.
#
# Ask yourself: what is the slope of a square, and by how many numbers of `out` does the mean divide?

# %% tags=["backward"]
dout = ...

# %%
cmp("out", dout, out)

# %% [markdown]
# ### Idea: a matrix product with more dimensions
#
# For one text, `weights @ v` is (6, 6) @ (6, 15), and you know its two gradients. The dimension in front only
# says that it happens twice, once for each text. So the rule stays, and "transposed" means: exchange the *last
# two* dimensions. `v.T` will not do, since it reverses all three; `v.transpose(-2, -1)` exchanges the last two.
#
# ## dweights, dv
#
# `out = weights @ v`: (2, 6, 15) from (2, 6, 6) and (2, 6, 15)
#
# Row i of `out` is a mixture of the rows of `v`. So row j of `v` gets a gradient from every token that looked at
# it, and the transposed weights say how much from each.
#
# Ask yourself: which product gives the shape of `weights` (2, 6, 6), and which the shape of `v` (2, 6, 15)?

# %% tags=["backward"]
dweights = ...
dv = ...

# %%
cmp("weights", dweights, weights)
cmp("v", dv, v)

# %% [markdown]
# ## dmasked
#
# `weights = torch.softmax(masked, -1)`: (2, 6, 6) from (2, 6, 6)
#
# Lesson 1: upstream minus its weighted mean, times the weight. One row holds the weights of one token, and it runs
# along the last dimension.
#
# The matrices are square, so a sum over the wrong dimension raises no error. Check yourself: each row of the result
# sums to 0, and above the diagonal every number is 0, because the weight there is 0.
#
# Ask yourself: along which dimension of `weights` (2, 6, 6) do the numbers sum to 1?

# %% tags=["backward"]
dmasked = ...

# %%
cmp("masked", dmasked, masked)

# %% [markdown]
# ### Idea: what was overwritten gets nothing
#
# `masked_fill` writes minus infinity over some scores. Whatever stood there before, the result is the same. So
# the loss cannot depend on it, and the gradient is zero there. Everywhere else the score is passed on as it is,
# so the gradient is passed on as it is.
#
# With numbers: scores (3, 5) become (3, -inf). The upstream gradient (0.4, 0.7) goes back as (0.4, 0).
#
# After a softmax the upstream gradient is zero at these places already. Write the zero all the same, because it
# belongs to this line: the line in front of it need not be a softmax, and the grader tries that too.
#
# ## dscores
#
# `masked = scores.masked_fill(later, float("-inf"))`: (2, 6, 6) from (2, 6, 6)
#
# Ask yourself: can the loss notice if you change a number of `scores` (2, 6, 6) above the diagonal?

# %% tags=["backward"]
dscores = ...

# %%
cmp("scores", dscores, scores)

# %% [markdown]
# The gradient of the scores of the first text: a line is the token that looks, a column the token that is
# looked at. Red says "look here more", blue "look here less". Above the diagonal there is nothing. If something
# shows there in a model of yours, its mask is broken.

# %%
from grader import plots

if isinstance(dscores, torch.Tensor):
    plots.show(plots.gradient_image(dscores[0], [f"token {place}" for place in range(T)], name="dscores"))
else:
    print("dscores is not filled in yet: there is nothing to draw.")

# %% [markdown]
# ### Idea: query and key
#
# Two tokens with one channel: queries 1, 2 and keys 3, 4. The scores are all four products, ((3, 4), (6, 8)).
# Let the upstream gradient be ((0.1, 0.2), (0.3, 0.4)).
#
# - Query 0 stands in row 0: 0.1 * 3 + 0.2 * 4 = 1.1. Query 1 stands in row 1: 0.3 * 3 + 0.4 * 4 = 2.5.
# - Key 0 stands in column 0: 0.1 * 1 + 0.3 * 2 = 0.7. Key 1 stands in column 1: 0.2 * 1 + 0.4 * 2 = 1.0.
#
# So a query sums along its row and a key along its column: the upstream gradient is transposed for the keys. In
# the forward pass the keys were transposed, so their gradient must be turned back.
#
# ## dq, dk
#
# `scores = q @ k.transpose(-2, -1) * C**-0.5`: (2, 6, 6) from (2, 6, 15) and (2, 6, 15)
#
# Ask yourself: for which of `q` and `k`, both (2, 6, 15), is the upstream gradient transposed? And where does the
# factor $C^{-1/2}$ go?

# %% tags=["backward"]
dq = ...
dk = ...

# %%
cmp("q", dq, q)
cmp("k", dk, k)

# %% [markdown]
# ### Idea: one weight for all texts
#
# `Wq` (15, 15) serves all 6 tokens of both texts, so its gradient is a sum over all 12. One way: lay the texts
# under each other, so that (2, 6, 15) becomes (12, 15), and use the rule of makemore. Another way: make the product
# for each text alone, (2, 15, 6) @ (2, 6, 15), which gives (2, 15, 15), and sum over dimension 0.
#
# With numbers: two texts of one token with one channel, x 2 and 3, upstream 10 and 100. The one weight gets 2 *
# 10 + 3 * 100 = 320.
#
# ## dWq, dWk, dWv
#
# `q = x @ Wq`: (2, 6, 15) from (2, 6, 15) and (15, 15); the same for `k` and `v`
#
# Ask yourself: over which dimensions of `x` (2, 6, 15) does the gradient of `Wq` (15, 15) sum?

# %% tags=["backward"]
dWq = ...
dWk = ...
dWv = ...

# %%
cmp("Wq", dWq, Wq)
cmp("Wk", dWk, Wk)
cmp("Wv", dWv, Wv)

# %% [markdown]
# ## dx
#
# `q = x @ Wq`, `k = x @ Wk`, `v = x @ Wv`: three times (2, 6, 15) from (2, 6, 15) and (15, 15)
#
# Three lines read `x` (2, 6, 15), because it becomes query, key and value. So there are three paths.
#
# Ask yourself: what does each path bring, and how do the three become one gradient?

# %% tags=["backward"]
dx = ...

# %%
cmp("x", dx, x)

# %% [markdown]
# # Part 2: several heads

# %%
show_graph("transformer/ex3_attention", globals(), names="x2 Uq Uk Uv qs ks vs qh kh vh sh wh oh joined Uo y".split())

# %% [markdown]
# One softmax gives one mixture. A token may want two things at once, for example the last vowel and the start
# of the word. So the channels are cut into H slices, each slice does attention by itself, and the results are
# laid side by side again. The formulas stay as they are. What is new is cutting and joining.
#
# ### Idea: view cuts, transpose puts in order
#
# One text, two tokens of four channels, two heads. In memory the numbers stand in one row: token 0 is 1 2 3 4,
# token 1 is 5 6 7 8.
#
# ```text
# view(T, H, D).transpose(0, 1)             view(H, T, D), the slip
# head 0:  token 0 -> 1 2                   head 0:  "token 0" -> 1 2
#          token 1 -> 5 6                            "token 1" -> 3 4     this is token 0 again
# head 1:  token 0 -> 3 4                   head 1:  "token 0" -> 5 6     this is token 1
#          token 1 -> 7 8                            "token 1" -> 7 8
# ```
#
# Both have the shape (2, 2, 2). On the right head 1 takes 5 6 for token 0, so what token 1 holds can reach the
# output at place 0, past the mask. The backward pass has the same trap. To join, undo the steps in reverse: first
# `transpose`, so that the heads of one token stand side by side again, then `reshape` to (B, T, C). (`view` refuses
# after a transpose, because the numbers no longer lie in one row.)

# %%
cut = torch.arange(1, 9).view(2, 4)
print("right:", cut.view(2, 2, 2).transpose(0, 1).tolist(), "  slip:", cut.view(2, 2, 2).tolist())

# %% [markdown]
# ## dy, dUo, djoined
#
# `y = joined @ Uo`: (2, 6, 15) from (2, 6, 15) and (15, 15)
#
# Here begins the way back of part 2. The projection `Uo` mixes what the heads have found.
#
# Ask yourself: which lines of part 1 have the form of the second mean and of this product? And which shapes must
# `dUo` and `djoined` have?

# %% tags=["backward"]
dy = ...
dUo = ...
djoined = ...

# %%
cmp("y", dy, y)
cmp("Uo", dUo, Uo)
cmp("joined", djoined, joined)

# %% [markdown]
# ## doh
#
# `joined = oh.transpose(1, 2).reshape(B, T, C)`: (2, 6, 15) from (2, 3, 6, 5)
#
# Nothing is computed here, numbers only move. So the gradient moves back.
#
# Ask yourself: which of the two steps must be undone first to come from (2, 6, 15) to the shape of `oh` (2, 3, 6,
# 5)? And which shape is in between?

# %% tags=["backward"]
doh = ...

# %%
cmp("oh", doh, oh)

# %% [markdown]
# ## dwh, dvh
#
# `oh = wh @ vh`: (2, 3, 6, 5) from (2, 3, 6, 6) and (2, 3, 6, 5)
#
# As in part 1, with one dimension more in front.
#
# Ask yourself: which two dimensions of `wh` (2, 3, 6, 6) are the matrix, and which ones only repeat the work?

# %% tags=["backward"]
dwh = ...
dvh = ...

# %%
cmp("wh", dwh, wh)
cmp("vh", dvh, vh)

# %% [markdown]
# ## dsh
#
# `wh = torch.softmax(sh.masked_fill(later, float("-inf")), -1)`: (2, 3, 6, 6) from (2, 3, 6, 6)
#
# Mask and softmax are one line here.
#
# Ask yourself: which number does `wh` (2, 3, 6, 6) hold at the masked places, and what does the formula of softmax
# make of it?

# %% tags=["backward"]
dsh = ...

# %%
cmp("sh", dsh, sh)

# %% [markdown]
# ## dqh, dkh
#
# `sh = qh @ kh.transpose(-2, -1) * D**-0.5`: (2, 3, 6, 6) from (2, 3, 6, 5) and (2, 3, 6, 5)
#
# Ask yourself: a number of `sh` (2, 3, 6, 6) is a sum of D products, no longer of C. What is the factor now?

# %% tags=["backward"]
dqh = ...
dkh = ...

# %%
cmp("qh", dqh, qh)
cmp("kh", dkh, kh)

# %% [markdown]
# ## dqs, dks, dvs
#
# `qh = qs.view(B, T, H, D).transpose(1, 2)`: (2, 3, 6, 5) from (2, 6, 15)
#
# Here the cut is undone. The forward pass did the same when it made `joined` from `oh`.
#
# Ask yourself: which step comes first on the way from `dqh` (2, 3, 6, 5) to the shape of `qs` (2, 6, 15)?
#
# ### Trap: the shape fits without the transpose
#
# `dqh.reshape(B, T, C)` has the right shape and puts numbers of different tokens side by side. The sum of all
# numbers is right as well. Only a comparison place by place shows it.

# %% tags=["backward"]
dqs = ...
dks = ...
dvs = ...

# %%
cmp("qs", dqs, qs)
cmp("ks", dks, ks)
cmp("vs", dvs, vs)

# %% [markdown]
# ## dUq, dUk, dUv, dx2
#
# `qs = x2 @ Uq`, `ks = x2 @ Uk`, `vs = x2 @ Uv`: three times (2, 6, 15) from (2, 6, 15) and (15, 15)
#
# The end of part 1 once more, with the names of part 2.
#
# Ask yourself: how many tokens does each weight serve, and how many paths lead back to `x2` (2, 6, 15)?

# %% tags=["backward"]
dUq = ...
dUk = ...
dUv = ...
dx2 = ...

# %%
cmp("Uq", dUq, Uq)
cmp("Uk", dUk, Uk)
cmp("Uv", dUv, Uv)
cmp("x2", dx2, x2)

# %% [markdown]
# ## A test for leaks
#
# Here is a test that you can put into any project. Take the output at token 0 and ask for its gradient with respect
# to all tokens. It may depend on token 0 alone. The right cut passes. The slip, `view(B, H, T, D)` without the
# transpose, does not: output 0 depends on token 2 and token 4 as well, in spite of the mask.


# %%
def heads(tokens, slip):
    pieces = [tokens @ weight for weight in (Uq, Uk, Uv)]
    if slip:
        qp, kp, vp = (piece.view(B, H, T, D) for piece in pieces)
    else:
        qp, kp, vp = (piece.view(B, T, H, D).transpose(1, 2) for piece in pieces)
    fits = (qp @ kp.transpose(-2, -1) * D**-0.5).masked_fill(later, float("-inf"))
    mixed = torch.softmax(fits, -1) @ vp
    return mixed.transpose(1, 2).reshape(B, T, C)


leaks = {}
for label, slip in (("view and transpose", False), ("view alone", True)):
    tokens = x2.detach().clone().requires_grad_()
    (reached,) = torch.autograd.grad(heads(tokens, slip)[0, 0].sum(), tokens)
    leaks[slip] = [place for place in range(T) if reached[0, place].abs().max() > 0]
    print(f"{label:20} output 0 depends on the tokens {leaks[slip]}")

# %% [markdown]
# ## What to take along
#
# - Attention is two matrix products with a softmax between them, so its gradient is four matrix products with
#   the gradient of softmax between them.
# - "Transposed" means the last two dimensions. Whatever stands in front only repeats the work.
# - Queries sum along the rows of dscores, keys along the columns, values along the columns of the weights.
# - What the mask overwrote gets no gradient. A gradient above the diagonal is a leak.
# - Cut with view and then transpose; join with transpose and then reshape. The shape fits without the transpose
#   too.
# - The input has three paths. Weights sum over texts and tokens.
#
# Grade the file with `dojo grade`. The next lesson, [a transformer block](ex4_block.ipynb), puts lessons 1 to 3
# together.

# %% [markdown] tags=["standing"]
# ## Where you stand
#
# Each gradient of this lesson, the one next to the loss first, and what comes next once all are right.

# %% tags=["standing"]
from grader import progress

progress()

# %% [raw] tags=["grading"]
# batch = "n_batch"
# sizes = [
#     {"n_batch": 3, "n_tokens": 5, "n_embd": 8, "n_heads": 2},
#     {"n_batch": 2, "n_tokens": 4, "n_embd": 15, "n_heads": 3},
#     {"n_batch": 5, "n_tokens": 3, "n_embd": 14, "n_heads": 2},
#     {"n_batch": 3, "n_tokens": 7, "n_embd": 10, "n_heads": 2},
# ]

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 1</summary>
#
# A mean of squares, as in lessons 1 and 2. Count the numbers that it averages.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 2</summary>
#
# Each place of the (2, 6, 15) gets 2 times (out - goal), divided by out.numel().
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dout: hint 3</summary>
#
# A number to check by: 2 * 6 * 15 is 180, so where out lies 0.5 above the goal the answer is 2 * 0.5 / 180 =
# 0.0056.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dweights, dv: hint 1</summary>
#
# Write the shapes of one text only: (6, 15) came from (6, 6) and (6, 15). Which size meets in the middle?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dweights, dv: hint 2</summary>
#
# Left factor: (2, 6, 15) @ (2, 15, 6), with v transposed in its last two dimensions. Right factor: (2, 6, 6) @
# (2, 6, 15), with the weights transposed.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dweights, dv: hint 3</summary>
#
# Check by one text of two tokens with one channel: weights ((1, 0), (0.25, 0.75)), values 2 and 6, upstream 1
# and 10. dweights must be ((2, 6), (20, 60)), and dv 3.5 and 7.5.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dmasked: hint 1</summary>
#
# Softmax ran over one dimension. The weighted mean runs over the same, and over no other.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dmasked: hint 2</summary>
#
# The sum of dweights times weights over the last dimension, kept, is (2, 6, 1). Subtract it from dweights and
# multiply by weights: (2, 6, 6).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dmasked: hint 3</summary>
#
# A row with the weights (0.2, 0.3, 0.5) and dweights (1, 2, 4) must give (-0.36, -0.24, 0.60). If the rows of your
# answer do not sum to 0, look at the dimension of the sum and at the brackets.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dscores: hint 1</summary>
#
# There are two kinds of places, those where `later` is true and the others. Find the slope for each kind.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dscores: hint 2</summary>
#
# A copy of dmasked, with 0 where `later` is true. `later` is (6, 6) and broadcasts over the texts.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dscores: hint 3</summary>
#
# A row (0.4, 0.7) of dmasked whose second place is masked becomes (0.4, 0). What the forward line does to scores
# you can do to a gradient as well, with another number to fill in.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dq, dk: hint 1</summary>
#
# A constant factor of a line is a constant factor of its gradients, of both of them. Then think of the product
# alone.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dq, dk: hint 2</summary>
#
# dq is (2, 6, 6) @ (2, 6, 15), with the keys as they are. dk is (2, 6, 6) @ (2, 6, 15), with the upstream
# gradient transposed in its last two dimensions. Both times C to the power -0.5.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dq, dk: hint 3</summary>
#
# In the example, where C is 1, dq must be 1.1 and 2.5, and dk 0.7 and 1.0. If your dk is 0.5 and 1.1, the transpose
# is missing.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dWq, dWk, dWv: hint 1</summary>
#
# What is the gradient of a weight in makemore, dW1, and what is different here?
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dWq, dWk, dWv: hint 2</summary>
#
# x as (12, 15), transposed, times dq as (12, 15): (15, 15). Or x transposed in its last two dimensions times
# dq, summed over dimension 0.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dWq, dWk, dWv: hint 3</summary>
#
# In the example your rule must give 320, one number. If you get two numbers, 20 and 300, the sum over the texts is
# missing.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 1</summary>
#
# Count the lines of the forward pass that read x. Each is a matrix product with x on the left.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 2</summary>
#
# For each: upstream (2, 6, 15) times the transposed weight (15, 15). The sum of three such products.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dx: hint 3</summary>
#
# One token with one channel: dq 1, dk 10, dv 100 and the weights 2, 3 and 4 must give 2 + 30 + 400 = 432. If you
# get 402, the path through the keys is missing.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dy, dUo, djoined: hint 1</summary>
#
# dy is dout with another name. The other two are the rules for a weight and for an input, which you have just
# used.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dy, dUo, djoined: hint 2</summary>
#
# dy (2, 6, 15) is 2 times (y - goal) over y.numel(). dUo (15, 15) is a sum over all 12 tokens: joined as (12,
# 15), transposed, times dy as (12, 15). djoined (2, 6, 15) is dy times Uo transposed.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dy, dUo, djoined: hint 3</summary>
#
# Numbers to check by: where y lies 0.5 above the goal, dy is 2 * 0.5 / 180 = 0.0056. And one token with one
# channel, joined 3, Uo 4 and dy 10, gives dUo 30 and djoined 40.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>doh: hint 1</summary>
#
# Going forward, transpose came first and reshape second. Going back, the last step is undone first.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>doh: hint 2</summary>
#
# (2, 6, 15) is cut into (2, 6, 3, 5) by a view, then dimensions 1 and 2 are exchanged: (2, 3, 6, 5). These are
# the very steps that made qh from qs.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>doh: hint 3</summary>
#
# The example above, with gradients in place of numbers: the tokens (1, 2, 3, 4) and (5, 6, 7, 8) must become head 0
# with (1, 2) and (5, 6), and head 1 with (3, 4) and (7, 8).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dwh, dvh: hint 1</summary>
#
# What did dweights and dv look like? The last two dimensions are all that counts.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dwh, dvh: hint 2</summary>
#
# dwh: (2, 3, 6, 5) @ (2, 3, 5, 6). dvh: (2, 3, 6, 6) @ (2, 3, 6, 5), with wh transposed in its last two
# dimensions.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dwh, dvh: hint 3</summary>
#
# Compare with your lines for dweights and dv: doh stands where dout stood, vh where v stood, and wh where weights
# stood.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dsh: hint 1</summary>
#
# In the formula of softmax everything is multiplied by the weight. The weight of a masked place is 0, so the mask
# takes care of itself.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dsh: hint 2</summary>
#
# wh (2, 3, 6, 6) times the bracket: dwh minus the sum of dwh times wh over the last dimension, kept as (2, 3,
# 6, 1).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dsh: hint 3</summary>
#
# A row with the weights (0.25, 0.75, 0), the last place masked, and dwh (2, 6, 9): the weighted mean is 5, and the
# answer is (-0.75, 0.75, 0).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dqh, dkh: hint 1</summary>
#
# Query along the row, key along the column, as in part 1.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dqh, dkh: hint 2</summary>
#
# dqh: dsh (2, 3, 6, 6) @ kh (2, 3, 6, 5). dkh: dsh transposed in its last two dimensions @ qh (2, 3, 6, 5).
# Both times D to the power -0.5.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dqh, dkh: hint 3</summary>
#
# Compare with your lines for dq and dk. Only the factor is another one: 0.4472 for D = 5, where it was 0.2582 for C
# = 15. If your numbers are too small by the factor 1.73, you took C.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dqs, dks, dvs: hint 1</summary>
#
# The last step forward was the transpose, so it is undone first. Exchanging the same two dimensions again
# undoes it.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dqs, dks, dvs: hint 2</summary>
#
# (2, 3, 6, 5) becomes (2, 6, 3, 5) by exchanging dimensions 1 and 2, then (2, 6, 15) by reshape.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dqs, dks, dvs: hint 3</summary>
#
# With the numbers of the example: head 0 with (1, 2) and (5, 6), head 1 with (3, 4) and (7, 8) must become the
# tokens (1, 2, 3, 4) and (5, 6, 7, 8). If your first token is (1, 2, 5, 6), the transpose is missing.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dUq, dUk, dUv, dx2: hint 1</summary>
#
# Weights sum over all tokens of all texts. The input has three paths.
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dUq, dUk, dUv, dx2: hint 2</summary>
#
# Each weight: x2 as (12, 15), transposed, times dqs as (12, 15), or dks, or dvs. dx2 is the sum of three
# products of (2, 6, 15) and a transposed (15, 15).
#
# </details>

# %% [markdown] tags=["hint"]
# <details>
# <summary>dUq, dUk, dUv, dx2: hint 3</summary>
#
# Compare with your lines for dWq and dx: x2 stands where x stood, dqs where dq stood, and Uq where Wq stood.
#
# </details>
