//! What lasts from one command to the next, and what does not.

use std::fs;

use sandbox::{ExecRequest, Provider};

use super::house::{House, instance, key, session, shell, task};

#[tokio::test]
async fn a_session_keeps_workspace_and_home() {
    let house = House::new();
    house.run(session(1, &["sh", "-c", "echo kept > file; echo too > ~/file; echo gone > /tmp/file"])).await;
    let outcome = house.run(session(2, &["sh", "-c", "cat file ~/file; ls -A /tmp"])).await;
    assert_eq!(outcome.stdout_excerpt, "kept\ntoo\n");
}

#[tokio::test]
async fn a_task_and_another_instance_see_nothing_of_a_session() {
    let house = House::new();
    house.run(session(1, &["touch", "file"])).await;
    let look = ["sh", "-c", "ls -A . ~"];
    let elsewhere = ExecRequest { key: key("other", 1), ..session(2, &look) };
    for request in [task(2, &look), elsewhere] {
        assert_eq!(house.run(request).await.stdout_excerpt, ".:\n\n/home/runner:\n");
    }
}

#[tokio::test]
async fn a_task_leaves_nothing_but_its_spool() {
    let house = House::new();
    house.run(task(1, &["sh", "-c", "mkdir -m 0 closed; touch file"])).await;
    assert_eq!(names(&house, "tasks"), [""; 0]);
    assert_eq!(names(&house, "spool"), [key("i", 1).slug()]);
    house.local.discard(&key("i", 1)).await;
    assert_eq!(names(&house, "spool"), [""; 0]);
}

#[tokio::test]
async fn commands_of_a_session_run_one_after_the_other() {
    let house = House::new();
    let script = "mkdir lock && sleep 0.3 && rmdir lock";
    let (first, second) =
        tokio::join!(house.run(session(1, &["sh", "-c", script])), house.run(session(2, &["sh", "-c", script])));
    assert_eq!((first.exit_code, second.exit_code), (Some(0), Some(0)), "{first:?} {second:?}");
}

#[tokio::test]
async fn a_closed_session_is_gone_and_its_spools_stay() {
    let house = House::new();
    house.run(shell("mkdir -p a/b; touch a/b/c; chmod 0 a/b a")).await;
    house.local.close_session(&instance("i")).await;
    assert_eq!(names(&house, "sessions"), [""; 0]);
    assert_eq!(names(&house, "locks"), [""; 0]);
    assert_eq!(names(&house, "spool"), [key("i", 1).slug()]);
}

#[tokio::test]
async fn a_sweep_ends_and_removes_what_belongs_to_no_instance_any_more() {
    let house = House::new();
    house.run(ExecRequest { key: key("kept", 1), ..session(1, &["true"]) }).await;
    let running = session(1, &["sleep", "4715.25"]);
    let marker = house.spool(&running.key).join("started");
    let sweep = async {
        while !marker.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        house.local.sweep(&[instance("kept")]).await
    };
    // The outcome goes with the spool: what this waits for is the end of the wait.
    let (_ended, removed) = tokio::join!(
        tokio::time::timeout(std::time::Duration::from_secs(30), house.local.exec(running.clone())),
        sweep
    );
    assert_eq!(removed, [format!("spool {}", running.key.slug()), "session i".to_owned()]);
    assert_eq!(names(&house, "sessions"), ["kept"]);
    assert_eq!(super::house::processes_with("sleep 4715.25"), [""; 0]);
}

fn names(house: &House, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(house.root().join(folder)).expect("a folder").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
