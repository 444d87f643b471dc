#!/usr/bin/env python3
"""Reads and writes the vectors of this folder a second time, from docs/protocol/feed.md and identity.md alone.

Python 3 without packages; slow and not in constant time: for checking vectors, nothing else.
Every `accept` has to come out of the encoder below as the same bytes, and out of the decoder as the same value, with ids,
hashes and signatures that hold; every `reject` has to be refused. Says `N passed, N failed` and exits with 1 if something differs.
"""

import functools
import hashlib
import json
import pathlib
import sys

MAX_POSITION = 2**63 - 1
MAX_SEQ = MAX_POSITION - 1
MAX_BODY = 2**20 - 4096


class Refused(Exception):
    pass


def need(condition):
    if not condition:
        raise Refused


def sha256(data):
    return hashlib.sha256(data).digest()


# --- Ed25519 (RFC 8032; IDENT-1, IDENT-4) --------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ZERO = (0, 1, 1, 0)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(k, p):
    q = ZERO
    while k:
        if k & 1:
            q = add(q, p)
        p = add(p, p)
        k >>= 1
    return q


def compress(p):
    z = pow(p[2], P - 2, P)
    x, y = p[0] * z % P, p[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decompress(data):
    n = int.from_bytes(data, "little")
    y, sign = n & (2**255 - 1), n >> 255
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x + u) % P == 0:
        x = x * pow(2, (P - 1) // 4, P) % P
    need((v * x * x - u) % P == 0)
    if x & 1 != sign:
        x = -x % P
    return x, y % P, 1, x * y % P


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_zero(p):
    return p[0] % P == 0 and (p[1] - p[2]) % P == 0


@functools.lru_cache(maxsize=None)
def key(data):
    point = decompress(data)
    need(compress(point) == data)
    need(not is_zero(times(8, point)))
    need(is_zero(times(L, point)))
    return data


def public(seed):
    k = bytearray(hashlib.sha512(seed).digest()[:32])
    k[0] &= 0xF8
    k[31] = k[31] & 0x7F | 0x40
    return compress(times(int.from_bytes(k, "little"), BASE))


def verify(author, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(r + author + message).digest(), "little") % L
    x, y, z, t = decompress(author)
    return s < L and compress(add(times(s, BASE), times(k, (-x % P, y, z, -t % P)))) == r


# --- fixed layouts -------------------------------------------------------------------------------


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, n):
        need(len(self.data) >= n)
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def end(self):
        need(not self.data)


def be(value, n):
    return value.to_bytes(n, "big")


def un(text):
    return bytes.fromhex(text)


FEED = ["author", "space", "stream", "incarnation"]


def read_feed(r):
    return {
        "author": key(r.take(32)).hex(),
        "space": r.take(32).hex(),
        "stream": r.number(1),
        "incarnation": r.take(8).hex(),
    }


def write_feed(v):
    return un(v["author"]) + un(v["space"]) + be(v["stream"], 1) + un(v["incarnation"])


def feed_text(v):
    return "/".join(str(v[name]) for name in FEED)


def feed_of_text(text):
    author, space, stream, incarnation = text.split("/")
    return {"author": author, "space": space, "stream": int(stream), "incarnation": incarnation}


def read_label(r):
    return {"time": r.number(8), "kind": r.number(1), "suite": r.number(1), "flags": r.number(1)}


def read_rest(r):
    return {
        "context": r.number(8),
        "message": r.take(16).hex(),
        "body_len": r.number(4),
        "body_hash": r.take(32).hex(),
    }


def check_entry(v):
    need(v["seq"] <= MAX_SEQ and v["context"] <= MAX_SEQ)
    need((v["seq"] == 0) == (v["prev"] == "00" * 32))
    need(v["kind"] <= 2 and v["body_len"] <= MAX_BODY)


TAG = b"skychat/v1/feed-entry\x01"


def read_header(data):
    r = Reader(data)
    need(r.take(22) == TAG)
    author = r.take(32).hex()
    v = {"author": author, "space": r.take(32).hex(), "stream": r.number(1)}
    v |= {"incarnation": r.take(8).hex(), "seq": r.number(8), "prev": r.take(32).hex()}
    v |= read_label(r) | read_rest(r)
    r.end()
    check_entry(v)
    key(un(author))
    return v


