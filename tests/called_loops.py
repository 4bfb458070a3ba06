"""Loops in the lesson's own file that leave the forward and the backward pass to functions or to a class."""

from __future__ import annotations

from textwrap import dedent, indent

from own_loops import OwnLoop, Slip

from grader.lesson.exercise import find_exercise

_FUNCTIONS = """\
losses = []


def forward(ix):
    Xb, Yb = Xtr[ix].to(device), Ytr[ix].to(device)
    emb = C[Xb]
    embcat = emb.view(n, -1)
    hprebn = embcat @ W1 + b1
    istd = (hprebn.var(0, keepdim=True, unbiased=True) + 1e-5).rsqrt()
    bnraw = (hprebn - hprebn.mean(0, keepdim=True)) * istd
    h = (bngain * bnraw + bnbias).tanh()
    logits = h @ W2 + b2
    return Xb, Yb, emb, embcat, istd, bnraw, h, logits, F.cross_entropy(logits, Yb)


def backward(Xb, Yb, emb, embcat, istd, bnraw, h, logits, loss):
    dlogits = F.softmax(logits, 1)
    dlogits[range(n), Yb] -= 1
    dlogits /= n
    dh, dW2, db2 = dlogits @ W2.T, h.T @ dlogits, dlogits.sum(0)
    dhpreact = dh * (1 - h**2)
    dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
    dbnbias = dhpreact.sum(0, keepdim=True)
    dhprebn = bngain * istd / n * (n * dhpreact - dhpreact.sum(0) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))
    dW1, db1 = embcat.T @ dhprebn, dhprebn.sum(0)
    dC = torch.zeros_like(C)
    dC.index_add_(0, Xb.view(-1), (dhprebn @ W1.T).view(-1, n_embd))
    return dC, dW1, db1, dW2, db2, dbngain, dbnbias


with torch.no_grad():
    for step in range(max_steps):
        cache = forward(torch.randint(0, Xtr.shape[0], (n,), generator=g))
        lr = 0.1 if step < 100000 else 0.01
        for p, grad in zip(parameters, backward(*cache)):
            p.data += -lr * grad
        losses.append(cache[-1].item())
"""

_CLASS = """\
class Trainer:
    def __init__(self, parameters):
        self.parameters = parameters
        self.losses = []

    def batch(self):
        ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)
        self.Xb, self.Yb = Xtr[ix].to(device), Ytr[ix].to(device)

    def forward(self):
        C, W1, b1, W2, b2, bngain, bnbias = self.parameters
        self.emb = C[self.Xb]
        self.embcat = self.emb.view(n, -1)
        self.hprebn = self.embcat @ W1 + b1
        diff = self.hprebn - self.hprebn.mean(0, keepdim=True)
        self.istd = (diff.square().sum(0, keepdim=True) / (n - 1) + 1e-5) ** -0.5
        self.bnraw = diff * self.istd
        self.h = torch.tanh(bngain * self.bnraw + bnbias)
        self.logits = self.h @ W2 + b2
        self.loss = F.cross_entropy(self.logits, self.Yb)

    def backward(self):
        C, W1, b1, W2, b2, bngain, bnbias = self.parameters
        up = torch.softmax(self.logits, 1)
        up = (up - F.one_hot(self.Yb, up.shape[1])) / n
        dW2 = self.h.T @ up
        db2 = up.sum(0)
        pre = (up @ W2.T) * (1 - self.h * self.h)
        dgain = (pre * self.bnraw).sum(0, keepdim=True)
        dbias = pre.sum(0, keepdim=True)
        hp = bngain * self.istd * (pre - dbias / n - self.bnraw * dgain / (n - 1))
        dC = torch.zeros_like(C).index_add(0, self.Xb.flatten(), (hp @ W1.T).view(-1, C.shape[1]))
        return [dC, self.embcat.T @ hp, hp.sum(0), dW2, db2, dgain, dbias]

    @torch.no_grad()
    def train(self, steps):
        for step in range(steps):
            self.batch()
            self.forward()
            lr = learning_rates[step >= steps // 2]
            for p, d in zip(self.parameters, self.backward()):
                p -= lr * d
            self.losses.append(self.loss.item())


trainer = Trainer(parameters)
trainer.train(max_steps)
losses = trainer.losses
"""

