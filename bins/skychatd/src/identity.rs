//! Where an identity is given, beside the data directory.

use std::ffi::OsString;
use std::path::PathBuf;

use skychat_core::datadir::{
    self, CONFIG_LIMIT, IDENTITY_VARIABLE, IdentityError, IdentitySources, resolve_identity,
};
use skychat_identity::SecretKey;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::flags::Flags;

/// What was given: the flag, the environment, the file of `-c`.
pub(crate) struct Given<'a> {
    flag: Option<&'a str>,
    environment: Option<OsString>,
    config: Option<(PathBuf, Zeroizing<Vec<u8>>)>,
}

impl<'a> Given<'a> {
    /// Looks in all three places.
    pub(crate) fn read(flags: &'a Flags) -> Result<Self, Failure> {
        let config = match &flags.config {
            Some(path) => {
                let content = datadir::read_private(path, CONFIG_LIMIT)
                    .map_err(|error| Failure::caused(error.code(), &error))?;
                Some((path.clone(), content))
            }
            None => None,
        };
        Ok(Given {
            flag: flags.sk.as_deref(),
            environment: std::env::var_os(IDENTITY_VARIABLE),
            config,
        })
    }

    /// The same, to choose among.
    pub(crate) fn sources(&self) -> IdentitySources<'_> {
        IdentitySources {
            flag: self.flag,
            environment: self.environment.as_deref(),
            config: self
                .config
                .as_ref()
                .map(|(path, content)| (path.as_path(), content.as_slice())),
            ..IdentitySources::default()
        }
    }

    /// The identity that was given, if one was.
    pub(crate) fn secret(&self) -> Result<Option<SecretKey>, Failure> {
        match resolve_identity(&self.sources()) {
            Ok((secret, _)) => Ok(Some(secret)),
            Err(IdentityError::NoIdentity) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Why there is no identity.
pub(crate) fn failed(error: &IdentityError) -> Failure {
    Failure::caused(error.code(), error)
}
