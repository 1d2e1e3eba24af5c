//! Debian's brokers of messages on loopback, each in a folder of its own, for one test.

#![allow(clippy::disallowed_methods, reason = "tests start the servers that the client talks to")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Authority;

/// `mosquitto`: MQTT 3.1.1 and 5.
pub struct Mosquitto(Running);

/// `nats-server`.
pub struct NatsServer(Running);

impl Mosquitto {
    /// On a free port, with more lines of `mosquitto.conf`.
    pub fn start(configuration: &str) -> Self {
        Self::started(|_| configuration.to_owned())
    }

    /// With TLS, as `localhost`.
    pub fn secure(authority: &Authority, configuration: &str) -> Self {
        let (certificate, key) = authority.certificate(&["localhost"]);
        Self::started(|folder| {
            let (certificate_file, key_file) = (folder.join("certificate.pem"), folder.join("key.pem"));
            std::fs::write(&certificate_file, &certificate).expect("a certificate can be written");
            std::fs::write(&key_file, &key).expect("a key can be written");
            format!("certfile {}\nkeyfile {}\n{configuration}", certificate_file.display(), key_file.display())
        })
    }

    fn started(configuration: impl Fn(&Path) -> String) -> Self {
        Self(Running::start(|folder, port| {
            // Everything in memory, and no other user.
            let head = format!("listener {port} 127.0.0.1\nuser root\nlog_dest stderr\npersistence false\n");
            let file = folder.join("mosquitto.conf");
            std::fs::write(&file, head + &configuration(folder)).expect("a configuration can be written");
            let mut command = command("mosquitto");
            command.arg("-c").arg(file);
            command
        }))
    }

    /// A file of passwords with one user.
    pub fn password(file: &Path, user: &str, password: &str) {
        let status = command("mosquitto_passwd").args(["-b", "-c"]).arg(file).args([user, password]).status();
        assert!(status.is_ok_and(|status| status.success()), "`mosquitto_passwd` makes a file");
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// What it wrote into its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.0.folder.path().join("log")).unwrap_or_default()
    }

    /// Publishes one message with QoS 1, and returns when the broker has it.
    pub fn publish(&self, topic: &str, payload: &str) {
        let text = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
        let packet = |first: u8, body: Vec<u8>| {
            assert!(body.len() < 128, "one byte says how long it is");
            [vec![first, body.len() as u8], body].concat()
        };
        // Version 3.1.1, a clean session, nobody to keep alive.
        let connect = packet(0x10, [text("MQTT"), vec![4, 2, 0, 0], text("publisher")].concat());
        let publish = packet(0x32, [text(topic), vec![0, 1], payload.as_bytes().to_vec()].concat());
        let mut stream = TcpStream::connect(self.address()).expect("the broker listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket has a limit");
        stream.write_all(&[connect, publish].concat()).expect("the broker reads");
        let mut answers = [0; 8];
        stream.read_exact(&mut answers).expect("the broker answers");
        assert_eq!(answers, [0x20, 2, 0, 0, 0x40, 2, 0, 1], "it welcomes, and has the message");
    }
}

impl NatsServer {
    /// On a free port.
    pub fn start(arguments: &[&str]) -> Self {
        Self(Running::start(|_, port| {
            let mut command = command("nats-server");
            command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]).args(arguments);
            command
        }))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

/// A server that ends with the test.
struct Running {
    address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Running {
    fn start(command: impl Fn(&Path, u16) -> Command) -> Self {
        // Somebody else may take the port in between.
        for _ in 0..5 {
            let folder = TempDir::new().expect("a folder can be made");
            let port = free_port();
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let log = std::fs::File::create(folder.path().join("log")).expect("a log can be written");
            let errors = log.try_clone().expect("a file has two handles");
            let mut command = command(folder.path(), port);
            let child = command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
            let child = child.unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
            let mut running = Self { address, child, folder };
            if running.listens() {
                return running;
            }
        }
        panic!("no broker listens; what it said is above");
    }

    fn listens(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                eprintln!("the broker ended with {status}: {log}");
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a listener has an address").port()
}

/// A program of a Debian package: unpacked by `cargo xtask setup`, or installed.
fn command(name: &str) -> Command {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let folders = [target.join("usr/sbin"), target.join("usr/bin"), "/usr/sbin".into(), "/usr/bin".into()];
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    let path = found.unwrap_or_else(|| panic!("there is no `{name}`; run `cargo xtask setup`"));
    let mut command = Command::new(path);
    // Where libraries of unpacked packages are; installed ones are found without it.
    command.env("LD_LIBRARY_PATH", target.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH)));
    command
}