def write_label(v):
    return be(v["time"], 8) + be(v["kind"], 1) + be(v["suite"], 1) + be(v["flags"], 1)


def write_rest(v):
    return be(v["context"], 8) + un(v["message"]) + be(v["body_len"], 4) + un(v["body_hash"])


def write_header(v):
    return TAG + write_feed(v) + be(v["seq"], 8) + un(v["prev"]) + write_label(v) + write_rest(v)


def read_range(data):
    r = Reader(data)
    need(r.number(1) == 1)
    v = {"author": r.take(32).hex(), "space": r.take(32).hex(), "stream": r.number(1)}
    v |= {"incarnation": r.take(8).hex(), "first": r.number(8), "first_prev": r.take(32).hex()}
    count = r.number(2)
    need(1 <= count <= 256 and v["first"] + count <= MAX_POSITION)
    rows = []
    for n in range(count):
        row = read_label(r)
        present = r.number(1)
        need(present <= 1)
        rows.append(row | {"present": present == 1, "seq": v["first"] + n} | read_rest(r))
    v["signature"] = r.take(64).hex()
    size, prev = 72 * count, v["first_prev"]
    for row in rows:
        row["prev"] = prev
        check_entry(row)
        need(size <= 2**18 or count == 1)
        row["body"] = r.take(row["body_len"]).hex() if row["present"] else None
        size += row["body_len"] if row["present"] else 0
        header = write_header(row | {name: v[name] for name in FEED})
        row["id"] = prev = sha256(header).hex()
    need(size <= 2**18 or count == 1)
    r.end()
    need(verify(key(un(v["author"])), header, un(v["signature"])))
    v["entries"] = rows
    return v


def write_range(v):
    out = b"\x01" + write_feed(v) + be(v["first"], 8) + un(v["first_prev"]) + be(len(v["entries"]), 2)
    for row in v["entries"]:
        out += write_label(row) + be(row["present"], 1) + write_rest(row)
        if row["present"]:
            assert sha256(un(row["body"])).hex() == row["body_hash"]
    return out + un(v["signature"]) + b"".join(un(row["body"] or "") for row in v["entries"])


def read_open(data):
    r = Reader(data)
    need(r.number(1) == 1)
    v = {"writer": r.number(1)}
    need(v["writer"] <= 2)
    has_parent, parent = r.number(1), r.take(8).hex()
    need(has_parent == 1 or (has_parent == 0 and parent == "00" * 8))
    v |= {"parent": parent if has_parent else None, "epoch": r.number(8)}
    heads = r.number(1)
    need(heads <= 8)
    v["heads"] = [r.take(32).hex() for _ in range(heads)]
    continues = r.number(1)
    need(continues <= 8)
    v["continues"] = []
    for _ in range(continues):
        earlier = {"incarnation": r.take(8).hex(), "seq": r.number(8), "hash": r.take(32).hex()}
        need(earlier["seq"] <= MAX_SEQ)
        v["continues"].append(earlier)
    r.end()
    return v


def write_open(v):
    out = bytes([1, v["writer"], v["parent"] is not None]) + un(v["parent"] or "00" * 8) + be(v["epoch"], 8)
    out += be(len(v["heads"]), 1) + b"".join(map(un, v["heads"])) + be(len(v["continues"]), 1)
    return out + b"".join(un(e["incarnation"]) + be(e["seq"], 8) + un(e["hash"]) for e in v["continues"])


# --- protobuf ------------------------------------------------------------------------------------


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def read_varint(r):
    value = 0
    for shift in range(0, 64, 7):
        byte = r.number(1)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            need(value < 2**64)
            return value
    raise Refused


def fields(data):
    """Every field: number, wire type, value."""
    r, out = Reader(data), []
    while r.data:
        tag = read_varint(r)
        number, wire = tag >> 3, tag & 7
        need(number > 0 and tag < 2**32 and wire in (0, 1, 2, 5))
        if wire == 0:
            value = read_varint(r)
        elif wire == 2:
            value = r.take(read_varint(r))
        else:
            value = r.take(8 if wire == 1 else 4)
        out.append((number, wire, value))
    return out


