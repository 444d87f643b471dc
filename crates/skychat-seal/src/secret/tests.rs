use super::*;
use data_encoding::HEXLOWER;

use crate::script::Script;

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    HEXLOWER
        .decode(text.as_bytes())
        .unwrap()
        .try_into()
        .unwrap()
}

/// RFC 9180, appendix A.7.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, export only, base mode.
#[test]
fn it_exports_the_values_of_rfc_9180() {
    let info = HEXLOWER
        .decode(b"4f6465206f6e2061204772656369616e2055726e")
        .unwrap();
    let ephemeral = "55bc245ee4efda25d38f2d54d5bb6665291b99f8108a8c4b686c2b14893ea5d9";
    let recipient = bytes("194141ca6c3c3beb4792cd97ba0ea1faff09d98435012345766ee33aae2d7664");
    let secret = bytes("33d196c830a12f9ac65d6e565a590d80f04ee9b19c83c87f2c170d972a812848");
    let exports: [(&[u8], &str); 3] = [
        (
            b"",
            "7a36221bd56d50fb51ee65edfd98d06a23c4dc87085aa5866cb7087244bd2a36",
        ),
        (
            &[0],
            "d5535b87099c6c3ce80dc112a2671c6ec8e811a2f284f948cec6dd1708ee33f0",
        ),
        (
            b"TestContext",
            "ffaabc85a776136ca0c378e5d084c9140ab552b78f039d2e8775f26efff4c70e",
        ),
    ];
    for (label, exported) in exports {
        let mut rng = Script::new(&bytes::<32>(ephemeral));
        let (sent, encapsulation) =
            Secret::encapsulate(&mut rng, &recipient, &info, label).unwrap();
        assert_eq!(
            HEXLOWER.encode(&encapsulation),
            "e5e8f9bfff6c2f29791fc351d2c25ce1299aa5eaca78a757c0b4fb4bcd830918"
        );
        assert_eq!(HEXLOWER.encode(sent.bytes()), exported);
        let received = Secret::decapsulate(&secret, &encapsulation, &info, label).unwrap();
        assert_eq!(sent.bytes(), received.bytes());
    }
}

/// The u coordinates of small order, as they may stand in 32 bytes (each also with the top bit,
/// which X25519 ignores).
#[test]
fn direct_3_keys_of_small_order_give_no_secret() {
    let small = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for text in small {
        for top in [0, 0x80] {
            let mut key = bytes::<32>(text);
            key[31] |= top;
            let mut rng = Script::new(&[7; 32]);
            assert!(Secret::encapsulate(&mut rng, &key, b"", LABEL).is_err());
            assert!(Secret::decapsulate(&[8; 32], &key, b"", LABEL).is_err());
        }
    }
}

#[test]
fn direct_5_every_entry_has_its_own_key() {
    let mut rng = Script::new(&[7; 32]);
    let recipient = x25519_base(&[8; 32]);
    let (secret, encapsulation) = Secret::encapsulate(&mut rng, &recipient, b"i", LABEL).unwrap();
    assert_ne!(secret.body_key(0), secret.body_key(1));
    let other = Secret::decapsulate(&[8; 32], &encapsulation, b"j", LABEL).unwrap();
    assert_ne!(secret.body_key(0), other.body_key(0));
    let same = Secret::decapsulate(&[8; 32], &encapsulation, b"i", LABEL).unwrap();
    assert_eq!(secret.body_key(9), same.body_key(9));
}

fn x25519_base(secret: &[u8; 32]) -> [u8; 32] {
    let secret = PrivateKey::from_bytes(secret).unwrap();
    X25519HkdfSha256::sk_to_pk(&secret).to_bytes().into()
}

#[test]
fn direct_3_every_bit_of_the_info_counts() {
    let info = [0x5a; crate::INFO_LEN];
    let mut rng = Script::new(&[7; 32]);
    let recipient = x25519_base(&[8; 32]);
    let (secret, encapsulation) = Secret::encapsulate(&mut rng, &recipient, &info, LABEL).unwrap();
    for bit in 0..info.len() * 8 {
        let mut flipped = info;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let other = Secret::decapsulate(&[8; 32], &encapsulation, &flipped, LABEL).unwrap();
        assert_ne!(secret.bytes(), other.bytes(), "bit {bit}");
    }
}
