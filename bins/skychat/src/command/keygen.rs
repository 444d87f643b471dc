//! `skychat keygen`: a new identity.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use skychat_api::{Code, V1};
use skychat_core::datadir::{DataDir, IdentitySource, IdentitySources};
use skychat_identity::{Address, PublicKey, SecretKey, keyfile};

use crate::failure::Failure;
use crate::flags::{Common, Keygen};
use crate::screen::{GREEN, Screen};

/// What was made, for programs.
#[derive(Serialize)]
struct Made {
    v: V1,
    public_key: PublicKey,
    address: String,
    file: PathBuf,
}

pub(super) fn run(common: &Common, keygen: &Keygen, screen: &mut Screen) -> Result<(), Failure> {
    skychat_core::datadir::tighten_umask();
    let (key, file) = match &keygen.output {
        Some(path) => (write(path)?, path.clone()),
        None => in_data_dir(&super::data_dir(common)?)?,
    };
    let address = Address::from(key).to_string();
    if screen.is_json() {
        return screen.document(&Made {
            v: V1,
            public_key: key,
            address,
            file,
        });
    }
    screen.line(format_args!(
        "{} {}",
        GREEN.of("New identity in"),
        file.display()
    ))?;
    screen.line(format_args!("key      {key}"))?;
    screen.line(format_args!("address  {address}"))
}

/// The identity of a data directory that has none yet.
fn in_data_dir(dir: &Path) -> Result<(PublicKey, PathBuf), Failure> {
    let data = DataDir::open(dir).map_err(|error| Failure::caused(error.code(), &error))?;
    let (secret, source) = data
        .identity(IdentitySources::default())
        .map_err(|error| Failure::caused(error.code(), &error))?;
    match source {
        IdentitySource::KeyFile { path, new: true } => Ok((secret.public(), path)),
        _ => Err(Failure::new(
            Code::StoreOwner,
            format!(
                "{} already has the identity {}; it is not replaced",
                dir.display(),
                secret.public()
            ),
        )),
    }
}

/// A key file of its own.
fn write(path: &Path) -> Result<PublicKey, Failure> {
    let failed = |error: std::io::Error| {
        let code = match error.kind() {
            std::io::ErrorKind::AlreadyExists => Code::BadRequest,
            _ => Code::StoreFailed,
        };
        Failure::new(code, format!("writing {}: {error}", path.display()))
    };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new(Code::Internal, format!("drawing a key: {error}")))?;
    let secret = SecretKey::from_seed(seed);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(&keyfile::encode(&secret))
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    Ok(secret.public())
}
