//! A host that is not root has the same fences.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::{env, fs};

use sandbox::Provider;
use workflow::CommandStatus;
use workflow::command::SandboxMode;

use super::world::{key, local, request, templates};

/// An id without an account, for the host itself.
const SPARE_ID: u32 = 61_900;

/// Where the other process finds its folder.
const FOLDER: &str = "SANDBOX_TEST_FOLDER";

const PROBE: &str = "id -u; cat /proc/sys/kernel/hostname; cat /etc/shadow /root/.profile 2>&1 | grep -c 'No such file'; \
    touch /usr/x 2>&1 | grep -o 'Read-only'; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; \
    unshare -U true 2>&1 | grep -o 'not permitted'; kill -9 1; ls /proc/1/fd 2>&1 | grep -c denied; \
    echo kept > kept; curl -sS -m 3 http://1.1.1.1 2>&1 | grep -o 'Could not\\|connect' | head -n 1";

#[test]
fn a_host_that_is_not_root_runs_commands_behind_the_same_fences() {
    let folder = tempfile::tempdir().expect("a folder");
    let copied = |path: &Path, name: &str| -> PathBuf {
        let copy = folder.path().join(name);
        fs::copy(path, &copy).expect("a copy");
        copy
    };
    // The build's own folder may be closed to others.
    let program = copied(&env::current_exe().expect("a program"), "program");
    copied(&super::world::launcher(), "launcher");
    let state = folder.path().join("state");
    fs::create_dir(&state).expect("a folder");
    templates(&state);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");

    let mut host = if rustix::process::geteuid().is_root() {
        chown(&state, Some(SPARE_ID), Some(SPARE_ID)).expect("an owner");
        let id = SPARE_ID.to_string();
        let mut setpriv = Process::new("setpriv");
        setpriv.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(&program);
        setpriv
    } else {
        Process::new(&program)
    };
    let done = host
        .args(["--exact", "--ignored", "--nocapture", "conformance::unprivileged::host_process"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env(FOLDER, folder.path())
        .current_dir("/")
        .output()
        .expect("a process");
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{printed}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(printed.contains("1 passed"), "{printed}");
}

/// Not a test of its own: the test above starts it as another user.
#[tokio::test]
#[ignore = "started by a_host_that_is_not_root_runs_commands_behind_the_same_fences"]
async fn host_process() {
    let folder = PathBuf::from(env::var_os(FOLDER).expect("the folder"));
    assert!(!rustix::process::geteuid().is_root());
    let state = folder.join("state");
    let template = sandbox::Template::load(&state.join("conformance")).expect("a template");
    let templates = std::sync::Arc::new([template].into_iter().collect());
    let local = local(&state, templates, folder.join("launcher"), Default::default());
    let run = |sequence, script| {
        let request = request(sequence, SandboxMode::WorkflowSession, &["sh", "-c", script]);
        let local = &local;
        async move { local.exec(request).await.unwrap_or_else(|error| panic!("no outcome: {error}")) }
    };

    let outcome = run(1, PROBE).await;
    assert_eq!(outcome.status, CommandStatus::Succeeded, "{outcome:?}");
    let lines: Vec<_> = outcome.stdout_excerpt.lines().collect();
    assert_ne!(lines[0], "0", "{outcome:?}");
    let fences = [
        "sandbox",
        "2",
        "Read-only",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "not permitted",
        "1",
    ];
    assert_eq!(lines[1..9], fences, "{outcome:?}");
    let kept = run(2, "cat kept; mkdir closed; chmod 0 closed").await;
    assert_eq!(kept.stdout_excerpt, "kept\n", "{kept:?}");
    local.close_session(&key(1).instance).await;
    assert_eq!(fs::read_dir(state.join("root/sessions")).expect("sessions").count(), 0);
}
