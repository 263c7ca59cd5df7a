import numpy as np
import pytest

from breakthrough.deploy import winograd

tvm = pytest.importorskip("tvm")


def direct(x, kernel):
    padded = np.pad(x.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = x.shape[1:3]
    windows = ((a, b, padded[:, a : a + height, b : b + width]) for a in range(3) for b in range(3))
    return sum(np.einsum("nhwi,io->nhwo", part, kernel[a, b].astype(float)) for a, b, part in windows)


@pytest.mark.parametrize(("m", "error"), [(2, 1e-5), (4, 1e-4)])
def test_tiles_give_the_convolution(m, error):
    generator = np.random.default_rng(m)
    x = generator.standard_normal((2, 4, 8, 3)).astype("float32")
    kernel = generator.standard_normal((3, 3, 3, 5)).astype("float32")
    weight = winograd.weights(kernel, m)
    assert weight.shape == (m + 2, m + 2, 3, 5)
    arguments = [tvm.te.placeholder(x.shape, name="x"), tvm.te.placeholder(weight.shape, name="w")]
    function = tvm.te.create_prim_func([*arguments, winograd.convolution(*arguments, m)])
    out = tvm.runtime.tensor(np.zeros((2, 4, 8, 5), "float32"))
    tvm.compile(function, target="llvm")(tvm.runtime.tensor(x), tvm.runtime.tensor(weight), out)
    assert np.abs(out.numpy() - direct(x, kernel)).max() < error


def test_a_delta_kernel_moves_nothing():
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[1, 1] = 1
    at, bt, _ = (np.array(matrix, dtype=float) for matrix in winograd.MATRICES[4])
    tile = np.random.default_rng(0).standard_normal((6, 6))
    product = winograd.weights(kernel, 4)[:, :, 0, 0] * (bt @ tile @ bt.T)
    assert np.allclose(at @ product @ at.T, tile[1:5, 1:5], atol=1e-6)


def test_padding_of_nothing_is_the_picture_itself():
    x = tvm.te.placeholder((1, 2, 2, 1), name="x")
    assert winograd.padded(x, (0, 0, 0, 0)) is x
