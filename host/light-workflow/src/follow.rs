//! Watching an instance on a terminal: what happens is told, what is asked is asked.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use store::{DecideError, HumanTask, InstanceFilter, Message, SharedStore, StoreError};
use workflow::effect::EffectOutcome;
use workflow::event::{Decision, Event, Recorded};
use workflow::plan::ShownPlan;
use workflow::{Actor, Command, CommandResult, InstanceId};

use crate::output::{Failure, errln, listed, plain, write_err};

/// Whether children may go on when their parent has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resting {
    /// They have taken up what was left for them; another host goes on.
    Allowed,
    /// Their store is of this run alone: nobody else goes on.
    NotAllowed,
}

/// How one watches.
pub struct Follow {
    pub store: SharedStore,
    pub instance: InstanceId,
    /// Print progress on standard error.
    pub tell: bool,
    /// Answer approvals that policy leaves to the command line.
    pub yes: bool,
    pub actor: Actor,
    /// The folder of the store, for the commands that are suggested.
    pub data: PathBuf,
}

impl Follow {
    /// Returns when the instance is final; gives its whole history.
    pub async fn to_the_end(&self) -> Result<Vec<Recorded>, Failure> {
        let mut changes = self.store.changes();
        let mut history: Vec<Recorded> = Vec::new();
        let mut asked: Option<String> = None;
        loop {
            let seen = history.last().map_or(0, |recorded| recorded.revision);
            for recorded in self.store.history(&self.instance, seen).await? {
                if self.tell
                    && let Some(line) = line(&recorded)
                {
                    errln!("{line}");
                }
                history.push(recorded);
            }
            if history.last().is_some_and(|recorded| is_final(&recorded.event)) {
                return Ok(history);
            }
            self.ask(&mut asked).await?;
            // Another process may write too: it is looked up now and then.
            let _ = tokio::time::timeout(Duration::from_millis(500), changes.recv()).await;
        }
    }

    /// The instance and all that it started, directly or through others.
    async fn family(&self) -> Result<Vec<InstanceId>, Failure> {
        let mut family = vec![self.instance.clone()];
        let mut next = 0;
        while let Some(parent) = family.get(next).cloned() {
            let filter = InstanceFilter { parent: Some(parent), ..InstanceFilter::default() };
            family.extend(self.store.instances(filter).await?.into_iter().map(|row| row.id));
            next += 1;
        }
        Ok(family)
    }

    /// Returns when nobody in the family has something left to take up: children
    /// that nobody waits for have ended, or rest with `resting`.
    pub async fn family_to_the_end(&self, resting: Resting) -> Result<(), Failure> {
        let mut changes = self.store.changes();
        let mut asked = None;
        while self.is_busy(resting).await? {
            if resting == Resting::NotAllowed {
                self.ask(&mut asked).await?;
            }
            let _ = tokio::time::timeout(Duration::from_millis(500), changes.recv()).await;
        }
        Ok(())
    }

