//! A client with rules, a call, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use calls::{Client, Interrupted, Limits, Performed, Rules, Side, Unrecorded};
use serde_json::Value;
use web_stub::{Authority, Web};
use workflow::calls::{
    Authentication, AuthenticationProperties, AuthenticationScheme, Call, CallEndpoint, CallRequest, HttpCall,
    HttpOutput,
};
use workflow::effect::{EffectClass, Fault};
use workflow::{EffectOutcome, Origin, SecretName};

/// A host: its rules, its secrets, and what it recorded.
pub struct House {
    pub client: Client,
    pub approved: BTreeSet<Origin>,
    pub secrets: BTreeMap<String, String>,
    pub announced: AtomicUsize,
    pub used: Mutex<Vec<(String, String)>>,
    recorded: Mutex<Vec<Value>>,
    dies_after_recording: AtomicUsize,
}

pub struct Options {
    pub rules: Rules,
    pub authority: Option<Authority>,
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        let limits = Limits { time: Duration::from_secs(20), ..Limits::default() };
        Self { rules: Rules::default(), authority: None, limits }
    }
}

impl House {
    pub fn with(options: Options) -> Self {
        let file = options.authority.map(|authority| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(authority.pem().as_bytes()).unwrap();
            file
        });
        let ca = file.as_ref().map(|file| file.path().to_owned());
        let approved = options.rules.approved();
        let client = Client::new(options.rules, ca, options.limits).unwrap();
        Self {
            client,
            approved,
            secrets: BTreeMap::new(),
            announced: AtomicUsize::new(0),
            used: Mutex::default(),
            recorded: Mutex::default(),
            dies_after_recording: AtomicUsize::new(usize::MAX),
        }
    }

    /// A host that may call these servers by their address.
    pub fn of(webs: &[&Web]) -> Self {
        Self::with(Options { rules: rules_of(webs), ..Options::default() })
    }

    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    pub async fn perform(&self, call: Call) -> EffectOutcome {
        let Performed { outcome, used } = self.client.perform(&call, &self.approved, self).await;
        self.used.lock().unwrap().extend(used);
        outcome.expect("nothing interrupts it")
    }

    pub async fn output(&self, call: Call) -> Value {
        match self.perform(call).await {
            EffectOutcome::Output { output } => output,
            other => panic!("no output: {other:?}"),
        }
    }

    pub async fn fault(&self, call: Call) -> Fault {
        match self.perform(call).await {
            EffectOutcome::Faulted { error } => error,
            other => panic!("no fault: {other:?}"),
        }
    }

    /// What subscriptions took, batch by batch.
    pub fn recorded(&self) -> Vec<Value> {
        self.recorded.lock().unwrap().clone()
    }

    pub fn forget_recorded(&self) {
        self.recorded.lock().unwrap().clear();
    }

    /// Ends a call as if the host died once so many messages are recorded.
    pub fn dies_after_recording(&self, count: usize) {
        self.dies_after_recording.store(count, Ordering::SeqCst);
    }

    fn recorded_messages(&self) -> usize {
        self.recorded().iter().map(|batch| batch["messages"].as_array().unwrap().len()).sum()
    }

    pub fn announced(&self) -> usize {
        self.announced.load(Ordering::SeqCst)
    }
}

pub fn rules_of(webs: &[&Web]) -> Rules {
    let allow = webs.iter().map(|web| at(web, "").parse().unwrap()).collect();
    Rules { allow, ..Rules::default() }
}

#[async_trait]
impl Side for House {
    async fn sending(&self) -> Result<(), Interrupted> {
        self.announced.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn secret(&self, name: &SecretName) -> Result<String, String> {
        self.secrets.get(name.as_str()).cloned().ok_or_else(|| format!("secret `{name}` is not configured"))
    }

    fn taken(&self) -> Vec<Value> {
        self.recorded()
    }

    async fn took(&self, messages: &Value, _used: &[(String, String)]) -> Result<(), Unrecorded> {
        self.recorded.lock().unwrap().push(messages.clone());
        match self.recorded_messages() >= self.dies_after_recording.load(Ordering::SeqCst) {
            true => Err(Unrecorded::Interrupted),
            false => Ok(()),
        }
    }
}

/// `name` of a fault: `communication`.
pub fn kind(fault: &Fault) -> &str {
    fault.kind.rsplit('/').next().unwrap()
}

pub fn at(web: &Web, path: &str) -> String {
    format!("http://{}{path}", web.address())
}

pub fn http(method: &str, uri: &str) -> HttpCall {
    HttpCall {
        method: method.to_owned(),
        endpoint: CallEndpoint { uri: uri.to_owned(), authentication: None },
        headers: Vec::new(),
        query: Vec::new(),
        body: None,
        output: HttpOutput::Content,
        redirect: false,
    }
}

pub fn get(uri: &str) -> Call {
    call(http("GET", uri))
}

pub fn call(http: HttpCall) -> Call {
    Call { request: CallRequest::Http(Box::new(http)), class: None, time_limit_ms: 0 }
}

pub fn declared(http: HttpCall, class: EffectClass) -> Call {
    Call { class: Some(class), ..call(http) }
}

pub fn given(scheme: AuthenticationScheme, value: Value) -> Option<Authentication> {
    Some(Authentication { scheme, properties: AuthenticationProperties::Given(value) })
}

pub fn from_secret(scheme: AuthenticationScheme, name: &str) -> Option<Authentication> {
    Some(Authentication { scheme, properties: AuthenticationProperties::Secret(name.parse().unwrap()) })
}

/// `fields` with these secrets in them, by pointers.
pub fn completed(scheme: AuthenticationScheme, fields: Value, secrets: &[(&str, &str)]) -> Option<Authentication> {
    let secrets = secrets.iter().map(|(pointer, name)| ((*pointer).to_owned(), name.parse().unwrap())).collect();
    Some(Authentication { scheme, properties: AuthenticationProperties::Completed { fields, secrets } })
}

pub fn as_whom(uri: &str, authentication: Option<Authentication>) -> Call {
    let mut http = http("GET", uri);
    http.endpoint.authentication = authentication;
    call(http)
}
