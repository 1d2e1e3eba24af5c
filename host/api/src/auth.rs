//! Bearer tokens: one local token, made at first start, with every role.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use workflow::Actor;

use crate::problem::{ErrorType, Problem};

/// Name of the token's file in the store's folder; readable by its owner alone.
pub const TOKEN_FILE: &str = "api-token";

/// Tells a leaked token from other hexadecimal text.
const PREFIX: &str = "lw_";

/// Bytes of randomness in a token: nobody guesses 256 bits.
const RANDOM_BYTES: usize = 32;

/// Why there is no token to serve with.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("failed to read or make the token file `{}`", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the token file `{}` can be read by others: `chmod 600` it, or delete it to have a new token made", path.display())]
    Exposed { path: PathBuf },
    #[error("the token file `{}` holds no token (`{PREFIX}` and {} hex digits): delete it to have a new one made",
        path.display(), 2 * RANDOM_BYTES)]
    Form { path: PathBuf },
}

/// The tokens this host accepts. Holds digests: a dump of the memory gives no token away.
#[derive(Clone)]
pub struct Tokens {
    local: [u8; 32],
}

impl Tokens {
    /// Reads the token in `dir`, and makes one first if there is none.
    ///
    /// Two processes that come at the same time end up with the same token: the
    /// file appears under its name complete, and only once.
    pub fn open_or_create(dir: &Path) -> Result<Self, TokenError> {
        let path = Self::path(dir);
        let failed = |source| TokenError::File { path: path.clone(), source };
        if !path.try_exists().map_err(failed)? {
            create(dir, &path).map_err(failed)?;
        }
        if path.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(TokenError::Exposed { path });
        }
        let token = std::fs::read_to_string(&path).map_err(failed)?;
        let token = token.trim_end();
        let random = token.strip_prefix(PREFIX).and_then(|digits| hex::decode(digits).ok());
        if random.is_none_or(|random| random.len() != RANDOM_BYTES) {
            return Err(TokenError::Form { path });
        }
        Ok(Self { local: Sha256::digest(token).into() })
    }

    /// Where the token of the store in `dir` lies.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join(TOKEN_FILE)
    }

    /// Who holds this token; none if nobody does.
    fn holder(&self, token: &str) -> Option<Actor> {
        let offered: [u8; 32] = Sha256::digest(token).into();
        let matches = bool::from(offered.ct_eq(&self.local));
        matches.then(|| Actor::new("token:local").expect("a plain word is an actor"))
    }
}

fn create(dir: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random)?;
    let draft = dir.join(format!("{TOKEN_FILE}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(file, "{PREFIX}{}", hex::encode(random))?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Ok(()) => {}
        // Another process was first; its token counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    File::open(dir)?.sync_all()
}

/// Lets a request through that carries a token, and says for the handlers whose it is.
pub(crate) async fn require_token(State(tokens): State<Tokens>, mut request: Request, next: Next) -> Response {
    let holder = match bearer(request.headers()) {
        Some(token) => tokens.holder(token),
        None => return unauthorized("this needs a bearer token", r#"Bearer realm="light-workflow""#),
    };
    match holder {
        Some(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        None => unauthorized(
            "the bearer token is not one of this host's",
            r#"Bearer realm="light-workflow", error="invalid_token""#,
        ),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorized(detail: &str, challenge: &'static str) -> Response {
    Problem::new(ErrorType::Unauthorized, detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Tokens::open_or_create(&dir.path().join("new")).unwrap();
        let path = dir.path().join("new").join(TOKEN_FILE);
        let token = std::fs::read_to_string(&path).unwrap();
        let again = Tokens::open_or_create(&dir.path().join("new")).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        for tokens in [first, again] {
            assert_eq!(tokens.holder(token.trim_end()).unwrap().as_str(), "token:local");
            assert_eq!(tokens.holder(""), None);
            assert_eq!(tokens.holder(&token), None, "a token with a line end is another token");
        }
    }

    #[test]
    fn a_token_file_that_others_can_read_or_that_holds_no_token_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(TOKEN_FILE);
        std::fs::write(&path, format!("{PREFIX}{}\n", "a".repeat(64))).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Tokens::open_or_create(dir.path()), Err(TokenError::Exposed { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["", "lw_", "lw_abc", "secret", &"a".repeat(64)] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(Tokens::open_or_create(dir.path()), Err(TokenError::Form { .. })), "{text:?}");
        }
    }
}
