//! Commands in images: another root file system, and the same fence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sandbox::image::ImageStore;
use sandbox::{ExecRequest, Provider};
use tar::{Builder, EntryType, Header};
use workflow::command::Container;
use workflow::distribution::Descriptor;
use workflow::image::{ImageConfig, ImageIdentity, Layer, Packing};
use workflow::{CommandStatus, Digest};

use super::house::{House, as_root, session, task};

/// Debian's `busybox-static`: a whole system in one file, with no library beside it.
fn busybox() -> Vec<u8> {
    let target = Path::new(env!("CARGO_BIN_EXE_sandbox-launcher")).ancestors().nth(2).expect("it lies in target/debug");
    let places = [target.join("tools/bin/busybox"), "/bin/busybox".into()];
    places.iter().find_map(|place| std::fs::read(place).ok()).expect("there is no `busybox`; run `cargo xtask setup`")
}

/// An image of busybox with these links to it, and a file that only root may read.
fn image(store: &ImageStore, environment: &[(&str, &str)]) -> Container {
    let mut tar = Builder::new(Vec::new());
    let mut add = |kind: EntryType, name: &str, mode: u32, content: &[u8], target: &str| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        if !target.is_empty() {
            header.set_link_name(target).unwrap();
        }
        tar.append_data(&mut header, name, content).unwrap();
    };
    add(EntryType::Regular, "bin/busybox", 0o4755, &busybox(), "");
    for name in
        ["sh", "cat", "id", "ls", "env", "pwd", "hostname", "touch", "wget", "sleep", "rm", "mount", "nc", "true"]
    {
        add(EntryType::Symlink, &format!("bin/{name}"), 0o777, b"", "busybox");
    }
    add(EntryType::Regular, "root/secret", 0o600, b"of the image", "");
    add(EntryType::Regular, "etc/motd", 0o666, b"hello", "");
    // Read by the loader of every dynamic program, and so by that of the processes before the command.
    add(EntryType::Regular, "etc/ld.so.preload", 0o644, b"/bin/busybox\n", "");
    let tar = tar.into_inner().unwrap();
    let digest = store.keep(&tar).unwrap();
    let config = ImageConfig {
        diff_ids: vec![digest.clone()],
        entrypoint: Vec::new(),
        command: Vec::new(),
        environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        working_directory: "/srv".to_owned(),
    };
    let id = Digest::of(format!("{config:?}").as_bytes());
    let blob =
        Descriptor { media_type: String::new(), digest, size: tar.len() as u64, annotations: BTreeMap::default() };
    let incoming = store.try_receive(&id).unwrap().expect("nobody else is here");
    store.unpack(&id, &config, &[Layer { blob, packing: Packing::Plain }], &incoming).unwrap();
    let reference = format!("r.example/busybox@{id}").parse().unwrap();
    Container { image: ImageIdentity { reference, id }, host_name: Some("hermit".to_owned()) }
}

fn within(container: &Container, mut request: ExecRequest) -> ExecRequest {
    request.command.container = Some(Box::new(container.clone()));
    request
}

