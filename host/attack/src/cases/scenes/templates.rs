//! Every parameter of every command template is given every trick.

use std::collections::BTreeMap;

use sandbox::template::ParameterKind;
use sandbox::{ParameterValue, ResolveError, Template, Templates};
use workflow::command::SandboxMode;
use workflow::{ArtifactUri, Command, CommandName};

/// What a text might do on its way into a command.
fn tricks() -> Vec<String> {
    let mut tricks: Vec<String> = [
        "",
        " ",
        "-",
        "--",
        "-o",
        "--flag",
        "--upload-pack=id",
        "-C/",
        "+main",
        "@{u}",
        "..",
        ".",
        "../x",
        "a/../../b",
        "a/./b",
        "a//b",
        "/etc/passwd",
        "~root/x",
        ".git/config",
        "a;id",
        "a&&id",
        "a|id",
        "$(id)",
        "`id`",
        "${IFS}id",
        "a\nid",
        "a\rid",
        "a\tb",
        "a\0b",
        "*",
        "?",
        "{url}",
        "{{x}}",
        "{x",
        "%2e%2e/x",
        "a'b",
        "a\"b",
        "a\\b",
        "a b",
        "é",
        "a\u{202e}b",
        "\u{feff}a",
        "https://git.demo.test/x\n--flag",
        "https://u:p@git.demo.test/x",
        "https://git.demo.test@evil.test/x",
        "https://evil.test/x",
        "file:///etc/passwd",
        "ext::sh -c id",
        "http://[::1]/x",
        "http://169.254.169.254/latest",
        "http://2130706433/x",
        "ssh://git@git.demo.test/x",
        "javascript:alert(1)",
        "refs/heads/x:refs/heads/y",
        "0x1",
        "1e9",
        "99999999999999999999",
    ]
    .map(str::to_owned)
    .to_vec();
    tricks.push("a".repeat(1 << 20));
    tricks
}

/// Texts of which one at least fits an honest parameter.
const EXAMPLES: [&str; 12] = [
    "a",
    "demo",
    "main",
    "1.0.0",
    "1",
    "https://git.demo.test/demo.git",
    "repos/demo",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "application/json",
    "2026-01-01",
];

type Values = BTreeMap<String, ParameterValue>;

/// Counts what was tried. `Err`: the first trick that changed a command.
pub(super) fn swept(templates: &Templates) -> Result<String, String> {
    let tricks = tricks();
    let (mut commands, mut tried, mut refused) = (0, 0, 0);
    let mut without_example = Vec::new();
    for template in templates.iter() {
        for (name, command) in template.commands() {
            let name = CommandName::new(format!("{}/{name}", template.name())).map_err(|error| error.to_string())?;
            let mode = command.mode.unwrap_or(SandboxMode::PerTask);
            let examples: Values = command
                .parameters
                .iter()
                .filter_map(|(parameter, rule)| {
                    let fits = |value: &ParameterValue| accepts(template, &name, mode, parameter, value);
                    Some((parameter.clone(), examples(&rule.kind).into_iter().find(fits)?))
                })
                .collect();
            commands += 1;
            let Ok(honest) = template.resolve(&name, &examples, mode) else {
                without_example.push(name.to_string());
                continue;
            };
            for (parameter, rule) in &command.parameters {
                for trick in &tricks {
                    for value in as_every_type(trick) {
                        tried += 1;
                        let mut values = examples.clone();
                        values.insert(parameter.clone(), value.clone());
                        match template.resolve(&name, &values, mode) {
                            Err(ResolveError::Invalid { parameter: named, .. }) if named == *parameter => refused += 1,
                            Err(error) => {
                                return Err(format!(
                                    "{name} {parameter} {trick:?}: refused for another reason: {error}"
                                ));
                            }
                            Ok(command) => unchanged(&honest, &command, &rule.kind, &examples[parameter], &value)
                                .map_err(|what| format!("{name} {parameter} {}: {what}", trick.escape_debug()))?,
                        }
                    }
                }
            }
            let mut more = examples.clone();
            more.insert("argv".to_owned(), ParameterValue::Text("id".to_owned()));
            match template.resolve(&name, &more, mode) {
                Err(ResolveError::UnknownParameter { .. }) => {}
                other => return Err(format!("{name} takes a parameter that it does not declare: {other:?}")),
            }
        }
    }
    let without = if without_example.is_empty() {
        String::new()
    } else {
        format!("; no honest example is known for {}", without_example.join(", "))
    };
    Ok(format!("{commands} commands, {tried} tricks: {refused} refused, the others one plain argument{without}"))
}

