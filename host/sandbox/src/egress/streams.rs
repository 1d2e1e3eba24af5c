//! Copies bytes between two sockets until both have nothing more to say.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;

/// A socket of either family.
pub trait Socket: Read + Write + Send + Sized + 'static {
    fn duplicate(&self) -> io::Result<Self>;
    fn end(&self, how: Shutdown);
}

impl Socket for TcpStream {
    fn duplicate(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self, how: Shutdown) {
        // Fails only if the other side has ended it before.
        let _ = self.shutdown(how);
    }
}

impl Socket for UnixStream {
    fn duplicate(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self, how: Shutdown) {
        let _ = self.shutdown(how);
    }
}

/// Copies one way, then tells the receiver that no more comes.
pub fn pump<A: Socket, B: Socket>(from: &mut A, to: &mut B) {
    if io::copy(from, to).is_err() {
        from.end(Shutdown::Both);
        to.end(Shutdown::Both);
    } else {
        to.end(Shutdown::Write);
    }
}

/// Copies both ways: `back` in a thread of its own, `there` in this one, which
/// may look at the bytes first.
pub fn join<A: Socket, B: Socket>(client: &A, upstream: &B, there: impl FnOnce(A, B)) -> io::Result<()> {
    let (client_in, upstream_out) = (client.duplicate()?, upstream.duplicate()?);
    let (mut upstream_in, mut client_out) = (upstream.duplicate()?, client.duplicate()?);
    let back = thread::Builder::new().spawn(move || pump(&mut upstream_in, &mut client_out))?;
    there(client_in, upstream_out);
    // A panic in the other thread has nothing to tell us.
    let _ = back.join();
    Ok(())
}