# A shape: field number -> name, kind, argument. Kinds: n (number, largest), o (optional number, largest), f (fixed64), b (bytes,
# largest length), N (packed numbers, largest), B (repeated bytes, largest length), M (repeated messages, shape).
def read_message(data, shape):
    v = {}
    for name, kind, _ in shape.values():
        v[name] = {"n": 0, "f": 0, "b": b"", "N": [], "M": [], "B": [], "o": None}[kind]
    seen = set()
    for number, wire, value in fields(data):
        if number not in shape:
            continue
        name, kind, arg = shape[number]
        need(kind in "NMB" or name not in seen)
        seen.add(name)
        if kind in "no":
            need(wire == 0 and value <= arg)
            v[name] = value
        elif kind == "f":
            need(wire == 1)
            v[name] = int.from_bytes(value, "little")
        elif kind == "b":
            need(wire == 2 and len(value) <= arg)
            v[name] = value
        elif kind == "B":
            need(wire == 2 and len(value) <= arg)
            v[name].append(value)
        elif kind == "M":
            need(wire == 2)
            v[name].append(read_message(value, arg))
        else:
            need(wire in (0, 2))
            r, packed = Reader(value) if wire == 2 else None, [value]
            if r:
                packed = []
                while r.data:
                    packed.append(read_varint(r))
            need(all(n <= arg for n in packed))
            v[name] += packed
    return v


def write_message(v, shape):
    out = b""
    for number, (name, kind, arg) in sorted(shape.items()):
        value = v[name]
        if kind == "n" and value or kind == "o" and value is not None:
            out += varint(number << 3) + varint(value)
        elif kind == "f" and value:
            out += varint(number << 3 | 1) + value.to_bytes(8, "little")
        elif kind == "b" and value:
            out += varint(number << 3 | 2) + varint(len(value)) + value
        elif kind == "N" and value:
            packed = b"".join(map(varint, value))
            out += varint(number << 3 | 2) + varint(len(packed)) + packed
        elif kind in "MB":
            for item in value:
                item = write_message(item, arg) if kind == "M" else item
                out += varint(number << 3 | 2) + varint(len(item)) + item
    return out


def exactly(n, *values):
    need(all(len(value) == n for value in values))


def single(data, limit):
    need(len(data) <= limit)
    found = fields(data)
    need(len(found) == 1 and found[0][1] == 2)
    return found[0][0], found[0][2]


# --- contents ------------------------------------------------------------------------------------


def read_content(data):
    need(2 <= len(data) <= 2**16)
    kind, body = int.from_bytes(data[:2], "big"), data[2:]
    if kind != 1:
        return {"kind": kind, "unsupported": body.hex()}
    found = fields(body)
    ours = [value for number, wire, value in found if number == 1 and wire == 2]
    need(len(ours) <= 1 and all(wire == 2 for number, wire, _ in found if number == 1))
    if len(ours) != len(found):
        return {"kind": kind, "unsupported": body.hex()}
    need(ours and ours[0])
    try:
        v = {"kind": 1, "text": ours[0].decode()}
    except UnicodeDecodeError as error:
        raise Refused from error
    need(write_content(v) == data)
    return v


def write_content(v):
    if "unsupported" in v:
        return be(v["kind"], 2) + un(v["unsupported"])
    text = v["text"].encode()
    return be(1, 2) + b"\x0a" + varint(len(text)) + text


# --- service 0 -----------------------------------------------------------------------------------

LINK = {
    1: {
        1: ("incarnation", "b", 8),
        2: ("line", "b", 64 * 8),
        3: ("line_complete", "n", 1),
        4: ("writer", "n", 2),
        5: ("services", "N", 65535),
        6: ("agent", "b", 64),
        7: ("statements", "B", 4352),
    },
    2: {1: ("number", "f", None)},
    3: {1: ("number", "f", None)},
    4: {1: ("reason", "n", 2**31 - 1)},
    5: {1: ("incarnation", "b", 8)},
    6: {1: ("incarnation", "b", 8), 2: ("ancestors", "b", 4096 * 8), 3: ("complete", "n", 1)},
    7: {1: ("signature", "b", 64)},
}


