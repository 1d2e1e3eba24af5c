//! What runs in the simulation: every kind of task.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use workflow::Digest;
use workflow::capability::EffectivePolicy;
use workflow::definition::{self, Definition, TaskKind};
use workflow::policy::{PolicySources, resolve};

/// Effects of every sort, retries, timers, branches, people, a child, events in and out.
const MAIN: &str = r#"
document:
  dsl: "1.0.3"
  namespace: test
  name: simulated
  version: "0.1.0"
  metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: simulated } } } }
use:
  functions:
    double: { call: echo, with: { doubled: "${ .number * 2 }" } }
do:
  - prepare:
      set: { items: [1, 2, 3], done: [] }
  - each-item:
      for: { each: item, in: .items }
      do:
        - work:
            call: echo
            with: { item: "${ $item }" }
            output: { as: "${ { items: $context.items, last: .item } }" }
      export: { as: "${ . }" }
  - guarded:
      try:
        - risky:
            call: echo
            with: { risky: true }
        - fail-once:
            if: "${ .risky }"
            raise: { error: { type: "https://example.test/errors/flaky", status: 503 } }
      catch:
        errors: { with: { status: 503 } }
        retry: { delay: { seconds: 5 }, backoff: { exponential: {} }, limit: { attempt: { count: 2 } } }
        do:
          - give-in:
              set: { gaveIn: true }
  - choose:
      switch:
        - gave-in: { when: .gaveIn, then: pause }
        - otherwise: { then: end }
  - pause:
      wait: { seconds: 20 }
  - side-by-side:
      fork:
        branches:
          - shell: { run: { shell: { command: ls }, return: stdout } }
          - web: { call: http, with: { method: put, endpoint: "https://world.test/" } }
          - function: { call: double, with: { number: 21 } }
  - check-branches:
      assert: { value: "${ . }", equals: [listed, { put: true }, { doubled: 42 }] }
  - race:
      fork:
        compete: true
        branches:
          - slow: { wait: { days: 300 } }
          - deaf: { listen: { to: { one: { with: { type: never } } } } }
          - quick: { do: [{ answer: { call: echo, with: { quick: true } } }] }
  - child:
      run: { workflow: { namespace: test, name: child, version: "0.1.0", input: { of: "${ $workflow.id }" } } }
  - leave-alone:
      run: { shell: { command: ls }, await: false, return: stdout }
  - listen-for-ticks:
      listen: { to: { any: [{ with: { type: tick } }], until: ". | length >= 3" }, read: envelope }
      foreach:
        item: tick
        do:
          - note: { call: echo, with: { id: "${ $tick.id }" } }
  - approve:
      ask: { prompt: "Go on?" }
  - tell:
      emit: { event: { with: { source: /simulated, type: told, data: "${ $workflow.id }" } } }
  - last:
      call: echo
      with: { done: true }
"#;

const CHILD: &str = r#"
document: { dsl: "1.0.3", namespace: test, name: child, version: "0.1.0" }
do:
  - work: { call: echo, with: { of: "${ .of }" } }
  - pause: { wait: { seconds: 3 } }
"#;

/// Is there before anybody tells anything.
const WATCHER: &str = r#"
document: { dsl: "1.0.3", namespace: test, name: watcher, version: "0.1.0" }
do:
  - watch:
      listen: { to: { any: [{ with: { type: told } }], until: ". | length >= 2" } }
"#;

pub struct Programs {
    pub main: Arc<Definition>,
    pub child: Arc<Definition>,
    pub watcher: Arc<Definition>,
}

impl Programs {
    /// Read once for all seeds: expressions take their time.
    pub fn get() -> Arc<Self> {
        static PROGRAMS: OnceLock<Arc<Programs>> = OnceLock::new();
        PROGRAMS.get_or_init(|| Arc::new(Self::read())).clone()
    }

    fn read() -> Self {
        let parse = |text: &str| Arc::new(definition::parse(text, "simulated.yaml").expect("the definition is valid"));
        Self { main: parse(MAIN), child: parse(CHILD), watcher: parse(WATCHER) }
    }

    pub fn policy(&self, definition: &Definition) -> EffectivePolicy {
        let sources = PolicySources {
            approved_calls: &["https://world.test".parse().expect("an origin")].into(),
            templates: &[("simulated".parse().expect("a name"), Digest::of(b"simulated"))].into(),
            providers: &[],
            plugin: &|_, _| Err(vec!["there are no plugins".to_owned()]),
            workflow: &|_| Ok(self.child.clone()),
            allow_auto_approval: false,
            echo: true,
        };
        resolve(definition, &sources).expect("everything is there")
    }

    /// What `leave-alone` starts.
    pub fn detached(&self) -> &Arc<Definition> {
        self.main.detached.values().next().expect("a task of `main` does not wait for its process")
    }

    pub fn all(&self) -> [&Arc<Definition>; 4] {
        [&self.main, &self.child, self.detached(), &self.watcher]
    }
}

#[test]
fn the_simulation_has_every_kind_of_task() {
    let mut kinds = BTreeSet::new();
    for definition in Programs::get().all() {
        definition::each_task(&definition.tasks, &mut |task| {
            kinds.insert(task.kind.name());
        });
    }
    // `call: echo` is a plugin by its kind; what the real ones do is swept in `tests/plugins`.
    assert_eq!(kinds, TaskKind::NAMES.into_iter().collect());
}