#[tokio::test]
async fn a_command_finds_the_image_and_nothing_of_the_machine() {
    let house = House::new();
    let container = image(house.local.images(), &[("PATH", "/bin"), ("HOME", "/root"), ("FROM_IMAGE", "yes")]);
    let script = "hostname; pwd; cat /root/secret; echo; echo $FROM_IMAGE $HOME $TMPDIR $USER \"$FROM_TEMPLATE\"; \
                  ls /; ls /etc; ls -A /usr /opt /sys 2>&1";
    let outcome = house.run(within(&container, session(1, &["sh", "-c", script]))).await;
    assert_eq!(outcome.sandbox_digest, container.image.id);
    assert_eq!(
        outcome.stdout_excerpt.split_whitespace().collect::<Vec<_>>().join(" "),
        "hermit /srv of the image yes /home/runner /tmp runner \
         bin dev etc home proc root run srv tmp var workspace \
         group hosts ld.so.preload motd passwd \
         ls: /usr: No such file or directory ls: /opt: No such file or directory ls: /sys: No such file or directory",
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_image_cannot_be_changed_and_gives_no_power() {
    let house = House::new();
    let container = image(house.local.images(), &[]);
    let script = "id -u; id -g; for f in / /bin /etc /etc/motd /root /home /srv; do \
                  touch $f/x 2>/dev/null && echo changed $f; echo x 2>/dev/null >> $f && echo changed $f; done; \
                  mount -t tmpfs none /tmp 2>/dev/null && echo mounted; rm -rf /bin /run/host 2>/dev/null; \
                  cat /proc/self/status | while read k v; do case $k in CapEff:|CapBnd:|NoNewPrivs:|Seccomp:) echo $k $v;; esac; done; \
                  for d in /workspace /home/runner /tmp /var/tmp /run /dev/shm; do touch $d/x && echo writable $d; done";
    let outcome = house.run(within(&container, session(1, &["sh", "-c", script]))).await;
    let bounding = if as_root() { "0000000000000000" } else { "000001ffffffffff" };
    let expected = format!(
        "10001 10001 CapEff: 0000000000000000 CapBnd: {bounding} NoNewPrivs: 1 Seccomp: 2 \
         writable /workspace writable /home/runner writable /tmp writable /var/tmp writable /run writable /dev/shm"
    );
    let said = outcome.stdout_excerpt.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(said, expected, "{outcome:?}");
    // The next command finds it as it was.
    let outcome = house.run(within(&container, session(2, &["sh", "-c", "cat /etc/motd; ls /var/tmp /run"]))).await;
    assert_eq!(
        outcome.stdout_excerpt.split_whitespace().collect::<Vec<_>>(),
        ["hello/run:", "host", "launcher", "/var/tmp:"]
    );
}

#[tokio::test]
async fn a_session_is_shared_with_commands_that_have_no_image() {
    let house = House::new();
    let container = image(house.local.images(), &[]);
    let write = "cat > /workspace/from-image; echo of home > ~/note";
    let mut request = within(&container, session(1, &["sh", "-c", write]));
    request.command.stdin = Some("over standard input".to_owned());
    let outcome = house.run(request).await;
    assert_eq!(outcome.changed_files, ["from-image"], "{outcome:?}");
    let outcome = house.run(session(2, &["sh", "-c", "cat from-image ~/note; exit 7"])).await;
    assert_eq!(outcome.stdout_excerpt, "over standard inputof home\n");
    assert_eq!(outcome.exit_code, Some(7));
    let alone = house.run(within(&container, task(3, &["sh", "-c", "ls -A /workspace ~"]))).await;
    assert_eq!(alone.stdout_excerpt, "/home/runner:\n\n/workspace:\n", "{alone:?}");
}

#[tokio::test]
async fn no_network_leaves_an_image() {
    let house = House::new();
    let container = image(house.local.images(), &[]);
    let outcome = house.run(within(&container, session(1, &["sh", "-c", "cat /proc/net/dev /proc/net/route"]))).await;
    let devices: Vec<_> = outcome.stdout_excerpt.lines().filter_map(|line| line.split_once(':')).collect();
    assert_eq!(devices.iter().map(|(name, _)| name.trim()).collect::<Vec<_>>(), ["lo"], "{outcome:?}");
    assert_eq!(outcome.stdout_excerpt.lines().filter(|line| line.contains("0000")).count(), 0, "a route: {outcome:?}");
}

/// The processes before the command have powers, and are started by a loader
/// that would read such variables.
#[tokio::test]
async fn no_variable_reaches_the_processes_before_the_command() {
    let house = House::new();
    let names = ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GLIBC_TUNABLES", "LD_DEBUG"];
    let variables = names.map(|name| (name, if name == "LD_DEBUG" { "libs" } else { "/workspace/evil.so" }));
    let container = image(house.local.images(), &variables);
    // The program of the image is static: whoever says something is a process of ours.
    let outcome = house.run(within(&container, session(1, &["/bin/env"]))).await;
    assert_eq!((outcome.status, &*outcome.stderr_excerpt), (CommandStatus::Succeeded, ""), "{outcome:?}");
    for name in names {
        assert!(
            outcome.stdout_excerpt.lines().any(|line| line.starts_with(&format!("{name}="))),
            "{name}: {outcome:?}"
        );
    }
    // Here `sh` is dynamic, and says it once.
    let mut request = session(2, &["sh", "-c", ":"]);
    request.command.environment.insert("LD_PRELOAD".to_owned(), "/workspace/evil.so".to_owned());
    let outcome = house.run(request).await;
    assert_eq!(outcome.stderr_excerpt.matches("cannot be preloaded").count(), 1, "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_be_run_says_so_and_runs_nothing() {
    let house = House::new();
    let mut container = image(house.local.images(), &[]);
    let outcome = house.run(within(&container, session(1, &["no-such-program"]))).await;
    assert_eq!((outcome.status, outcome.exit_code), (CommandStatus::Failed, Some(127)));
    container.image.id = Digest::of(b"another");
    let error = house.refused(within(&container, session(2, &["true"]))).await;
    assert!(error.to_string().contains("is not unpacked on this host"), "{error}");
    assert!(!house.local.knows(&session(2, &["true"]).key).await);
}

#[tokio::test]
async fn limits_hold_in_an_image() {
    let house = House::new();
    let container = image(house.local.images(), &[]);
    let mut slow = within(&container, session(1, &["sleep", "60"]));
    slow.command.time_limit_ms = 500;
    assert_eq!(house.run(slow).await.status, CommandStatus::TimedOut);
    let bomb = "x=xxxxxxxx; while :; do x=$x$x; done";
    let outcome = house.run(within(&container, session(2, &["sh", "-c", bomb]))).await;
    assert_ne!(outcome.status, CommandStatus::Succeeded, "{outcome:?}");
    let flood = house
        .run(within(&container, session(3, &["sh", "-c", "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done"])))
        .await;
    assert_eq!(flood.status, CommandStatus::Killed, "{flood:?}");
}

/// The loader of the processes before the command says on standard error what it cannot load.
#[tokio::test]
async fn no_library_of_an_image_reaches_the_processes_before_the_command() {
    let house = House::new();
    let container = image(house.local.images(), &[]);
    let outcome = house.run(within(&container, session(1, &["true"]))).await;
    assert_eq!((outcome.status, &*outcome.stderr_excerpt), (CommandStatus::Succeeded, ""), "{outcome:?}");
}

/// Where the images of this test are is no place for a link.
#[test]
fn the_root_of_an_image_is_found_from_anywhere() {
    let house = House::new();
    let container = image(house.local.images(), &[]);
    let root: PathBuf = house.local.images().unpacked(&container.image.id).unwrap().root;
    assert!(root.is_absolute() && root.join("bin/busybox").is_file());
}
