//! Runs a case: the attack, an honest step beside it, and what must be true after.

use serde::Serialize;
use serde_json::Value;
use workflow::{InstanceId, PluginName};

use crate::case::{Attack, Case};
use crate::decoy::Gate;
use crate::guest::{Guest, Import, Value as Parameter};
use crate::range::{HONEST, HOSTILE, Ran, Range, SECRET_VALUE, all_grants};
use crate::record;

/// What came of one case.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    pub name: &'static str,
    pub tried: &'static str,
    /// How it ended, on one line.
    pub ended: String,
    /// The host stood, and all that must be true after is.
    pub ok: bool,
    /// What is not as it must be; empty if `ok`.
    pub problems: Vec<String>,
}

/// What an attack left.
struct Left {
    ended: String,
    ran: Option<Ran>,
}

impl Range {
    /// Carries out one attack while an honest step waits for its command, and
    /// looks at all that must hold: how the attack ended, what is on record of
    /// it, that no secret is seen, that the honest step beside it and one after
    /// it succeed.
    pub async fn run(&self, case: &Case) -> Verdict {
        let mut problems = Vec::new();
        let honest = honest();
        let gate = self.decoy.gate(&InstanceId::new(HONEST).expect("a label"));
        let beside = self.execute(HONEST, &honest, all_grants(), Value::Null);
        let attacked = async {
            gate.reached().await;
            let left = self.attack(&case.attack).await;
            gate.open();
            left
        };
        let (beside, left) = tokio::join!(beside, attacked);
        problems.extend(undisturbed("beside it", beside));
        problems.extend(self.honest_after(&gate, &honest).await);
        let left = match left {
            Ok(left) => left,
            Err(problem) => {
                problems.push(problem);
                Left { ended: "not as it must".to_owned(), ran: None }
            }
        };
        problems.extend(compared(case, &left));
        if let Some(ran) = &left.ran {
            let started = record::commands(&ran.events);
            let arrived = self.decoy.arrived(&InstanceId::new(HOSTILE).expect("a label"), ran.attempt);
            if arrived != started {
                problems.push(format!("{arrived} commands ran and {started} are on record"));
            }
        }
        let ended = record::shown(&left.ended);
        Verdict { name: case.name, tried: case.tries, ended, ok: problems.is_empty(), problems }
    }

    async fn attack(&self, attack: &Attack) -> Result<Left, String> {
        let ended = match attack {
            Attack::Execute { component, grants, input } => {
                let ran = self.execute(HOSTILE, &component(), grants.as_ref().clone(), input.clone()).await?;
                return Ok(Left { ended: record::ending(&ran), ran: Some(ran) });
            }
            Attack::Describe(component) => match self.load(&component()).await {
                Ok(plugin) => record::answer(self.plugin_host.describe(&plugin).await),
                Err(refused) => refused,
            },
            Attack::Plan(component) => match self.load(&component()).await {
                Ok(plugin) => record::answer(self.plugin_host.plan(&plugin, &Value::from("input")).await),
                Err(refused) => refused,
            },
            Attack::Load(bytes) => match self.load(&bytes()).await {
                Ok(_) => "loaded".to_owned(),
                Err(refused) => refused,
            },
            Attack::Scene(scene) => scene(self).await?,
        };
        Ok(Left { ended, ran: None })
    }

    /// The plugin, or the text of its refusal.
    pub(crate) async fn load(&self, bytes: &[u8]) -> Result<std::sync::Arc<plugin_host::Plugin>, String> {
        let name = PluginName::new(HOSTILE).expect("a label");
        self.plugin_host.load(&name, bytes).await.map_err(|error| record::refusal(&error))
    }

    async fn honest_after(&self, gate: &Gate, honest: &[u8]) -> Option<String> {
        gate.open();
        let after = self.execute(HONEST, honest, all_grants(), Value::Null).await;
        gate.reached().await;
        undisturbed("after it", after)
    }
}

/// A step that uses what it is granted, as steps do: a line, a command, a file.
pub fn honest() -> Vec<u8> {
    let mut guest = Guest::new();
    let line = guest.text("an honest line");
    let command = guest.text("attack/run");
    let parameters = guest.parameters(&[("note", Parameter::Text("honest".to_owned()))]);
    let (name, media_type, bytes) = (guest.text("report.json"), guest.text("application/json"), guest.text("{}"));
    let guest = guest.import(Import::Emit).import(Import::Exec).import(Import::Put).execute(&format!(
        "(call $emit (i32.const 1) {line} (i32.const 0) (i32.const 0))
         (call $exec {command} {parameters} (i32.const 512))
         (if (i32.load8_u (i32.const 512)) (then unreachable))
         (call $put {name} {media_type} {bytes} (i32.const 512))
         (call $kind (i32.const 512) (i32.const 4))"
    ));
    guest.component()
}

fn undisturbed(when: &str, ran: Result<Ran, String>) -> Option<String> {
    let ran = match ran {
        Ok(ran) => ran,
        Err(problem) => return Some(format!("the honest step {when} could not run: {problem}")),
    };
    let (ended, lines) = (record::ending(&ran), record::lines(&ran.events));
    let as_always = ended == "answered \"ok\""
        && lines == ["1 started attack/run: true honest", "1 completed"]
        && ran.log.contains("an honest line");
    (!as_always).then(|| format!("the honest step {when} was disturbed: {ended}; on record: {lines:?}"))
}

/// What differs from what the case says.
fn compared(case: &Case, left: &Left) -> Vec<String> {
    let mut problems = Vec::new();
    for part in &case.ends {
        if !left.ended.contains(part) {
            problems.push(format!("it did not end with `{part}`"));
        }
    }
    if let Some(ran) = &left.ran {
        let lines = record::lines(&ran.events);
        if lines != case.record {
            problems.push(format!("on record is {lines:?} and not {:?}", case.record));
        }
        if let Some(part) = &case.log
            && !ran.log.contains(part)
        {
            problems.push(format!("its log is {:?}, without {part:?}", record::shown(&ran.log)));
        }
        let everything = format!("{} {:?} {} {:?}", left.ended, ran.events, ran.log, ran.outcome);
        if everything.contains(SECRET_VALUE) {
            problems.push("the value of a secret can be seen".to_owned());
        }
    }
    problems
}
