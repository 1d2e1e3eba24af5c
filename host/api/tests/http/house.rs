//! A host in memory: the router, a starter, and hands that carry out commands
//! as the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api::{ApiState, RequestProblem, StartReleaseError, StartedRelease, Starter, Tokens};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use store::{
    Alongside, Append, ArtifactBytes, Lease, MemoryStore, Message, NewArtifact, NewInstance, Phase, Projection,
    StartError, Started, Store,
};
use tower::ServiceExt as _;
use workflow::approval::canonical;
use workflow::capability::{EffectivePolicy, TaskPolicy};
use workflow::command::SandboxMode;
use workflow::definition::{self, Definition};
use workflow::engine::{self, Delivery, Incoming, Instance};
use workflow::request::{ReleaseRequest, ReleaseType};
use workflow::{Actor, ArtifactUri, CommandResult, CommandStatus, Digest, EffectOutcome, Event, InstanceId, Timestamp};

const DEFINITION: &str = r#"
document: { dsl: '1.0.3', namespace: release, name: tested, version: 1.0.0 }
input:
  schema: { document: { properties: { release: { properties: { releaseId: { not: { const: not-taken } } } } } } }
do:
  - build:
      run: { shell: { command: make, arguments: [all] } }
  - approve:
      ask:
        prompt: Publish?
        assignee: alice
        options:
          - { label: Yes, value: approved }
          - { label: No, value: rejected }
        subject: { version: "${ $workflow.input.release.repos[0].version }" }
  - publish:
      run: { shell: { command: publish } }
"#;

/// What a test's commands write.
pub const STDOUT: &str = "compiling\ndone\n";
pub const STDERR: &str = "warning: old\n";

pub struct House {
    pub store: Arc<MemoryStore>,
    pub router: Router,
    pub token: String,
    pub state: ApiState,
    clock: Arc<Clock>,
    _dir: tempfile::TempDir,
}

/// Every look at it is a second later.
struct Clock(AtomicI64);

impl Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + self.0.fetch_add(1, Ordering::Relaxed)).unwrap()
    }
}

impl House {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open_or_create(dir.path()).unwrap();
        let token = std::fs::read_to_string(Tokens::path(dir.path())).unwrap().trim_end().to_owned();
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(Clock(AtomicI64::new(0)));
        let for_api = clock.clone();
        let starter = Arc::new(TestStarter { store: store.clone(), clock: clock.clone() });
        let state = ApiState::new(store.clone(), starter, tokens, Arc::new(move || for_api.now()));
        let router = api::router(state.clone());
        Self { store, router, token, state, clock, _dir: dir }
    }

    /// Sends a request with the token.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        self.send_bare(method, path, &all, body).await
    }

    /// Sends a request as it is.
    pub async fn send_bare(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        // A new key for each: only the start of a release reads it.
        let key = self.clock.now().to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        self.send("POST", path, &headers, body.to_string()).await
    }

    /// Starts a release and gives its instance id.
    pub async fn start(&self, release_id: &str) -> String {
        let answer = self.post("/v1/releases", request(release_id)).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        answer.json().await["id"].as_str().unwrap().to_owned()
    }

    /// Does what a worker does, until only a person could move the instance.
    pub async fn work(&self, id: &str) {
        while self.turn(id, self.store.as_ref()).await {}
    }

    /// One turn of a worker that writes through `store`: takes up messages, and
    /// ends all commands well. False when there was nothing to do.
    pub async fn turn(&self, id: &str, store: &MemoryStore) -> bool {
        let id = InstanceId::new(id).unwrap();
        let now = self.clock.now();
        let mut instance =
            Instance::fold(id.clone(), definition(), store.history(&id, 0).await.unwrap()).expect("a readable history");
        let inbox = store.inbox(&id).await.unwrap();
        let mut taken_in: Vec<Incoming> = inbox.iter().map(|item| incoming(item.message.clone())).collect();
        let open: Vec<_> = instance.open_attempts().map(|open| (open.path, open.attempt)).collect();
        for (path, attempt) in open {
            let folder = format!("artifact://{id}/{}/{attempt}", path.task_name());
            let stdout_ref = put(store, &id, &format!("{folder}/stdout.log"), STDOUT).await;
            let stderr_ref = put(store, &id, &format!("{folder}/stderr.log"), STDERR).await;
            let result = CommandResult {
                task_name: path.task_name().to_owned(),
                task_path: path.clone(),
                attempt,
                command: "make all".to_owned(),
                exit_code: Some(0),
                status: CommandStatus::Succeeded,
                started_at: now,
                completed_at: now,
                duration_ms: 0,
                stdout_ref,
                stderr_ref,
                summary: "exit code 0".to_owned(),
                changed_files: Vec::new(),
                artifacts: Vec::new(),
                egress: Vec::new(),
                sandbox_digest: Digest::of(b"sandbox"),
                stdout_excerpt: STDOUT.to_owned(),
                stderr_excerpt: STDERR.to_owned(),
            };
            let outcome = Box::new(EffectOutcome::Command { result: Box::new(result) });
            taken_in.push(Incoming::Fact(Event::AttemptCompleted { path, attempt, outcome }));
        }
        let expected_revision = instance.revision();
        let events = instance.take_in(taken_in, now).expect("outcomes that fit");
        if events.is_empty() {
            return false;
        }
        let lease = lease_of(store, &id, now).await;
        let taken = inbox.iter().map(|item| item.id).collect();
        let projection = projection(&instance);
        let (also, listeners) = (Alongside::default(), Some(instance.listeners()));
        let append = Append {
            instance: id,
            expected_revision,
            lease,
            events,
            projection,
            taken,
            listeners,
            snapshot: None,
            also,
        };
        store.append(append).await.unwrap();
        true
    }
}

