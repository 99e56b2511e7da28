"""What the project's own tests do: a program, so that no test runner runs it by accident."""

import threading

import torch
from tiny.rows import keep_rows


@torch.jit.script
def scripted(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.ops.tiny.blend(a, b, None, 0.5)


def main() -> None:
    torch.manual_seed(7)
    a, b = torch.randn(6, 8), torch.randn(6, 8)
    mask = torch.arange(48).reshape(6, 8) % 3 == 0
    assert torch.equal(torch.ops.tiny.blend(a, b), a)
    torch.ops.tiny.blend(a, b, mask, scale=2.0)
    torch.ops.tiny.blend.default(a.t(), b.t(), mask)
    assert torch.equal(scripted(a, b), a * 0.5)
    thread = threading.Thread(target=lambda: torch.ops.tiny.blend(a[1:], b[1:], None, 3.0))
    thread.start()
    thread.join()
    large = torch.randn(64, 64)
    torch.ops.tiny.blend(large, large, None, 1.0)
    buffer = torch.zeros(40)
    assert torch.ops.tiny.raise_all(buffer[8:16], 2.0, 1) == 8
    assert buffer.sum() == 16
    try:
        torch.ops.tiny.blend(a, b[1:])
    except RuntimeError:
        pass
    else:
        raise AssertionError("sizes are not checked")
    keep_rows(a)
    keep_rows(a.t(), threshold=0.25)
    keep_rows(torch.ones(3, 2), threshold=2.0)
    print("exercised")


if __name__ == "__main__":
    main()
