//! The checker finds what it is there to find.

use std::path::Path;

use cargo_metadata::DependencyKind::{Development, Normal};

use super::{
    Finding,
    imports::{self, Crate, Import},
    manifests, reach, sources,
    table::{Kind, TABLE},
};

fn one(name: &str) -> Crate {
    Crate {
        name: name.to_owned(),
        folder: format!("crates/{name}"),
        imports: Vec::new(),
        features: Vec::new(),
    }
}

impl Crate {
    fn imports(mut self, name: &str) -> Self {
        self.imports.push(Import {
            name: name.to_owned(),
            kind: Normal,
            optional: false,
        });
        self
    }

    fn optionally(mut self, name: &str, feature: &str) -> Self {
        self.imports.push(Import {
            name: name.to_owned(),
            kind: Normal,
            optional: true,
        });
        self.features
            .push((feature.to_owned(), vec![format!("dep:{name}")]));
        self
    }

    fn in_tests(mut self, name: &str) -> Self {
        self.imports.push(Import {
            name: name.to_owned(),
            kind: Development,
            optional: false,
        });
        self
    }

    fn findings(self) -> Vec<String> {
        texts(imports::check(&[self]))
    }
}

fn texts(findings: Vec<Finding>) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_downward_edge_is_right() {
    assert!(
        one("skychat-feed")
            .imports("skychat-proto")
            .imports("bytes")
            .findings()
            .is_empty()
    );
}

#[test]
fn an_upward_edge_is_found() {
    let found = one("skychat-proto").imports("skychat-feed").findings();
    assert_eq!(
        found,
        ["skychat-proto: may not import skychat-feed; allowed: skychat-identity"]
    );
}

#[test]
fn parts_do_not_import_parts_not_even_in_tests() {
    assert_eq!(
        one("skychat-feed")
            .imports("skychat-store")
            .findings()
            .len(),
        1
    );
    let found = one("skychat-feed").in_tests("skychat-direct").findings();
    assert_eq!(
        found,
        ["skychat-feed: its tests may not import skychat-direct"]
    );
}

#[test]
fn the_testkit_is_for_tests_only() {
    assert!(
        one("skychat-engine")
            .in_tests("skychat-testkit")
            .findings()
            .is_empty()
    );
    assert_eq!(
        one("skychat-engine")
            .imports("skychat-testkit")
            .findings()
            .len(),
        1
    );
}

#[test]
fn a_crate_outside_the_table_is_found() {
    assert_eq!(
        one("skychat-new").findings(),
        ["skychat-new: is not in the table of crates"]
    );
}

#[test]
fn a_pure_crate_has_no_runtime() {
    assert_eq!(
        one("skychat-engine").imports("tokio").findings(),
        ["skychat-engine: is pure and may not import tokio"]
    );
    assert_eq!(one("skychat-feed").in_tests("tokio").findings().len(), 1);
    assert_eq!(one("skychat-seal").imports("getrandom").findings().len(), 1);
    assert!(one("skychat-core").imports("tokio").findings().is_empty());
}

#[test]
fn a_driver_is_optional_and_behind_its_own_feature() {
    assert!(
        one("skychat-transport")
            .optionally("tokio", "tcp")
            .findings()
            .is_empty()
    );
    assert!(
        one("skychat-store")
            .optionally("rustix", "driver")
            .in_tests("tempfile")
            .findings()
            .is_empty()
    );

    let found = one("skychat-transport").imports("tokio").findings();
    assert_eq!(
        found,
        ["skychat-transport: may import tokio for a driver only: make it optional, behind tcp"]
    );
    let found = one("skychat-transport")
        .optionally("tokio", "aws-lc")
        .findings();
    assert_eq!(
        found,
        ["skychat-transport: feature `aws-lc` may not switch tokio on"]
    );
    let found = one("skychat-transport")
        .optionally("sled", "tcp")
        .findings();
    assert_eq!(
        found,
        ["skychat-transport: is pure and may not import sled"]
    );
}

#[test]
fn what_is_reached_through_others_counts() {
    let tree = "skychat-feed v0.1.0 (/somewhere)\nbytes v1.12.1\nmio v1.2.4\nmio v1.2.4 (*)\n";
    let found = texts(reach::judge("skychat-feed", tree));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("skychat-feed: is pure and reaches mio"));
}

