"""What segments does, whatever its library is built against."""

from itertools import pairwise

import pytest
import segments
import torch
from torch.autograd import gradcheck, gradgradcheck

BACKENDS = ["eager", "aot_eager", "inductor"]


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)


def means(x, offsets):
    rows = [x[a:b].mean(0) if b > a else x.new_zeros(x.size(1)) for a, b in pairwise(offsets)]
    return torch.stack(rows)


OFFSETS = torch.tensor([0, 2, 2, 7, 8])


def test_segment_mean():
    x = random(8, 3)
    assert torch.allclose(segments.segment_mean(x, OFFSETS), means(x, OFFSETS.tolist()))
    assert gradcheck(segments.segment_mean, (x, OFFSETS))
    assert segments.segment_mean(x.float(), OFFSETS).dtype == torch.float32


def test_no_segments():
    assert segments.segment_mean(random(4, 2), torch.tensor([0])).shape == (0, 2)


@pytest.mark.parametrize(
    ("x", "offsets", "message"),
    [
        (torch.ones(3), OFFSETS, "x must have two dimensions, got 1"),
        (torch.ones(8, 1), OFFSETS.int(), "offsets must be int64"),
        (torch.ones(8, 1, dtype=torch.int64), OFFSETS, "not implemented for 'Long'"),
    ],
)
def test_refusals(x, offsets, message):
    with pytest.raises(RuntimeError, match=message):
        segments.segment_mean(x, offsets)


def test_soft_threshold():
    x = random(5, 4, seed=1)
    layer = segments.SoftThreshold(0.25)
    assert torch.equal(layer(x), torch.nn.functional.softshrink(x, 0.25))
    assert gradcheck(layer, (x,))
    assert gradgradcheck(layer, (x,))
    assert torch.equal(segments.SoftThreshold()(x.t()), torch.nn.functional.softshrink(x.t(), 0.5))
    with pytest.raises(RuntimeError, match="by must not be negative, got -1"):
        segments.SoftThreshold(-1.0)(x)


def test_row_max():
    x, bias = random(4, 6, seed=2), random(6, seed=3)
    values, columns = segments.row_max(x)
    assert torch.equal(values, x.max(1).values)
    assert torch.equal(columns, x.max(1).indices)
    assert not columns.requires_grad
    assert gradcheck(lambda t: segments.row_max(t)[0], (x,))
    assert gradcheck(lambda t, b: segments.row_max(t, bias=b)[0], (x, bias))


def test_weighted_sum():
    parts, weights = [random(3, seed=i) for i in range(3)], random(3, seed=9)
    assert torch.allclose(segments.weighted_sum(parts), sum(parts))
    want = sum(p * w for p, w in zip(parts, weights, strict=True))
    assert torch.allclose(segments.weighted_sum(parts, weights), want)
    assert gradcheck(lambda *t: segments.weighted_sum(t[:3], t[3]), (*parts, weights))


def test_row_scale_writes_in_place():
    layer, x = segments.RowScale(3), torch.ones(3, 2)
    with torch.no_grad():
        assert layer(x).data_ptr() == x.data_ptr()
    assert x[:, 0].tolist() == [0.5, 1.0, 1.5]
    with pytest.raises(RuntimeError, match="there are 2 rows and 3 weights"), torch.no_grad():
        layer(torch.ones(2, 2))


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled(backend):
    torch._dynamo.reset()
    x = random(8, 3, seed=4)

    def model(t):
        values, _ = segments.row_max(segments.weighted_sum([t, t * 2]))
        return values.sum() + segments.SoftThreshold(0.1)(t).sum() + segments.segment_mean(t, OFFSETS).sum()

    (want,) = torch.autograd.grad(model(x), x)
    (got,) = torch.autograd.grad(torch.compile(model, backend=backend)(x), x)
    assert torch.equal(got, want)


@pytest.fixture
def gpu():
    """The GPU; skips where there is none, or segments was built without CUDA."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    try:
        segments.segment_mean(torch.ones(1, 1, device="cuda"), torch.tensor([0, 1], device="cuda"))
    except RuntimeError as error:
        if "was built for the CPU" not in str(error):
            raise
        pytest.skip("segments was built for the CPU")
    return torch.device("cuda")


@pytest.mark.parametrize("backend", [None, *BACKENDS])
def test_segment_mean_on_a_gpu(gpu, backend):
    x, offsets = random(8, 300, seed=7).detach().to(gpu).requires_grad_(), OFFSETS.to(gpu)
    function = segments.segment_mean if backend is None else torch.compile(segments.segment_mean, backend=backend)
    wanted = means(x, OFFSETS.tolist())
    assert torch.allclose(function(x, offsets), wanted)
    weight = random(4, 300, seed=8).detach().to(gpu)
    (got,) = torch.autograd.grad((function(x, offsets) * weight).sum(), x)
    (grad,) = torch.autograd.grad((wanted * weight).sum(), x)
    assert torch.allclose(got, grad)


def test_other_functions_on_a_gpu(gpu):
    x, scale = random(5, 4, seed=9).detach().to(gpu), torch.arange(5.0, dtype=torch.float64, device=gpu)
    values, columns = segments.row_max(x)
    assert torch.equal(values, x.max(1).values)
    assert torch.equal(columns, x.max(1).indices)
    assert torch.allclose(segments.weighted_sum([x, x], torch.tensor([1.0, 2.0], device=gpu)), x * 3)
    with pytest.raises(RuntimeError):  # it runs on the CPU
        segments.SoftThreshold(0.5)(x)
    with pytest.raises(RuntimeError, match="x and offsets must be on one device"):
        segments.segment_mean(x, torch.tensor([0, 5]))
    assert torch.allclose(segments._C.scale_rows_(x.clone(), scale), x * scale[:, None])
