#!/usr/bin/env python3
"""Makes the values of seal.json a second time, from docs/protocol/direct.md alone.

Python 3 without packages; slow and not in constant time: for checking vectors, nothing else.
Says `N passed, N failed` and exits with 1 if something differs.
"""

import hashlib
import hmac
import json
import pathlib
import struct
import sys

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P


def sha256(data):
    return hashlib.sha256(data).digest()


# --- curves --------------------------------------------------------------------------------------


def x25519(scalar, u):
    """RFC 7748, section 5."""
    k = int.from_bytes(scalar, "little")
    k = k & ~7 & ~(1 << 255) | (1 << 254)
    x1 = int.from_bytes(u, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = pow(da + cb, 2, P), x1 * pow(da - cb, 2, P) % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


BASE = (9).to_bytes(32, "little")


def ed25519_public(seed):
    """RFC 8032, 5.1.5, on affine points: slow, and short."""

    def add(p, q):
        (x1, y1), (x2, y2) = p, q
        k = D * x1 * x2 * y1 * y2 % P
        x = (x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P
        y = (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P
        return x, y

    by = 4 * pow(5, P - 2, P) % P
    xx = (by * by - 1) * pow(D * by * by + 1, P - 2, P) % P
    bx = pow(xx, (P + 3) // 8, P)
    if (bx * bx - xx) % P:
        bx = bx * pow(2, (P - 1) // 4, P) % P
    if bx & 1:
        bx = P - bx
    k = int.from_bytes(x25519_secret(seed), "little")
    point, double = (0, 1), (bx, by)
    while k:
        if k & 1:
            point = add(point, double)
        double = add(double, double)
        k >>= 1
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def x25519_secret(seed):
    k = bytearray(hashlib.sha512(seed).digest()[:32])
    k[0] &= 0xF8
    k[31] = k[31] & 0x7F | 0x40
    return bytes(k)


def x25519_public(ed25519):
    y = int.from_bytes(ed25519, "little") & (2**255 - 1)
    return ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, "little")


# --- HKDF and HPKE (RFC 5869, RFC 9180) ----------------------------------------------------------


def extract(salt, ikm):
    return hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()


def expand(prk, info, length=32):
    out, block, n = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([n]), hashlib.sha256).digest()
        out, n = out + block, n + 1
    return out[:length]


KEM = b"KEM" + struct.pack(">H", 0x0020)
HPKE = b"HPKE" + struct.pack(">HHH", 0x0020, 0x0001, 0xFFFF)


def labeled_extract(suite, salt, label, ikm):
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite, prk, label, info, length=32):
    return expand(prk, struct.pack(">H", length) + b"HPKE-v1" + suite + label + info, length)


def exported(dh, encapsulation, recipient, info, label):
    if dh == bytes(32):
        return None
    prk = labeled_extract(KEM, b"", b"eae_prk", dh)
    shared = labeled_expand(KEM, prk, b"shared_secret", encapsulation + recipient)
    psk_id_hash = labeled_extract(HPKE, b"", b"psk_id_hash", b"")
    context = b"\0" + psk_id_hash + labeled_extract(HPKE, b"", b"info_hash", info)
    secret = labeled_extract(HPKE, shared, b"secret", b"")
    exporter = labeled_expand(HPKE, secret, b"exp", context)
    return labeled_expand(HPKE, exporter, b"sec", label)


def encapsulate(ikm, recipient, info, label):
    prk = labeled_extract(KEM, b"", b"dkp_prk", ikm)
    ephemeral = labeled_expand(KEM, prk, b"sk", b"")
    encapsulation = x25519(ephemeral, BASE)
    dh = x25519(ephemeral, recipient)
    return encapsulation, exported(dh, encapsulation, recipient, info, label)


def decapsulate(secret, encapsulation, info, label):
    recipient = x25519(secret, BASE)
    return exported(x25519(secret, encapsulation), encapsulation, recipient, info, label)


# --- XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha) --------------------------------------


def chacha_rounds(state):
    s = list(state)

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = s[x] + s[y] & 0xFFFFFFFF
            v = s[z] ^ s[x]
            s[z] = (v << n | v >> 32 - n) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return s


def chacha_state(key, last):
    return struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + last


def chacha_block(key, counter, nonce):
    state = chacha_state(key, (counter,) + struct.unpack("<3I", nonce))
    words = chacha_rounds(state)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, words)))


def xchacha_subkey(key, nonce):
    words = chacha_rounds(chacha_state(key, struct.unpack("<4I", nonce[:16])))
    return struct.pack("<8I", *(words[:4] + words[12:])), bytes(4) + nonce[16:]


def crypt(key, nonce, data):
    blocks = range((len(data) + 63) // 64)
    stream = b"".join(chacha_block(key, 1 + n, nonce) for n in blocks)
    return bytes(a ^ b for a, b in zip(data, stream))


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(data), 16):
        block = data[at : at + 16] + b"\1"
        total = (total + int.from_bytes(block, "little")) * r % (2**130 - 5)
    total += int.from_bytes(key[16:], "little")
    return (total & 2**128 - 1).to_bytes(16, "little")


def tag_of(key, nonce, aad, ciphertext):
    def pad(data):
        return data + bytes(-len(data) % 16)

    lengths = struct.pack("<QQ", len(aad), len(ciphertext))
    return poly1305(chacha_block(key, 0, nonce)[:32], pad(aad) + pad(ciphertext) + lengths)