fn incoming(message: Message) -> Incoming {
    Incoming::Fact(match message {
        Message::Decided { path, decision } => Event::QuestionAnswered { path, decision },
        Message::Cancel { by, reason } => Event::InstanceCancelled { by, reason },
        Message::Suspend { by, reason } => Event::InstanceSuspended { by, reason },
        Message::Resume { by, reason } => Event::InstanceResumed { by, reason },
        Message::ChildEnded { path, attempt, outcome } => Event::AttemptCompleted { path, attempt, outcome },
        Message::Event { path, registered, event } => {
            return Incoming::Delivery(Delivery { path, registered, event });
        }
    })
}

async fn put(store: &MemoryStore, instance: &InstanceId, uri: &str, text: &str) -> ArtifactUri {
    let uri = ArtifactUri::new(uri).unwrap();
    let new = NewArtifact {
        uri: uri.clone(),
        instance: instance.clone(),
        media_type: "text/plain; charset=utf-8".to_owned(),
    };
    store.put_artifact(new, ArtifactBytes::Memory(text.into())).await.unwrap();
    uri
}

async fn lease_of(store: &MemoryStore, id: &InstanceId, now: Timestamp) -> Lease {
    let leases = store.claim_shards(&"worker".to_owned(), now, 3_600_000).await.unwrap();
    leases.into_iter().find(|lease| lease.shard == store::shard_of(id)).unwrap()
}

fn projection(instance: &Instance) -> Projection {
    let phase = match instance.phase() {
        engine::Phase::Pending => Phase::Pending,
        engine::Phase::Running => Phase::Running,
        engine::Phase::Waiting => Phase::Waiting,
        engine::Phase::Suspended => Phase::Waiting,
        engine::Phase::Cancelled => Phase::Cancelled,
        engine::Phase::Faulted => Phase::Faulted,
        engine::Phase::Completed => Phase::Completed,
    };
    Projection { phase, wake_at: instance.next_wake(), suspended: instance.phase() == engine::Phase::Suspended }
}

fn definition() -> Arc<Definition> {
    Arc::new(definition::parse(DEFINITION, "tested.yaml").expect("the tests' definition is valid"))
}

fn policy() -> EffectivePolicy {
    let task = TaskPolicy {
        template: "tested".parse().unwrap(),
        mode: SandboxMode::WorkflowSession,
        reason: None,
        secrets: Default::default(),
        plugin: None,
        image: None,
    };
    let tasks = [("/do/0/build", task.clone()), ("/do/2/publish", task)];
    EffectivePolicy {
        tasks: tasks.into_iter().map(|(path, task)| (path.to_owned(), task)).collect(),
        ..EffectivePolicy::default()
    }
}

/// Starts releases as the binary does, with one definition and one policy; it
/// is not set up for Java trains.
struct TestStarter {
    store: Arc<MemoryStore>,
    clock: Arc<Clock>,
}

