//! `cgroup`: the child starts in a control group (clone3(2), CLONE_INTO_CGROUP; cgroups(7)).

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{FUNCTION, Plan, Step};
use crate::child::control_group;
use crate::error::Error;
use crate::flags::CloneFlags;

#[derive(Debug, Default)]
pub(super) struct Cgroup {
    /// The descriptor of its directory.
    directory: Option<u64>,
}

impl Step for Cgroup {
    fn options(&self) -> &'static [&'static str] {
        &["cgroup"]
    }

    fn read(&mut self, _: &Call<'_>, _: &'static str, value: Option<&Scalar>) -> Result<(), Error> {
        let directory = |value| control_group(FUNCTION, value);
        self.directory = value.map(directory).transpose()?;
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        plan.cgroup = self.directory;
        if self.directory.is_some() {
            plan.flags |= CloneFlags::INTO_CGROUP;
        }
        Ok(())
    }

    fn clone_hint(&self, errno: c_int, _: &Plan) -> Option<String> {
        self.directory?;
        match errno {
            libc::EACCES => {
                Some("the caller may not write the cgroup.procs of cgroup, or of one above".into())
            }
            libc::ENOENT | libc::ENODEV => Some("cgroup has been removed".into()),
            libc::EBADF | libc::EOPNOTSUPP | libc::EBUSY => Some(
                "cgroup is no directory of a control group of version 2 that takes processes"
                    .into(),
            ),
            _ => None,
        }
    }
}
