//! `hostname`: of a new UTS namespace (sethostname(2), uts_namespaces(7)).

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{FUNCTION, Plan, Scene, Step, Stop};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::spawn::refusal::wrong;
use crate::sys;

#[derive(Debug, Default)]
pub(super) struct HostName {
    name: Option<Vec<u8>>,
}

impl Step for HostName {
    fn options(&self) -> &'static [&'static str] {
        &["hostname"]
    }

    fn read(&mut self, _: &Call<'_>, _: &'static str, value: Option<&Scalar>) -> Result<(), Error> {
        self.name = value.map(host_name).transpose()?;
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        if self.name.is_some() {
            plan.flags |= CloneFlags::NEWUTS;
        }
        Ok(())
    }

    fn act(&self, _: &Scene<'_>) -> Result<(), Stop> {
        if let Some(name) = &self.name {
            sys::set_hostname(name)?;
        }
        Ok(())
    }

    fn about<'a>(&'a self, _: &'a Plan) -> Option<&'a [u8]> {
        self.name.as_deref()
    }

    fn hint(&self, _: u8, errno: c_int, plan: &Plan) -> Option<String> {
        match errno {
            libc::EPERM => plan.right_hint(errno, "CAP_SYS_ADMIN in the user namespace"),
            _ => None,
        }
    }
}

fn host_name(value: &Scalar) -> Result<Vec<u8>, Error> {
    // HOST_NAME_MAX of Linux
    const LONGEST: usize = 64;
    let name = read::string(FUNCTION, "hostname", value)?.into_bytes();
    match name.len() {
        0..=LONGEST => Ok(name),
        length => Err(wrong(format!(
            "hostname has {length} bytes, but {LONGEST} are the most"
        ))),
    }
}
