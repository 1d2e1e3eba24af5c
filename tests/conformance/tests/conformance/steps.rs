//! The step vocabulary: that of the official kit, and the few words more that
//! `features/README.md` explains. A step that is not in it fails.

use gherkin::Step;
use serde_json::{Value, json};
use workflow::definition::canonical_error_type;
use workflow::located::{Problems, yaml};

use crate::runtime::{Execution, Runtime, Task};

pub struct Stage {
    runtime: Runtime,
    definition: Option<String>,
    input: Option<Value>,
    executed: Option<Result<Execution, String>>,
}

type Held = Result<(), String>;

impl Stage {
    pub fn new() -> Self {
        Self { runtime: Runtime::new(), definition: None, input: None, executed: None }
    }

    pub fn take(&mut self, step: &Step) -> Held {
        let words = step.value.trim();
        match words {
            "a workflow with definition:" => self.definition = Some(text(step)?),
            "the registry has the images of this kit" => self.runtime.has_images(),
            "the runtime knows the workflow:" => self.runtime.know(&text(step)?),
            _ if words.starts_with("the document '") => self.runtime.document(name_in(words)?, &text(step)?),
            _ if words.starts_with("a broker of MQTT at '") => self.runtime.broker(name_in(words)?),
            _ if words.starts_with("the service answers '") => {
                let status = words.rsplit_once("with status ").map_or(Ok(200), |(_, status)| status.parse());
                let status = status.map_err(|_| "no status".to_owned())?;
                let body = step.docstring.is_some().then(|| text(step)).transpose()?;
                self.runtime.answer(name_in(words)?, status, body.unwrap_or_default().trim().to_owned());
            }
            "given the workflow input is:" | "the workflow input is:" => self.input = Some(value(step)?),
            "the workflow is executed" => {
                let definition = self.definition.as_ref().ok_or("no definition is given")?;
                // The official scenarios without an input expect an empty one.
                let input = self.input.clone().unwrap_or_else(|| json!({}));
                self.executed = Some(self.runtime.execute(definition, &input));
            }
            _ => self.check(step, words)?,
        }
        Ok(())
    }

    fn check(&self, step: &Step, words: &str) -> Held {
        let executed = self.executed.as_ref().ok_or("the workflow was not executed")?;
        if words == "the definition should be refused" {
            return holds(executed.is_err(), || "it was accepted".to_owned());
        }
        if let Some(text) = words.strip_prefix("the refusal should mention ") {
            let said = executed.as_ref().err().ok_or("it was accepted")?;
            return holds(said.contains(text.trim_matches('\'')), || said.clone());
        }
        let ended = executed.as_ref().map_err(|said| format!("it was refused: {said}"))?;
        if let Some(rest) = words.strip_prefix("the workflow should ") {
            return workflow_should(ended, step, rest);
        }
        if let Some(rest) = words.strip_prefix("the workflow output should have ") {
            holds(ended.status == "completed", || how(ended))?;
            return output_should_have(&ended.output, step, rest);
        }
        let (task, rest) = words.split_once(" should ").ok_or("this step is not in the vocabulary")?;
        task_should(ended, task.trim_matches('\''), step, rest)
    }
}

/// The name in quotes.
fn name_in(words: &str) -> Result<&str, String> {
    words.split('\'').nth(1).ok_or_else(|| "no name is given".to_owned())
}

fn workflow_should(ended: &Execution, step: &Step, rest: &str) -> Held {
    match rest {
        "complete" => holds(ended.status == "completed", || how(ended)),
        "complete with output:" => {
            holds(ended.status == "completed", || how(ended))?;
            same(&ended.output, &value(step)?)
        }
        "cancel" => holds(ended.status == "cancelled", || how(ended)),
        "fault" => holds(ended.status == "faulted", || how(ended)),
        "fault with error:" => {
            holds(ended.status == "faulted", || how(ended))?;
            same_error(&ended.error, &value(step)?)
        }
        _ => Err("this step is not in the vocabulary".to_owned()),
    }
}

