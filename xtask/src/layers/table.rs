//! The table of crates: who may import whom. To change it is to change the architecture: say why in an ADR.

/// What the table says of one crate.
pub(crate) struct Row {
    /// Package name.
    pub(crate) name: &'static str,
    /// Our crates that its shipped code may import.
    pub(crate) may: &'static [&'static str],
    /// Our crates that its tests may import besides; `skychat-testkit` is everybody's.
    pub(crate) tests_may: &'static [&'static str],
    /// Whether it does I/O.
    pub(crate) kind: Kind,
}

/// Whether a crate may touch the world.
pub(crate) enum Kind {
    /// No tokio, threads, files, sockets, ambient clock or ambient randomness, but for these drivers.
    Pure(&'static [Driver]),
    /// Drives the pure crates.
    Io,
}

/// A part of a pure crate that does I/O, behind a feature.
pub(crate) struct Driver {
    /// The feature that switches it on.
    pub(crate) feature: &'static str,
    /// Its module, relative to `src/` without `.rs`: the file, or the folder of that name.
    pub(crate) module: &'static str,
    /// The dependencies from outside that it may bring.
    pub(crate) brings: &'static [&'static str],
}

/// The tests of every crate may use it.
pub(crate) const TESTKIT: &str = "skychat-testkit";

/// The words that everything above layer 0 may speak.
const WORDS: &[&str] = &["skychat-identity", "skychat-proto", "skychat-seal"];

/// The faces name keys and ids by the same types as the crates beneath, and no others of them.
const FACE: &[&str] = &["skychat-identity", "skychat-proto", "skychat-api"];

pub(crate) const TABLE: &[Row] = &[
    // layer 0: words
    Row {
        name: "skychat-identity",
        may: &[],
        tests_may: &[],
        kind: Kind::Pure(&[]),
    },
    Row {
        name: "skychat-proto",
        may: &["skychat-identity"],
        tests_may: &[],
        kind: Kind::Pure(&[]),
    },
    Row {
        name: "skychat-seal",
        may: &["skychat-identity"],
        tests_may: &["skychat-proto"],
        kind: Kind::Pure(&[]),
    },
    Row {
        name: "skychat-api",
        may: &["skychat-identity", "skychat-proto"],
        tests_may: &[],
        kind: Kind::Pure(&[]),
    },
    // layer 1: parts, which never import parts
    Row {
        name: "skychat-transport",
        may: WORDS,
        tests_may: &[],
        kind: Kind::Pure(&[Driver {
            feature: "tcp",
            module: "tcp",
            brings: &["tokio", "tokio-util", "socket2", "getrandom", "rustix"],
        }]),
    },
    Row {
        name: "skychat-direct",
        may: WORDS,
        tests_may: &[],
        kind: Kind::Pure(&[]),
    },
    Row {
        name: "skychat-feed",
        may: WORDS,
        tests_may: &[],
        kind: Kind::Pure(&[]),
    },
    Row {
        name: "skychat-store",
        may: WORDS,
        tests_may: &[],
        kind: Kind::Pure(&[
            Driver {
                feature: "driver",
                module: "driver",
                brings: &["rustix"],
            },
            Driver {
                feature: "sled",
                module: "indexer",
                brings: &["sled"],
            },
        ]),
    },
    // layer 2: the whole
    Row {
        name: "skychat-engine",
        may: &[
            "skychat-identity",
            "skychat-proto",
            "skychat-seal",
            "skychat-direct",
            "skychat-feed",
        ],
        tests_may: &[],
        kind: Kind::Pure(&[]),
    },
    // layer 3: host. It re-exports the parts as modules, so it names them.
    Row {
        name: "skychat-core",
        may: &[
            "skychat-identity",
            "skychat-proto",
            "skychat-seal",
            "skychat-api",
            "skychat-direct",
            "skychat-feed",
            "skychat-engine",
            "skychat-transport",
            "skychat-store",
        ],
        tests_may: &[],
        kind: Kind::Io,
    },
    // layer 4: faces
    Row {
        name: "skychat-http",
        may: &[
            "skychat-identity",
            "skychat-proto",
            "skychat-api",
            "skychat-core",
        ],
        tests_may: &["skychat-client"],
        kind: Kind::Io,
    },
    Row {
        name: "skychat-client",
        may: FACE,
        tests_may: &[],
        kind: Kind::Io,
    },
    // development
    Row {
        name: TESTKIT,
        may: &[
            "skychat-identity",
            "skychat-proto",
            "skychat-seal",
            "skychat-engine",
            "skychat-store",
        ],
        tests_may: &["skychat-direct", "skychat-feed"],
        kind: Kind::Pure(&[]),
    },
    Row {
        name: "skychat-benches",
        may: &[],
        tests_may: &[
            "skychat-identity",
            "skychat-proto",
            "skychat-seal",
            "skychat-api",
            "skychat-direct",
            "skychat-feed",
            "skychat-engine",
            "skychat-transport",
            "skychat-store",
            "skychat-core",
            "skychat-http",
            "skychat-client",
        ],
        kind: Kind::Io,
    },
    // binaries
    Row {
        name: "skychatd",
        may: &[
            "skychat-identity",
            "skychat-proto",
            "skychat-api",
            "skychat-core",
            "skychat-http",
        ],
        tests_may: &["skychat-client"],
        kind: Kind::Io,
    },
    Row {
        name: "skychat",
        may: &[
            "skychat-identity",
            "skychat-proto",
            "skychat-api",
            "skychat-core",
            "skychat-client",
        ],
        tests_may: &["skychat-http"],
        kind: Kind::Io,
    },
    Row {
        name: "xtask",
        may: &[],
        tests_may: &[],
        kind: Kind::Io,
    },
];

/// Crates from outside that touch the world: no pure crate imports or reaches them.
pub(crate) const WORLD: &[&str] = &[
    "async-io",
    "async-std",
    "axum",
    "chrono",
    "crossterm",
    "fs2",
    "fs4",
    "futures-timer",
    "getrandom",
    "hyper",
    "hyper-util",
    "instant",
    "jiff",
    "mio",
    "nix",
    "polling",
    "rayon",
    "redb",
    "rustix",
    "sled",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tokio-util",
    "tower",
    "web-time",
];

/// What a pure crate may not import by itself, though what it rests on may: `libc` comes with the crates that ask
/// the processor for its features, `rand` is harmless without its ambient generators.
pub(crate) const NOT_DIRECTLY: &[&str] = &["libc", "rand"];
