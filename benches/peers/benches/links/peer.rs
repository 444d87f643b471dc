//! What could be used instead, over loopback: each gives two ends of a stream of bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::poll_fn;
use libp2p_core::muxing::StreamMuxerExt;
use libp2p_core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p_identity::Keypair;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use crate::ours::Cipher;
use crate::tls::{self, Proof};

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// One end of a connection.
pub(crate) type Stream = Box<dyn Duplex>;

/// Something that could be used instead, or the bare socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Raw,
    Rustls(Cipher),
    Quinn(Cipher),
    Noise,
    Yamux,
}

impl Peer {
    pub(crate) const ALL: [Peer; 7] = [
        Peer::Raw,
        Peer::Rustls(Cipher::ChaCha),
        Peer::Rustls(Cipher::Aes),
        Peer::Quinn(Cipher::ChaCha),
        Peer::Quinn(Cipher::Aes),
        Peer::Noise,
        Peer::Yamux,
    ];

    /// In ids, and on the command line of a child.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Peer::Raw => "raw-tcp",
            Peer::Rustls(Cipher::Aes) => "rustls-aes",
            Peer::Rustls(_) => "rustls-chacha",
            Peer::Quinn(Cipher::Aes) => "quinn-aes",
            Peer::Quinn(_) => "quinn-chacha",
            Peer::Noise => "libp2p-noise",
            Peer::Yamux => "libp2p-noise-yamux",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Raw => "raw TCP, no cipher",
            Peer::Rustls(Cipher::Aes) => "tokio-rustls, AES-128-GCM",
            Peer::Rustls(_) => "tokio-rustls, ChaCha20-Poly1305",
            Peer::Quinn(Cipher::Aes) => "quinn, AES-128-GCM",
            Peer::Quinn(_) => "quinn, ChaCha20-Poly1305",
            Peer::Noise => "libp2p-noise",
            Peer::Yamux => "libp2p-noise with yamux",
        }
    }

    pub(crate) fn cipher(self) -> Cipher {
        match self {
            Peer::Raw => Cipher::None,
            Peer::Rustls(suite) | Peer::Quinn(suite) => suite,
            Peer::Noise | Peer::Yamux => Cipher::ChaCha,
        }
    }
}

/// Makes connections of one kind, between two ends in this process.
pub(crate) enum Hub {
    Tcp(Tcp, Layer),
    Quinn {
        client: quinn::Endpoint,
        server: quinn::Endpoint,
        addr: SocketAddr,
        /// A connection ends with its last handle.
        up: Vec<quinn::Connection>,
    },
}

pub(crate) struct Tcp {
    listener: TcpListener,
    addr: SocketAddr,
}

/// What stands on a socket.
pub(crate) enum Layer {
    Bare,
    Tls(TlsConnector, TlsAcceptor),
    Noise(libp2p_noise::Config, libp2p_noise::Config),
    Yamux(libp2p_noise::Config, libp2p_noise::Config),
}

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

impl Hub {
    pub(crate) async fn new(peer: Peer) -> Self {
        let layer = match peer {
            Peer::Raw => Layer::Bare,
            Peer::Rustls(suite) => {
                let (client, server) = tls::configs(suite, Proof::Server);
                Layer::Tls(client.into(), server.into())
            }
            Peer::Quinn(suite) => return Hub::quinn(suite),
            Peer::Noise => Layer::Noise(noise_config(), noise_config()),
            Peer::Yamux => Layer::Yamux(noise_config(), noise_config()),
        };
        let listener = TcpListener::bind(SocketAddr::from(ANY)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        Hub::Tcp(Tcp { listener, addr }, layer)
    }

    /// Its defaults, but that a quiet connection stays: candidates take turns.
    fn quinn(suite: Cipher) -> Self {
        let (client, server) = tls::configs(suite, Proof::Server);
        let initial = || tls::initial_suite().tls13().unwrap().quic_suite().unwrap();
        let client = QuicClientConfig::with_initial(client, initial()).unwrap();
        let server = QuicServerConfig::with_initial(server, initial()).unwrap();
        let mut transport = quinn::TransportConfig::default();
        transport.max_idle_timeout(None);
        let transport = Arc::new(transport);
        let mut client = quinn::ClientConfig::new(Arc::new(client));
        client.transport_config(Arc::clone(&transport));
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(server));
        server.transport_config(transport);
        let server = quinn::Endpoint::server(server, ANY.into()).unwrap();
        let mut endpoint = quinn::Endpoint::client(ANY.into()).unwrap();
        endpoint.set_default_client_config(client);
        let addr = server.local_addr().unwrap();
        Hub::Quinn {
            client: endpoint,
            server,
            addr,
            up: Vec::new(),
        }
    }

