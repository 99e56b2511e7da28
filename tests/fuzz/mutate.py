"""Damage to a tree: of bytes, of tokens and of lines."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from torch_stabilize.source.brackets import stray_brackets
from torch_stabilize.source.document import SOURCE_SUFFIXES, Document

from tests.fuzz.trees import Tree, random_tree

_TOKEN = re.compile(rb"[A-Za-z_]\w*|\d[\w.]*|\"(?:\\.|[^\"\\\n])*\"|::|->|<<|>>|[^\s\w]|\s+")
_WORDS = tuple(
    b"""at c10 torch at::Tensor torch::Tensor const & * && ( ) { } [ ] < > ; , :: . -> ... # ## \\ template typename auto
    if else for while return switch case default do goto using namespace static inline extern "C" operator this new delete
    decltype sizeof TORCH_CHECK AT_ERROR AT_DISPATCH_FLOATING_TYPES data_ptr<float>() options() dtype size(0) stream
    std::vector std::optional c10::optional nullptr true 0 1 -1 2.0f "text" 'c' R"(raw)" // /* */ #define #if #endif #else
    #include <torch/all.h> TORCH_LIBRARY PYBIND11_MODULE __global__ <<< >>> [[ ]] lambda [=] [&] requires co_await \r \0
    \xff \xc3\xa9 \xef\xbb\xbf \x1b[31m scalar_t __VA_ARGS__""".replace(b"\n    ", b" ").split(b" ")
)

_TRIES = 4
Mutation = Callable[[bytes, random.Random], bytes]


def mutated(tree: Tree, pick: random.Random) -> Tree:
    """`tree` with some damage: mostly to its units, often to what they include, at times to its build files."""
    files = dict(tree.files)
    for _ in range(_how_often(pick)):
        path = _victim(tree, pick)
        for _ in range(_TRIES):  # most plans are of code that can be read; what cannot is refused, which is soon done
            damaged = pick.choice(MUTATIONS)(files[path], pick)
            if not path.endswith(SOURCE_SUFFIXES) or not stray_brackets(Document(path, damaged)):
                break
        files[path] = damaged
    return tree._replace(files=files)


def _how_often(pick: random.Random) -> int:
    return pick.choice((1, 1, 1, 2, 2, 3, 4, 8))


def _victim(tree: Tree, pick: random.Random) -> str:
    if pick.random() < 0.65:
        return pick.choice(tree.units)
    others = sorted(tree.files)
    sources = [path for path in others if path.endswith(SOURCE_SUFFIXES)]
    return pick.choice(sources if pick.random() < 0.6 else others)


def _bytes(data: bytes, pick: random.Random) -> bytes:
    place = pick.randrange(len(data) + 1)
    match pick.randrange(5):
        case 0:
            return data[:place] + bytes((pick.randrange(1, 256),)) + data[place + 1 :]
        case 1:
            return data[:place] + bytes(pick.randrange(1, 256) for _ in range(pick.randrange(1, 5))) + data[place:]
        case 2:
            return data[:place] + data[place + pick.randrange(1, 12) :]
        case 3:
            size = pick.randrange(1, 40)
            return data[: place + size] + data[place:]
        case _:
            return data[:place]


def _tokens(data: bytes, pick: random.Random) -> bytes:
    tokens = _TOKEN.findall(data)
    solid = [n for n, token in enumerate(tokens) if token.strip()]
    if not solid:
        return pick.choice(_WORDS)
    place = pick.choice(solid)
    match pick.randrange(6):
        case 0:
            tokens[place] = b""
        case 1:
            tokens[place] = pick.choice(_WORDS)
        case 2:
            tokens[place] = tokens[pick.choice(solid)]
        case 3:
            other = pick.choice(solid)
            tokens[place], tokens[other] = tokens[other], tokens[place]
        case 4:
            tokens.insert(place, pick.choice(_WORDS) + b" ")
        case _:
            end = min(len(tokens), place + pick.randrange(1, 12))
            tokens[place:place] = tokens[place:end]
    return b"".join(tokens)


def _lines(data: bytes, pick: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    place, other = pick.randrange(len(lines)), pick.randrange(len(lines))
    match pick.randrange(7):
        case 0:
            del lines[place]
        case 1:
            lines.insert(other, lines[place])
        case 2:
            lines[place], lines[other] = lines[other], lines[place]
        case 3:
            lines[place] = lines[place].rstrip(b"\r\n") + pick.choice((b" ", b"", b"\\\n", b"\r\n", b"\r"))
        case 4:
            stranger = random_tree(pick)
            strange = stranger.files[pick.choice(stranger.units)].splitlines(keepends=True) or [b""]
            start = pick.randrange(len(strange))
            lines[place:place] = strange[start : start + pick.randrange(1, 6)]
        case 5:
            end = place + pick.randrange(1, 6)
            head, tail = pick.choice(
                ((b"#if 1\n", b"#endif\n"), (b"{\n", b"}\n"), (b"/*\n", b"*/\n"), (b"namespace n {\n", b"}\n"))
            )
            lines[place:end] = [head, *lines[place:end], tail]
        case _:
            lines = lines[:place]
    return b"".join(lines)


MUTATIONS: tuple[Mutation, ...] = (_bytes, _tokens, _tokens, _lines)
