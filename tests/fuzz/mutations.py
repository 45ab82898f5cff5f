"""Right files made wrong: bytes, tokens, lines and wrappings changed at random, as people, programs and disks do."""

import codecs
import gzip
import re
from random import Random

CHANGES_AT_ONCE = (1, 1, 1, 1, 2, 2, 3, 4)
LONGEST = 1 << 16
"""In bytes, of what is made."""

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[A-Za-z]+|[\[\]{}:,]', re.DOTALL)

HOSTILE_TOKENS = (
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"1e-999",
        b"-0",
        b"-0.0",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"0x1",
    ),
    *(b"9" * 30, b"-" + b"9" * 30, b"9" * 5000, b"0." + b"1" * 2000, b"18446744073709551616", b"-9223372036854775809"),
    *(
        b"null",
        b"true",
        b"None",
        b"True",
        b"undefined",
        b"nan",
        b"''",
        b'""',
        b'"',
        b"\\",
        b"[]",
        b"{}",
        b"[[]]",
        b"[null]",
    ),
    *(b"[" * 10_000, b'{"a":' * 3000, b"[" * 3000 + b"]" * 3000, b'{"moments":[' * 1000),
    *(
        rb'"\ud800"',
        rb'"\udc00"',
        rb'"\ud83d\ude00"',
        rb'"\u0000"',
        rb'"\x41"',
        b'"\0"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\x1b[31m"',
    ),
    *(b'"dialogue_id"', b'"turn"', b'"moments"', b'"format"', b'"video_id"', b'"ivcr-submission/1"', b'"limit"'),
    *(rb'"t\u0075rn"', rb'"\u0074ext"', rb'"a\u003ab"', b'"a:b"', rb'"\"turn\": 1"', b'"turn": 1, "turn": 2'),
    *(
        b'"film-1"',
        b'"film-2"',
        b'"film-3"',
        b'"d-0002"',
        b'"v-0001"',
        b'"' + b"x" * 600 + b'"',
        '"红\u202e\u2028"'.encode(),
    ),
    *(b"0", b"1", b"2", b"3", b"1000", b"30", b"31", b"31.5", b"1e3", b"2.5", b"1.0"),
)

HOSTILE_BYTES = (
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\x1f\x8b",
    codecs.BOM_UTF8,
    codecs.BOM_UTF16_LE,
    b"\xc3",
    b"\x80",
    b" " * 100,
    b"\n" * 100,
)


def mutate(content: bytes, seeds: list[bytes], chance: Random) -> bytes:
    """``content`` with one to four changes; ``seeds`` lend pieces."""
    for _ in range(chance.choice(CHANGES_AT_ONCE)):
        content = chance.choice(CHANGES)(content, seeds, chance)[:LONGEST]
    return content


def _cut(length: int, longest: int, chance: Random) -> tuple[int, int]:
    start = chance.randint(0, length)
    return start, min(length, start + chance.randint(0, longest))


def delete_bytes(content: bytes, _: list[bytes], chance: Random) -> bytes:
    start, end = _cut(len(content), 40, chance)
    return content[:start] + content[end:]


def repeat_bytes(content: bytes, _: list[bytes], chance: Random) -> bytes:
    start, end = _cut(len(content), 200, chance)
    return content[:end] + content[start:end] * chance.choice((1, 2, 50)) + content[end:]


def insert_bytes(content: bytes, _: list[bytes], chance: Random) -> bytes:
    start = chance.randint(0, len(content))
    piece = chance.choice((*HOSTILE_BYTES, chance.randbytes(chance.randint(1, 8))))
    return content[:start] + piece + content[start:]


def flip_bit(content: bytes, _: list[bytes], chance: Random) -> bytes:
    if not content:
        return content
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def splice(content: bytes, seeds: list[bytes], chance: Random) -> bytes:
    other = chance.choice(seeds)
    start, end = _cut(len(other), 300, chance)
    at = chance.randint(0, len(content))
    return content[:at] + other[start:end] + content[at + chance.choice((0, end - start)) :]


def truncate(content: bytes, _: list[bytes], chance: Random) -> bytes:
    return content[: chance.randint(0, len(content))]


def replace_token(content: bytes, _: list[bytes], chance: Random) -> bytes:
    return _at_token(content, chance, lambda _token: chance.choice(HOSTILE_TOKENS))


def delete_token(content: bytes, _: list[bytes], chance: Random) -> bytes:
    return _at_token(content, chance, lambda _token: b"")


def repeat_token(content: bytes, _: list[bytes], chance: Random) -> bytes:
    return _at_token(content, chance, lambda token: token * 2)


def escape_token(content: bytes, _: list[bytes], chance: Random) -> bytes:
    """Spell a letter of a text, or of a key, as an escape."""
    return _at_token(
        content, chance, lambda token: re.sub(rb"[a-z:]", lambda m: b"\\u%04x" % ord(m[0]), token, count=1)
    )


def add_pair(content: bytes, _: list[bytes], chance: Random) -> bytes:
    """Give an object one more pair, often with a key that it has."""
    key = chance.choice(
        (b'"turn"', b'"text"', b'"videos"', b'"start"', b'"score"', b'"status"', rb'"t\u0075rn"', b'"x"')
    )
    pair = key + b": " + chance.choice(HOSTILE_TOKENS)
    ends = [match.start() for match in re.finditer(rb"\}", content)]
    if not ends:
        return content
    at = chance.choice(ends)
    return content[:at] + b", " + pair + content[at:]


def swap_tokens(content: bytes, _: list[bytes], chance: Random) -> bytes:
    tokens = list(TOKEN.finditer(content))
    if len(tokens) < 2:
        return content
    one, two = sorted(chance.sample(tokens, 2), key=lambda token: token.start())
    return content[: one.start()] + two[0] + content[one.end() : two.start()] + one[0] + content[two.end() :]


def shuffle_lines(content: bytes, _: list[bytes], chance: Random) -> bytes:
    lines = content.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines)


def repeat_line(content: bytes, _: list[bytes], chance: Random) -> bytes:
    lines = content.splitlines(keepends=True)
    return content + b"\n" + chance.choice(lines) * chance.choice((1, 2, 30)) if lines else content


def wrap(content: bytes, _: list[bytes], chance: Random) -> bytes:
    """What editors, mailers and archivers make of a whole file."""
    kind = chance.randrange(7)
    if kind < 2:
        return gzip.compress(content, 1, mtime=0)
    text = content.decode("utf-8", "replace")
    return (
        codecs.BOM_UTF8 + content,
        text.encode(chance.choice(("utf-16", "utf-16-le", "utf-32"))),
        content.replace(b"\n", chance.choice((b"\r\n", b"\r", b"\n\n", b" "))),
        b"[" + content.replace(b"\n", b",") + b"]",
        content.replace(b"{", b"{\n").replace(b",", b",\n"),
    )[kind - 2]


CHANGES = (
    *(delete_bytes, repeat_bytes, insert_bytes, flip_bit, splice, truncate),
    *(replace_token, replace_token, delete_token, repeat_token, escape_token, swap_tokens, add_pair, add_pair),
    *(shuffle_lines, repeat_line, wrap),
)


def _at_token(content: bytes, chance: Random, change) -> bytes:
    tokens = list(TOKEN.finditer(content))
    if not tokens:
        return content
    token = chance.choice(tokens)
    return content[: token.start()] + change(token[0]) + content[token.end() :]
