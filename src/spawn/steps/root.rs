//! `root`: the child's root directory (pivot_root(2), "pivot_root(".", ".")").
//!
//! Its name is looked up once; from there on the directory is where the child stands. So a name may
//! be one of a descriptor (`/proc/self/fd/N`), and nobody can put another directory in its place
//! meanwhile.

use std::ffi::CString;

use libc::c_int;
use perlxs::{Call, Scalar};

use super::flags::namespace_hint;
use super::{FUNCTION, Plan, Scene, Step, Stop, bytes};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::sys;

/// The system calls, as parts of the steps: their errors mean different things.
const FIND: u8 = 0;
const UNSHARE: u8 = 1;
const MOUNT: u8 = 2;
const PIVOT: u8 = 3;

/// What is told of a failure, whichever of the steps it was in.
macro_rules! explained {
    () => {
        fn name(&self, _: u8) -> &'static str {
            "root"
        }

        fn about<'a>(&'a self, plan: &'a Plan) -> Option<&'a [u8]> {
            bytes(&plan.root)
        }

        fn hint(&self, part: u8, errno: c_int, plan: &Plan) -> Option<String> {
            hint(part, errno, plan)
        }
    };
}

/// Goes there, and makes the mount namespace: a descriptor of the caller's leads to the caller's
/// mounts, and of a process's places the kernel moves only its root and its working directory to
/// the new ones.
#[derive(Debug, Default)]
pub(super) struct Enter {
    directory: Option<CString>,
}

impl Step for Enter {
    fn options(&self) -> &'static [&'static str] {
        &["root"]
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
        plan.root = self.directory.take();
        Ok(())
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        if let Some(root) = &scene.plan.root {
            sys::change_directory(root).map_err(Stop::at(FIND.into()))?;
            sys::unshare(CloneFlags::NEWNS.bits()).map_err(Stop::at(UNSHARE.into()))?;
        }
        Ok(())
    }

    explained!();
}

/// Makes the working directory the root. The old one lies on top of it until [`Detach`].
#[derive(Debug, Default)]
pub(super) struct Pivot;

impl Step for Pivot {
    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        if scene.plan.root.is_some() {
            // Only a mount can become the root. On top of the old root, and not of the directory
            // itself: what is mounted there "/.." leads to, but to what is mounted on the working
            // directory only a name.
            let flags = libc::MS_BIND | libc::MS_REC;
            sys::mount(c".", c"/", None, flags).map_err(Stop::at(MOUNT.into()))?;
            sys::change_directory(c"/..").map_err(Stop::at(MOUNT.into()))?;
            sys::pivot_root(c".", c".").map_err(Stop::at(PIVOT.into()))?;
        }
        Ok(())
    }

    explained!();
}

/// Takes the old root away from on top of the new one, where the working directory is.
#[derive(Debug, Default)]
pub(super) struct Detach;

impl Step for Detach {
    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    /// After the last step that implies NEWNS.
    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        if plan.root.is_some() {
            // the child makes that one: see `Enter`
            plan.flags -= CloneFlags::NEWNS;
        }
        Ok(())
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        if scene.plan.root.is_some() {
            sys::unmount(c".", libc::MNT_DETACH).map_err(Stop::at(PIVOT.into()))?;
            sys::change_directory(c"/").map_err(Stop::at(PIVOT.into()))?;
        }
        Ok(())
    }

    explained!();
}

fn hint(part: u8, errno: c_int, plan: &Plan) -> Option<String> {
    let hint = match (part, errno) {
        (FIND, libc::EACCES) => return plan.ids_hint(plan.root.as_deref()?, true),
        (UNSHARE, _) => {
            return namespace_hint(errno, plan, CloneFlags::NEWNS);
        }
        (MOUNT | PIVOT, libc::EPERM | libc::EACCES) => {
            return plan.right_hint(errno, "CAP_SYS_ADMIN in the user namespace");
        }
        (MOUNT, libc::EINVAL) => "the directory is not in the caller's mount namespace",
        (MOUNT, libc::ENOSPC) => "more mounts than the sysctl fs.mount-max allows",
        (PIVOT, libc::EINVAL) => "is the current root a ramfs or a chroot?",
        _ => return None,
    };
    Some(hint.into())
}
