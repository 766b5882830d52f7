//! `cwd`: the working directory of a program (chdir(2)).

use std::ffi::CString;

use libc::c_int;
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
        plan.cwd = self.directory.take();
        match plan.cwd {
            Some(_) => plan.needs_program("cwd"),
            None => Ok(()),
        }
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        if let Some(directory) = &scene.plan.cwd {
            sys::change_directory(directory)?;
        }
        Ok(())
    }

    fn about<'a>(&'a self, plan: &'a Plan) -> Option<&'a [u8]> {
        bytes(&plan.cwd)
    }

    fn hint(&self, _: u8, errno: c_int, plan: &Plan) -> Option<String> {
        match errno {
            libc::EACCES => plan.ids_hint(plan.cwd.as_deref()?, true),
            _ => None,
        }
    }
}