def aead_seal(key, nonce, aad, plaintext):
    key, short = xchacha_subkey(key, nonce)
    ciphertext = crypt(key, short, plaintext)
    return nonce + ciphertext + tag_of(key, short, aad, ciphertext)


def aead_open(key, aad, sealed):
    if len(sealed) < 40:
        return None
    nonce, ciphertext, tag = sealed[:24], sealed[24:-16], sealed[-16:]
    key, short = xchacha_subkey(key, nonce)
    if tag_of(key, short, aad, ciphertext) != tag:
        return None
    return crypt(key, short, ciphertext)


# --- Skychat -------------------------------------------------------------------------------------

LABEL = b"skychat/v1/seal-1"


def context(v, key_id):
    author, recipient, space, incarnation = (
        bytes.fromhex(v[name]) for name in ("author", "recipient", "space", "incarnation")
    )
    seq = int(v["seq"]).to_bytes(8, "big")
    info = b"skychat/v1/seal-info\1" + space + author + recipient + incarnation + key_id
    feed = author + space + bytes([v["stream"]]) + incarnation
    aad = feed + seq + bytes.fromhex(v["message"]) + bytes([v["kind"]]) + recipient
    return info, aad, seq


def open_body(v):
    """The plaintext, or the name of the error."""
    body = bytes.fromhex(v["body"])
    secret = x25519_secret(bytes.fromhex(v["recipient_seed"]))
    own = x25519(secret, BASE)
    if len(body) < 80:
        return "Malformed"
    key_id, encapsulation, sealed = body[:8], body[8:40], body[40:]
    if key_id != sha256(own)[:8] or x25519_public(bytes.fromhex(v["recipient"])) != own:
        return "WrongKey"
    info, aad, seq = context(v, key_id)
    exported_secret = decapsulate(secret, encapsulation, info, LABEL)
    if exported_secret is None:
        return "BadSeal"
    text = aead_open(expand(exported_secret, LABEL + seq), aad, sealed)
    return "BadSeal" if text is None else text


def place_aad(parts):
    parts = [bytes.fromhex(part) for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def store_keys(root):
    return expand(root, b"skychat/v1/store-seal"), expand(root, b"skychat/v1/store-check")[:16]


def read_store_key(file):
    if len(file) < 16:
        return "Length"
    if file[:16] != b"skychat storekey":
        return "Magic"
    if len(file) < 18:
        return "Length"
    if file[16:18] != b"\0\1":
        return "Version"
    if len(file) != 82:
        return "Length"
    if sha256(file[:66])[:16] != file[66:]:
        return "Checksum"
    return file[18:50] if store_keys(file[18:50])[1] == file[50:66] else "Check"


passed = failed = 0


def same(what, ours, theirs):
    global passed, failed
    if ours == theirs:
        passed += 1
    else:
        failed += 1
        print(f"{what}: found {theirs}, expected {ours}")


def main():
    file = pathlib.Path(__file__).with_name("seal.json")
    vectors = json.loads(file.read_text())
    for n, v in enumerate(vectors["bodies"]):
        author, recipient = (bytes.fromhex(v[name + "_seed"]) for name in ("author", "recipient"))
        keys = ed25519_public(author), ed25519_public(recipient)
        key = x25519_public(keys[1])
        key_id = sha256(key)[:8]
        info, aad, seq = context(v, key_id)
        ikm = bytes.fromhex(v["ephemeral_ikm"])
        encapsulation, secret = encapsulate(ikm, key, info, LABEL)
        body_key = expand(secret, LABEL + seq)
        plaintext = bytes.fromhex(v["plaintext"])
        sealed = aead_seal(body_key, bytes.fromhex(v["nonce"]), aad, plaintext)
        made = {
            "author": keys[0],
            "recipient": keys[1],
            "space": sha256(b"skychat/v1/direct-space" + min(keys) + max(keys)),
            "recipient_x25519": x25519(x25519_secret(recipient), BASE),
            "key_id": key_id,
            "info": info,
            "encapsulation": encapsulation,
            "secret": secret,
            "body_key": body_key,
            "aad": aad,
            "body": key_id + encapsulation + sealed,
        }
        for name, value in made.items():
            same(f"bodies[{n}].{name}", value.hex(), v[name])
        same(f"bodies[{n}] opens", plaintext, open_body(v))
    for v in vectors["refuse"]["bodies"]:
        same(f"refuse: {v['what']}", open_body(v), v["error"])
    for n, v in enumerate(vectors["store"]):
        root = bytes.fromhex(v["key"])
        seal, check = store_keys(root)
        start = b"skychat storekey\0\1" + root + check
        same(f"store[{n}].check", check.hex(), v["check"])
        same(f"store[{n}].file", (start + sha256(start)[:16]).hex(), v["file"])
        same(f"store[{n}] reads", root, read_store_key(bytes.fromhex(v["file"])))
        plaintext, nonce = bytes.fromhex(v["plaintext"]), bytes.fromhex(v["nonce"])
        record = aead_seal(seal, nonce, place_aad(v["place"]), plaintext)
        same(f"store[{n}].record", record.hex(), v["record"])
    for v in vectors["refuse"]["store_key_files"]:
        same(f"refuse: {v['what']}", read_store_key(bytes.fromhex(v["file"])), v["error"])
    seal, _ = store_keys(bytes.fromhex(vectors["store"][0]["key"]))
    for v in vectors["refuse"]["store_records"]:
        text = aead_open(seal, place_aad(v["place"]), bytes.fromhex(v["record"]))
        same(f"refuse: {v['what']}", text, None)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
