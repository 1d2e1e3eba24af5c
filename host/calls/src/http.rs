//! `call: http`: redirections, credentials, and what of an answer is the output.

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use serde_json::{Map, Value, json};
use url::Url;
use workflow::calls::{HttpCall, HttpOutput, class_of_method};
use workflow::effect::StandardError;

use crate::auth::Credentials;
use crate::content;
use crate::exchange::{Answer, Request, origin_of, parse_url};
use crate::session::{Failure, Session, communication, configuration};

pub(crate) const AGENT: &str = concat!("light-workflow/", env!("CARGO_PKG_VERSION"));

/// Headers that belong to the client: a definition that set them could say
/// something else to the other side than policy was asked about.
const OWN_HEADERS: [&str; 14] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "accept-encoding",
    "proxy-authorization",
    "proxy-connection",
    "proxy-authenticate",
    "http2-settings",
];

/// What another origin is told of a request that was meant for the first.
const CARRIED_HEADERS: [HeaderName; 5] =
    [ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT, hyper::header::ACCEPT_LANGUAGE];

pub(crate) async fn call(session: &Session<'_>, http: &HttpCall) -> Result<Value, Failure> {
    let mut url = parse_url(&http.endpoint.uri)?;
    if !http.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&http.query);
    }
    let method = Method::from_bytes(http.method.as_bytes())
        .map_err(|_| configuration(format!("`{}` is no HTTP method", http.method)))?;
    let mut headers = headers(&http.headers)?;
    let mut body = Bytes::new();
    if let Some(value) = &http.body {
        let (bytes, content_type) = content::encode(value, &headers)?;
        body = bytes;
        content_type.map(|content_type| headers.insert(CONTENT_TYPE, content_type));
    }
    let class = session.class(class_of_method(&http.method));
    let request = Request { method, url, headers, body, class };
    let credentials = match &http.endpoint.authentication {
        Some(_) if request.headers.contains_key(AUTHORIZATION) => {
            return Err(configuration("both `authentication` and a header `authorization` are given; keep one"));
        }
        Some(authentication) => Some(Credentials::of(session, authentication)?),
        None => None,
    };
    let (asked, answer) = follow(session, request, credentials, http.redirect).await?;
    let accepted = answer.status.is_success() || (http.redirect && answer.status.is_redirection());
    if !accepted {
        return Err(status_fault(&asked, &answer));
    }
    output(http.output, &asked, &answer)
}

/// The headers of a request with those that this client adds.
pub(crate) fn headers(given: &[(String, String)]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let wrong = || configuration(format!("header `{name}` cannot be sent with this value"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(configuration(format!("header `{name}` belongs to the client, not to a definition")));
        }
        headers.append(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
    }
    let defaults = [(USER_AGENT, AGENT), (ACCEPT, "application/json, */*;q=0.5"), (ACCEPT_ENCODING, "identity")];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    Ok(headers)
}

/// Sends a request, and if `redirect` goes where the answer points, each hop
/// under the same policy. Gives the last request with its answer.
pub(crate) async fn follow(
    session: &Session<'_>,
    mut request: Request,
    mut credentials: Option<Credentials>,
    redirect: bool,
) -> Result<(Request, Answer), Failure> {
    for _ in 0..=session.client.limits.redirects {
        let answer = match &mut credentials {
            Some(credentials) => credentials.exchange(session, &request).await?,
            None => session.exchange(request.clone()).await?,
        };
        let Some(target) = redirect.then(|| target(&request.url, &answer)).flatten() else {
            return Ok((request, answer));
        };
        let target = target?;
        let (from, to) = (origin_of(&request.url)?, origin_of(&target)?);
        if from != to {
            credentials = None;
            request.headers = carried(&request.headers);
        }
        let forget_body = match answer.status.as_u16() {
            303 => request.method != Method::HEAD,
            // What every client makes of them, and not what they were meant to be.
            301 | 302 => request.method == Method::POST,
            _ => false,
        };
        if forget_body {
            request.method = Method::GET;
            request.body = Bytes::new();
            request.headers.remove(CONTENT_TYPE);
        }
        request.url = target;
    }
    Err(communication(format!("there were more than {} redirections", session.client.limits.redirects)))
}

/// Where an answer points, if it points somewhere.
fn target(from: &Url, answer: &Answer) -> Option<Result<Url, Failure>> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers.get(LOCATION)?;
    let wrong = || communication("the answer redirects to what is no URI");
    let text = location.to_str().map_err(|_| wrong());
    Some(text.and_then(|text| from.join(text).map_err(|_| wrong())).and_then(|url| parse_url(url.as_str())))
}

fn carried(headers: &HeaderMap) -> HeaderMap {
    headers.iter().filter(|(name, _)| CARRIED_HEADERS.contains(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// The error of an answer that is none. Its status is the answer's own.
pub(crate) fn status_fault(request: &Request, answer: &Answer) -> Failure {
    let reason = answer.status.canonical_reason().unwrap_or("an unknown status");
    let mut fault = StandardError::Communication.fault(format!(
        "{} {} answered {} {reason}: {}",
        request.method,
        request.url,
        answer.status.as_u16(),
        content::excerpt(&answer.body)
    ));
    fault.status = answer.status.as_u16();
    fault.title = Some(reason.to_owned());
    fault.into()
}

pub(crate) fn output(form: HttpOutput, request: &Request, answer: &Answer) -> Result<Value, Failure> {
    match form {
        HttpOutput::Raw => content::raw(answer),
        HttpOutput::Content => content::decode(answer),
        HttpOutput::Response => Ok(json!({
            "request": {
                "method": request.method.as_str(),
                "uri": request.url.as_str(),
                "headers": named(&request.headers),
            },
            "statusCode": answer.status.as_u16(),
            "headers": named(&answer.headers),
            "content": content::decode(answer)?,
        })),
    }
}

/// Headers by name; several of one name are one, with commas. Credentials are
/// added on the way out and are not among them, except one that a definition wrote itself.
fn named(headers: &HeaderMap) -> Value {
    let mut named = Map::new();
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        let text = if *name == AUTHORIZATION { "[redacted]".to_owned() } else { values.join(", ") };
        named.insert(name.as_str().to_owned(), text.into());
    }
    named.into()
}
