//! `root`: the child's root directory (pivot_root(2), "pivot_root(".", ".")").

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{FUNCTION, Plan, Scene, Step, Stop, bytes};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::spawn::refusal::user_namespace_setting;
use crate::sys;

/// Makes it the root. The old one lies on top of it until [`Detach`].
#[derive(Debug, Default)]
pub(super) struct Pivot {
    directory: Option<CString>,
}

impl Step for Pivot {
    fn options(&self) -> &'static [&'static str] {
        &["root"]
    }

    fn read(
        &mut self,
        _: &Call<'_>,
        option: &'static str,
        value: Option<&Scalar>,
    ) -> Result<(), Error> {
        let directory = value
            .map(|value| read::string(FUNCTION, option, value))
            .transpose()?;
        self.directory = directory.map(by_its_name);
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        plan.root = self.directory.take();
        if plan.root.is_some() {
            plan.flags |= CloneFlags::NEWNS;
        }
        Ok(())
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        if let Some(root) = &scene.plan.root {
            // only a mount can become the root
            sys::mount(root, root, None, libc::MS_BIND | libc::MS_REC)?;
            sys::change_directory(root)?;
            sys::pivot_root(c".", c".")?;
        }
        Ok(())
    }

    fn about<'a>(&'a self, plan: &'a Plan) -> Option<&'a [u8]> {
        bytes(&plan.root)
    }

    fn hint(&self, _: u8, errno: c_int, _: &Plan) -> Option<String> {
        hint(errno)
    }
}

/// Takes the old root away from on top of the new one, where the working directory is.
#[derive(Debug, Default)]
pub(super) struct Detach;

impl Step for Detach {
    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        if scene.plan.root.is_some() {
            sys::unmount(c".", libc::MNT_DETACH)?;
            sys::change_directory(c"/")?;
        }
        Ok(())
    }

    fn name(&self, _: u8) -> &'static str {
        "root"
    }

    fn about<'a>(&'a self, plan: &'a Plan) -> Option<&'a [u8]> {
        bytes(&plan.root)
    }

    fn hint(&self, _: u8, errno: c_int, _: &Plan) -> Option<String> {
        hint(errno)
    }
}

fn hint(errno: c_int) -> Option<String> {
    match errno {
        libc::EPERM => user_namespace_setting()
            .or_else(|| Some("it takes CAP_SYS_ADMIN in the user namespace".into())),
        libc::EINVAL | libc::EBUSY => {
            Some("is it the root already, or the current root a ramfs or a chroot?".into())
        }
        _ => None,
    }
}

/// The working directory by a name: as "." it would stay below what is mounted on it.
fn by_its_name(directory: CString) -> CString {
    let bytes = directory.as_bytes();
    let is_here = !bytes.is_empty()
        && bytes
            .split(|&byte| byte == b'/')
            .enumerate()
            .all(|(n, part)| part == b"." || n > 0 && part.is_empty());
    match std::env::current_dir() {
        Ok(here) if is_here => CString::new(here.into_os_string().into_vec()).unwrap_or(directory),
        _ => directory,
    }
}
