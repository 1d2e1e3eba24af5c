//! `plugin new`: a project that builds, as a copy of an example under the author's names.

mod files;

use std::fs;
use std::path::Path;

use workflow::capability::World;

use crate::cli::{Language, PluginNew};
use crate::output::{DONE, Failure, outln};

pub fn run(new: &PluginNew) -> Result<u8, Failure> {
    let name = new.name.as_str();
    if new.lang == Language::Rust && !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(Failure::used_wrongly(format!("`{name}` cannot name a Rust crate: begin it with a letter")));
    }
    let folder = new.folder.clone().unwrap_or_else(|| name.into());
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Failure::used_wrongly(format!(
            "`{}` exists and is not empty; name another folder with --folder",
            folder.display()
        )));
    }
    for file in files::of(new.lang, new.world) {
        let path = folder.join(file.path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let text = if file.is_example { renamed(file.text, name, new.world) } else { file.text.to_owned() };
        fs::write(&path, if file.path == "plugin.toml" { with_asks(text, new.lang, new.world) } else { text })?;
    }
    let shown = folder.display();
    outln!("made `{shown}`: a step of world `{}`", new.world);
    outln!("next:");
    for step in next_steps(new.lang) {
        outln!("  {}", step.replace("DIR", &shown.to_string()));
    }
    Ok(DONE)
}

fn next_steps(language: Language) -> &'static [&'static str] {
    match language {
        Language::Rust => &["cargo test --manifest-path DIR/Cargo.toml", BUILD, TEST],
        Language::Js => &["npm install --prefix DIR", BUILD, TEST],
        Language::Python => {
            &["python3 -m venv DIR/.venv && DIR/.venv/bin/pip install -r DIR/requirements.txt", BUILD, TEST]
        }
    }
}

const BUILD: &str = "light-workflow plugin build DIR";
const TEST: &str = "light-workflow plugin test DIR";

/// The example's names replaced by the author's.
fn renamed(text: &str, name: &str, world: World) -> String {
    let camel: String = name.split('-').map(capitalised).collect();
    let mut text = text.to_owned();
    for (example, example_camel, example_world) in
        [("tool-version", "ToolVersion", "probe"), ("next-version", "NextVersion", "pure")]
    {
        text = text
            .replace(&format!("{}Host", capitalised(example_world)), &format!("{}Host", capitalised(world.name())))
            .replace(&format!("export!({example_world}, {example_camel})"), &format!("export!({world}, {camel})"))
            .replace(&format!("world = \"{example_world}\""), &format!("world = \"{world}\""))
            .replace(&format!("'{example}'"), &format!("'{name}'"))
            .replace(&format!("\"{example}\""), &format!("\"{name}\""))
            .replace(example_camel, &camel);
    }
    text.replace("path = \"../../../sdk\"", "path = \"sdk\"")
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// JavaScript and Python import every function of their world, so each must be asked for.
fn with_asks(mut text: String, language: Language, world: World) -> String {
    if language == Language::Rust {
        return text;
    }
    let all = "the bindings of this language import every function of the world; the step uses none of these";
    let asks = [
        (World::Diagnose, "artifacts-read", "names = [\"**\"]"),
        (World::Build, "artifacts-write", "names = [\"unused\"]\nbytes-max = 1"),
        (World::Publish, "secrets", "names = [\"unused\"]"),
    ];
    for (from, key, grant) in asks {
        if world >= from && !text.contains(&format!("[asks.{key}]")) {
            text += &format!("\n[asks.{key}]\nreason = \"{all}\"\n{grant}\n");
        }
    }
    text
}
