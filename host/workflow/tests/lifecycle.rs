//! Lifecycle events: what others see of a history.

mod support;

use insta::assert_snapshot;
use serde_json::json;
use support::{Run, actor, definition};
use workflow::event::Event;
use workflow::lifecycle::lifecycle;

/// Type, task and what it says of each event, one a line.
fn lines(run: &Run) -> String {
    let line = |event: &workflow::CloudEvent| {
        let kind = event.kind().trim_start_matches("io.serverlessworkflow.").trim_end_matches(".v1");
        let data = event.data();
        let text = |name: &str| data[name].as_str().map(|text| format!(" {text}")).unwrap_or_default();
        format!("{kind}{}{}", text("task"), text("status"))
    };
    let events = lifecycle(run.instance.id(), &run.history);
    events.iter().map(|(revision, event)| format!("{revision} {}\n", line(event))).collect()
}

fn suspend(run: &mut Run, suspended: bool) {
    let (by, reason) = (actor("test"), "why".to_owned());
    let event = match suspended {
        true => Event::InstanceSuspended { by, reason },
        false => Event::InstanceResumed { by, reason },
    };
    run.take(vec![event]);
}

#[test]
fn a_status_is_told_after_what_changed_it() {
    let mut run = Run::start(&definition("do:\n- rest: { wait: PT1H }\n- last: { set: { n: 1 } }\n"), json!({}));
    suspend(&mut run, true);
    suspend(&mut run, false);
    run.wake();
    assert_snapshot!(lines(&run), @r"
    1 workflow.started
    1 workflow.status-changed running
    2 task.created /do/0/rest
    2 task.started /do/0/rest
    2 task.status-changed /do/0/rest running
    3 task.status-changed /do/0/rest waiting
    3 workflow.status-changed waiting
    4 workflow.suspended
    4 task.suspended /do/0/rest
    4 task.status-changed /do/0/rest suspended
    4 workflow.status-changed suspended
    5 workflow.resumed
    5 task.resumed /do/0/rest
    5 task.status-changed /do/0/rest waiting
    5 workflow.status-changed waiting
    6 task.status-changed /do/0/rest running
    6 workflow.status-changed running
    7 task.completed /do/0/rest
    7 task.status-changed /do/0/rest completed
    8 task.created /do/1/last
    8 task.started /do/1/last
    8 task.status-changed /do/1/last running
    9 task.completed /do/1/last
    9 task.status-changed /do/1/last completed
    10 workflow.completed
    10 workflow.status-changed completed
    ");
}

#[test]
fn a_workflow_waits_when_nothing_in_it_goes_on() {
    let text = "do:
- both:
    fork:
      branches:
      - rest: { wait: PT1H }
      - work: { call: echo, with: {} }
- fails: { raise: { error: { type: https://example.com/e, status: 500 } } }
";
    let mut run = Run::start(&definition(text), json!({}));
    run.output(json!(1)).wake();
    let of_workflow: Vec<_> =
        lines(&run).lines().filter(|line| line.contains("workflow.status")).map(str::to_owned).collect();
    let statuses: Vec<_> = of_workflow.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(statuses, ["running", "waiting", "running", "faulted"], "{}", lines(&run));
}

#[test]
fn what_is_cut_off_is_told_as_cancelled() {
    let mut run = Run::start(&definition("do:\n- a: { do: [{ b: { wait: PT1H } }] }\n"), json!({}));
    run.take(vec![Event::InstanceCancelled { by: actor("test"), reason: "why".to_owned() }]);
    let told = lines(&run);
    for line in ["task.status-changed /do/0/a cancelled", "task.status-changed /do/0/a/do/0/b cancelled"] {
        assert_eq!(told.matches(line).count(), 1, "{told}");
    }
    assert!(told.trim_end().ends_with("workflow.status-changed cancelled"), "{told}");
}
