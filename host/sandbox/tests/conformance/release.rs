//! The commands of the template that releases use, on a crate made here.

use std::collections::BTreeMap;

use sandbox::{ExecError, ExecOutcome, ParameterValue};
use workflow::command::SandboxMode;
use workflow::{CommandName, CommandStatus, TemplateName};

use super::world::{World, of, request};

async fn run(world: &World, sequence: u32, name: &str, directory: Option<&str>) -> ExecOutcome {
    run_of(world, sequence, &format!("rust-release/{name}"), directory).await
}

async fn run_of(world: &World, sequence: u32, name: &str, directory: Option<&str>) -> ExecOutcome {
    let name = CommandName::new(name).expect("a name");
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

    let values = [("directory", "repos/demo"), ("prefix", "v")];
    let values = values.map(|(name, text)| (name.to_owned(), ParameterValue::Text(text.to_owned())));
    let log = CommandName::new("rust-release/git-log").expect("a name");
    let log = world.templates.resolve(&log, &values.into(), SandboxMode::WorkflowSession).expect("a command");
    let log = world.run(of(7, log)).await;
    let fields: Vec<_> = log.stdout_excerpt.split(['\u{1e}', '\u{1f}']).map(str::trim).collect();
    assert_eq!((fields.len(), fields[0], fields[2], fields[4]), (5, "", "t", "one"), "{log:?}");

    let metadata = run(&world, 3, "cargo-metadata", Some("repos/demo")).await;
    assert!(metadata.stdout_excerpt.contains("\"name\":\"demo\""), "{metadata:?}");
    run(&world, 4, "cargo-build", Some("repos/demo")).await;
    let tested = run(&world, 5, "cargo-test", Some("repos/demo")).await;
    assert!(tested.stdout_excerpt.contains("test result: ok. 1 passed"), "{tested:?}");

    let bundle = run(&world, 6, "git-bundle", Some("repos/demo")).await;
    let kept: Vec<_> = bundle.captured.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(kept, ["bundle/source.bundle"], "{bundle:?}");
}

/// Two modules, one with a test; Debian's packages are the repository.
const MAVEN_PROJECT: &str = r#"
mkdir -p repos/demo/.mvn repos/demo/core/src/main/java/demo repos/demo/core/src/test/java/demo repos/demo/app/src/main/java/demo
cd repos/demo
echo -Dmaven.repo.local=/usr/share/maven-repo > .mvn/maven.config
parent='<parent><groupId>test.demo</groupId><artifactId>demo</artifactId><version>1.2.0</version></parent>'
cat > pom.xml <<'END'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>test.demo</groupId><artifactId>demo</artifactId><version>1.2.0</version><packaging>pom</packaging>
  <modules><module>core</module><module>app</module></modules>
  <properties>
    <maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
</project>
END
cat > core/pom.xml <<END
<project>
  <modelVersion>4.0.0</modelVersion>$parent<artifactId>demo-core</artifactId>
  <dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version><scope>test</scope></dependency></dependencies>
</project>
END
cat > app/pom.xml <<END
<project>
  <modelVersion>4.0.0</modelVersion>$parent<artifactId>demo-app</artifactId>
  <dependencies><dependency><groupId>test.demo</groupId><artifactId>demo-core</artifactId><version>1.2.0</version></dependency></dependencies>
</project>
END
echo 'package demo; public class Sum { public static int of(int a, int b) { return a + b; } }' > core/src/main/java/demo/Sum.java
echo 'package demo; public class App { int three = Sum.of(1, 2); }' > app/src/main/java/demo/App.java
echo 'package demo; public class SumTest { @org.junit.Test public void adds() { org.junit.Assert.assertEquals(3, Sum.of(1, 2)); } }' > core/src/test/java/demo/SumTest.java
"#;

#[tokio::test]
#[ignore = "needs Debian's packages of Maven and its plugins; `cargo xtask test --all` installs them and runs it"]
async fn a_maven_project_is_looked_at_built_tested_and_packaged_without_network() {
    let world = World::new();
    let mut command = request(1, SandboxMode::WorkflowSession, &["sh", "-euc", MAVEN_PROJECT]).command;
    command.template = TemplateName::new("java-release").expect("a name");
    let made = world.run(of(1, command)).await;
    assert_eq!(made.status, CommandStatus::Succeeded, "{made:?}");

    let versions = run_of(&world, 2, "java-release/tool-versions", None).await;
    for tool in ["java ", "maven 3.", "git ", "curl "] {
        assert!(versions.stdout_excerpt.lines().any(|line| line.starts_with(tool)), "{versions:?}");
    }
    let validated = run_of(&world, 3, "java-release/maven-validate", Some("repos/demo")).await;
    assert!(validated.stdout_excerpt.contains("< test.demo:demo-core >"), "{validated:?}");
    let compiled = run_of(&world, 4, "java-release/maven-compile", Some("repos/demo")).await;
    assert!(compiled.stdout_excerpt.contains("[INFO] Reactor Summary for demo 1.2.0:"), "{compiled:?}");
    let kept =
        |outcome: &ExecOutcome| -> Vec<String> { outcome.captured.iter().map(|file| file.path.clone()).collect() };
    let tested = run_of(&world, 5, "java-release/maven-test", Some("repos/demo")).await;
    assert_eq!(kept(&tested), ["repos/demo/core/target/surefire-reports/TEST-demo.SumTest.xml"], "{tested:?}");
    let packaged = run_of(&world, 6, "java-release/maven-package", Some("repos/demo")).await;
    let jars = ["repos/demo/app/target/demo-app-1.2.0.jar", "repos/demo/core/target/demo-core-1.2.0.jar"];
    assert_eq!(kept(&packaged), jars, "{packaged:?}");
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
