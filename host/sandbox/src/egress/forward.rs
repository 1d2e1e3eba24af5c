//! Inside the sandbox: from 127.0.0.1 to the unix socket of the proxy.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::streams::{join, pump};

/// Copies each connection on `listen` to the unix socket, for ever.
pub fn forward(listen: TcpListener, socket: &Path) -> ! {
    loop {
        let Ok((client, _)) = listen.accept() else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let socket: PathBuf = socket.to_owned();
        // At the limit of processes the connection is closed, and the tool says so.
        let _ = thread::Builder::new().stack_size(64 * 1024).spawn(move || {
            if let Ok(proxy) = UnixStream::connect(&socket) {
                let _ = join(&client, &proxy, |mut client, mut proxy| pump(&mut client, &mut proxy));
            }
        });
    }
}
