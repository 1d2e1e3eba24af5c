//! The step vocabulary: that of the official kit, and the few words more that
//! `features/README.md` explains. A step that is not in it fails.

use gherkin::Step;
use serde_json::{Value, json};
use workflow::definition::canonical_error_type;
use workflow::located::{Problems, yaml};

use super::execution::{Execution, Question, Runtime, Task};

pub struct Stage<R> {
    runtime: R,
    definition: Option<String>,
    input: Option<Value>,
    executed: Option<Result<Execution, String>>,
}

type Held = Result<(), String>;

const UNKNOWN_STEP: &str = "this step is not in the vocabulary";

impl<R: Runtime> Stage<R> {
    pub fn new(runtime: R) -> Self {
        Self { runtime, definition: None, input: None, executed: None }
    }

    pub fn take(&mut self, step: &Step) -> Held {
        let words = step.value.trim().trim_end_matches(':').trim_end();
        let words = words.strip_prefix("given ").unwrap_or(words);
        match words {
            "a workflow with definition" => self.definition = Some(text(step)?),
            "the runtime knows the workflow" => self.runtime.know(&text(step)?)?,
            _ if words.starts_with("the document '") => self.runtime.document(name_in(words)?, &text(step)?)?,
            _ if words.starts_with("the runtime has the secret '") => {
                self.runtime.secret(name_in(words)?, text(step)?.trim())?;
            }
            _ if words.starts_with("the service answers '") => {
                let status = words.rsplit_once("with status ").map_or(Ok(200), |(_, status)| status.parse());
                let status = status.map_err(|_| "no status".to_owned())?;
                let body = step.docstring.is_some().then(|| text(step)).transpose()?;
                self.runtime.answer(name_in(words)?, status, body.unwrap_or_default().trim().to_owned())?;
            }
            "the registry has the images of this kit" => self.runtime.have_images()?,
            _ if words.starts_with("a broker of MQTT at '") => self.runtime.broker(name_in(words)?)?,
            "the workflow input is" => self.input = Some(value(step)?),
            "the workflow is executed" => {
                let definition = self.definition.as_ref().ok_or("no definition is given")?;
                // The official scenarios without an input expect an empty one.
                let input = self.input.clone().unwrap_or_else(|| json!({}));
                self.executed = Some(self.runtime.execute(definition, &input));
            }
            "the workflow is scheduled" => {
                let definition = self.definition.as_ref().ok_or("no definition is given")?;
                self.runtime.schedule(definition)?;
            }
            "the event is received" => self.runtime.publish(&value(step)?)?,
            "nobody answers" => self.runtime.leave_questions()?,
            _ if words.starts_with("the clock says ") => self.runtime.set_clock(in_quotes(words)?)?,
            _ if words.starts_with("the runtime is started again at ") => {
                self.runtime.start_again(in_quotes(words)?)?;
            }
            _ => match words.split_once(" is answered with") {
                Some((task, "")) => self.runtime.answer_question(bare(task), text(step)?.trim())?,
                Some((task, answer)) => self.runtime.answer_question(bare(task), in_quotes(answer)?)?,
                None if is_of_schedule(words) => {
                    self.check_scheduled(step, words)?;
                }
                None => self.check(step, words)?,
            },
        }
        Ok(())
    }

    /// What schedules started.
    fn check_scheduled(&mut self, step: &Step, words: &str) -> Held {
        if let Some(count) = words.strip_prefix("the workflow should run ") {
            let (least, count) = count.strip_prefix("at least ").map_or((false, count), |count| (true, count));
            let count: usize = count.split(' ').next().unwrap_or_default().parse().map_err(|_| UNKNOWN_STEP)?;
            let started = self.runtime.scheduled(count).iter().filter(|one| one.execution.is_some()).count();
            if least {
                return holds(started >= count, || format!("it ran {started} times"));
            }
            self.runtime.let_schedules_work();
            let started = self.runtime.scheduled(count).len();
            return holds(started == count, || format!("it ran {started} times"));
        }
        let all = self.runtime.scheduled(0);
        let ended: Vec<&Execution> = all.iter().filter_map(|one| one.execution.as_ref()).collect();
        if words == "no two executions should overlap" {
            let mut pairs = all.windows(2);
            return holds(pairs.all(|pair| pair[0].end < pair[1].start), || "two of them overlap".to_owned());
        }
        if let Some(rest) = words.strip_prefix("every execution should ") {
            holds(!ended.is_empty(), || "there was none".to_owned())?;
            return ended.iter().try_for_each(|ended| workflow_should(ended, step, rest));
        }
        let (number, rest) = words.split_once(" should ").ok_or(UNKNOWN_STEP)?;
        let number = number.strip_prefix("execution ").and_then(|number| number.parse::<usize>().ok());
        let ended = number.and_then(|number| ended.get(number.checked_sub(1)?)).ok_or("there is no such execution")?;
        workflow_should(ended, step, rest)
    }

