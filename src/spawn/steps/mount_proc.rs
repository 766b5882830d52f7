//! `mount_proc`: proc(5) of a new PID namespace on /proc.

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{Plan, Scene, Step, Stop, is_on};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys;

#[derive(Debug, Default)]
pub(super) struct MountProc {
    on: bool,
}

impl Step for MountProc {
    fn options(&self) -> &'static [&'static str] {
        &["mount_proc"]
    }

    fn read(&mut self, _: &Call<'_>, _: &'static str, value: Option<&Scalar>) -> Result<(), Error> {
        self.on = is_on(value)?;
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        if self.on {
            plan.flags |= CloneFlags::NEWNS | CloneFlags::NEWPID;
        }
        Ok(())
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        match self.on {
            true => Ok(mount_proc(scene.plan.root.is_some())?),
            false => Ok(()),
        }
    }

    fn hint(&self, _: u8, errno: c_int, _: &Plan) -> Option<String> {
        let hint = match errno {
            libc::EPERM => {
                "a user namespace gets a new /proc only where one is in sight that hides nothing"
            }
            libc::ENOENT => "the new root has no directory /proc",
            libc::ENOTDIR => "/proc of the new root is a file or a symbolic link",
            _ => return None,
        };
        Some(hint.into())
    }
}

/// ENOTDIR if /proc is a symbolic link: it could lead elsewhere, and above a new root lies the old.
/// In a new root, which others may write to, it could become one meanwhile: there it is the
/// directory itself that is mounted on. The working directory must be the root, and stays so.
fn mount_proc(in_new_root: bool) -> Result<(), Error> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let directory = sys::open(c"/proc", flags)?;
    let mount_on = |target| {
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        sys::mount(c"proc", target, Some(c"proc"), flags)
    };
    match in_new_root {
        true => {
            sys::change_directory_to(&directory)?;
            mount_on(c".")?;
            sys::change_directory(c"/")
        }
        false => mount_on(c"/proc"),
    }
}
