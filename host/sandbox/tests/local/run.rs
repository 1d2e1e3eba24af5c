//! What a command gets and what comes back.

use sandbox::ExecError;
use workflow::CommandStatus;

use super::house::{House, python, read, session, shell, task};

#[tokio::test]
async fn cargo_git_and_python_run_in_a_sandbox() {
    let house = House::new();
    for (sequence, program) in ["cargo", "rustc", "git", "python3"].into_iter().enumerate() {
        let outcome = house.run(session(sequence as u32, &[program, "--version"])).await;
        assert_eq!((outcome.status, outcome.exit_code), (CommandStatus::Succeeded, Some(0)), "{outcome:?}");
        assert!(!outcome.stdout_excerpt.is_empty(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_crate_is_built_and_tested_in_a_session() {
    let house = House::new();
    let script =
        "cargo init -q --vcs none --lib --name demo . && cargo test --offline 2>&1 && git init -q && git status -s";
    let outcome = house.run(shell(script)).await;
    assert_eq!(outcome.status, CommandStatus::Succeeded, "{outcome:?}");
    assert!(outcome.stdout_excerpt.contains("test result: ok"), "{outcome:?}");
    assert!(outcome.changed_files.iter().any(|path| path == "Cargo.toml"), "{:?}", outcome.changed_files);
}

#[tokio::test]
async fn streams_are_kept_apart_and_whole() {
    let house = House::new();
    let outcome = house.run(shell("echo out; echo err >&2; yes | head -n 50000")).await;
    assert_eq!(outcome.status, CommandStatus::Succeeded, "{outcome:?}");
    assert_eq!(read(&outcome.stdout), format!("out\n{}", "y\n".repeat(50_000)));
    assert_eq!(read(&outcome.stderr), "err\n");
    assert!(outcome.stdout_excerpt.len() <= 64 << 10);
}

#[tokio::test]
async fn exit_codes_and_signals_come_back_as_they_were() {
    let house = House::new();
    for (sequence, script, status, code, summary) in [
        (1, "exit 3", CommandStatus::Failed, Some(3), "exit code 3"),
        (2, "kill -SEGV $$", CommandStatus::Failed, None, "killed by signal 11 (SIGSEGV)"),
        (3, "exec no-such-program", CommandStatus::Failed, Some(127), "exit code 127"),
        (4, "exit 255", CommandStatus::Failed, Some(255), "exit code 255"),
    ] {
        let outcome = house.run(session(sequence, &["sh", "-c", script])).await;
        assert_eq!((outcome.status, outcome.exit_code, &*outcome.summary), (status, code, summary), "{outcome:?}");
    }
    let outcome = house.run(session(5, &["no-such-program"])).await;
    assert_eq!((outcome.status, outcome.exit_code), (CommandStatus::Failed, Some(127)));
    assert!(outcome.stderr_excerpt.contains("failed to start `no-such-program`"), "{outcome:?}");
}

#[tokio::test]
async fn standard_input_arrives_whole_and_ends() {
    let house = House::new();
    let mut request = session(1, &["sha256sum"]);
    request.command.stdin = Some("x".repeat(300_000));
    let outcome = house.run(request).await;
    let expected = workflow::Digest::of("x".repeat(300_000).as_bytes());
    assert!(outcome.stdout_excerpt.starts_with(expected.hex()), "{outcome:?}");
    let outcome = house.run(session(2, &["cat"])).await;
    assert_eq!((outcome.exit_code, &*outcome.stdout_excerpt), (Some(0), ""));
}

#[tokio::test]
async fn the_environment_is_ours_alone() {
    let house = House::new();
    let mut request = session(1, &["env"]);
    request.command.environment.insert("FROM_COMMAND".to_owned(), "too".to_owned());
    let outcome = house.run(request).await;
    let mut lines: Vec<_> = outcome.stdout_excerpt.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "CARGO_HOME=/home/runner/.cargo",
            "FROM_COMMAND=too",
            "FROM_TEMPLATE=yes",
            "HOME=/home/runner",
            "LANG=C.UTF-8",
            "PATH=/opt/rust/bin:/usr/local/bin:/usr/bin:/bin",
            "TMPDIR=/tmp",
            "USER=runner",
        ]
    );
}

#[tokio::test]
async fn a_command_works_below_the_workspace() {
    let house = House::new();
    house.run(session(1, &["mkdir", "-p", "a/b"])).await;
    let mut request = session(2, &["pwd"]);
    request.command.working_directory = "a/b".to_owned();
    assert_eq!(house.run(request).await.stdout_excerpt, "/workspace/a/b\n");
}

#[tokio::test]
async fn files_go_in_and_are_captured() {
    let house = House::new();
    let file = house.folder().join("input");
    std::fs::write(&file, "the input").expect("a file");
    let mut request = task(1, &["sh", "-c", "cat in/file > out.txt; echo no > other"]);
    request.inputs.insert("in/file".to_owned(), file);
    request.command.capture = vec!["*.txt".to_owned()];
    let outcome = house.run(request).await;
    assert_eq!(outcome.status, CommandStatus::Succeeded, "{outcome:?}");
    let captured: Vec<_> = outcome.captured.iter().map(|file| (&*file.path, read(&file.file))).collect();
    assert_eq!(captured, [("out.txt", "the input".to_owned())]);
    assert_eq!(outcome.changed_files, ["other", "out.txt"]);
}

#[tokio::test]
async fn a_process_that_the_command_leaves_does_not_outlive_it() {
    let house = House::new();
    let outcome = house.run(shell("setsid sleep 4711.25 & echo started")).await;
    assert_eq!((outcome.exit_code, &*outcome.stdout_excerpt), (Some(0), "started\n"));
    assert_eq!(super::house::processes_with("sleep 4711.25"), [""; 0]);
}

#[tokio::test]
async fn orphans_are_reaped() {
    let house = House::new();
    let script = "import os, time\n\
        for _ in range(20):\n    \
            pid = os.fork()\n    \
            if pid == 0:\n        \
                if os.fork() == 0: os._exit(0)\n        \
                os._exit(0)\n    \
            os.waitpid(pid, 0)\n\
        time.sleep(0.3)\n\
        states = [open(f'/proc/{p}/stat').read().rsplit(')')[1].split()[0] for p in os.listdir('/proc') if p.isdigit()]\n\
        print(states.count('Z'))";
    let outcome = house.run(python(script)).await;
    assert_eq!(outcome.stdout_excerpt, "0\n", "{outcome:?}");
}

#[tokio::test]
async fn without_bubblewrap_nothing_runs_and_the_way_to_get_it_is_said() {
    let house = House::with(|config| config.program_folders = vec!["/nonexistent".into()]);
    let error = house.refused(shell("true")).await;
    assert!(matches!(error, ExecError::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("apt-get install bubblewrap"), "{error}");
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_made_is_an_error_and_may_be_tried_again() {
    let house = House::new();
    let mut request = task(1, &["cat", "file"]);
    request.inputs.insert("file".to_owned(), house.folder().join("late"));
    let error = house.refused(request.clone()).await;
    assert!(matches!(error, ExecError::Start { .. }), "{error:?}");
    std::fs::write(house.folder().join("late"), "here").expect("a file");
    assert_eq!(house.run(request).await.stdout_excerpt, "here");
}
