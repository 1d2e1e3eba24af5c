//! What a sandbox cannot reach: tried from inside by a hostile script.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;

use workflow::CommandStatus;

use super::house::{House, as_root, python, session, shell};

/// Tries each thing, prints `name ok` or `name ERRNO`.
const PROBE: &str = r#"
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
port = int(sys.argv[1])

def attempt(name, call):
    try:
        call()
        print(name, "ok")
    except OSError as error:
        print(name, errno.errorcode.get(error.errno, error))

def connect(family, kind, address):
    s = socket.socket(family, kind)
    s.settimeout(3)
    s.connect(address)
    s.send(b"x")

def syscall(number, *arguments):
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), "refused")

tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
attempt("tcp", lambda: connect(socket.AF_INET, tcp, ("1.1.1.1", 80)))
attempt("udp", lambda: connect(socket.AF_INET, udp, ("1.1.1.1", 53)))
attempt("loopback", lambda: connect(socket.AF_INET, tcp, ("127.0.0.1", port)))
attempt("abstract", lambda: connect(socket.AF_UNIX, tcp, b"\0" + sys.argv[2].encode()))
attempt("vsock", lambda: connect(40, tcp, (2, 1)))
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW))
attempt("io_uring", lambda: syscall(425, 1, ctypes.create_string_buffer(120)))
attempt("keyctl", lambda: syscall(250, 0, -3, 0))
attempt("unshare", lambda: syscall(272, 0x10000000))
attempt("clone", lambda: syscall(56, 0x10000000 | 17, 0, 0, 0, 0))
attempt("clone3", lambda: syscall(435, ctypes.create_string_buffer(88), 88))
attempt("ptrace", lambda: syscall(101, 16, 1, 0, 0))
attempt("x32", lambda: syscall(0x40000000 | 39))
attempt("mount", lambda: syscall(165, b"none", b"/tmp", b"tmpfs", 0, 0))
attempt("kill-init", lambda: os.kill(1, 9))
attempt("setuid", lambda: os.setuid(0))
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("root-home", lambda: os.listdir("/root"))
attempt("usr", lambda: open("/usr/bin/x", "w"))
attempt("etc", lambda: open("/etc/x", "w"))
attempt("top", lambda: open("/x", "w"))
attempt("launcher", lambda: open("/run/launcher", "r+"))
attempt("init-memory", lambda: open("/proc/1/mem", "rb"))
attempt("init-environment", lambda: open("/proc/1/environ", "rb").read())
attempt("core-pattern", lambda: open("/proc/sys/kernel/core_pattern", "w"))
try:
    socket.getaddrinfo("example.com", 80)
    print("dns ok")
except socket.gaierror:
    print("dns none")
"#;

#[tokio::test]
async fn nothing_outside_can_be_reached() {
    let house = House::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let name = format!("sandbox-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let _abstract = std::os::unix::net::UnixListener::bind_addr(&address).expect("a listener");
    let port = listener.local_addr().expect("an address").port().to_string();
    let outcome = house.run(session(1, &["python3", "-c", PROBE, &port, &name])).await;
    assert_eq!(outcome.status, CommandStatus::Succeeded, "{outcome:?}");
    // In a user namespace init has the same user, and the kernel drops the signal to a process 1.
    let (kill_init, setuid) = if as_root() { ("EPERM", "EPERM") } else { ("ok", "EINVAL") };
    assert_eq!(
        outcome.stdout_excerpt,
        format!(
            "tcp ENETUNREACH\nudp ENETUNREACH\nloopback ECONNREFUSED\nabstract ECONNREFUSED\nvsock EPERM\npacket EPERM\n\
         io_uring EPERM\nkeyctl EPERM\nunshare EPERM\nclone EPERM\nclone3 ENOSYS\nptrace EPERM\nx32 EPERM\nmount EPERM\n\
         kill-init {kill_init}\nsetuid {setuid}\nshadow ENOENT\nroot-home ENOENT\nusr EROFS\netc EROFS\ntop EROFS\nlauncher EACCES\n\
         init-memory EACCES\ninit-environment EACCES\ncore-pattern EACCES\ndns none\n"
        )
    );
}

#[tokio::test]
async fn the_command_is_nobody_special() {
    let house = House::new();
    let outcome = house
        .run(shell("id -u; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; ls -A /proc/self/fd | wc -l"))
        .await;
    let none = "0000000000000000";
    assert_eq!(
        outcome.stdout_excerpt,
        format!(
            "{}\nCapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t{none}\nCapAmb:\t{none}\nNoNewPrivs:\t1\nSeccomp:\t2\n4\n",
            sandbox::local::SANDBOX_ID
        )
    );
}

#[tokio::test]
async fn only_listed_places_answer_through_the_proxy_and_a_refusal_is_a_violation() {
    let house = House::with(|config| {
        // Where nothing listens: the decision is what counts here.
        config.resolve.insert("crates.demo.test:80".to_owned(), "127.0.0.1:9".parse().expect("an address"));
    });
    let mut request = shell("curl -sSf http://elsewhere.test/ ; curl -sS http://crates.demo.test/ >/dev/null; exit 1");
    request.command.egress = vec!["crates.demo.test:80".to_owned()];
    let outcome = house.run(request).await;
    assert_eq!(outcome.status, CommandStatus::PolicyViolation, "{outcome:?}");
    let decisions: Vec<_> = outcome.egress.iter().map(|decision| (&*decision.target, decision.allowed)).collect();
    assert_eq!(decisions, [("elsewhere.test:80", false), ("crates.demo.test:80", true)], "{outcome:?}");
}

#[tokio::test]
async fn a_place_that_the_template_does_not_list_cannot_be_asked_for() {
    let house = House::new();
    let mut request = shell("true");
    request.command.egress = vec!["elsewhere.test:443".to_owned()];
    let error = house.refused(request).await;
    assert!(error.to_string().contains("egress to `elsewhere.test:443`"), "{error}");
}

#[tokio::test]
async fn without_egress_there_is_no_proxy() {
    let house = House::new();
    let script = "import socket; s = socket.socket()\ntry: s.connect(('127.0.0.1', 3128)); print('open')\nexcept ConnectionRefusedError: print('closed')";
    assert_eq!(house.run(python(script)).await.stdout_excerpt, "closed\n");
}
