//! Documents that a call needs before it can be made: fetched under the same
//! policy, or files below the folder that the operator gave.

use std::path::{Component, Path};

use hyper::Method;
use hyper::body::Bytes;
use serde_json::Value;
use url::Url;
use workflow::calls::CallEndpoint;
use workflow::effect::{EffectClass, StandardError};
use workflow::located::{Problems, yaml};

use crate::auth::Credentials;
use crate::exchange::{Request, parse_url};
use crate::http;
use crate::session::{Failure, Session, communication, configuration};

impl Session<'_> {
    /// The bytes of a document and the URL they came from; none for a file.
    pub async fn resource(&self, endpoint: &CallEndpoint) -> Result<(Bytes, Option<Url>), Failure> {
        if let Some(path) = endpoint.uri.strip_prefix("file://") {
            return Ok((self.file(path)?, None));
        }
        let credentials = match &endpoint.authentication {
            Some(authentication) => Some(Credentials::of(self, authentication)?),
            None => None,
        };
        let request = Request {
            method: Method::GET,
            url: parse_url(&endpoint.uri)?,
            headers: http::headers(&[])?,
            body: Bytes::new(),
            class: EffectClass::Pure,
        };
        let (asked, answer) = http::follow(self, request, credentials, true).await?;
        if !answer.status.is_success() {
            return Err(http::status_fault(&asked, &answer));
        }
        crate::content::refuse_encoded(&answer)?;
        Ok((answer.body, Some(asked.url)))
    }

    /// A document in JSON or YAML.
    pub async fn document(&self, endpoint: &CallEndpoint) -> Result<(Value, Option<Url>), Failure> {
        let (bytes, url) = self.resource(endpoint).await?;
        if let Ok(value) = serde_json::from_slice(&bytes) {
            return Ok((value, url));
        }
        let problems = Problems::of(&endpoint.uri);
        let text = std::str::from_utf8(&bytes).ok();
        let read = text.and_then(|text| yaml::read(text, &problems)).map(|node| node.to_json());
        match read {
            Some(value) => Ok((value, url)),
            None => Err(communication(format!("`{}` is neither JSON nor YAML", endpoint.uri))),
        }
    }

    /// A file below the operator's folder; `path` has no way out of it.
    fn file(&self, path: &str) -> Result<Bytes, Failure> {
        let refused = |why: &str| Failure::Fault(StandardError::Authorization.fault(format!("`file://{path}` {why}")));
        let Some(folder) = &self.client.rules().files else {
            return Err(refused("is not approved; the operator names a folder in `[calls] files`"));
        };
        let relative = Path::new(path.trim_start_matches('/'));
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(refused("leads out of the folder of `[calls] files`"));
        }
        let unreadable = |error: std::io::Error| configuration(format!("failed to read `file://{path}`: {error}"));
        let inside = folder.canonicalize().map_err(unreadable)?;
        let file = inside.join(relative).canonicalize().map_err(unreadable)?;
        if !file.starts_with(&inside) {
            return Err(refused("leads out of the folder of `[calls] files`"));
        }
        let size = std::fs::metadata(&file).map_err(unreadable)?;
        if !size.is_file() || size.len() > self.client.limits.body_bytes as u64 {
            return Err(refused("is no file of a size that is read"));
        }
        std::fs::read(&file).map(Bytes::from).map_err(unreadable)
    }
}