def split(data, n):
    need(len(data) % n == 0)
    return [data[at : at + n] for at in range(0, len(data), n)]


def read_link(data):
    kind, body = single(data, 49152)
    need(kind in LINK)
    v = read_message(body, LINK[kind])
    if kind == 1:
        exactly(8, v["incarnation"])
        need(len(v["services"]) <= 64 and len(v["statements"]) <= 8)
        need(all(a < b for a, b in zip(v["services"], v["services"][1:])))
        try:
            agent = v["agent"].decode()
        except UnicodeDecodeError as error:
            raise Refused from error
        v |= {"agent": agent, "incarnation": v["incarnation"].hex(), "line_complete": v["line_complete"] == 1}
        v |= {"line": [one.hex() for one in split(v["line"], 8)], "statements": [s.hex() for s in v["statements"]]}
        return {"hello": v}
    if kind == 5:
        exactly(8, v["incarnation"])
        return {"line_request": v["incarnation"].hex()}
    if kind == 6:
        exactly(8, v["incarnation"])
        ancestors = [one.hex() for one in split(v["ancestors"], 8)]
        return {"line": {"incarnation": v["incarnation"].hex(), "ancestors": ancestors, "complete": v["complete"] == 1}}
    if kind == 7:
        exactly(64, v["signature"])
        return {"proof": v["signature"].hex()}
    if kind == 4:
        return {"goodbye": v["reason"]}
    return {"ping" if kind == 2 else "pong": v["number"]}


def write_link(value):
    ((name, v),) = value.items()
    kind = {"hello": 1, "ping": 2, "pong": 3, "goodbye": 4, "line_request": 5, "line": 6, "proof": 7}[name]
    if kind == 1:
        v = v | {"incarnation": un(v["incarnation"]), "line": un("".join(v["line"])), "agent": v["agent"].encode()}
        v |= {"statements": list(map(un, v["statements"])), "line_complete": int(v["line_complete"])}
    elif kind in (2, 3):
        v = {"number": v}
    elif kind == 4:
        v = {"reason": v}
    elif kind == 5:
        v = {"incarnation": un(v)}
    elif kind == 6:
        v = {"incarnation": un(v["incarnation"]), "ancestors": un("".join(v["ancestors"])), "complete": int(v["complete"])}
    else:
        v = {"signature": un(v)}
    body = write_message(v, LINK[kind])
    return varint(kind << 3 | 2) + varint(len(body)) + body


# --- service 1 -----------------------------------------------------------------------------------

HAVE_ROW = {
    1: ("author", "b", 32),
    2: ("stream", "n", 255),
    3: ("incarnation", "b", 8),
    4: ("head", "n", MAX_POSITION),
    5: ("hash", "b", 32),
    6: ("proof", "b", 270),
}
REFUSED = {1: ("seq", "n", MAX_SEQ), 2: ("cause", "n", 255)}
BRANCH = {1: ("headers", "b", 256 * 206), 2: ("signature", "b", 64)}
SYNC = {
    1: {1: ("space", "b", 32), 2: ("hash", "b", 32), 3: ("rows", "n", 2**32 - 1)},
    2: {1: ("space", "b", 32), 2: ("rows", "M", HAVE_ROW), 3: ("more", "n", 1)},
    3: {1: ("feed", "b", 73), 2: ("from", "n", MAX_POSITION), 3: ("limit", "o", MAX_POSITION)},
    4: {1: ("feed", "b", 73)},
    5: {1: ("feed", "b", 73), 2: ("acked", "n", MAX_POSITION)},
    6: {
        1: ("feed", "b", 73),
        2: ("from", "n", MAX_POSITION),
        3: ("head", "n", MAX_POSITION),
        4: ("hash", "b", 32),
        5: ("kept", "n", 255),
        6: ("refused", "M", REFUSED),
        7: ("read_up_to", "o", MAX_POSITION),
    },
    7: {
        1: ("space", "b", 32),
        2: ("feed", "b", 73),
        3: ("cause", "n", 255),
        4: ("retry_after_ms", "n", 2**32 - 1),
    },
    8: {1: ("feed", "b", 73), 2: ("branches", "M", BRANCH)},
    9: {
        1: ("author", "b", 32),
        2: ("kind", "n", 65535),
        3: ("number", "n", 2**64 - 1),
        4: ("expiry", "n", 2**64 - 1),
        5: ("body", "b", 4096),
        6: ("signature", "b", 64),
    },
}
SYNC_NAMES = ["have_hash", "have", "want", "not_held", "owed", "ack", "hold", "fork_proof", "statement"]
STATEMENT_TAGS = {1: b"skychat/v1/card", 2: b"skychat/v1/prekey", 3: b"skychat/v1/seen"}