#[async_trait::async_trait]
impl Starter for TestStarter {
    async fn start_release(
        &self,
        request: ReleaseRequest,
        idempotency_key: Option<String>,
        by: Actor,
    ) -> Result<StartedRelease, StartReleaseError> {
        if request.release_type == ReleaseType::JavaTrain {
            let detail = "no file /srv/private/java-train.yaml".to_owned();
            return Err(StartReleaseError::Unavailable { detail });
        }
        let (definition, now) = (definition(), self.clock.now());
        let id = InstanceId::new(format!("i-{}", now.as_second())).unwrap();
        let release_id = request.release_id.clone();
        let input = json!({ "release": request });
        let violations = engine::input_violations(&definition, &input).unwrap();
        if !violations.is_empty() {
            let problem = |violation: engine::Violation| RequestProblem {
                pointer: violation.pointer.strip_prefix("/release").unwrap().to_owned(),
                detail: violation.message,
            };
            let problems = violations.into_iter().map(problem).collect();
            return Err(StartReleaseError::NotTaken { definition: definition.full_name(), problems });
        }
        let request_digest = Digest::of(canonical(&input).as_bytes());
        let (instance, events) = engine::start(&definition, id.clone(), input, by, policy(), now);
        let new = NewInstance {
            id: id.clone(),
            idempotency_key,
            request_digest,
            release_id: Some(release_id.clone()),
            definition: definition.digest.clone(),
            definition_name: definition.full_name(),
            definition_source: definition.source.clone(),
            definitions: Vec::new(),
            parent: None,
            events,
            projection: projection(&instance),
            listeners: instance.listeners(),
            also: Alongside::default(),
        };
        match self.store.start_instance(new).await {
            Ok(Started::New) => Ok(StartedRelease { instance: id, release_id, existing: false }),
            Ok(Started::Existing(instance)) => Ok(StartedRelease { instance, release_id, existing: true }),
            Err(StartError::KeyReused { key }) => Err(StartReleaseError::KeyReused { key }),
            Err(StartError::ReleaseRunning { release, instance }) => {
                Err(StartReleaseError::AlreadyRunning { release, instance })
            }
            Err(StartError::Store(error)) => Err(error.into()),
        }
    }
}

/// A valid request.
pub fn request(release_id: &str) -> Value {
    json!({
        "releaseId": release_id,
        "releaseType": "rust-products",
        "runtimeFamilies": ["rust"],
        "repos": [{ "name": "notes", "url": "https://example.org/notes.git", "ref": "main", "version": "1.2.3" }],
        "publishPolicy": { "requireHumanApproval": true, "allowAiPatch": false, "maxRepairAttempts": 0 },
    })
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Body,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header `{name}`")).to_str().unwrap()
    }

    pub async fn text(self) -> String {
        String::from_utf8(self.body.collect().await.unwrap().to_bytes().into()).unwrap()
    }

    pub async fn json(self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// `status slug: detail` of problem details, which this must be.
    pub async fn problem(self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.status);
        let status = self.status.as_u16();
        let body = self.json().await;
        assert_eq!(body["status"], status);
        let kind = body["type"].as_str().unwrap();
        let slug = kind.strip_prefix("https://light-workflow.dev/errors/").expect("a type of ours");
        format!("{status} {slug}: {}", body["detail"].as_str().unwrap())
    }

    /// The server-sent events until there were `count`, or until the stream ends.
    pub async fn events(mut self, count: usize) -> Vec<(u64, String)> {
        assert_eq!(self.header("content-type"), "text/event-stream");
        let mut text = String::new();
        while text.matches("\n\n").count() < count {
            // Only a stream that is broken waits this long.
            let frame =
                tokio::time::timeout(Duration::from_secs(60), self.body.frame()).await.expect("an event in time");
            let Some(frame) = frame else { break };
            text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
        }
        text.split("\n\n").filter(|event| event.contains("data:")).map(sse_event).collect()
    }
}

/// Id and name of one event; its data must agree with them.
fn sse_event(text: &str) -> (u64, String) {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
    let data: Value = serde_json::from_str(field("data:")).unwrap();
    let id = field("id:").parse().unwrap();
    assert_eq!(data["revision"], id);
    assert_eq!(data["event"]["type"], field("event:"));
    (id, field("event:").to_owned())
}
