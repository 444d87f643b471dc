#!/usr/bin/env python3
"""Reads the archives of `archive.json` a second time, from docs/protocol/archive.md and the pages it names alone.

Python 3 without packages; keys, ranges and proofs are read by `recompute.py` of skychat-proto, which does the same for
those. Every `accept` has to be taken, with its counts, and its last line to come out the same; every `refuse` has to be
refused. Says `N passed, N failed` and exits with 1 if something differs.
"""

import base64
import importlib.util
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
FORMATS = HERE / "../../../skychat-proto/tests/vectors/recompute.py"
spec = importlib.util.spec_from_file_location("formats", FORMATS)
formats = importlib.util.module_from_spec(spec)
spec.loader.exec_module(formats)
Reader, Refused, key, need, sha256, un, verify = (
    getattr(formats, name) for name in ("Reader", "Refused", "key", "need", "sha256", "un", "verify")
)

MAX_ITEM = 16 * 1024 * 1024
MAX_LINE = 22_369_651
HEAD, ROW, SIGNATURE = 116, 72, 64
FORK = 11


def hexed(text, length):
    need(isinstance(text, str) and len(text) == 2 * length and not set(text) - set("0123456789abcdef"))
    return un(text)


def written(document):
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def read_line(line):
    """A line by its type, if it is the one writing of it."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused from None
    need(isinstance(document, dict) and list(document)[:1] == ["type"])
    if document["type"] == "message":
        need(line.startswith('{"type":"message",'))
        return document
    fields = {
        "skychat-export": [["type", "v", "archive", "public_key", "exported"]],
        "record": [["type", "data"]],
        "group": [["type"], ["type", "life"]],
        "end": [
            ["type", "messages", "groups", "records", "sha256"],
            ["type", "messages", "groups", "records", "sha256", "signature"],
        ],
    }
    need(list(document) in fields.get(document["type"], []) and written(document) == line)
    return document


class Feeds:
    """How far each feed goes."""

    def __init__(self):
        self.tips = {}

    def range(self, meta, body):
        need(len(meta) > HEAD + SIGNATURE and (len(meta) - HEAD - SIGNATURE) % ROW == 0)
        need(int.from_bytes(meta[HEAD - 2 : HEAD], "big") == (len(meta) - HEAD - SIGNATURE) // ROW)
        # Layout, chain and the signature of the author are checked in it.
        found = formats.read_range(meta + body)
        feed = formats.feed_text(found)
        need(self.tips.get(feed, (0, "00" * 32)) == (found["first"], found["first_prev"]))
        for entry in found["entries"]:
            if entry["body"] is not None:
                need(sha256(un(entry["body"])).hex() == entry["body_hash"])
            need(entry["seq"] != 0 or entry["kind"] == 0)
            need(entry["seq"] == 0 or entry["context"] < entry["seq"])
            if entry["kind"] != 1:
                need(entry["message"] == "00" * 16 and entry["body"] is not None)
            if entry["kind"] == 0:
                formats.read_open(un(entry["body"]))
            self.tips[feed] = (entry["seq"] + 1, entry["id"])
        return len(found["entries"])


def fork(feed, value):
    need(len(feed) == 73)
    proof = formats.read_sync(value).get("fork_proof")
    need(proof is not None and proof["feed"] == formats.feed_text(formats.read_feed(Reader(feed))))
    first = []
    for branch in proof["branches"]:
        raw = un(branch["headers"])
        headers = [raw[at : at + 206] for at in range(0, len(raw), 206)]
        read = [formats.read_header(header) for header in headers]
        for header, after in zip(headers, read[1:]):
            need(after["prev"] == sha256(header).hex())
        need(verify(un(read[-1]["author"]), headers[-1], un(branch["signature"])))
        first.append((read[0]["seq"], read[0]["prev"], headers[0]))
    need(first[0][:2] == first[1][:2] and first[0][2] != first[1][2])


def record(data, group, feeds):
    """One item; what a content has to know of it goes to `group`."""
    need(len(data) <= MAX_ITEM)
    r = Reader(data)
    event, kind, length = r.number(8), r.number(1), r.number(4)
    meta, body = r.take(length), r.data
    m = Reader(meta)
    rows = None
    if kind == 1:
        need(event == 0)
        rows = feeds.range(meta, body)
    elif kind == 2:
        form = m.number(1)
        if form == 1:
            back, row = m.number(2), m.number(2)
            need(1 <= back <= len(group) and group[-back] is not None and row < group[-back])
        else:
            need(form == 2)
            key(m.take(32))
            m.take(48)
        m.end()
    elif kind == 3:
        need(event == 0 and not body)
        formats.read_feed(m)
        start, end, parts = m.number(8), m.number(8), m.number(1)
        m.end()
        need(start <= end and 1 <= parts <= 3)
    else:
        need(kind in (4, 5) and (kind == 4 or not body))
        table = m.number(1)
        need(table < 128)
        if kind == 4 and table == FORK:
            fork(m.data, body)
    group.append(rows)


def read_archive(file, owner):
    """The counts of an archive of `owner`; its last line is made a second time on the way."""
    need(file.endswith("\n"))
    lines = file[:-1].split("\n")
    need(all(len(line.encode()) <= MAX_LINE for line in lines))
    start = read_line(lines[0])
    need(start["type"] == "skychat-export" and (start["v"], start["archive"]) == (1, 1))
    need(type(start["exported"]) is int and 0 <= start["exported"] < 2**64)
    key(hexed(start["public_key"], 32))
    need(start["public_key"] == owner)
    counts = {"message": 0, "group": 0, "record": 0}
    feeds, group, end = Feeds(), [], None
    for line in lines[1:]:
        need(end is None)
        document = read_line(line)
        kind = document["type"]
        if kind == "end":
            end = document
            continue
        need(kind in counts)
        counts[kind] += 1
        if kind == "message":
            need(not counts["group"] and not counts["record"])
        elif kind == "record":
            data = base64.b64decode(document["data"], validate=True)
            need(base64.b64encode(data).decode() == document["data"])
            record(data, group, feeds)
        else:
            need("life" not in document or hexed(document["life"], 8))
            group = []
    need(end is not None and not group)
    before = file[: len(file) - len(lines[-1]) - 1].encode()
    digest = sha256(before)
    made = {f"{kind}s": str(count) for kind, count in counts.items()}
    need({name: end[name] for name in made} == made)
    need(hexed(end["sha256"], 32) == digest and "signature" in end)
    need(verify(un(owner), b"skychat/v1/archive" + digest, hexed(end["signature"], 64)))
    return counts


def main():
    vectors = json.loads((HERE / "archive.json").read_text())
    assert formats.public(un(vectors["seed"])).hex() == vectors["owner"]
    passed, failed = 0, []
    for case in vectors["accept"] + vectors["refuse"]:
        expected = None
        if "error" not in case:
            expected = {kind: case[f"{kind}s"] for kind in ("message", "group", "record")}
        try:
            found = read_archive(case["file"], vectors["owner"])
        except (Refused, ValueError, KeyError, OverflowError):
            found = None
        if found == expected:
            passed += 1
        else:
            failed.append(case["what"])
    print(f"{passed} passed, {len(failed)} failed")
    for what in failed:
        print(f"  {what}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
