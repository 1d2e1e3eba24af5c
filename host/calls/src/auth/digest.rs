//! The answer to a digest challenge.
//!
//! Source: RFC 7616; `auth` only, with MD5 and SHA-256, and their `-sess` forms.

use std::collections::BTreeMap;

use hyper::header::{HeaderMap, WWW_AUTHENTICATE};
use md5::Digest as _;
use md5::Md5;
use sha2::Sha256;

use super::User;
use crate::exchange::Request;

/// The `Authorization` for the strongest challenge among these headers; none
/// if no challenge is one this client can answer.
pub fn answer_to(headers: &HeaderMap, user: &User, request: &Request) -> Option<String> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).ok()?;
    let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| challenge(value.to_str().ok()?));
    let strongest = challenges.max_by_key(|challenge| challenge.algorithm)?;
    let uri = &request.url[url::Position::BeforePath..];
    Some(strongest.answer(user, request.method.as_str(), uri, &hex::encode(nonce)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        match self {
            Algorithm::Md5 => hex::encode(Md5::digest(text)),
            Algorithm::Sha256 => hex::encode(Sha256::digest(text)),
        }
    }
}

struct Challenge {
    algorithm: Algorithm,
    /// As it was spelled; it is given back so.
    name: Option<String>,
    session: bool,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// Older servers know no quality of protection.
    auth: bool,
}

fn challenge(text: &str) -> Option<Challenge> {
    let (scheme, rest) = text.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let fields = fields(rest);
    let name = fields.get("algorithm").cloned();
    let (algorithm, session) = match name.as_deref().unwrap_or("MD5").to_ascii_uppercase().as_str() {
        "MD5" => (Algorithm::Md5, false),
        "MD5-SESS" => (Algorithm::Md5, true),
        "SHA-256" => (Algorithm::Sha256, false),
        "SHA-256-SESS" => (Algorithm::Sha256, true),
        _ => return None,
    };
    let qualities = fields.get("qop");
    let auth = qualities.is_some_and(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
    if qualities.is_some() && !auth {
        return None;
    }
    Some(Challenge {
        algorithm,
        name,
        session,
        realm: fields.get("realm")?.clone(),
        nonce: fields.get("nonce")?.clone(),
        opaque: fields.get("opaque").cloned(),
        auth,
    })
}

/// `name=value` and `name="value"`, with commas between.
pub fn fields(text: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_ascii_lowercase();
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut characters = quoted.char_indices();
                let mut end = quoted.len();
                while let Some((at, character)) = characters.next() {
                    match character {
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                        other => value.push(other),
                    }
                }
                (value, &quoted[end..])
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        fields.insert(name, value);
        rest = after;
    }
    fields
}

impl Challenge {
    fn answer(&self, user: &User, method: &str, uri: &str, own_nonce: &str) -> String {
        const COUNT: &str = "00000001";
        let hash = |text: &str| self.algorithm.hash(text);
        let mut who = hash(&format!("{}:{}:{}", user.username, self.realm, user.password));
        if self.session {
            who = hash(&format!("{who}:{}:{own_nonce}", self.nonce));
        }
        let what = hash(&format!("{method}:{uri}"));
        let response = match self.auth {
            true => hash(&format!("{who}:{}:{COUNT}:{own_nonce}:auth:{what}", self.nonce)),
            false => hash(&format!("{who}:{}:{what}", self.nonce)),
        };
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut answer = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(&user.username),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri)
        );
        if let Some(name) = &self.name {
            answer.push_str(&format!(", algorithm={name}"));
        }
        if let Some(opaque) = &self.opaque {
            answer.push_str(&format!(", opaque={}", quoted(opaque)));
        }
        if self.auth {
            answer.push_str(&format!(", qop=auth, nc={COUNT}, cnonce=\"{own_nonce}\""));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str, own_nonce: &str) -> String {
        let user = User { username: "Mufasa".to_owned(), password: "Circle of Life".to_owned() };
        challenge(text).unwrap().answer(&user, "GET", "/dir/index.html", own_nonce)
    }

    /// The two examples of RFC 7616, section 3.9.1.
    #[test]
    fn the_examples_of_the_standard_come_out() {
        let own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let rest = r#"realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
        let md5 = answer(&format!("Digest algorithm=MD5, {rest}"), own);
        assert!(md5.contains(r#"response="8ca523f5e9506fed4657c9700eebdbec""#), "{md5}");
        let sha = answer(&format!("Digest algorithm=SHA-256, {rest}"), own);
        assert!(
            sha.contains(r#"response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1""#),
            "{sha}"
        );
    }

    #[test]
    fn what_cannot_be_answered_is_left_alone() {
        for text in [
            "Basic realm=x",
            "Digest realm=\"x\"",
            "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512-256",
            "Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\"",
        ] {
            assert!(challenge(text).is_none(), "{text}");
        }
    }
}
