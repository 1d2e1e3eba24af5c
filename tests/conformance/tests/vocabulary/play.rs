//! Plays the scenarios of a file on a runtime.

use std::fs;
use std::path::{Path, PathBuf};

use gherkin::{Feature, GherkinEnv, Scenario};

use super::execution::Runtime;
use super::outline;
use super::steps::Stage;

/// Plays those scenarios of a file that are wanted, each on a runtime of its own.
/// Gives how many there were.
///
/// # Panics
///
/// When one failed; it names all that did.
pub fn play<R: Runtime>(file: &Path, wanted: impl Fn(&Scenario) -> bool, runtime: impl Fn() -> R) -> usize {
    let mut failures = Vec::new();
    let mut played = 0;
    for scenario in scenarios(file).iter().filter(|scenario| wanted(scenario)) {
        played += 1;
        let mut stage = Stage::new(runtime());
        for step in &scenario.steps {
            if let Err(why) = stage.take(step) {
                failures.push(format!("{}\n  {} {}\n  {why}", scenario.name, step.keyword.trim(), step.value));
                break;
            }
        }
    }
    println!("{}: {played} scenarios", file.display());
    assert!(failures.is_empty(), "{} of {played} failed\n{}", failures.len(), failures.join("\n"));
    played
}

/// All scenarios of a file, with each row of an outline as one of its own.
pub fn scenarios(file: &Path) -> Vec<Scenario> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let feature = Feature::parse(tidied(&text), GherkinEnv::default());
    outline::expand(&feature.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// The files of features in a folder, by name.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "feature"))
        .collect();
    files.sort();
    files
}

/// Gherkin lets comments and blanks stand where the parser minds them.
fn tidied(text: &str) -> String {
    let mut inside: Option<&str> = None;
    let mut tidy = String::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let word = line.trim();
        let fence = ["\"\"\"", "```"].into_iter().find(|fence| word.starts_with(fence));
        match (inside, fence) {
            (None, _) if word.starts_with('#') => continue,
            (None, Some(fence)) => inside = Some(fence),
            (Some(open), Some(fence)) if open == fence && word == fence => inside = None,
            (None | Some(_), _) => {}
        }
        tidy.push_str(if inside.is_none() { line.trim_end() } else { line });
        tidy.push('\n');
    }
    tidy
}
