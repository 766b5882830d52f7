//! `vfork`: if it is false, a program is started from a copy of the caller, as by fork(2). The
//! caller then waits as for any copy: its signal handlers run.

use perlxs::{Call, Scalar};

use super::{Needs, Plan, Step};
use crate::error::Error;

#[derive(Debug, Default)]
pub(super) struct Vfork {
    refused: bool,
}

impl Step for Vfork {
    fn options(&self) -> &'static [&'static str] {
        &["vfork"]
    }

    fn read(&mut self, _: &Call<'_>, _: &'static str, value: Option<&Scalar>) -> Result<(), Error> {
        self.refused = match value {
            Some(value) => !value.is_true()?,
            None => false,
        };
        Ok(())
    }

    fn needs(&self, _: &Plan) -> Needs {
        match self.refused {
            true => Needs::Memory,
            false => Needs::Nothing,
        }
    }
}
