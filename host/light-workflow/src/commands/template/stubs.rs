//! The commands of a sandbox template as types of the Rust SDK.

use std::fmt::Write as _;

use sandbox::Template;
use sandbox::template::{CommandTemplate, Parameter, ParameterKind};

/// A module with one struct for each command of `template`.
pub fn rust(template: &Template) -> String {
    let mut text = format!(
        "//! Commands of the sandbox template `{}` {}.\n//!\n//! Written by `light-workflow template stubs {}`: run it again when the template changes.\n\nuse light_workflow_sdk::{{",
        template.name(),
        template.version(),
        template.name()
    );
    let has_artifacts = template
        .commands()
        .values()
        .flat_map(|command| command.parameters.values())
        .any(|parameter| matches!(parameter.kind, ParameterKind::Artifact));
    text += if has_artifacts { "ArtifactUri, " } else { "" };
    text += "CommandTemplate, Parameters, ToParameter};\n";
    for (name, command) in template.commands() {
        text += "\n";
        text += &stub(template, name, command);
    }
    text
}

fn stub(template: &Template, name: &str, command: &CommandTemplate) -> String {
    let title: String = name.split(['-', '_', '.']).map(capitalised).collect();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").unwrap_or_default();
    command.summary.lines().for_each(|summary| line(format_args!("/// {summary}")));
    if !command.egress.is_empty() {
        let egress: Vec<_> = command.egress.iter().map(|target| format!("`{target}`")).collect();
        line(format_args!("///\n/// It may reach {}.", egress.join(", ")));
    }
    line(format_args!("#[derive(Debug, Clone, PartialEq)]"));
    if command.parameters.is_empty() {
        line(format_args!("pub struct {title};"));
    } else {
        line(format_args!("pub struct {title} {{"));
        for (name, parameter) in &command.parameters {
            line(format_args!("    pub {}: {},", field(name), rust_type(parameter)));
        }
        line(format_args!("}}"));
    }
    line(format_args!("\nimpl CommandTemplate for {title} {{"));
    line(format_args!("    const NAME: &'static str = \"{}/{name}\";", template.name()));
    if !command.secrets.is_empty() {
        let secrets: Vec<_> = command.secrets.values().map(|secret| format!("\"{secret}\"")).collect();
        line(format_args!("    const SECRETS: &'static [&'static str] = &[{}];", secrets.join(", ")));
    }
    line(format_args!("\n    fn parameters(&self) -> Parameters {{"));
    if command.parameters.is_empty() {
        line(format_args!("        Parameters::new()"));
    } else {
        line(format_args!("        let all = ["));
        for name in command.parameters.keys() {
            line(format_args!("            (\"{name}\", self.{}.to_parameter()),", field(name)));
        }
        line(format_args!("        ];"));
        line(format_args!("        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()"));
    }
    line(format_args!("    }}\n}}"));
    text
}

fn rust_type(parameter: &Parameter) -> String {
    let plain = match parameter.kind {
        ParameterKind::Text(_) => "String",
        ParameterKind::Texts { .. } => "Vec<String>",
        ParameterKind::Flag => return "bool".to_owned(),
        ParameterKind::Integer { .. } => "i64",
        ParameterKind::Artifact => "ArtifactUri",
    };
    if parameter.required { plain.to_owned() } else { format!("Option<{plain}>") }
}

/// A parameter's name as a field; words of the language get an underscore.
fn field(name: &str) -> String {
    const WORDS: [&str; 38] = [
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn",
        "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self",
        "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while",
    ];
    let name = name.replace(['-', '.'], "_");
    if WORDS.contains(&name.as_str()) { format!("{name}_") } else { name }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
