//! `stdin`, `stdout`, `stderr`: what becomes descriptor 0, 1 and 2 of a program (dup2(2)).

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{FUNCTION, Plan, Scene, Step, Stop};
use crate::error::Error;
use crate::read;
use crate::sys;

const NAMES: [&str; 3] = ["stdin", "stdout", "stderr"];

#[derive(Debug, Default)]
pub(super) struct Streams {
    given: [Option<c_int>; 3],
}

impl Streams {
    pub(super) fn with_stderr(fd: c_int) -> Self {
        let given = [None, None, Some(fd)];
        Streams { given }
    }
}

impl Step for Streams {
    fn options(&self) -> &'static [&'static str] {
        &NAMES
    }

    fn read(
        &mut self,
        _: &Call<'_>,
        option: &'static str,
        value: Option<&Scalar>,
    ) -> Result<(), Error> {
        let given = value.map(|value| stream(option, value)).transpose()?;
        if let Some(n) = NAMES.iter().position(|&name| name == option) {
            self.given[n] = given;
        }
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        match self.given.iter().position(Option::is_some) {
            Some(n) => plan.needs_program(NAMES[n]),
            None => Ok(()),
        }
    }

    fn act(&self, _: &Scene<'_>) -> Result<(), Stop> {
        let mut streams = self.given;
        // those that lie where another goes first get out of the way
        for (n, stream) in streams.iter_mut().enumerate() {
            if let Some(fd) = stream.filter(|&fd| fd <= 2 && fd != n as c_int) {
                *stream = Some(sys::copy_above_standard(fd).map_err(Stop::at(n))?);
            }
        }
        for (n, stream) in streams.into_iter().enumerate() {
            match stream {
                None => Ok(()),
                Some(fd) if fd == n as c_int => sys::keep_over_exec(fd),
                Some(fd) => sys::copy_to(fd, n as c_int),
            }
            .map_err(Stop::at(n))?;
        }
        Ok(())
    }
}

/// An open descriptor: a number that is none could become one of spawn's own.
fn stream(name: &str, value: &Scalar) -> Result<c_int, Error> {
    let fd = read::descriptor(FUNCTION, name, value)?;
    match sys::is_open(fd) {
        true => Ok(fd),
        false => Err(Error::Errno(libc::EBADF)),
    }
}
