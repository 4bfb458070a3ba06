"""Right answers with a size of the lesson written into them."""

from __future__ import annotations

from answers.build import EX1, EX2, EX3, RightAnswer, with_lines

HARDCODED_SIZES: list[RightAnswer] = [
    RightAnswer(
        "ex1-32-for-n",
        EX1,
        with_lines(
            {
                "dlogprobs": """
        dlogprobs = torch.zeros_like(logprobs)
        dlogprobs[range(32), Yb] = -1.0 / 32"""
            }
        ),
    ),
    RightAnswer("ex1-31-for-n-less-one", EX1, with_lines({"dbndiff2": "dbndiff2 = dbnvar * torch.ones(32, 64) / 31"})),
    RightAnswer(
        "ex1-27-symbols",
        EX1,
        with_lines(
            {
                "dcounts": "dcounts = counts_sum_inv * dprobs + dcounts_sum.repeat(1, 27)",
                "dC": "dC = F.one_hot(Xb.view(-1), 27).float().T @ demb.view(96, 10)",
            }
        ),
    ),
    RightAnswer("ex1-view-32-3-10", EX1, with_lines({"demb": "demb = dembcat.view(32, 3, 10)"})),
    RightAnswer(
        "ex1-loops-to-32-and-3",
        EX1,
        with_lines(
            {
                "dC": """
        dC = torch.zeros((27, 10))
        for k in range(32):
            for j in range(3):
                dC[Xb[k, j]] += demb[k, j]"""
            }
        ),
    ),
    RightAnswer("ex2-32-and-27", EX2, "dlogits = (F.softmax(logits, 1) - F.one_hot(Yb, 27)) / 32\n"),
    RightAnswer(
        "ex3-32",
        EX3,
        "dhprebn = bngain * bnvar_inv / 32 * (32 * dhpreact - dhpreact.sum(0)"
        " - 32 / 31 * bnraw * (dhpreact * bnraw).sum(0))\n",
    ),
]
"""Right answers with a size written in: they pass, with a remark."""
