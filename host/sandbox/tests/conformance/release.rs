//! The commands of the template that releases use, on a crate made here.

use std::collections::BTreeMap;

use sandbox::{ExecError, ExecOutcome, ParameterValue};
use workflow::command::SandboxMode;
use workflow::{CommandName, CommandStatus, TemplateName};

use super::world::{World, of, request};

async fn run(world: &World, sequence: u32, name: &str, directory: Option<&str>) -> ExecOutcome {
    let name = CommandName::new(format!("rust-release/{name}")).expect("a name");
    let text = |text: &str| ParameterValue::Text(text.to_owned());
    let values: BTreeMap<_, _> =
        directory.map(|directory| ("directory".to_owned(), text(directory))).into_iter().collect();
    let mut command = world.templates.resolve(&name, &values, SandboxMode::WorkflowSession).expect("a command");
    // No server answers in this test; what must not need one runs without.
    command.egress.clear();
    let outcome = world.run(of(sequence, command)).await;
    assert_eq!(outcome.status, CommandStatus::Succeeded, "{name}: {outcome:?}");
    outcome
}

#[tokio::test]
async fn a_crate_is_looked_at_built_tested_packaged_and_bundled() {
    let world = World::new();
    let versions = run(&world, 1, "tool-versions", None).await;
    for tool in ["cargo ", "rustc ", "git ", "Python ", "curl "] {
        assert!(versions.stdout_excerpt.lines().any(|line| line.starts_with(tool)), "{versions:?}");
    }

    let make = "mkdir -p repos && cargo init -q --vcs git --lib --name demo repos/demo && cd repos/demo && \
                sed -i 's/^edition/license = \"MIT\"\\ndescription = \"d\"\\nedition/' Cargo.toml && cargo generate-lockfile --offline && \
                sed -i /Cargo.lock/d .gitignore && git add . && git -c user.name=t -c user.email=t@t.test commit -qm one";
    let mut command = request(2, SandboxMode::WorkflowSession, &["sh", "-euc", make]).command;
    command.template = TemplateName::new("rust-release").expect("a name");
    let made = world.run(of(2, command)).await;
    assert_eq!(made.status, CommandStatus::Succeeded, "{made:?}");
    assert_eq!(made.changed_files, ["repos/"]);

    let metadata = run(&world, 3, "cargo-metadata", Some("repos/demo")).await;
    assert!(metadata.stdout_excerpt.contains("\"name\":\"demo\""), "{metadata:?}");
    run(&world, 4, "cargo-build", Some("repos/demo")).await;
    let tested = run(&world, 5, "cargo-test", Some("repos/demo")).await;
    assert!(tested.stdout_excerpt.contains("test result: ok. 1 passed"), "{tested:?}");

    let bundle = run(&world, 6, "git-bundle", Some("repos/demo")).await;
    let kept: Vec<_> = bundle.captured.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(kept, ["bundle/source.bundle"], "{bundle:?}");
}

#[tokio::test]
async fn a_template_whose_tools_are_too_old_runs_nothing() {
    let world = World::new();
    let mut command = request(1, SandboxMode::PerTask, &["true"]).command;
    command.template = TemplateName::new("from-the-future").expect("a name");
    let error = world.provider.exec(of(1, command)).await.expect_err("refused");
    assert!(matches!(error, ExecError::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("`cargo` >=99"), "{error}");
}