def one_feed(data):
    exactly(73, data)
    return read_feed(Reader(data))


def read_sync(data):
    kind, body = single(data, 163840)
    need(kind in SYNC)
    v = read_message(body, SYNC[kind])
    if "feed" in v and kind != 7:
        feed = one_feed(v["feed"])
        v["feed"] = feed_text(feed)
    if kind in (1, 2):
        exactly(32, v["space"])
        v["space"] = v["space"].hex()
    if kind == 1:
        exactly(32, v["hash"])
        v["hash"] = v["hash"].hex()
    elif kind == 2:
        need(len(v["rows"]) <= 256)
        v["more"] = v["more"] == 1
        v["rows"] = [read_row(v["space"], row) for row in v["rows"]]
    elif kind == 3:
        need(v["limit"] is None or v["limit"] > v["from"])
    elif kind == 6:
        exactly(32, v["hash"])
        need(v["from"] <= v["head"] and (v["head"] == 0) == (v["hash"] == bytes(32)))
        need(v["kept"] in (1, 2) and len(v["refused"]) <= 64)
        v["hash"] = v["hash"].hex()
        least = v["from"]
        for refusal in v["refused"]:
            need(least <= refusal["seq"] < v["head"] and 1 <= refusal["cause"] <= 10)
            least = refusal["seq"] + 1
        v["refused"] = [[refusal["seq"], refusal["cause"]] for refusal in v["refused"]]
    elif kind == 7:
        need(bool(v["space"]) != bool(v["feed"]) and 1 <= v["cause"] <= 5)
        if v["space"]:
            exactly(32, v["space"])
            v["space"] = v["space"].hex()
            del v["feed"]
        else:
            v["feed"] = feed_text(one_feed(v["feed"]))
            del v["space"]
    elif kind == 8:
        need(len(v["branches"]) == 2)
        for branch in v["branches"]:
            headers = [read_header(header) for header in split(branch["headers"], 206)]
            need(headers)
            for n, header in enumerate(headers):
                need(all(header[name] == feed[name] for name in FEED) and header["seq"] == headers[0]["seq"] + n)
            exactly(64, branch["signature"])
            branch |= {"headers": branch["headers"].hex(), "signature": branch["signature"].hex()}
    elif kind == 9:
        exactly(32, v["author"])
        exactly(64, v["signature"])
        v |= {name: v[name].hex() for name in ("body", "signature")} | {"author": key(v["author"]).hex()}
    return {SYNC_NAMES[kind - 1]: v}


def read_row(space, row):
    exactly(32, row["author"], row["hash"])
    exactly(8, row["incarnation"])
    key(row["author"])
    need((row["head"] == 0) == (row["hash"] == bytes(32)))
    out = {name: row[name].hex() for name in ("author", "incarnation", "hash")}
    out |= {"stream": row["stream"], "head": row["head"]}
    if row["proof"]:
        exactly(270, row["proof"])
        header = read_header(row["proof"][:206])
        need(all(header[name] == (out | {"space": space})[name] for name in FEED))
        need(header["seq"] + 1 == row["head"] and sha256(row["proof"][:206]) == row["hash"])
        out["proof"] = row["proof"].hex()
    return out