    fn check(&self, step: &Step, words: &str) -> Held {
        let executed = self.executed.as_ref().ok_or("the workflow was not executed")?;
        if words == "the definition should be refused" {
            return holds(executed.is_err(), || "it was accepted".to_owned());
        }
        if let Some(text) = words.strip_prefix("the refusal should mention ") {
            let said = executed.as_ref().err().ok_or("it was accepted")?;
            return holds(said.contains(bare(text)), || said.clone());
        }
        let ended = executed.as_ref().map_err(|said| format!("it was refused: {said}"))?;
        if let Some(rest) = words.strip_prefix("the workflow should ") {
            return workflow_should(ended, step, rest);
        }
        if let Some(rest) = words.strip_prefix("the workflow output should have ") {
            holds(ended.status == "completed", || how(ended))?;
            return output_should_have(&ended.output, step, rest);
        }
        let (task, rest) = words.rsplit_once(" should ").ok_or(UNKNOWN_STEP)?;
        if let Some((answer, task)) = task.strip_prefix("the answer ").and_then(|rest| rest.rsplit_once(" to ")) {
            let refused = &question(ended, bare(task))?.refused;
            let answer = in_quotes(answer)?;
            holds(rest == "be refused", || UNKNOWN_STEP.to_owned())?;
            return holds(refused.iter().any(|one| one == answer), || format!("only {refused:?} were refused"));
        }
        let task = task.strip_prefix("the task ").unwrap_or(task);
        task_should(ended, bare(task), step, rest)
    }
}

/// The question that a task asked last.
fn question<'e>(ended: &'e Execution, task: &str) -> Result<&'e Question, String> {
    let asked = ended.questions.iter().rfind(|asked| asked.task == task);
    asked.ok_or_else(|| format!("`{task}` asked nobody"))
}

/// Whether a step is about what schedules started.
fn is_of_schedule(words: &str) -> bool {
    ["the workflow should run ", "every execution ", "execution ", "no two executions "]
        .iter()
        .any(|start| words.starts_with(start))
}

/// A name with or without quotes.
fn bare(name: &str) -> &str {
    name.trim().trim_matches(['\'', '"'])
}

/// The names in quotes.
fn names_in(words: &str) -> Vec<&str> {
    words.split(['\'', '"']).skip(1).step_by(2).collect()
}

/// The first name in quotes.
fn name_in(words: &str) -> Result<&str, String> {
    names_in(words).first().copied().ok_or_else(|| "no name is in quotes".to_owned())
}

/// All that stands between the first and the last quote.
fn in_quotes(words: &str) -> Result<&str, String> {
    let inside = words.split_once('\'').and_then(|(_, rest)| rest.rsplit_once('\''));
    inside.map(|(text, _)| text).ok_or_else(|| "nothing is in quotes".to_owned())
}

fn workflow_should(ended: &Execution, step: &Step, rest: &str) -> Held {
    match rest {
        "complete" => holds(ended.status == "completed", || how(ended)),
        "complete with output" => {
            holds(ended.status == "completed", || how(ended))?;
            same(&ended.output, &value(step)?)
        }
        "cancel" => holds(ended.status == "cancelled", || how(ended)),
        "fault" => holds(ended.status == "faulted", || how(ended)),
        "fault with error" => {
            holds(ended.status == "faulted", || how(ended))?;
            same_error(&ended.error, &value(step)?)
        }
        _ => Err(UNKNOWN_STEP.to_owned()),
    }
}

fn output_should_have(output: &Value, step: &Step, rest: &str) -> Held {
    let names = names_in(rest);
    if rest.starts_with("properties ") {
        let missing: Vec<&str> = names.into_iter().filter(|name| found(output, name).is_none()).collect();
        return holds(missing.is_empty(), || format!("{missing:?} are not in {output}"));
    }
    let name = names.first().ok_or("no property is named")?;
    let value_found = found(output, name).ok_or_else(|| format!("`{name}` is not in {output}"))?;
    let (_, rest) = rest.rsplit_once(" property").ok_or(UNKNOWN_STEP)?;
    match rest.trim() {
        "" => Ok(()),
        "with value" => same(value_found, &value(step)?),
        rest => {
            let count = rest.strip_prefix("containing ").and_then(|rest| rest.split(' ').next());
            let count: usize = count.ok_or(UNKNOWN_STEP)?.parse().map_err(|_| "no number of items")?;
            let items = value_found.as_array().map(Vec::len);
            holds(items == Some(count), || format!("`{name}` has {items:?} items"))
        }
    }
}

/// What is at a path like `a.b`, `a[0].b` or `a.0.b`; a name with dots is one name if it is there.
fn found<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    let parts = path.split(['.', '[']).map(|part| part.trim_end_matches(']')).filter(|part| !part.is_empty());
    parts.into_iter().try_fold(value, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })
}