fn output_should_have(output: &Value, step: &Step, rest: &str) -> Held {
    let found = |path: &str| path.split('.').try_fold(output, |value, key| value.get(key));
    let names = || rest.split('\'').skip(1).step_by(2);
    if rest.starts_with("properties ") {
        let missing: Vec<&str> = names().filter(|name| found(name).is_none()).collect();
        return holds(missing.is_empty(), || format!("{missing:?} are not in {output}"));
    }
    let name = names().next().ok_or("no property is named")?;
    let value_found = found(name).ok_or_else(|| format!("`{name}` is not in {output}"))?;
    if rest.ends_with("property with value:") {
        return same(value_found, &value(step)?);
    }
    let count = rest.rsplit_once(" property containing ").and_then(|(_, rest)| rest.split(' ').next());
    let count: usize = count.ok_or("this step is not in the vocabulary")?.parse().map_err(|_| "no number of items")?;
    let items = value_found.as_array().map(Vec::len);
    holds(items == Some(count), || format!("`{name}` has {items:?} items"))
}

fn task_should(ended: &Execution, name: &str, step: &Step, rest: &str) -> Held {
    let names: Vec<&str> = ended.tasks.iter().map(|task| task.name.as_str()).collect();
    let order = || format!("the order was {names:?}; {}", how(ended));
    if rest == "not run" {
        return holds(!names.contains(&name), order);
    }
    let place =
        |name: &str| names.iter().position(|found| *found == name).ok_or_else(|| format!("`{name}` did not run"));
    let last = names.iter().rposition(|found| *found == name).ok_or_else(|| format!("`{name}` did not run"))?;
    let task: &Task = &ended.tasks[last];
    let is = |status: &str| holds(task.status == status, || format!("it is {} ({})", task.status, task.error));
    match rest {
        "run first" => holds(names.first() == Some(&name), order),
        "run last" => holds(names.last() == Some(&name), order),
        "complete" => is("completed"),
        "cancel" => is("cancelled"),
        "fault" => is("faulted"),
        "fault with error:" => {
            is("faulted")?;
            same_error(&ended.error, &value(step)?)
        }
        _ if rest.starts_with("run ") && rest.ends_with(" times") => {
            let count = names.iter().filter(|found| **found == name).count();
            holds(rest == format!("run {count} times"), || format!("it ran {count} times"))
        }
        _ => match (rest.strip_prefix("run before "), rest.strip_prefix("run after ")) {
            (Some(other), _) => holds(place(name)? < place(other.trim_matches('\''))?, order),
            (_, Some(other)) => holds(place(name)? > place(other.trim_matches('\''))?, order),
            (None, None) => Err("this step is not in the vocabulary".to_owned()),
        },
    }
}

fn holds(condition: bool, why: impl FnOnce() -> String) -> Held {
    if condition { Ok(()) } else { Err(why()) }
}

fn same(found: &Value, expected: &Value) -> Held {
    holds(found == expected, || format!("found    {found}\n  expected {expected}"))
}

/// Every part that is named; the type in any of its published spellings.
fn same_error(found: &Value, expected: &Value) -> Held {
    for (key, expected) in expected.as_object().ok_or("the error is no object")? {
        let part = found.get(key).cloned().unwrap_or_default();
        match (key.as_str(), part.as_str(), expected.as_str()) {
            ("type", Some(part), Some(expected)) => {
                holds(canonical_error_type(part) == canonical_error_type(expected), || found.to_string())?;
            }
            _ => same(&part, expected).map_err(|why| format!("`{key}`: {why}\n  in {found}"))?,
        }
    }
    Ok(())
}

fn how(ended: &Execution) -> String {
    format!("it {} with output {} and error {}", ended.status, ended.output, ended.error)
}

/// The doc string without the media type behind its opening quotes, and without the indentation it stands in.
fn text(step: &Step) -> Result<String, String> {
    let text = step.docstring().ok_or("a text should follow")?.trim_start_matches(['\n', '\r']);
    let text = text.strip_prefix("yaml\n").unwrap_or(text);
    let filled = text.lines().filter(|line| !line.trim().is_empty());
    let indent = filled.map(|line| line.len() - line.trim_start_matches(' ').len()).min().unwrap_or(0);
    let lines = text.lines().map(|line| line.get(indent..).unwrap_or("").to_owned() + "\n");
    Ok(lines.collect::<String>().trim_end().to_owned() + "\n")
}

fn value(step: &Step) -> Result<Value, String> {
    let problems = Problems::of("kit.yaml");
    yaml::read(&text(step)?, &problems).map(|node| node.to_json()).ok_or_else(|| "the text is no YAML".to_owned())
}