_PERCEPTRON = """\
losses = []


def probabilities(X):
    hidden = (W1 @ X + b1).relu()
    return hidden, torch.softmax(W2 @ hidden + b2, 0)


def gradients(X, Y):
    hidden, A2 = probabilities(X)
    dZ2 = (A2 - Y) / m
    dZ1 = (W2.T @ dZ2) * (hidden > 0)
    return -(Y * A2.log()).sum() / m, [dZ1 @ X.T, dZ1.sum(1, True), dZ2 @ hidden.T, dZ2.sum(1, True)]


with torch.no_grad():
    for step in tqdm(range(max_steps)):
        ix = torch.randint(0, Xtr.shape[1], (m,), generator=g)
        mean, found = gradients(Xtr[:, ix.to(device)], Ytr[:, ix.to(device)])
        for p, gradient in zip(parameters, found, strict=True):
            p -= learning_rates[step >= max_steps / 2] * gradient
        losses.append(float(mean))
"""

_LAYERS = """\
class Linear:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def __call__(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, up):
        self.grads = [self.x.T @ up, up.sum(0)]
        return up @ self.W.T

    def parameters(self):
        return [self.W, self.b]


class BatchNorm:
    def __init__(self, gain, bias):
        self.gain, self.bias = gain, bias

    def __call__(self, x):
        mean, var = x.mean(0, keepdim=True), x.var(0, keepdim=True)
        self.inv = 1.0 / torch.sqrt(var + 1e-5)
        self.hat = (x - mean) * self.inv
        return self.gain * self.hat + self.bias

    def backward(self, up):
        count = up.shape[0]
        self.grads = [(up * self.hat).sum(0, keepdim=True), up.sum(0, keepdim=True)]
        return self.gain * self.inv * (up - self.grads[1] / count - self.hat * self.grads[0] / (count - 1))

    def parameters(self):
        return [self.gain, self.bias]


class Tanh:
    def __call__(self, x):
        self.out = torch.tanh(x)
        return self.out

    def backward(self, up):
        self.grads = []
        return up * (1 - self.out**2)

    def parameters(self):
        return []


class Embedding:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, ix):
        self.ix = ix
        return self.weight[ix].flatten(1)

    def backward(self, up):
        grad = torch.zeros_like(self.weight)
        grad.index_add_(0, self.ix.reshape(-1), up.reshape(-1, self.weight.shape[1]))
        self.grads = [grad]

    def parameters(self):
        return [self.weight]


class CrossEntropy:
    def __call__(self, logits, target):
        self.probs, self.target = F.softmax(logits, 1), target
        return -self.probs[range(len(target)), target].log().mean()

    def backward(self):
        up = self.probs.clone()
        up[range(len(up)), self.target] -= 1
        return up / len(up)


class Network:
    def __init__(self):
        self.layers = [Embedding(C), Linear(W1, b1), BatchNorm(bngain, bnbias), Tanh(), Linear(W2, b2)]
        self.criterion = CrossEntropy()

    def forward(self, x, y):
        for layer in self.layers:
            x = layer(x)
        return self.criterion(x, y)

    def backward(self):
        up = self.criterion.backward()
        for layer in self.layers[::-1]:
            up = layer.backward(up)

    def step(self, lr):
        for layer in self.layers:
            for p, grad in zip(layer.parameters(), layer.grads):
                p.data -= lr * grad


def train(network, steps):
    lossi = []
    for step in range(steps):
        ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)
        loss = network.forward(Xtr[ix], Ytr[ix])
        network.backward()
        network.step(learning_rates[0] if step < steps / 2 else learning_rates[1])
        lossi.append(loss.item())
    return lossi


with torch.no_grad():
    losses = train(Network(), max_steps)
"""

