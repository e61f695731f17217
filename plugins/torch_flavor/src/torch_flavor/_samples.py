"""A small model on real data: Fisher's irises, which torch does not bring, so they stand here."""

from __future__ import annotations

from collections.abc import Mapping

from palate.hookspecs import SampleModel

__all__ = ["train_samples"]

# R. A. Fisher, 1936, in the public domain: length and width of sepal and petal, in millimetres; fifty of each species.
_FLOWERS = """
    51351402 49301402 47321302 46311502 50361402 54391704 46341403 50341502 44291402 49311501 54371502 48341602
    48301401 43301101 58401202 57441504 54391304 51351403 57381703 51381503 54341702 51371504 46361002 51331705
    48341902 50301602 50341604 52351502 52341402 47321602 48311602 54341504 52411501 55421402 49311502 50321202
    55351302 49361401 44301302 51341502 50351303 45231303 44321302 50351606 51381904 48301403 51381602 46321402
    53371502 50331402 70324714 64324515 69314915 55234013 65284615 57284513 63334716 49243310 66294613 52273914
    50203510 59304215 60224010 61294714 56293613 67314414 56304515 58274110 62224515 56253911 59324818 61284013
    63254915 61284712 64294313 66304414 68284814 67305017 60294515 57263510 55243811 55243710 58273912 60275116
    54304515 60344516 67314715 63234413 56304113 55254013 55264412 61304614 58264012 50233310 56274213 57304212
    57294213 62294313 51253011 57284113 63336025 58275119 71305921 63295618 65305822 76306621 49254517 73296318
    67255818 72366125 65325120 64275319 68305521 57255020 58285124 64325323 65305518 77386722 77266923 60225015
    69325723 56284920 77286720 63274918 67335721 72326018 62284818 61304918 64285621 72305816 74286119 79386420
    64285622 63285115 61265614 77306123 63345624 64315518 60304818 69315421 67315624 69315123 58275119 68325923
    67335725 67305223 63255019 65305220 62345423 59305118
""".split()
_SPECIES = ("setosa", "versicolor", "virginica")
_STEPS = 120


def train_samples() -> Mapping[str, SampleModel]:
    """Train a network of two layers, in about a second."""
    import numpy as np
    import torch

    data = np.array([[int(row[at : at + 2]) / 10 for at in range(0, 8, 2)] for row in _FLOWERS], dtype=np.float32)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # torch.manual_seed would seed every GPU
        layers = (torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, len(_SPECIES)), torch.nn.Softmax(1))
        model = torch.nn.Sequential(*layers)
        inputs, target = torch.from_numpy(data), torch.arange(len(_SPECIES)).repeat_interleave(50)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            torch.nn.functional.nll_loss(model(inputs).log(), target).backward()
            optimizer.step()
    text = "Which of three species an iris is of, by the length and width of its leaves"
    return {"iris": SampleModel(model=model, sample=data[:5], description=text)}
