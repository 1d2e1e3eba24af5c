//! A case: what is tried, how it must end, what must be on record.

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;
use workflow::capability::Grants;

use crate::guest::Guest;
use crate::range::{Range, all_grants};

/// One attack as data.
pub struct Case {
    /// `loop-in-execute`
    pub name: &'static str,
    /// One line for a reviewer.
    pub tries: &'static str,
    pub(crate) attack: Attack,
    /// Every one of these must be in the text of how it ended.
    pub(crate) ends: Vec<String>,
    /// What the history must hold, line for line; see [`crate::record`].
    pub(crate) record: Vec<String>,
    /// A part of what the step's log must hold.
    pub(crate) log: Option<String>,
}

/// How an attack is carried out.
pub(crate) enum Attack {
    /// The component is loaded, and its step runs as a task through the worker.
    Execute { component: Maker, grants: Box<Grants>, input: Value },
    /// `describe` is called.
    Describe(Maker),
    /// `plan` is called.
    Plan(Maker),
    /// The bytes are loaded, and nothing of them runs.
    Load(Maker),
    /// Anything else. `Err`: what is not as it must be.
    Scene(Scene),
}

/// Makes a component when its case runs: nothing is kept of the others meanwhile.
pub(crate) type Maker = Box<dyn Fn() -> Vec<u8> + Send + Sync>;

pub(crate) type Scene = for<'a> fn(&'a Range) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;

impl Case {
    fn new(name: &'static str, tries: &'static str, attack: Attack) -> Self {
        Self { name, tries, attack, ends: Vec::new(), record: Vec::new(), log: None }
    }

    /// A step that is called with every grant of the suite.
    pub(crate) fn execute(
        name: &'static str,
        tries: &'static str,
        guest: impl Fn() -> Guest + Send + Sync + 'static,
    ) -> Self {
        Self::execute_bytes(name, tries, move || guest().component())
    }

    /// As [`Case::execute`], for a component that is no [`Guest`].
    pub(crate) fn execute_bytes(
        name: &'static str,
        tries: &'static str,
        bytes: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let attack =
            Attack::Execute { component: Box::new(bytes), grants: Box::new(all_grants()), input: Value::from("input") };
        Self::new(name, tries, attack)
    }

    pub(crate) fn describe(
        name: &'static str,
        tries: &'static str,
        guest: impl Fn() -> Guest + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, tries, Attack::Describe(Box::new(move || guest().component())))
    }

    pub(crate) fn plan(
        name: &'static str,
        tries: &'static str,
        guest: impl Fn() -> Guest + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, tries, Attack::Plan(Box::new(move || guest().component())))
    }

    pub(crate) fn load(
        name: &'static str,
        tries: &'static str,
        bytes: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, tries, Attack::Load(Box::new(bytes)))
    }

    pub(crate) fn scene(name: &'static str, tries: &'static str, scene: Scene) -> Self {
        Self::new(name, tries, Attack::Scene(scene))
    }

    /// With fewer grants.
    pub(crate) fn with(mut self, narrow: impl Fn(&mut Grants)) -> Self {
        if let Attack::Execute { grants, .. } = &mut self.attack {
            narrow(grants);
        }
        self
    }

    /// A part of how it must end.
    pub(crate) fn ends(mut self, text: impl Into<String>) -> Self {
        self.ends.push(text.into());
        self
    }

    /// The next line that the history must hold.
    pub(crate) fn records(mut self, line: impl Into<String>) -> Self {
        self.record.push(line.into());
        self
    }

    /// A part of what the step's log must hold.
    pub(crate) fn logs(mut self, text: impl Into<String>) -> Self {
        self.log = Some(text.into());
        self
    }
}