#[test]
fn threads_files_sockets_and_clocks_are_found_in_sources() {
    assert_eq!(
        sources::judge("fn f() {\n    std::thread::yield_now();\n}"),
        [(2, "std::thread".to_owned())]
    );
    assert_eq!(
        sources::judge("use std::fs::File;"),
        [(1, "std::fs".to_owned())]
    );
    for sockets in [
        "use std::net::TcpStream;",
        "use std::net::{IpAddr, UdpSocket};",
        "use std::net;",
        "use std::net::*;",
    ] {
        assert_eq!(
            sources::judge(sockets),
            [(1, "std::net".to_owned())],
            "{sockets}"
        );
    }
    assert_eq!(
        sources::judge("let now = Instant::now();"),
        [(1, "Instant::now".to_owned())]
    );
    assert_eq!(
        sources::judge("use std::time::SystemTime;"),
        [(1, "SystemTime".to_owned())]
    );
    assert_eq!(
        sources::judge(
            "use std::{\n    collections::BTreeMap,\n    fs::{self, File},\n    net,\n};"
        ),
        [(1, "std::fs".to_owned()), (1, "std::net".to_owned())]
    );
}

#[test]
fn words_that_only_look_alike_are_no_finding() {
    for source in [
        "// std::fs is not for us\nuse core::net::IpAddr;",
        "/* Instant::now */ fn f() {}",
        "let text = \"std::thread \\\" std::net\";",
        "let quote = '\"'; let other = '\"';",
        "use std::net::IpAddr;",
        "use std::net::{IpAddr, SocketAddr,};",
        "use std::{fmt, net::{Ipv4Addr, Ipv6Addr}};",
        "use std::{fmt, collections::{BTreeMap, net}};",
        "use std::fs_like; use my_std::fs;",
        "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
    ] {
        assert_eq!(sources::judge(source), [], "{source}");
    }
    assert_eq!(
        sources::judge("#[cfg(test)]\nmod tests;\nuse std::fs;").len(),
        1
    );
}

#[test]
fn modules_for_tests_are_known_by_their_declaration() {
    let modules = |file: &str, text: &str| sources::test_modules(Path::new(file), text);
    assert_eq!(
        modules("lib.rs", "mod a;\n#[cfg(test)]\nmod b;\nmod c;"),
        [Path::new("b")]
    );
    assert_eq!(
        modules("a/b.rs", "#[cfg(test)]\n#[allow(x)]\nmod tests;"),
        [Path::new("a/b/tests")]
    );
    assert!(modules("a.rs", "// #[cfg(test)]\nmod b;\n#[cfg(test)]\nmod c {\n}").is_empty());
}

#[test]
fn a_driver_is_its_file_or_its_folder() {
    let row = TABLE
        .iter()
        .find(|row| row.name == "skychat-transport")
        .unwrap();
    let Kind::Pure(drivers) = row.kind else {
        panic!("transport is pure but for its driver")
    };
    assert!(sources::in_driver(Path::new("tcp.rs"), drivers));
    assert!(sources::in_driver(Path::new("tcp/dial.rs"), drivers));
    assert!(!sources::in_driver(Path::new("tcp_like.rs"), drivers));
    assert!(!sources::in_driver(Path::new("noise.rs"), drivers));
}

#[test]
fn a_folder_has_the_name_of_its_crate() {
    let stray = Crate {
        folder: "crates/feed".to_owned(),
        ..one("skychat-feed")
    };
    assert_eq!(manifests::folder(&stray).len(), 1);
    let nested = Crate {
        folder: "crates/parts/skychat-feed".to_owned(),
        ..one("skychat-feed")
    };
    assert_eq!(manifests::folder(&nested).len(), 1);
    assert!(manifests::folder(&one("skychat-feed")).is_empty());
    assert!(
        manifests::folder(&Crate {
            folder: "xtask".to_owned(),
            ..one("xtask")
        })
        .is_empty()
    );
}

#[test]
fn a_manifest_says_bench_false_and_names_no_version() {
    let judge = |text: &str| texts(manifests::package("Cargo.toml", &text.parse().unwrap()));
    let good =
        "[lib]\nbench = false\n[lints]\nworkspace = true\n[dependencies]\nbytes.workspace = true\n";
    assert_eq!(judge(good), Vec::<String>::new());
    assert_eq!(
        judge("[lints]\nworkspace = true"),
        ["Cargo.toml: has no [lib] or [[bin]] with `bench = false`"]
    );
    assert_eq!(
        judge("[[bin]]\nname = \"a\"\n[lints]\nworkspace = true").len(),
        1
    );
    assert_eq!(judge("[lib]\nbench = false").len(), 1);
    assert_eq!(
        judge(&good.replace("bytes.workspace = true", "bytes = \"1\"")).len(),
        1
    );
    assert_eq!(
        manifests::root(&"[workspace]\n[package]\nname = \"a\"".parse().unwrap()).len(),
        1
    );
}

#[test]
fn the_table_itself_points_down() {
    let place = |name: &str| TABLE.iter().position(|row| row.name == name).expect(name);
    for row in TABLE {
        for import in row.may {
            assert!(
                place(import) < place(row.name),
                "{} imports {import}",
                row.name
            );
        }
        for import in row.tests_may {
            assert!(place(import) < TABLE.len(), "{} imports {import}", row.name);
        }
    }
}
