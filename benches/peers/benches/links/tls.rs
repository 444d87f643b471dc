//! TLS 1.3 configurations: one cipher each, an Ed25519 certificate of its own, no resumption.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};

use crate::ours::Cipher;

pub(crate) const NAME: &str = "localhost";

/// Whom the certificates are of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The server only, as on the web.
    Server,
    /// Both, as with us.
    Both,
}

fn provider(suite: Cipher) -> Arc<CryptoProvider> {
    let suite = match suite {
        Cipher::Aes => initial_suite(),
        _ => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    };
    let provider = default_provider();
    let kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    Arc::new(CryptoProvider {
        cipher_suites: vec![suite],
        kx_groups,
        ..provider
    })
}

/// AES-128-GCM; QUIC begins with it, whatever follows.
pub(crate) fn initial_suite() -> SupportedCipherSuite {
    cipher_suite::TLS13_AES_128_GCM_SHA256
}

pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from(NAME).unwrap()
}

pub(crate) fn configs(suite: Cipher, proof: Proof) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let params = CertificateParams::new([NAME.to_owned()]).unwrap();
    let certificate: CertificateDer<'static> = params.self_signed(&key).unwrap().into();
    let secret = || PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let roots = Arc::new(roots);
    let (provider, chain) = (provider(suite), vec![certificate]);

    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(Arc::clone(&roots));
    let mut client = match proof {
        Proof::Server => client.with_no_client_auth(),
        Proof::Both => client
            .with_client_auth_cert(chain.clone(), secret())
            .unwrap(),
    };
    client.resumption = Resumption::disabled();

    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap();
    let server = match proof {
        Proof::Server => server.with_no_client_auth(),
        Proof::Both => server.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .unwrap(),
        ),
    };
    let mut server = server.with_single_cert(chain, secret()).unwrap();
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    (Arc::new(client), Arc::new(server))
}

/// A whole handshake in memory.
pub(crate) fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) {
    let mut client = rustls::ClientConnection::new(Arc::clone(client), server_name()).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::clone(server)).unwrap();
    let mut wire = Vec::with_capacity(4096);
    while client.is_handshaking() || server.is_handshaking() {
        wire.clear();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
}
