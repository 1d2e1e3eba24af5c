//! Tasks that wait for events: who they are, and how they take one.

use serde_json::Value;

use super::consumption::{Fit, Role, types};
use super::data_flow::Running;
use super::frame::{Branch, Iteration, Listening, Sequence, State};
use super::instance::{Instance, SinceRest};
use super::scope::Scope;
use crate::cloud_event::CloudEvent;
use crate::definition::{Listen, ReadAs, TaskKind};
use crate::event::Event;
use crate::ids::TaskPath;

/// A `listen` that waits for events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    pub path: TaskPath,
    /// Revision of its `ListenStarted`: it gets what comes after that. A task
    /// that is entered again listens anew.
    pub registered: u64,
    /// Types of the events that may fit; empty: any.
    pub types: Vec<String>,
}

/// An event on its way to a [`Listener`].
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    pub path: TaskPath,
    pub registered: u64,
    pub event: CloudEvent,
}

impl Instance {
    /// Who waits for events now.
    pub fn listeners(&self) -> Vec<Listener> {
        let listening =
            self.frames.iter().filter_map(|(path, frame)| match (&frame.state, frame.task(self.definition())) {
                (State::Listening(listening), Some(task)) if !listening.done => match &task.kind {
                    TaskKind::Listen(listen) => Some(Listener {
                        path: path.clone(),
                        registered: listening.registered,
                        types: types(&listen.to).into_iter().collect(),
                    }),
                    _ => None,
                },
                _ => None,
            });
        listening.collect()
    }

    /// The fact that an event makes here; none if it does not fit or came too late.
    ///
    /// Filters see `$context` as it was when the task was entered, so an event
    /// that is offered again after a crash fits as it did before.
    pub(super) fn consume(&self, delivery: &Delivery) -> Option<Event> {
        if self.end.is_some() {
            return None;
        }
        let frame = self.frames.get(&delivery.path)?;
        let task = frame.task(self.definition())?;
        let (State::Listening(listening), TaskKind::Listen(listen)) = (&frame.state, &task.kind) else { return None };
        if listening.registered != delivery.registered || listening.done {
            return None;
        }
        let running = Running { instance: self, path: &delivery.path, frame, task };
        let input = running.input().ok()?;
        let scope = Scope { context: Some(&frame.context), ..running.scope(&input) };
        let read = read(listen, &delivery.event);
        match listening.consumed.fit(&listen.to, &delivery.event, (&listening.items, &read), &scope) {
            Ok(fit) => {
                fit.map(|fit| Event::EventConsumed { path: delivery.path.clone(), event: delivery.event.clone(), fit })
            }
            Err(error) => Some(running.fault(error)),
        }
    }

    pub(super) fn listen_started(&mut self, path: &TaskPath) -> Result<(), String> {
        let registered = self.revision + 1;
        let state = self.entered_mut(path)?;
        *state = State::Listening(Listening {
            registered,
            items: Vec::new(),
            consumed: Default::default(),
            done: false,
            iteration: None,
            outputs: Vec::new(),
        });
        self.since_rest = SinceRest::default();
        Ok(())
    }

    pub(super) fn event_consumed(&mut self, path: &TaskPath, event: &CloudEvent, fit: &Fit) -> Result<(), String> {
        let definition = self.definition().clone();
        let frame = self.frame_mut(path)?;
        let item = match frame.task(&definition).map(|task| &task.kind) {
            Some(TaskKind::Listen(listen)) => read(listen, event),
            Some(_) | None => return Err(format!("`{path}` is no `listen`")),
        };
        match &mut frame.state {
            State::Listening(listening) if !listening.done => {
                listening.consumed.take(fit);
                listening.done = fit.done;
                match fit.role {
                    Role::Event(_) => listening.items.push(item),
                    Role::End(_) => {}
                }
                self.since_rest = SinceRest::default();
                Ok(())
            }
            _ => Err(format!("`{path}` does not listen")),
        }
    }

    /// The tasks for the event `index` of the listener at `path` begin.
    pub(super) fn event_iteration_started(
        listening: &mut Listening,
        path: &TaskPath,
        index: usize,
        input: Value,
    ) -> Result<(), String> {
        if listening.iteration.is_some() || index != listening.outputs.len() || index >= listening.items.len() {
            return Err(format!("event {index} is not next in `{path}`"));
        }
        let body = Sequence { branch: listening.branch(), next: 0, value: Some(std::sync::Arc::new(input)) };
        listening.iteration = Some(Iteration { index, body });
        Ok(())
    }

    pub(super) fn iteration_completed(
        &mut self,
        path: &TaskPath,
        index: usize,
        output: Value,
        context: Option<Value>,
    ) -> Result<(), String> {
        let definition = self.definition().clone();
        let frame = self.frame_mut(path)?;
        let walked = frame
            .sequence()
            .is_some_and(|body| frame.list(&definition, body.branch).is_none_or(|tasks| body.next >= tasks.0.len()));
        match &mut frame.state {
            State::Listening(listening)
                if walked && listening.iteration.as_ref().is_some_and(|iteration| iteration.index == index) =>
            {
                listening.iteration = None;
                listening.outputs.push(output);
            }
            _ => return Err(format!("iteration {index} of `{path}` is not done")),
        }
        if let Some(context) = context {
            self.context = std::sync::Arc::new(context);
        }
        Ok(())
    }
}

impl Listening {
    /// The messages of a subscription are there: its `foreach` begins.
    pub(super) fn of_messages(messages: Vec<Value>) -> Self {
        Self {
            registered: 0,
            items: messages,
            consumed: Default::default(),
            done: true,
            iteration: None,
            outputs: Vec::new(),
        }
    }

    fn branch(&self) -> Branch {
        match self.registered {
            0 => Branch::Messages,
            _ => Branch::Foreach,
        }
    }
}

fn read(listen: &Listen, event: &CloudEvent) -> Value {
    match listen.read {
        ReadAs::Data => event.data(),
        ReadAs::Envelope => Value::from(event.clone()),
        ReadAs::Raw => event.raw_data(),
    }
}