    /// Asks all that still live to end, children that nobody waits for, too.
    pub async fn cancel_family(&self, reason: &str) -> Result<(), Failure> {
        for member in self.family().await? {
            let cancel = Message::Cancel { by: self.actor.clone(), reason: reason.to_owned() };
            match self.store.send(&member, cancel).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn is_busy(&self, resting: Resting) -> Result<bool, Failure> {
        for member in self.family().await? {
            let live = self.store.instance(&member).await?.is_some_and(|row| !row.phase.is_final());
            let busy = match resting {
                Resting::NotAllowed => live,
                Resting::Allowed => live && !self.store.inbox(&member).await?.is_empty(),
            };
            if busy {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts an open question to the person at the terminal, once.
    async fn ask(&self, asked: &mut Option<String>) -> Result<(), Failure> {
        let mut open = Vec::new();
        for member in self.family().await? {
            open.extend(self.store.human_tasks(Some(&member), true).await?);
        }
        let Some(task) = open.into_iter().find(|task| asked.as_ref() != Some(&task.id)) else { return Ok(()) };
        *asked = Some(task.id.clone());
        let question = &task.question;
        if self.yes && question.auto_approvable {
            let first = match &question.answer {
                None => question.options.first().map(|option| option.value.clone()),
                // Only what the definition itself proposes.
                Some(form) => form.default.as_ref().map(|default| form.write(default)),
            };
            if let Some(value) = first {
                return self.decide(&task, value, Some("answered by --yes".to_owned())).await;
            }
        }
        if self.yes {
            errln!("    `--yes` may not answer this: the request or the host's policy demands a person");
        }
        if self.tell && std::io::stdin().is_terminal() {
            if let Some(value) = self.prompt(&task).await? {
                return self.decide(&task, value, None).await;
            }
            return Ok(());
        }
        errln!(
            "    waiting for a person: light-workflow task show {0} --data {3}; light-workflow task complete {0} --decision {1} --subject {2} --data {3}",
            task.id,
            question.options.first().map_or("VALUE", |option| &option.value),
            question.subject_digest,
            self.data.display()
        );
        Ok(())
    }

    /// None when the instance went on without this answer.
    async fn prompt(&self, task: &HumanTask) -> Result<Option<String>, Failure> {
        errln!("{}", question_text(task));
        let values: Vec<String> = task.question.options.iter().map(|option| option.value.clone()).collect();
        loop {
            match &task.question.answer {
                None => write_err(format_args!("    decide ({}): ", values.join(" / "))),
                Some(form) => write_err(format_args!("    answer ({}): ", if form.is_text { "text" } else { "JSON" })),
            }
            let _ = std::io::stderr().flush();
            let answer = tokio::select! {
                answer = tokio::task::spawn_blocking(read_line) => answer??,
                () = self.decided_elsewhere(task) => {
                    errln!("\n    decided elsewhere");
                    return Ok(None);
                }
            };
            let Some(answer) = answer else { return Ok(None) };
            if let Some(form) = &task.question.answer {
                let answer = answer.trim_end_matches(['\r', '\n']);
                match form.read(answer) {
                    Ok(_) => return Ok(Some(answer.to_owned())),
                    Err(why) => errln!("    {}", plain(&why)),
                }
                continue;
            }
            match values.iter().find(|value| value.eq_ignore_ascii_case(answer.trim())) {
                Some(value) => return Ok(Some(value.clone())),
                None => errln!("    `{}` is none of them", plain(answer.trim())),
            }
        }
    }

    async fn decided_elsewhere(&self, task: &HumanTask) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Ok(Some(now)) = self.store.human_task(&task.id).await
                && (now.decision.is_some() || now.closed_at.is_some())
            {
                return;
            }
        }
    }

    async fn decide(&self, task: &HumanTask, value: String, comment: Option<String>) -> Result<(), Failure> {
        let decision = Decision {
            value,
            decided_by: self.actor.clone(),
            decided_at: workflow::Timestamp::now(),
            subject_digest: task.question.subject_digest.clone(),
            comment,
        };
        match self.store.decide(&task.id, decision).await {
            Ok(()) | Err(DecideError::Decided { .. }) => Ok(()),
            Err(error @ DecideError::Refused(_)) => Err(Failure::used_wrongly(error)),
            Err(DecideError::Store(error)) => Err(Failure::from(error)),
        }
    }
}

fn read_line() -> std::io::Result<Option<String>> {
    let mut line = String::new();
    Ok((std::io::stdin().read_line(&mut line)? > 0).then_some(line))
}

/// What a person needs to see before a decision.
pub fn question_text(task: &HumanTask) -> String {
    let question = &task.question;
    let subject = serde_json::to_string_pretty(&question.subject).unwrap_or_default();
    let mut text = format!("\n    {}\n", plain(&question.prompt));
    if let Some(assignee) = question.assignee.as_ref().or(question.role.as_ref()) {
        text += &format!("    for {}\n", plain(assignee));
    }
    for line in plain(&subject).lines() {
        text += &format!("    | {line}\n");
    }
    if let Some(plan) = &question.plan {
        for line in plan_lines(plan) {
            text += &format!("    > {}\n", plain(&line));
        }
    }
    text + &format!("    what you see is {}", question.subject_digest)
}

/// What an approval lets run: each step, its commands with their parameters, and why.
fn plan_lines(plan: &ShownPlan) -> Vec<String> {
    let mut lines = vec!["what runs then, and nothing else in its place:".to_owned()];
    for step in &plan.steps {
        let when = if step.certain { "" } else { ", if it comes to that" };
        lines.push(format!("{}  calls {}{when}  {}", step.path.task_name(), step.plugin, step.path));
        if step.commands.is_empty() {
            lines.push("  no command".to_owned());
        }
        for planned in &step.commands {
            lines.push(format!("  {}  {}", planned.command, planned.why));
            lines.push(format!("    {}", planned.parameters));
        }
    }
    if !plan.not_known.is_empty() {
        lines.push(format!("not known yet, so it may not run: {}", listed(&plan.not_known)));
    }
    lines
}

fn is_final(event: &Event) -> bool {
    matches!(event, Event::InstanceCompleted { .. } | Event::InstanceFaulted { .. } | Event::InstanceCancelled { .. })
}

/// One event as one line; none for those that tell a person nothing.
fn line(recorded: &Recorded) -> Option<String> {
    let text = match &recorded.event {
        Event::InstanceStarted { definition_name, .. } => format!("started {definition_name}"),
        Event::TaskStarted { path, .. } => format!("{} …", path.task_name()),
        Event::TaskSkipped { path } => format!("{} skipped", path.task_name()),
        Event::CommandsPlanned { commands, .. } => {
            let names: Vec<_> = commands.iter().map(|planned| planned.command.as_str()).collect();
            format!("  plans {}", names.join(", "))
        }
        Event::CommandStarted { command, .. } => format!("  $ {}", short(command)),
        Event::CommandCompleted { result, .. } => command_line(result),
        Event::AttemptCompleted { outcome, .. } => match outcome.as_ref() {
            EffectOutcome::Command { result } => command_line(result),
            EffectOutcome::Faulted { error } => {
                format!("  failed: {}", error.detail.as_deref().unwrap_or(&error.kind))
            }
            EffectOutcome::Unknown { detail } => format!("  outcome unknown: {detail}"),
            EffectOutcome::Output { .. } => return None,
        },
        Event::ListenStarted { path } => format!("{} listens", path.task_name()),
        Event::EventConsumed { event, .. } => format!("  event {} of {}", event.kind(), event.source()),
        Event::EventEmitted { event, .. } => format!("  sent {} as {}", event.kind(), event.id()),
        Event::QuestionAsked { question, .. } => format!("? {}", question.prompt),
        Event::QuestionAnswered { decision, .. } => format!("{} by {}", decision.value, decision.decided_by),
        Event::RetryScheduled { attempt, due, .. } => format!("  try {attempt} at {due}"),
        Event::ErrorCaught { error, .. } => format!("  caught: {}", error.detail.as_deref().unwrap_or(&error.kind)),
        Event::TaskCompleted { path, .. } => format!("{} done", path.task_name()),
        Event::TaskCancelled { path } => format!("{} cancelled", path.task_name()),
        Event::DiagnosisStarted { path, error } => {
            let why = error.detail.as_deref().unwrap_or(&error.kind);
            format!("{} failed, and is diagnosed: {why}", path.task_name())
        }
        Event::TaskFaulted { path, error } => {
            format!("{} faulted: {}", path.task_name(), error.detail.as_deref().unwrap_or(&error.kind))
        }
        Event::InstanceCompleted { .. } => "completed".to_owned(),
        Event::InstanceFaulted { error } => {
            let place = error.instance.as_deref().unwrap_or("");
            format!("faulted {place}: {}", error.detail.as_deref().unwrap_or(&error.kind))
        }
        Event::InstanceCancelled { by, reason } => format!("cancelled by {by}: {reason}"),
        Event::InstanceSuspended { by, reason } => format!("suspended by {by}: {reason}"),
        Event::InstanceResumed { by, reason } => format!("resumed by {by}: {reason}"),
        Event::DeadlineSet { .. }
        | Event::ExtensionStarted { .. }
        | Event::ExtendedTaskEnded { .. }
        | Event::IterationStarted { .. }
        | Event::AttemptStarted { .. }
        | Event::CallStarted { .. }
        | Event::HostCallCompleted { .. }
        | Event::IterationCompleted { .. }
        | Event::TimerStarted { .. }
        | Event::TimerFired { .. } => return None,
    };
    let depth = recorded.event.path().map_or(0, |path| path.as_str().matches("/do/").count().saturating_sub(1));
    let one_line = plain(&text).replace('\n', " ");
    let clipped = match one_line.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &one_line[..at]),
        None => one_line,
    };
    Some(format!("{} {}{clipped}", recorded.at.strftime("%H:%M:%S"), "  ".repeat(depth)))
}

/// A command on one line. A script that stands in a reviewed template is not
/// repeated: the template's name says more.
fn short(command: &Command) -> String {
    let is_script = command.argv.first().is_some_and(|program| program == "sh");
    match &command.command_name {
        Some(name) if is_script => {
            let arguments = command.argv.iter().skip(4).map(String::as_str);
            std::iter::once(name.as_str()).chain(arguments).collect::<Vec<_>>().join(" ")
        }
        _ => command.line(),
    }
}

fn command_line(result: &CommandResult) -> String {
    let seconds = result.duration_ms as f64 / 1000.0;
    format!("    {} ({seconds:.1} s)", result.summary)
}
