//! `cwd`: the working directory of a program (chdir(2)).

use std::ffi::CString;

use perlxs::{Call, Scalar};

use super::{FUNCTION, Plan, Scene, Step, Stop, bytes};
use crate::error::Error;
use crate::read;
use crate::sys;

#[derive(Debug, Default)]
pub(super) struct Cwd {
    directory: Option<CString>,
}

impl Step for Cwd {
    fn options(&self) -> &'static [&'static str] {
        &["cwd"]
    }

    fn read(
        &mut self,
        _: &Call<'_>,
        option: &'static str,
        value: Option<&Scalar>,
    ) -> Result<(), Error> {
        self.directory = value
            .map(|value| read::string(FUNCTION, option, value))
            .transpose()?;
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        match self.directory {
            Some(_) => plan.needs_program("cwd"),
            None => Ok(()),
        }
    }

    fn act(&self, _: &Scene<'_>) -> Result<(), Stop> {
        if let Some(directory) = &self.directory {
            sys::change_directory(directory)?;
        }
        Ok(())
    }

    fn about<'a>(&'a self, _: &'a Plan) -> Option<&'a [u8]> {
        bytes(&self.directory)
    }
}