/// Whether a value alone is acceptable for its parameter.
fn accepts(
    template: &Template,
    name: &CommandName,
    mode: SandboxMode,
    parameter: &str,
    value: &ParameterValue,
) -> bool {
    let alone = Values::from([(parameter.to_owned(), value.clone())]);
    !matches!(template.resolve(name, &alone, mode), Err(ResolveError::Invalid { .. }))
}

fn examples(kind: &ParameterKind) -> Vec<ParameterValue> {
    match kind {
        ParameterKind::Text(_) => EXAMPLES.map(|text| ParameterValue::Text(text.to_owned())).to_vec(),
        ParameterKind::Texts { .. } => EXAMPLES.map(|text| ParameterValue::Texts(vec![text.to_owned()])).to_vec(),
        ParameterKind::Flag => vec![ParameterValue::Flag(true)],
        ParameterKind::Integer { min, .. } => vec![ParameterValue::Integer(*min)],
        ParameterKind::Artifact => {
            let uri = ArtifactUri::new("artifact://i/t/1/x").expect("a reference");
            vec![ParameterValue::Artifact(uri)]
        }
    }
}

fn as_every_type(trick: &str) -> Vec<ParameterValue> {
    let mut values = vec![
        ParameterValue::Text(trick.to_owned()),
        ParameterValue::Texts(vec![trick.to_owned()]),
        ParameterValue::Flag(true),
        ParameterValue::Integer(i64::MIN),
    ];
    values.extend(ArtifactUri::new(format!("artifact://i/{trick}")).ok().map(ParameterValue::Artifact));
    values
}

/// A value may fill its place and nothing else: the program, the number of
/// arguments, where it runs and what it reaches stay as they are.
fn unchanged(
    honest: &Command,
    tricked: &Command,
    kind: &ParameterKind,
    example: &ParameterValue,
    value: &ParameterValue,
) -> Result<(), String> {
    let fixed = |command: &Command| {
        let Command { template, command_name, mode, stdin, egress, secrets, time_limit_ms, .. } = command.clone();
        let (variables, inputs): (Vec<_>, Vec<_>) =
            (command.environment.keys().cloned().collect(), command.inputs.keys().cloned().collect());
        (template, command_name, mode, stdin, egress, secrets, time_limit_ms, variables, inputs)
    };
    if fixed(honest) != fixed(tricked) || honest.argv.first() != tricked.argv.first() {
        return Err("it changes more than its place".to_owned());
    }
    if tricked.working_directory.starts_with('/') || tricked.working_directory.split('/').any(|part| part == "..") {
        return Err(format!("it runs in `{}`", tricked.working_directory));
    }
    let (ParameterValue::Text(example), ParameterValue::Text(text)) = (example, value) else {
        return Ok(());
    };
    if !matches!(kind, ParameterKind::Text(_)) {
        return Err("a text is taken for something else".to_owned());
    }
    if honest.argv.len() != tricked.argv.len() {
        return Err(format!("it becomes {} arguments of {}", tricked.argv.len(), honest.argv.len()));
    }
    for (before, after) in honest.argv.iter().zip(&tricked.argv) {
        let filled = before.replacen(example, text, 1);
        if before != after && filled != *after {
            return Err(format!("an argument becomes {after:?}"));
        }
        if after.starts_with('-') && !before.starts_with('-') {
            return Err(format!("an argument becomes an option: {after:?}"));
        }
    }
    Ok(())
}
