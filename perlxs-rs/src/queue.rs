//! Work for perl's thread from other threads.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use crate::{Perl, Result};

type Job = Box<dyn FnOnce(Perl) -> Result<()> + Send>;

/// What other threads want done by the interpreter's: no other may touch anything of perl's.
///
/// They send closures to its [`Remote`], which the interpreter's thread runs, in their order, when
/// it calls [`drain`](Queue::drain). Its descriptor is readable while there are any: an event loop
/// waits for that. What has not been run when the queue is dropped is dropped.
///
/// ```
/// # use perlxs::*;
/// # use std::cell::RefCell;
/// # use std::os::fd::AsRawFd;
/// thread_local! {
///     static QUEUE: RefCell<Option<Queue>> = const { RefCell::new(None) };
/// }
///
/// /// `count_to($n)`: a thread of Rust's counts, and `@Count::heard` hears of it; returns the
/// /// descriptor to wait for.
/// fn count_to(call: &Call<'_>) -> Result<Value> {
///     let n = call.arg(0).iv()?;
///     let (remote, queue): (Remote, Queue) = Queue::new()?;
///     let fd = queue.as_raw_fd();
///     QUEUE.with(|place| place.replace(Some(queue)));
///     std::thread::spawn(move || {
///         for i in 1..=n {
///             remote.send(move |perl| perl.array(c"Count::heard")?.push(i));
///         }
///     });
///     Ok(fd.into())
/// }
///
/// /// `hear()`: how many have been heard of.
/// fn hear(call: &Call<'_>) -> Result<Value> {
///     QUEUE.with(|place| match &*place.borrow() {
///         Some(queue) => Ok(queue.drain(call.perl())?.into()),
///         None => Err(Error::croak("nobody counts")),
///     })
/// }
/// ```
/// ```perl
/// my $fd = count_to(3);
/// for (my $n = 0; $n < 3; $n += hear()) { vec(my $set, $fd, 1) = 1; select $set, undef, undef, 9 }
/// @Count::heard;                  # 1, 2, 3
/// hear();                       # 0
/// ```
#[derive(Debug)]
pub struct Queue {
    jobs: Receiver<Job>,
    awake: UnixStream,
    remote: Arc<UnixStream>,
}

/// The end of a [`Queue`] that other threads have: they clone it and send it to each other.
///
/// Example: [`Queue`].
#[derive(Clone, Debug)]
pub struct Remote {
    jobs: Sender<Job>,
    wake: Arc<UnixStream>,
}

/// Makes the queue's descriptor readable, if it is not yet.
fn wake(stream: &UnixStream) {
    let mut stream = stream;
    loop {
        match stream.write(&[0]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // there is a byte already, or nobody to hear of it
            _ => return,
        }
    }
}

impl Queue {
    /// A new queue, and its other end.
    ///
    /// Returns `Err` if the process has no descriptors left (socketpair(2)).
    ///
    /// Example: [`Queue`].
    pub fn new() -> io::Result<(Remote, Queue)> {
        let (awake, wake) = UnixStream::pair()?;
        awake.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        let (sender, jobs) = mpsc::channel();
        let wake = Arc::new(wake);
        let remote = Remote {
            jobs: sender,
            wake: Arc::clone(&wake),
        };
        let queue = Queue {
            jobs,
            awake,
            remote: wake,
        };
        Ok((remote, queue))
    }

    /// Runs what is there, and returns how much that was.
    ///
    /// Returns `Err` with what one of them returns, or passes on its panic; those after it wait for
    /// the next time.
    ///
    /// Example: [`Queue`].
    pub fn drain(&self, perl: Perl) -> Result<usize> {
        let mut awake = &self.awake;
        let mut bytes = [0; 64];
        while matches!(awake.read(&mut bytes), Ok(1..)) {}
        // whoever sends from here on wakes again
        let mut unfinished = Unfinished(Some(&self.remote));
        let mut done = 0;
        while let Ok(job) = self.jobs.try_recv() {
            job(perl)?;
            done += 1;
        }
        unfinished.0 = None;
        Ok(done)
    }
}

/// Wakes again if the rest has been left.
struct Unfinished<'a>(Option<&'a UnixStream>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(stream) = self.0 {
            wake(stream);
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.awake.as_fd()
    }
}

impl AsRawFd for Queue {
    fn as_raw_fd(&self) -> RawFd {
        self.awake.as_raw_fd()
    }
}

impl Remote {
    /// Hands over what the interpreter's thread is to do. Returns whether there is still a queue
    /// for it.
    ///
    /// Example: [`Queue`].
    pub fn send(&self, job: impl FnOnce(Perl) -> Result<()> + Send + 'static) -> bool {
        let sent = self.jobs.send(Box::new(job)).is_ok();
        if sent {
            wake(&self.wake);
        }
        sent
    }
}