fn task_should(ended: &Execution, name: &str, step: &Step, rest: &str) -> Held {
    let names: Vec<&str> = ended.tasks.iter().map(|task| task.name.as_str()).collect();
    let order = || format!("the order was {names:?}; {}", how(ended));
    if rest == "not run" {
        return holds(!names.contains(&name), order);
    }
    if let Some(held) = question_should(ended, name, step, rest) {
        return held;
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
        "complete with output" => {
            is("completed")?;
            same(&task.output, &value(step)?)
        }
        "cancel" => is("cancelled"),
        "fault" => is("faulted"),
        "fault with error" => {
            is("faulted")?;
            same_error(&task.error, &value(step)?)
        }
        _ if rest.starts_with("run ") && rest.ends_with(" times") => {
            let count = names.iter().filter(|found| **found == name).count();
            holds(rest == format!("run {count} times"), || format!("it ran {count} times"))
        }
        _ => match (rest.strip_prefix("run before "), rest.strip_prefix("run after ")) {
            (Some(other), _) => holds(place(name)? < place(bare(other))?, order),
            (_, Some(other)) => holds(place(name)? > place(bare(other))?, order),
            (None, None) => Err(UNKNOWN_STEP.to_owned()),
        },
    }
}

/// None: the step is about something else.
fn question_should(ended: &Execution, name: &str, step: &Step, rest: &str) -> Option<Held> {
    let asked = question(ended, name);
    let held = |check: &dyn Fn(&Question) -> Held| Some(asked.clone().and_then(check));
    match rest.split_once(' ').unwrap_or((rest, "")) {
        ("ask", _) => held(&|asked| {
            let prompt = in_quotes(rest)?;
            holds(asked.prompt == prompt, || format!("it asked `{}`", asked.prompt))
        }),
        ("offer", names) => held(&|asked| {
            let names = names_in(names);
            holds(asked.options == names, || format!("it offered {:?}", asked.options))
        }),
        ("show", "") => held(&|asked| same(&asked.subject, &value(step)?)),
        ("be", who) => held(&|asked| {
            let who = bare(who.strip_prefix("for ").ok_or(UNKNOWN_STEP)?);
            holds(asked.assignees.iter().any(|one| one == who), || format!("it was for {:?}", asked.assignees))
        }),
        _ => None,
    }
}

fn holds(condition: bool, why: impl FnOnce() -> String) -> Held {
    if condition { Ok(()) } else { Err(why()) }
}

fn same(found: &Value, expected: &Value) -> Held {
    holds(equal(found, expected), || format!("found    {found}\n  expected {expected}"))
}

/// `1` is `1.0`, and a standard error type is the same in any of its published spellings.
fn equal(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(found), Value::Number(expected)) => found == expected || found.as_f64() == expected.as_f64(),
        (Value::String(found), Value::String(expected)) => {
            found == expected || canonical_error_type(found) == canonical_error_type(expected)
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| equal(found, expected))
        }
        (Value::Object(found), Value::Object(expected)) => {
            found.len() == expected.len()
                && found.iter().all(|(key, found)| expected.get(key).is_some_and(|expected| equal(found, expected)))
        }
        (found, expected) => found == expected,
    }
}

/// Every part that is named.
fn same_error(found: &Value, expected: &Value) -> Held {
    for (key, expected) in expected.as_object().ok_or("the error is no object")? {
        let part = found.get(key).cloned().unwrap_or_default();
        same(&part, expected).map_err(|why| format!("`{key}`: {why}\n  in {found}"))?;
    }
    Ok(())
}

fn how(ended: &Execution) -> String {
    format!("it {} with output {} and error {}", ended.status, ended.output, ended.error)
}

/// The doc string without the media type behind its opening quotes, and without the indentation it stands in.
fn text(step: &Step) -> Result<String, String> {
    let text = step.docstring().ok_or("a text should follow")?;
    let text = match text.split_once('\n') {
        Some((kind, rest)) if matches!(kind.trim(), "" | "yaml" | "yml" | "json" | "text") => rest,
        Some(_) | None => text,
    };
    let filled = text.lines().filter(|line| !line.trim().is_empty());
    let indent = filled.map(|line| line.len() - line.trim_start_matches(' ').len()).min().unwrap_or(0);
    let lines = text.lines().map(|line| line.get(indent..).unwrap_or("").to_owned() + "\n");
    Ok(lines.collect::<String>().trim_end().to_owned() + "\n")
}

fn value(step: &Step) -> Result<Value, String> {
    let problems = Problems::of("kit.yaml");
    yaml::read(&text(step)?, &problems).map(|node| node.to_json()).ok_or_else(|| "the text is no YAML".to_owned())
}
