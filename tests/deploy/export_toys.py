"""Small models that torch.export, TVM or ONNX refuses, each for another reason."""

import torch
from torch import nn


def spectrum(x):
    return torch.fft.rfft(x)  # the line that is to be named


class Branches(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x + 1
        return x


class Unknown(nn.Module):
    def forward(self, x):
        distance = torch.cdist(x[:, 0], x[:, 1]).sum((1, 2))
        return spectrum(x).abs().sum((1, 2, 3)) + distance


class Masks(nn.Module):
    def forward(self, x):
        return x + x[x > 0].sum()


class FixesBatch(nn.Module):
    def forward(self, x):
        return x.view(2, -1)


class LeavesTorch(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.numpy() * 2)



class Outer(nn.Module):
    """A module with another inside, so that a place has a path."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)
