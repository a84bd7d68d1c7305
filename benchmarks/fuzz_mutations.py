"""Valid files, harmed: seeded mutations that keep most of a file's structure, so that readers are reached in depth.

JSON and YAML are changed as trees (types swapped, keys lost, doubled and renamed, numbers of any size, texts of any
kind, deep nesting) and as bytes; safetensors as header, length and data; MP4 as boxes and as their fields.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

import yaml

Mutation = Callable[[Random, bytes], bytes]

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 1024, 1025, 2**31, 2**53, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), float("-inf"), "", " ", "0", "a", "\0", "a\nb", "\x1b[2J", "‮é́", "\ud800", "x" * 5000,
    "../../etc/passwd", "/dev/zero", "C:\\x", "dysenvdm.dsg/2", "dysenvdm.bundle/2", "dysenvdm.recipe/2", "nan",
    [], {}, [[]], [None], {"": None}, {"a\nb": 1}, {"\ud800": 1}, {"x" * 3000: 1},
)  # fmt: skip
ODD_BYTES: tuple[bytes, ...] = (
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"NaN", b"-Infinity", b"1" * 5000, b"1e999", b"-", b"{",
    b"}", b'"', b",", b":", b"\\ud800", b"[" * 30000, b'{"a":' * 30000, b"// x", b"\r", b"\x1a", b"\xe2\x80\xa8",
)  # fmt: skip
ODD_YAML: tuple[bytes, ...] = (
    b"&a [*a]\n", b"*nobody", b"!!python/object:os.system {}\n", b"2020-13-45", b"2020-01-01", b"? [a]\n: b\n",
    b"<<: 1\n", b"<<: [*x]\n", b"0x", b"1_0:60:61", b"!!binary x", b"!!set {a, b}", b"!!timestamp 1", b"- " * 3000,
    b"\t", b"%YAML 9.9\n---\n", b"--- 1\n--- 2\n", b"!!float x", b"!!int ''", b"0b", b"0o9", b"= ", b".inf", b"~",
    b"[" * 3000, b"{a: " * 3000, b"\n".join([b"l0: &l0 [x]"] + [b"l%d: &l%d [%s]" % (
        i, i, b",".join([b"*l%d" % (i - 1)] * 9)) for i in range(1, 9)]) + b"\n",
)  # fmt: skip
ODD_INTEGERS = (0, 1, 2, 7, 8, 255, 2**15, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def mutated_json(chance: Random, valid: bytes) -> bytes:
    """JSON with up to four changes of its tree; every fourth time its bytes are harmed, too."""
    text = json.dumps(_mutated_tree(chance, json.loads(valid)), ensure_ascii=chance.random() < 0.5)
    harmed = _with_key_twice(chance, text).encode("utf-8", "surrogatepass")
    return mutated_bytes(chance, harmed) if chance.random() < 1 / 4 else harmed


def mutated_yaml(chance: Random, valid: bytes) -> bytes:
    """YAML (a mapping), likewise; with what only YAML has."""
    tree = _mutated_tree(chance, yaml.safe_load(valid))
    try:
        harmed = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, ValueError):  # its writer does not take everything that its reader is to be given
        harmed = json.dumps(tree).encode("utf-8", "surrogatepass")
    if chance.random() < 1 / 3:
        harmed = _inserted(chance, harmed, chance.choice(ODD_YAML))
    return mutated_bytes(chance, harmed) if chance.random() < 1 / 4 else harmed


def mutated_bytes(chance: Random, data: bytes) -> bytes:
    """Bits flipped, parts lost, doubled or moved, odd bytes put in, the end cut off; one to three times."""
    for _ in range(chance.randint(1, 3)):
        start, end = sorted(chance.choices(range(len(data) + 1), k=2))
        end = min(end, start + chance.choice((1, 4, 16, 256)))
        kind = chance.randrange(6)
        if kind == 0 and data:
            place = min(start, len(data) - 1)
            data = data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]
        elif kind == 1:
            data = data[:start] + data[end:]
        elif kind == 2:
            data = data[:end] + data[start:end] * chance.choice((1, 2, 100)) + data[end:]
        elif kind == 3:
            data = data[:start]
        elif kind == 4:
            data = _inserted(chance, data, chance.choice(ODD_BYTES))
        else:
            place = chance.randrange(len(data) + 1)
            data = data[:place] + data[start:end] + data[place:]
    return data


def mutated_safetensors(chance: Random, valid: bytes) -> bytes:
    """A header changed as JSON, a length that does not fit, data cut off or added to, or bytes harmed."""
    length = int(struct.unpack("<Q", valid[:8])[0])
    header, data = valid[8 : 8 + length], valid[8 + length :]
    kind = chance.randrange(5)
    if kind in (0, 1):
        header = mutated_json(chance, header)
        length = len(header)
    elif kind == 2:
        length = chance.choice((*ODD_INTEGERS, length - 1, length + 1, 2**63, 2**64 - 1, 10**8, len(valid) - 8))
    elif kind == 3:
        data = mutated_bytes(chance, data)
    else:
        return mutated_bytes(chance, valid)
    return struct.pack("<Q", length) + header + data


def mutated_mp4(chance: Random, valid: bytes) -> bytes:
    """Fields of boxes, whole boxes, frames or the recipe changed; sizes fit again only where the change keeps them."""
    kind = chance.randrange(6)
    if kind == 0:
        return mutated_bytes(chance, valid)
    if kind == 1:
        return _with_recipe(chance, valid)
    boxes = _boxes(valid)
    start, end = chance.choice(boxes)
    box = valid[start:end]
    if kind == 2:  # the box's own size or type
        field = struct.pack(">I", chance.choice((*ODD_INTEGERS, end - start + 1, end - start - 1)))
        if chance.random() < 0.3:
            field = box[:4] + chance.choice((b"free", b"moov", b"trak", b"stbl", b"mdat", b"\0\0\0\0", b"moof"))
        return valid[:start] + field + valid[start + len(field) :]
    if kind == 3:  # lost, doubled, or put before another
        other, _ = chance.choice(boxes)
        without = valid[:start] + valid[end:]
        return chance.choice((without, valid[:end] + box + valid[end:], without[:other] + box + without[other:]))
    changed = bytearray(valid)
    if kind == 4:  # integers among the fields
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(start + 8, max(start + 9, end - 3))
            changed[place : place + 4] = struct.pack(">I", chance.choice(ODD_INTEGERS))
        return bytes(changed[: len(valid)])
    for _ in range(chance.choice((1, 4, 32))):  # bits of what is inside
        place = min(chance.randrange(start + 8, max(start + 9, end)), len(valid) - 1)
        changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


RECIPE_ROOM = 6000
"""Blanks at the end of the recipe in an MP4 that is to be mutated: another recipe may take their place."""


def _with_recipe(chance: Random, valid: bytes) -> bytes:
    """Another recipe in the place of the valid one, with as many bytes."""
    start = valid.index(b'{"')
    end = valid.index(b" " * RECIPE_ROOM, start) + RECIPE_ROOM
    recipe = mutated_json(chance, valid[start:end])[: end - start]
    return valid[:start] + recipe.ljust(end - start) + valid[end:]


def _boxes(data: bytes) -> list[tuple[int, int]]:
    """(start, end) of every box at any depth."""
    holders = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"edts", b"dinf")
    found, waiting = [], [(0, len(data))]
    while waiting:
        at, stop = waiting.pop()
        while at + 8 <= stop:
            size, kind = struct.unpack(">I4s", data[at : at + 8])
            if not 8 <= size <= stop - at:
                break
            found.append((at, at + size))
            if kind in holders:
                waiting.append((at + 8, at + size))
            at += size
    return found


def _inserted(chance: Random, data: bytes, what: bytes) -> bytes:
    lines = [0, *(i + 1 for i, byte in enumerate(data) if byte == 10), len(data)]
    place = chance.choice(lines) if chance.random() < 0.5 else chance.randrange(len(data) + 1)
    return data[:place] + what + data[place:]


def _mutated_tree(chance: Random, tree: Any) -> Any:
    holder = [tree]
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        _mutate_once(chance, holder)
    return holder[0]


def _mutate_once(chance: Random, holder: list[Any]) -> None:
    """Change one place of ``holder[0]`` in place."""
    places: list[tuple[Any, Any]] = [(holder, 0)]
    for owner, key in places:  # grows while it is read
        value = owner[key]
        if isinstance(value, dict):
            places += [(value, inner) for inner in value]
        elif isinstance(value, list):
            places += [(value, inner) for inner in range(len(value))]
    owner, key = chance.choice(places)
    kind = chance.randrange(8)
    if kind in (0, 1, 2):
        owner[key] = deepcopy(chance.choice(ODD_VALUES))
    elif kind == 3 and owner is not holder:
        del owner[key]
    elif kind == 4:
        other, at = chance.choice(places)
        owner[key] = deepcopy(other[at])
    elif kind == 5 and isinstance(owner, dict):
        owner[chance.choice(("", "a\nb", "\ud800", "__class__", f"{key} ", str(key).upper()))] = owner.pop(key)
    elif kind == 6 and isinstance(owner, list) and owner is not holder:
        owner[key:key] = [deepcopy(owner[key]) for _ in range(chance.choice((1, 2, 300)))]
    else:
        for _ in range(chance.choice((1, 2, 60))):
            owner[key] = [owner[key]] if chance.random() < 0.5 else {"a": owner[key]}


def _with_key_twice(chance: Random, text: str) -> str:
    """Now and then, one key of the outermost object again at its end."""
    if chance.random() > 0.1 or not text.startswith('{"') or not text.endswith("}"):
        return text
    key = text[2 : text.find('"', 2)]
    return f'{text[:-1]}, "{key}": {json.dumps(chance.choice(ODD_VALUES))}}}'