def write_sync(value):
    ((name, v),) = value.items()
    kind = SYNC_NAMES.index(name) + 1
    v = dict(v)
    if kind == 7:
        v = {"space": "", "feed": None} | v
    if "feed" in v:
        v["feed"] = write_feed(feed_of_text(v["feed"])) if v["feed"] else b""
    for name in ("space", "hash", "body", "signature", "author"):
        if name in v:
            v[name] = un(v[name])
    if kind == 2:
        v["rows"] = [
            row | {name: un(row.get(name, "")) for name in ("author", "incarnation", "hash", "proof")} for row in v["rows"]
        ]
        v["more"] = int(v["more"])
    elif kind == 6:
        v["refused"] = [{"seq": seq, "cause": cause} for seq, cause in v["refused"]]
    elif kind == 8:
        v["branches"] = [{name: un(branch[name]) for name in branch} for branch in v["branches"]]
    body = write_message(v, SYNC[kind])
    return varint(kind << 3 | 2) + varint(len(body)) + body


# --- the files -----------------------------------------------------------------------------------


def read_feed_id(data):
    r = Reader(data)
    feed = read_feed(r)
    r.end()
    return feed


FORMATS = {
    "ids.json": (read_feed_id, write_feed),
    "header.json": (read_header, write_header),
    "range.json": (read_range, write_range),
    "open.json": (read_open, write_open),
    "content.json": (read_content, write_content),
    "link.json": (read_link, write_link),
    "sync.json": (read_sync, write_sync),
}
# What stands in a value for the reader's convenience, and is not in the bytes.
BESIDE = {"id", "signature", "text", "direct_space_of", "of_rows", "signed_bytes"}


def holds(file, value, data):
    """Whether what stands beside the bytes is right."""
    if file == "ids.json":
        pair = sorted(map(un, value["direct_space_of"]))
        space = sha256(b"skychat/v1/direct-space" + b"".join(pair)).hex()
        return value["text"] == feed_text(value) and value["space"] == space
    if file == "header.json":
        signed = verify(un(value["author"]), data, un(value["signature"]))
        return signed and sha256(data).hex() == value["id"]
    if "have_hash" in value:
        rows = b"".join(
            un(row["author"]) + be(row["stream"], 1) + un(row["incarnation"]) + be(row["head"], 8) + un(row["hash"])
            for row in value["have_hash"]["of_rows"]
        )
        return sha256(rows).hex() == value["have_hash"]["hash"]
    if "have" in value:
        proofs = [(row["author"], un(row["proof"])) for row in value["have"]["rows"]]
        return all(verify(un(author), proof[:206], proof[206:]) for author, proof in proofs)
    if "fork_proof" in value:
        author = un(feed_of_text(value["fork_proof"]["feed"])["author"])
        branches = value["fork_proof"]["branches"]
        return all(verify(author, un(b["headers"])[-206:], un(b["signature"])) for b in branches)
    if "statement" in value:
        v = value["statement"]
        signed = STATEMENT_TAGS[v["kind"]] + un(v["author"]) + be(v["kind"], 2) + be(v["number"], 8)
        signed += be(v["expiry"], 8) + un(v["body"])
        return signed.hex() == v["signed_bytes"] and verify(un(v["author"]), signed, un(v["signature"]))
    return True


def bare(file, value):
    """The value as it stands in the bytes."""
    if file in ("ids.json", "header.json"):
        return {name: v for name, v in value.items() if name not in BESIDE}
    if file == "sync.json":
        return {kind: {k: v for k, v in fields.items() if k not in ("of_rows", "signed_bytes")} for kind, fields in value.items()}
    return value


def main():
    passed = failed = 0

    def same(what, a, b):
        nonlocal passed, failed
        if a == b:
            passed += 1
        else:
            failed += 1
            print(f"differs: {what}\n  here: {a}\n  file: {b}")

    def outcome(read, data):
        try:
            return read(data)
        except Refused:
            return None

    for file, (read, write) in FORMATS.items():
        document = json.loads((pathlib.Path(__file__).parent / file).read_text())
        for name, pair in document["keys"].items():
            same(f"{file}: key of {name}", public(un(pair["seed"])).hex(), pair["public"])
        for case in document["accept"]:
            data, value = un(case["hex"]), bare(file, case["value"])
            same(f"{file}: {case['name']}, written", write(value).hex(), case["hex"])
            same(f"{file}: {case['name']}, read", outcome(read, data), value)
            same(f"{file}: {case['name']}, holds", holds(file, case["value"], data), True)
        for case in document["reject"]:
            same(f"{file}: {case['name']}, refused", outcome(read, un(case["hex"])), None)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