    /// One more connection, both ends of it, with its handshake done.
    pub(crate) async fn connect(&mut self) -> (Stream, Stream) {
        match self {
            Hub::Tcp(tcp, layer) => {
                let (client, server) = tcp.connect().await;
                layer.put_on(client, server).await
            }
            Hub::Quinn {
                client,
                server,
                addr,
                up,
            } => {
                let (client, server) = tokio::join!(
                    async { client.connect(*addr, tls::NAME).unwrap().await.unwrap() },
                    async { server.accept().await.unwrap().await.unwrap() },
                );
                let (mut send, recv) = client.open_bi().await.unwrap();
                // The other side hears of a stream with its first byte.
                send.write_all(&[1]).await.unwrap();
                let (their_send, mut their_recv) = server.accept_bi().await.unwrap();
                their_recv.read_exact(&mut [0]).await.unwrap();
                up.extend([client, server]);
                (
                    Box::new(tokio::io::join(recv, send)),
                    Box::new(tokio::io::join(their_recv, their_send)),
                )
            }
        }
    }

    /// Closes what needs to be told so.
    pub(crate) async fn close(self) {
        if let Hub::Quinn {
            client, server, up, ..
        } = self
        {
            drop(up);
            client.close(0_u32.into(), b"");
            server.close(0_u32.into(), b"");
            // Without it the runtime may end before the other side hears of it.
            client.wait_idle().await;
            server.wait_idle().await;
        }
    }
}

impl Tcp {
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let (client, server) = tokio::join!(TcpStream::connect(self.addr), self.listener.accept());
        let (client, (server, _)) = (client.unwrap(), server.unwrap());
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        (client, server)
    }
}

fn noise_config() -> libp2p_noise::Config {
    libp2p_noise::Config::new(&Keypair::generate_ed25519()).unwrap()
}

impl Layer {
    /// Runs the handshake over two ends of anything.
    pub(crate) async fn put_on<T>(&self, client: T, server: T) -> (Stream, Stream)
    where
        T: Duplex + 'static,
    {
        match self {
            Layer::Bare => (Box::new(client), Box::new(server)),
            Layer::Tls(connector, acceptor) => {
                let (client, server) = tokio::join!(
                    connector.connect(tls::server_name(), client),
                    acceptor.accept(server)
                );
                (Box::new(client.unwrap()), Box::new(server.unwrap()))
            }
            Layer::Noise(ann, bob) => {
                let (client, server) = noise(ann, bob, client, server).await;
                (Box::new(client.compat()), Box::new(server.compat()))
            }
            Layer::Yamux(ann, bob) => {
                let (client, server) = noise(ann, bob, client, server).await;
                yamux(client, server).await
            }
        }
    }

    pub(crate) fn libp2p_noise() -> Self {
        Layer::Noise(noise_config(), noise_config())
    }
}

type Secured<T> = libp2p_noise::Output<tokio_util::compat::Compat<T>>;

async fn noise<T: Duplex + 'static>(
    ann: &libp2p_noise::Config,
    bob: &libp2p_noise::Config,
    client: T,
    server: T,
) -> (Secured<T>, Secured<T>) {
    let outbound = ann.clone().upgrade_outbound(client.compat(), "/noise");
    let inbound = bob.clone().upgrade_inbound(server.compat(), "/noise");
    let (client, server) = tokio::join!(outbound, inbound);
    let ((_, client), (_, server)) = (client.unwrap(), server.unwrap());
    (client, server)
}

/// One stream of each connection; a task drives the connection, as a swarm would.
async fn yamux<T: Duplex + 'static>(client: Secured<T>, server: Secured<T>) -> (Stream, Stream) {
    let config = libp2p_yamux::Config::default;
    let outbound = config().upgrade_outbound(client, "/yamux/1.0.0");
    let inbound = config().upgrade_inbound(server, "/yamux/1.0.0");
    let (client, server) = tokio::join!(outbound, inbound);
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let ours = poll_fn(|context| client.poll_outbound_unpin(context))
        .await
        .unwrap();
    tokio::spawn(async move { while poll_fn(|cx| client.poll_unpin(cx)).await.is_ok() {} });
    let mut ours = ours.compat();
    // The other side hears of a stream with its first bytes.
    let said = async {
        ours.write_all(&[1]).await.unwrap();
        ours.flush().await.unwrap();
    };
    let heard = poll_fn(|context| server.poll_inbound_unpin(context));
    let ((), theirs) = tokio::join!(said, heard);
    let mut theirs = theirs.unwrap().compat();
    tokio::spawn(async move { while poll_fn(|cx| server.poll_unpin(cx)).await.is_ok() {} });
    theirs.read_exact(&mut [0]).await.unwrap();
    (Box::new(ours), Box::new(theirs))
}