_GRADIENTS_BY_POSITION = """\
def loss_and_gradients(parameters, Xb, Yb):
    C, W1, b1, W2, b2, gain, bias = parameters
    x0 = C[Xb].flatten(1)
    z = x0 @ W1 + b1
    mu, var = z.mean(0), z.var(0)
    s = (var + 1e-5).sqrt()
    zh = (z - mu) / s
    a = torch.tanh(gain * zh + bias)
    lp = F.log_softmax(a @ W2 + b2, 1)
    d = lp.exp()
    d[range(n), Yb] -= 1
    d = d / n
    e = d @ W2.T * (1 - a**2)
    eg = (e * zh).sum(0, keepdim=True)
    eb = e.sum(0, keepdim=True)
    f = gain / s * (e - eb / n - zh * eg / (n - 1))
    table = torch.zeros_like(C).index_put((Xb,), (f @ W1.T).view(*Xb.shape, -1), accumulate=True)
    return -lp[range(n), Yb].mean(), (table, x0.T @ f, f.sum(0), a.T @ d, d.sum(0), eg, eb)


losses = []
for step in tqdm(range(max_steps)):
    with torch.no_grad():
        ix = torch.randint(0, Xtr.shape[0], (n,), generator=g)
        loss, grads = loss_and_gradients(parameters, Xtr[ix].to(device), Ytr[ix].to(device))
        rate = learning_rates[int(step >= max_steps / 2)]
        for p, grad in zip(parameters, grads):
            p.data.add_(grad, alpha=-rate)
        losses.append(loss.item())
"""

_DICTIONARY_MADE_ANEW = """\
params = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
losses = []
for step in range(max_steps):
    ix = torch.randint(0, Xtr.shape[1], (batch_size,), generator=g)
    X, Y = Xtr[:, ix], Ytr[:, ix]
    Z1 = params["W1"] @ X + params["b1"]
    A1 = Z1.clamp(min=0)
    A2 = torch.softmax(params["W2"] @ A1 + params["b2"], 0)
    loss = -(Y * A2.log()).sum() / m
    dZ2 = (A2 - Y) / m
    dZ1 = (params["W2"].T @ dZ2) * (Z1 > 0)
    grads = {"W1": dZ1 @ X.T, "b1": dZ1.sum(1, keepdim=True), "W2": dZ2 @ A1.T, "b2": dZ2.sum(1, keepdim=True)}
    lr = learning_rates[0] if step < max_steps // 2 else learning_rates[1]
    params = {name: params[name] - lr * grads[name] for name in params}
    losses.append(loss.item())
"""

_CLOSURE = """\
def make_trainer(W1, b1, W2, b2):
    history = []

    def train_step(rate):
        ix = torch.randint(0, Xtr.shape[1], (m,), generator=g)
        X, Y = Xtr[:, ix], Ytr[:, ix]
        Z1 = W1 @ X + b1
        A1 = Z1.relu()
        A2 = torch.softmax(W2 @ A1 + b2, 0)
        dZ2 = (A2 - Y) / m
        dW2, db2 = dZ2 @ A1.T, dZ2.sum(1, keepdim=True)
        dZ1 = (W2.T @ dZ2) * (Z1 > 0)
        dW1, db1 = dZ1 @ X.T, dZ1.sum(1, keepdim=True)
        for p, d in ((W1, dW1), (b1, db1), (W2, dW2), (b2, db2)):
            p.sub_(rate * d)
        history.append(-(Y * A2.log()).sum().item() / m)

    return train_step, history


train_step, losses = make_trainer(W1, b1, W2, b2)
for step in tqdm(range(max_steps)):
    train_step(learning_rates[0] if step < max_steps / 2 else learning_rates[1])
"""

(_LESSONS,) = find_exercise("makemore/ex4").code_cells("training")
_HEAD, _, _STEP = _LESSONS.text.partition("with torch.inference_mode():\n    for step in tqdm(range(max_steps)):\n")
_GLOBALS = f"""\
{_HEAD}

def one_step(step):
    global emb, h
{indent(dedent(_STEP), "    ").rstrip()}


for step in range(max_steps):
    with torch.no_grad():
        one_step(step)
"""

_BATCHES_OF_ITS_OWN = (
    _FUNCTIONS.replace(
        "losses = []\n",
        "losses = []\n\n\ndef draws(steps):\n    for _ in range(steps):\n"
        "        yield torch.randint(0, Xtr.shape[0], (n,), generator=g)\n",
        1,
    )
    .replace("for step in range(max_steps):", "for step, ix in enumerate(draws(max_steps)):")
    .replace("forward(torch.randint(0, Xtr.shape[0], (n,), generator=g))", "forward(ix)")
)

