"""Loops in the lesson's own file that leave the forward and the backward pass to functions or to a class."""

from __future__ import annotations

from own_loops import OwnLoop, Slip

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
    ],
}