_LIST_MADE_ANEW = (
    _FUNCTIONS.replace(
        "        for p, grad in zip(parameters, backward(*cache)):\n            p.data += -lr * grad\n",
        "        parameters = [p - lr * grad for p, grad in zip(parameters, backward(*cache))]\n",
    )
    .replace("    Xb, Yb = Xtr[ix]", "    C, W1, b1, W2, b2, bngain, bnbias = parameters\n    Xb, Yb = Xtr[ix]")
    .replace(
        "    dlogits = F.softmax(logits, 1)\n",
        "    C, W1, b1, W2, b2, bngain, bnbias = parameters\n    dlogits = F.softmax(logits, 1)\n",
    )
)

LOOPS: dict[str, list[OwnLoop]] = {
    "makemore/ex4": [
        OwnLoop(
            "functions",
            (_FUNCTIONS,),
            (
                Slip("n / (n - 1) * bnraw", "bnraw", "path-scaled", "dhprebn = bngain"),
                Slip("(1 - h**2)", "(1 - h)", "wrong-power", "dhpreact = dh"),
                Slip("    dlogits /= n\n", "", "scale", "dlogits = F.softmax"),
                Slip("p.data += -lr * grad", "p.data += lr * grad", "update-sign", "p.data += lr"),
                Slip("        losses.append(cache[-1].item())\n", "", "wrong-losses", "for step in"),
                Slip("cache[-1].item()", "0.0", "wrong-losses", "losses.append(0.0)"),
            ),
        ),
        OwnLoop(
            "class",
            (_CLASS,),
            (
                Slip("dW2, db2, dgain, dbias]", "dW2, db2, dbias, dgain]", "wrong-order", "return [dC"),
                Slip("learning_rates[step >= steps // 2]", "learning_rates[0]", "learning-rate", "lr = learning_rates"),
                Slip(
                    "dC = torch.zeros_like(C).index_add(0, self.Xb.flatten(), (hp @ W1.T).view(-1, C.shape[1]))",
                    "dC = torch.zeros_like(C)\n        dC[self.Xb] = (hp @ W1.T).view(self.emb.shape)",
                    "overwritten-rows",
                    "dC[self.Xb] =",
                ),
                Slip("self.losses.append(self.loss.item())", "pass", "wrong-losses", "for step in"),
            ),
        ),
        OwnLoop(
            "layers",
            (_LAYERS,),
            (
                Slip(
                    "self.hat * self.grads[0] / (count - 1)",
                    "self.hat * self.grads[0] / count",
                    "path-scaled",
                    "for step in",
                ),
                Slip("p.data -= lr", "p.data += lr", "update-sign", "p.data += lr"),
                Slip("up.sum(0)]\n        return up @", "up.mean(0)]\n        return up @", "scale", "for step in"),
            ),
        ),
        OwnLoop(
            "gradients by position",
            (_GRADIENTS_BY_POSITION,),
            (
                Slip("d.sum(0), eg, eb", "d.sum(0), eb, eg", "wrong-order", "for p, grad in"),
                Slip("    d = d / n\n", "", "scale", "for step in"),
                Slip("losses.append(loss.item())", "pass", "wrong-losses", "for step in"),
            ),
        ),
        OwnLoop(
            "a function with globals", (_GLOBALS,), (Slip("(1.0 - h**2)", "(1.0 - h)", "wrong-power", "dhpreact = "),)
        ),
        OwnLoop("batches of its own", (_BATCHES_OF_ITS_OWN,)),
        OwnLoop(
            "the list made anew",
            (_LIST_MADE_ANEW,),
            (Slip("p - lr * grad", "p + lr * grad", "update-sign", "parameters = [p + lr"),),
        ),
    ],
    "classifier/ex2": [
        OwnLoop(
            "functions",
            (_PERCEPTRON,),
            (
                Slip("(A2 - Y) / m", "A2 - Y", "scale", "dZ2 = A2 - Y"),
                Slip("p -= learning", "p += learning", "update-sign", "p += learning"),
            ),
        ),
        OwnLoop(
            "the dictionary made anew",
            (_DICTIONARY_MADE_ANEW,),
            (Slip("- lr * grads[name]", "+ lr * grads[name]", "update-sign", "params = {name"),),
        ),
        OwnLoop(
            "a function within a function", (_CLOSURE,), (Slip("p.sub_(rate", "p.add_(rate", "update-sign", "p.add_"),)
        ),
    ],
}
